//! Opening beneath the root: every component through the handle before it, every link followed by hand, so that the
//! place that was opened is known by construction and not looked up again.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, MetadataExt};

use cap_std::fs::Dir;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use super::nested::{self, Nested};
use super::owner::Owner;
use super::path::{self, RepoPath, quoted};
use crate::error::{ToolError, ToolErrorKind};
use crate::scope::{ScopeKind, Scopes};

/// As many links as Linux itself follows.
const MOST_LINKS: usize = 40;

/// Each folder on the way is an open handle while a path is followed.
pub(super) const DEEPEST: usize = 100;

/// `O_NONBLOCK` so that a fifo does not hang the open; `O_NOFOLLOW` so that a link is seen as one.
pub(super) const FLAGS: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC).union(OFlags::NOCTTY);

/// What a path led to, or why it led nowhere. A failure is kept, not returned, so that policy judges the path before
/// the caller learns whether anything is there.
#[derive(Debug)]
pub(super) struct Located {
    pub(super) asked: RepoPath,
    /// Where links led; for a failure, as far as it got.
    pub(super) real: RepoPath,
    pub(super) found: Result<Found, ToolError>,
    /// The repositories within the work tree that `real` lies in.
    nested: Nested,
    /// Their names, as the workspace tells them.
    repositories: Vec<String>,
}

impl Located {
    /// Adds the path asked for and, where links led elsewhere, the real one too: as the file or the
    /// folder that is there where the tool wants one, else as both.
    // INVARIANT: a denied path is refused alike whether it is there or not (test:
    // a_denied_folder_is_refused_whether_it_is_there_or_not).
    pub(super) fn scoped(&self, scopes: Scopes, wanted: &[ScopeKind]) -> Scopes {
        let kinds: &[ScopeKind] = match self.found {
            Ok(Found::File(_)) if wanted.contains(&ScopeKind::Path) => &[ScopeKind::Path],
            Ok(Found::Folder(_)) if wanted.contains(&ScopeKind::Tree) => &[ScopeKind::Tree],
            _ => &[ScopeKind::Path, ScopeKind::Tree],
        };
        kinds.iter().fold(self.within(scopes), |scopes, kind| self.names().fold(scopes, |scopes, name| scopes.and(*kind, name)))
    }

    /// The path asked for, the real one, and that from the top of each repository that it lies in.
    fn names(&self) -> impl Iterator<Item = &str> {
        let real = Some(self.real.as_str()).filter(|_| self.real != self.asked);
        std::iter::once(self.asked.as_str()).chain(real).chain(self.nested.own_names(self.real.as_str()))
    }

    fn within(&self, scopes: Scopes) -> Scopes {
        self.repositories.iter().fold(scopes, |scopes, repository| scopes.and(ScopeKind::Repo, repository.as_str()))
    }

    /// With the names of the repositories that it lies in, `root` being the workspace's.
    pub(super) fn named(self, root: &str) -> Self {
        Self { repositories: self.nested.repositories(root), ..self }
    }

    /// As [`Self::scoped`] for what writes a file: a name that is free is judged as the file that it would be, since a rule
    /// may allow files whose folder it does not allow.
    pub(super) fn scoped_as_file(&self, scopes: Scopes) -> Scopes {
        match &self.found {
            Err(error) if error.kind == ToolErrorKind::NotFound => {
                self.names().fold(self.within(scopes), |scopes, name| scopes.and(ScopeKind::Path, name))
            }
            _ => self.scoped(scopes, &[ScopeKind::Path]),
        }
    }
}

#[derive(Debug)]
pub(super) enum Found {
    File(OpenFile),
    Folder(Dir),
}

/// An open regular file.
#[derive(Debug)]
pub(super) struct OpenFile {
    file: File,
    size: u64,
    stamp: [u64; 4],
}

