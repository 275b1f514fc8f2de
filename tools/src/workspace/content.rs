//! A file's content, from an open handle or from git, read in bounded parts.

use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::open::OpenFile;
use super::page::{Budget, stale};
use super::redacted::{self, newlines};
use super::repository::live;
use crate::error::{ToolError, ToolErrorKind};
use crate::scope::OutputFilter;

/// As much of a file as is read to find lines or a digest.
const MOST_SCANNED: u64 = 256 << 20;
const CHUNK: usize = 64 << 10;

/// A file up to this size is redacted whole for each page.
const LARGEST_WHOLE: u64 = 4 << 20;
/// Of a larger one, at least as much as this before and after what is shown.
const BEFORE: u64 = 512 << 10;
const AFTER: u64 = 64 << 10;
/// A longer line is shown of a file that can be redacted whole alone.
const LONG_LINE: u64 = 1 << 20;
const LARGEST_LINE: u64 = 16 << 20;

/// Where content comes from.
pub(super) enum Source {
    File(OpenFile),
    Blob(git2::Oid, Vec<u8>),
}

/// Where a page of a file begins: at a line, or within one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// The byte of the file that the line begins with.
    pub(super) at: u64,
    pub(super) line: u64,
    /// How many bytes of the line, as it may be shown, came before.
    pub(super) within: u64,
}

/// A page of text.
pub(super) struct Window {
    pub(super) text: String,
    pub(super) encoding: &'static str,
    /// Where more of what is wanted begins.
    pub(super) next: Option<Place>,
}

/// A part of a file that is redacted as a whole.
struct Part {
    /// Where it begins in the file.
    start: u64,
    raw: Vec<u8>,
    /// How much of it may be shown; what follows is there to tell what a secret is.
    room: usize,
    ended: bool,
}

/// The text from a line on, at most `lines` lines of it and as much as the budget takes.
// INVARIANT: no text is returned that was not redacted together with what stands around it (test:
// any_range_of_a_secret_is_marks).
pub(super) fn window(
    source: &Source,
    from: Place,
    lines: Option<u64>,
    filter: &OutputFilter,
    cancel: &CancellationToken,
) -> Result<Window, ToolError> {
    let bytes = filter.output_bytes();
    let part = part(source, from.at, bytes)?;
    let at = usize::try_from(from.at.saturating_sub(part.start)).map_err(|_| stale())?;
    let (before, rest) = part.raw.split_at_checked(at).ok_or_else(stale)?;
    if before.last().is_some_and(|byte| *byte != b'\n') {
        return Err(stale());
    }
    let room = if part.ended { u64::MAX } else { newlines(part.raw.get(at..part.room).unwrap_or_default()) };
    let (skipped, ends) = (newlines(before), line_ends(rest));
    let whole = redacted::whole(part.raw, filter, cancel)?;
    let shown = end_of_line(whole.text.as_bytes(), skipped).and_then(|start| whole.text.get(start..)).unwrap_or_default();
    let wanted = lines.unwrap_or(u64::MAX);
    let end = end_of_line(shown.as_bytes(), wanted.min(room)).unwrap_or(shown.len());
    let within = usize::try_from(from.within).map_err(|_| stale())?;
    let shown = shown.get(..end).and_then(|shown| shown.get(within..)).ok_or_else(stale)?;
    let taken = Budget::new(bytes).cut(shown.as_bytes());
    let text = shown.get(..taken).unwrap_or_default();
    let passed = newlines(text.as_bytes());
    let next = (taken < shown.len() || room < wanted && !part.ended).then(|| match text.rfind('\n') {
        Some(last) => {
            let ended = usize::try_from(passed - 1).ok().and_then(|nth| ends.get(nth)).map_or(0, |end| *end as u64);
            Place { at: from.at + ended, line: from.line.saturating_add(passed), within: (taken - last - 1) as u64 }
        }
        None => Place { within: from.within + taken as u64, ..from },
    });
    Ok(Window { text: text.to_owned(), encoding: whole.encoding, next })
}

fn part(source: &Source, at: u64, bytes: usize) -> Result<Part, ToolError> {
    let size = source.size();
    if size > LARGEST_WHOLE {
        let part = surroundings(source, at, bytes)?;
        if part.room as u64 > at.saturating_sub(part.start) {
            return Ok(part);
        }
        if size > LARGEST_LINE {
            return Err(ToolError::new(ToolErrorKind::TooLarge, "a line is too long to be shown; go on with `start_line` after it"));
        }
    }
    let raw = source.read_at(0, usize::try_from(size).unwrap_or(usize::MAX))?;
    Ok(Part { start: 0, room: raw.len(), raw, ended: true })
}

