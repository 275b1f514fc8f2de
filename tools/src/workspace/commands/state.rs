//! What is at the paths of a folder, by content: what a command changed is what differs.

use std::collections::BTreeMap;

use cap_std::fs::Dir;
use rustix::fs::{AtFlags, FileType};
use tokio_util::sync::CancellationToken;

use crate::error::{ToolError, ToolErrorKind};
use crate::workspace::open::{self, Found};
use crate::workspace::path::{RepoPath, is_git_internal};
use crate::workspace::repository::live;

/// A larger workspace is not copied.
const MOST_FILES: usize = 50_000;
const MOST_BYTES: u64 = 1 << 30;
/// Deeper folders are not brought back.
const DEEPEST: usize = 100;

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    File([u8; 32]),
    Link(String),
    Folder,
    Other,
}

/// What may still be copied or looked at.
pub(super) struct Budget {
    files: usize,
    bytes: u64,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self { files: MOST_FILES, bytes: MOST_BYTES }
    }

    pub(super) fn spend(&mut self, bytes: u64) -> Result<(), ToolError> {
        let left = self.files.checked_sub(1).zip(self.bytes.checked_sub(bytes));
        let (files, bytes) = left.ok_or_else(|| {
            let client = format!("the workspace has more than {MOST_FILES} files or {} MiB to copy; declare less as writable", MOST_BYTES >> 20);
            ToolError::new(ToolErrorKind::TooLarge, client)
        })?;
        (self.files, self.bytes) = (files, bytes);
        Ok(())
    }
}

/// What is at each declared path and below it. Folders are what is in them.
pub(super) fn states(root: &Dir, declared: &[RepoPath], cancel: &CancellationToken) -> Result<BTreeMap<RepoPath, State>, ToolError> {
    let (mut found, mut budget) = (BTreeMap::new(), Budget::new());
    for path in declared {
        match state(root, path)? {
            Some(State::Folder) => {
                if let Ok(Found::Folder(dir)) = open::exactly(root, path) {
                    below(&dir, path, &mut found, &mut budget, cancel, 0)?;
                }
            }
            Some(state) => drop(found.insert(path.clone(), state)),
            None => {}
        }
    }
    Ok(found)
}

fn below(
    dir: &Dir,
    path: &RepoPath,
    found: &mut BTreeMap<RepoPath, State>,
    budget: &mut Budget,
    cancel: &CancellationToken,
    depth: usize,
) -> Result<(), ToolError> {
    live(cancel)?;
    if depth > DEEPEST {
        return Err(ToolError::new(ToolErrorKind::TooLarge, format!("the command left folders more than {DEEPEST} deep; nothing was changed")));
    }
    for entry in dir.entries().map_err(unusable)? {
        let name = entry.map_err(unusable)?.file_name();
        let Some(name) = name.to_str().filter(|name| !is_git_internal(name)) else { continue };
        let child = path.child(name);
        match state_in(dir, name)? {
            Some((State::Folder, _)) => {
                if let Some(inner) = open::entry_folder(dir, name.as_ref()) {
                    below(&inner, &child, found, budget, cancel, depth + 1)?;
                }
            }
            Some((state, size)) => {
                budget.spend(size)?;
                found.insert(child, state);
            }
            None => {}
        }
    }
    Ok(())
}

/// What is at `path`, none of whose folders is a link.
pub(super) fn state(root: &Dir, path: &RepoPath) -> Result<Option<State>, ToolError> {
    let mut parts: Vec<&str> = path.parts().collect();
    let Some(name) = parts.pop() else { return Ok(Some(State::Folder)) };
    match open::exactly(root, &RepoPath::of_parts(parts.into_iter())) {
        Ok(Found::Folder(dir)) => Ok(state_in(&dir, name)?.map(|(state, _)| state)),
        Ok(Found::File(_)) => Ok(None),
        Err(error) if error.kind == ToolErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn state_in(dir: &Dir, name: &str) -> Result<Option<(State, u64)>, ToolError> {
    let Ok(stat) = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) else { return Ok(None) };
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    Ok(Some(match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => (State::Folder, 0),
        FileType::RegularFile => match open::entry_file(dir, name.as_ref()) {
            Some(file) => (State::File(file.digest()?), size),
            None => (State::Other, 0),
        },
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(dir, name, Vec::new()).ok().and_then(|text| text.into_string().ok());
            (target.map_or(State::Other, State::Link), 0)
        }
        _ => (State::Other, 0),
    }))
}

/// The copy cannot be used.
pub(super) fn unusable(error: std::io::Error) -> ToolError {
    ToolError::new(ToolErrorKind::Unavailable, "the workspace could not be copied for the command").because(error)
}
