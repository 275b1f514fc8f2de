//! A commit as the tools show it, and whether it may be seen.

use std::ops::ControlFlow;

use git2::{Commit, Repository, Time, Tree};
use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use schemars::JsonSchema;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::change;
use super::path::RepoPath;
use super::redacted;
use super::repository::failed;
use crate::error::ToolError;
use crate::scope::OutputFilter;

/// A longer name or subject, and a longer message, is shown from its start, in characters.
pub(super) const LONGEST_LINE: usize = 300;
pub(super) const LONGEST_BODY: usize = 6000;

// One commit.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct CommitInfo {
    pub(super) id: String,
    pub(super) author: String,
    pub(super) email: String,
    pub(super) date: String,
    pub(super) subject: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) body: Option<String>,
}

impl CommitInfo {
    pub(super) fn of(commit: &Commit<'_>, filter: &OutputFilter) -> Self {
        let author = commit.author();
        let (subject, body) = redacted::subject_and_body(commit, filter);
        Self {
            id: commit.id().to_string(),
            author: redacted::short(author.name_bytes(), LONGEST_LINE, filter),
            email: redacted::short(author.email_bytes(), LONGEST_LINE, filter),
            date: date(author.when()),
            subject: clipped(subject.as_bytes(), LONGEST_LINE),
            body: Some(clipped(body.as_bytes(), LONGEST_BODY)).filter(|text| !text.is_empty()),
        }
    }
}

/// Text of at most `most` characters, with a mark where more was there.
pub(super) fn clipped(text: &[u8], most: usize) -> String {
    // Four bytes hold any character; what lies beyond need not be decoded.
    let near = text.get(..most.saturating_mul(4).saturating_add(4)).unwrap_or(text);
    let text = String::from_utf8_lossy(near);
    let text = text.trim();
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// RFC 3339, in the offset it was written with.
pub(super) fn date(time: Time) -> String {
    let offset = Offset::from_seconds(time.offset_minutes().saturating_mul(60)).unwrap_or(Offset::UTC);
    let zoned = Timestamp::from_second(time.seconds()).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(TimeZone::fixed(offset));
    zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

/// The tree a commit changed: that of its first parent, none for a root.
pub(super) fn base<'r>(commit: &Commit<'r>) -> Result<Option<Tree<'r>>, ToolError> {
    match commit.parent_count() {
        0 => Ok(None),
        // In a shallow clone the parent is named and not there; then, too, all is new.
        _ => commit.parent(0).ok().map(|parent| parent.tree()).transpose().map_err(failed),
    }
}

/// Whether a commit may be seen in the history of `within`: it touches nothing there, or at least one file that is not
/// denied.
// INVARIANT: a commit that only touches denied paths is in no answer (test: a_commit_of_denied_paths_alone_vanishes).
pub(super) fn is_visible(
    repo: &Repository,
    commit: &Commit<'_>,
    within: &RepoPath,
    filter: &OutputFilter,
    cancel: &CancellationToken,
) -> Result<bool, ToolError> {
    let (base, tree) = (base(commit)?, commit.tree().map_err(failed)?);
    let (mut touched, mut shown) = (false, false);
    let _ = change::compare(repo, (base.as_ref(), Some(&tree)), within, cancel, &mut |change| {
        touched = true;
        shown = filter.shows_file(&change.path);
        Ok(if shown { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    Ok(shown || !touched)
}
