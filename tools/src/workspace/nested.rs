//! Repositories within the work tree: what lies in one is theirs too, and judged as such.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use cap_std::fs::Dir;
use rustix::fs::AtFlags;
use rustix::io::Errno;

use super::main_tree;
use super::open;
use super::path::RepoPath;
use super::root::Workspace;
use crate::scope::OutputFilter;

/// The tops of the repositories that something of the work tree lies in, the outermost first; the work tree itself is none of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Nested(Vec<RepoPath>);

impl Nested {
    /// Those around what is in the folder at `path`, none of whose parts is a link.
    pub(super) fn around(root: &Dir, path: &RepoPath) -> Self {
        let mut nested = Self::default();
        let (mut here, mut at) = (root.try_clone().ok(), RepoPath::root());
        for part in path.parts() {
            at = at.child(part);
            here = here.and_then(|dir| open::entry_folder(&dir, part.as_ref()));
            match &here {
                Some(dir) if is_top(dir) => nested = nested.and(at.clone()),
                Some(_) => {}
                None => break,
            }
        }
        nested
    }

    pub(super) fn and(&self, top: RepoPath) -> Self {
        Self(self.0.iter().cloned().chain([top]).collect())
    }

    /// Every repository that these touch, as values of the repo scope.
    pub(super) fn repositories(&self, root: &str) -> Vec<String> {
        self.0.iter().flat_map(|top| repositories(root, top)).collect()
    }

    /// The same path as seen from each of the tops.
    // INVARIANT: the paths of a repository's own rules hold through another one around it (test:
    // a_path_in_a_nested_repository_is_judged_as_its_own_too).
    pub(super) fn own_names<'p>(&self, path: &'p str) -> impl Iterator<Item = &'p str> {
        self.0.iter().filter_map(move |top| match path.strip_prefix(top.as_str())? {
            "" => Some("."),
            below => below.strip_prefix('/'),
        })
    }

    /// Whether policy shows every one of the repositories.
    pub(super) fn shown(&self, root: &str, filter: &OutputFilter) -> bool {
        self.0.iter().all(|top| is_shown(root, top, filter))
    }

    /// Whether a file in them, by each of its names, may be shown.
    pub(super) fn shows_file(&self, path: &str, filter: &OutputFilter) -> bool {
        filter.shows_file(path) && self.own_names(path).all(|name| filter.shows_file(name))
    }

    /// As [`Self::shows_file`], of a folder.
    pub(super) fn shows_tree(&self, path: &str, filter: &OutputFilter) -> bool {
        filter.shows_tree(path) && self.own_names(path).all(|name| filter.shows_tree(name))
    }
}

/// Whether policy shows the file at a path, and all repositories that it lies in.
pub(super) fn shows_file(workspace: &Workspace, path: &str, filter: &OutputFilter) -> bool {
    let folder = RepoPath::of_parts(path.rsplit_once('/').map(|(folder, _)| folder).into_iter());
    let nested = Nested::around(workspace.dir(), &folder);
    nested.shown(workspace.root_path(), filter) && nested.shows_file(path, filter)
}

/// Whether policy shows the folder at a path, and all repositories that it lies in or is.
pub(super) fn shows_tree(workspace: &Workspace, path: &str, filter: &OutputFilter) -> bool {
    let nested = Nested::around(workspace.dir(), &RepoPath::of_parts(std::iter::once(path)));
    nested.shown(workspace.root_path(), filter) && nested.shows_tree(path, filter)
}

/// Whether policy shows the repository whose top is this folder of the work tree.
pub(super) fn is_shown(root: &str, top: &RepoPath, filter: &OutputFilter) -> bool {
    repositories(root, top).iter().all(|repository| filter.shows_repository(repository))
}

fn repositories(root: &str, top: &RepoPath) -> Vec<String> {
    let folder = Path::new(root).join(top.as_str());
    let mains = main_tree::of(&folder);
    std::iter::once(folder).chain(mains).map(|path| path.to_string_lossy().into_owned()).collect()
}

/// Whether an open folder is the top of a repository.
pub(super) fn is_top(dir: &Dir) -> bool {
    told(rustix::fs::statat(dir, ".git", AtFlags::SYMLINK_NOFOLLOW).map(|_| ()))
}

/// Whether the folder of this name is the top of a repository, where it need not be open.
pub(super) fn is_top_at(parent: &Dir, name: &OsStr) -> bool {
    told(rustix::fs::statat(parent, Path::new(name).join(".git"), AtFlags::SYMLINK_NOFOLLOW).map(|_| ()))
}

/// What cannot be looked at may be one.
fn told(looked: Result<(), Errno>) -> bool {
    !looked.is_err_and(|errno| io::Error::from(errno).kind() == io::ErrorKind::NotFound || errno == Errno::NOTDIR)
}
