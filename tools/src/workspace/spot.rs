//! One name in one open folder beneath the root: where a file is, or where it would be.

use std::fs::File;
use std::os::unix::fs::MetadataExt;

use cap_std::fs::Dir;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{ToolError, ToolErrorKind};
use crate::workspace::open::{self, FLAGS, OpenFile};
use crate::workspace::path::{RepoPath, quoted};

/// The nearest folder that is there, the folders that are not, and the name below them. No link was followed.
#[derive(Debug)]
pub(super) struct Spot {
    dir: Dir,
    missing: Vec<String>,
    name: String,
}

/// What is at a spot.
#[derive(Debug)]
pub(super) enum There {
    Nothing,
    File(OpenFile),
    /// A link, with its text.
    Link(Vec<u8>),
    Folder,
    /// A fifo, a socket, a device.
    Special,
}

impl Spot {
    /// The spot of `path`, which is a path without links.
    // INVARIANT: the folder is beneath the root, and reached through no link (test: a_folder_that_became_a_link_is_not_written_through).
    pub(super) fn of(root: &Dir, path: &RepoPath) -> Result<Self, ToolError> {
        let mut parts = path.parts();
        let name = parts.next_back().ok_or_else(|| ToolError::invalid("the root is a folder; name a file"))?.to_owned();
        let mut dir = root.try_clone().map_err(ToolError::internal)?;
        let mut missing = Vec::new();
        for (depth, part) in parts.enumerate() {
            if depth >= open::DEEPEST {
                return Err(ToolError::new(ToolErrorKind::TooLarge, format!("the path is more than {} folders deep", open::DEEPEST)));
            }
            if !missing.is_empty() {
                missing.push(part.to_owned());
                continue;
            }
            match rustix::fs::openat(&dir, part, FLAGS.union(OFlags::DIRECTORY), Mode::empty()) {
                Ok(fd) => dir = Dir::from_std_file(File::from(fd)),
                Err(Errno::NOENT) => missing.push(part.to_owned()),
                Err(Errno::NOTDIR | Errno::LOOP) => return Err(blocked(path)),
                Err(errno) => return Err(open::failed(errno, path)),
            }
        }
        Ok(Self { dir, missing, name })
    }

    pub(super) fn there(&self) -> Result<There, ToolError> {
        if !self.missing.is_empty() {
            return Ok(There::Nothing);
        }
        let asked = || RepoPath::of_parts(std::iter::once(self.name.as_str()));
        match rustix::fs::openat(&self.dir, self.name.as_str(), FLAGS, Mode::empty()) {
            Ok(fd) => {
                let stat = rustix::fs::fstat(&fd).map_err(|errno| open::failed(errno, &asked()))?;
                if rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Directory {
                    return Ok(There::Folder);
                }
                Ok(OpenFile::new(fd).map_err(ToolError::internal)?.map_or(There::Special, There::File))
            }
            Err(Errno::NOENT) => Ok(There::Nothing),
            Err(Errno::NXIO) => Ok(There::Special),
            Err(Errno::LOOP) => rustix::fs::readlinkat(&self.dir, self.name.as_str(), Vec::new())
                .map(|text| There::Link(text.into_bytes()))
                .map_err(|errno| open::failed(errno, &asked())),
            Err(errno) => Err(open::failed(errno, &asked())),
        }
    }

    pub(super) fn dir(&self) -> &Dir {
        &self.dir
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn missing(&self) -> &[String] {
        &self.missing
    }

    /// Whether both are the same name in the same folder. Both folders are open, so their numbers are of no others.
    pub(super) fn is(&self, other: &Self) -> Result<bool, ToolError> {
        let folder = |dir: &Dir| rustix::fs::fstat(dir).map(|stat| (stat.st_dev, stat.st_ino)).map_err(ToolError::internal);
        Ok(self.name == other.name && self.missing == other.missing && folder(&self.dir)? == folder(&other.dir)?)
    }
}

/// The folders on the way to `path`, the root first, as far as they are there. No link was followed.
pub(super) fn folders(root: &Dir, path: &RepoPath) -> Result<Vec<Dir>, ToolError> {
    let mut folders = vec![root.try_clone().map_err(ToolError::internal)?];
    let parts: Vec<&str> = path.parts().collect();
    for part in parts.iter().take(parts.len().saturating_sub(1).min(open::DEEPEST)) {
        match folders.last().and_then(|folder| open::entry_folder(folder, part.as_ref())) {
            Some(folder) => folders.push(folder),
            None => break,
        }
    }
    Ok(folders)
}

/// Whether one of the folders below the root is the top of another repository, which policy did not judge.
pub(super) fn in_nested_repository(folders: &[Dir]) -> bool {
    folders.iter().skip(1).any(|folder| rustix::fs::statat(folder, ".git", AtFlags::SYMLINK_NOFOLLOW).is_ok())
}

/// Which file it is, in numbers that another one cannot have while this one is there.
pub(super) fn identity(file: &OpenFile) -> Result<(u64, u64), ToolError> {
    file.metadata().map(|meta| (meta.dev(), meta.ino()))
}

fn blocked(path: &RepoPath) -> ToolError {
    ToolError::not_found(format!("a part of the way to {} is a file or a link, not a folder; name the real path", quoted(path.as_str())))
}

/// What was judged is no longer what is there.
pub(super) fn moved(path: &RepoPath) -> ToolError {
    ToolError::new(ToolErrorKind::Moved, format!("{} changed after it was looked at, and nothing was written; read it again", quoted(path.as_str())))
}
