//! Folders and files with their owner, mode and content.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};

use super::account::user;
use super::layout::Layout;
use super::step::{SetupError, State, Step};

/// Whose a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Root,
    /// The gateway's user and group.
    Service,
    /// Root's, and the gateway's group reads it.
    RootAndServiceGroup,
}

impl Owner {
    /// The numbers; where the user is not there yet, `None`.
    fn ids(self, layout: &Layout) -> Option<(u32, u32)> {
        match self {
            Self::Root => Some((0, 0)),
            Self::Service => user(layout).ok().map(|user| (user.uid, user.gid)),
            Self::RootAndServiceGroup => user(layout).ok().map(|user| (0, user.gid)),
        }
    }

    fn named(self, layout: &Layout) -> String {
        match self {
            Self::Root => "root:root".to_owned(),
            Self::Service => format!("{0}:{0}", layout.name()),
            Self::RootAndServiceGroup => format!("root:{}", layout.name()),
        }
    }
}

pub(super) struct Folder {
    pub(super) layout: Layout,
    pub(super) path: PathBuf,
    pub(super) mode: u32,
    pub(super) owner: Owner,
}

impl Step for Folder {
    fn id(&self) -> &'static str {
        "folder"
    }

    fn what(&self) -> String {
        format!("the folder {} ({}, {:04o})", self.path.display(), self.owner.named(&self.layout), self.mode)
    }

    fn state(&self, _: bool) -> Result<State, SetupError> {
        let path = self.layout.on_disk(&self.path);
        match path.symlink_metadata() {
            Err(_) => Ok(State::Missing),
            Ok(meta) if !meta.is_dir() => Err(SetupError::new(format!("`{}` is no folder; move it away and run setup again", path.display()))),
            Ok(meta) => Ok(State::done(stands(&meta, self.mode, self.owner.ids(&self.layout)))),
        }
    }

    fn apply(&self) -> Result<(), SetupError> {
        let path = self.layout.on_disk(&self.path);
        let parent = path.parent().unwrap_or(&path);
        std::fs::DirBuilder::new().recursive(true).mode(0o755).create(parent).map_err(SetupError::io(parent))?;
        match std::fs::DirBuilder::new().mode(self.mode & 0o700).create(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(SetupError::io(&path)(error)),
            _ => {}
        }
        own(&path, self.mode, self.owner.ids(&self.layout))
    }
}

/// What becomes of a file that is there with another content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// It is replaced.
    Nothing,
    /// It stays; owner and mode are mended.
    Content,
}

pub(super) struct File {
    pub(super) id: &'static str,
    pub(super) layout: Layout,
    pub(super) path: PathBuf,
    pub(super) mode: u32,
    pub(super) owner: Owner,
    pub(super) content: Vec<u8>,
    pub(super) keep: Keep,
}

impl File {
    fn has_content(&self, path: &Path) -> bool {
        self.keep == Keep::Content || std::fs::read(path).is_ok_and(|bytes| bytes == self.content)
    }
}

impl Step for File {
    fn id(&self) -> &'static str {
        self.id
    }

    fn what(&self) -> String {
        let kept = if self.keep == Keep::Content { "; one that is there is kept" } else { "" };
        format!("the file {} ({}, {:04o}{kept})", self.path.display(), self.owner.named(&self.layout), self.mode)
    }

    fn state(&self, _: bool) -> Result<State, SetupError> {
        let path = self.layout.on_disk(&self.path);
        match path.symlink_metadata() {
            Err(_) => Ok(State::Missing),
            Ok(meta) if !meta.is_file() => Err(SetupError::new(format!("`{}` is no file; move it away and run setup again", path.display()))),
            Ok(meta) => Ok(State::done(stands(&meta, self.mode, self.owner.ids(&self.layout)) && self.has_content(&path))),
        }
    }

    fn apply(&self) -> Result<(), SetupError> {
        let path = self.layout.on_disk(&self.path);
        if path.is_file() && self.has_content(&path) {
            return own(&path, self.mode, self.owner.ids(&self.layout));
        }
        place(&path, &self.content, self.mode, self.owner.ids(&self.layout))
    }

    fn restarts(&self) -> bool {
        true
    }
}

/// The running program, at its place.
pub(super) struct Program {
    pub(super) layout: Layout,
}

impl Program {
    fn source(&self) -> Result<Vec<u8>, SetupError> {
        let program = std::env::current_exe().map_err(|error| SetupError::new(format!("this program cannot be found: {error}")))?;
        std::fs::read(&program).map_err(SetupError::io(&program))
    }
}

impl Step for Program {
    fn id(&self) -> &'static str {
        "program"
    }

    fn what(&self) -> String {
        format!("this program as {} (root:root, 0755)", self.layout.program().display())
    }

    fn state(&self, _: bool) -> Result<State, SetupError> {
        let path = self.layout.on_disk(&self.layout.program());
        let same = || -> Result<bool, SetupError> { Ok(std::fs::read(&path).is_ok_and(|there| self.source().is_ok_and(|here| there == here))) };
        match path.symlink_metadata() {
            Err(_) => Ok(State::Missing),
            Ok(meta) => Ok(State::done(meta.is_file() && stands(&meta, 0o755, Some((0, 0))) && !has_capability(&path) && same()?)),
        }
    }

    fn apply(&self) -> Result<(), SetupError> {
        place(&self.layout.on_disk(&self.layout.program()), &self.source()?, 0o755, Some((0, 0)))
    }

    fn restarts(&self) -> bool {
        true
    }
}

/// Whether the file gives whoever runs it capabilities.
pub(super) fn has_capability(path: &Path) -> bool {
    !matches!(rustix::fs::getxattr(path, "security.capability", &mut [0u8; 64]), Err(rustix::io::Errno::NODATA | rustix::io::Errno::OPNOTSUPP))
}

fn stands(meta: &std::fs::Metadata, mode: u32, ids: Option<(u32, u32)>) -> bool {
    meta.mode() & 0o7777 == mode && ids == Some((meta.uid(), meta.gid()))
}

fn own(path: &Path, mode: u32, ids: Option<(u32, u32)>) -> Result<(), SetupError> {
    let (uid, gid) = ids.ok_or_else(|| SetupError::new("the gateway's user is not there".to_owned()))?;
    lchown(path, Some(uid), Some(gid)).map_err(SetupError::io(path))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(SetupError::io(path))
}

/// Writes a file beside its place, with owner and mode, and then puts it there: nobody sees half of it, or all of it too early.
fn place(path: &Path, content: &[u8], mode: u32, ids: Option<(u32, u32)>) -> Result<(), SetupError> {
    let parent = path.parent().unwrap_or(path);
    std::fs::DirBuilder::new().recursive(true).mode(0o755).create(parent).map_err(SetupError::io(parent))?;
    let staged = parent.join(format!(".{}.new", path.file_name().unwrap_or_default().to_string_lossy()));
    let _ = std::fs::remove_file(&staged); // what a run that was killed left
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&staged).map_err(SetupError::io(&staged))?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(SetupError::io(&staged))?;
    own(&staged, mode, ids)?;
    std::fs::rename(&staged, path).map_err(SetupError::io(path))
}
