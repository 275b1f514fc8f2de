//! A running command's output as progress, line by line, without secrets.

use crate::progress::Progress;
use crate::scope::OutputFilter;

/// Lines that are said are kept so long as context for those that come.
const CONTEXT: usize = 16 << 10;
/// More that is not said yet is not said: the reply has it.
const WINDOW: usize = 64 << 10;
/// The last lines wait for what comes after them: a secret may go on there.
const HELD_BACK: usize = 2;
/// So many lines are said at a time.
const MOST_LINES: usize = 20;

pub(super) struct Feed {
    filter: OutputFilter,
    progress: Progress,
    /// Whole lines: those that were said, then those that were not.
    window: String,
    /// How many lines of the window were said.
    said: usize,
}

impl Feed {
    pub(super) fn new(filter: OutputFilter, progress: Progress) -> Self {
        Self { filter, progress, window: String::new(), said: 0 }
    }

    /// Takes whole lines and says those that are seen in their context.
    // INVARIANT: a line is said only out of a redacted text that goes on after it (test: a_secret_of_many_lines_is_never_said).
    pub(super) fn take(&mut self, fresh: &str) {
        if !self.progress.is_wanted() {
            return;
        }
        self.window.push_str(fresh);
        self.forget();
        let redacted = self.filter.redacted(self.window.clone());
        let lines: Vec<_> = redacted.lines().collect();
        let until = lines.len().saturating_sub(HELD_BACK);
        let fresh = lines.get(self.said..until).unwrap_or_default();
        for line in fresh.iter().skip(fresh.len().saturating_sub(MOST_LINES)).filter(|line| !line.trim().is_empty()) {
            self.progress.say(line);
        }
        self.said = self.said.max(until);
    }

    /// Drops the oldest lines: said ones beyond the context, and where too much waits, those too.
    fn forget(&mut self) {
        let waiting: usize = self.window.split_inclusive('\n').skip(self.said).map(str::len).sum();
        let keep = (CONTEXT + waiting).min(WINDOW);
        let Some(from) = self.window.len().checked_sub(keep).filter(|from| *from > 0) else { return };
        let from = self.window.ceil_char_boundary(from);
        let Some(end) = self.window.get(from..).and_then(|rest| rest.find('\n')).map(|end| from + end + 1) else { return };
        let dropped = self.window.get(..end).unwrap_or_default().matches('\n').count();
        self.window.drain(..end);
        if dropped > self.said {
            // Nothing of what comes first now has its context: it is passed over as if it had been said.
            self.said = self.window.split_inclusive('\n').scan(0, |size, line| (*size < CONTEXT).then(|| *size += line.len())).count();
        } else {
            self.said -= dropped;
        }
    }
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
    }

    /// Redacts from `BEGIN` to `END`, or to the end of the text where that has not come.
    struct Block;
    impl Redaction for Block {
        fn by_line(&self, whole: &str) -> Option<String> {
            let mut inside = false;
            let lines = whole.lines().map(|line| {
                inside |= line == "BEGIN";
                let shown = if inside { "[gone]" } else { line };
                inside &= line != "END";
                format!("{shown}\n")
            });
            Some(lines.collect())
        }
    }

    fn said(chunks: &[String]) -> Vec<String> {
        let said = Arc::new(Mutex::new(Vec::new()));
        let sink = said.clone();
        let progress = Progress::to(move |line| sink.lock().unwrap().push(line.to_owned()));
        let mut feed = Feed::new(OutputFilter::new(Arc::new(All), 1 << 20).with_redaction(Arc::new(Block)), progress);
        chunks.iter().for_each(|chunk| feed.take(chunk));
        said.lock().unwrap().clone()
    }

    #[test]
    fn lines_are_said_once_and_in_order() {
        let chunks: Vec<_> = (0..5000).map(|n| format!("line {n}\n")).collect();
        let expected: Vec<_> = (0..4998).map(|n| format!("line {n}")).collect();
        assert_eq!(said(&chunks), expected);
    }

    #[test]
    fn a_secret_of_many_lines_is_never_said() {
        let mut chunks = vec!["before\n".to_owned(), "BEGIN\n".to_owned()];
        chunks.extend((0..200).map(|n| format!("body {n}\n")));
        chunks.extend(["END\n".to_owned(), "after\n".to_owned(), "1\n".to_owned(), "2\n".to_owned()]);
        let said = said(&chunks);
        assert!(said.iter().all(|line| !line.contains("body")), "{said:?}");
        assert!(said.contains(&"before".to_owned()) && said.contains(&"after".to_owned()));
    }

    #[test]
    fn a_flood_is_passed_over() {
        let flood: String = (0..100_000).map(|n| format!("line {n}\n")).collect();
        let said = said(&[flood, "1\n2\n3\n".to_owned()]);
        assert!(said.len() <= 2 * MOST_LINES && said.last().unwrap() == "1", "{said:?}");
    }
}
