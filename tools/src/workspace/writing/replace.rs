//! Putting a whole file in place at once: written beside, synced, then renamed over what was judged.

use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Write;
use std::os::unix::fs::MetadataExt;

use cap_std::fs::Dir;
use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use tokio_util::sync::CancellationToken;

use super::spot::{Spot, There, identity, moved};
use crate::error::{ToolError, ToolErrorKind};
use crate::workspace::content::hex_digest;
use crate::workspace::open::{self, FLAGS, OpenFile};
use crate::workspace::owner::{self, Began, Owner};
use crate::workspace::path::RepoPath;
use crate::workspace::repository::live;

/// A file that was there when the call was judged.
#[derive(Debug)]
pub(super) struct Old {
    pub(super) content: Vec<u8>,
    pub(super) sha256: String,
    identity: (u64, u64),
    mode: u32,
    owner: Option<Owner>,
}

impl Old {
    /// Reads an open file of at most `most` bytes; `None` where it is larger.
    pub(super) fn read(file: &OpenFile, most: usize) -> Result<Option<Self>, ToolError> {
        let (content, meta) = (file.read_at(0, most + 1)?, file.metadata()?);
        if content.len() > most {
            return Ok(None);
        }
        let sha256 = hex_digest(&content);
        Ok(Some(Self { content, sha256, identity: identity(file)?, mode: meta.mode() & 0o777, owner: file.owner() }))
    }

    fn is(&self, file: &OpenFile) -> Result<bool, ToolError> {
        Ok(identity(file)? == self.identity && hex_digest(&file.read_at(0, self.content.len() + 1)?) == self.sha256)
    }
}

/// Whether what is at the spot is what was judged.
pub(super) fn is_unchanged(spot: &Spot, old: Option<&Old>) -> Result<bool, ToolError> {
    match (spot.there()?, old) {
        (There::Nothing, None) => Ok(true),
        (There::File(file), Some(old)) => old.is(&file),
        _ => Ok(false),
    }
}

/// Puts `content` at the spot in place of `old`, or where nothing was.
///
/// Both are one step of the kernel: a name that is taken is not renamed over, and what is replaced comes out under the
/// temporary name, where it is compared once more and put back if it is not what was judged. What remains: who still has the
/// old file open writes into the old file; and a file system that cannot exchange names leaves a moment between comparing
/// and renaming in which another program's change is lost.
// INVARIANT: at any moment the name leads to the old content or to the new one, whole (test: a_write_that_fails_leaves_what_was_there).
pub(super) fn put(spot: &Spot, path: &RepoPath, content: &[u8], old: Option<&Old>, cancel: &CancellationToken) -> Result<(), ToolError> {
    let made = Folders::make(spot, path)?;
    let dir = made.last().unwrap_or_else(|| spot.dir());
    let temporary = Temporary::write(dir, content, old)?;
    if spot.missing().is_empty() && !is_unchanged(spot, old)? {
        return Err(moved(path));
    }
    live(cancel)?;
    match old {
        Some(old) => temporary.replace(spot.name(), old, path)?,
        None => temporary.take_free_name(spot.name(), path)?,
    }
    let synced = made.made.iter().chain([spot.dir()]).try_for_each(rustix::fs::fsync);
    made.keep();
    synced.map_err(|errno| failed("synced, though it was written", errno))
}

/// The new content under a name of its own. Whatever has that name in the end is removed.
struct Temporary<'d> {
    dir: &'d Dir,
    name: String,
    identity: (u64, u64),
}

impl<'d> Temporary<'d> {
    fn write(dir: &'d Dir, content: &[u8], old: Option<&Old>) -> Result<Self, ToolError> {
        // One that replaces a private file is never wider than it, not even for a moment. A new one is as the umask, or the
        // folder's default access list, says.
        let mode = Mode::from_raw_mode(if old.is_some() { 0o600 } else { 0o666 });
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let name = format!(".opsgate-{:016x}.tmp", RandomState::new().build_hasher().finish());
        let mut file = rustix::fs::openat(dir, name.as_str(), flags, mode).map(File::from).map_err(|errno| failed("created", errno))?;
        let meta = file.metadata().map_err(|error| failed("created", error))?;
        let temporary = Self { dir, name, identity: (meta.dev(), meta.ino()) };
        owner::give(&file, old.map_or_else(|| Owner::of(dir), |old| old.owner));
        if let Some(old) = old {
            rustix::fs::fchmod(&file, Mode::from_raw_mode(old.mode)).map_err(|errno| failed("given its mode", errno))?;
        }
        file.write_all(content).and_then(|()| file.sync_all()).map_err(|error| failed("written", error))?;
        Ok(temporary)
    }

