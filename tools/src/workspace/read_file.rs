//! `workspace_read_file`: a file of the work tree or of a commit, by lines.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use opsgate_audit::{Receipt, Written};

use super::content::{Place, Source, hex_digest, window};
use super::language;
use super::open::Found;
use super::page::{Page, Paging, stale};
use super::path::{PathArg, RepoPath, quoted};
use super::repository::{self, RevArg, blocking};
use crate::error::{ToolError, ToolErrorKind};
use crate::scope::{OutputFilter, ScopeKind, Scopes};
use crate::tool::{CallContext, Card, ReadTool};

/// The lines of a larger file are not counted.
const MOST_COUNTED: u64 = 16 << 20;

pub(super) struct ReadFile;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = crate::lean::lean)]
pub(super) struct Args {
    path: PathArg,
    start_line: Option<u64>,
    lines: Option<u64>,
    /// commit, default: work tree
    rev: Option<RevArg>,
    cursor: Option<String>,
}

pub(super) struct Target {
    path: RepoPath,
    source: Result<Source, ToolError>,
    first: u64,
    lines: Option<u64>,
    cursor: Option<String>,
    cancel: CancellationToken,
}

#[derive(Serialize, JsonSchema)]
#[schemars(transform = crate::lean::lean)]
pub(super) struct Output {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<&'static str>,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_lines: Option<u64>,
    /// utf-8, utf-8-lossy, binary
    encoding: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_line: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    #[serde(flatten)]
    page: Page,
}

impl ReadTool for ReadFile {
    const CARD: Card = super::card("workspace_read_file", "Read a file", "Read a text file, by lines. A binary one gives its size.", 0.1);
    type Args = Args;
    type Target = Target;
    type Output = Output;

    async fn resolve(&self, args: Args, cx: &CallContext) -> Result<(Target, Scopes), ToolError> {
        let (workspace, cancel) = (cx.workspace()?, cx.cancel.clone());
        blocking(move || {
            let asked = args.path.parse()?;
            if args.start_line == Some(0) || args.lines == Some(0) {
                return Err(ToolError::invalid("`start_line` and `lines` count from 1"));
            }
            let mut scopes = workspace.scope()?;
            let (path, source) = if let Some(rev) = &args.rev {
                let repo = repository::open(&workspace)?;
                let rev = rev.parse()?;
                let commit = repository::commit(&repo, &rev);
                scopes = repository::file_scope(repository::ref_scope(scopes, &repo, &rev), commit.as_ref().ok(), &asked);
                let source = commit.and_then(|commit| blob(&repo, &commit, &asked));
                (asked, source)
            } else {
                let located = workspace.locate(asked);
                scopes = located.scoped(scopes, &[ScopeKind::Path]);
                let source = located.found.and_then(|found| match found {
                    Found::File(file) => Ok(Source::File(file)),
                    Found::Folder(_) => Err(folder(&located.asked)),
                });
                (located.real, source)
            };
            Ok((Target { path, source, first: args.start_line.unwrap_or(1), lines: args.lines, cursor: args.cursor, cancel }, scopes))
        })
        .await
    }

    async fn read(&self, target: Target, filter: &OutputFilter, _receipt: Receipt<Written>) -> Result<Output, ToolError> {
        let filter = filter.clone();
        blocking(move || show(target, &filter)).await
    }
}

fn blob(repo: &git2::Repository, commit: &git2::Commit<'_>, path: &RepoPath) -> Result<Source, ToolError> {
    let missing = || ToolError::not_found(format!("{} is not in that commit", quoted(path.as_str())));
    let entry = commit.tree().map_err(repository::failed)?.get_path(path.as_str().as_ref()).map_err(|_| missing())?;
    if entry.kind() != Some(git2::ObjectType::Blob) {
        return Err(folder(path));
    }
    let (size, _) = repo.odb().and_then(|odb| odb.read_header(entry.id())).map_err(repository::failed)?;
    if size as u64 > MOST_COUNTED {
        return Err(ToolError::new(
            ToolErrorKind::TooLarge,
            format!("{} has {size} bytes in that commit; at most {MOST_COUNTED} are read", quoted(path.as_str())),
        ));
    }
    let blob = repo.find_blob(entry.id()).map_err(repository::failed)?;
    Ok(Source::Blob(entry.id(), blob.content().to_vec()))
}

fn folder(path: &RepoPath) -> ToolError {
    ToolError::invalid(format!("{} is no file; `workspace_list_directory` shows folders", quoted(path.as_str())))
}

fn show(target: Target, filter: &OutputFilter) -> Result<Output, ToolError> {
    let source = target.source?;
    let (blob, stamp) = match &source {
        Source::File(file) => (None, Some(file.stamp())),
        Source::Blob(id, _) => (Some(*id), None),
    };
    let range = [target.first, target.lines.unwrap_or(0), 0, 0];
    let paging = Paging::open(&[&"read_file", &target.path.as_str(), &blob, &stamp, &range], target.cursor.as_deref())?;
    let size = source.size();
    let head = source.read_at(0, 8192)?;
    let mut output = Output {
        path: target.path.as_str().to_owned(),
        language: language::of(target.path.as_str(), &head),
        size,
        total_lines: None,
        encoding: "binary",
        sha256: None,
        start_line: None,
        content: None,
        page: Page::default(),
    };
    if head.contains(&0) {
        output.sha256 = source.digest(&target.cancel)?;
        return Ok(output);
    }
    if size <= MOST_COUNTED {
        output.total_lines = Some(source.count_lines(&target.cancel)?);
    }
    let from = match (&target.cursor, target.first) {
        (Some(_), _) => Place { at: paging.from().at, line: paging.from().within, within: paging.from().seen },
        (None, first) => {
            let at = source.line_start(first - 1, &target.cancel)?.ok_or_else(|| beyond(first))?;
            Place { at, line: first, within: 0 }
        }
    };
    if from.at > size {
        return Err(stale());
    }
    let left = target.lines.map(|lines| target.first.saturating_add(lines).saturating_sub(from.line));
    let window = window(&source, from, left, filter, &target.cancel)?;
    let next = window.next.map(|place| paging.cursor_at([place.at, place.line, place.within]));
    // All of it, and nothing of it redacted: then its digest tells no more than its text, and is what a write can hold on to.
    if window.encoding == "utf-8" && window.text.len() as u64 == size {
        output.sha256 = Some(hex_digest(window.text.as_bytes()));
    }
    output.encoding = window.encoding;
    output.start_line = Some(from.line);
    output.content = Some(window.text);
    output.page = Page::new(next, filter);
    Ok(output)
}

fn beyond(line: u64) -> ToolError {
    ToolError::invalid(format!("the file ends before line {line}"))
}
