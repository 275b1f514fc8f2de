//! Runs of token characters, and the formats that may begin inside them.
//!
//! Words of clean text are short, so only every sixteenth byte is looked at until one belongs to
//! a run of sixteen. Everything here is linear: a run is visited once.

use super::decode;
use super::known::Known;
use super::rules::Index;
use super::shape::RunEnds;
use super::span::Span;

/// No format has a shorter unbroken run.
pub(super) const RUN: usize = 16;
/// How far before a run its format may begin (`hooks.slack.com/services/…`).
const BEFORE: usize = 96;

const NONE: u8 = 0;
/// Part of a run.
const TOKEN: u8 = 1;
/// Joins runs into one credential: `SG.x.y`, `1//0x`, `123:AAx`.
const JOINT: u8 = 2;

/// What each byte is to a run.
const CLASS: [u8; 256] = {
    let mut table = [NONE; 256];
    let mut byte = 0u8;
    loop {
        #[expect(clippy::indexing_slicing, reason = "a byte indexes 256 entries")]
        {
            table[byte as usize] = match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => TOKEN,
                b'.' | b'/' | b'+' | b'=' | b':' | b'~' | b'$' | b'%' | b'@' | b'&' | b'?' => JOINT,
                _ => NONE,
            };
        }
        if byte == u8::MAX {
            break;
        }
        byte += 1;
    }
    table
};

fn class(byte: u8) -> u8 {
    CLASS.get(usize::from(byte)).copied().unwrap_or(NONE)
}

/// Adds the findings in all runs of `text`.
pub(super) fn find(text: &str, known: &Known, depth: usize, spans: &mut Vec<Span>) {
    let bytes = text.as_bytes();
    let mut runs: Option<Runs<'_>> = None;
    let mut start = 0;
    // Bytes from `start` to here are known to be token characters.
    let mut known_to = 0;
    while let Some(unknown) = bytes.get(known_to..start + RUN) {
        if let Some(at) = unknown.iter().rposition(|byte| class(*byte) != TOKEN) {
            (start, known_to) = (known_to + at + 1, start + RUN);
            continue;
        }
        let ahead = bytes.get(start + RUN..).unwrap_or_default();
        let end = ahead.iter().position(|byte| class(*byte) != TOKEN).map_or(bytes.len(), |at| start + RUN + at);
        let runs = runs.get_or_insert_with(|| Runs { text, known, depth, ends: RunEnds::default(), decoded_to: 0, found_to: 0 });
        start = runs.visit(start, end, spans).max(end);
        known_to = start;
    }
}

/// What is remembered from run to run, so that no byte is read again and again.
struct Runs<'t> {
    text: &'t str,
    known: &'t Known,
    depth: usize,
    ends: RunEnds,
    /// Blobs before this were decoded already.
    decoded_to: usize,
    /// Nothing before this is looked at again.
    found_to: usize,
}

