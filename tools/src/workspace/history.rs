//! The commits that one reaches, newest first, as far as they are here.

use std::collections::{BinaryHeap, HashSet};

use git2::{Commit, ErrorCode, Oid, Repository};

use super::repository::failed;
use crate::error::ToolError;

/// A walk by commit time; a commit never comes before one that it is a parent of. Unlike libgit2's it ends in peace at
/// the edge of a shallow clone.
pub(super) struct History<'r> {
    repo: &'r Repository,
    queue: BinaryHeap<(i64, Oid)>,
    queued: HashSet<Oid>,
    is_shallow: bool,
}

impl<'r> History<'r> {
    pub(super) fn of(repo: &'r Repository, start: Oid) -> Result<Self, ToolError> {
        let mut history = Self { repo, queue: BinaryHeap::new(), queued: HashSet::new(), is_shallow: repo.is_shallow() };
        history.ask(start)?;
        Ok(history)
    }

    pub(super) fn next(&mut self) -> Result<Option<Commit<'r>>, ToolError> {
        let Some((_, id)) = self.queue.pop() else { return Ok(None) };
        let commit = self.repo.find_commit(id).map_err(failed)?;
        for parent in commit.parent_ids() {
            self.ask(parent)?;
        }
        Ok(Some(commit))
    }

    fn ask(&mut self, id: Oid) -> Result<(), ToolError> {
        if self.queued.insert(id) {
            match self.repo.find_commit(id) {
                Ok(commit) => self.queue.push((commit.time().seconds(), id)),
                Err(error) if self.is_shallow && error.code() == ErrorCode::NotFound => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(())
    }
}
