//! Changes as unified text, page by page.

use git2::{DiffOptions, Patch, Repository};
use schemars::JsonSchema;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::change::{Change, Version};
use super::open::{self, Found};
use super::page::{Budget, Paging, stale};
use super::path::RepoPath;
use super::repository::{failed, live};
use super::root::Workspace;
use crate::error::ToolError;
use crate::scope::OutputFilter;

/// A larger file is named, not compared.
const LARGEST: usize = 4 << 20;

// One changed file.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct FileDiff {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    old_path: Option<String>,
    /// A M D R T
    status: &'static str,
    additions: usize,
    deletions: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    hunks: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// What a change looks like.
#[derive(Debug, Default)]
struct Rendered {
    additions: usize,
    deletions: usize,
    text: String,
    note: Option<String>,
}

/// Renders the changes of one page and the cursor to the next. `hunks: false` leaves their text out.
pub(super) fn page(
    (repo, workspace): (&Repository, &Workspace),
    changes: &[Change],
    hunks: bool,
    paging: &mut Paging,
    filter: &OutputFilter,
    cancel: &CancellationToken,
) -> Result<(Vec<FileDiff>, Option<String>), ToolError> {
    let mut budget = Budget::new(filter.output_bytes());
    let mut files = Vec::new();
    for change in changes {
        live(cancel)?;
        let item = (&change.path, &change.renamed_from, key(change.old), key(change.new));
        if paging.skips(&item)? {
            continue;
        }
        let overhead = change.path.len() + change.renamed_from.as_ref().map_or(0, String::len) + 60;
        if !files.is_empty() && budget.left() <= overhead {
            return Ok((files, Some(paging.cursor())));
        }
        let rendered = render(repo, workspace, change)?;
        let text = if hunks { rendered.text.as_str() } else { "" };
        let before = paging.resume(&text)?;
        let rest = text.get(before..).ok_or_else(stale)?;
        // A file's name takes of the budget too, but never all of it: each page must move on.
        let mut room = Budget::new(budget.left().saturating_sub(overhead).max(if files.is_empty() { budget.left().div_ceil(2) } else { 0 }));
        let taken = if files.is_empty() { room.cut(rest.as_bytes()) } else { room.cut_lines(rest.as_bytes()) };
        let shown = rest.get(..taken).unwrap_or_default();
        let ended = taken == rest.len();
        if !ended && taken == 0 {
            return Ok((files, Some(paging.cursor())));
        }
        budget.take(overhead + taken);
        files.push(FileDiff {
            path: change.path.clone(),
            old_path: change.renamed_from.clone(),
            status: change.status(),
            additions: rendered.additions,
            deletions: rendered.deletions,
            hunks: Some(shown.to_owned()).filter(|text| !text.is_empty()),
            note: rendered.note,
        });
        if !ended {
            return Ok((files, Some(paging.cursor_within(before + taken, &text))));
        }
        paging.pass(&item);
    }
    paging.reached()?;
    Ok((files, None))
}

fn key(version: Option<Version>) -> Option<(Vec<u8>, i32)> {
    version.map(|version| (version.id.map(|id| id.as_bytes().to_vec()).unwrap_or_default(), version.mode))
}

fn render(repo: &Repository, workspace: &Workspace, change: &Change) -> Result<Rendered, ToolError> {
    let mut rendered = Rendered::default();
    let old_path = change.renamed_from.as_ref().unwrap_or(&change.path);
    let (old, new) = (content(repo, workspace, change.old, old_path)?, content(repo, workspace, change.new, &change.path)?);
    let (Content::Text(old), Content::Text(new)) = (&old, &new) else {
        let note = [&old, &new].iter().find_map(|side| if let Content::Left(why) = side { Some((*why).to_owned()) } else { None });
        return Ok(Rendered { note, ..rendered });
    };
    if old.iter().take(8000).chain(new.iter().take(8000)).any(|byte| *byte == 0) {
        rendered.note = Some("binary".to_owned());
        return Ok(rendered);
    }
    if let (Some(old), Some(new)) = (change.old, change.new) {
        rendered.note = (old.mode != new.mode).then(|| format!("mode {:o} to {:o}", old.mode, new.mode));
    }
    let unified = unified_ends(old, new);
    if unified.is_some() {
        rendered.note.get_or_insert_with(|| "line ends differ: CRLF now".to_owned());
    }
    let new = unified.as_ref().unwrap_or(new);
    let mut patch = Patch::from_buffers(old, None, new, None, Some(DiffOptions::new().context_lines(3))).map_err(failed)?;
    let (_, additions, deletions) = patch.line_stats().map_err(failed)?;
    let text = patch.to_buf().map_err(failed)?;
    let text = String::from_utf8_lossy(&text).into_owned();
    // The file's names are fields of their own.
    let start = if text.starts_with("@@") { Some(0) } else { text.find("\n@@").map(|at| at + 1) };
    (rendered.additions, rendered.deletions) = (additions, deletions);
    rendered.text = start.and_then(|at| text.get(at..)).unwrap_or_default().to_owned();
    Ok(rendered)
}