impl Runs<'_> {
    /// Looks for formats around the run `start..end`. Returns the end of the last finding so far.
    fn visit(&mut self, start: usize, end: usize, spans: &mut Vec<Span>) -> usize {
        let bytes = self.text.as_bytes();
        let floor = self.found_to;
        let earliest = start.saturating_sub(BEFORE).max(floor);
        let before = bytes.get(earliest..start).unwrap_or_default();
        let wide = before.iter().rposition(|byte| class(*byte) == NONE).map_or(earliest, |at| earliest + at + 1);
        let index = Index::shared();
        let mut at = wide;
        let mut found_to = floor;
        self.ends.new_run();
        while at < end {
            let found =
                if begins_word(bytes, at) { index.match_at(self.text, at, &mut self.ends) } else { index.match_glued(self.text, at, &mut self.ends) };
            if let Some((to, kind)) = found {
                spans.push(Span { start: at, end: to, kind });
                found_to = found_to.max(to);
                at = to.max(at + 1);
            } else {
                at += 1;
            }
        }
        if found_to <= start
            && start >= self.decoded_to
            && let Some(span) = self.encoded(start, end, found_to)
        {
            spans.push(span);
            found_to = span.end;
        }
        self.found_to = found_to.max(end);
        found_to
    }

    /// The blob around the run, where it hides a secret.
    fn encoded(&mut self, start: usize, end: usize, floor: usize) -> Option<Span> {
        let bytes = self.text.as_bytes();
        let foreign = |byte: &u8| !(byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_'));
        let floor = floor.max(self.decoded_to).min(start);
        let before = bytes.get(floor..start).unwrap_or_default();
        let from = before.iter().rposition(foreign).map_or(floor, |at| floor + at + 1);
        let after = bytes.get(end..).unwrap_or_default();
        let to = after.iter().position(foreign).map_or(bytes.len(), |at| end + at);
        self.decoded_to = to;
        if let Some(block) = wrapped(bytes, from, to) {
            self.decoded_to = block;
            let joined: String = self.text.get(from..block)?.split(['\n', '\r', ' ', '\t']).collect();
            if let Some(kind) = decode::hidden_kind(joined.trim_end_matches('='), self.known, self.depth) {
                return Some(Span { start: from, end: block, kind });
            }
        }
        let kind = decode::hidden_kind(self.text.get(from..to)?, self.known, self.depth)?;
        let padding = bytes.get(to..).unwrap_or_default().iter().take(2).take_while(|byte| **byte == b'=').count();
        Some(Span { start: from, end: to + padding, kind })
    }
}

/// The end of a block of base64 in lines of one length whose first is `from..to`.
fn wrapped(bytes: &[u8], from: usize, to: usize) -> Option<usize> {
    let width = to - from;
    if !(48..=128).contains(&width) {
        return None;
    }
    let is_base64 = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_');
    let mut end = to;
    loop {
        let rest = bytes.get(end..)?;
        let rest = rest.strip_prefix(b"\r").unwrap_or(rest).strip_prefix(b"\n")?.trim_ascii_start();
        let at = bytes.len() - rest.len();
        let len = rest.iter().take(width + 1).take_while(is_base64).count();
        let padding = rest.get(len..)?.iter().take(2).take_while(|byte| **byte == b'=').count();
        let closed = rest.get(len + padding).is_none_or(|byte| !byte.is_ascii_graphic() || matches!(byte, b'"' | b'\'' | b'<'));
        let whole = len == width && padding == 0;
        if !closed || len == 0 || len > width || at > end + 64 {
            return (end > to).then_some(end);
        }
        end = at + len + padding;
        if !whole || bytes.get(end).is_none_or(|byte| !matches!(byte, b'\n' | b'\r')) {
            return Some(end);
        }
    }
}

/// Whether a credential can begin at `at`: no letter or digit stands before it, or one that
/// belongs to an escape (`\n`, `\u0022`, `%0A`, a terminal's colour).
fn begins_word(bytes: &[u8], at: usize) -> bool {
    let back = |by: usize| at.checked_sub(by).and_then(|at| bytes.get(at)).copied();
    let Some(last) = back(1) else { return true };
    if !last.is_ascii_alphanumeric() {
        return true;
    }
    let after_escape = match back(2) {
        Some(b'\\') => matches!(last, b'n' | b't' | b'r' | b'b' | b'f' | b'v' | b'0' | b'e'),
        Some(hex) if hex.is_ascii_hexdigit() && last.is_ascii_hexdigit() => match back(3) {
            Some(b'%') => true,
            Some(b'x') => back(4) == Some(b'\\'),
            Some(_) => back(6) == Some(b'\\') && back(5) == Some(b'u'),
            None => false,
        },
        _ => false,
    };
    // `ESC [ 1 ; 31 m`, raw or escaped: a colour ends in `m` after digits.
    after_escape || (last == b'm' && ends_colour(bytes, at))
}

fn ends_colour(bytes: &[u8], at: usize) -> bool {
    let before = bytes.get(at.saturating_sub(12)..at - 1).unwrap_or_default();
    before.iter().rposition(|byte| !(byte.is_ascii_digit() || *byte == b';')).is_some_and(|open| before.get(open) == Some(&b'['))
}
