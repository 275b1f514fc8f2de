//! git's index, changed as git changes it: under its own lock, and in place only once the branch has moved.

use std::fs::{File, OpenOptions};
use std::io::{Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use cap_std::fs::Dir;
use git2::{Index, IndexEntry};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::git_folder::{self, GitFolder};
use crate::error::{ToolError, ToolErrorKind};
use crate::workspace::owner::{self, Owner};
use crate::workspace::repository::failed;

const INDEX: &str = "index";
const LOCK: &str = "index.lock";
/// As it is called in a private folder, where libgit2 changes it by its name.
const PRIVATE: &str = "index";

/// A larger index is not rewritten, in bytes.
const LARGEST: u64 = 256 << 20;

/// The index of a repository without one: its header, and the SHA-1 of that.
const EMPTY: [u8; 32] = [
    b'D', b'I', b'R', b'C', 0, 0, 0, 2, 0, 0, 0, 0, 0x39, 0xd8, 0x90, 0x13, 0x9e, 0xe5, 0x35, 0x6c, 0x7e, 0xf5, 0x72, 0x21, 0x6c, 0xeb, 0xcd, 0x27,
    0xaa, 0x41, 0xf9, 0xdf,
];

/// Holds `index.lock`, which no other git process gets meanwhile. Removed on drop unless it became the index.
pub(super) struct IndexLock {
    git: Dir,
    owner: Option<Owner>,
    lock: File,
    /// The index that is to come: nobody else can put another file in its place, and what is no index never leaves it.
    private: tempfile::TempDir,
    /// When the old index was written.
    written: Option<SystemTime>,
    held: bool,
}

impl IndexLock {
    /// Locks the index; its next state is made in the folder `private`.
    // INVARIANT: what becomes the index, and the repository's owner's, is the file made here (test:
    // a_lock_that_became_another_file_is_not_published).
    pub(super) fn take(git: &GitFolder, private: &Path) -> Result<Self, ToolError> {
        let old = git_folder::walk(git.own(), INDEX.as_ref()).map_err(unwritable)?;
        let old = old.map(|old| old.metadata().map(|meta| (old, meta))).transpose().map_err(unwritable)?;
        if old.as_ref().is_some_and(|(_, meta)| !meta.is_file()) {
            return Err(ToolError::new(ToolErrorKind::Unavailable, "git's index is no file; `git status` tells more"));
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(if old.is_some() { 0o600 } else { 0o666 });
        let lock =
            rustix::fs::openat(git.own(), LOCK, flags, mode).map_err(|errno| if errno == Errno::EXIST { busy() } else { unwritable(errno) })?;
        let mut taken = Self {
            git: git.own().try_clone().map_err(ToolError::internal)?,
            owner: git.owner(),
            lock: File::from(lock),
            private: tempfile::Builder::new().prefix("index-").tempdir_in(private).map_err(unwritable)?,
            written: None,
            held: true,
        };
        let mut private = File::create_new(taken.private.path().join(PRIVATE)).map_err(unwritable)?;
        match old {
            None => private.write_all(&EMPTY).map_err(unwritable)?,
            Some((old, meta)) => {
                taken.written = meta.modified().ok();
                copied(old, &mut private)?;
                rustix::fs::fchmod(&taken.lock, Mode::from_raw_mode(meta.mode() & 0o666)).map_err(unwritable)?;
            }
        }
        Ok(taken)
    }

    /// Sets these entries, and removes these paths, in the index that is to come.
    pub(super) fn stage(&mut self, set: &[IndexEntry], removed: &[&Path]) -> Result<(), ToolError> {
        let private = self.private.path().join(PRIVATE);
        let mut index = Index::open(&private).map_err(unsupported)?;
        for path in removed {
            if index.get_path(path, 0).is_some() {
                index.remove(path, 0).map_err(failed)?;
            }
        }
        for entry in set {
            index.add(entry).map_err(failed)?;
        }
        index.write().map_err(unwritable)?;
        self.lock.set_len(0).and_then(|()| self.lock.rewind()).map_err(unwritable)?;
        copied(OpenOptions::new().read(true).open(&private).map_err(unwritable)?, &mut self.lock)?;
        owner::give(&self.lock, self.owner);
        // git looks again at an entry that is not older than the index; a newer time would hide a change of the same moment.
        if let Some(written) = self.written {
            self.lock.set_modified(written).map_err(unwritable)?;
        }
        self.lock.sync_all().map_err(unwritable)
    }

    /// Puts the new index in the place of the old one.
    pub(super) fn publish(mut self) -> Result<(), ToolError> {
        if !self.is_own() {
            self.held = false;
            return Err(unwritable("another file has taken the place of the lock"));
        }
        rustix::fs::renameat(&self.git, LOCK, &self.git, INDEX).map_err(unwritable)?;
        self.held = false;
        Ok(())
    }

    fn is_own(&self) -> bool {
        let there = rustix::fs::statat(&self.git, LOCK, AtFlags::SYMLINK_NOFOLLOW);
        self.lock.metadata().is_ok_and(|own| there.is_ok_and(|there| (there.st_dev, there.st_ino) == (own.dev(), own.ino())))
    }
}

impl Drop for IndexLock {
    fn drop(&mut self) {
        if self.held && self.is_own() {
            let _ = rustix::fs::unlinkat(&self.git, LOCK, AtFlags::empty());
        }
    }
}

fn copied(from: File, to: &mut File) -> Result<(), ToolError> {
    match std::io::copy(&mut std::io::Read::take(from, LARGEST + 1), to).map_err(unwritable)? {
        0..=LARGEST => Ok(()),
        _ => Err(ToolError::new(ToolErrorKind::TooLarge, "git's index is too large to be rewritten here; commit with git")),
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
    use git2::Repository;

    use super::*;

    #[test]
    fn an_empty_index_is_one_to_git() {
        let top = tempfile::TempDir::new().unwrap();
        let repo = Repository::init(top.path()).unwrap();
        let git = GitFolder::open(&repo, None).unwrap();
        let mut lock = IndexLock::take(&git, &std::env::temp_dir()).unwrap();
        lock.stage(&[], &[]).unwrap();
        assert!(IndexLock::take(&git, &std::env::temp_dir()).is_err_and(|error| error.kind == ToolErrorKind::Moved));
        lock.publish().unwrap();
        assert_eq!(repo.index().unwrap().len(), 0);
        drop(IndexLock::take(&git, &std::env::temp_dir()).unwrap());
        assert!(!repo.path().join(LOCK).exists());
    }

    #[test]
    fn a_lock_that_became_another_file_is_not_published() {
        let top = tempfile::TempDir::new().unwrap();
        let repo = Repository::init(top.path()).unwrap();
        let git = GitFolder::open(&repo, None).unwrap();
        let (theirs, lock_path) = (top.path().join("theirs"), repo.path().join(LOCK));
        std::fs::write(&theirs, "theirs").unwrap();
        let before = theirs.metadata().unwrap();
        let mut lock = IndexLock::take(&git, &std::env::temp_dir()).unwrap();
        std::fs::remove_file(&lock_path).unwrap();
        std::os::unix::fs::symlink(&theirs, &lock_path).unwrap();
        lock.stage(&[], &[]).unwrap();
        assert!(lock.publish().is_err());
        let after = theirs.metadata().unwrap();
        assert_eq!((before.modified().unwrap(), before.uid()), (after.modified().unwrap(), after.uid()));
        assert_eq!(std::fs::read_to_string(&theirs).unwrap(), "theirs");
        assert!(lock_path.is_symlink() && !repo.path().join(INDEX).exists());
    }
}
