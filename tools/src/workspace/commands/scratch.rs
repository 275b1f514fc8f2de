//! A copy of the workspace that a command may do with as it likes, and bringing back what it declares.
//!
//! A package manager replaces manifests by rename in the top folder. Landlock cannot allow that and keep `.git` out of
//! reach, so it happens to a copy that has no `.git`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;

use cap_std::fs::{Dir, OpenOptions};
use rustix::fs::Mode;
use tokio_util::sync::CancellationToken;

use super::state::{Budget, State, state, states, unusable};
use crate::error::{ToolError, ToolErrorKind};
use crate::sandbox::PrivateFolder;
use crate::sandbox::{Access, Grant};
use crate::scope::OutputFilter;
use crate::workspace::nested;
use crate::workspace::open::{self, Found, OpenFile};
use crate::workspace::path::{RepoPath, is_git_internal, quoted};
use crate::workspace::replace::{self, New, Old};
use crate::workspace::repository::live;
use crate::workspace::root::Workspace;
use crate::workspace::spot::Spot;
use crate::workspace::walk::{Kind, Walk};

/// A path that the command left otherwise than it was.
#[derive(Debug)]
pub(super) struct Changed {
    pub(super) path: RepoPath,
    before: Option<State>,
    after: Option<State>,
}

/// The copy. Removed when dropped.
pub(super) struct Scratch {
    _folder: PrivateFolder,
    root: Dir,
    declared: Vec<RepoPath>,
    before: BTreeMap<RepoPath, State>,
}

impl Scratch {
    /// Copies what policy shows and git does not ignore, and of what is declared all that policy shows.
    // INVARIANT: nothing hidden and nothing of `.git` is in the copy (test: the_copy_has_what_policy_shows).
    pub(super) fn copy(workspace: &Workspace, declared: Vec<RepoPath>, filter: &OutputFilter, cancel: &CancellationToken) -> Result<Self, ToolError> {
        let folder = PrivateFolder::make("opsgate-copy-").map_err(unusable)?;
        let root = Dir::from_std_file(File::open(folder.path()).map_err(unusable)?);
        let (mut budget, mut seen) = (Budget::new(), BTreeSet::new());
        let source = workspace.dir();
        let mut from = vec![(source.try_clone().map_err(ToolError::internal)?, RepoPath::root(), false)];
        for path in &declared {
            match open::exactly(source, path) {
                Ok(Found::Folder(dir)) if nested::shows_tree(workspace, path.as_str(), filter) => from.push((dir, path.clone(), true)),
                Ok(Found::File(file)) if nested::shows_file(workspace, path.as_str(), filter) => {
                    seen.insert(path.clone());
                    copied(&root, path, &file, &mut budget, cancel)?;
                }
                _ => {} // it is yet to be made
            }
        }
        for (dir, path, ignored) in from {
            let mut walk = Walk::new(workspace, &dir, &path, filter, cancel)?.with_ignored(ignored);
            while let Some(entry) = walk.next()? {
                if !seen.insert(entry.path.clone()) {
                    continue;
                }
                match entry.kind {
                    Kind::File => {
                        if let Some(file) = entry.open() {
                            copied(&root, &entry.path, &file, &mut budget, cancel)?;
                        }
                    }
                    Kind::Folder => root.create_dir_all(entry.path.as_str()).map_err(unusable)?,
                    Kind::Link => {
                        budget.spend(0)?;
                        let target = open::link_text(source, &entry.path).ok().and_then(|text| String::from_utf8(text).ok());
                        if let Some(target) = target.filter(|target| stays_inside(&entry.path, target)) {
                            let spot = Spot::of(&root, &entry.path)?;
                            replace::put(&spot, &entry.path, New::Link(&target), &Old::Nothing, cancel)?;
                        }
                    }
                    Kind::Other => {}
                }
            }
        }
        let before = states(&root, &declared, cancel)?;
        Ok(Self { _folder: folder, root, declared, before })
    }

