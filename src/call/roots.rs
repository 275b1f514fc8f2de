//! Whether policy lets a caller work on a repository: asked when a connection names it, and for each call on it.

use std::os::unix::fs::MetadataExt;

use opsgate_tools::workspace::Workspace;

use crate::error::{Code, Refusal};
use crate::identity::Caller;
use crate::policy::Policy;

/// The setting that decides.
pub const ROOTS: &str = "systems.workspace.roots";

/// Whether this policy lets this caller work on this repository.
///
/// # Errors
/// [`Code::PolicyDenied`], naming the setting that decides.
pub fn within_roots(policy: &Policy, caller: &Caller, workspace: &Workspace) -> Result<(), Refusal> {
    // A caller over HTTP has no uid here: the folder was named by whoever runs the gateway.
    let own = rustix::process::geteuid().as_raw();
    let uid = caller.uid().unwrap_or(own);
    let home = std::env::var("HOME").ok().filter(|_| uid == own);
    // A linked work tree is a place in the repository that keeps its branches: both must be allowed.
    let owner = |root: &str| {
        if root == workspace.root_path() { Some(workspace.owner_uid()) } else { std::fs::metadata(root).ok().map(|meta| meta.uid()) }
    };
    let Some(outside) = workspace.roots().find(|root| !policy.workspace_root_allowed(root, home.as_deref(), owner(root) == Some(uid))) else {
        return Ok(());
    };
    let message = format!("policy does not allow the repository `{outside}` as a workspace; add it to `{ROOTS}`");
    Err(Refusal { rule: Some(ROOTS.into()), ..Refusal::new(Code::PolicyDenied, message) })
}
