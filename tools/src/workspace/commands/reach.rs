//! What of the workspace a command may reach: all that policy shows, and to write what is declared.
//!
//! Landlock grants and does not deny. So a folder is granted as a whole where nothing below it is hidden, and entry by
//! entry where something is; `.git` is hidden wherever it is. The names in such a folder can be listed all the same.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use cap_std::fs::{Dir, FileType as FileKind};
use rustix::fs::{FileType, Mode, OFlags};
use tokio_util::sync::CancellationToken;

use crate::error::{ToolError, ToolErrorKind};
use crate::sandbox::{Access, Grant};
use crate::scope::OutputFilter;
use crate::workspace::nested::{self, Nested};
use crate::workspace::open;
use crate::workspace::path::{RepoPath, is_git_internal};
use crate::workspace::repository::live;
use crate::workspace::settings::Command;

/// A larger workspace is not judged in one call.
const MOST_ENTRIES: usize = 1_000_000;
/// As many rules as a kernel takes without noticeable time.
const MOST_GRANTS: usize = 20_000;
/// Deeper folders are not granted.
const DEEPEST: usize = 128;

/// The grants of a command in this folder. Declared paths that are missing are made.
pub(super) fn grants(
    (root, top): (&Dir, &str),
    command: &Command,
    filter: &OutputFilter,
    cancel: &CancellationToken,
) -> Result<Vec<Grant>, ToolError> {
    let mut writable = command.writable.iter().map(|path| RepoPath::parse(path)).collect::<Result<Vec<_>, _>>()?;
    if let Some(report) = command.report.as_deref().filter(|report| !writable.iter().any(|path| path.covers(report))) {
        writable.push(RepoPath::parse(report)?);
    }
    for path in &writable {
        made(root, path, Some(path.as_str()) == command.report.as_deref())?;
    }
    let mut judged = Judged { root, top, filter, cancel, entries: 0, grants: Vec::new() };
    match judged.folder(root, &RepoPath::root(), &Nested::default(), 0)? {
        Verdict::Whole => judged.grant(root.as_fd(), &RepoPath::root(), Access::Read)?,
        Verdict::Parts(grants) => {
            judged.grants.extend(grants);
            judged.grant(root.as_fd(), &RepoPath::root(), Access::List)?;
        }
        Verdict::Hidden => {}
    }
    for path in &writable {
        judged.write(path)?;
    }
    Ok(judged.grants)
}

struct Judged<'a> {
    root: &'a Dir,
    /// The folder's name.
    top: &'a str,
    filter: &'a OutputFilter,
    cancel: &'a CancellationToken,
    entries: usize,
    grants: Vec<Grant>,
}

/// What of a folder is shown.
enum Verdict {
    Whole,
    Parts(Vec<Grant>),
    Hidden,
}