    /// All of the copy, for writing.
    pub(super) fn grants(&self) -> Result<Vec<Grant>, ToolError> {
        let stat = rustix::fs::fstat(&self.root).map_err(ToolError::internal)?;
        Ok(vec![Grant { path: ".".to_owned(), device: stat.st_dev, inode: stat.st_ino, access: Access::Write }])
    }

    /// Where it is, for what runs in it.
    pub(super) fn root(&self) -> &Dir {
        &self.root
    }

    /// The text of a file of the copy that is not too large.
    pub(super) fn text(&self, path: &RepoPath) -> Option<String> {
        const LARGEST: u64 = 32 << 20;
        let Ok(Found::File(file)) = open::exactly(&self.root, path) else { return None };
        if file.size() > LARGEST {
            return None;
        }
        String::from_utf8(file.read_at(0, usize::try_from(file.size()).ok()?).ok()?).ok()
    }

    /// The files of the copy that are declared, or in what is declared.
    pub(super) fn declared_files(&self) -> impl Iterator<Item = &RepoPath> {
        self.before.keys().chain(&self.declared)
    }

    /// What the command changed of what is declared, where policy shows it. Nothing else leaves the copy.
    pub(super) fn changed(&self, workspace: &Workspace, filter: &OutputFilter, cancel: &CancellationToken) -> Result<Vec<Changed>, ToolError> {
        let after = states(&self.root, &self.declared, cancel)?;
        let paths: BTreeSet<&RepoPath> = self.before.keys().chain(after.keys()).collect();
        let mut changed = Vec::new();
        for path in paths {
            let (before, after) = (self.before.get(path), after.get(path));
            let is_file = |state: Option<&State>| state.is_none_or(|state| matches!(state, State::File(_) | State::Link(_)));
            if before == after || !nested::shows_file(workspace, path.as_str(), filter) {
                continue;
            }
            let sound = is_file(before) && is_file(after) && RepoPath::parse(path.as_str()).is_ok_and(|parsed| parsed == *path);
            let inside = !matches!(after, Some(State::Link(target)) if !stays_inside(path, target));
            if !sound || !inside {
                return Err(ToolError::new(
                    ToolErrorKind::Upstream,
                    format!("the command left at {} what cannot be brought back; nothing was changed", quoted(path.as_str())),
                ));
            }
            changed.push(Changed { path: path.clone(), before: before.cloned(), after: after.cloned() });
        }
        Ok(changed)
    }

    /// Brings changes back, each file whole and in place of what was copied alone.
    ///
    /// # Errors
    /// [`ToolErrorKind::Moved`] where another program changed a file meanwhile. Where some files were brought back before one
    /// could not be, the sentence names them.
    // INVARIANT: no change of another program is lost (tests: a_change_meanwhile_stops_all_of_it, a_change_between_two_files_is_not_lost).
    pub(super) fn bring_back(&self, workspace: &Workspace, changed: &[Changed]) -> Result<(), ToolError> {
        for change in changed {
            if state(workspace.dir(), &change.path)? != change.before {
                return Err(half_done(was_changed(&change.path), &[]));
            }
        }
        for (nth, change) in changed.iter().enumerate() {
            self.bring(workspace, change).map_err(|error| half_done(error, changed.get(..nth).unwrap_or_default()))?;
        }
        Ok(())
    }

    fn bring(&self, workspace: &Workspace, change: &Changed) -> Result<(), ToolError> {
        let path = &change.path;
        let moved = |error: ToolError| if error.kind == ToolErrorKind::Moved { was_changed(path) } else { error };
        let spot = Spot::of(workspace.dir(), path).map_err(moved)?;
        let old = Old::at(&spot)?.filter(|old| is_state(old, change.before.as_ref())).ok_or_else(|| was_changed(path))?;
        let put = |new: New<'_>| replace::put(&spot, path, new, &old, &CancellationToken::new()); // from here on, all or an error
        match &change.after {
            Some(State::File(digest)) => {
                let Ok(Found::File(file)) = open::exactly(&self.root, path) else { return Err(ToolError::internal("a file of the copy is gone")) };
                if file.digest()? != *digest {
                    return Err(ToolError::internal("the copy changed after its command had ended"));
                }
                let executable = file.is_executable();
                put(New::File { content: &mut file.into_file(), executable })
            }
            Some(State::Link(target)) => put(New::Link(target)),
            Some(State::Folder | State::Other) => Err(ToolError::internal("no file is brought back as one")),
            None => replace::remove(&spot, path, &old),
        }
        .map_err(moved)
    }
}

