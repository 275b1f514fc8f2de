//! Putting one file in its place beneath a folder's handle: whole or not at all, and never through a link.

use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use cap_std::fs::Dir;
use rustix::fs::{AtFlags, Mode, OFlags};

use crate::error::{ToolError, ToolErrorKind};
use crate::workspace::owner::{self, Owner};
use crate::workspace::path::{RepoPath, quoted};

/// Copies all of `content` to `path`. Missing folders are made; a file that is there keeps its mode.
// INVARIANT: a reader sees the old file or the new one (test: a_file_is_placed_whole_and_never_through_a_link).
pub(super) fn file(root: &Dir, path: &RepoPath, content: &mut impl io::Read, executable: bool) -> Result<(), ToolError> {
    let (folder, name) = parent(root, path)?;
    let before = rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW).ok();
    // A new file is as the umask, or the folder's default access list, says; one that replaces a private file is never wider than it.
    let mode = match before {
        Some(_) => 0o600,
        None if executable => 0o777,
        None => 0o666,
    };
    let beside = beside();
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(&folder, &*beside, flags, Mode::from_raw_mode(mode)).map_err(|error| failed(path, &error))?;
    let mut new = File::from(fd);
    owner::give(&new, Owner::of(&folder));
    let kept_mode = before.map(|stat| Mode::from_raw_mode(stat.st_mode & 0o777));
    let written = io::copy(content, &mut new)
        .and_then(|_| kept_mode.map_or(Ok(()), |mode| rustix::fs::fchmod(&new, mode).map_err(Into::into)))
        .and_then(|()| new.sync_all())
        .and_then(|()| rustix::fs::renameat(&folder, &*beside, &folder, name).map_err(Into::into))
        .and_then(|()| rustix::fs::fsync(&folder).map_err(Into::into));
    written.map_err(|error| {
        let _ = rustix::fs::unlinkat(&folder, &*beside, AtFlags::empty()); // the error that counts is the first
        failed(path, &error)
    })
}

/// Makes a link at `path` in place of what is there.
pub(super) fn link(root: &Dir, path: &RepoPath, target: &str) -> Result<(), ToolError> {
    let (folder, name) = parent(root, path)?;
    let beside = beside();
    rustix::fs::symlinkat(target, &folder, &*beside).map_err(|error| failed(path, &error))?;
    rustix::fs::renameat(&folder, &*beside, &folder, name).map_err(|error| {
        let _ = rustix::fs::unlinkat(&folder, &*beside, AtFlags::empty()); // the error that counts is the first
        failed(path, &error)
    })
}

/// Removes the file or link at `path`.
pub(super) fn removal(root: &Dir, path: &RepoPath) -> Result<(), ToolError> {
    let (folder, name) = parent(root, path)?;
    rustix::fs::unlinkat(&folder, name, AtFlags::empty()).map_err(|error| failed(path, &error))
}

/// The folder that `path` is in, opened part by part; the parts that are missing are made.
fn parent<'a>(root: &Dir, path: &'a RepoPath) -> Result<(OwnedFd, &'a str), ToolError> {
    let mut parts: Vec<&str> = path.parts().collect();
    let name = parts.pop().ok_or_else(|| ToolError::internal("the root is no file"))?;
    let mut here = root.as_fd().try_clone_to_owned().map_err(ToolError::internal)?;
    for part in parts {
        let is_new = match rustix::fs::mkdirat(&here, part, Mode::from_raw_mode(0o777)) {
            Ok(()) => true,
            Err(rustix::io::Errno::EXIST) => false,
            Err(error) => return Err(failed(path, &error)),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let next = rustix::fs::openat(&here, part, flags, Mode::empty()).map_err(|error| failed(path, &error))?;
        if is_new {
            owner::give(&next, Owner::of(&here));
        }
        here = next;
    }
    Ok((here, name))
}

/// A name that nobody else has, as `write_file` makes them too.
fn beside() -> String {
    format!(".opsgate-{:016x}.tmp", RandomState::new().build_hasher().finish())
}

fn failed(path: &RepoPath, cause: &dyn std::fmt::Display) -> ToolError {
    ToolError::new(ToolErrorKind::Upstream, format!("{} could not be written", quoted(path.as_str()))).because(cause)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_placed_whole_and_never_through_a_link() {
        let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let root = Dir::from_std_file(File::open(folder.path()).unwrap());
        let path = |text: &str| RepoPath::parse(text).unwrap();
        file(&root, &path("a/b/c"), &mut &b"one"[..], true).unwrap();
        let there = folder.path().join("a/b/c");
        assert_eq!(std::fs::metadata(&there).unwrap().permissions().mode() & 0o777, 0o755);
        let held = File::open(&there).unwrap();
        file(&root, &path("a/b/c"), &mut &b"two"[..], false).unwrap();
        assert_eq!(std::fs::read_to_string(&there).unwrap(), "two");
        assert_eq!(io::read_to_string(held).unwrap(), "one");
        assert_eq!(std::fs::metadata(&there).unwrap().permissions().mode() & 0o777, 0o755, "the mode is kept");

        std::fs::write(outside.path().join("x"), "mine").unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.path().join("out")).unwrap();
        assert!(file(&root, &path("out/x"), &mut &b"theirs"[..], false).is_err());
        std::os::unix::fs::symlink(outside.path().join("x"), folder.path().join("linked")).unwrap();
        file(&root, &path("linked"), &mut &b"theirs"[..], false).unwrap();
        assert_eq!(std::fs::read_to_string(outside.path().join("x")).unwrap(), "mine");
        link(&root, &path("a/link"), "b/c").unwrap();
        assert_eq!(std::fs::read_to_string(folder.path().join("a/link")).unwrap(), "two");
        removal(&root, &path("a/link")).unwrap();
        let left: Vec<_> = std::fs::read_dir(folder.path().join("a")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["b"]);
    }
}
