//! What libgit2 wrote, brought to the disk: it leaves that to the system, and a record would then outlive its commit.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use git2::{Oid, Repository, Tree};

use super::path::RepoPath;
use super::repository::failed;
use crate::error::{ToolError, ToolErrorKind};

/// Syncs these objects where they lie alone; those in a pack were there before.
pub(super) fn objects(repo: &Repository, ids: &[Oid]) -> Result<(), ToolError> {
    let store = repo.commondir().join("objects");
    let mut folders = BTreeSet::new();
    for id in ids {
        let name = id.to_string();
        let Some((folder, file)) = name.split_at_checked(2) else { continue };
        let folder = store.join(folder);
        if sync(&folder.join(file)).map_err(unsynced)? {
            folders.insert(folder);
        }
    }
    folders.insert(store);
    folders.iter().try_for_each(|folder| sync(folder).map(drop)).map_err(unsynced)
}

/// The trees that a tree has on the way to these paths, itself included.
pub(super) fn trees_on_the_way<'p>(tree: &Tree<'_>, paths: impl Iterator<Item = &'p RepoPath>) -> Vec<Oid> {
    let folders: BTreeSet<PathBuf> = paths.flat_map(|path| Path::new(path.as_str()).ancestors().skip(1).map(Path::to_owned)).collect();
    let below =
        folders.iter().filter(|folder| !folder.as_os_str().is_empty()).filter_map(|folder| tree.get_path(folder).ok().map(|entry| entry.id()));
    below.chain([tree.id()]).collect()
}

/// Syncs a reference, where it has a file of its own.
pub(super) fn reference(repo: &Repository, name: &str) -> Result<(), ToolError> {
    let file = repo.commondir().join(name);
    let folders = file.ancestors().skip(1).take_while(|folder| folder.starts_with(repo.commondir().join("refs")));
    std::iter::once(file.as_path()).chain(folders).try_for_each(|path| sync(path).map(drop)).map_err(unsynced)
}

/// Keeps content in git's own store, where no reference names it: it is not pushed, and `git gc` ends it in time.
pub(super) fn kept(repo: &Repository, content: &[u8]) -> Result<Oid, ToolError> {
    let id = repo.blob(content).map_err(failed)?;
    objects(repo, &[id])?;
    Ok(id)
}

/// Whether it was there to be synced.
fn sync(path: &Path) -> io::Result<bool> {
    match File::open(path) {
        Ok(file) => file.sync_all().map(|()| true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn unsynced(error: io::Error) -> ToolError {
    ToolError::new(ToolErrorKind::Upstream, "git's store could not be synced to the disk").because(error)
}
