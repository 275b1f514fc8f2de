//! `workspace_search_code`: lines of the work tree that match a regular expression, by ripgrep's own crates.

use std::sync::Arc;

use globset::{GlobBuilder, GlobMatcher};
use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder};
use opsgate_audit::{Receipt, Written};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::matches::{Collector, Match};
use super::open::{Found, OpenFile};
use super::page::{self, Budget, Page, Paging};
use super::path::{PathArg, RepoPath, or_root, quoted};
use super::repository::{blocking, live};
use super::root::Workspace;
use super::walk::{Kind, Walk};
use crate::error::ToolError;
use crate::scope::{OutputFilter, ScopeKind, Scopes};
use crate::tool::{CallContext, Card, ReadTool};

/// A larger file is no source code.
const LARGEST_FILE: u64 = 16 << 20;
/// As much as one call searches before it answers with a cursor.
const MOST_SEARCHED: u64 = 512 << 20;
/// A compiled pattern may take this much memory.
const LARGEST_PATTERN: usize = 1 << 20;

pub(super) struct SearchCode;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = super::lean::lean)]
pub(super) struct Args {
    /// Rust regex
    pattern: String,
    literal: Option<bool>,
    ignore_case: Option<bool>,
    path: Option<PathArg>,
    /// like *.rs
    glob: Option<String>,
    /// lines around, 0-10
    context: Option<usize>,
    limit: Option<u32>,
    cursor: Option<String>,
}

pub(super) struct Target {
    workspace: Arc<Workspace>,
    path: RepoPath,
    found: Result<Found, ToolError>,
    matcher: RegexMatcher,
    glob: Option<GlobMatcher>,
    args: Args,
    cancel: CancellationToken,
}

#[derive(Serialize, JsonSchema)]
#[schemars(transform = super::lean::lean)]
pub(super) struct Output {
    matches: Vec<Match>,
    #[serde(flatten)]
    page: Page,
}

impl ReadTool for SearchCode {
    const CARD: Card = super::card("workspace_search_code", "Search the code", "Find lines by regex in the work tree, minding .gitignore.", 0.1);
    type Args = Args;
    type Target = Target;
    type Output = Output;

    async fn resolve(&self, args: Args, cx: &CallContext) -> Result<(Target, Scopes), ToolError> {
        let (workspace, cancel) = (cx.workspace()?, cx.cancel.clone());
        blocking(move || {
            let (matcher, glob) = (matcher(&args)?, args.glob.as_deref().map(glob).transpose()?);
            if args.context.is_some_and(|lines| lines > 10) {
                return Err(ToolError::invalid("`context` is from 0 to 10"));
            }
            let located = workspace.locate(or_root(args.path.as_ref())?);
            // What is not there may have been either.
            let kind = if matches!(located.found, Ok(Found::Folder(_))) { ScopeKind::Tree } else { ScopeKind::Path };
            let scopes = located.scoped(workspace.scope(), kind);
            Ok((Target { workspace, path: located.real, found: located.found, matcher, glob, args, cancel }, scopes))
        })
        .await
    }

    async fn read(&self, target: Target, filter: &OutputFilter, _receipt: Receipt<Written>) -> Result<Output, ToolError> {
        let filter = filter.clone();
        blocking(move || search(target, &filter)).await
    }
}

fn matcher(args: &Args) -> Result<RegexMatcher, ToolError> {
    if args.pattern.is_empty() || args.pattern.len() > 1000 {
        return Err(ToolError::invalid("`pattern` has from 1 to 1000 bytes"));
    }
    RegexMatcherBuilder::new()
        .fixed_strings(args.literal.unwrap_or(false))
        .case_insensitive(args.ignore_case.unwrap_or(false))
        .line_terminator(Some(b'\n'))
        .size_limit(LARGEST_PATTERN)
        .dfa_size_limit(LARGEST_PATTERN)
        .nest_limit(100)
        .build(&args.pattern)
        .map_err(|error| {
            ToolError::invalid(format!(
                "the pattern {} is no regular expression of one line, or too large; `literal: true` takes it as it stands",
                quoted(&args.pattern)
            ))
            .because(error)
        })
}

