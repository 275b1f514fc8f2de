//! `workspace_commit`: commits listed files of the work tree, and nothing else.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use git2::{FileMode, IndexEntry, Oid, Repository, Signature, Tree, build::TreeUpdateBuilder};
use opsgate_audit::{Durable, Receipt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::branch_lock;
use super::commit_message::Message;
use super::confined::confined;
use super::durable;
use super::git_folder::GitFolder;
use super::index_lock::IndexLock;
use super::survey::{Listed, Survey};
use crate::error::{ToolError, ToolErrorKind};
use crate::scope::{OutputFilter, ScopeKind, Scopes};
use crate::tool::{CallContext, Card, Preview, WriteTool};
use crate::workspace::change;
use crate::workspace::page::Budget;
use crate::workspace::patch;
use crate::workspace::path::{PathArg, RepoPath, quoted};
use crate::workspace::redacted;
use crate::workspace::repository::{self, blocking, failed, live};
use crate::workspace::root::Workspace;
use crate::workspace::settings::Author;

/// More files are not committed in one call.
const MOST_FILES: usize = 200;

pub(super) struct CommitFiles(pub(super) Author);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = crate::lean::lean)]
pub(super) struct Args {
    paths: Vec<PathArg>,
    message: String,
    /// refuse on another one
    branch: Option<String>,
}

/// Shared by the preview and the write.
pub(super) struct Target(Arc<Plan>);

struct Plan {
    workspace: Arc<Workspace>,
    paths: Vec<RepoPath>,
    message: Message,
    /// What is committed only while it is still so. A failure is told after policy judged the paths.
    survey: Result<Survey, ToolError>,
    cancel: CancellationToken,
}

#[derive(Serialize, JsonSchema)]
#[schemars(transform = crate::lean::lean)]
pub(super) struct Output {
    commit: String,
    branch: String,
    files_changed: usize,
    insertions: usize,
    deletions: usize,
}

impl WriteTool for CommitFiles {
    const CARD: Card = crate::workspace::card(
        "workspace_commit",
        "Commit files",
        "Commit listed files (gone ones as deletions) to the checked-out branch. Other staged changes stay staged.",
        0.4,
    );
    type Args = Args;
    type Target = Target;
    type Output = Output;

    async fn resolve(&self, args: Args, cx: &CallContext) -> Result<(Target, Scopes), ToolError> {
        let (workspace, cancel) = (cx.workspace()?, cx.cancel.clone());
        blocking(move || {
            let (paths, message) = (listed(&args.paths)?, Message::parse(&args.message)?);
            let repo = repository::open(&workspace)?;
            let mut scopes = workspace.scope()?;
            for path in &paths {
                scopes = workspace.locate(path.clone()).scoped_as_file(scopes);
            }
            let branch = repository::head_branch(&repo).unwrap_or_else(|| "HEAD".to_owned());
            for name in args.branch.iter().filter(|name| **name != branch).chain([&branch]) {
                scopes = scopes.and(ScopeKind::Ref, name.as_str());
            }
            let survey = Survey::take(&repo, &workspace, &paths, &cancel).and_then(|survey| on_branch(survey, &branch, args.branch.as_deref()));
            Ok((Target(Arc::new(Plan { workspace, paths, message, survey, cancel })), scopes))
        })
        .await
    }

    fn reference(output: &Output) -> Option<String> {
        Some(format!("commit {}", output.commit))
    }

    async fn preview(&self, target: &Target, filter: &OutputFilter) -> Result<Preview, ToolError> {
        let (plan, filter) = (target.0.clone(), filter.clone());
        blocking(move || preview(&plan, &filter)).await
    }

    async fn write(&self, target: Target, filter: &OutputFilter, receipt: Receipt<Durable>) -> Result<Output, ToolError> {
        let (author, filter) = (self.0.clone(), filter.clone());
        confined(target.0.workspace.clone(), move |private| commit(&target.0, private, &author, &filter, &receipt)).await
    }
}

fn listed(args: &[PathArg]) -> Result<Vec<RepoPath>, ToolError> {
    if args.is_empty() || args.len() > MOST_FILES {
        return Err(ToolError::invalid(format!("`paths` lists from 1 to {MOST_FILES} files")));
    }
    let paths: BTreeSet<RepoPath> = args.iter().map(PathArg::parse).collect::<Result<_, _>>()?;
    match paths.contains(&RepoPath::root()) {
        false => Ok(paths.into_iter().collect()),
        true => Err(ToolError::invalid("the root is a folder; list the files in it")),
    }
}

/// The survey, where it is of the branch that policy judges, which is the one that is wanted.
// INVARIANT: a commit goes to the branch that was judged (test: a_survey_of_another_branch_than_was_judged_is_none).
fn on_branch(survey: Survey, judged: &str, wanted: Option<&str>) -> Result<Survey, ToolError> {
    match wanted {
        _ if survey.branch != judged => Err(moved()),
        Some(wanted) if wanted != judged => Err(ToolError::invalid(format!("{} is checked out, not {}", quoted(judged), quoted(wanted)))),
        _ => Ok(survey),
    }
}

