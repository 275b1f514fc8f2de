//! Putting a whole file or link in place at once, or taking one away: written beside, synced, then exchanged with what was judged.

use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::unix::fs::MetadataExt;

use cap_std::fs::Dir;
use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use tokio_util::sync::CancellationToken;

use super::open::{self, FLAGS, OpenFile};
use super::owner::{self, Began, Owner};
use super::path::RepoPath;
use super::repository::live;
use super::spot::{Spot, There, identity, moved};
use crate::error::{ToolError, ToolErrorKind};

/// What was at a spot when the call was judged.
#[derive(Debug)]
pub(super) enum Old {
    Nothing,
    File(OldFile),
    /// By its text.
    Link(Vec<u8>),
}

#[derive(Debug)]
pub(super) struct OldFile {
    digest: [u8; 32],
    identity: (u64, u64),
    mode: u32,
    owner: Option<Owner>,
}

impl OldFile {
    pub(super) fn of(file: &OpenFile, digest: [u8; 32]) -> Result<Self, ToolError> {
        Ok(Self { digest, identity: identity(file)?, mode: file.metadata()?.mode() & 0o777, owner: file.owner() })
    }

    fn is(&self, file: &OpenFile) -> Result<bool, ToolError> {
        Ok(identity(file)? == self.identity && file.digest()? == self.digest)
    }
}

impl Old {
    /// What is there now; `None` where it is a folder or the like.
    pub(super) fn at(spot: &Spot) -> Result<Option<Self>, ToolError> {
        Ok(match spot.there()? {
            There::Nothing => Some(Self::Nothing),
            There::File(file) => Some(Self::File(OldFile::of(&file, file.digest()?)?)),
            There::Link(text) => Some(Self::Link(text)),
            There::Folder | There::Special => None,
        })
    }

    /// The content of a file.
    pub(super) fn digest(&self) -> Option<[u8; 32]> {
        if let Self::File(file) = self { Some(file.digest) } else { None }
    }

    /// Whether what is at the spot is what was judged.
    pub(super) fn is_at(&self, spot: &Spot) -> Result<bool, ToolError> {
        match (spot.there()?, self) {
            (There::Nothing, Self::Nothing) => Ok(true),
            (There::File(file), Self::File(old)) => old.is(&file),
            (There::Link(text), Self::Link(old)) => Ok(text == *old),
            _ => Ok(false),
        }
    }

    fn is_named(&self, dir: &Dir, name: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::File(old) => open::entry_file(dir, name.as_ref()).is_some_and(|file| old.is(&file).unwrap_or(false)),
            Self::Link(old) => rustix::fs::readlinkat(dir, name, Vec::new()).is_ok_and(|text| text.as_bytes() == old.as_slice()),
        }
    }
}

/// What is to be there. One that replaces a file keeps its mode.
pub(super) enum New<'c> {
    File { content: &'c mut dyn io::Read, executable: bool },
    Link(&'c str),
}

/// Puts `new` at the spot in place of `old`, or where nothing was.
///
/// Both are one step of the kernel: a name that is taken is not renamed over, and what is replaced comes out under the
/// temporary name, where it is compared once more and put back if it is not what was judged. What remains: who still has the
/// old file open writes into the old file; and a file system that cannot exchange names leaves a moment between comparing
/// and renaming in which another program's change is lost.
// INVARIANT: at any moment the name leads to the old content or to the new one, whole (test: a_write_that_fails_leaves_what_was_there).
pub(super) fn put(spot: &Spot, path: &RepoPath, new: New<'_>, old: &Old, cancel: &CancellationToken) -> Result<(), ToolError> {
    let made = Folders::make(spot, path)?;
    let dir = made.last().unwrap_or_else(|| spot.dir());
    let temporary = Temporary::write(dir, new, old)?;
    if spot.missing().is_empty() && !old.is_at(spot)? {
        return Err(moved(path));
    }
    live(cancel)?;
    match old {
        Old::Nothing => temporary.take_free_name(spot.name(), path)?,
        Old::File(_) | Old::Link(_) => temporary.replace(spot.name(), old, path)?,
    }
    let synced = made.made.iter().chain([spot.dir()]).try_for_each(rustix::fs::fsync);
    made.keep();
    synced.map_err(unsynced)
}

/// Takes away the file or the link at the spot: renamed first, and put back where it is not what was judged.
// INVARIANT: what is removed is what was judged (test: what_another_put_there_is_not_removed).
pub(super) fn remove(spot: &Spot, path: &RepoPath, old: &Old) -> Result<(), ToolError> {
    if matches!(old, Old::Nothing) || !spot.missing().is_empty() {
        return Err(moved(path));
    }
    let (dir, aside) = (spot.dir(), beside());
    match renamed_to_free(dir, spot.name(), &aside) {
        Ok(()) => {}
        Err(Errno::NOENT) => return Err(moved(path)),
        Err(errno) => return Err(failed("removed", errno)),
    }
    if !old.is_named(dir, &aside) {
        let _ = renamed_to_free(dir, &aside, spot.name()); // where the name is taken again, it stays under the other one
        return Err(moved(path));
    }
    rustix::fs::unlinkat(dir, aside.as_str(), AtFlags::empty()).map_err(|errno| failed("removed", errno).maybe_done())?;
    rustix::fs::fsync(dir).map_err(unsynced)
}

/// A name that nobody else has.
fn beside() -> String {
    format!(".opsgate-{:016x}.tmp", RandomState::new().build_hasher().finish())
}

fn renamed_to_free(dir: &Dir, from: &str, to: &str) -> rustix::io::Result<()> {
    match rustix::fs::renameat_with(dir, from, dir, to, RenameFlags::NOREPLACE) {
        // A file system that cannot: a link refuses a taken name too.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            rustix::fs::linkat(dir, from, dir, to, AtFlags::empty())?;
            rustix::fs::unlinkat(dir, from, AtFlags::empty())
        }
        renamed => renamed,
    }
}

