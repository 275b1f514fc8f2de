//! What git's attributes would make of a file's bytes: here they are kept as they are, or the file is refused.

use cap_std::fs::Dir;
use git2::{AttrCheckFlags, AttrValue, Repository};
use rustix::fs::{AtFlags, FileType};

use super::survey::refused;
use crate::error::ToolError;
use crate::workspace::path::RepoPath;
use crate::workspace::repository::failed;

/// Attributes by which git rewrites content, and why a file that has one is refused. No filter is ever run.
const REWRITING: &[(&str, &str)] = &[
    ("filter", "goes through a filter of `.gitattributes`, which no tool runs; commit it with git"),
    ("ident", "has the attribute `ident`, by which git rewrites it; commit it with git"),
    ("working-tree-encoding", "has the attribute `working-tree-encoding`, by which git recodes it; commit it with git"),
];

/// Whether git, too, would keep these bytes as they are.
// INVARIANT: what is committed is what was in the work tree, byte for byte (tests: filters_never_run, line_ends_that_git_would_change_are_refused).
pub(super) fn keep_bytes(repo: &Repository, path: &RepoPath, content: &[u8]) -> Result<(), ToolError> {
    let attributes = Attributes { repo, path };
    for (name, why) in REWRITING {
        if attributes.is_on(name)? {
            return Err(refused(path, why));
        }
    }
    if content.windows(2).any(|pair| pair == b"\r\n") && attributes.unify_line_ends()? {
        return Err(refused(path, "has CRLF line ends that git would turn into LF here; write LF"));
    }
    Ok(())
}

/// Whether git's own files in these folders are regular or not there: libgit2 opens them by name, and would wait at a fifo.
pub(super) fn can_be_read(folders: &[Dir]) -> Result<(), ToolError> {
    for folder in folders {
        for name in [".gitattributes", ".gitignore"] {
            let stat = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW);
            if stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile) {
                return Err(ToolError::invalid(format!("a `{name}` on the way is no regular file, so git's rules for the files are unknown")));
            }
        }
    }
    Ok(())
}

struct Attributes<'r> {
    repo: &'r Repository,
    path: &'r RepoPath,
}

impl Attributes<'_> {
    fn value(&self, name: &str) -> Result<AttrValue<'_>, ToolError> {
        let value = self.repo.get_attr_bytes(self.path.as_str().as_ref(), name, AttrCheckFlags::FILE_THEN_INDEX).map_err(failed)?;
        Ok(AttrValue::from_bytes(value))
    }

    fn is_on(&self, name: &str) -> Result<bool, ToolError> {
        Ok(!matches!(self.value(name)?, AttrValue::False | AttrValue::Unspecified))
    }

    /// Whether git may take CR out of the file: told so by an attribute or by `core.autocrlf`, and not told that it is no text.
    fn unify_line_ends(&self) -> Result<bool, ToolError> {
        let (text, old_name) = (self.value("text")?, self.value("crlf")?);
        let text = if matches!(text, AttrValue::Unspecified) { old_name } else { text };
        Ok(match text {
            AttrValue::False => false,
            AttrValue::Unspecified => self.is_on("eol")? || self.by_setting(),
            _ => true,
        })
    }

    fn by_setting(&self) -> bool {
        let value = self.repo.config().and_then(|config| config.get_string("core.autocrlf"));
        value.is_ok_and(|value| !matches!(value.to_ascii_lowercase().as_str(), "false" | "no" | "off" | "0" | ""))
    }
}
