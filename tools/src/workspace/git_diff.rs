//! `workspace_git_diff`: what differs between revisions, the index and the work tree.

use std::sync::Arc;

use git2::{Oid, Repository, Tree};
use opsgate_audit::{Receipt, Written};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::change::{self, Change};
use super::git_log::path_scope;
use super::nested;
use super::page::{Keyed, Page, Paging};
use super::patch::{self, FileDiff};
use super::path::{PathArg, RepoPath, or_root};
use super::repository::{self, RevArg, blocking, failed};
use super::root::Workspace;
use crate::error::ToolError;
use crate::scope::{OutputFilter, Scopes};
use crate::tool::{CallContext, Card, ReadTool};

pub(super) struct GitDiff;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = crate::lean::lean)]
pub(super) struct Args {
    /// default: index
    from: Option<RevArg>,
    /// default: work tree
    to: Option<RevArg>,
    /// index instead of work tree
    staged: Option<bool>,
    path: Option<PathArg>,
    /// counts only
    stat: Option<bool>,
    cursor: Option<String>,
}

/// The two states that are compared.
enum Pair {
    Trees(Oid, Oid),
    TreeIndex(Option<Oid>),
    TreeWork(Oid),
    IndexWork,
}

pub(super) struct Target {
    workspace: Arc<Workspace>,
    repo: Repository,
    pair: Result<Pair, ToolError>,
    path: RepoPath,
    stat: bool,
    cursor: Option<String>,
    cancel: CancellationToken,
}

#[derive(Serialize, JsonSchema)]
#[schemars(transform = crate::lean::lean)]
pub(super) struct Output {
    files: Vec<FileDiff>,
    #[serde(flatten)]
    page: Page,
}

impl ReadTool for GitDiff {
    const CARD: Card = super::card("workspace_git_diff", "Git diff", "Diff revisions, index or work tree (default: unstaged changes).", 0.1);
    type Args = Args;
    type Target = Target;
    type Output = Output;

    async fn resolve(&self, args: Args, cx: &CallContext) -> Result<(Target, Scopes), ToolError> {
        let (workspace, cancel) = (cx.workspace()?, cx.cancel.clone());
        blocking(move || {
            let repo = repository::open(&workspace)?;
            let path = or_root(args.path.as_ref())?;
            let staged = args.staged.unwrap_or(false);
            if args.to.is_some() && (args.from.is_none() || staged) {
                return Err(ToolError::invalid("`to` needs `from`, and does not go with `staged`"));
            }
            let mut scopes = workspace.scope()?;
            let mut commits = Vec::new();
            for arg in [&args.from, &args.to].into_iter().flatten() {
                let rev = arg.parse()?;
                scopes = repository::ref_scope(scopes, &repo, &rev);
                commits.push(repository::commit(&repo, &rev));
            }
            let here = commits.iter().rev().find_map(|commit| commit.as_ref().ok().cloned());
            let here = here.or_else(|| repo.head().ok().and_then(|head| head.peel_to_commit().ok()));
            scopes = path_scope(scopes, here.as_ref(), &path);
            drop(here);
            let ids: Result<Vec<Oid>, ToolError> = commits.into_iter().map(|commit| commit.map(|commit| commit.id())).collect();
            let head = repo.head().ok().and_then(|head| head.peel_to_commit().ok()).map(|commit| commit.id());
            let pair = ids.map(|ids| match (ids.as_slice(), staged) {
                ([from, to, ..], _) => Pair::Trees(*from, *to),
                ([from], true) => Pair::TreeIndex(Some(*from)),
                ([from], false) => Pair::TreeWork(*from),
                ([], true) => Pair::TreeIndex(head),
                ([], false) => Pair::IndexWork,
            });
            Ok((Target { workspace, repo, pair, path, stat: args.stat.unwrap_or(false), cursor: args.cursor, cancel }, scopes))
        })
        .await
    }

    async fn read(&self, target: Target, filter: &OutputFilter, _receipt: Receipt<Written>) -> Result<Output, ToolError> {
        let filter = filter.clone();
        blocking(move || diff(target, &filter)).await
    }
}

fn diff(target: Target, filter: &OutputFilter) -> Result<Output, ToolError> {
    let (repo, pair) = (&target.repo, target.pair?);
    let (kind, from, to) = match &pair {
        Pair::Trees(from, to) => ("trees", Some(*from), Some(*to)),
        Pair::TreeIndex(from) => ("index", *from, None),
        Pair::TreeWork(from) => ("work", Some(*from), None),
        Pair::IndexWork => ("unstaged", None, None),
    };
    let shape = [u64::from(target.stat), 0, 0, 0];
    let question: [&dyn Keyed; 6] = [&"git_diff", &kind, &from, &to, &target.path.as_str(), &shape];
    let mut paging = Paging::open(&question, target.cursor.as_deref())?;
    let mut changes = changes(repo, &pair, &target.path, &target.cancel)?;
    if matches!(pair, Pair::TreeWork(_) | Pair::IndexWork) {
        changes.retain(|change| nested::shows_file(&target.workspace, &change.path, filter));
    }
    let changes = change::visible(repo, changes, filter);
    let (files, next) = patch::page((repo, &target.workspace), &changes, !target.stat, &mut paging, filter, &target.cancel)?;
    Ok(Output { files, page: Page::about(&target.path, changes.is_empty(), next, filter.hidden()) })
}

fn changes(repo: &Repository, pair: &Pair, within: &RepoPath, cancel: &CancellationToken) -> Result<Vec<Change>, ToolError> {
    let tree = |id: Oid| repo.find_commit(id).and_then(|commit| commit.tree()).map_err(failed);
    let mut options = change::options(within);
    let diff = match pair {
        Pair::Trees(from, to) => return change::between_trees(repo, Some(&tree(*from)?), Some(&tree(*to)?), within, cancel),
        Pair::TreeIndex(from) => {
            let tree: Option<Tree<'_>> = from.map(tree).transpose()?;
            repo.diff_tree_to_index(tree.as_ref(), None, Some(&mut options))
        }
        Pair::TreeWork(from) => repo.diff_tree_to_workdir_with_index(Some(&tree(*from)?), Some(&mut options)),
        Pair::IndexWork => repo.diff_index_to_workdir(None, Some(&mut options)),
    };
    change::from_diff(&diff.map_err(failed)?, within)
}
