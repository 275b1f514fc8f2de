//! git's own folder, looked at before libgit2 writes in it: libgit2 goes by names, follows links and waits at pipes.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

use cap_std::fs::Dir;
use git2::Repository;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{ToolError, ToolErrorKind};
use crate::workspace::open::{DEEPEST, FLAGS};
use crate::workspace::owner::{Began, Owner};

/// The open folders of a repository, from before anything is written in them.
#[derive(Debug)]
pub(super) struct GitFolder {
    /// Where objects and branches are.
    common: Dir,
    /// Where the index and the log of `HEAD` are: another one in a linked work tree.
    own: Dir,
    began: Began,
}

/// What libgit2 writes into, besides the files of a branch: all must be real folders, or regular files, where they are there.
const OBJECT_FOLDERS: [&str; 3] = ["objects", "objects/pack", "objects/info"];
const FOLDERS: [&str; 3] = ["refs", "logs", "logs/refs"];
const OWN_FILES: [&str; 3] = ["index", "HEAD", "logs/HEAD"];

impl GitFolder {
    /// Opens both, and looks at all that libgit2 would write into for a commit or a new branch named so.
    ///
    /// # Errors
    /// [`ToolErrorKind::Unavailable`] where a link, a pipe or the like is in the place of a folder or a file of git's.
    // INVARIANT: nothing is written through a link in git's own folder that was there when the call began (test:
    // links_in_gits_folder_are_not_written_through). Who may write there can still make one while libgit2 works.
    pub(super) fn open(repo: &Repository, branch: Option<&str>) -> Result<Self, ToolError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let began = Began::now();
        let common = rustix::fs::open(without_slash(repo.commondir()), flags, Mode::empty()).map_err(|errno| unreadable(&errno))?;
        let common = Dir::from_std_file(File::from(common));
        // Judged was the repository of this name: no folder above it is a link that was put there since.
        let opened = std::fs::read_link(format!("/proc/self/fd/{}", common.as_raw_fd())).map_err(|error| unreadable(&error))?;
        if opened != without_slash(repo.commondir()) {
            return Err(ToolError::new(ToolErrorKind::Moved, "the repository was moved while it was looked at; connect again"));
        }
        let below = repo.path().strip_prefix(repo.commondir()).map_err(ToolError::internal)?;
        let own = walk(&common, below).map_err(|error| unreadable(&error))?.ok_or_else(|| odd(below))?;
        let own = Dir::from_std_file(own);
        let folder = Self { common, own, began };
        folder.check(branch)?;
        Ok(folder)
    }

    pub(super) fn common(&self) -> &Dir {
        &self.common
    }

    pub(super) fn own(&self) -> &Dir {
        &self.own
    }

    pub(super) fn began(&self) -> Began {
        self.began
    }

    /// Whose the repository is.
    pub(super) fn owner(&self) -> Option<Owner> {
        Owner::of(&self.common)
    }

    fn check(&self, branch: Option<&str>) -> Result<(), ToolError> {
        for folder in OBJECT_FOLDERS {
            is(&self.common, folder, FileType::Directory)?;
        }
        self.objects()?;
        let Some(branch) = branch else { return Ok(()) };
        for folder in FOLDERS {
            is(&self.common, folder, FileType::Directory)?;
        }
        is(&self.own, "logs", FileType::Directory)?;
        for file in OWN_FILES {
            is(&self.own, file, FileType::RegularFile)?;
        }
        for above in ["refs/heads", "logs/refs/heads"] {
            let file = format!("{above}/{branch}");
            for (at, _) in file.match_indices('/') {
                is_either(&self.common, file.get(..at).unwrap_or_default())?;
            }
            is_either(&self.common, &file)?;
        }
        real_below(&self.common, Path::new("refs"), 0)
    }

    /// The two-letter folders.
    fn objects(&self) -> Result<(), ToolError> {
        let Some(objects) = walk(&self.common, "objects".as_ref()).map_err(|error| unreadable(&error))? else { return Ok(()) };
        let objects = Dir::from_std_file(objects);
        for entry in objects.entries().map_err(|error| unreadable(&error))? {
            let name = entry.map_err(|error| unreadable(&error))?.file_name();
            if name.len() == 2 {
                is(&objects, &name, FileType::Directory)?;
            }
        }
        Ok(())
    }
}

/// Opens what is at a path, part by part and through no link; `None` where nothing is, or no regular file and no folder.
pub(super) fn walk(from: &Dir, path: &Path) -> io::Result<Option<File>> {
    let mut here = from.try_clone()?.into_std_file();
    for part in path {
        here = match rustix::fs::openat(&here, part, FLAGS, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
    }
    let meta = here.metadata()?;
    Ok((meta.is_file() || meta.is_dir()).then_some(here))
}

fn kind(folder: &Dir, path: impl AsRef<Path>) -> Result<Option<FileType>, ToolError> {
    match rustix::fs::statat(folder, path.as_ref(), AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(errno) => Err(unreadable(&errno)),
    }
}

fn is(folder: &Dir, path: impl AsRef<Path>, wanted: FileType) -> Result<(), ToolError> {
    match kind(folder, &path)? {
        Some(kind) if kind != wanted => Err(odd(path.as_ref())),
        _ => Ok(()),
    }
}

/// A file where a folder should be, or a folder for a file, is a branch whose name collides: that is told elsewhere.
fn is_either(folder: &Dir, path: &str) -> Result<(), ToolError> {
    match kind(folder, path)? {
        None | Some(FileType::RegularFile | FileType::Directory) => Ok(()),
        Some(_) => Err(odd(path.as_ref())),
    }
}

/// Whether all below a folder is files and folders: what lists branches reads every one of them.
fn real_below(top: &Dir, path: &Path, depth: usize) -> Result<(), ToolError> {
    let Some(folder) = walk(top, path).map_err(|error| unreadable(&error))? else { return Ok(()) };
    if depth > DEEPEST {
        return Err(odd(path));
    }
    for entry in Dir::from_std_file(folder).entries().map_err(|error| unreadable(&error))? {
        let name = entry.map_err(|error| unreadable(&error))?.file_name();
        let child = path.join(&name);
        match kind(top, &child)? {
            Some(FileType::Directory) => real_below(top, &child, depth + 1)?,
            None | Some(FileType::RegularFile) => {}
            Some(_) => return Err(odd(&child)),
        }
    }
    Ok(())
}

/// With a slash at its end, a link would be followed.
fn without_slash(path: &Path) -> &Path {
    path.components().as_path()
}

fn odd(path: &Path) -> ToolError {
    let shown = crate::workspace::path::quoted(&Path::new(".git").join(path).to_string_lossy());
    let client = format!("{shown} is a link, or no file or folder as git makes them there; nothing is written to such a repository");
    ToolError::new(ToolErrorKind::Unavailable, client)
}

fn unreadable(cause: &dyn std::fmt::Display) -> ToolError {
    ToolError::new(ToolErrorKind::Unavailable, "git's folder cannot be read; may opsgate's user read all of `.git`?").because(cause)
}
