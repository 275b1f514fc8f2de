//! What is said of a command while it runs: the lines of test runners, and how many lines there were.
//!
//! Any other line may be a part of something that is only seen to be a secret when more of it has come, and a command can
//! pause at any line. The reply has it all, redacted as a whole.

use std::time::{Duration, Instant};

use super::report;
use crate::progress::Progress;
use crate::scope::OutputFilter;

/// How often the lines are counted.
const COUNT: Duration = Duration::from_secs(1);
/// So many lines are said at a time: the last ones.
const MOST_LINES: usize = 20;

pub(super) struct Feed {
    filter: OutputFilter,
    progress: Progress,
    lines: u64,
    /// When the lines were last counted aloud, and how many there were.
    counted: (Instant, u64),
    every: Duration,
}

impl Feed {
    pub(super) fn new(filter: OutputFilter, progress: Progress) -> Self {
        Self { filter, progress, lines: 0, counted: (Instant::now(), 0), every: COUNT }
    }

    /// Takes whole lines and says those that a test runner prints.
    // INVARIANT: of what a command prints nothing else is said before it has ended (test:
    // a_secret_is_not_said_wherever_the_command_pauses).
    pub(super) fn take(&mut self, fresh: &str) {
        if !self.progress.is_wanted() {
            return;
        }
        let mut said: Vec<&str> = fresh.lines().rev().filter_map(report::of_a_runner).take(MOST_LINES).collect();
        said.reverse();
        if !said.is_empty() {
            for line in self.filter.redacted(said.join("\n")).lines() {
                self.progress.say(line);
            }
        }
        self.lines = self.lines.saturating_add(fresh.lines().count() as u64);
        if self.lines != self.counted.1 && self.counted.0.elapsed() >= self.every {
            self.progress.say(&format!("{} lines so far", in_thousands(self.lines)));
            self.counted = (Instant::now(), self.lines);
        }
    }
}

/// `1,204`
fn in_thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::scope::{PathFilter, Redaction};

    struct All;
    impl PathFilter for All {
        fn file(&self, _: &str) -> bool {
            true
        }
        fn tree(&self, _: &str) -> bool {
            true
        }
        fn repository(&self, _: &str) -> bool {
            true
        }
    }

    struct Word;
    impl Redaction for Word {
        fn by_line(&self, whole: &str) -> Option<String> {
            Some(whole.replace("hush", "[gone]"))
        }
    }

    fn said(chunks: &[String], every: Duration) -> Vec<String> {
        let said = Arc::new(Mutex::new(Vec::new()));
        let sink = said.clone();
        let progress = Progress::to(move |line| sink.lock().unwrap().push(line.to_owned()));
        let mut feed = Feed { every, ..Feed::new(OutputFilter::new(Arc::new(All), 1 << 20).with_redaction(Arc::new(Word)), progress) };
        chunks.iter().for_each(|chunk| feed.take(chunk));
        said.lock().unwrap().clone()
    }

    #[test]
    fn runners_lines_are_said_once_in_order_and_redacted() {
        let chunks: Vec<_> = (0..500).map(|n| format!("test t{n} ... ok\nwhat it printed\n")).collect();
        let expected: Vec<_> = (0..500).map(|n| format!("test t{n} ... ok")).collect();
        assert_eq!(said(&chunks, Duration::MAX), expected);
        assert_eq!(said(&["ok 1 - hush\n".to_owned()], Duration::MAX), ["ok 1 - [gone]"]);
        let flood: String = (0..100_000).map(|n| format!("ok {n} - x\n")).collect();
        let said = said(&[flood], Duration::MAX);
        assert_eq!((said.len(), said.last().unwrap().as_str()), (MOST_LINES, "ok 99999 - x"));
    }

    #[test]
    fn a_secret_is_not_said_wherever_the_command_pauses() {
        let whole = [
            "apiVersion: v1\ndata:\n  password: a-value\n  other: a-value\nkind: Secret\n",
            "{\n  \"data\": {\n    \"password\": \"a-value\"\n  },\n  \"kind\": \"Secret\"\n}\n",
            "password = \"\"\"\na-value\n\"\"\"\n",
        ];
        for text in whole {
            let chunks: Vec<_> = text.split_inclusive('\n').map(str::to_owned).collect();
            let said = said(&chunks, Duration::ZERO);
            assert_eq!(said.len(), chunks.len(), "each is counted: {said:?}");
            assert!(said.iter().all(|line| line.ends_with(" lines so far")), "{said:?}");
        }
    }

    #[test]
    fn lines_are_counted() {
        let chunks = [1203, 1, 0].map(|count| "x\n".repeat(count));
        assert_eq!(said(&chunks, Duration::ZERO), ["1,203 lines so far", "1,204 lines so far"]);
        assert_eq!(said(&chunks, Duration::MAX), Vec::<String>::new());
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(in_thousands(number), text);
        }
    }
}
