//! Whole texts without secrets. Every line, match and hunk that a tool shows is taken from one of these: what scrubs the
//! reply sees single strings, and a part of a secret would not be known for one.

use git2::{Commit, DiffOptions, Patch};
use tokio_util::sync::CancellationToken;

use super::commit::clipped;
use super::repository::{failed, live};
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
    by_line(raw, |text| filter.redacted(text), cancel)
}

/// As [`whole`], for what is shown in part or not at all. Where a mark is shown of it, [`whole`] counts what is exposed.
pub(super) fn whole_uncounted(raw: &[u8], filter: &OutputFilter, cancel: &CancellationToken) -> Result<Redacted, ToolError> {
    by_line(raw.to_vec(), |text| filter.redacted_uncounted(&text), cancel)
}

/// Whether a text shows that something was taken out of it.
pub(super) fn is_marked(text: &str) -> bool {
    text.contains(MARK)
}

fn by_line(raw: Vec<u8>, redact: impl FnOnce(String) -> String, cancel: &CancellationToken) -> Result<Redacted, ToolError> {
    live(cancel)?;
    let (text, encoding) = match String::from_utf8(raw) {
        Ok(text) => (text, "utf-8"),
        Err(error) => (String::from_utf8_lossy(error.as_bytes()).into_owned(), "utf-8-lossy"),
    };
    let lines = newlines(text.as_bytes());
    let text = redact(text);
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

/// Whether a text that is to be written holds a secret, or the mark of one that was taken out.
pub(super) fn holds_secret(text: &str, filter: &OutputFilter) -> bool {
    text.contains(MARK) || filter.redacted(text.to_owned()) != text
}

/// Whether a part of a content is a secret, read as text whatever it is. The answer shows nothing of it.
pub(super) fn is_hidden(content: &[u8], filter: &OutputFilter) -> bool {
    let text = String::from_utf8_lossy(content);
    filter.redacted_uncounted(&text) != text
}

/// Whether a line that `new` has over `old` holds a part of a secret, or a mark. Both are read as text, whatever they are.
// INVARIANT: a secret of several lines is found by any line of it that is new (test: a_secret_is_not_committed).
pub(super) fn adds_secret(old: &[u8], new: &[u8], filter: &OutputFilter, cancel: &CancellationToken) -> Result<bool, ToolError> {
    let plain = String::from_utf8_lossy(new);
    let shown = whole_uncounted(new, filter, cancel)?; // a secret in a line that stays is not exposed by a commit
    if shown.text == plain && !plain.contains(MARK) {
        return Ok(false);
    }
    let (shown, plain): (Vec<&str>, Vec<&str>) = (shown.lines(), plain.split('\n').collect());
    let patch = Patch::from_buffers(old, None, new, None, Some(DiffOptions::new().context_lines(0).force_text(true))).map_err(failed)?;
    for at in 0..patch.num_hunks() {
        for nth in 0..patch.num_lines_in_hunk(at).map_err(failed)? {
            let line = patch.line_in_hunk(at, nth).map_err(failed)?;
            if line.origin() != '+' {
                continue;
            }
            let number = line.new_lineno().and_then(|number| (number as usize).checked_sub(1));
            let (Some(shown), Some(plain)) = (number.and_then(|n| shown.get(n)), number.and_then(|n| plain.get(n))) else {
                return Err(ToolError::internal("a hunk has a line that its file has not"));
            };
            if shown != plain || plain.contains(MARK) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

pub(super) fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}
