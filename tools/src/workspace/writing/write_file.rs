//! `workspace_write_file`: a whole text file of the work tree.

use std::sync::Arc;

use opsgate_audit::{Durable, Receipt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::confined::confined;
use super::durable;
use super::git_folder::GitFolder;
use crate::error::{ToolError, ToolErrorKind};
use crate::scope::{OutputFilter, Scopes};
use crate::tool::{CallContext, Card, Preview, WriteTool};
use crate::workspace::content::{digest, hex};
use crate::workspace::open::{self, Found, Located};
use crate::workspace::page::Budget;
use crate::workspace::patch;
use crate::workspace::path::{PathArg, RepoPath, quoted};
use crate::workspace::redacted;
use crate::workspace::replace::{self, New, Old, OldFile};
use crate::workspace::repository::{self, blocking, live};
use crate::workspace::root::Workspace;
use crate::workspace::spot::{self, Spot, There, moved};

/// More is not written in one call, in bytes.
const MOST_WRITTEN: usize = 1 << 20;
/// A larger file is not replaced: a copy of it is kept, in bytes.
const MOST_REPLACED: usize = 8 << 20;

pub(super) struct WriteFile;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = crate::lean::lean)]
pub(super) struct Args {
    path: PathArg,
    content: String,
    /// of what it replaces
    expected_sha256: Option<String>,
}

/// Shared by the preview and the write.
pub(super) struct Target(Arc<Plan>);

struct Plan {
    workspace: Arc<Workspace>,
    /// What was asked for, with links followed.
    path: RepoPath,
    content: String,
    /// The digest of what the caller wants to replace.
    expected: Option<String>,
    /// A failure is told after policy judged the path.
    judged: Result<Judged, ToolError>,
    cancel: CancellationToken,
}

/// What was there when the call was judged: the write happens only while it still is.
#[derive(Debug)]
struct Judged {
    spot: Spot,
    old: Old,
    /// Nothing, where no file is.
    content: Vec<u8>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(transform = crate::lean::lean)]
pub(super) struct Output {
    path: String,
    sha256: String,
    size: usize,
    created: bool,
    /// blob of the old content
    #[serde(skip_serializing_if = "Option::is_none")]
    backup: Option<String>,
    additions: usize,
    deletions: usize,
}

impl WriteTool for WriteFile {
    const CARD: Card = crate::workspace::card("workspace_write_file", "Write a file", "Create or replace a whole text file.", 0.4);
    const DESTRUCTIVE: bool = true;
    type Args = Args;
    type Target = Target;
    type Output = Output;

    async fn resolve(&self, args: Args, cx: &CallContext) -> Result<(Target, Scopes), ToolError> {
        let (workspace, cancel) = (cx.workspace()?, cx.cancel.clone());
        blocking(move || {
            let asked = args.path.parse()?;
            fits(&args)?;
            let located = workspace.locate(asked);
            let scopes = located.scoped_as_file(workspace.scope()?);
            let judged = judge(&workspace, &located);
            let (path, content, expected) = (located.real, args.content, args.expected_sha256);
            Ok((Target(Arc::new(Plan { workspace, path, content, expected, judged, cancel })), scopes))
        })
        .await
    }

    fn reference(output: &Output) -> Option<String> {
        Some(format!("sha256:{}", output.sha256))
    }

    async fn preview(&self, target: &Target, filter: &OutputFilter) -> Result<Preview, ToolError> {
        let (plan, filter) = (target.0.clone(), filter.clone());
        blocking(move || preview(&plan, &filter)).await
    }

    async fn write(&self, target: Target, filter: &OutputFilter, _receipt: Receipt<Durable>) -> Result<Output, ToolError> {
        let filter = filter.clone();
        confined(target.0.workspace.clone(), move |_| write(&target.0, &filter)).await
    }
}

