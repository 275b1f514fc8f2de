//! What a commit of listed files would be made of, looked at once to be judged and again to be committed.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use git2::{Index, IndexEntry, IndexTime, ObjectType, Oid, ReferenceType, Repository, RepositoryState, Tree};
use tokio_util::sync::CancellationToken;

use super::attributes;
use super::git_folder::GitFolder;
use super::index_lock::unsupported;
use crate::error::{ToolError, ToolErrorKind};
use crate::workspace::open::OpenFile;
use crate::workspace::path::{RepoPath, is_git_elsewhere, quoted};
use crate::workspace::repository::{self, failed, live};
use crate::workspace::root::Workspace;
use crate::workspace::spot::{self, Spot, There, moved};

/// A larger file is not committed, in bytes.
const LARGEST: usize = crate::workspace::patch::LARGEST;
/// Nor are larger ones together.
const LARGEST_TOGETHER: usize = 32 << 20;

pub(super) const PLAIN: i32 = 0o100_644;
const EXECUTABLE: i32 = 0o100_755;
const LINK: i32 = 0o120_000;
const SUBMODULE: i32 = 0o160_000;
/// git's bit for an entry that a sparse checkout leaves out of the work tree.
const SKIP_WORKTREE: u16 = 1 << 14;

/// The branch that is checked out and the listed files, all as they are at one moment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Survey {
    pub(super) branch: String,
    /// `None`: the branch has no commit yet.
    pub(super) head: Option<Oid>,
    pub(super) files: Vec<Listed>,
}

/// A listed file: as the last commit has it, and as the work tree has it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) path: RepoPath,
    pub(super) old: Option<(Oid, i32)>,
    pub(super) new: Option<New>,
}

/// A file of the work tree, with its content as git would keep it.
#[derive(Debug)]
pub(super) struct New {
    pub(super) content: Vec<u8>,
    pub(super) id: Oid,
    pub(super) mode: i32,
    stat: Option<std::fs::Metadata>,
}

impl PartialEq for New {
    fn eq(&self, other: &Self) -> bool {
        (self.id, self.mode, &self.content) == (other.id, other.mode, &other.content)
    }
}

impl Eq for New {}

impl Listed {
    pub(super) fn is_changed(&self) -> bool {
        self.old != self.new.as_ref().map(|new| (new.id, new.mode))
    }

    /// What the last commit has; nothing of a file that it has not.
    pub(super) fn old_content(&self, repo: &Repository) -> Result<Vec<u8>, ToolError> {
        let Some((id, _)) = self.old else { return Ok(Vec::new()) };
        let (size, _) = repo.odb().and_then(|odb| odb.read_header(id)).map_err(failed)?;
        if size > LARGEST {
            return Err(too_large(&self.path));
        }
        repo.find_blob(id).map(|blob| blob.content().to_vec()).map_err(failed)
    }

    /// The entry that git's index gets, with what `git status` compares first.
    pub(super) fn index_entry(&self) -> Option<IndexEntry> {
        let new = self.new.as_ref()?;
        let time = |seconds: i64, nanoseconds: i64| IndexTime::new(i32::try_from(seconds).unwrap_or(0), u32::try_from(nanoseconds).unwrap_or(0));
        let low = |wide: u64| u32::try_from(wide & u64::from(u32::MAX)).unwrap_or(0);
        let stat = new.stat.as_ref();
        Some(IndexEntry {
            ctime: stat.map_or(IndexTime::new(0, 0), |stat| time(stat.ctime(), stat.ctime_nsec())),
            mtime: stat.map_or(IndexTime::new(0, 0), |stat| time(stat.mtime(), stat.mtime_nsec())),
            dev: stat.map_or(0, |stat| low(stat.dev())),
            ino: stat.map_or(0, |stat| low(stat.ino())),
            mode: new.mode.cast_unsigned(),
            uid: stat.map_or(0, MetadataExt::uid),
            gid: stat.map_or(0, MetadataExt::gid),
            file_size: stat.map_or(0, |stat| low(stat.size())),
            id: new.id,
            flags: 0,
            flags_extended: 0,
            path: self.path.as_str().as_bytes().to_vec(),
        })
    }
}