impl Judged<'_> {
    /// Judges what is in a folder.
    // INVARIANT: a file that policy denies, and all in `.git`, is in no grant (tests: a_folder_with_a_denied_file_is_granted_in_parts,
    // private_things_cannot_be_read).
    fn folder(&mut self, dir: &Dir, path: &RepoPath, nested: &Nested, depth: usize) -> Result<Verdict, ToolError> {
        live(self.cancel)?;
        // What this user cannot list, the command could make listable: it runs as the same user.
        let Ok(entries) = dir.entries() else { return Ok(Verdict::Hidden) };
        if depth > DEEPEST {
            return Ok(Verdict::Hidden);
        }
        let (mut shown, mut hidden) = (Vec::new(), false);
        let mut below = Vec::new();
        for entry in entries {
            let Ok(entry) = entry else {
                hidden = true;
                continue;
            };
            self.entries += 1;
            if self.entries > MOST_ENTRIES {
                return Err(too_many(&format!("the workspace has more than {MOST_ENTRIES} entries")));
            }
            let name = entry.file_name();
            let Ok(kind) = entry.file_type() else {
                hidden = true;
                continue;
            };
            let child = path.child(&name.to_string_lossy());
            if name.to_str().is_none_or(is_git_internal) {
                hidden = true; // a name that is no text cannot be told to the sandbox
            } else if kind.is_dir() {
                let verdict = match open::entry_folder(dir, &name) {
                    Some(inner) if nested::is_top(&inner) && !nested::is_shown(self.top, &child, self.filter) => Verdict::Hidden,
                    Some(inner) => {
                        let nested = if nested::is_top(&inner) { &nested.and(child.clone()) } else { nested };
                        if nested.shows_tree(child.as_str(), self.filter) { self.folder(&inner, &child, nested, depth + 1)? } else { Verdict::Hidden }
                    }
                    None => Verdict::Hidden,
                };
                match verdict {
                    Verdict::Whole => shown.push(name),
                    Verdict::Parts(grants) => {
                        hidden = true;
                        below.extend(grants);
                    }
                    Verdict::Hidden => hidden = true,
                }
            } else if kind.is_symlink() {
                // Where it leads is judged by its own name.
            } else if !is_device(&kind) && nested.shows_file(child.as_str(), self.filter) {
                shown.push(name);
            } else {
                hidden = true;
            }
        }
        if !hidden {
            return Ok(Verdict::Whole);
        }
        for name in shown {
            if let Ok(fd) = rustix::fs::openat(dir, &name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
                below.push(grant(fd.as_fd(), &path.child(&name.to_string_lossy()), Access::Read)?);
            }
        }
        if below.len() > MOST_GRANTS {
            return Err(too_many(&format!("what policy hides is spread over folders of more than {MOST_GRANTS} entries")));
        }
        Ok(Verdict::Parts(below))
    }

    /// Grants a declared path for writing: all of it, or not at all.
    fn write(&mut self, path: &RepoPath) -> Result<(), ToolError> {
        let fd = at(self.root, path)?;
        let nested = Nested::around(self.root, path);
        let stat = rustix::fs::fstat(&fd).map_err(ToolError::internal)?;
        let whole = nested.shown(self.top, self.filter)
            && match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => {
                    let dir = rustix::fs::openat(&fd, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
                        .map_err(ToolError::internal)?;
                    nested.shows_tree(path.as_str(), self.filter)
                        && matches!(self.folder(&Dir::from_std_file(File::from(dir)), path, &nested, 0)?, Verdict::Whole)
                }
                FileType::RegularFile => nested.shows_file(path.as_str(), self.filter),
                _ => false,
            };
        if !whole {
            let client = format!("the command may write `{}`, which holds what policy hides; declare a narrower path", path.as_str());
            return Err(ToolError::new(ToolErrorKind::Unavailable, client));
        }
        self.grant(fd.as_fd(), path, Access::Write)
    }

    fn grant(&mut self, fd: impl AsFd, path: &RepoPath, access: Access) -> Result<(), ToolError> {
        self.grants.push(grant(fd, path, access)?);
        Ok(())
    }
}

fn is_device(kind: &FileKind) -> bool {
    use cap_std::fs::FileTypeExt;
    kind.is_block_device() || kind.is_char_device()
}

fn grant(fd: impl AsFd, path: &RepoPath, access: Access) -> Result<Grant, ToolError> {
    let stat = rustix::fs::fstat(fd).map_err(ToolError::internal)?;
    Ok(Grant { path: path.as_str().to_owned(), device: stat.st_dev, inode: stat.st_ino, access })
}

fn too_many(what: &str) -> ToolError {
    ToolError::new(ToolErrorKind::TooLarge, format!("{what}: too much to guard for a command; run it in a smaller work tree"))
}

