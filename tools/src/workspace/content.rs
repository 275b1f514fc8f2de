//! A file's content, from an open handle or from git, read in bounded parts.

use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::open::OpenFile;
use super::page::Budget;
use super::repository::live;
use crate::error::{ToolError, ToolErrorKind};

/// As much of a file as is read to find lines or a digest.
const MOST_SCANNED: u64 = 256 << 20;
const CHUNK: usize = 64 << 10;

/// Where content comes from.
pub(super) enum Source {
    File(OpenFile),
    Blob(git2::Oid, Vec<u8>),
}

/// A page of text.
pub(super) struct Window {
    pub(super) text: String,
    pub(super) encoding: &'static str,
    /// How many bytes of the file it is.
    pub(super) bytes: u64,
    pub(super) newlines: u64,
    /// Whether more would have been wanted.
    pub(super) cut: bool,
}

/// The text from `offset`, at most `lines` lines of it and as much as `bytes` takes.
pub(super) fn window(source: &Source, offset: u64, lines: Option<u64>, bytes: usize) -> Result<Window, ToolError> {
    // One byte more than a page can hold (a character at the least) tells whether there is more.
    let mut raw = source.read_at(offset, bytes.max(4).saturating_add(1))?;
    if let Some(end) = lines.and_then(|lines| end_of_line(&raw, lines)) {
        raw.truncate(end);
    }
    let whole = raw.len();
    let keep = Budget::new(bytes).cut(&raw);
    raw.truncate(keep);
    if std::str::from_utf8(&raw).is_err() {
        // Every byte that is none of UTF-8 becomes three.
        let keep = Budget::new((bytes / 3).max(1)).cut(&raw);
        raw.truncate(keep);
    }
    let (taken, newlines, cut) = (raw.len() as u64, newlines(&raw), raw.len() < whole);
    let (text, encoding) = match String::from_utf8(raw) {
        Ok(text) => (text, "utf-8"),
        Err(error) => (String::from_utf8_lossy(error.as_bytes()).into_owned(), "utf-8-lossy"),
    };
    Ok(Window { text, encoding, bytes: taken, newlines, cut })
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
        Ok(Some(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
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

/// The end of the `lines`-th line, where the text has as many.
fn end_of_line(text: &[u8], lines: u64) -> Option<usize> {
    let nth = usize::try_from(lines).ok()?.checked_sub(1);
    nth.map_or(Some(0), |nth| text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(nth).map(|(at, _)| at + 1))
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}
