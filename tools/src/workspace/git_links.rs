//! Nothing but files and folders in git's own folder: libgit2 goes by names, would read through links what is not the repository's, and
//! would wait at pipes for ever.

use std::fs::File;
use std::path::Path;

use cap_std::fs::Dir;
use rustix::fs::{Mode, OFlags};

use super::open::entry_folder;
use crate::error::{ToolError, ToolErrorKind};

/// Below this many entries all are looked at; a repository with more is refused until `git gc` packs it.
const MOST: usize = 500_000;
/// Branches are not nested deeper.
const DEEPEST: usize = 32;

/// What libgit2 reads by name: these, and all that is below the folders among them.
const READ: [&str; 9] = ["HEAD", "config", "index", "packed-refs", "commondir", "shallow", "info", "objects", "refs"];

/// Refuses where something that git reads is a link, a pipe or the like.
///
/// # Errors
/// [`ToolErrorKind::Unavailable`], also where the folder cannot be listed or is too large to be looked at.
// INVARIANT: nothing is read through a link in git's folder that was there when the call began (test:
// links_in_gits_folder_show_nothing_of_others). Who may write there can still make one while libgit2 reads.
pub(super) fn none_in(git_dir: &Path) -> Result<(), ToolError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // A path as libgit2 gives it ends with `/`, which would follow a link.
    let trimmed = git_dir.components().as_path();
    let top = rustix::fs::open(trimmed, flags, Mode::empty()).map(File::from).map_err(|errno| refused().because(errno))?;
    let top = Dir::from_std_file(top);
    let mut left = MOST;
    for name in READ {
        if top.symlink_metadata(name).is_ok_and(|meta| !meta.is_file() && !meta.is_dir()) {
            return Err(refused());
        }
        if let Some(folder) = entry_folder(&top, name.as_ref()) {
            below(&folder, 0, &mut left)?;
        }
    }
    Ok(())
}

fn below(folder: &Dir, depth: usize, left: &mut usize) -> Result<(), ToolError> {
    for entry in folder.entries().map_err(|error| refused().because(error))? {
        let entry = entry.map_err(|error| refused().because(error))?;
        let kind = entry.file_type().map_err(|error| refused().because(error))?;
        *left = left
            .checked_sub(1)
            .ok_or_else(|| ToolError::new(ToolErrorKind::Unavailable, "the repository has too many loose files; run `git gc` there"))?;
        if !(kind.is_file() || kind.is_dir()) || depth > DEEPEST {
            return Err(refused());
        }
        if kind.is_dir()
            && let Some(inner) = entry_folder(folder, &entry.file_name())
        {
            below(&inner, depth + 1, left)?;
        }
    }
    Ok(())
}

fn refused() -> ToolError {
    ToolError::new(
        ToolErrorKind::Unavailable,
        "the workspace's git directory has a link or a pipe in it; a repository is read only where all of it is its own",
    )
}
