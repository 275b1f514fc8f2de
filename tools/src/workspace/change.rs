//! Which files differ between two states of the repository, with denied ones gone before anything is made of them.

use std::ops::ControlFlow;

use git2::{Diff, DiffOptions, ObjectType, Oid, Repository, Tree};
use tokio_util::sync::CancellationToken;

use super::path::{RepoPath, has_git_internal};
use super::repository::{failed, live};
use crate::error::{ToolError, ToolErrorKind};
use crate::scope::OutputFilter;

/// More changed files than this are not compared in one call.
const MOST_CHANGES: usize = 20_000;
/// Deeper trees are not walked.
const DEEPEST: usize = 256;

/// One side of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version {
    /// `None`: it is in the work tree.
    pub(super) id: Option<Oid>,
    pub(super) mode: i32,
}

/// A file that differs.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) path: String,
    pub(super) renamed_from: Option<String>,
    pub(super) old: Option<Version>,
    pub(super) new: Option<Version>,
}

impl Change {
    /// git's letter for it.
    pub(super) fn status(&self) -> &'static str {
        match (&self.old, &self.new) {
            _ if self.renamed_from.is_some() => "R",
            (None, _) => "A",
            (_, None) => "D",
            (Some(old), Some(new)) if old.mode & 0o170_000 != new.mode & 0o170_000 => "T",
            _ => "M",
        }
    }
}

/// The changes that may be seen, sorted by path.
// INVARIANT: both sides of a rename are judged before they are paired, so a denied side leaves no trace in the other
// (test: a_rename_out_of_a_denied_folder_is_an_addition).
pub(super) fn visible(repo: &Repository, changes: Vec<Change>, filter: &OutputFilter) -> Vec<Change> {
    let mut shown: Vec<Change> = changes.into_iter().filter(|change| filter.shows_file(&change.path)).collect();
    super::rename::pair(repo, &mut shown);
    shown.sort_by(|a, b| a.path.cmp(&b.path));
    shown
}