impl OpenFile {
    /// `None` where the handle is of no regular file.
    pub(super) fn new(fd: OwnedFd) -> io::Result<Option<Self>> {
        let file = File::from(fd);
        let meta = file.metadata()?;
        let stamp = [meta.dev(), meta.ino(), meta.size(), u64::from_ne_bytes((meta.mtime() ^ (meta.mtime_nsec() << 32)).to_ne_bytes())];
        Ok(meta.is_file().then_some(Self { size: meta.size(), file, stamp }))
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn metadata(&self) -> Result<std::fs::Metadata, ToolError> {
        self.file.metadata().map_err(|error| unreadable("the file", &error))
    }

    pub(super) fn owner(&self) -> Option<Owner> {
        Owner::of(&self.file)
    }

    /// Changes where the file's content may have.
    pub(super) fn stamp(&self) -> [u64; 4] {
        self.stamp
    }

    /// Whether its owner may run it.
    pub(super) fn is_executable(&self) -> bool {
        self.file.metadata().is_ok_and(|meta| meta.mode() & 0o100 != 0)
    }

    /// The SHA-256 of all of it, as it is now.
    pub(super) fn digest(&self) -> Result<[u8; 32], ToolError> {
        const PIECE: usize = 64 << 10;
        let (mut hasher, mut offset) = (Sha256::new(), 0);
        loop {
            let piece = self.read_at(offset, PIECE)?;
            if piece.is_empty() {
                return Ok(hasher.finalize().into());
            }
            offset += piece.len() as u64;
            hasher.update(piece);
        }
    }

    /// Itself, to be read from where it begins.
    pub(super) fn into_file(self) -> File {
        self.file
    }

    /// At most `most` bytes from `offset`.
    pub(super) fn read_at(&self, offset: u64, most: usize) -> Result<Vec<u8>, ToolError> {
        let mut buffer = vec![0; most];
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unreadable("the file", &error)),
            }
        }
        buffer.truncate(filled);
        Ok(buffer)
    }
}

/// Follows `asked` beneath `root`.
// INVARIANT: the handle returned is of `real`, which has no link in it and lies in the root, whatever is swapped
// meanwhile (tests: a_swapped_link_shows_what_was_judged, links_never_lead_out).
pub(super) fn locate(root: &Dir, asked: RepoPath) -> Located {
    let mut pending: Vec<String> = asked.parts().rev().map(str::to_owned).collect();
    let mut trail: Vec<(Dir, String, bool)> = Vec::new();
    let mut links = 0;
    while let Some(part) = pending.pop() {
        let found = step(trail.last().map_or(root, |(dir, ..)| dir), &part, &asked);
        match found {
            Ok(Step::Stay) => {}
            Ok(Step::Up) => {
                if trail.pop().is_none() {
                    return located(&[], asked.clone(), Err(leads_out(&asked)), asked);
                }
            }
            Ok(Step::Folder(dir)) if trail.len() < DEEPEST => {
                let is_top = nested::is_top(&dir);
                trail.push((dir, part, is_top));
            }
            Ok(Step::Folder(_)) => {
                let found = Err(ToolError::new(ToolErrorKind::TooLarge, format!("the path is more than {DEEPEST} folders deep")));
                return located(&trail, place(&trail, &part, &pending), found, asked);
            }
            Ok(Step::Link(target)) if links < MOST_LINKS => {
                links += 1;
                pending.extend(target.split('/').rev().map(str::to_owned));
            }
            Ok(Step::Link(_)) => {
                let found = Err(ToolError::not_found(format!("the path {} is a loop of links", quoted(asked.as_str()))));
                return located(&trail, asked.clone(), found, asked);
            }
            Ok(Step::File(file)) => {
                let found = if pending.iter().all(|rest| matches!(rest.as_str(), "" | ".")) { Ok(Found::File(file)) } else { Err(missing(&asked)) };
                return located(&trail, place(&trail, &part, &pending), found, asked);
            }
            Err(error) => return located(&trail, place(&trail, &part, &pending), Err(error), asked),
        }
    }
    let real = RepoPath::of_parts(trail.iter().map(|(_, name, _)| name.as_str()));
    let nested = tops(&trail);
    let found = match trail.pop() {
        Some((dir, ..)) => Ok(Found::Folder(dir)),
        None => root.try_clone().map(Found::Folder).map_err(|error| unreadable("the root", &error)),
    };
    Located { asked, real, found, nested, repositories: Vec::new() }
}

fn located(trail: &[(Dir, String, bool)], real: RepoPath, found: Result<Found, ToolError>, asked: RepoPath) -> Located {
    Located { asked, real, found, nested: tops(trail), repositories: Vec::new() }
}

/// Of folders on the way, with whether they are one, the tops of repositories.
fn tops(trail: &[(Dir, String, bool)]) -> Nested {
    let (mut at, mut nested) = (RepoPath::root(), Nested::default());
    for (_, name, is_top) in trail {
        at = at.child(name);
        nested = if *is_top { nested.and(at.clone()) } else { nested };
    }
    nested
}

/// As [`locate`], refusing any link on the way: for names that did not come from the caller.
pub(super) fn exactly(root: &Dir, path: &RepoPath) -> Result<Found, ToolError> {
    let located = locate(root, path.clone());
    if located.real == located.asked {
        located.found
    } else {
        Err(ToolError::new(ToolErrorKind::Moved, "a folder became a link while it was read; ask again"))
    }
}

