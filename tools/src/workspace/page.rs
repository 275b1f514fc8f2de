//! Bounded replies: a byte budget, a cut at a line, and the cursor that goes on from there.

use std::hash::{DefaultHasher, Hash, Hasher};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::path::RepoPath;
use crate::error::ToolError;
use crate::scope::OutputFilter;

// What every bounded reply says about itself.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Page {
    #[serde(skip_serializing_if = "Option::is_none")]
    cut: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    /// withheld by policy
    #[serde(skip_serializing_if = "Option::is_none")]
    hidden: Option<u64>,
}

impl Page {
    pub(crate) fn new(next_cursor: Option<String>, filter: &OutputFilter) -> Self {
        Self::counting(next_cursor, filter.hidden())
    }

    /// For an answer whose filter was also asked about what was not in question.
    pub(crate) fn counting(next_cursor: Option<String>, hidden: u64) -> Self {
        Self { cut: next_cursor.is_some().then_some(true), next_cursor, hidden: Some(hidden).filter(|hidden| *hidden > 0) }
    }

    /// For an answer about one path: where nothing of it may be seen, it is told like a path that is not there.
    // INVARIANT: a path of which all is denied answers as an absent one (test: a_path_of_denied_files_alone_is_as_absent).
    pub(crate) fn about(path: &RepoPath, is_empty: bool, next_cursor: Option<String>, hidden: u64) -> Self {
        Self::counting(next_cursor, if is_empty && !path.is_root() { 0 } else { hidden })
    }
}

/// How many items a caller gets: its wish, within bounds.
pub(crate) fn limit(asked: Option<u32>, default: usize, most: usize) -> usize {
    asked.map_or(default, |asked| usize::try_from(asked).unwrap_or(most)).clamp(1, most)
}

/// What is left of the bytes a reply may carry.
#[derive(Debug)]
pub(crate) struct Budget {
    left: usize,
    untouched: bool,
}

impl Budget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self { left: bytes, untouched: true }
    }

    pub(crate) fn left(&self) -> usize {
        self.left
    }

    /// Takes an item that cannot be split. The first always fits, so that every page makes progress.
    pub(crate) fn take(&mut self, bytes: usize) -> bool {
        let fits = self.untouched || bytes <= self.left;
        if fits {
            self.left = self.left.saturating_sub(bytes);
            self.untouched = false;
        }
        fits
    }

    /// As [`Self::cut`], but only at the end of a line: nothing where not even one fits.
    pub(crate) fn cut_lines(&mut self, text: &[u8]) -> usize {
        self.untouched = false;
        self.cut(text)
    }

    /// The length of the longest start of `text` that fits: up to the end of a line, within a line only where the line
    /// alone is too long. The first page of nothing else takes at least one character.
    pub(crate) fn cut(&mut self, text: &[u8]) -> usize {
        let taken = if text.len() <= self.left { text.len() } else { cut_at(text, self.left, self.untouched) };
        self.left = self.left.saturating_sub(taken);
        self.untouched &= taken == 0;
        taken
    }
}

fn cut_at(text: &[u8], most: usize, must_move: bool) -> usize {
    let head = text.get(..most).unwrap_or(text);
    if let Some(end) = head.iter().rposition(|byte| *byte == b'\n') {
        return end + 1;
    }
    if !must_move {
        return 0;
    }
    let inside = |at: usize| text.get(at).is_some_and(|byte| byte & 0xC0 == 0x80);
    let back = (most.saturating_sub(3)..=most).rev().find(|at| *at > 0 && !inside(*at));
    back.or_else(|| (1..=4).find(|at| !inside(*at))).unwrap_or(1).min(text.len())
}

/// A place in an ordered answer: how many items came before, how much of the next one, and a digest of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) at: u64,
    pub(crate) within: u64,
    pub(crate) seen: u64,
}

/// Walks an ordered answer from where the cursor says, and makes the next cursor.
///
/// A cursor carries a digest of the question (tool, arguments, object ids) and of every item it has passed, so that
/// one from another call, or from before a change, is told and never skips or repeats in silence.
// INVARIANT: the pages of an unchanged answer, put together, are that answer, once (test: pages_cover_everything_once).
#[derive(Debug)]
pub(crate) struct Paging {
    key: u64,
    from: Mark,
    at: u64,
    seen: DefaultHasher,
}

impl Paging {
    /// `question` is everything but the cursor and the limit.
    pub(crate) fn open(question: &[&dyn Keyed], cursor: Option<&str>) -> Result<Self, ToolError> {
        let mut hasher = Sha256::new();
        for part in question {
            let bytes = part.key();
            hasher.update((bytes.len() as u64).to_be_bytes());
            hasher.update(&bytes);
        }
        let key = hasher.finalize().first_chunk::<8>().map_or(0, |head| u64::from_be_bytes(*head));
        let from = cursor.map_or(Ok(Mark::default()), |text| decode(text, key))?;
        Ok(Self { key, from, at: 0, seen: DefaultHasher::new() })
    }

    pub(crate) fn from(&self) -> Mark {
        self.from
    }

