//! The workspace: one git work tree, held by an open handle of its top folder.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use cap_std::fs::Dir;
use rustix::fs::{Mode, OFlags};

use super::main_tree;
use super::open::{self, Located};
use super::path::{RepoPath, is_git_internal};
use super::repository;
use crate::error::{ToolError, ToolErrorKind};
use crate::scope::{ScopeKind, Scopes};

/// A git work tree that tools read. Everything in it is opened beneath one handle of its top folder.
pub struct Workspace {
    dir: Dir,
    path: String,
    /// In their order, without the top folder.
    mains: Vec<String>,
    owner_uid: u32,
    identity: (u64, u64),
}

impl Workspace {
    /// Opens the work tree that `path` is the top of or lies in.
    ///
    /// # Errors
    /// [`ToolErrorKind::Unavailable`] where `path` is not readable, lies in no git work tree, lies inside `.git`, is a
    /// bare repository, or where the work tree's git directory belongs to another work tree or another user.
    pub fn open(path: &Path) -> Result<Self, ToolError> {
        let unavailable = |client: &str| ToolError::new(ToolErrorKind::Unavailable, client);
        let start = path.canonicalize().map_err(|error| unavailable("the workspace folder cannot be opened; name one that exists").because(error))?;
        if start.components().any(|part| part.as_os_str().to_str().is_some_and(is_git_internal)) {
            return Err(unavailable("the workspace is inside a `.git` folder; name the work tree"));
        }
        let top = start.ancestors().find(|folder| folder.join(".git").symlink_metadata().is_ok()).ok_or_else(|| {
            let bare = start.join("HEAD").is_file() && start.join("objects").is_dir();
            unavailable(if bare {
                "the workspace is a bare repository; name a work tree"
            } else {
                "the workspace is not in a git repository; run `git init` there or name another"
            })
        })?;
        let name = top.to_str().ok_or_else(|| unavailable("the workspace's path is not UTF-8; rename it"))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = rustix::fs::open(top, flags, Mode::empty())
            .map(File::from)
            .map_err(|errno| unavailable("opsgate's user may not read the workspace; grant it read access").because(errno))?;
        let meta = handle.metadata().map_err(ToolError::internal)?;
        let (path, identity) = (name.to_owned(), (meta.dev(), meta.ino()));
        let workspace = Self { dir: Dir::from_std_file(handle), path, mains: Vec::new(), owner_uid: meta.uid(), identity };
        let mains = named(repository::mains(&repository::open_any(&workspace)?, top))
            .ok_or_else(|| unavailable("the path of the workspace's main repository is not UTF-8; rename it"))?;
        Ok(Self { mains, ..workspace })
    }

    /// The canonical absolute path of the top folder: the first of [`Self::roots`].
    #[must_use]
    pub fn root_path(&self) -> &str {
        &self.path
    }

    /// Every repository that a call here touches, each a value of the repo scope and a canonical absolute folder: the work tree's own,
    /// and where its branches and objects are kept elsewhere, those. They are of a linked work tree the main one (a bare one's own
    /// folder), of a submodule the one around it, and all that objects are borrowed from. A call is refused once they change.
    pub fn roots(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.path.as_str()).chain(self.mains.iter().map(String::as_str))
    }

    /// The user the top folder belongs to.
    #[must_use]
    pub fn owner_uid(&self) -> u32 {
        self.owner_uid
    }

    pub(super) fn dir(&self) -> &Dir {
        &self.dir
    }

    pub(super) fn locate(&self, path: RepoPath) -> Located {
        open::locate(&self.dir, path).named(&self.path)
    }

    /// The repositories that a call touches.
    ///
    /// # Errors
    /// [`ToolErrorKind::Moved`] where they are no longer those that the workspace was opened with.
    pub(super) fn scope(&self) -> Result<Scopes, ToolError> {
        self.still_of(main_tree::of(Path::new(&self.path)))?;
        Ok(self.mains.iter().fold(Scopes::of(ScopeKind::Repo, self.path.as_str()), |scopes, main| scopes.and(ScopeKind::Repo, main.as_str())))
    }

    // INVARIANT: the repository that is opened is the one that policy judged (test: a_work_tree_that_changes_hands_is_refused).
    pub(super) fn still_of(&self, mains: BTreeSet<PathBuf>) -> Result<(), ToolError> {
        if named(mains).is_some_and(|mains| mains == self.mains) {
            return Ok(());
        }
        Err(ToolError::new(ToolErrorKind::Moved, "the workspace became a work tree of another repository; connect again"))
    }

    /// Whether the folder at the workspace's path is still the one that was opened.
    pub(super) fn is_in_place(&self) -> bool {
        Path::new(&self.path).symlink_metadata().is_ok_and(|meta| (meta.dev(), meta.ino()) == self.identity)
    }
}

fn named(mains: BTreeSet<PathBuf>) -> Option<Vec<String>> {
    mains.into_iter().map(|main| main.into_os_string().into_string().ok()).collect()
}

impl fmt::Debug for Workspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workspace").field("path", &self.path).field("owner_uid", &self.owner_uid).finish_non_exhaustive()
    }
}