fn fits(args: &Args) -> Result<(), ToolError> {
    if args.content.len() > MOST_WRITTEN {
        return Err(ToolError::invalid(format!("the content has {} bytes; at most {MOST_WRITTEN} are written", args.content.len())));
    }
    let is_digest = |text: &String| text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if args.expected_sha256.as_ref().is_none_or(is_digest) {
        Ok(())
    } else {
        Err(ToolError::invalid("`expected_sha256` takes 64 lower-case hexadecimal digits"))
    }
}

fn judge(workspace: &Workspace, located: &Located) -> Result<Judged, ToolError> {
    match &located.found {
        Ok(Found::Folder(_)) => return Err(ToolError::invalid(format!("{} is a folder; name a file", quoted(located.asked.as_str())))),
        Err(error) if error.kind == ToolErrorKind::NotFound => leads_to_a_folder(workspace, located)?,
        Err(error) => return Err(error.clone()),
        Ok(Found::File(_)) => {}
    }
    if spot::in_nested_repository(&spot::folders(workspace.dir(), &located.real)?) {
        let client = format!("{} lies in another repository within this one; connect to that one", quoted(located.asked.as_str()));
        return Err(ToolError::out_of_bounds(client));
    }
    if let Some(folder) = becomes_a_repository(workspace, &located.real) {
        let client = format!("with {} the folder {} would be a git repository of its own", quoted(located.asked.as_str()), quoted(folder.as_str()));
        return Err(ToolError::out_of_bounds(client));
    }
    let spot = Spot::of(workspace.dir(), &located.real)?;
    match (spot.there()?, &located.found) {
        (There::Nothing, Err(_)) => Ok(Judged { spot, old: Old::Nothing, content: Vec::new() }),
        (There::Link(_), Err(error)) => Err(error.clone()), // a loop of links
        (There::File(file), Ok(_)) => {
            let content = file.read_at(0, MOST_REPLACED + 1)?;
            if content.len() > MOST_REPLACED {
                let client = format!("has more than {MOST_REPLACED} bytes; no copy of that is kept, so it is not replaced");
                return Err(ToolError::new(ToolErrorKind::TooLarge, format!("{} {client}", quoted(located.asked.as_str()))));
            }
            GitFolder::open(&repository::open(workspace)?, None)?; // where a copy is kept
            Ok(Judged { spot, old: Old::File(OldFile::of(&file, digest(&content))?), content })
        }
        _ => Err(moved(&located.asked)),
    }
}

/// The folder that git would take for a bare repository once this file is there: a repository's settings run programs.
fn becomes_a_repository(workspace: &Workspace, path: &RepoPath) -> Option<RepoPath> {
    let parts: Vec<&str> = path.parts().collect();
    (1..parts.len()).find_map(|depth| {
        let (above, below) = parts.split_at_checked(depth)?;
        let folder = RepoPath::of_parts(above.iter().copied());
        let there = match open::exactly(workspace.dir(), &folder) {
            Ok(Found::Folder(dir)) => Some(dir),
            _ => None,
        };
        let has = |name: &str| below.first() == Some(&name) || there.as_ref().is_some_and(|dir| dir.symlink_metadata(name).is_ok());
        (has("HEAD") && has("objects") && has("refs")).then_some(folder)
    })
}

/// Where nothing is and a link is on the way, the link must lead to a folder that is there.
fn leads_to_a_folder(workspace: &Workspace, located: &Located) -> Result<(), ToolError> {
    if located.real == located.asked {
        return Ok(());
    }
    let mut parts: Vec<&str> = located.asked.parts().collect();
    let name = parts.pop().unwrap_or_default();
    let parent = workspace.locate(RepoPath::of_parts(parts.into_iter()));
    if matches!(parent.found, Ok(Found::Folder(_))) && parent.real.child(name) == located.real {
        Ok(())
    } else {
        Err(ToolError::not_found(format!("{} is a link that leads nowhere, or lies beyond one; name the real path", quoted(located.asked.as_str()))))
    }
}