/// What is to be committed, where there is something and no line of it that is new holds a secret.
// INVARIANT: no secret, and no mark of one, gets into a commit by this tool (test: a_secret_is_not_committed).
fn sound<'s>(repo: &Repository, plan: &Plan, survey: &'s Survey, filter: &OutputFilter) -> Result<Vec<(&'s Listed, Vec<u8>)>, ToolError> {
    if redacted::holds_secret(plan.message.as_str(), filter) {
        return Err(ToolError::new(ToolErrorKind::HoldsSecret, "the message holds a secret, or the mark of one that was redacted; write neither"));
    }
    let mut changed = Vec::new();
    for file in survey.changed() {
        live(&plan.cancel)?;
        let old = file.old_content(repo)?;
        if let Some(new) = &file.new
            && redacted::adds_secret(&old, &new.content, filter, &plan.cancel)?
        {
            let client =
                format!("{} adds a line with a secret, or with the mark of one that was redacted; commit neither", quoted(file.path.as_str()));
            return Err(ToolError::new(ToolErrorKind::HoldsSecret, client));
        }
        changed.push((file, old));
    }
    if changed.is_empty() {
        return Err(ToolError::invalid("nothing to commit: the listed files are as the last commit has them"));
    }
    Ok(changed)
}

fn content(file: &Listed) -> &[u8] {
    file.new.as_ref().map_or(&[], |new| &new.content)
}

fn preview(plan: &Plan, filter: &OutputFilter) -> Result<Preview, ToolError> {
    let survey = plan.survey.as_ref().map_err(Clone::clone)?;
    let repo = repository::open(&plan.workspace)?;
    let mut budget = Budget::new(filter.output_bytes());
    let (mut files, mut is_cut, mut totals) = (Vec::new(), false, (0, 0));
    for (file, old) in sound(&repo, plan, survey, filter)? {
        let (additions, deletions, diff) = patch::compared(&old, content(file), filter, &plan.cancel)?;
        totals = (totals.0 + additions, totals.1 + deletions);
        let shown = diff.get(..budget.cut(diff.as_bytes())).unwrap_or_default();
        is_cut |= shown.len() < diff.len();
        let status = match (&file.old, &file.new) {
            (None, _) => "A",
            (_, None) => "D",
            _ => "M",
        };
        let mode = file.new.as_ref().map(|new| new.mode).filter(|mode| file.old.is_none_or(|(_, old)| old != *mode));
        let mode = mode.map(|mode| format!("{mode:o}"));
        files.push(
            json!({ "path": file.path.as_str(), "status": status, "mode": mode, "additions": additions, "deletions": deletions, "diff": shown }),
        );
    }
    let summary = format!("commit {} files to {}: +{} −{}", files.len(), quoted(&survey.branch), totals.0, totals.1);
    let parent = survey.head.map(|id| id.to_string());
    let change = json!({ "branch": survey.branch, "parent": parent, "message": plan.message.as_str(), "files": files, "cut": is_cut });
    Ok(Preview { summary, change })
}

/// The order is git's own: the index is locked and its next state written beside it, the objects are written, the branch
/// moves, the index follows. After a crash in between, the branch has the commit or has it not, the work tree is as it
/// was, and `index.lock` tells of it as it does after a crash of git.
fn commit(plan: &Plan, private: &Path, author: &Author, filter: &OutputFilter, receipt: &Receipt<Durable>) -> Result<Output, ToolError> {
    let judged = plan.survey.as_ref().map_err(Clone::clone)?;
    live(&plan.cancel)?;
    let repo = repository::open(&plan.workspace)?;
    let git = GitFolder::open(&repo, Some(&judged.branch))?;
    let mut lock = IndexLock::take(&git, private)?;
    let now = Survey::take(&repo, &plan.workspace, &plan.paths, &plan.cancel);
    live(&plan.cancel)?;
    let now = now.ok().filter(|now| now == judged).ok_or_else(moved)?;
    let changed = sound(&repo, plan, &now, filter)?;
    let (mut insertions, mut deletions) = (0, 0);
    for (file, old) in &changed {
        let (added, removed) = patch::counted(old, content(file))?;
        (insertions, deletions) = (insertions + added, deletions + removed);
    }
    let files: Vec<&Listed> = changed.iter().map(|(file, _)| *file).collect();
    let parent = now.head.map(|id| repo.find_commit(id)).transpose().map_err(failed)?;
    let tree = tree(&repo, parent.as_ref().map(git2::Commit::tree).transpose().map_err(failed)?.as_ref(), &files, &plan.cancel)?;
    let who = Signature::now(&author.name, &author.email).map_err(ToolError::internal)?;
    let parents: Vec<&git2::Commit<'_>> = parent.iter().collect();
    let id = repo.commit(None, &who, &who, &plan.message.recorded(receipt), &tree, &parents).map_err(unwritable)?;
    let set: Vec<IndexEntry> = now.files.iter().filter_map(Listed::index_entry).collect();
    let removed: Vec<&Path> = now.files.iter().filter(|file| file.new.is_none()).map(|file| Path::new(file.path.as_str())).collect();
    lock.stage(&set, &removed)?;
    let mut new = durable::trees_on_the_way(&tree, files.iter().map(|file| &file.path));
    new.extend(files.iter().filter_map(|file| file.new.as_ref()).map(|new| new.id).chain([id]));
    durable::objects(&git, &new)?;
    live(&plan.cancel)?;
    advance(&repo, &now, id, &who, plan)?;
    lock.publish().and_then(|()| durable::reference(&git, &format!("refs/heads/{}", now.branch))).map_err(|error| {
        let client = format!("the commit `{id}` was made, but git's index may not know it, or the disk; look at `git status`");
        ToolError::new(ToolErrorKind::Upstream, client).because(error.detail.unwrap_or(error.client)).maybe_done()
    })?;
    Ok(Output { commit: id.to_string(), branch: now.branch.clone(), files_changed: files.len(), insertions, deletions })
}

