//! `workspace_list_directory`: what is in a folder of the work tree.

use std::sync::Arc;

use cap_std::fs::Dir;
use opsgate_audit::{Receipt, Written};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::open::Found;
use super::page::{self, Budget, Page, Paging};
use super::path::{PathArg, RepoPath, or_root, quoted};
use super::repository::blocking;
use super::root::Workspace;
use super::walk::Walk;
use crate::error::ToolError;
use crate::scope::{OutputFilter, ScopeKind, Scopes};
use crate::tool::{CallContext, Card, ReadTool};

pub(super) struct ListDirectory;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = crate::lean::lean)]
pub(super) struct Args {
    path: Option<PathArg>,
    /// 1-5
    depth: Option<u32>,
    /// also show what .gitignore leaves out
    ignored: Option<bool>,
    limit: Option<u32>,
    cursor: Option<String>,
}

pub(super) struct Target {
    workspace: Arc<Workspace>,
    path: RepoPath,
    dir: Result<Dir, ToolError>,
    args: Args,
    cancel: CancellationToken,
}

#[derive(Serialize, JsonSchema)]
#[schemars(transform = crate::lean::lean)]
pub(super) struct Output {
    entries: Vec<Entry>,
    #[serde(flatten)]
    page: Page,
}

#[derive(Serialize, JsonSchema)]
struct Entry {
    path: String,
    /// file, folder, link, other
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
}

impl ReadTool for ListDirectory {
    const CARD: Card =
        super::card("workspace_list_directory", "List a folder", "List files and folders. To find text use workspace_search_code.", 0.1);
    type Args = Args;
    type Target = Target;
    type Output = Output;

    async fn resolve(&self, args: Args, cx: &CallContext) -> Result<(Target, Scopes), ToolError> {
        let (workspace, cancel) = (cx.workspace()?, cx.cancel.clone());
        blocking(move || {
            if args.depth.is_some_and(|depth| !(1..=5).contains(&depth)) {
                return Err(ToolError::invalid("`depth` is from 1 to 5"));
            }
            let located = workspace.locate(or_root(args.path.as_ref())?);
            let scopes = located.scoped(workspace.scope()?, &[ScopeKind::Tree]);
            let dir = located.found.and_then(|found| match found {
                Found::Folder(dir) => Ok(dir),
                Found::File(_) => Err(ToolError::invalid(format!("{} is a file; `workspace_read_file` reads it", quoted(located.asked.as_str())))),
            });
            Ok((Target { workspace, path: located.real, dir, args, cancel }, scopes))
        })
        .await
    }

    async fn read(&self, target: Target, filter: &OutputFilter, _receipt: Receipt<Written>) -> Result<Output, ToolError> {
        let filter = filter.clone();
        blocking(move || list(target, &filter)).await
    }
}

fn list(target: Target, filter: &OutputFilter) -> Result<Output, ToolError> {
    let (args, dir) = (target.args, target.dir?);
    let (depth, ignored) = (args.depth.unwrap_or(1), args.ignored.unwrap_or(false));
    let shape = [u64::from(depth), u64::from(ignored), 0, 0];
    let mut paging = Paging::open(&[&"list_directory", &target.path.as_str(), &shape], args.cursor.as_deref())?;
    let mut walk = Walk::new(&target.workspace, &dir, &target.path, filter, &target.cancel)?.down_to(depth as usize).with_ignored(ignored);
    let limit = page::limit(args.limit, 200, 1000);
    let mut budget = Budget::new(filter.output_bytes());
    let mut entries = Vec::new();
    let mut next = None;
    while let Some(entry) = walk.next()? {
        let item = (entry.path.as_str(), entry.kind.name());
        if paging.skips(&item)? {
            continue;
        }
        if entries.len() == limit || !budget.take(entry.path.as_str().len() + 40) {
            next = Some(paging.cursor());
            break;
        }
        paging.pass(&item);
        entries.push(Entry { path: entry.path.as_str().to_owned(), kind: entry.kind.name(), size: entry.size() });
    }
    paging.reached()?;
    Ok(Output { entries, page: Page::new(next, filter) })
}
