//! Findings in a text, and their replacement.

use super::counts::Counts;

/// What every replacement begins with.
pub(super) const MARK: &str = "[REDACTED:";

/// One finding: bytes `start..end` of the text are a secret of `kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) kind: &'static str,
}

/// Whether the text holds a replacement mark: such content must never be written back.
pub fn has_redaction_mark(text: &str) -> bool {
    memchr::memmem::find(text.as_bytes(), MARK.as_bytes()).is_some()
}

/// The length of the mark that `text` begins with, if it does begin with a whole one.
pub(super) fn mark_len(text: &str) -> Option<usize> {
    let rest = text.strip_prefix(MARK)?;
    let kind = rest.bytes().take(64).take_while(|b| b.is_ascii_alphanumeric() || *b == b'_' || *b == b'-').count();
    (kind > 0 && rest.as_bytes().get(kind) == Some(&b']')).then_some(MARK.len() + kind + 1)
}

/// The replacement of a secret of `kind`.
pub(super) fn mark(kind: &str) -> String {
    let mut out = String::with_capacity(MARK.len() + kind.len() + 1);
    push_mark(&mut out, kind);
    out
}

fn push_mark(out: &mut String, kind: &str) {
    out.push_str(MARK);
    out.push_str(kind);
    out.push(']');
}

/// A mark for each line of `secret`; indentation and line ends stay.
fn push_marks(out: &mut String, secret: &str, kind: &str) {
    for (number, line) in secret.split_inclusive('\n').enumerate() {
        let content = line.trim();
        let lead = line.len() - line.trim_start_matches([' ', '\t']).len();
        if number > 0 && !content.is_empty() {
            out.push_str(line.get(..lead).unwrap_or_default());
        }
        if number == 0 || !content.is_empty() {
            push_mark(out, kind);
        }
        out.push_str(line.get(line.trim_end_matches(['\r', '\n']).len()..).unwrap_or_default());
    }
}

/// What a replacement does with the line ends inside of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineEnds {
    /// A secret of many lines becomes one mark.
    Joined,
    /// Each of its lines becomes a mark, so that every line keeps its number.
    Kept,
}

/// Replaces every span of `text`. Overlapping spans become one, named by the longest of them.
pub(super) fn replace(text: &str, mut spans: Vec<Span>, line_ends: LineEnds, counts: &mut Counts) -> String {
    spans.sort_unstable_by_key(|span| (span.start, std::cmp::Reverse(span.end)));
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    let mut spans = spans.into_iter().peekable();
    while let Some(first) = spans.next() {
        let (start, mut end) = (first.start, first.end);
        let mut longest = first;
        while let Some(next) = spans.next_if(|next| next.start < end) {
            end = end.max(next.end);
            if next.end - next.start > longest.end - longest.start {
                longest = next;
            }
        }
        out.push_str(text.get(done..start).unwrap_or_default());
        match line_ends {
            LineEnds::Joined => push_mark(&mut out, longest.kind),
            LineEnds::Kept => push_marks(&mut out, text.get(start..end).unwrap_or_default(), longest.kind),
        }
        counts.add(longest.kind);
        done = end;
    }
    out.push_str(text.get(done..).unwrap_or_default());
    out
}
