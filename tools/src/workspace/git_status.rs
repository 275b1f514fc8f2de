//! `workspace_git_status`: the branch, and what is staged, changed and new.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use git2::{Branch, BranchType, Repository, Status, StatusOptions};
use opsgate_audit::{Receipt, Written};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::nested;
use super::open;
use super::page::{self, Budget, Page, Paging};
use super::path::{RepoPath, has_git_internal};
use super::repository::{self, blocking, failed, live};
use super::root::Workspace;
use super::walk;
use crate::error::ToolError;
use crate::scope::{OutputFilter, ScopeKind, Scopes};
use crate::tool::{CallContext, Card, ReadTool};

pub(super) struct GitStatus;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = crate::lean::lean)]
pub(super) struct Args {
    limit: Option<u32>,
    cursor: Option<String>,
}

pub(super) struct Target {
    workspace: Arc<Workspace>,
    repo: Repository,
    args: Args,
    cancel: CancellationToken,
}

#[derive(Serialize, JsonSchema)]
#[schemars(transform = crate::lean::lean)]
pub(super) struct Output {
    /// none: detached
    #[serde(skip_serializing_if = "Option::is_none")]
    branch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ahead: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    behind: Option<usize>,
    staged: Vec<String>,
    unstaged: Vec<String>,
    untracked: Vec<String>,
    #[serde(flatten)]
    page: Page,
}

impl ReadTool for GitStatus {
    const CARD: Card = super::card("workspace_git_status", "Git status", "Branch, upstream, and changed files as `M path`.", 0.1);
    type Args = Args;
    type Target = Target;
    type Output = Output;

    async fn resolve(&self, args: Args, cx: &CallContext) -> Result<(Target, Scopes), ToolError> {
        let (workspace, cancel) = (cx.workspace()?, cx.cancel.clone());
        blocking(move || {
            let repo = repository::open(&workspace)?;
            let scopes = workspace.scope()?.and(ScopeKind::Tree, ".");
            Ok((Target { workspace, repo, args, cancel }, scopes))
        })
        .await
    }

    async fn read(&self, target: Target, filter: &OutputFilter, _receipt: Receipt<Written>) -> Result<Output, ToolError> {
        let filter = filter.clone();
        blocking(move || status(&target, &filter)).await
    }
}

fn status(target: &Target, filter: &OutputFilter) -> Result<Output, ToolError> {
    let repo = &target.repo;
    let head = repo.head().ok().and_then(|head| head.target());
    let branch = repository::head_branch(repo);
    let mut output = Output {
        head: head.map(|id| id.to_string()),
        upstream: None,
        ahead: None,
        behind: None,
        staged: Vec::new(),
        unstaged: Vec::new(),
        untracked: Vec::new(),
        branch,
        page: Page::default(),
    };
    let tracked = output.branch.as_deref().and_then(|name| repo.find_branch(name, BranchType::Local).ok()).and_then(|branch| branch.upstream().ok());
    if let (Some(upstream), Some(head)) = (tracked, head) {
        distance(repo, &upstream, head, &mut output);
    }
    let mut paging = Paging::open(&[&"git_status"], target.args.cursor.as_deref())?;
    let (mut budget, mut left) = (Budget::new(filter.output_bytes()), page::limit(target.args.limit, 200, 1000));
    let mut next = None;
    walk::rules_are_files(&target.workspace, &target.cancel)?;
    for entry in entries(repo)? {
        live(&target.cancel)?;
        if !is_shown(target, filter, &entry) {
            continue;
        }
        let Entry { path, status, .. } = entry;
        let item = (&path, status.bits());
        if paging.skips(&item)? {
            continue;
        }
        if left == 0 || !budget.take(2 * path.len() + 12) {
            next = Some(paging.cursor());
            break;
        }
        left -= 1;
        paging.pass(&item);
        if status.contains(Status::WT_NEW) {
            output.untracked.push(path.clone());
        }
        output.staged.extend(letter(status, STAGED).map(|letter| format!("{letter} {path}")));
        output.unstaged.extend(letter(status, UNSTAGED).map(|letter| format!("{letter} {path}")));
    }
    paging.reached()?;
    output.page = Page::new(next, filter);
    Ok(output)
}

const STAGED: &[(Status, char)] = &[
    (Status::INDEX_NEW, 'A'),
    (Status::INDEX_MODIFIED, 'M'),
    (Status::INDEX_DELETED, 'D'),
    (Status::INDEX_RENAMED, 'R'),
    (Status::INDEX_TYPECHANGE, 'T'),
];
const UNSTAGED: &[(Status, char)] =
    &[(Status::CONFLICTED, 'U'), (Status::WT_MODIFIED, 'M'), (Status::WT_DELETED, 'D'), (Status::WT_RENAMED, 'R'), (Status::WT_TYPECHANGE, 'T')];

fn letter(status: Status, table: &[(Status, char)]) -> Option<char> {
    table.iter().find(|(bit, _)| status.contains(*bit)).map(|(_, letter)| *letter)
}

fn distance(repo: &Repository, upstream: &Branch<'_>, head: git2::Oid, output: &mut Output) {
    output.upstream = upstream.name_bytes().ok().map(|name| String::from_utf8_lossy(name).into_owned());
    let there = upstream.get().target();
    if let Some((ahead, behind)) = there.and_then(|there| repo.graph_ahead_behind(head, there).ok()) {
        (output.ahead, output.behind) = (Some(ahead), Some(behind));
    }
}

/// One entry, with its path's own bytes.
struct Entry {
    path: String,
    bytes: Vec<u8>,
    status: Status,
}

fn entries(repo: &Repository) -> Result<Vec<Entry>, ToolError> {
    let mut options = StatusOptions::new();
    options.include_untracked(true).include_ignored(false).exclude_submodules(true).recurse_untracked_dirs(false).update_index(false);
    let statuses = repo.statuses(Some(&mut options)).map_err(failed)?;
    let entry = |entry: git2::StatusEntry<'_>| Entry {
        path: String::from_utf8_lossy(entry.path_bytes()).into_owned(),
        bytes: entry.path_bytes().to_vec(),
        status: entry.status(),
    };
    let mut entries: Vec<Entry> = statuses.iter().map(entry).collect();
    entries.sort_by(|a, b| a.bytes.cmp(&b.bytes));
    Ok(entries)
}

/// Whether an entry may be shown: not denied, and, where it is known from the work tree alone, really there.
fn is_shown(target: &Target, filter: &OutputFilter, entry: &Entry) -> bool {
    if has_git_internal(&entry.path) {
        return false;
    }
    let (is_folder, path) = entry.path.strip_suffix('/').map_or((false, entry.path.as_str()), |path| (true, path));
    let workspace = &target.workspace;
    let shown = if is_folder { nested::shows_tree(workspace, path, filter) } else { nested::shows_file(workspace, path, filter) };
    shown && (!entry.status.contains(Status::WT_NEW) || is_there(workspace, path, &entry.bytes))
}

/// libgit2 walks by path and might have been led through a link that was swapped in: a new name is believed only when
/// the root's handle has it too.
fn is_there(workspace: &Workspace, path: &str, bytes: &[u8]) -> bool {
    let bytes = bytes.strip_suffix(b"/").unwrap_or(bytes);
    let name = bytes.rsplit(|byte| *byte == b'/').next().unwrap_or(bytes);
    let parent = RepoPath::of_parts(path.rsplit_once('/').map(|(parent, _)| parent).into_iter());
    open::is_there(workspace.dir(), &parent, OsStr::from_bytes(name))
}
