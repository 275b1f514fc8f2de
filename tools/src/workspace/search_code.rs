//! `workspace_search_code`: lines of the work tree that match a regular expression, by ripgrep's own crates.

use std::sync::Arc;

use globset::GlobMatcher;
use grep_searcher::Searcher;
use opsgate_audit::{Receipt, Written};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::matches::{Collector, Match};
use super::open::{Found, OpenFile};
use super::page::{self, Budget, Page, Paging};
use super::path::{PathArg, RepoPath, or_root, quoted};
use super::pattern::{self, Pattern};
use super::repository::{blocking, live};
use super::root::Workspace;
use super::walk::{Kind, Walk};
use crate::error::{ToolError, ToolErrorKind};
use crate::scope::{OutputFilter, ScopeKind, Scopes};
use crate::tool::{CallContext, Card, ReadTool};

/// A larger file is no source code.
const LARGEST_FILE: u64 = 16 << 20;
/// As much as one call searches before it answers with a cursor.
const MOST_SEARCHED: u64 = 512 << 20;
/// As many of the files that were too large are named.
const MOST_NAMED: usize = 5;

pub(super) struct SearchCode;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = crate::lean::lean)]
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
    pattern: Pattern,
    glob: Option<GlobMatcher>,
    args: Args,
    cancel: CancellationToken,
}

#[derive(Serialize, JsonSchema)]
#[schemars(transform = crate::lean::lean)]
pub(super) struct Output {
    matches: Vec<Match>,
    /// too large
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped_files: Option<Vec<String>>,
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
            let (literal, ignore_case) = (args.literal.unwrap_or(false), args.ignore_case.unwrap_or(false));
            let pattern = Pattern::new(&args.pattern, literal, ignore_case)?;
            let glob = args.glob.as_deref().map(pattern::glob).transpose()?;
            if args.context.is_some_and(|lines| lines > 10) {
                return Err(ToolError::invalid("`context` is from 0 to 10"));
            }
            let located = workspace.locate(or_root(args.path.as_ref())?);
            let scopes = located.scoped(workspace.scope()?, &[ScopeKind::Path, ScopeKind::Tree]);
            Ok((Target { workspace, path: located.real, found: located.found, pattern, glob, args, cancel }, scopes))
        })
        .await
    }

    async fn read(&self, target: Target, filter: &OutputFilter, _receipt: Receipt<Written>) -> Result<Output, ToolError> {
        let filter = filter.clone();
        blocking(move || search(target, &filter)).await
    }
}

/// A search in progress: what it has found and how far it may go on.
struct Search<'a> {
    pattern: &'a Pattern,
    searcher: Searcher,
    filter: &'a OutputFilter,
    cancel: &'a CancellationToken,
    paging: Paging,
    budget: Budget,
    limit: usize,
    searched: u64,
    matches: Vec<Match>,
    skipped: u64,
    skipped_files: Vec<String>,
}

fn search(target: Target, filter: &OutputFilter) -> Result<Output, ToolError> {
    let args = &target.args;
    let (literal, ignore_case) = (args.literal.unwrap_or(false), args.ignore_case.unwrap_or(false));
    let context = args.context.unwrap_or(0);
    let shape = [u64::from(literal), u64::from(ignore_case), context as u64, 0];
    let question: [&dyn page::Keyed; 5] = [&"search_code", &target.path.as_str(), &args.pattern.as_str(), &args.glob.as_deref(), &shape];
    let mut search = Search {
        pattern: &target.pattern,
        searcher: pattern::searcher(context),
        filter,
        cancel: &target.cancel,
        paging: Paging::open(&question, args.cursor.as_deref())?,
        budget: Budget::new(filter.output_bytes()),
        limit: page::limit(args.limit, 50, 500),
        searched: 0,
        matches: Vec::new(),
        skipped: 0,
        skipped_files: Vec::new(),
    };
    let next = match target.found? {
        Found::File(file) if file.size() > LARGEST_FILE => {
            let (path, size) = (quoted(target.path.as_str()), file.size());
            let client = format!("{path} has {size} bytes; at most {LARGEST_FILE} are searched, `workspace_read_file` shows parts of it");
            return Err(ToolError::new(ToolErrorKind::TooLarge, client));
        }
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
    Ok(Output {
        matches: search.matches,
        skipped: Some(search.skipped).filter(|count| *count > 0),
        skipped_files: Some(search.skipped_files).filter(|names| !names.is_empty()),
        page: Page::new(next, filter),
    })
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
            self.searched += self.pattern.cost(file.size());
            let mut found = Collector::new(path, before, self.limit - self.matches.len(), self.cancel);
            // A file that stops being readable is passed like a binary one.
            if let Ok(raw) = file.read_at(0, usize::try_from(file.size()).unwrap_or(usize::MAX)) {
                self.pattern.search(raw, &mut self.searcher, &mut found, self.filter, self.cancel)?;
            }
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
        } else {
            self.skipped += 1;
            if self.skipped_files.len() < MOST_NAMED {
                self.skipped_files.push(path.as_str().to_owned());
            }
        }
        self.paging.pass(path);
        Ok(None)
    }
}