/// The files at or below `within` that differ between two trees.
pub(super) fn between_trees(
    repo: &Repository,
    old: Option<&Tree<'_>>,
    new: Option<&Tree<'_>>,
    within: &RepoPath,
    cancel: &CancellationToken,
) -> Result<Vec<Change>, ToolError> {
    let mut changes = Vec::new();
    let _ = compare(repo, (old, new), within, cancel, &mut |change| {
        changes.push(change);
        bounded(&changes)?;
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(changes)
}

/// The files at or below `within` that differ according to libgit2's comparison with the index or the work tree; only
/// names and ids are taken from it, never content.
pub(super) fn from_diff(diff: &Diff<'_>, within: &RepoPath) -> Result<Vec<Change>, ToolError> {
    let mut changes = Vec::new();
    for delta in diff.deltas() {
        let version = |file: git2::DiffFile<'_>| Version {
            id: Some(file.id()).filter(|id| file.is_valid_id() && !id.is_zero()),
            mode: u32::from(file.mode()).cast_signed(),
        };
        let (old, new) = (delta.old_file(), delta.new_file());
        let path = String::from_utf8_lossy(new.path_bytes().or(old.path_bytes()).unwrap_or_default()).into_owned();
        if within.covers(&path) && !has_git_internal(&path) {
            let (old, new) = (old.exists().then(|| version(old)), new.exists().then(|| version(new)));
            changes.push(Change { path, renamed_from: None, old, new });
        }
        bounded(&changes)?;
    }
    Ok(changes)
}

/// libgit2's options for such a comparison: no submodule is opened, no pattern is expanded.
pub(super) fn options(within: &RepoPath) -> DiffOptions {
    let mut options = DiffOptions::new();
    options.ignore_submodules(true).include_typechange(true).disable_pathspec_match(true);
    if !within.is_root() {
        options.pathspec(within.as_str());
    }
    options
}

fn bounded(changes: &[Change]) -> Result<(), ToolError> {
    if changes.len() <= MOST_CHANGES {
        return Ok(());
    }
    Err(ToolError::new(ToolErrorKind::TooLarge, format!("more than {MOST_CHANGES} files differ; name a `path` or revisions closer to each other")))
}

type Visit<'v> = dyn FnMut(Change) -> Result<ControlFlow<()>, ToolError> + 'v;

/// Visits every file at or below `within` that differs between two trees until told to stop. Trees of one id are not
/// opened.
pub(super) fn compare(
    repo: &Repository,
    (old, new): (Option<&Tree<'_>>, Option<&Tree<'_>>),
    within: &RepoPath,
    cancel: &CancellationToken,
    visit: &mut Visit<'_>,
) -> Result<ControlFlow<()>, ToolError> {
    Comparison { repo, cancel, within, visit }.trees(old, new, &RepoPath::root(), 0)
}

struct Comparison<'c, 'v> {
    repo: &'c Repository,
    cancel: &'c CancellationToken,
    within: &'c RepoPath,
    visit: &'c mut Visit<'v>,
}

type Entry = Option<(Oid, i32, Option<ObjectType>)>;

impl<'c> Comparison<'c, '_> {
    fn trees(&mut self, old: Option<&Tree<'_>>, new: Option<&Tree<'_>>, at: &RepoPath, depth: usize) -> Result<ControlFlow<()>, ToolError> {
        live(self.cancel)?;
        if depth > DEEPEST {
            return Err(ToolError::new(ToolErrorKind::TooLarge, format!("the tree is more than {DEEPEST} folders deep")));
        }
        for entry in new.iter().flat_map(|tree| tree.iter()) {
            let before = old.and_then(|tree| tree.get_name_bytes(entry.name_bytes())).map(|old| (old.id(), old.filemode(), old.kind()));
            let after = Some((entry.id(), entry.filemode(), entry.kind()));
            if self.entry(before, after, entry.name_bytes(), at, depth)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        for entry in old.iter().flat_map(|tree| tree.iter()) {
            if new.is_none_or(|tree| tree.get_name_bytes(entry.name_bytes()).is_none()) {
                let before = Some((entry.id(), entry.filemode(), entry.kind()));
                if self.entry(before, None, entry.name_bytes(), at, depth)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn entry(&mut self, old: Entry, new: Entry, name: &[u8], at: &RepoPath, depth: usize) -> Result<ControlFlow<()>, ToolError> {
        if old == new {
            return Ok(ControlFlow::Continue(()));
        }
        let name = String::from_utf8_lossy(name);
        if has_git_internal(&name) {
            return Ok(ControlFlow::Continue(()));
        }
        let path = at.child(&name);
        let (inside, on_the_way) = (self.within.covers(path.as_str()), path.covers(self.within.as_str()));
        if !inside && !on_the_way {
            return Ok(ControlFlow::Continue(()));
        }
        let (old_tree, new_tree) = (self.tree(old)?, self.tree(new)?);
        let (old_file, new_file) = (file(old), file(new));
        if inside && (old_file.is_some() || new_file.is_some()) {
            let change = Change { path: path.as_str().to_owned(), renamed_from: None, old: old_file, new: new_file };
            if (self.visit)(change)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        if old_tree.is_none() && new_tree.is_none() {
            return Ok(ControlFlow::Continue(()));
        }
        self.trees(old_tree.as_ref(), new_tree.as_ref(), &path, depth + 1)
    }

    fn tree(&self, entry: Entry) -> Result<Option<Tree<'c>>, ToolError> {
        let id = entry.filter(|(_, _, kind)| *kind == Some(ObjectType::Tree)).map(|(id, _, _)| id);
        id.map(|id| self.repo.find_tree(id)).transpose().map_err(failed)
    }
}

fn file(entry: Entry) -> Option<Version> {
    entry.filter(|(_, _, kind)| *kind != Some(ObjectType::Tree)).map(|(id, mode, _)| Version { id: Some(id), mode })
}