/// What is new, under a name of its own. Whatever has that name in the end is removed.
struct Temporary<'d> {
    dir: &'d Dir,
    name: String,
    identity: (u64, u64),
}

impl<'d> Temporary<'d> {
    fn write(dir: &'d Dir, new: New<'_>, old: &Old) -> Result<Self, ToolError> {
        let mut temporary = Self { dir, name: beside(), identity: (0, 0) };
        match new {
            New::Link(text) => {
                rustix::fs::symlinkat(text, dir, temporary.name.as_str()).map_err(|errno| failed("created", errno))?;
                temporary.identity = named(dir, &temporary.name).ok_or_else(|| failed("created", "it is gone"))?;
            }
            New::File { content, executable } => temporary.fill(content, executable, old)?,
        }
        Ok(temporary)
    }

    fn fill(&mut self, content: &mut dyn io::Read, executable: bool, old: &Old) -> Result<(), ToolError> {
        // One that replaces a private file is never wider than it, not even for a moment. A new one is as the umask, or the
        // folder's default access list, says.
        let (mode, owner) = match old {
            Old::File(old) => (0o600, old.owner),
            _ if executable => (0o777, Owner::of(self.dir)),
            _ => (0o666, Owner::of(self.dir)),
        };
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(self.dir, self.name.as_str(), flags, Mode::from_raw_mode(mode));
        let mut file = opened.map(File::from).map_err(|errno| {
            self.name.clear();
            failed("created", errno)
        })?;
        let meta = file.metadata().map_err(|error| failed("created", error))?;
        self.identity = (meta.dev(), meta.ino());
        owner::give(&file, owner);
        if let Old::File(old) = old {
            rustix::fs::fchmod(&file, Mode::from_raw_mode(old.mode)).map_err(|errno| failed("given its mode", errno))?;
        }
        io::copy(content, &mut file).and_then(|_| file.sync_all()).map_err(|error| failed("written", error))
    }