/// Whether the file is the one that the caller knows. Of one that is shown with marks alone the caller knows no digest: an answer
/// would be one about what the marks hide.
// INVARIANT: no digest of what is hidden is told or compared (test: no_digest_of_a_hidden_secret_is_told).
fn expected(judged: &Judged, plan: &Plan, filter: &OutputFilter) -> Result<(), ToolError> {
    let Some(expected) = &plan.expected else { return Ok(()) };
    let path = quoted(plan.path.as_str());
    if redacted::is_hidden(&judged.content, filter) {
        return Err(ToolError::invalid(format!("{path} holds secrets that are not shown, so it has no `expected_sha256`; leave that out")));
    }
    match judged.old.digest() {
        Some(old) if hex(&old) == *expected => Ok(()),
        old => {
            let is = if old.is_some() { "has another content than" } else { "is not there, so it is not" };
            Err(ToolError::new(ToolErrorKind::Moved, format!("{path} {is} what `expected_sha256` says; read it again")))
        }
    }
}

// INVARIANT: no secret, and no mark of one, gets into the work tree (test: a_secret_is_not_written).
fn sound<'p>(plan: &'p Plan, filter: &OutputFilter) -> Result<&'p Judged, ToolError> {
    let judged = plan.judged.as_ref().map_err(Clone::clone)?;
    live(&plan.cancel)?;
    if redacted::holds_secret(&plan.content, filter) {
        let path = quoted(plan.path.as_str());
        let client = format!("the content for {path} holds a secret, or the mark of one that was redacted; write neither");
        return Err(ToolError::new(ToolErrorKind::HoldsSecret, client));
    }
    expected(judged, plan, filter)?;
    Ok(judged)
}

fn preview(plan: &Plan, filter: &OutputFilter) -> Result<Preview, ToolError> {
    let judged = sound(plan, filter)?;
    let (additions, deletions, diff) = patch::compared(&judged.content, plan.content.as_bytes(), filter, &plan.cancel)?;
    let shown = diff.get(..Budget::new(filter.output_bytes()).cut(diff.as_bytes())).unwrap_or_default();
    let (path, created) = (plan.path.as_str(), matches!(judged.old, Old::Nothing));
    let mut change = json!({ "path": path, "created": created, "additions": additions, "deletions": deletions, "diff": shown });
    if let Some(change) = change.as_object_mut().filter(|_| shown.len() < diff.len()) {
        change.insert("cut".to_owned(), true.into());
    }
    let verb = if created { "create" } else { "replace" };
    Ok(Preview { summary: format!("{verb} {}: +{additions} −{deletions}", quoted(path)), change })
}

fn write(plan: &Plan, filter: &OutputFilter) -> Result<Output, ToolError> {
    let judged = sound(plan, filter)?;
    let repo = repository::open(&plan.workspace)?; // where the root was moved away, nothing is written in it
    let spot = Spot::of(plan.workspace.dir(), &plan.path).map_err(|_| moved(&plan.path))?;
    if !spot.is(&judged.spot)? || !judged.old.is_at(&spot)? {
        return Err(moved(&plan.path));
    }
    let created = matches!(judged.old, Old::Nothing);
    let backup = if created { None } else { Some(durable::kept(&repo, &GitFolder::open(&repo, None)?, &judged.content)?) };
    let (additions, deletions) = patch::counted(&judged.content, plan.content.as_bytes())?;
    let new = New::File { content: &mut plan.content.as_bytes(), executable: false };
    replace::put(&spot, &plan.path, new, &judged.old, &plan.cancel)?;
    Ok(Output {
        path: plan.path.as_str().to_owned(),
        sha256: hex(&digest(plan.content.as_bytes())),
        size: plan.content.len(),
        created,
        // The id is a digest of all of it.
        backup: backup.filter(|_| !redacted::is_hidden(&judged.content, filter)).map(|id| id.to_string()),
        additions,
        deletions,
    })
}