    // INVARIANT: what is replaced is what was judged (test: of_two_writes_at_once_one_is_made).
    fn replace(mut self, to: &str, old: &Old, path: &RepoPath) -> Result<(), ToolError> {
        match self.exchange(to) {
            Ok(()) => {}
            Err(Errno::NOENT) => return Err(moved(path)),
            // A file system that cannot.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                let is_judged = file(self.dir, to).is_some_and(|file| old.is(&file).unwrap_or(false));
                return if is_judged { self.rename(to) } else { Err(moved(path)) };
            }
            Err(errno) => return Err(failed("put in place", errno)),
        }
        if file(self.dir, &self.name).is_some_and(|file| old.is(&file).unwrap_or(false)) {
            return Ok(());
        }
        let is_back = self.exchange(to).is_ok();
        let is_own = file(self.dir, &self.name).is_some_and(|file| identity(&file).is_ok_and(|identity| identity == self.identity));
        if !(is_back && is_own) {
            self.name.clear(); // another program's file: it stays, under the temporary name
        }
        Err(moved(path))
    }

    fn take_free_name(self, to: &str, path: &RepoPath) -> Result<(), ToolError> {
        let (dir, from) = (self.dir, self.name.as_str());
        let taken = match rustix::fs::renameat_with(dir, from, dir, to, RenameFlags::NOREPLACE) {
            // A file system that cannot: a link refuses a taken name too.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => rustix::fs::linkat(dir, from, dir, to, AtFlags::empty()),
            taken => taken,
        };
        taken.map_err(|errno| if errno == Errno::EXIST { moved(path) } else { failed("put in place", errno) })
    }

    fn exchange(&self, to: &str) -> rustix::io::Result<()> {
        rustix::fs::renameat_with(self.dir, self.name.as_str(), self.dir, to, RenameFlags::EXCHANGE)
    }

    fn rename(&self, to: &str) -> Result<(), ToolError> {
        rustix::fs::renameat(self.dir, self.name.as_str(), self.dir, to).map_err(|errno| failed("put in place", errno))
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.name.is_empty() {
            let _ = rustix::fs::unlinkat(self.dir, self.name.as_str(), AtFlags::empty());
        }
    }
}

fn file(dir: &Dir, name: &str) -> Option<OpenFile> {
    open::entry_file(dir, name.as_ref())
}

/// Folders that had to be made, removed again unless they are kept.
struct Folders<'s> {
    spot: &'s Spot,
    made: Vec<Dir>,
    kept: bool,
}

impl<'s> Folders<'s> {
    fn make(spot: &'s Spot, path: &RepoPath) -> Result<Self, ToolError> {
        let mut folders = Self { spot, made: Vec::new(), kept: false };
        for name in spot.missing() {
            let (parent, began) = (folders.last().unwrap_or_else(|| spot.dir()), Began::now());
            match rustix::fs::mkdirat(parent, name.as_str(), Mode::from_raw_mode(0o777)) {
                Ok(()) => {}
                Err(Errno::EXIST) => return Err(moved(path)),
                Err(errno) => return Err(failed("given its folder", errno)),
            }
            let opened = rustix::fs::openat(parent, name.as_str(), FLAGS.union(OFlags::DIRECTORY), Mode::empty());
            let folder = opened.map(File::from).map_err(|_| moved(path))?;
            owner::give_made(&folder, Owner::of(parent), began);
            folders.made.push(Dir::from_std_file(folder));
        }
        Ok(folders)
    }

    fn last(&self) -> Option<&Dir> {
        self.made.last()
    }

    fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Folders<'_> {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        for (depth, name) in self.spot.missing().iter().enumerate().take(self.made.len()).rev() {
            let parent = depth.checked_sub(1).and_then(|above| self.made.get(above)).unwrap_or_else(|| self.spot.dir());
            let _ = rustix::fs::unlinkat(parent, name.as_str(), AtFlags::REMOVEDIR); // only where it is empty
        }
    }
}

fn failed(what: &str, cause: impl std::fmt::Display) -> ToolError {
    ToolError::new(ToolErrorKind::Upstream, format!("the file could not be {what}; is there room, and may opsgate's user write there?"))
        .because(cause)
}
