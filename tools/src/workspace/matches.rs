//! Matching lines with the lines around them, as the searcher reports them.

use std::io;

use grep_searcher::{Searcher, Sink, SinkContext, SinkContextKind, SinkMatch};
use schemars::JsonSchema;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::path::RepoPath;

/// A longer line is shown from its start.
const LONGEST_LINE: usize = 1000;

// One matching line.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Match {
    path: String,
    line: u64,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Vec<String>>,
}

impl Match {
    /// Its bytes in the reply, about.
    pub(super) fn weight(&self) -> usize {
        let around = [&self.before, &self.after].into_iter().flatten().flatten();
        self.path.len() + self.text.len() + 40 + around.map(|line| line.len() + 3).sum::<usize>()
    }
}

/// Collects the matches of one file after the first `skip`, at most `most` of them.
pub(super) struct Collector<'a> {
    path: &'a RepoPath,
    skip: usize,
    most: usize,
    cancel: &'a CancellationToken,
    matches: Vec<Match>,
    before: Vec<String>,
    more: bool,
}

impl<'a> Collector<'a> {
    pub(super) fn new(path: &'a RepoPath, skip: usize, most: usize, cancel: &'a CancellationToken) -> Self {
        Self { path, skip, most, cancel, matches: Vec::new(), before: Vec::new(), more: false }
    }

    /// The matches, and whether there are more in the file.
    pub(super) fn finish(self) -> (Vec<Match>, bool) {
        (self.matches, self.more)
    }
}

impl Sink for Collector<'_> {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, found: &SinkMatch<'_>) -> Result<bool, io::Error> {
        let before = std::mem::take(&mut self.before);
        if self.skip > 0 {
            self.skip -= 1;
            return Ok(!self.cancel.is_cancelled());
        }
        if self.matches.len() == self.most {
            self.more = true;
            return Ok(false);
        }
        self.matches.push(Match {
            path: self.path.as_str().to_owned(),
            line: found.line_number().unwrap_or(0),
            text: line(found.bytes()),
            before: Some(before).filter(|lines| !lines.is_empty()),
            after: None,
        });
        Ok(!self.cancel.is_cancelled())
    }

    fn context(&mut self, _: &Searcher, context: &SinkContext<'_>) -> Result<bool, io::Error> {
        match context.kind() {
            SinkContextKind::Before => self.before.push(line(context.bytes())),
            SinkContextKind::After if self.skip == 0 => {
                if let Some(last) = self.matches.last_mut() {
                    last.after.get_or_insert_default().push(line(context.bytes()));
                }
            }
            _ => {}
        }
        Ok(true)
    }
}

/// A line without its end, from its start where it is long.
pub(super) fn line(bytes: &[u8]) -> String {
    let near = bytes.get(..LONGEST_LINE * 4).unwrap_or(bytes);
    let text = String::from_utf8_lossy(near);
    let text = text.trim_end_matches(['\n', '\r']);
    match text.char_indices().nth(LONGEST_LINE) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
