//! `workspace_create_branch`: a new branch at a commit; what is checked out stays.

use std::sync::Arc;

use git2::{Oid, Reference, Repository, Signature};
use opsgate_audit::{Durable, Receipt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::branch_lock;
use super::confined::confined;
use super::durable;
use super::git_folder::GitFolder;
use crate::error::{ToolError, ToolErrorKind};
use crate::scope::{OutputFilter, ScopeKind, Scopes};
use crate::tool::{CallContext, Card, Preview, WriteTool};
use crate::workspace::path::quoted;
use crate::workspace::repository::{self, Rev, RevArg, blocking, failed, live};
use crate::workspace::root::Workspace;
use crate::workspace::settings::Author;

/// In bytes.
const LONGEST_NAME: usize = 200;

pub(super) struct CreateBranch(pub(super) Author);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = crate::lean::lean)]
pub(super) struct Args {
    name: String,
    /// default: HEAD
    from: Option<RevArg>,
}

/// Shared by the preview and the write.
pub(super) struct Target(Arc<Plan>);

struct Plan {
    workspace: Arc<Workspace>,
    name: BranchName,
    from: Rev,
    /// The commit that `from` named when the call was judged.
    base: Result<Oid, ToolError>,
    cancel: CancellationToken,
}

#[derive(Serialize, JsonSchema)]
#[schemars(transform = crate::lean::lean)]
pub(super) struct Output {
    branch: String,
    base_commit: String,
}

/// A name that git takes for a new branch, without `refs/heads/`.
struct BranchName(String);

impl BranchName {
    // INVARIANT: what parses is a branch name to git's own command line (test: a_branch_name_is_one_to_git_too).
    fn parse(raw: &str) -> Result<Self, ToolError> {
        let is_id = matches!(raw.len(), 40 | 64) && raw.bytes().all(|byte| byte.is_ascii_hexdigit());
        let reserved = raw.starts_with('-') || raw.starts_with("refs/") || matches!(raw, "HEAD" | "@") || is_id;
        if raw.len() <= LONGEST_NAME && !reserved && Reference::is_valid_name(&format!("refs/heads/{raw}")) {
            Ok(Self(raw.to_owned()))
        } else {
            Err(ToolError::invalid(format!("{} is no name for a branch; `git help check-ref-format` has the rules", quoted(raw))))
        }
    }

    fn reference(&self) -> String {
        format!("refs/heads/{}", self.0)
    }
}

impl WriteTool for CreateBranch {
    const CARD: Card = crate::workspace::card("workspace_create_branch", "Create a branch", "Create a branch without checking it out.", 0.3);
    type Args = Args;
    type Target = Target;
    type Output = Output;

    async fn resolve(&self, args: Args, cx: &CallContext) -> Result<(Target, Scopes), ToolError> {
        let (workspace, cancel) = (cx.workspace()?, cx.cancel.clone());
        blocking(move || {
            let name = BranchName::parse(&args.name)?;
            let repo = repository::open(&workspace)?;
            let from = repository::rev_or_head(&repo, args.from.as_ref())?;
            let scopes = repository::ref_scope(workspace.scope()?.and(ScopeKind::Ref, name.0.as_str()), &repo, &from);
            let base = GitFolder::open(&repo, Some(&name.0)).and_then(|_| repository::commit(&repo, &from)).map(|commit| commit.id());
            Ok((Target(Arc::new(Plan { workspace, name, from, base, cancel })), scopes))
        })
        .await
    }

    fn reference(output: &Output) -> Option<String> {
        Some(format!("branch {} at {}", output.branch, output.base_commit))
    }

    async fn preview(&self, target: &Target, _filter: &OutputFilter) -> Result<Preview, ToolError> {
        let plan = target.0.clone();
        blocking(move || {
            let base = free(&repository::open(&plan.workspace)?, &plan)?;
            let change = json!({ "branch": plan.name.0, "base_commit": base.to_string() });
            Ok(Preview { summary: format!("create branch {} at `{base}`", quoted(&plan.name.0)), change })
        })
        .await
    }

    async fn write(&self, target: Target, _filter: &OutputFilter, _receipt: Receipt<Durable>) -> Result<Output, ToolError> {
        let author = self.0.clone();
        confined(target.0.workspace.clone(), move |_| create(&target.0, &author)).await
    }
}

/// The commit to start from, where it is still the one that was judged and the name is free.
fn free(repo: &Repository, plan: &Plan) -> Result<Oid, ToolError> {
    let base = plan.base.clone()?;
    if repository::commit(repo, &plan.from).map(|commit| commit.id()).ok() != Some(base) {
        let from = quoted(plan.from.as_str());
        return Err(ToolError::new(ToolErrorKind::Moved, format!("{from} names another commit than when it was looked at; ask again")));
    }
    let parents = plan.name.0.match_indices('/').filter_map(|(at, _)| plan.name.0.get(..at));
    let is_taken = |name: &str| repo.find_reference(&format!("refs/heads/{name}")).is_ok();
    if is_taken(&plan.name.0) {
        return Err(exists(&plan.name));
    }
    let ignores_case = repo.config().and_then(|config| config.get_bool("core.ignorecase")).unwrap_or(false);
    let below = format!("{}/", plan.name.0);
    let mut collides = parents.into_iter().any(is_taken);
    for other in repo.references_glob("refs/heads/*").map_err(failed)? {
        let other = other.map_err(failed)?;
        let other = String::from_utf8_lossy(other.name_bytes().strip_prefix(b"refs/heads/").unwrap_or_default()).into_owned();
        collides |= other.starts_with(&below) || (ignores_case && other.to_lowercase() == plan.name.0.to_lowercase());
    }
    if collides { Err(collision(&plan.name)) } else { Ok(base) }
}

// INVARIANT: a branch that is there is never moved (test: a_branch_that_is_there_stays).
fn create(plan: &Plan, author: &Author) -> Result<Output, ToolError> {
    let repo = repository::open(&plan.workspace)?;
    let git = GitFolder::open(&repo, Some(&plan.name.0))?;
    let base = free(&repo, plan)?;
    let who = Signature::now(&author.name, &author.email).map_err(ToolError::internal)?;
    let (reference, log) = (plan.name.reference(), format!("branch: Created from {}", plan.from.as_str()));
    live(&plan.cancel)?;
    branch_lock::set(&repo, &reference, base, (&who, &log), |_| free(&repo, plan).map(drop))?;
    durable::reference(&git, &reference).map_err(|error| {
        let client = format!("the branch {} was made, but may not be on the disk", quoted(&plan.name.0));
        ToolError::new(ToolErrorKind::Upstream, client).because(error.detail.unwrap_or(error.client)).maybe_done()
    })?;
    Ok(Output { branch: plan.name.0.clone(), base_commit: base.to_string() })
}

fn exists(name: &BranchName) -> ToolError {
    ToolError::new(ToolErrorKind::Moved, format!("the branch {} is already there, and stays as it is; choose another name", quoted(&name.0)))
}

fn collision(name: &BranchName) -> ToolError {
    ToolError::invalid(format!("git cannot keep {} beside another branch whose name collides with it; choose another name", quoted(&name.0)))
}
