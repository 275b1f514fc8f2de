//! Setting a branch under git's own lock of it.

use git2::{ErrorCode, Oid, Repository, Signature};

use super::index_lock::busy;
use crate::error::{ToolError, ToolErrorKind};
use crate::workspace::repository::failed;

/// Sets the branch to `id`, where `agree` says so of its tip while nobody else can move it. libgit2's own ways to create
/// and to move a reference look at it before they lock it.
// INVARIANT: between the last look and the change no other program changes the branch (tests: no_commit_of_another_is_lost,
// of_two_branches_of_one_name_one_is_made).
pub(super) fn set(
    repo: &Repository,
    reference: &str,
    id: Oid,
    (who, log): (&Signature<'_>, &str),
    agree: impl FnOnce(Option<Oid>) -> Result<(), ToolError>,
) -> Result<(), ToolError> {
    let mut transaction = repo.transaction().map_err(failed)?;
    transaction.lock_ref(reference).map_err(|error| if error.code() == ErrorCode::Locked { busy().because(error) } else { unwritable(error) })?;
    let tip = match repo.refname_to_id(reference) {
        Ok(tip) => Some(tip),
        Err(error) if error.code() == ErrorCode::NotFound => None,
        Err(error) => return Err(failed(error)),
    };
    agree(tip)?;
    transaction.set_target(reference, id, Some(who), log).map_err(unwritable)?;
    transaction.commit().map_err(|error| {
        let is_set = repo.refname_to_id(reference).is_ok_and(|tip| tip == id);
        if is_set { unlogged(error) } else { unwritable(error) }
    })
}

fn unlogged(error: git2::Error) -> ToolError {
    ToolError::new(ToolErrorKind::Upstream, "the branch was set, but git could not end it; look at `git reflog`").because(error).maybe_done()
}

fn unwritable(error: git2::Error) -> ToolError {
    ToolError::new(ToolErrorKind::Upstream, "the branch could not be written; is there room, and may opsgate's user write to `.git`?").because(error)
}