fn is_state(old: &Old, state: Option<&State>) -> bool {
    match (old, state) {
        (Old::Nothing, None) => true,
        (Old::File(_), Some(State::File(digest))) => old.digest() == Some(*digest),
        (Old::Link(text), Some(State::Link(target))) => text == target.as_bytes(),
        _ => false,
    }
}

fn was_changed(path: &RepoPath) -> ToolError {
    ToolError::new(ToolErrorKind::Moved, format!("{} was changed while the command ran", quoted(path.as_str())))
}

/// Says what has happened before it failed.
fn half_done(error: ToolError, done: &[Changed]) -> ToolError {
    const MOST_NAMED: usize = 20;
    if done.is_empty() && !error.maybe_done {
        return ToolError { client: format!("{}; nothing was brought back, ask again", error.client), ..error };
    }
    let mut names: Vec<String> = done.iter().take(MOST_NAMED).map(|change| quoted(change.path.as_str())).collect();
    if let Some(more) = done.len().checked_sub(MOST_NAMED).filter(|more| *more > 0) {
        names.push(format!("{more} more"));
    }
    let names = if names.is_empty() { "no other file".to_owned() } else { names.join(", ") };
    ToolError { client: format!("{}; brought back before that: {names}", error.client), ..error }.maybe_done()
}

fn copied(root: &Dir, path: &RepoPath, file: &OpenFile, budget: &mut Budget, cancel: &CancellationToken) -> Result<(), ToolError> {
    const PIECE: usize = 1 << 20;
    live(cancel)?;
    budget.spend(file.size())?;
    if let Some((folder, _)) = path.as_str().rsplit_once('/') {
        root.create_dir_all(folder).map_err(unusable)?;
    }
    let mut new = root.open_with(path.as_str(), OpenOptions::new().write(true).create_new(true)).map_err(unusable)?;
    let mut offset = 0;
    while offset < file.size() {
        let piece = file.read_at(offset, PIECE.min(usize::try_from(file.size() - offset).unwrap_or(PIECE)))?;
        if piece.is_empty() {
            break;
        }
        std::io::Write::write_all(&mut new, &piece).map_err(unusable)?;
        offset += piece.len() as u64;
    }
    if file.is_executable() {
        rustix::fs::fchmod(&new, Mode::from_raw_mode(0o755)).map_err(|error| unusable(error.into()))?;
    }
    Ok(())
}