/// The last commit's tree with the listed files as they are now.
// INVARIANT: a commit differs from its parent in listed files alone (test: what_else_is_staged_stays_staged).
fn tree<'r>(repo: &'r Repository, base: Option<&Tree<'r>>, files: &[&Listed], cancel: &CancellationToken) -> Result<Tree<'r>, ToolError> {
    let empty = match base {
        Some(_) => None,
        None => Some(repo.treebuilder(None).and_then(|builder| builder.write()).and_then(|id| repo.find_tree(id)).map_err(unwritable)?),
    };
    let base = base.or(empty.as_ref()).ok_or_else(|| ToolError::internal("no tree to start from"))?;
    let mut builder = TreeUpdateBuilder::new();
    for file in files {
        match &file.new {
            Some(new) => builder.upsert(file.path.as_str(), written(repo, &new.content, new.id)?, mode(new.mode)),
            None => builder.remove(file.path.as_str()),
        };
    }
    let tree = builder.create_updated(repo, base).and_then(|id| repo.find_tree(id)).map_err(unwritable)?;
    let differ = change::between_trees(repo, Some(base), Some(&tree), &RepoPath::root(), cancel)?;
    let differ: BTreeSet<&str> = differ.iter().map(|change| change.path.as_str()).collect();
    if differ == files.iter().map(|file| file.path.as_str()).collect() {
        Ok(tree)
    } else {
        Err(ToolError::internal("the new tree differs from the last one in other files than the listed ones"))
    }
}

fn written(repo: &Repository, content: &[u8], expected: Oid) -> Result<Oid, ToolError> {
    let id = repo.blob(content).map_err(unwritable)?;
    if id == expected { Ok(id) } else { Err(ToolError::internal("a blob got another id than its content has")) }
}

fn mode(mode: i32) -> FileMode {
    match mode {
        0o100_755 => FileMode::BlobExecutable,
        0o120_000 => FileMode::Link,
        _ => FileMode::Blob,
    }
}

/// Moves the branch under git's lock of it, only from the commit that was judged, and only while it is checked out.
// INVARIANT: of two commits on one parent, one is made (test: of_two_commits_at_once_one_is_made).
fn advance(repo: &Repository, survey: &Survey, id: Oid, who: &Signature<'_>, plan: &Plan) -> Result<(), ToolError> {
    let kind = if survey.head.is_none() { "commit (initial)" } else { "commit" };
    let log = format!("{kind}: {}", plan.message.subject().replace('\t', " "));
    branch_lock::set(repo, &format!("refs/heads/{}", survey.branch), id, (who, &log), |tip| {
        let is_judged = tip == survey.head && repository::head_branch(repo).as_deref() == Some(survey.branch.as_str());
        if is_judged { Ok(()) } else { Err(moved()) }
    })
}

fn moved() -> ToolError {
    ToolError::new(ToolErrorKind::Moved, "the branch or a listed file changed after it was looked at, and nothing was committed; look again")
}

fn unwritable(error: git2::Error) -> ToolError {
    ToolError::new(ToolErrorKind::Upstream, "the commit could not be written; is there room, and may opsgate's user write to `.git`?").because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// HEAD is read for the scopes and again for the survey: a checkout may come between.
    #[test]
    fn a_survey_of_another_branch_than_was_judged_is_none() {
        let survey = |branch: &str| Survey { branch: branch.to_owned(), head: None, files: Vec::new() };
        for (surveyed, judged, wanted, failure) in [
            ("main", "agent/x", None, Some(ToolErrorKind::Moved)),
            ("main", "agent/x", Some("agent/x"), Some(ToolErrorKind::Moved)),
            ("main", "agent/x", Some("main"), Some(ToolErrorKind::Moved)),
            ("main", "HEAD", None, Some(ToolErrorKind::Moved)),
            ("main", "main", Some("agent/x"), Some(ToolErrorKind::InvalidArguments)),
            ("main", "main", Some("main"), None),
            ("main", "main", None, None),
        ] {
            let outcome = on_branch(survey(surveyed), judged, wanted).err().map(|error| error.kind);
            assert_eq!(outcome, failure, "{surveyed} {judged} {wanted:?}");
        }
    }
}
