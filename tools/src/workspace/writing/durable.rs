//! What libgit2 wrote, settled: brought to the disk, since a record would else outlive its commit, and given to its owner.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use git2::{Oid, Repository, Tree};

use crate::error::{ToolError, ToolErrorKind};
use crate::workspace::owner::{self, Owner};
use crate::workspace::path::RepoPath;
use crate::workspace::repository::failed;

/// Settles these objects where they lie alone; those in a pack were there before.
pub(super) fn objects(repo: &Repository, ids: &[Oid]) -> Result<(), ToolError> {
    let (store, owner) = (repo.commondir().join("objects"), Owner::at(repo.commondir()));
    let mut folders = BTreeSet::new();
    for id in ids {
        let name = id.to_string();
        let Some((folder, file)) = name.split_at_checked(2) else { continue };
        let folder = store.join(folder);
        if settle(&folder.join(file), owner).map_err(unsynced)? {
            folders.insert(folder);
        }
    }
    folders.insert(store);
    folders.iter().try_for_each(|folder| settle(folder, owner).map(drop)).map_err(unsynced)
}

/// The trees that a tree has on the way to these paths, itself included.
pub(super) fn trees_on_the_way<'p>(tree: &Tree<'_>, paths: impl Iterator<Item = &'p RepoPath>) -> Vec<Oid> {
    let folders: BTreeSet<PathBuf> = paths.flat_map(|path| Path::new(path.as_str()).ancestors().skip(1).map(Path::to_owned)).collect();
    let below =
        folders.iter().filter(|folder| !folder.as_os_str().is_empty()).filter_map(|folder| tree.get_path(folder).ok().map(|entry| entry.id()));
    below.chain([tree.id()]).collect()
}

/// Settles a branch and the logs of it, where they have files of their own.
pub(super) fn reference(repo: &Repository, name: &str) -> Result<(), ToolError> {
    let owner = Owner::at(repo.commondir());
    let (file, log) = (repo.commondir().join(name), repo.commondir().join("logs").join(name));
    let inside = |path: &&Path| path.starts_with(repo.commondir()) && *path != repo.commondir();
    let up = |file: &Path| -> Vec<PathBuf> { file.ancestors().take_while(inside).map(Path::to_owned).collect() };
    for path in up(&log).iter().chain(&up(&repo.path().join("logs/HEAD"))) {
        let _ = settle(path, owner); // a log tells of the branch; it is not the branch
    }
    up(&file).iter().try_for_each(|path| settle(path, owner).map(drop)).map_err(unsynced)
}

/// Keeps content in git's own store, where no reference names it: it is not pushed, and `git gc` ends it in time.
pub(super) fn kept(repo: &Repository, content: &[u8]) -> Result<Oid, ToolError> {
    let id = repo.blob(content).map_err(failed)?;
    objects(repo, &[id])?;
    Ok(id)
}

/// Gives a file or a folder to its owner and syncs it; whether it was there.
fn settle(path: &Path, owner: Option<Owner>) -> io::Result<bool> {
    match File::open(path) {
        Ok(file) => {
            owner::give(&file, owner);
            file.sync_all().map(|()| true)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn unsynced(error: io::Error) -> ToolError {
    ToolError::new(ToolErrorKind::Upstream, "git's store could not be synced to the disk").because(error)
}
