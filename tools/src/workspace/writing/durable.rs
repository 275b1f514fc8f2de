//! What libgit2 wrote, settled: brought to the disk, since a record would else outlive its commit, and given to its owner.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use cap_std::fs::Dir;
use git2::{Oid, Repository, Tree};

use super::git_folder::{self, GitFolder};
use crate::error::{ToolError, ToolErrorKind};
use crate::workspace::owner;
use crate::workspace::path::RepoPath;
use crate::workspace::repository::failed;

/// Settles these objects where they lie alone; those in a pack were there before.
pub(super) fn objects(git: &GitFolder, ids: &[Oid]) -> Result<(), ToolError> {
    let store = Path::new("objects");
    let mut folders = BTreeSet::new();
    for id in ids {
        let name = id.to_string();
        let Some((folder, file)) = name.split_at_checked(2) else { continue };
        let folder = store.join(folder);
        if settle(git, git.common(), &folder.join(file)).map_err(unsynced)? {
            folders.insert(folder);
        }
    }
    folders.insert(store.to_owned());
    folders.iter().try_for_each(|folder| settle(git, git.common(), folder).map(drop)).map_err(unsynced)
}

/// The trees that a tree has on the way to these paths, itself included.
pub(super) fn trees_on_the_way<'p>(tree: &Tree<'_>, paths: impl Iterator<Item = &'p RepoPath>) -> Vec<Oid> {
    let folders: BTreeSet<PathBuf> = paths.flat_map(|path| Path::new(path.as_str()).ancestors().skip(1).map(Path::to_owned)).collect();
    let below =
        folders.iter().filter(|folder| !folder.as_os_str().is_empty()).filter_map(|folder| tree.get_path(folder).ok().map(|entry| entry.id()));
    below.chain([tree.id()]).collect()
}

/// Settles a branch and the logs of it, where they have files of their own.
pub(super) fn reference(git: &GitFolder, name: &str) -> Result<(), ToolError> {
    for (folder, log) in [(git.common(), Path::new("logs").join(name)), (git.own(), Path::new("logs/HEAD").to_owned())] {
        for path in up(&log) {
            let _ = settle(git, folder, path); // a log tells of the branch; it is not the branch
        }
    }
    up(Path::new(name)).try_for_each(|path| settle(git, git.common(), path).map(drop)).map_err(unsynced)
}

/// A path and the folders above it, up from it.
fn up(path: &Path) -> impl Iterator<Item = &Path> {
    path.ancestors().filter(|path| !path.as_os_str().is_empty())
}

/// Keeps content in git's own store, where no reference names it: it is not pushed, and `git gc` ends it in time.
pub(super) fn kept(repo: &Repository, git: &GitFolder, content: &[u8]) -> Result<Oid, ToolError> {
    let id = repo.blob(content).map_err(failed)?;
    objects(git, &[id])?;
    Ok(id)
}

/// Gives what libgit2 made to its owner and syncs it; whether a file or a folder was there.
fn settle(git: &GitFolder, folder: &Dir, path: &Path) -> io::Result<bool> {
    let Some(file) = git_folder::walk(folder, path)? else { return Ok(false) };
    owner::give_made(&file, git.owner(), git.began());
    file.sync_all().map(|()| true)
}

fn unsynced(error: io::Error) -> ToolError {
    ToolError::new(ToolErrorKind::Upstream, "git's store could not be synced to the disk").because(error)
}

#[cfg(test)]
mod tests {
    use std::fs::metadata;
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    /// What is swapped in after git's folder was looked at.
    #[test]
    fn what_became_a_link_or_a_pipe_meanwhile_is_left_alone() {
        let (top, outside) = (tempfile::TempDir::new().unwrap(), tempfile::TempDir::new().unwrap());
        let repo = Repository::init(top.path()).unwrap();
        let is_root = std::os::unix::fs::chown(repo.path(), Some(4711), Some(4712)).is_ok();
        let git = GitFolder::open(&repo, Some("main")).unwrap();
        let id = repo.blob(b"x").unwrap();
        let theirs = outside.path().join("theirs");
        std::fs::write(&theirs, "made since, and not in git's folder").unwrap();
        let uid = || metadata(&theirs).unwrap().uid();
        let before = uid();
        let at = |path: &str| repo.path().join(path);

        std::fs::create_dir_all(at("logs/refs/heads")).unwrap();
        symlink(&theirs, at("logs/HEAD")).unwrap();
        symlink(&theirs, at("logs/refs/heads/main")).unwrap();
        reference(&git, "refs/heads/main").unwrap();
        assert_eq!(is_root, metadata(at("logs/refs")).unwrap().uid() == 4711);
        symlink(&theirs, at("refs/heads/main")).unwrap();
        assert!(reference(&git, "refs/heads/main").is_err());

        let name = id.to_string();
        let (folder, file) = name.split_at(2);
        let object = at("objects").join(folder).join(file);
        objects(&git, &[id]).unwrap();
        std::fs::remove_file(&object).unwrap();
        symlink(&theirs, &object).unwrap();
        assert!(objects(&git, &[id]).is_err());
        std::fs::remove_dir_all(at("objects").join(folder)).unwrap();
        symlink(outside.path(), at("objects").join(folder)).unwrap();
        std::fs::rename(&theirs, outside.path().join(file)).unwrap();
        assert!(objects(&git, &[id]).is_err());
        assert_eq!(metadata(outside.path().join(file)).unwrap().uid(), before);

        std::fs::remove_file(at("logs/HEAD")).unwrap();
        std::fs::remove_file(at("refs/heads/main")).unwrap();
        assert!(std::process::Command::new("mkfifo").args([at("logs/HEAD"), at("refs/heads/main")]).status().unwrap().success());
        reference(&git, "refs/heads/main").unwrap(); // it ends
    }
}