/// Whether a link at `path` leads to a place beneath the root, by its text.
fn stays_inside(path: &RepoPath, target: &str) -> bool {
    if target.starts_with('/') || target.is_empty() {
        return false;
    }
    let mut depth = path.parts().count().saturating_sub(1);
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => match depth.checked_sub(1) {
                Some(up) => depth = up,
                None => return false,
            },
            part if is_git_internal(part) => return false,
            _ => depth += 1,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use rustix::fs::FileType;

    use super::*;
    use crate::scope::PathFilter;

    struct Without(&'static [&'static str]);

    impl PathFilter for Without {
        fn file(&self, path: &str) -> bool {
            !self.0.contains(&path)
        }
        fn tree(&self, path: &str) -> bool {
            self.file(path)
        }
        fn repository(&self, folder: &str) -> bool {
            !folder.ends_with("denied-repository")
        }
    }

    fn written(folder: &Path, files: &[(&str, &str)]) {
        for (path, text) in files {
            let path = folder.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
    }

    fn copy(folder: &Path, declared: &[&str]) -> (Workspace, Scratch) {
        let workspace = Workspace::open(folder).unwrap();
        let declared = declared.iter().map(|path| RepoPath::parse(path).unwrap()).collect();
        let scratch = Scratch::copy(&workspace, declared, &shown(), &CancellationToken::new()).unwrap();
        (workspace, scratch)
    }

    fn shown() -> OutputFilter {
        OutputFilter::new(Arc::new(Without(&[".env", "hidden", "lib/key"])), 1 << 20)
    }

    fn repository() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        git2::Repository::init(folder.path()).unwrap();
        let files = [
            (".gitignore", "ignored\nlib\n"),
            (".env", "x"),
            ("hidden/a", "x"),
            ("a/b", "text"),
            ("ignored/x", "x"),
            ("lib/one", "1"),
            ("lib/key", "k"),
            ("sub/.git/config", "x"),
            ("sub/y", "y"),
        ];
        written(folder.path(), &files);
        std::os::unix::fs::symlink("a/b", folder.path().join("inside")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("outside")).unwrap();
        std::os::unix::fs::symlink("../../x", folder.path().join("a/above")).unwrap();
        folder
    }

    fn names(root: &Path, at: &Path, names_of: &mut Vec<String>) {
        for entry in std::fs::read_dir(at).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                names(root, &entry.path(), names_of);
            } else {
                names_of.push(entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
        names_of.sort();
    }

    #[test]
    fn the_copy_has_what_policy_shows() {
        let folder = repository();
        let (_, scratch) = copy(folder.path(), &["lib", "made/later"]);
        let mut found = Vec::new();
        names(scratch._folder.path(), scratch._folder.path(), &mut found);
        assert_eq!(found, [".gitignore", "a/b", "inside", "lib/one", "sub/y"]);
    }

    #[test]
    fn nothing_comes_back_into_a_denied_repository() {
        let folder = repository();
        written(folder.path(), &[("lib/denied-repository/.git/config", "x"), ("lib/denied-repository/f", "theirs")]);
        let (workspace, scratch) = copy(folder.path(), &["lib", "lib/denied-repository/f"]);
        assert!(!scratch._folder.path().join("lib/denied-repository").exists());
        written(scratch._folder.path(), &[("lib/denied-repository/f", "ours"), ("lib/denied-repository/g", "ours"), ("lib/one", "2")]);
        let changed = scratch.changed(&workspace, &shown(), &CancellationToken::new()).unwrap();
        assert_eq!(changed.iter().map(|change| change.path.as_str()).collect::<Vec<_>>(), ["lib/one"]);
    }

    #[test]
    fn what_is_declared_comes_back_and_nothing_else() {
        let folder = repository();
        let (workspace, scratch) = copy(folder.path(), &["lib", "made"]);
        written(scratch._folder.path(), &[("lib/one", "2"), ("lib/key", "new"), ("lib/.git/hooks/x", "x"), ("made/later", "m"), ("a/b", "other")]);
        let changed = scratch.changed(&workspace, &shown(), &CancellationToken::new()).unwrap();
        let paths: Vec<_> = changed.iter().map(|change| change.path.as_str()).collect();
        assert_eq!(paths, ["lib/one", "made/later"]);
        scratch.bring_back(&workspace, &changed).unwrap();
        let read = |path: &str| std::fs::read_to_string(folder.path().join(path)).ok();
        assert_eq!((read("lib/one").as_deref(), read("made/later").as_deref()), (Some("2"), Some("m")));
        assert_eq!((read("lib/key").as_deref(), read("a/b").as_deref(), read("lib/.git/hooks/x")), (Some("k"), Some("text"), None));
    }

    #[test]
    fn what_is_no_file_of_the_workspace_is_not_brought_back() {
        for (path, target) in [("made", "/etc/passwd"), ("made", "../x"), ("made", ".git/config"), ("lib/up", "../../x")] {
            let folder = repository();
            let (workspace, scratch) = copy(folder.path(), &["lib", "made"]);
            std::os::unix::fs::symlink(target, scratch._folder.path().join(path)).unwrap();
            assert!(scratch.changed(&workspace, &shown(), &CancellationToken::new()).is_err(), "{path} -> {target}");
        }
        let folder = repository();
        let (workspace, scratch) = copy(folder.path(), &["lib"]);
        rustix::fs::mknodat(&scratch.root, "lib/fifo", FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        assert!(scratch.changed(&workspace, &shown(), &CancellationToken::new()).is_err());
    }

    #[test]
    fn a_change_meanwhile_stops_all_of_it() {
        let folder = repository();
        let (workspace, scratch) = copy(folder.path(), &["lib", "made"]);
        written(scratch._folder.path(), &[("lib/one", "2"), ("made", "m")]);
        let changed = scratch.changed(&workspace, &shown(), &CancellationToken::new()).unwrap();
        for (path, text) in [("made", "theirs"), ("lib/one", "3")] {
            let folder_before = std::fs::read_to_string(folder.path().join("lib/one")).unwrap();
            written(folder.path(), &[(path, text)]);
            assert_eq!(scratch.bring_back(&workspace, &changed).unwrap_err().kind, ToolErrorKind::Moved, "{path}");
            assert!(path == "lib/one" || std::fs::read_to_string(folder.path().join("lib/one")).unwrap() == folder_before);
            std::fs::remove_file(folder.path().join(path)).unwrap();
        }
    }

    #[test]
    fn what_was_brought_back_before_a_failure_is_told() {
        let folder = repository();
        let (workspace, scratch) = copy(folder.path(), &["lib", "made"]);
        written(scratch._folder.path(), &[("lib/one", "2"), ("lib/two", "2"), ("made/later", "m")]);
        let changed = scratch.changed(&workspace, &shown(), &CancellationToken::new()).unwrap();
        written(scratch._folder.path(), &[("lib/two", "3")]);
        let error = scratch.bring_back(&workspace, &changed).unwrap_err();
        assert!(error.maybe_done && error.client.contains("`lib/one`") && !error.client.contains("`made/later`"), "{error:?}");
        assert_eq!(std::fs::read_to_string(folder.path().join("lib/one")).unwrap(), "2");
        assert!(!folder.path().join("lib/two").exists() && !folder.path().join("made").exists());

        written(scratch._folder.path(), &[("lib/one", "4")]);
        let again = [changed.first().unwrap()].map(|change| Changed { path: change.path.clone(), before: change.after.clone(), after: None });
        written(folder.path(), &[("lib/one", "theirs")]);
        let error = scratch.bring_back(&workspace, &again).unwrap_err();
        assert!(!error.maybe_done && error.client.contains("nothing was brought back"), "{error:?}");
    }

    /// Another program writes the last file, by rename, as soon as the first one is back: before or after it is brought back itself,
    /// what stays is the other program's.
    #[test]
    fn a_change_between_two_files_is_not_lost() {
        for round in 0..10 {
            let folder = repository();
            let names: Vec<String> = (0..20).map(|n| format!("lib/f{n:02}")).collect();
            let all = |text: &'static str| names.iter().map(|name| (name.as_str(), text)).collect::<Vec<_>>();
            written(folder.path(), &all("old"));
            let (workspace, scratch) = copy(folder.path(), &["lib"]);
            written(scratch._folder.path(), &all("new"));
            let changed = scratch.changed(&workspace, &shown(), &CancellationToken::new()).unwrap();
            let (first, last) = (folder.path().join("lib/f00"), folder.path().join("lib/f19"));
            let theirs = folder.path().join("theirs");
            std::fs::write(&theirs, "theirs").unwrap();
            let another = std::thread::spawn({
                let last = last.clone();
                move || {
                    while std::fs::read_to_string(&first).unwrap() != "new" {
                        std::thread::yield_now();
                    }
                    std::fs::rename(theirs, last).unwrap();
                }
            });
            let outcome = scratch.bring_back(&workspace, &changed);
            another.join().unwrap();
            assert_eq!(std::fs::read_to_string(&last).unwrap(), "theirs", "round {round}: {outcome:?}");
            if let Err(error) = outcome {
                assert!(error.kind == ToolErrorKind::Moved && error.maybe_done && error.client.contains("`lib/f00`"), "{error:?}");
            }
            assert!(
                std::fs::read_dir(folder.path().join("lib")).unwrap().all(|entry| !entry.unwrap().file_name().to_str().unwrap().ends_with(".tmp"))
            );
        }
    }
}
