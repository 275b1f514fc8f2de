//! `workspace_git_show`: one commit or tag with its diff against its first parent.

use std::sync::Arc;

use git2::{Oid, Repository};
use opsgate_audit::{Receipt, Written};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::change;
use super::commit::{self, CommitInfo};
use super::git_log::path_scope;
use super::page::{Page, Paging};
use super::patch::{self, FileDiff};
use super::path::{PathArg, RepoPath, or_root};
use super::redacted;
use super::repository::{self, Rev, RevArg, blocking, failed};
use super::root::Workspace;
use crate::error::ToolError;
use crate::scope::{OutputFilter, Scopes};
use crate::tool::{CallContext, Card, ReadTool};

pub(super) struct GitShow;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = crate::lean::lean)]
pub(super) struct Args {
    rev: Option<RevArg>,
    path: Option<PathArg>,
    cursor: Option<String>,
}

pub(super) struct Target {
    workspace: Arc<Workspace>,
    repo: Repository,
    rev: Rev,
    commit: Result<Oid, ToolError>,
    tag: Option<Vec<u8>>,
    path: RepoPath,
    cursor: Option<String>,
    cancel: CancellationToken,
}

#[derive(Serialize, JsonSchema)]
#[schemars(transform = crate::lean::lean)]
pub(super) struct Output {
    #[serde(flatten)]
    commit: CommitInfo,
    parents: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag_message: Option<String>,
    files: Vec<FileDiff>,
    #[serde(flatten)]
    page: Page,
}

impl ReadTool for GitShow {
    const CARD: Card =
        super::card("workspace_git_show", "Show a commit", "Show a commit or tag with its diff. For a file at a rev use workspace_read_file.", 0.1);
    type Args = Args;
    type Target = Target;
    type Output = Output;

    async fn resolve(&self, args: Args, cx: &CallContext) -> Result<(Target, Scopes), ToolError> {
        let (workspace, cancel) = (cx.workspace()?, cx.cancel.clone());
        blocking(move || {
            let repo = repository::open(&workspace)?;
            let (path, rev) = (or_root(args.path.as_ref())?, repository::rev_or_head(&repo, args.rev.as_ref())?);
            let commit = repository::commit(&repo, &rev);
            let scopes = path_scope(repository::ref_scope(workspace.scope()?, &repo, &rev), commit.as_ref().ok(), &path);
            let commit = commit.map(|commit| commit.id());
            let tag = repository::tag_message(&repo, &rev);
            Ok((Target { workspace, repo, rev, commit, tag, path, cursor: args.cursor, cancel }, scopes))
        })
        .await
    }

    async fn read(&self, target: Target, filter: &OutputFilter, _receipt: Receipt<Written>) -> Result<Output, ToolError> {
        let filter = filter.clone();
        blocking(move || show(target, &filter)).await
    }
}

fn show(target: Target, filter: &OutputFilter) -> Result<Output, ToolError> {
    let (repo, id) = (&target.repo, target.commit?);
    let mut paging = Paging::open(&[&"git_show", &id, &target.path.as_str()], target.cursor.as_deref())?;
    let commit = repo.find_commit(id).map_err(failed)?;
    let (base, tree) = (commit::base(&commit)?, commit.tree().map_err(failed)?);
    let changes = change::between_trees(repo, base.as_ref(), Some(&tree), &target.path, &target.cancel)?;
    let changes = change::visible(repo, changes, filter);
    if changes.is_empty() && !commit::is_visible(repo, &commit, &RepoPath::root(), filter, &target.cancel)? {
        return Err(repository::unknown(&target.rev));
    }
    let (files, next) = patch::page((repo, &target.workspace), &changes, true, &mut paging, filter, &target.cancel)?;
    Ok(Output {
        page: Page::about(&target.path, changes.is_empty(), next, filter.hidden()),
        commit: CommitInfo::of(&commit, filter),
        parents: commit.parent_ids().map(|id| id.to_string()).collect(),
        tag_message: target.tag.map(|message| redacted::short(&message, commit::LONGEST_BODY, filter)),
        files,
    })
}