/// Opens a declared path, none of whose parts may be a link.
fn at(root: &Dir, path: &RepoPath) -> Result<OwnedFd, ToolError> {
    let mut here: OwnedFd = root.as_fd().try_clone_to_owned().map_err(ToolError::internal)?;
    for part in path.parts() {
        here = rustix::fs::openat(&here, part, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
            .map_err(|error| declared(path).because(error))?;
    }
    Ok(here)
}

/// Makes what is missing of a declared path: folders, and as its last part an empty file where that is meant.
fn made(root: &Dir, path: &RepoPath, is_report: bool) -> Result<(), ToolError> {
    let mut here: OwnedFd = root.as_fd().try_clone_to_owned().map_err(ToolError::internal)?;
    let mut parts = path.parts().peekable();
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        if rustix::fs::statat(&here, part, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).is_err() {
            let done = if last && (is_report || is_named_like_a_file(part)) {
                rustix::fs::openat(&here, part, OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC, Mode::from_raw_mode(0o666))
                    .map(drop)
            } else {
                rustix::fs::mkdirat(&here, part, Mode::from_raw_mode(0o777))
            };
            done.map_err(|error| declared(path).because(error))?;
        }
        here = rustix::fs::openat(&here, part, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
            .map_err(|error| declared(path).because(error))?;
    }
    Ok(())
}

/// `coverage.xml`, not `target` and not `.pytest_cache`.
fn is_named_like_a_file(name: &str) -> bool {
    name.trim_start_matches('.').contains('.')
}

fn declared(path: &RepoPath) -> ToolError {
    ToolError::new(ToolErrorKind::Unavailable, format!("the declared path `{}` cannot be opened or made; no part of it may be a link", path.as_str()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::scope::PathFilter;

    struct Without(&'static [&'static str]);

    impl PathFilter for Without {
        fn file(&self, path: &str) -> bool {
            !self.0.contains(&path)
        }
        fn tree(&self, path: &str) -> bool {
            self.file(path)
        }
        fn repository(&self, folder: &str) -> bool {
            !folder.ends_with("denied-repository")
        }
    }

    fn granted(files: &[&str], denied: &'static [&'static str], writable: &[&str]) -> Result<Vec<(String, Access)>, ToolError> {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        std::os::unix::fs::symlink("/etc", folder.path().join("link")).unwrap();
        let root = Dir::from_std_file(File::open(folder.path()).unwrap());
        let command = Command { writable: writable.iter().map(|path| (*path).to_owned()).collect(), ..Command::default() };
        let filter = OutputFilter::new(Arc::new(Without(denied)), 1 << 20);
        let mut grants: Vec<_> = grants((&root, folder.path().to_str().unwrap()), &command, &filter, &CancellationToken::new())?
            .into_iter()
            .map(|grant| (grant.path, grant.access))
            .collect();
        grants.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(grants)
    }

    fn of(grants: &[(&str, Access)]) -> Vec<(String, Access)> {
        grants.iter().map(|(path, access)| ((*path).to_owned(), *access)).collect()
    }

    #[test]
    fn a_folder_is_granted_as_a_whole_where_nothing_is_hidden() {
        assert_eq!(granted(&["a", "b/c"], &[], &[]).unwrap(), of(&[(".", Access::Read)]));
    }

    #[test]
    fn a_folder_with_a_denied_file_is_granted_in_parts() {
        let files = &[".git/config", "a", "b/c", "b/d/.env", "b/d/e", "f/g", "sub/.git/x", "sub/y", "secret/z"];
        let expected = of(&[
            (".", Access::List),
            ("a", Access::Read),
            ("b/c", Access::Read),
            ("b/d/e", Access::Read),
            ("f", Access::Read),
            ("sub/y", Access::Read),
        ]);
        assert_eq!(granted(files, &["b/d/.env", "secret"], &[]).unwrap(), expected);
    }

    #[test]
    fn a_repository_within_is_granted_in_parts_and_a_denied_one_not() {
        let files = &["a", "denied-repository/.git/x", "denied-repository/y", "sub/.git/x", "sub/y", "sub/secret/z", "sub/denied-repository/.git"];
        let expected = of(&[(".", Access::List), ("a", Access::Read), ("sub/y", Access::Read)]);
        assert_eq!(granted(files, &["secret"], &[]).unwrap(), expected);
        let declared = |path| granted(&["denied-repository/.git/x", "denied-repository/out/y"], &[], &[path]).is_err();
        assert!(declared("denied-repository/out") && declared("denied-repository/out/y"));
    }

    #[test]
    fn what_is_declared_is_made_and_granted() {
        let grants = granted(&[".git/config", "a"], &[], &["target/out", "coverage.xml", "a"]).unwrap();
        let writes: Vec<_> = grants.iter().filter(|(_, access)| *access == Access::Write).map(|(path, _)| path.as_str()).collect();
        assert_eq!(writes, ["a", "coverage.xml", "target/out"]);
    }

    #[test]
    fn what_may_not_be_written_is_refused() {
        for (files, denied, writable) in [
            (&["out/.env"][..], &["out/.env"][..], "out"),
            (&["out/sub/.git/hooks/x"], &[], "out"),
            (&["a"], &["a"], "a"),
            (&["a"], &[], "link/x"),
            (&["a"], &[], "link"),
            (&["a"], &[], "a/b"),
        ] {
            assert_eq!(granted(files, denied, &[writable]).unwrap_err().kind, ToolErrorKind::Unavailable, "{writable}");
        }
        assert!(granted(&["a"], &[], &["../x"]).is_err());
    }
}