/// The new text with the old one's line ends, where it has CRLF throughout and the old one has none: git converts on
/// checkout where it is told to, and a diff of every line would hide the real change.
fn unified_ends(old: &[u8], new: &[u8]) -> Option<Vec<u8>> {
    if old.is_empty() || old.contains(&b'\r') || !new.contains(&b'\r') {
        return None;
    }
    let mut bare = Vec::with_capacity(new.len());
    for line in new.split_inclusive(|byte| *byte == b'\n') {
        match (line.strip_suffix(b"\r\n"), line.ends_with(b"\n")) {
            (Some(text), _) => {
                bare.extend_from_slice(text);
                bare.push(b'\n');
            }
            (None, false) => bare.extend_from_slice(line),
            (None, true) => return None,
        }
    }
    Some(bare)
}

enum Content {
    Text(Vec<u8>),
    Left(&'static str),
}

fn content(repo: &Repository, workspace: &Workspace, version: Option<Version>, path: &str) -> Result<Content, ToolError> {
    let Some(version) = version else { return Ok(Content::Text(Vec::new())) };
    match (version.mode & 0o170_000, version.id) {
        (0o160_000, _) => Ok(Content::Left("submodule")),
        (_, Some(id)) if repo.odb().is_ok_and(|odb| odb.exists(id)) => {
            let (size, _) = repo.odb().and_then(|odb| odb.read_header(id)).map_err(failed)?;
            if size > LARGEST {
                return Ok(Content::Left("too large"));
            }
            Ok(Content::Text(repo.find_blob(id).map_err(failed)?.content().to_vec()))
        }
        (kind, _) => Ok(work_tree(workspace, path, kind)),
    }
}

/// A file of the work tree, through the root's handle and no link.
fn work_tree(workspace: &Workspace, path: &str, kind: i32) -> Content {
    let Ok(path) = RepoPath::parse(path) else { return Content::Left("unreadable") };
    if kind == 0o120_000 {
        return open::link_text(workspace.dir(), &path).map_or(Content::Left("unreadable"), Content::Text);
    }
    match open::exactly(workspace.dir(), &path) {
        Ok(Found::File(file)) if file.size() > LARGEST as u64 => Content::Left("too large"),
        Ok(Found::File(file)) => file.read_at(0, LARGEST).map_or(Content::Left("unreadable"), Content::Text),
        _ => Content::Left("unreadable"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that became a link after it was judged: neither outside nor a denied folder is read through it.
    #[test]
    fn the_work_tree_is_read_through_no_link() {
        let top = tempfile::TempDir::new().unwrap();
        git2::Repository::init(top.path()).unwrap();
        std::fs::create_dir(top.path().join("secrets")).unwrap();
        std::fs::write(top.path().join("secrets/x"), "hidden\n").unwrap();
        std::os::unix::fs::symlink("secrets", top.path().join("a")).unwrap();
        std::os::unix::fs::symlink("secrets/x", top.path().join("b")).unwrap();
        let workspace = Workspace::open(top.path()).unwrap();
        for (path, kind) in [("a/x", 0o100_000), ("b", 0o100_000), ("a/x", 0o120_000)] {
            assert!(matches!(work_tree(&workspace, path, kind), Content::Left("unreadable")), "{path}");
        }
        assert!(matches!(work_tree(&workspace, "b", 0o120_000), Content::Text(text) if text == b"secrets/x"));
        let is_there = |folder| open::is_there(workspace.dir(), &RepoPath::parse(folder).unwrap(), "x".as_ref());
        assert!(is_there("secrets") && !is_there("a") && !is_there("b"));
    }
}