    /// Whether an item lies before this page; if so it is passed.
    pub(crate) fn skips(&mut self, item: &impl Hash) -> Result<bool, ToolError> {
        if self.at < self.from.at {
            self.pass(item);
            return Ok(true);
        }
        if self.at == self.from.at && self.from.within == 0 && self.from.at > 0 && self.digest(&()) != self.from.seen {
            return Err(stale());
        }
        Ok(false)
    }

    /// How much of the item at the page's start came before; `content` must be what it was.
    pub(crate) fn resume(&self, content: &impl Hash) -> Result<usize, ToolError> {
        if self.at != self.from.at || self.from.within == 0 {
            return Ok(0);
        }
        if self.digest(content) == self.from.seen { usize::try_from(self.from.within).map_err(|_| stale()) } else { Err(stale()) }
    }

    pub(crate) fn pass(&mut self, item: &impl Hash) {
        item.hash(&mut self.seen);
        self.at += 1;
    }

    /// Fails where the answer ended before the page began.
    pub(crate) fn reached(&self) -> Result<(), ToolError> {
        if self.at < self.from.at { Err(stale()) } else { Ok(()) }
    }

    /// The cursor to the item that comes next.
    pub(crate) fn cursor(&self) -> String {
        encode(self.key, Mark { at: self.at, within: 0, seen: self.digest(&()) })
    }

    /// The cursor to `within` the item that comes next.
    pub(crate) fn cursor_within(&self, within: usize, content: &impl Hash) -> String {
        encode(self.key, Mark { at: self.at, within: within as u64, seen: self.digest(content) })
    }

    /// A cursor whose place needs no digest, since the question already fixes the content.
    pub(crate) fn cursor_to(&self, at: u64, within: u64) -> String {
        self.cursor_at([at, within, 0])
    }

    /// As [`Self::cursor_to`], for a place of three numbers.
    pub(crate) fn cursor_at(&self, [at, within, seen]: [u64; 3]) -> String {
        encode(self.key, Mark { at, within, seen })
    }

    fn digest(&self, content: &impl Hash) -> u64 {
        let mut seen = self.seen.clone();
        content.hash(&mut seen);
        seen.finish()
    }
}

/// What a question is made of.
pub(crate) trait Keyed {
    fn key(&self) -> Vec<u8>;
}

impl Keyed for &str {
    fn key(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
}

impl Keyed for git2::Oid {
    fn key(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
}

impl Keyed for [u64; 4] {
    fn key(&self) -> Vec<u8> {
        self.iter().flat_map(|number| number.to_be_bytes()).collect()
    }
}

impl<T: Keyed> Keyed for Option<T> {
    fn key(&self) -> Vec<u8> {
        self.as_ref().map_or_else(Vec::new, |inner| [b"+".as_slice(), &inner.key()].concat())
    }
}

fn encode(key: u64, mark: Mark) -> String {
    let bytes: Vec<u8> = [key, mark.at, mark.within, mark.seen].iter().flat_map(|number| number.to_be_bytes()).collect();
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decode(text: &str, key: u64) -> Result<Mark, ToolError> {
    let invalid = || ToolError::invalid("the cursor is none of this tool's; use `next_cursor` as it came, or leave it out");
    let bytes: [u8; 32] = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok()).ok_or_else(invalid)?;
    let mut numbers = bytes.chunks_exact(8).filter_map(|chunk| chunk.first_chunk::<8>()).map(|chunk| u64::from_be_bytes(*chunk));
    let mut next = || numbers.next().ok_or_else(invalid);
    let (of, mark) = (next()?, Mark { at: next()?, within: next()?, seen: next()? });
    if of == key { Ok(mark) } else { Err(stale()) }
}

pub(crate) fn stale() -> ToolError {
    ToolError::invalid("the cursor is stale: the arguments or the content changed since; ask again without it")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cut_fits_ends_a_character_and_moves_on(text in "[a-c\né\u{10348}]{1,60}", bytes in 0_usize..70) {
            let taken = Budget::new(bytes).cut(text.as_bytes());
            prop_assert!(text.is_char_boundary(taken) && taken > 0 && taken <= bytes.max(4));
            let head = &text[..taken];
            prop_assert!(taken == text.len() || head.ends_with('\n') || !text.as_bytes()[..bytes].contains(&b'\n'), "{head:?}");
        }

        #[test]
        fn a_cursor_comes_back_as_it_was(at: u64, within: u64, seen: u64, key: u64, other: u64) {
            let mark = Mark { at, within, seen };
            prop_assert_eq!(decode(&encode(key, mark), key).ok(), Some(mark));
            prop_assert_eq!(decode(&encode(key, mark), other).is_ok(), key == other);
        }

        #[test]
        fn any_text_as_a_cursor_is_refused(text in ".{0,80}") {
            prop_assert!(decode(&text, 0x0123_4567_89ab_cdef).is_err());
        }
    }

    #[test]
    fn a_full_budget_takes_no_more() {
        let mut budget = Budget::new(10);
        assert!(budget.take(100) && !budget.take(1));
        assert_eq!(budget.cut(b"x"), 0);
    }
}
