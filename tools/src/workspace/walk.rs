//! Walking folders beneath the root handle: sorted, filtered, without following links, minding `.gitignore`.

use std::ffi::OsString;
use std::sync::Arc;

use cap_std::fs::{Dir, FileType};
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use tokio_util::sync::CancellationToken;

use super::nested::{self, Nested};
use super::open::{self, Found, OpenFile};
use super::path::{RepoPath, is_git_internal, quoted};
use super::repository::live;
use super::root::Workspace;
use crate::error::{ToolError, ToolErrorKind};
use crate::scope::{OutputFilter, PathFilter};

/// Deeper folders are not walked into.
const DEEPEST: usize = 64;
/// A folder with more entries is refused rather than read into memory.
const MOST_ENTRIES: usize = 100_000;
/// A larger `.gitignore` is not read.
const LARGEST_RULES: usize = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    Link,
    Other,
}

impl Kind {
    fn of(kind: FileType) -> Self {
        match kind {
            _ if kind.is_symlink() => Self::Link,
            _ if kind.is_dir() => Self::Folder,
            _ if kind.is_file() => Self::File,
            _ => Self::Other,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Folder => "folder",
            Self::Link => "link",
            Self::Other => "other",
        }
    }
}

/// One entry of a walk that the filter lets through.
pub(super) struct Entry {
    pub(super) path: RepoPath,
    pub(super) kind: Kind,
    parent: Arc<Dir>,
    name: OsString,
}

impl Entry {
    /// Its size without opening it, for a file.
    pub(super) fn size(&self) -> Option<u64> {
        let stat = rustix::fs::statat(&*self.parent, &self.name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).ok()?;
        (self.kind == Kind::File).then(|| u64::try_from(stat.st_size).unwrap_or(0))
    }

    /// Opens it where it still is a regular file.
    pub(super) fn open(&self) -> Option<OpenFile> {
        open::entry_file(&self.parent, &self.name)
    }
}

/// A depth-first walk in the order of names.
pub(super) struct Walk<'a> {
    filter: &'a OutputFilter,
    cancel: &'a CancellationToken,
    root: String,
    depth: usize,
    ignored: bool,
    rules: Vec<Rules>,
    levels: Vec<Level>,
    /// The first folder in which git's rules are no regular file.
    odd: Option<RepoPath>,
}

struct Level {
    dir: Arc<Dir>,
    path: RepoPath,
    nested: Arc<Nested>,
    rules: usize,
    entries: std::vec::IntoIter<(OsString, Kind)>,
}

/// Git's own files of a folder.
const RULES: [&str; 2] = [".gitignore", ".gitattributes"];

/// Whether there is something of this name that is no regular file, where a link leads to too: whoever opens it by name may wait for ever.
fn is_odd(dir: &Dir, name: &str) -> bool {
    let stat = rustix::fs::statat(dir, name, rustix::fs::AtFlags::empty());
    stat.is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode) != rustix::fs::FileType::RegularFile)
}

/// Refuses where libgit2, which opens git's rules by name in every folder it walks, would wait at one of them.
pub(super) fn rules_are_files(workspace: &Workspace, cancel: &CancellationToken) -> Result<(), ToolError> {
    struct All;
    impl PathFilter for All {
        fn file(&self, _: &str) -> bool {
            true
        }
        fn tree(&self, _: &str) -> bool {
            true
        }
        fn repository(&self, _: &str) -> bool {
            true
        }
    }
    let everything = OutputFilter::new(Arc::new(All), 0);
    let mut walk = Walk::new(workspace, workspace.dir(), &RepoPath::root(), &everything, cancel)?;
    while walk.odd.is_none() && walk.next()?.is_some() {}
    match walk.odd {
        None => Ok(()),
        Some(folder) => {
            let folder = quoted(folder.as_str());
            Err(ToolError::new(
                ToolErrorKind::Unavailable,
                format!("a `.gitignore` or `.gitattributes` in {folder} is no regular file; git would wait at it"),
            ))
        }
    }
}

/// The `.gitignore` of one folder.
struct Rules {
    folder: RepoPath,
    globs: Gitignore,
}

impl<'a> Walk<'a> {
    /// Walks `dir`, which is at `path`, down to `depth` levels (1 is its own entries); `ignored` shows what
    /// `.gitignore` leaves out.
    pub(super) fn new(
        workspace: &Workspace,
        dir: &Dir,
        path: &RepoPath,
        filter: &'a OutputFilter,
        cancel: &'a CancellationToken,
    ) -> Result<Self, ToolError> {
        let root = workspace.root_path().to_owned();
        let mut walk = Self { filter, cancel, root, depth: DEEPEST, ignored: false, rules: Vec::new(), levels: Vec::new(), odd: None };
        walk.read_ancestors(workspace, path);
        let dir = dir.try_clone().map_err(ToolError::internal)?;
        let nested = Nested::around(workspace.dir(), path);
        if nested.shown(&walk.root, filter) {
            walk.enter(dir, path.clone(), Arc::new(nested))?;
        }
        Ok(walk)
    }

