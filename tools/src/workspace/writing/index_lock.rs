//! git's index, changed as git changes it: under its own lock, and in place only once the branch has moved.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use git2::{Index, IndexEntry, Repository};

use crate::error::{ToolError, ToolErrorKind};
use crate::workspace::owner::{self, Owner};
use crate::workspace::repository::failed;

/// A larger index is not rewritten, in bytes.
const LARGEST: u64 = 256 << 20;

/// The index of a repository without one: its header, and the SHA-1 of that.
const EMPTY: [u8; 32] = [
    b'D', b'I', b'R', b'C', 0, 0, 0, 2, 0, 0, 0, 0, 0x39, 0xd8, 0x90, 0x13, 0x9e, 0xe5, 0x35, 0x6c, 0x7e, 0xf5, 0x72, 0x21, 0x6c, 0xeb, 0xcd, 0x27,
    0xaa, 0x41, 0xf9, 0xdf,
];

/// Holds `index.lock`, which no other git process gets meanwhile. Removed on drop unless it became the index.
pub(super) struct IndexLock {
    index: PathBuf,
    lock: PathBuf,
    /// When the old index was written.
    written: Option<SystemTime>,
    held: bool,
}

impl IndexLock {
    pub(super) fn take(repo: &Repository) -> Result<Self, ToolError> {
        let index = repo.path().join("index");
        let lock = repo.path().join("index.lock");
        let mut file = OpenOptions::new().write(true).create_new(true).open(&lock).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => busy(),
            _ => unwritable(error),
        })?;
        let mut taken = Self { index, lock, written: None, held: true };
        taken.copy_index(&mut file)?;
        Ok(taken)
    }

    fn copy_index(&mut self, lock: &mut File) -> Result<(), ToolError> {
        let old = match File::open(&self.index) {
            Ok(old) => old,
            Err(error) if error.kind() == ErrorKind::NotFound => return lock.write_all(&EMPTY).map_err(unwritable),
            Err(error) => return Err(unwritable(error)),
        };
        self.written = old.metadata().and_then(|meta| meta.modified()).ok();
        let copied = std::io::copy(&mut old.take(LARGEST + 1), lock).map_err(unwritable)?;
        if copied > LARGEST {
            return Err(ToolError::new(ToolErrorKind::TooLarge, "git's index is too large to be rewritten here; commit with git"));
        }
        Ok(())
    }

    /// Sets these entries, and removes these paths, in the index that is to come.
    pub(super) fn stage(&self, set: &[IndexEntry], removed: &[&Path]) -> Result<(), ToolError> {
        let mut index = Index::open(&self.lock).map_err(unsupported)?;
        for path in removed {
            if index.get_path(path, 0).is_some() {
                index.remove(path, 0).map_err(failed)?;
            }
        }
        for entry in set {
            index.add(entry).map_err(failed)?;
        }
        index.write().map_err(unwritable)?;
        let file = OpenOptions::new().write(true).open(&self.lock).map_err(unwritable)?;
        owner::give(&file, self.index.parent().and_then(Owner::at));
        // git looks again at an entry that is not older than the index; a newer time would hide a change of the same moment.
        if let Some(written) = self.written {
            file.set_modified(written).map_err(unwritable)?;
        }
        file.sync_all().map_err(unwritable)
    }

    /// Puts the new index in the place of the old one.
    pub(super) fn publish(mut self) -> Result<(), ToolError> {
        std::fs::rename(&self.lock, &self.index).map_err(unwritable)?;
        self.held = false;
        Ok(())
    }
}

impl Drop for IndexLock {
    fn drop(&mut self) {
        if self.held {
            let _ = std::fs::remove_file(&self.lock);
        }
    }
}

/// Somebody else commits, stages or merges at this moment.
pub(super) fn busy() -> ToolError {
    let client = "another git process is at work in this repository; ask again, and where none is, remove git's stale `index.lock`";
    ToolError::new(ToolErrorKind::Moved, client)
}

/// A split or sparse index, or a damaged one.
pub(super) fn unsupported(error: git2::Error) -> ToolError {
    ToolError::new(ToolErrorKind::Unavailable, "git's index is of a kind (split, sparse) that is not rewritten here; commit with git").because(error)
}

fn unwritable(cause: impl std::fmt::Display) -> ToolError {
    ToolError::new(ToolErrorKind::Upstream, "git's index could not be written; is there room, and may opsgate's user write there?").because(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_index_is_one_to_git() {
        let top = tempfile::TempDir::new().unwrap();
        let repo = Repository::init(top.path()).unwrap();
        let lock = IndexLock::take(&repo).unwrap();
        lock.stage(&[], &[]).unwrap();
        assert!(IndexLock::take(&repo).is_err_and(|error| error.kind == ToolErrorKind::Moved));
        lock.publish().unwrap();
        assert_eq!(repo.index().unwrap().len(), 0);
        drop(IndexLock::take(&repo).unwrap());
        assert!(!repo.path().join("index.lock").exists());
    }
}
