//! Tracing lines back through history: bounded, stoppable, and blind to denied paths, which libgit2's own is not.

use std::collections::{BinaryHeap, HashMap};
use std::ops::RangeInclusive;

use git2::{Commit, DiffOptions, Oid, Patch, Repository};
use tokio_util::sync::CancellationToken;

use super::change;
use super::path::RepoPath;
use super::repository::{failed, live};
use crate::error::{ToolError, ToolErrorKind};
use crate::scope::OutputFilter;

/// As many commits as one trace looks at; what is left then is told as the boundary.
const MOST_COMMITS: usize = 50_000;
const LARGEST: usize = 4 << 20;

/// Where a line comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) commit: Oid,
    /// Whether the search ended here for its bounds and not for the line's sake.
    pub(super) boundary: bool,
}

/// Lines that a commit has to answer for: each line's place in the answer, and its number in that commit's file.
type Lines = Vec<(usize, usize)>;

struct Trace<'r> {
    repo: &'r Repository,
    filter: &'r OutputFilter,
    cancel: &'r CancellationToken,
    /// Newest first; a commit can come twice, with another path.
    queue: BinaryHeap<(i64, Oid, String)>,
    open: HashMap<(Oid, String), Lines>,
    origins: Vec<Origin>,
}

/// The origin of each of these lines (from 1) of the file at `path` in `commit`.
pub(super) fn trace(
    repo: &Repository,
    commit: Oid,
    path: &str,
    lines: RangeInclusive<usize>,
    filter: &OutputFilter,
    cancel: &CancellationToken,
) -> Result<Vec<Origin>, ToolError> {
    let pending: Lines = lines.enumerate().collect();
    let origins = vec![Origin { commit, boundary: true }; pending.len()];
    let mut trace = Trace { repo, filter, cancel, queue: BinaryHeap::new(), open: HashMap::new(), origins };
    trace.ask(&repo.find_commit(commit).map_err(failed)?, path.to_owned(), pending);
    for _ in 0..MOST_COMMITS {
        live(cancel)?;
        let Some((_, id, path)) = trace.queue.pop() else { break };
        if let Some(lines) = trace.open.remove(&(id, path.clone())) {
            trace.commit(id, &path, lines)?;
        }
    }
    // What is still asked for when the search ends stays with the commit that was asked last.
    for ((commit, _), lines) in std::mem::take(&mut trace.open) {
        trace.answer(commit, &lines, true);
    }
    Ok(trace.origins)
}

impl Trace<'_> {
    fn ask(&mut self, commit: &Commit<'_>, path: String, lines: Lines) {
        if !lines.is_empty() {
            self.queue.push((commit.time().seconds(), commit.id(), path.clone()));
            self.open.entry((commit.id(), path)).or_default().extend(lines);
        }
    }

    fn answer(&mut self, commit: Oid, lines: &Lines, boundary: bool) {
        for (place, _) in lines {
            if let Some(origin) = self.origins.get_mut(*place) {
                *origin = Origin { commit, boundary };
            }
        }
    }

    fn commit(&mut self, id: Oid, path: &str, mut lines: Lines) -> Result<(), ToolError> {
        let commit = self.repo.find_commit(id).map_err(failed)?;
        let Some(blob) = blob_at(&commit, path) else {
            self.answer(id, &lines, true);
            return Ok(());
        };
        let mut shallow = false;
        for number in 0..commit.parent_count() {
            let Ok(parent) = commit.parent(number) else {
                shallow = true;
                continue;
            };
            let Some((old_path, old)) = self.before(&commit, &parent, path)? else { continue };
            let kept = if old == blob { std::mem::take(&mut lines) } else { self.unchanged(old, blob, &mut lines)? };
            self.ask(&parent, old_path, kept);
            if lines.is_empty() {
                return Ok(());
            }
        }
        self.answer(id, &lines, shallow);
        Ok(())
    }

    /// The file's path and content in a parent, following a rename of what may be seen.
    // INVARIANT: a rename is followed only to a path that is not denied (test: blame_stops_at_a_denied_path).
    fn before(&self, commit: &Commit<'_>, parent: &Commit<'_>, path: &str) -> Result<Option<(String, Oid)>, ToolError> {
        if let Some(blob) = blob_at(parent, path) {
            return Ok(Some((path.to_owned(), blob)));
        }
        let (old, new) = (parent.tree().map_err(failed)?, commit.tree().map_err(failed)?);
        let changes = match change::between_trees(self.repo, Some(&old), Some(&new), &RepoPath::root(), self.cancel) {
            Err(error) if error.kind == ToolErrorKind::TooLarge => return Ok(None),
            changes => change::visible(self.repo, changes?, self.filter),
        };
        let renamed = changes.into_iter().find(|change| change.path == path).and_then(|change| change.renamed_from);
        Ok(renamed.and_then(|from| blob_at(parent, &from).map(|blob| (from, blob))))
    }

    /// Takes the lines that the older content has as well, with their numbers there.
    fn unchanged(&self, old: Oid, new: Oid, lines: &mut Lines) -> Result<Lines, ToolError> {
        let odb = self.repo.odb().map_err(failed)?;
        if odb.read_header(old).map_err(failed)?.0 > LARGEST {
            return Ok(Lines::new());
        }
        let (old, new) = (self.repo.find_blob(old).map_err(failed)?, self.repo.find_blob(new).map_err(failed)?);
        let patch = Patch::from_blobs(&old, None, &new, None, Some(DiffOptions::new().context_lines(0))).map_err(failed)?;
        let mut hunks = Vec::with_capacity(patch.num_hunks());
        for at in 0..patch.num_hunks() {
            let (hunk, _) = patch.hunk(at).map_err(failed)?;
            hunks.push((hunk.new_start() as usize, hunk.new_lines() as usize, hunk.old_lines() as usize));
        }
        let mut kept = Lines::new();
        lines.retain(|(place, line)| match older_line(&hunks, *line) {
            Some(older) => {
                kept.push((*place, older));
                false
            }
            None => true,
        });
        Ok(kept)
    }
}

/// A line's number before these hunks (`new_start`, `new_lines`, `old_lines`), where none of them wrote it.
fn older_line(hunks: &[(usize, usize, usize)], line: usize) -> Option<usize> {
    let mut older = line;
    for &(start, written, removed) in hunks {
        // A hunk that only removes stands after line `start`.
        let ends_before = if written == 0 { start < line } else { start + written <= line };
        if ends_before {
            older = (older + removed).checked_sub(written)?;
        } else if written > 0 && start <= line {
            return None;
        }
    }
    Some(older)
}

fn blob_at(commit: &Commit<'_>, path: &str) -> Option<Oid> {
    let entry = commit.tree().ok()?.get_path(path.as_ref()).ok()?;
    (entry.kind() == Some(git2::ObjectType::Blob)).then(|| entry.id())
}