/// A glob with no `/` matches names anywhere.
fn glob(glob: &str) -> Result<GlobMatcher, ToolError> {
    let anywhere = if glob.contains('/') { glob.to_owned() } else { format!("**/{glob}") };
    let built = GlobBuilder::new(anywhere.trim_start_matches("./")).literal_separator(true).build();
    built.map(|glob| glob.compile_matcher()).map_err(|error| ToolError::invalid(format!("the glob {} does not parse", quoted(glob))).because(error))
}

/// A search in progress: what it has found and how far it may go on.
struct Search<'a> {
    matcher: &'a RegexMatcher,
    searcher: Searcher,
    cancel: &'a CancellationToken,
    paging: Paging,
    budget: Budget,
    limit: usize,
    searched: u64,
    matches: Vec<Match>,
}

fn search(target: Target, filter: &OutputFilter) -> Result<Output, ToolError> {
    let args = &target.args;
    let (literal, ignore_case) = (args.literal.unwrap_or(false), args.ignore_case.unwrap_or(false));
    let context = args.context.unwrap_or(0);
    let shape = [u64::from(literal), u64::from(ignore_case), context as u64, 0];
    let question: [&dyn page::Keyed; 5] = [&"search_code", &target.path.as_str(), &args.pattern.as_str(), &args.glob.as_deref(), &shape];
    let mut search = Search {
        matcher: &target.matcher,
        searcher: SearcherBuilder::new()
            .line_number(true)
            .binary_detection(BinaryDetection::quit(0))
            .before_context(context)
            .after_context(context)
            .build(),
        cancel: &target.cancel,
        paging: Paging::open(&question, args.cursor.as_deref())?,
        budget: Budget::new(filter.output_bytes()),
        limit: page::limit(args.limit, 50, 500),
        searched: 0,
        matches: Vec::new(),
    };
    let next = match target.found? {
        Found::File(file) => search.file(&target.path, &file)?,
        Found::Folder(dir) => {
            let mut walk = Walk::new(&target.workspace, &dir, &target.path, filter, &target.cancel)?;
            let mut next = None;
            while let (None, Some(entry)) = (&next, walk.next()?) {
                let wanted = entry.kind == Kind::File && target.glob.as_ref().is_none_or(|glob| glob.is_match(entry.path.as_str()));
                if !wanted || search.paging.skips(&entry.path)? {
                    continue;
                }
                match entry.open() {
                    Some(file) => next = search.file(&entry.path, &file)?,
                    None => search.paging.pass(&entry.path),
                }
            }
            next
        }
    };
    search.paging.reached()?;
    Ok(Output { matches: search.matches, page: Page::new(next, filter) })
}

impl Search<'_> {
    /// Searches one file; a cursor where the reply is full.
    fn file(&mut self, path: &RepoPath, file: &OpenFile) -> Result<Option<String>, ToolError> {
        live(self.cancel)?;
        let content = (path, file.stamp());
        let before = self.paging.resume(&content)?;
        if self.searched > MOST_SEARCHED || self.matches.len() == self.limit {
            return Ok(Some(self.paging.cursor()));
        }
        if file.size() <= LARGEST_FILE {
            self.searched += file.size();
            let mut found = Collector::new(path, before, self.limit - self.matches.len(), self.cancel);
            // A file that stops being readable is passed like a binary one.
            let _ = self.searcher.search_file(self.matcher, file.file(), &mut found);
            live(self.cancel)?;
            let (matches, more) = found.finish();
            let mut shown = before;
            let count = matches.len();
            for one in matches {
                if !self.budget.take(one.weight()) {
                    break;
                }
                self.matches.push(one);
                shown += 1;
            }
            if more || shown - before < count {
                return Ok(Some(if shown == 0 { self.paging.cursor() } else { self.paging.cursor_within(shown, &content) }));
            }
        }
        self.paging.pass(path);
        Ok(None)
    }
}