/// What stands around a place: lines of at least [`BEFORE`] bytes before it, and as much as a page, a long line and
/// [`AFTER`] bytes take after it. Where that ends within a line, the line is not shown.
fn surroundings(source: &Source, at: u64, bytes: usize) -> Result<Part, ToolError> {
    let mut start = at.saturating_sub(BEFORE + LONG_LINE);
    let end = at.saturating_add(bytes as u64).saturating_add(LONG_LINE + AFTER);
    let mut raw = source.read_at(start, usize::try_from(end - start).unwrap_or(usize::MAX))?;
    let ended = start + raw.len() as u64 >= source.size();
    if start > 0 {
        let before = usize::try_from(at - start - BEFORE).unwrap_or(0);
        let line = raw.get(..before).and_then(|head| end_of_line(head, 1)).unwrap_or(0);
        raw.drain(..line);
        start += line as u64;
    }
    let last = |raw: &[u8]| raw.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let after = usize::try_from(AFTER).unwrap_or(usize::MAX);
    let room = if ended { raw.len() } else { raw.get(..raw.len().saturating_sub(after)).map_or(0, last) };
    Ok(Part { start, raw, room, ended })
}

impl Source {
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::File(file) => file.size(),
            Self::Blob(_, bytes) => bytes.len() as u64,
        }
    }

    /// At most `most` bytes from `offset`.
    pub(super) fn read_at(&self, offset: u64, most: usize) -> Result<Vec<u8>, ToolError> {
        match self {
            Self::File(file) => file.read_at(offset, usize::try_from(self.size().saturating_sub(offset)).map_or(most, |left| left.min(most))),
            Self::Blob(_, bytes) => {
                let rest = usize::try_from(offset).ok().and_then(|start| bytes.get(start..)).unwrap_or_default();
                Ok(rest.get(..most).unwrap_or(rest).to_vec())
            }
        }
    }

    pub(super) fn count_lines(&self, cancel: &CancellationToken) -> Result<u64, ToolError> {
        let (mut count, mut last) = (0, b'\n');
        self.chunks(cancel, |_, chunk| {
            count += newlines(chunk);
            last = *chunk.last().unwrap_or(&last);
            true
        })?;
        Ok(count + u64::from(last != b'\n'))
    }

    /// Where the line after `lines` lines begins; `None` where there is none.
    pub(super) fn line_start(&self, lines: u64, cancel: &CancellationToken) -> Result<Option<u64>, ToolError> {
        if lines == 0 {
            return Ok(Some(0));
        }
        let (mut left, mut found) = (lines, None);
        self.chunks(cancel, |at, chunk| {
            match end_of_line(chunk, left) {
                Some(end) => found = Some(at + end as u64),
                None => left -= newlines(chunk),
            }
            found.is_none()
        })?;
        Ok(found.filter(|at| *at < self.size()))
    }

    /// The SHA-256 in hexadecimal, of a file that is not too large.
    pub(super) fn digest(&self, cancel: &CancellationToken) -> Result<Option<String>, ToolError> {
        if self.size() > MOST_SCANNED {
            return Ok(None);
        }
        let mut hasher = Sha256::new();
        self.chunks(cancel, |_, chunk| {
            hasher.update(chunk);
            true
        })?;
        Ok(Some(hex(&hasher.finalize())))
    }

    /// Reads on from the start until `each` says stop, or too much was read.
    fn chunks(&self, cancel: &CancellationToken, mut each: impl FnMut(u64, &[u8]) -> bool) -> Result<(), ToolError> {
        let mut at = 0;
        loop {
            live(cancel)?;
            if at > MOST_SCANNED {
                return Err(ToolError::new(ToolErrorKind::TooLarge, "that part of the file is too far in; search it instead"));
            }
            let chunk = self.read_at(at, CHUNK)?;
            if chunk.is_empty() || !each(at, &chunk) {
                return Ok(());
            }
            at += chunk.len() as u64;
        }
    }
}

/// The SHA-256 of these bytes in hexadecimal.
pub(super) fn hex_digest(content: &[u8]) -> String {
    hex(&digest(content))
}

pub(super) fn digest(content: &[u8]) -> [u8; 32] {
    Sha256::digest(content).into()
}

/// In hexadecimal.
pub(super) fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The end of the `lines`-th line, where the text has as many.
fn end_of_line(text: &[u8], lines: u64) -> Option<usize> {
    let nth = usize::try_from(lines).ok()?.checked_sub(1);
    nth.map_or(Some(0), |nth| text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(nth).map(|(at, _)| at + 1))
}

/// Where each line ends.
fn line_ends(text: &[u8]) -> Vec<usize> {
    text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect()
}
