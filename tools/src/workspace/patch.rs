//! Changes as unified text, page by page.

use std::fmt::Write as _;

use git2::{DiffOptions, Patch, Repository};
use schemars::JsonSchema;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::change::{Change, Version};
use super::open::{self, Found};
use super::page::{Budget, Paging, stale};
use super::path::RepoPath;
use super::redacted;
use super::repository::{failed, live};
use super::root::Workspace;
use crate::error::ToolError;
use crate::scope::OutputFilter;

/// A larger file is named, not compared.
pub(super) const LARGEST: usize = 4 << 20;
/// In bytes.
const LONGEST_HEADING: usize = 80;

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
        let rendered = render((repo, workspace), change, hunks, filter, cancel)?;
        let text = rendered.text.as_str();
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

fn render(
    (repo, workspace): (&Repository, &Workspace),
    change: &Change,
    hunks: bool,
    filter: &OutputFilter,
    cancel: &CancellationToken,
) -> Result<Rendered, ToolError> {
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
    if hunks {
        (rendered.additions, rendered.deletions, rendered.text) = compared(old, new, filter, cancel)?;
    } else {
        (rendered.additions, rendered.deletions) = counted(old, new)?;
    }
    Ok(rendered)
}

/// How many lines were added and removed; none for what git takes for binary.
pub(super) fn counted(old: &[u8], new: &[u8]) -> Result<(usize, usize), ToolError> {
    let patch = Patch::from_buffers(old, None, new, None, None).map_err(failed)?;
    patch.line_stats().map(|(_, additions, deletions)| (additions, deletions)).map_err(failed)
}

/// Lines added, lines removed, and the hunks as they may be shown.
pub(super) fn compared(old: &[u8], new: &[u8], filter: &OutputFilter, cancel: &CancellationToken) -> Result<(usize, usize, String), ToolError> {
    let patch = Patch::from_buffers(old, None, new, None, Some(DiffOptions::new().context_lines(3))).map_err(failed)?;
    let (_, additions, deletions) = patch.line_stats().map_err(failed)?;
    if patch.num_hunks() == 0 {
        return Ok((additions, deletions, String::new()));
    }
    let shown = (redacted::whole_uncounted(old, filter, cancel)?, redacted::whole_uncounted(new, filter, cancel)?);
    let text = hunk_text(&patch, &shown.0.lines(), &shown.1.lines())?;
    if redacted::is_marked(&text) {
        for side in [old, new] {
            redacted::whole(side.to_vec(), filter, cancel)?; // for its count: a mark in lines that are not shown exposes nothing
        }
    }
    Ok((additions, deletions, text))
}

/// The hunks as git writes them, every line by its number out of the texts that may be shown.
// INVARIANT: no byte of the compared content is in the answer, only numbers (test: secrets_in_a_diff_are_marks).
fn hunk_text(patch: &Patch<'_>, old: &[&str], new: &[&str]) -> Result<String, ToolError> {
    let mut text = String::new();
    for at in 0..patch.num_hunks() {
        let (hunk, lines) = patch.hunk(at).map_err(failed)?;
        let range = |start: u32, lines: u32| if lines == 1 { start.to_string() } else { format!("{start},{lines}") };
        let heading = heading(old, hunk.old_start());
        let (before, after) = (range(hunk.old_start(), hunk.old_lines()), range(hunk.new_start(), hunk.new_lines()));
        let _ = writeln!(text, "@@ -{before} +{after} @@{heading}");
        for nth in 0..lines {
            let line = patch.line_in_hunk(at, nth).map_err(failed)?;
            let (side, number) = match line.origin() {
                '-' => (old, line.old_lineno()),
                '+' | ' ' => (new, line.new_lineno()),
                _ => {
                    text.push_str("\\ No newline at end of file\n");
                    continue;
                }
            };
            let shown = number.and_then(|number| side.get((number as usize).checked_sub(1)?));
            let shown = shown.ok_or_else(|| ToolError::internal("a hunk has a line that its file has not"))?;
            let _ = writeln!(text, "{}{shown}", line.origin());
        }
    }
    Ok(text)
}

/// The nearest line above a hunk that begins like the head of a function, as git's own heading.
fn heading(old: &[&str], start: u32) -> String {
    let above = old.get(..(start as usize).saturating_sub(1)).unwrap_or_default();
    let is_head = |line: &&&str| line.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '$'));
    let Some(line) = above.iter().rev().find(is_head) else { return String::new() };
    let end = line.floor_char_boundary(LONGEST_HEADING);
    format!(" {}", line.get(..end).unwrap_or_default().trim_end())
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
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn hunks_read_as_gits_own(
            old in proptest::collection::vec("[ {_$9]?[a-c]{0,2}|fé{35,45}|gg(é){38,42}", 1..25),
            edits in proptest::collection::vec((0_usize..25, 0_usize..3), 0..5),
            ends: (bool, bool),
        ) {
            let mut new = old.clone();
            for (at, kind) in edits {
                match (new.get_mut(at), kind) {
                    (Some(line), 0) => line.push('!'),
                    (Some(_), 1) => drop(new.remove(at)),
                    _ => new.insert(at.min(new.len()), "+".to_owned()),
                }
            }
            let text = |lines: &[String], ended| lines.join("\n") + if ended { "\n" } else { "" };
            let (old, new) = (text(&old, ends.0), text(&new, ends.1));
            let mut options = DiffOptions::new();
            let mut patch = Patch::from_buffers(old.as_bytes(), None, new.as_bytes(), None, Some(options.context_lines(1))).unwrap();
            let own = String::from_utf8_lossy(&patch.to_buf().unwrap()).replace('\u{fffd}', "");
            let own = own.find("@@").map_or("", |at| &own[at..]);
            let shown = hunk_text(&patch, &old.split('\n').collect::<Vec<_>>(), &new.split('\n').collect::<Vec<_>>()).unwrap();
            prop_assert_eq!(shown, own);
        }
    }

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
