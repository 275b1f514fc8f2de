//! Writing in a thread that the kernel lets write in the repository and nowhere else.
//!
//! libgit2 goes by names. Git's folder is looked at before (`git_folder`), and who may write there can still put a link in the place of
//! a folder while libgit2 works: what it then writes beyond the repository, the kernel refuses.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use landlock::{ABI, AccessFs, CompatLevel, Compatible, PathBeneath, Ruleset, RulesetAttr, RulesetCreatedAttr};

use super::git_folder::GitFolder;
use crate::error::ToolError;
use crate::workspace::repository;
use crate::workspace::root::Workspace;

/// Runs `work` in a thread of its own that may change the work tree, its git folders and a private folder that `work` is given, where the
/// kernel has Landlock.
// INVARIANT: no write of a workspace's tool leaves its repository, whatever is swapped meanwhile (test: a_link_made_meanwhile_leads_nowhere).
pub(super) async fn confined<T: Send + 'static>(
    workspace: Arc<Workspace>,
    work: impl FnOnce(&Path) -> Result<T, ToolError> + Send + 'static,
) -> Result<T, ToolError> {
    repository::blocking(move || {
        // Made and removed out here: the thread within may not touch the folder that it is in.
        let private = tempfile::Builder::new().prefix("opsgate-write-").permissions(Permissions::from_mode(0o700)).tempdir();
        let private = private.map_err(ToolError::internal)?;
        let path = private.path().to_owned();
        let thread = move || within(&workspace, &path).and_then(|()| work(&path));
        let running = std::thread::Builder::new().name("opsgate-write".to_owned()).spawn(thread).map_err(ToolError::internal)?;
        running.join().unwrap_or_else(|_| Err(ToolError::internal("the thread that writes panicked").maybe_done()))
    })
    .await
}

/// Takes from this thread the right to change anything else. It is not given back.
fn within(workspace: &Workspace, private: &Path) -> Result<(), ToolError> {
    let git = GitFolder::open(&repository::open(workspace)?, None)?;
    let private = File::open(private).map_err(ToolError::internal)?;
    let writing = AccessFs::from_write(ABI::V3);
    let restricted = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(writing)
        .and_then(Ruleset::create)
        .and_then(|rules| rules.add_rule(PathBeneath::new(workspace.dir(), writing)))
        .and_then(|rules| rules.add_rule(PathBeneath::new(git.common(), writing)))
        .and_then(|rules| rules.add_rule(PathBeneath::new(git.own(), writing)))
        .and_then(|rules| rules.add_rule(PathBeneath::new(&private, writing)))
        .and_then(|rules| rules.restrict_self());
    restricted.map(|_| ()).map_err(ToolError::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_link_made_meanwhile_leads_nowhere() {
        let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        git2::Repository::init(inside.path()).unwrap();
        std::fs::write(outside.path().join("theirs"), "theirs\n").unwrap();
        let workspace = Arc::new(Workspace::open(inside.path()).unwrap());
        let (to, from) = (outside.path().to_owned(), inside.path().to_owned());
        let tried = confined(workspace, move |private| {
            std::fs::write(private.join("private"), "x").unwrap();
            std::fs::write(from.join("ours"), "ours\n").unwrap();
            std::fs::rename(from.join("ours"), from.join(".git/ours")).unwrap();
            // Made after all was looked at, as another process would.
            std::os::unix::fs::symlink(&to, from.join(".git/logs")).unwrap();
            let through = from.join(".git/logs");
            Ok([
                std::fs::OpenOptions::new().append(true).open(through.join("theirs")).is_ok(),
                std::fs::write(through.join("new"), "x").is_ok(),
                std::fs::create_dir(through.join("folder")).is_ok(),
                std::fs::remove_file(through.join("theirs")).is_ok(),
                std::fs::rename(from.join(".git/ours"), through.join("ours")).is_ok(),
            ])
        })
        .await
        .unwrap();
        assert!(inside.path().join(".git/ours").exists());
        if crate::sandbox::available().is_err() {
            return; // an older kernel refuses nothing
        }
        assert_eq!(tried, [false; 5]);
        assert_eq!(std::fs::read_to_string(outside.path().join("theirs")).unwrap(), "theirs\n");
    }
}