/// Whether something named `name` is in the folder at `parent`, none of whose folders is a link.
pub(super) fn is_there(root: &Dir, parent: &RepoPath, name: &std::ffi::OsStr) -> bool {
    let Ok(Found::Folder(dir)) = exactly(root, parent) else { return false };
    rustix::fs::statat(&dir, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).is_ok()
}

/// The text of the link at `path`, none of whose folders is a link.
pub(super) fn link_text(root: &Dir, path: &RepoPath) -> Result<Vec<u8>, ToolError> {
    let mut parts: Vec<&str> = path.parts().collect();
    let name = parts.pop().ok_or_else(|| missing(path))?;
    match exactly(root, &RepoPath::of_parts(parts.into_iter()))? {
        Found::Folder(dir) => rustix::fs::readlinkat(&dir, name, Vec::new()).map(std::ffi::CString::into_bytes).map_err(|errno| failed(errno, path)),
        Found::File(_) => Err(missing(path)),
    }
}

/// Opens an entry that a walk just saw in `dir`; `None` where it is no regular file (any more).
pub(super) fn entry_file(dir: &Dir, name: &std::ffi::OsStr) -> Option<OpenFile> {
    OpenFile::new(rustix::fs::openat(dir, name, FLAGS, Mode::empty()).ok()?).ok().flatten()
}

/// Opens a folder that a walk just saw in `dir`; `None` where it is no folder (any more).
pub(super) fn entry_folder(dir: &Dir, name: &std::ffi::OsStr) -> Option<Dir> {
    let fd = rustix::fs::openat(dir, name, FLAGS.union(OFlags::DIRECTORY), Mode::empty()).ok()?;
    Some(Dir::from_std_file(File::from(fd)))
}

enum Step {
    Stay,
    Up,
    Folder(Dir),
    File(OpenFile),
    Link(String),
}

fn step(here: &Dir, part: &str, asked: &RepoPath) -> Result<Step, ToolError> {
    match part {
        "" | "." => return Ok(Step::Stay),
        ".." => return Ok(Step::Up),
        _ if path::is_git_internal(part) => return Err(path::git_internal(asked.as_str())),
        _ => {}
    }
    match rustix::fs::openat(here, part, FLAGS, Mode::empty()) {
        Ok(fd) => {
            let stat = rustix::fs::fstat(&fd).map_err(|errno| failed(errno, asked))?;
            if rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Directory {
                return Ok(Step::Folder(Dir::from_std_file(File::from(fd))));
            }
            OpenFile::new(fd).map_err(|error| unreadable("the file", &error))?.map(Step::File).ok_or_else(|| special(asked))
        }
        Err(Errno::LOOP) => {
            let target = rustix::fs::readlinkat(here, part, Vec::new()).map_err(|errno| failed(errno, asked))?;
            let target = target.into_string().map_err(|_| leads_out(asked))?;
            if target.starts_with('/') { Err(leads_out(asked)) } else { Ok(Step::Link(target)) }
        }
        Err(errno) => Err(failed(errno, asked)),
    }
}

/// The place a walk had come to, with what it had not walked yet taken as it stands.
fn place(trail: &[(Dir, String, bool)], part: &str, pending: &[String]) -> RepoPath {
    let mut parts: Vec<&str> = trail.iter().map(|(_, name, _)| name.as_str()).collect();
    for next in std::iter::once(part).chain(pending.iter().rev().map(String::as_str)) {
        match next {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    RepoPath::of_parts(parts.into_iter())
}

pub(super) fn failed(errno: Errno, asked: &RepoPath) -> ToolError {
    match errno {
        Errno::NOENT | Errno::NOTDIR => missing(asked),
        Errno::ACCESS | Errno::PERM => {
            ToolError::new(ToolErrorKind::Unavailable, format!("opsgate's user may not read {}; grant it read access", quoted(asked.as_str())))
        }
        Errno::NXIO => special(asked),
        errno => unreadable("the path", &errno),
    }
}

fn missing(asked: &RepoPath) -> ToolError {
    ToolError::not_found(format!("nothing is at {}; `workspace_list_directory` shows what there is", quoted(asked.as_str())))
}

fn special(asked: &RepoPath) -> ToolError {
    ToolError::out_of_bounds(format!("{} is neither a regular file nor a folder", quoted(asked.as_str())))
}

fn leads_out(asked: &RepoPath) -> ToolError {
    ToolError::out_of_bounds(format!("the path {} leads out of the repository through a link", quoted(asked.as_str())))
}

fn unreadable(what: &str, cause: &dyn std::fmt::Display) -> ToolError {
    ToolError::new(ToolErrorKind::Upstream, format!("{what} could not be read")).because(cause)
}
