//! What of a command's output is kept: its beginning and its end.

use std::collections::VecDeque;

use super::plain::plain;

/// So much is kept of each end. It is a lot more than is shown of it, so that what is looked for in a text — a secret of
/// many lines — is whole where it reaches into what is shown.
const KEPT: usize = 1 << 20;

/// Bytes as they come.
#[derive(Debug, Default)]
pub(super) struct Capture {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    left_out: u64,
}

impl Capture {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let (first, rest) = bytes.split_at(bytes.len().min(KEPT - self.head.len()));
        self.head.extend_from_slice(first);
        self.tail.extend(rest);
        let over = self.tail.len().saturating_sub(KEPT);
        self.tail.drain(..over);
        self.left_out += over as u64;
    }

    /// All that was kept.
    pub(super) fn output(self) -> Output {
        let tail = Vec::from(self.tail);
        if self.left_out == 0 {
            let mut all = self.head;
            all.extend_from_slice(&tail);
            return Output { head: plain(&all), left_out: 0, tail: String::new() };
        }
        Output { head: plain(&self.head), left_out: self.left_out, tail: plain(&tail) }
    }
}

/// A command's output as text: its beginning, how many bytes are not here, and its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// All of it, where nothing was left out.
    pub head: String,
    /// Bytes between the two.
    pub left_out: u64,
    /// The end, where something was left out.
    pub tail: String,
}

/// How much of the beginning is shown of a long output.
const SHOWN_HEAD: usize = 64 << 10;
/// How much of the end.
const SHOWN_TAIL: usize = 256 << 10;

impl Output {
    /// Both ends as they may be shown, with a line for what is between. `redacted` gets more than is then shown.
    // INVARIANT: nothing is cut before it is redacted (test: a_secret_across_the_cut_is_not_shown).
    #[must_use]
    pub fn shown(self, redacted: impl Fn(String) -> String) -> String {
        let head = redacted(self.head);
        let tail = redacted(self.tail);
        let all = head.len() + tail.len();
        if self.left_out == 0 && all <= SHOWN_HEAD + SHOWN_TAIL {
            return head;
        }
        let end = if self.left_out == 0 { &head } else { &tail };
        let (first, last) = (head_lines(&head, SHOWN_HEAD), tail_lines(end, SHOWN_TAIL));
        let left_out = self.left_out + (all - first.len() - last.len()) as u64;
        format!("{first}… {left_out} bytes left out …\n{last}")
    }
}

/// The whole lines at the beginning that fit.
pub(super) fn head_lines(text: &str, most: usize) -> &str {
    let cut = text.get(..text.floor_char_boundary(most)).unwrap_or_default();
    cut.rfind('\n').and_then(|end| cut.get(..=end)).unwrap_or(if cut.len() == text.len() { cut } else { "" })
}

/// The whole lines at the end that fit; of a line that is longer than that, its end.
#[must_use]
pub fn tail_lines(text: &str, most: usize) -> &str {
    if text.len() <= most {
        return text;
    }
    let cut = text.get(text.ceil_char_boundary(text.len() - most)..).unwrap_or_default();
    cut.split_once('\n').map_or(cut, |(_, whole)| if whole.is_empty() { cut } else { whole })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captured(bytes: &[u8]) -> Output {
        let mut capture = Capture::default();
        bytes.chunks(7919).for_each(|chunk| capture.push(chunk));
        capture.output()
    }

    #[test]
    fn a_short_output_is_whole_and_a_long_one_keeps_its_ends() {
        assert_eq!(captured(b"one\ntwo\n").shown(|text| text), "one\ntwo\n");
        let numbers = |count: usize| (0..count).map(|n| format!("line {n}\n")).collect::<String>();
        for count in [50_000, 100_000, 1_000_000] {
            let shown = captured(numbers(count).as_bytes()).shown(|text| text);
            assert!(shown.starts_with("line 0\nline 1\n") && shown.ends_with(&format!("line {}\n", count - 1)), "{count}");
            let left_out: usize = shown.lines().find(|line| line.starts_with('…')).unwrap().split(' ').nth(1).unwrap().parse().unwrap();
            let marker = format!("… {left_out} bytes left out …\n").len();
            assert_eq!(left_out + shown.len() - marker, numbers(count).len(), "{count}");
            assert!(shown.len() < SHOWN_HEAD + SHOWN_TAIL + 100, "{count}");
        }
    }

    #[test]
    fn a_secret_across_the_cut_is_not_shown() {
        let mut output = "x".repeat(SHOWN_HEAD - 16) + "\nBEGIN\nbody\nbody\nbody\nEND\n";
        output.push_str(&"y\n".repeat(SHOWN_TAIL));
        let redact = |text: String| match (text.find("BEGIN"), text.find("END")) {
            (Some(from), Some(to)) => format!("{}[gone]{}", &text[..from], &text[to + 3..]),
            _ => text,
        };
        let shown = captured(output.as_bytes()).shown(redact);
        assert!(!shown.contains("body"));
    }

    #[test]
    fn one_endless_line_is_cut_between_characters() {
        let shown = captured("ä".repeat(3 << 20).as_bytes()).shown(|text| text);
        assert!(shown.contains("bytes left out") && shown.ends_with('ä') && shown.len() < SHOWN_HEAD + SHOWN_TAIL + 100);
    }
}