    pub(super) fn down_to(mut self, depth: usize) -> Self {
        self.depth = depth.clamp(1, DEEPEST);
        self
    }

    pub(super) fn with_ignored(mut self, ignored: bool) -> Self {
        self.ignored = ignored;
        self
    }

    /// The next entry that may be shown.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, ToolError> {
        while let Some(level) = self.levels.last_mut() {
            live(self.cancel)?;
            let Some((name, kind)) = level.entries.next() else {
                let kept = level.rules;
                self.rules.truncate(kept);
                self.levels.pop();
                continue;
            };
            let (parent, path, mut nested) = (level.dir.clone(), level.path.child(&name.to_string_lossy()), level.nested.clone());
            if !self.ignored && self.is_ignored(&path, kind == Kind::Folder) {
                continue;
            }
            if kind != Kind::Folder {
                if nested.shows_file(path.as_str(), self.filter) {
                    return Ok(Some(Entry { path, kind, parent, name }));
                }
                continue;
            }
            let dir = if self.levels.len() < self.depth { open::entry_folder(&parent, &name) } else { None };
            // INVARIANT: nothing in a repository that policy hides is walked (test: a_denied_repository_within_vanishes).
            if dir.as_ref().map_or_else(|| nested::is_top_at(&parent, &name), nested::is_top) {
                if !nested::is_shown(&self.root, &path, self.filter) {
                    continue;
                }
                nested = Arc::new(nested.and(path.clone()));
            }
            if !nested.shows_tree(path.as_str(), self.filter) {
                continue;
            }
            if let Some(dir) = dir {
                self.enter(dir, path.clone(), nested)?;
            }
            return Ok(Some(Entry { path, kind, parent, name }));
        }
        Ok(None)
    }

    fn enter(&mut self, dir: Dir, path: RepoPath, nested: Arc<Nested>) -> Result<(), ToolError> {
        let mut entries = Vec::new();
        // A folder that cannot be listed is shown by its name alone.
        for entry in dir.entries().into_iter().flatten().flatten() {
            let name = entry.file_name();
            if name.to_str().is_some_and(is_git_internal) {
                continue;
            }
            if entries.len() == MOST_ENTRIES {
                return Err(ToolError::new(ToolErrorKind::TooLarge, format!("a folder has more than {MOST_ENTRIES} entries; name a smaller one")));
            }
            if let Ok(kind) = entry.file_type() {
                entries.push((name, Kind::of(kind)));
            }
        }
        entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        if self.odd.is_none() && RULES.iter().any(|name| is_odd(&dir, name)) {
            self.odd = Some(path.clone());
        }
        let kept = self.rules.len();
        if let Some(file) = open::entry_file(&dir, ".gitignore".as_ref()) {
            self.read_rules(&path, &file);
        }
        self.levels.push(Level { dir: Arc::new(dir), path, nested, rules: kept, entries: entries.into_iter() });
        Ok(())
    }

    /// The rules that hold where the walk begins: the repository's own exclude file and those of the folders above.
    fn read_ancestors(&mut self, workspace: &Workspace, path: &RepoPath) {
        let exclude = open::entry_folder(workspace.dir(), ".git".as_ref())
            .and_then(|git| open::entry_folder(&git, "info".as_ref()))
            .and_then(|info| open::entry_file(&info, "exclude".as_ref()));
        if let Some(file) = exclude {
            self.read_rules(&RepoPath::root(), &file);
        }
        let mut folder = RepoPath::root();
        for part in path.parts() {
            if let Ok(Found::Folder(dir)) = open::exactly(workspace.dir(), &folder)
                && let Some(file) = open::entry_file(&dir, ".gitignore".as_ref())
            {
                self.read_rules(&folder, &file);
            }
            folder = folder.child(part);
        }
    }

    fn read_rules(&mut self, folder: &RepoPath, file: &OpenFile) {
        let Ok(text) = file.read_at(0, LARGEST_RULES) else { return };
        let mut builder = GitignoreBuilder::new(".");
        for line in String::from_utf8_lossy(&text).lines() {
            // A rule that does not parse is no rule, as for git.
            let _ = builder.add_line(None, line);
        }
        if let Ok(globs) = builder.build() {
            self.rules.push(Rules { folder: folder.clone(), globs });
        }
    }

    fn is_ignored(&self, path: &RepoPath, is_folder: bool) -> bool {
        for rules in self.rules.iter().rev() {
            let below = if rules.folder.is_root() {
                Some(path.as_str())
            } else {
                path.as_str().strip_prefix(rules.folder.as_str()).and_then(|rest| rest.strip_prefix('/'))
            };
            let Some(below) = below else { continue };
            let matched = rules.globs.matched(below, is_folder);
            if !matched.is_none() {
                return matched.is_ignore();
            }
        }
        false
    }
}
