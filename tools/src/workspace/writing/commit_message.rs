//! The message of a commit: the caller's, cleaned, with the trailer that names the record of the call.

use opsgate_audit::{Durable, Receipt};

use crate::error::ToolError;
use crate::workspace::path::quoted;

/// In bytes.
const LONGEST: usize = 16 << 10;
/// What opsgate adds; git reads a trailer's name in any case.
const TRAILER: &str = "Opsgate-Record";

/// A message without control characters and of a subject that is not empty. Ends without a line end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message(String);

impl Message {
    // INVARIANT: no line of a caller's message reads as opsgate's trailer (test: a_forged_trailer_is_refused).
    pub(super) fn parse(raw: &str) -> Result<Self, ToolError> {
        if raw.len() > LONGEST {
            return Err(ToolError::invalid(format!("the message has {} bytes; at most {LONGEST} are taken", raw.len())));
        }
        let unified = raw.replace("\r\n", "\n").replace(['\r', '\u{85}', '\u{2028}', '\u{2029}'], "\n");
        let kept: String = unified.chars().filter(|c| matches!(c, '\n' | '\t') || !(c.is_control() || is_bidi_control(*c))).collect();
        let lines: Vec<&str> = kept.lines().map(str::trim_end).collect();
        if let Some(line) = lines.iter().find(|line| is_record(line)) {
            return Err(ToolError::invalid(format!("the message has the line {}, which only opsgate writes; leave it out", quoted(line))));
        }
        let text = lines.join("\n").trim_matches('\n').to_owned();
        if text.trim().is_empty() {
            return Err(ToolError::invalid("the message is empty; say what the commit does"));
        }
        Ok(Self(text))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn subject(&self) -> &str {
        self.0.lines().next().unwrap_or_default()
    }

    /// The whole message, with the record of the call as its last trailer.
    pub(super) fn recorded(&self, receipt: &Receipt<Durable>) -> String {
        let between = if self.ends_with_trailers() { "\n" } else { "\n\n" };
        format!("{}{between}{TRAILER}: {} {}\n", self.0, receipt.seq(), receipt.entry_hash())
    }

    /// Whether the last paragraph, which is not the subject's, has trailers alone: opsgate's joins them, since git reads
    /// the last paragraph only.
    fn ends_with_trailers(&self) -> bool {
        let is_token = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let is_trailer = |line: &str| line.split_once(": ").is_some_and(|(name, value)| is_token(name) && !value.trim().is_empty());
        self.0.rsplit_once("\n\n").is_some_and(|(_, last)| last.lines().all(is_trailer))
    }
}

fn is_record(line: &str) -> bool {
    let visible: String = line.chars().filter(|c| !c.is_whitespace()).collect();
    visible.get(..=TRAILER.len()).is_some_and(|start| start.eq_ignore_ascii_case("opsgate-record:"))
}

/// Characters that make a line read otherwise than it is.
fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}'..='\u{200f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_message_is_cleaned() {
        for (raw, clean) in
            [("one", "one"), ("\n\n one  \r\n\r\ntwo\t \n\n\n", " one\n\ntwo"), ("a\u{1b}[31mb\u{0}\u{202e}c", "a[31mbc"), ("one\rtwo", "one\ntwo")]
        {
            assert_eq!(Message::parse(raw).unwrap().as_str(), clean, "{raw:?}");
        }
        for empty in ["", " \n\t\n", "\u{0}\u{1b}"] {
            assert!(Message::parse(empty).is_err(), "{empty:?}");
        }
        assert!(Message::parse(&"x".repeat(LONGEST + 1)).is_err());
    }

    #[test]
    fn a_forged_trailer_is_refused() {
        for forged in
            ["Opsgate-Record: 1 ab", "x\n\nopsgate-record: 1", "x\nOPSGATE-RECORD :1", "x\n \tOpsgate-\u{1b}Record: 1", "x\rOpsgate-\u{200b}Record:1"]
        {
            assert!(Message::parse(forged).is_err(), "{forged:?}");
        }
        assert!(Message::parse("name the Opsgate-Record: trailer in the manual").is_ok());
    }

    #[test]
    fn trailers_are_told_from_text() {
        for (message, has) in [("x", false), ("a: b", false), ("x\n\na: b", true), ("x\n\na: b\nno", false), ("x\n\na: b\nSigned-off-by: c", true)] {
            assert_eq!(Message::parse(message).unwrap().ends_with_trailers(), has, "{message:?}");
        }
    }

    proptest! {
        #[test]
        fn what_parses_is_clean(raw in "([ -~\\n\\r\\t\u{0}\u{1b}é]|Opsgate-Record|:|\\n\\n){0,40}") {
            if let Ok(message) = Message::parse(&raw) {
                prop_assert!(!message.subject().trim().is_empty());
                prop_assert!(message.as_str().chars().all(|c| c == '\n' || c == '\t' || !c.is_control()));
                prop_assert!(!message.as_str().lines().any(|line| line.trim().to_lowercase().starts_with("opsgate-record:")));
                prop_assert_eq!(Message::parse(message.as_str()).ok(), Some(message));
            }
        }
    }
}
