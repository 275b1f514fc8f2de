//! Whole texts without secrets. Every line, match and hunk that a tool shows is taken from one of these: what scrubs the
//! reply sees single strings, and a part of a secret would not be known for one.

use git2::Commit;
use tokio_util::sync::CancellationToken;

use super::commit::clipped;
use super::repository::live;
use crate::error::ToolError;
use crate::scope::OutputFilter;

/// What a redacted secret reads like, up to its kind.
const MARK: &str = "[REDACTED:";

/// A text as it may be shown, and how its bytes were read.
pub(super) struct Redacted {
    pub(super) text: String,
    /// `utf-8` or `utf-8-lossy`.
    pub(super) encoding: &'static str,
}

impl Redacted {
    /// Its lines, without their ends.
    pub(super) fn lines(&self) -> Vec<&str> {
        self.text.split('\n').collect()
    }
}

/// The whole text without secrets, decoded before anything is looked for in it.
// INVARIANT: line n of the answer is line n of `raw`; a redaction that loses count shows nothing (test:
// a_redaction_that_loses_count_shows_nothing).
pub(super) fn whole(raw: Vec<u8>, filter: &OutputFilter, cancel: &CancellationToken) -> Result<Redacted, ToolError> {
    live(cancel)?;
    let (text, encoding) = match String::from_utf8(raw) {
        Ok(text) => (text, "utf-8"),
        Err(error) => (String::from_utf8_lossy(error.as_bytes()).into_owned(), "utf-8-lossy"),
    };
    let lines = newlines(text.as_bytes());
    let text = filter.redacted(text);
    live(cancel)?;
    if newlines(text.as_bytes()) == lines {
        Ok(Redacted { text, encoding })
    } else {
        Err(ToolError::internal("the redaction of a file changed how many lines it has"))
    }
}

/// A name or a message without secrets, then cut to `most` characters.
pub(super) fn short(raw: &[u8], most: usize, filter: &OutputFilter) -> String {
    clipped(message(raw, filter).as_bytes(), most)
}

/// The subject of a commit and what follows it, both without secrets.
pub(super) fn subject_and_body(commit: &Commit<'_>, filter: &OutputFilter) -> (String, String) {
    let message = message(commit.message_bytes(), filter);
    let (mut subject, mut body) = (String::new(), "");
    let mut rest = message.trim_start();
    while let Some((line, after)) = rest.split_once('\n').or_else(|| (!rest.is_empty()).then_some((rest, ""))) {
        if line.trim().is_empty() {
            body = after;
            break;
        }
        if !subject.is_empty() {
            subject.push(' ');
        }
        subject.push_str(line.trim());
        rest = after;
    }
    (subject, body.trim().to_owned())
}

fn message(raw: &[u8], filter: &OutputFilter) -> String {
    filter.redacted(String::from_utf8_lossy(raw).into_owned())
}

/// What is left of a redacted text without the marks themselves; `None` where it has none.
pub(super) fn outside_marks(text: &str) -> Option<String> {
    let (mut left, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once(MARK) {
        left.push_str(before);
        left.push('\n');
        rest = after.find([']', '\n']).and_then(|end| after.get(end + 1..)).unwrap_or_default();
    }
    left.push_str(rest);
    (left.len() != text.len()).then_some(left)
}

pub(super) fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}
