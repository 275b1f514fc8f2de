//! One text, all detectors.

use super::counts::Counts;
use super::known::Known;
use super::span::{LineEnds, Span, replace};
use super::{escapes, stems, tokens};

/// Replacing can bring a key beside another value, so a changed text is scanned again. Each round
/// shortens what is left to find; this many are enough for any text that was not made to last.
const ROUNDS: usize = 8;

/// The text without its secrets, or `None` where it has none.
// INVARIANT: a clean result is a fixed point; `scrub::tests::scrubbing_twice_changes_nothing`.
pub(super) fn scrub(text: &str, known: &Known, counts: &mut Counts) -> Option<String> {
    scrub_with(text, known, LineEnds::Joined, counts)
}

/// As [`scrub`], with or without the line ends inside of secrets.
pub(super) fn scrub_with(text: &str, known: &Known, line_ends: LineEnds, counts: &mut Counts) -> Option<String> {
    let mut spans = find(text, known, 0);
    if spans.is_empty() {
        return None;
    }
    let mut clean = replace(text, spans, line_ends, counts);
    for _ in 1..ROUNDS {
        spans = find(&clean, known, 0);
        if spans.is_empty() {
            break;
        }
        clean = replace(&clean, spans, line_ends, counts);
    }
    Some(clean)
}

/// All findings in `text`, unordered. `depth` is how many decodings led to it.
pub(super) fn find(text: &str, known: &Known, depth: usize) -> Vec<Span> {
    let mut spans = Vec::new();
    known.find(text, &mut spans);
    tokens::find(text, known, depth, &mut spans);
    stems::find(text, &mut spans);
    if let Some(plain) = escapes::decode(text) {
        let mut hidden = Vec::new();
        known.find(&plain.text, &mut hidden);
        tokens::find(&plain.text, known, depth, &mut hidden);
        stems::find(&plain.text, &mut hidden);
        spans.extend(hidden.into_iter().map(|span| plain.locate(span)));
    }
    spans
}