impl Survey {
    pub(super) fn take(repo: &Repository, workspace: &Workspace, paths: &[RepoPath], cancel: &CancellationToken) -> Result<Self, ToolError> {
        let (branch, head) = head(repo)?;
        let tree = head.map(|id| repo.find_commit(id).and_then(|commit| commit.tree())).transpose().map_err(failed)?;
        let index = repo.index().map_err(unsupported)?;
        if index.has_conflicts() {
            return Err(unfinished("files with conflicts"));
        }
        let around = Around { repo, workspace, tree, index };
        let mut files = Vec::with_capacity(paths.len());
        let mut together = 0_usize;
        for path in paths {
            live(cancel)?;
            let listed = around.listed(path)?;
            together = together.saturating_add(listed.new.as_ref().map_or(0, |new| new.content.len()));
            if together > LARGEST_TOGETHER {
                return Err(ToolError::new(
                    ToolErrorKind::TooLarge,
                    format!("the files have more than {LARGEST_TOGETHER} bytes together; commit fewer"),
                ));
            }
            files.push(listed);
        }
        Ok(Self { branch, head, files })
    }

    pub(super) fn changed(&self) -> impl Iterator<Item = &Listed> {
        self.files.iter().filter(|file| file.is_changed())
    }
}

/// The branch that is checked out, its commit, and nothing half done.
fn head(repo: &Repository) -> Result<(String, Option<Oid>), ToolError> {
    if repo.state() != RepositoryState::Clean {
        return Err(unfinished("a merge, a rebase or the like"));
    }
    let branch =
        repository::head_branch(repo).ok_or_else(|| ToolError::invalid("no branch is checked out (HEAD is detached); check one out first"))?;
    GitFolder::open(repo, Some(&branch))?;
    let reference = match repo.find_reference(&format!("refs/heads/{branch}")) {
        Ok(reference) => reference,
        Err(error) if error.code() == git2::ErrorCode::NotFound => return Ok((branch, None)),
        Err(error) => return Err(failed(error)),
    };
    match reference.kind() {
        Some(ReferenceType::Direct) => Ok((branch, Some(reference.peel_to_commit().map_err(failed)?.id()))),
        _ => Err(ToolError::invalid(format!("the branch {} is another name for a branch; check out the real one", quoted(&branch)))),
    }
}

/// What a listed path is looked at in.
struct Around<'r> {
    repo: &'r Repository,
    workspace: &'r Workspace,
    tree: Option<Tree<'r>>,
    index: Index,
}