    // INVARIANT: what is replaced is what was judged (test: of_two_writes_at_once_one_is_made).
    fn replace(mut self, to: &str, old: &Old, path: &RepoPath) -> Result<(), ToolError> {
        match self.exchange(to) {
            Ok(()) => {}
            Err(Errno::NOENT) => return Err(moved(path)),
            // A file system that cannot.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                return if old.is_named(self.dir, to) { self.rename(to) } else { Err(moved(path)) };
            }
            Err(errno) => return Err(failed("put in place", errno)),
        }
        if old.is_named(self.dir, &self.name) {
            return Ok(());
        }
        let is_back = self.exchange(to).is_ok();
        if !(is_back && named(self.dir, &self.name) == Some(self.identity)) {
            self.name.clear(); // another program's file: it stays, under the temporary name
        }
        Err(moved(path))
    }

    fn take_free_name(self, to: &str, path: &RepoPath) -> Result<(), ToolError> {
        let taken = renamed_to_free(self.dir, &self.name, to);
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

/// Which file or link has that name.
fn named(dir: &Dir, name: &str) -> Option<(u64, u64)> {
    rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).ok().map(|stat| (stat.st_dev, stat.st_ino))
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

fn unsynced(errno: Errno) -> ToolError {
    failed("synced, though it was changed", errno).maybe_done()
}

fn failed(what: &str, cause: impl std::fmt::Display) -> ToolError {
    ToolError::new(ToolErrorKind::Upstream, format!("the file could not be {what}; is there room, and may opsgate's user write there?"))
        .because(cause)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;

    use super::*;

    fn dir(path: &Path) -> Dir {
        Dir::from_std_file(File::open(path).unwrap())
    }

    fn path(text: &str) -> RepoPath {
        RepoPath::parse(text).unwrap()
    }

    fn write(root: &Dir, at: &str, content: &mut dyn io::Read, executable: bool) -> Result<(), ToolError> {
        let spot = Spot::of(root, &path(at))?;
        let old = Old::at(&spot)?.unwrap();
        put(&spot, &path(at), New::File { content, executable }, &old, &CancellationToken::new())
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_placed_whole_and_never_through_a_link() {
        let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let root = dir(folder.path());
        write(&root, "a/b/c", &mut &b"one"[..], true).unwrap();
        let there = folder.path().join("a/b/c");
        assert_eq!(std::fs::metadata(&there).unwrap().permissions().mode() & 0o700, 0o700);
        let (held, mode) = (File::open(&there).unwrap(), std::fs::metadata(&there).unwrap().permissions());
        write(&root, "a/b/c", &mut &b"two"[..], false).unwrap();
        assert_eq!(std::fs::read_to_string(&there).unwrap(), "two");
        assert_eq!(io::read_to_string(held).unwrap(), "one");
        assert_eq!(std::fs::metadata(&there).unwrap().permissions(), mode, "the mode is kept");

        std::fs::write(outside.path().join("x"), "mine").unwrap();
        symlink(outside.path(), folder.path().join("out")).unwrap();
        assert!(write(&root, "out/x", &mut &b"theirs"[..], false).is_err());
        symlink(outside.path().join("x"), folder.path().join("linked")).unwrap();
        write(&root, "linked", &mut &b"theirs"[..], false).unwrap();
        assert_eq!(std::fs::read_to_string(outside.path().join("x")).unwrap(), "mine");

        for (at, text) in [("a/link", "b/c"), ("a/link", "b"), ("linked", "a/b/c")] {
            let spot = Spot::of(&root, &path(at)).unwrap();
            let old = Old::at(&spot).unwrap().unwrap();
            put(&spot, &path(at), New::Link(text), &old, &CancellationToken::new()).unwrap();
            assert_eq!(std::fs::read_link(folder.path().join(at)).unwrap(), Path::new(text));
        }
        for at in ["a/link", "linked", "a/b/c"] {
            let spot = Spot::of(&root, &path(at)).unwrap();
            remove(&spot, &path(at), &Old::at(&spot).unwrap().unwrap()).unwrap();
        }
        assert_eq!((names(folder.path()), names(&folder.path().join("a/b"))), (vec!["a".to_owned(), "out".to_owned()], Vec::new()));
    }

    /// Another program comes while the new content is written.
    struct Meanwhile<F: FnMut()>(F);

    impl<F: FnMut()> io::Read for Meanwhile<F> {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            (self.0)();
            Ok(0)
        }
    }

    #[test]
    fn what_another_wrote_meanwhile_stays() {
        let folder = tempfile::tempdir().unwrap();
        let root = dir(folder.path());
        let at = |name: &str| folder.path().join(name);
        for (nth, meanwhile) in [|at: &Path| std::fs::write(at, "theirs").unwrap(), |at: &Path| symlink("theirs", at).unwrap()].iter().enumerate() {
            for was_there in [true, false] {
                let _ = std::fs::remove_file(at("x"));
                if was_there {
                    std::fs::write(at("x"), "old").unwrap();
                }
                let mut another = Meanwhile(|| {
                    let _ = std::fs::remove_file(at("x"));
                    meanwhile(&at("x"));
                });
                assert_eq!(write(&root, "x", &mut another, false).unwrap_err().kind, ToolErrorKind::Moved);
                let is_theirs = if nth == 0 { std::fs::read_to_string(at("x")).unwrap() == "theirs" } else { at("x").is_symlink() };
                assert!(is_theirs && names(folder.path()) == ["x"], "{nth} {was_there}");
            }
        }
    }

    #[test]
    fn what_another_put_there_is_not_removed() {
        let folder = tempfile::tempdir().unwrap();
        let root = dir(folder.path());
        let there = folder.path().join("x");
        std::fs::write(&there, "old").unwrap();
        let spot = Spot::of(&root, &path("x")).unwrap();
        let old = Old::at(&spot).unwrap().unwrap();
        std::fs::write(&there, "theirs").unwrap();
        assert_eq!(remove(&spot, &path("x"), &old).unwrap_err().kind, ToolErrorKind::Moved);
        assert_eq!(std::fs::read_to_string(&there).unwrap(), "theirs");
        let old = Old::at(&spot).unwrap().unwrap();
        std::fs::remove_file(&there).unwrap();
        assert_eq!(remove(&spot, &path("x"), &old).unwrap_err().kind, ToolErrorKind::Moved);
        assert_eq!(names(folder.path()), [""; 0]);
    }
}
