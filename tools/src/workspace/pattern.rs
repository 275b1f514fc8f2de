//! What is searched for, and which files it is searched for in.

use std::io;

use globset::{GlobBuilder, GlobMatcher};
use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder, Sink, SinkMatch};
use tokio_util::sync::CancellationToken;

use super::matches::Collector;
use super::path::quoted;
use super::redacted::{self, outside_marks};
use crate::error::ToolError;
use crate::scope::OutputFilter;

/// A compiled pattern may take this much memory.
const LARGEST: usize = 1 << 20;
/// A pattern without any of these is the text it finds.
const SYNTAX: [char; 14] = ['\\', '.', '+', '*', '?', '(', ')', '|', '[', ']', '{', '}', '^', '$'];

/// A regular expression of one line.
pub(super) struct Pattern {
    matcher: RegexMatcher,
    is_text: bool,
}

impl Pattern {
    pub(super) fn new(pattern: &str, literal: bool, ignore_case: bool) -> Result<Self, ToolError> {
        if pattern.is_empty() || pattern.len() > 1000 {
            return Err(ToolError::invalid("`pattern` has from 1 to 1000 bytes"));
        }
        let built = RegexMatcherBuilder::new()
            .fixed_strings(literal)
            .case_insensitive(ignore_case)
            .line_terminator(Some(b'\n'))
            .size_limit(LARGEST)
            .dfa_size_limit(LARGEST)
            .nest_limit(100)
            .build(pattern);
        let matcher = built.map_err(|error| {
            ToolError::invalid(format!(
                "the pattern {} is no regular expression of one line, or too large; `literal: true` takes it as it stands",
                quoted(pattern)
            ))
            .because(error)
        })?;
        Ok(Self { matcher, is_text: literal || !pattern.contains(SYNTAX) })
    }

    /// Finds the pattern in a file as it may be shown; nothing in a binary one.
    ///
    /// Plain text is looked for in `raw` first, since most files do not have it and need not be redacted then. That is
    /// sound for plain text alone: outside of its marks a redacted text is the raw one, so what is found there was found
    /// before too. An expression such as `REDACTED|guess` would find the mark only where the guess is right.
    // INVARIANT: the answer depends on the redacted text alone (tests: a_search_answers_nothing_about_a_secret,
    // a_mark_is_no_witness_of_a_guess).
    pub(super) fn search(
        &self,
        raw: Vec<u8>,
        searcher: &mut Searcher,
        found: &mut Collector<'_>,
        filter: &OutputFilter,
        cancel: &CancellationToken,
    ) -> Result<(), ToolError> {
        if raw.contains(&0) || self.is_text && !self.is_in(&raw) {
            return Ok(());
        }
        let whole = redacted::whole(raw, filter, cancel)?;
        if self.is_text && outside_marks(&whole.text).is_some_and(|visible| !self.is_in(visible.as_bytes())) {
            return Ok(());
        }
        let text = whole.text.strip_prefix('\u{feff}').unwrap_or(&whole.text);
        searcher.search_slice(&self.matcher, text.as_bytes(), found).map_err(ToolError::internal)
    }

    /// What searching so many bytes takes, in bytes of plain text: an expression has every file redacted.
    pub(super) fn cost(&self, bytes: u64) -> u64 {
        if self.is_text { bytes } else { bytes.saturating_mul(4) }
    }

    fn is_in(&self, text: &[u8]) -> bool {
        let mut any = Any(false);
        let searched = searcher(0).search_slice(&self.matcher, text, &mut any);
        searched.is_ok() && any.0
    }
}

/// A searcher that shows as many lines around a match; what is binary was told apart before.
pub(super) fn searcher(context: usize) -> Searcher {
    let mut builder = SearcherBuilder::new();
    builder.binary_detection(BinaryDetection::none()).bom_sniffing(false);
    builder.line_number(true).before_context(context).after_context(context).build()
}

/// Whether there is a match at all.
struct Any(bool);

impl Sink for Any {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, _: &SinkMatch<'_>) -> Result<bool, io::Error> {
        self.0 = true;
        Ok(false)
    }
}

/// A glob with no `/` matches names anywhere.
pub(super) fn glob(glob: &str) -> Result<GlobMatcher, ToolError> {
    let anywhere = if glob.contains('/') { glob.to_owned() } else { format!("**/{glob}") };
    let built = GlobBuilder::new(anywhere.trim_start_matches("./")).literal_separator(true).build();
    built.map(|glob| glob.compile_matcher()).map_err(|error| ToolError::invalid(format!("the glob {} does not parse", quoted(glob))).because(error))
}