impl Around<'_> {
    fn listed(&self, path: &RepoPath) -> Result<Listed, ToolError> {
        if path.parts().any(is_git_elsewhere) {
            return Err(refused(path, "would be git's own on another system; rename it"));
        }
        let old = self.committed(path)?;
        self.stands_alone(path)?;
        let folders = spot::folders(self.workspace.dir(), path)?;
        if spot::in_nested_repository(&folders) {
            return Err(refused(path, "lies in another repository within this one; commit it there"));
        }
        attributes::can_be_read(&folders)?;
        let spot = Spot::of(self.workspace.dir(), path)?;
        let new = match spot.there()? {
            There::Nothing if old.is_some() => None,
            There::Nothing => {
                return Err(ToolError::not_found(format!("{} is neither in the work tree nor in the last commit", quoted(path.as_str()))));
            }
            There::File(file) => Some(self.file(path, &file, old)?),
            There::Link(text) => Some(self.link(path, text)?),
            There::Folder => return Err(refused(path, "is a folder; list the files in it")),
            There::Special => return Err(refused(path, "is neither a regular file nor a link")),
        };
        let is_tracked = old.is_some() || self.index.get_path(Path::new(path.as_str()), 0).is_some();
        if !is_tracked && self.repo.is_path_ignored(path.as_str()).map_err(failed)? {
            return Err(refused(path, "is ignored by the repository's `.gitignore`"));
        }
        Ok(Listed { path: path.clone(), old, new })
    }

    /// What the last commit has at a path, through folders alone.
    fn committed(&self, path: &RepoPath) -> Result<Option<(Oid, i32)>, ToolError> {
        let Some(tree) = &self.tree else { return Ok(None) };
        for above in above(path) {
            match tree.get_path(above.as_ref()) {
                Ok(entry) if entry.kind() == Some(ObjectType::Tree) => {}
                Ok(entry) if entry.filemode() == SUBMODULE => return Err(submodule(path)),
                Ok(_) => return Err(changes_kind(path)),
                Err(_) => return Ok(None),
            }
        }
        match tree.get_path(path.as_str().as_ref()) {
            Ok(entry) if entry.kind() == Some(ObjectType::Tree) => Err(changes_kind(path)),
            Ok(entry) if entry.filemode() == SUBMODULE => Err(submodule(path)),
            Ok(entry) => Ok(Some((entry.id(), entry.filemode()))),
            Err(_) => Ok(None),
        }
    }

    /// Whether the index can take the path without giving up another one.
    fn stands_alone(&self, path: &RepoPath) -> Result<(), ToolError> {
        let entry = |path: &str| self.index.get_path(Path::new(path), 0);
        if let Some(entry) = entry(path.as_str()) {
            if entry.mode == SUBMODULE.cast_unsigned() {
                return Err(submodule(path));
            }
            if entry.flags_extended & SKIP_WORKTREE != 0 {
                return Err(refused(path, "is left out of the work tree by a sparse checkout"));
            }
        }
        match above(path).find_map(|above| entry(&above)) {
            Some(entry) if entry.mode == SUBMODULE.cast_unsigned() => return Err(submodule(path)),
            Some(_) => return Err(changes_kind(path)),
            None => {}
        }
        if self.index.find_prefix(format!("{}/", path.as_str())).is_ok() { Err(changes_kind(path)) } else { Ok(()) }
    }

    fn file(&self, path: &RepoPath, file: &OpenFile, old: Option<(Oid, i32)>) -> Result<New, ToolError> {
        let (stat, content) = (file.metadata()?, file.read_at(0, LARGEST + 1)?);
        if content.len() > LARGEST {
            return Err(too_large(path));
        }
        if stat.size() != content.len() as u64 {
            return Err(moved(path));
        }
        attributes::keep_bytes(self.repo, path, &content)?;
        let follows_mode = self.repo.config().and_then(|config| config.get_bool("core.filemode")).unwrap_or(true);
        let mode = match old {
            Some((_, mode @ (PLAIN | EXECUTABLE))) if !follows_mode => mode,
            _ if follows_mode && stat.mode() & 0o100 != 0 => EXECUTABLE,
            _ => PLAIN,
        };
        Ok(New { id: blob_id(&content)?, content, mode, stat: Some(stat) })
    }

    /// A link is committed as one, where it leads to something inside.
    fn link(&self, path: &RepoPath, text: Vec<u8>) -> Result<New, ToolError> {
        match self.workspace.locate(path.clone()).found {
            Ok(_) => Ok(New { id: blob_id(&text)?, content: text, mode: LINK, stat: None }),
            Err(_) => Err(refused(path, "is a link that leads to nothing in the repository")),
        }
    }
}

/// The folders above a path, from the top.
fn above(path: &RepoPath) -> impl Iterator<Item = String> {
    path.as_str().match_indices('/').filter_map(|(at, _)| path.as_str().get(..at)).map(str::to_owned)
}

fn blob_id(content: &[u8]) -> Result<Oid, ToolError> {
    Oid::hash_object(ObjectType::Blob, content).map_err(failed)
}

pub(super) fn refused(path: &RepoPath, why: &str) -> ToolError {
    ToolError::invalid(format!("{} {why}", quoted(path.as_str())))
}

fn submodule(path: &RepoPath) -> ToolError {
    refused(path, "is or lies in a submodule; commit it there")
}

fn changes_kind(path: &RepoPath) -> ToolError {
    refused(path, "would turn a file into a folder, or a folder into a file; commit that with git")
}

fn too_large(path: &RepoPath) -> ToolError {
    ToolError::new(ToolErrorKind::TooLarge, format!("{} has, or had, more than {LARGEST} bytes; commit it with git", quoted(path.as_str())))
}

fn unfinished(what: &str) -> ToolError {
    ToolError::invalid(format!("the repository is in the middle of something ({what}); a person finishes that first"))
}
