//! `workspace_git_blame`: which commit last changed each line of a file.

use git2::{Oid, Repository};
use opsgate_audit::{Receipt, Written};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::blame::{self, Origin};
use super::commit::{LONGEST_LINE, clipped, date};
use super::matches::line;
use super::page::{Budget, Page, Paging};
use super::path::{PathArg, RepoPath, quoted};
use super::redacted;
use super::repository::{self, RevArg, blocking, failed};
use crate::error::{ToolError, ToolErrorKind};
use crate::scope::{OutputFilter, Scopes};
use crate::tool::{CallContext, Card, ReadTool};

/// As many lines as one call traces.
const MOST_LINES: usize = 1000;
const LARGEST: usize = 4 << 20;

pub(super) struct GitBlame;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = crate::lean::lean)]
pub(super) struct Args {
    path: PathArg,
    rev: Option<RevArg>,
    start_line: Option<usize>,
    lines: Option<usize>,
    cursor: Option<String>,
}

pub(super) struct Target {
    repo: Repository,
    path: RepoPath,
    found: Result<(Oid, Oid), ToolError>,
    args: Args,
    cancel: CancellationToken,
}

#[derive(Serialize, JsonSchema)]
#[schemars(transform = crate::lean::lean)]
pub(super) struct Output {
    groups: Vec<Group>,
    #[serde(flatten)]
    page: Page,
}

#[derive(Serialize, JsonSchema)]
struct Group {
    commit: String,
    author: String,
    date: String,
    subject: String,
    start_line: usize,
    lines: Vec<String>,
    // Older history was not searched.
    #[serde(skip_serializing_if = "Option::is_none")]
    boundary: Option<bool>,
}

impl ReadTool for GitBlame {
    const CARD: Card = super::card("workspace_git_blame", "Git blame", "Which commit last changed each line of a file.", 0.1);
    type Args = Args;
    type Target = Target;
    type Output = Output;

    async fn resolve(&self, args: Args, cx: &CallContext) -> Result<(Target, Scopes), ToolError> {
        let (workspace, cancel) = (cx.workspace()?, cx.cancel.clone());
        blocking(move || {
            if args.start_line == Some(0) || args.lines == Some(0) {
                return Err(ToolError::invalid("`start_line` and `lines` count from 1"));
            }
            let repo = repository::open(&workspace)?;
            let (path, rev) = (args.path.parse()?, repository::rev_or_head(&repo, args.rev.as_ref())?);
            let commit = repository::commit(&repo, &rev);
            let scopes = repository::file_scope(repository::ref_scope(workspace.scope()?, &repo, &rev), commit.as_ref().ok(), &path);
            let found = commit.and_then(|commit| {
                let tree = commit.tree().map_err(failed)?;
                let entry = tree.get_path(path.as_str().as_ref()).ok().filter(|entry| entry.kind() == Some(git2::ObjectType::Blob));
                let entry = entry.ok_or_else(|| ToolError::not_found(format!("no file {} is in that commit", quoted(path.as_str()))))?;
                Ok((commit.id(), entry.id()))
            });
            Ok((Target { repo, path, found, args, cancel }, scopes))
        })
        .await
    }

    async fn read(&self, target: Target, filter: &OutputFilter, _receipt: Receipt<Written>) -> Result<Output, ToolError> {
        let filter = filter.clone();
        blocking(move || annotate(&target, &filter)).await
    }
}

fn annotate(target: &Target, filter: &OutputFilter) -> Result<Output, ToolError> {
    let (repo, args) = (&target.repo, &target.args);
    let (commit, blob) = target.found.clone()?;
    let first = args.start_line.unwrap_or(1);
    let range = [first as u64, args.lines.unwrap_or(0) as u64, 0, 0];
    let paging = Paging::open(&[&"git_blame", &commit, &blob, &target.path.as_str(), &range], args.cursor.as_deref())?;
    let (size, _) = repo.odb().and_then(|odb| odb.read_header(blob)).map_err(failed)?;
    if size > LARGEST {
        return Err(ToolError::new(ToolErrorKind::TooLarge, format!("the file has {size} bytes; at most {LARGEST} are blamed")));
    }
    let content = repo.find_blob(blob).map_err(failed)?;
    if content.is_binary() {
        return Err(ToolError::invalid(format!("{} is binary and has no lines", quoted(target.path.as_str()))));
    }
    let whole = redacted::whole(content.content().to_vec(), filter, &target.cancel)?;
    let lines: Vec<&str> = whole.text.split_inclusive('\n').collect();
    let from = if args.cursor.is_some() { usize::try_from(paging.from().at).unwrap_or(usize::MAX) } else { first };
    let end = args.lines.map_or(lines.len(), |count| first.saturating_add(count - 1).min(lines.len()));
    if from > lines.len() && !lines.is_empty() {
        return Err(ToolError::invalid(format!("the file has {} lines", lines.len())));
    }
    let last = end.min(from.saturating_add(MOST_LINES - 1));
    let origins = blame::trace(repo, commit, target.path.as_str(), from..=last, filter, &target.cancel)?;
    let mut budget = Budget::new(filter.output_bytes());
    let mut groups: Vec<Group> = Vec::new();
    let mut current: Option<&Origin> = None;
    let mut next = (last < end).then_some(last + 1);
    for (number, origin) in (from..=last).zip(&origins) {
        let text = lines.get(number - 1).map(|text| line(text.as_bytes())).unwrap_or_default();
        let joins = current == Some(origin);
        if !budget.take(text.len() + 4 + if joins { 0 } else { 160 }) {
            next = Some(number);
            break;
        }
        match groups.last_mut().filter(|_| joins) {
            Some(group) => group.lines.push(text),
            None => groups.push(group(repo, origin, number, text, filter)?),
        }
        current = Some(origin);
    }
    // The filter was asked about other paths, for a rename; the answer is about this one, and none of it is held back.
    Ok(Output { groups, page: Page::counting(next.map(|line| paging.cursor_to(line as u64, 0)), 0) })
}

fn group(repo: &Repository, origin: &Origin, start_line: usize, text: String, filter: &OutputFilter) -> Result<Group, ToolError> {
    let commit = repo.find_commit(origin.commit).map_err(failed)?;
    let author = commit.author();
    Ok(Group {
        commit: origin.commit.to_string(),
        author: redacted::short(author.name_bytes(), LONGEST_LINE, filter),
        date: date(author.when()),
        subject: clipped(redacted::subject_and_body(&commit, filter).0.as_bytes(), LONGEST_LINE),
        start_line,
        lines: vec![text],
        boundary: origin.boundary.then_some(true),
    })
}
