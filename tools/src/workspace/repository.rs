//! The git side of a workspace: opening its repository, naming commits, and running both off the async threads.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use git2::{Commit, ErrorCode, Reference, Repository};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::git_links;
use super::main_tree;
use super::path::{RepoPath, has_git_internal, quoted};
use super::root::Workspace;
use crate::error::{ToolError, ToolErrorKind};
use crate::scope::{ScopeKind, Scopes};

/// A repository that borrows from more than this many others is refused.
const MOST_OBJECT_DIRS: usize = 16;

/// Opens the repository of a workspace.
///
/// The git directory is named here and opened as such, so that neither `core.worktree` nor discovery can lead libgit2
/// to another work tree; it is opened "bare" since libgit2's own check of the owner would refuse a gateway that runs as
/// another user than the repository's, and the owner is checked here instead.
// INVARIANT: the git directory belongs to this work tree and to its owner (tests: a_borrowed_git_directory_is_refused,
// core_worktree_leads_nowhere, objects_of_another_user_are_not_borrowed).
pub(super) fn open(workspace: &Workspace) -> Result<Repository, ToolError> {
    let repo = open_any(workspace)?;
    workspace.still_of(mains(&repo, Path::new(workspace.root_path())))?;
    Ok(repo)
}

/// The repositories besides the work tree's own folder that its branches and objects are in.
pub(super) fn mains(repo: &Repository, top: &Path) -> BTreeSet<PathBuf> {
    main_tree::of_common_dir(top, repo.commondir())
}

/// As [`open`], for a workspace whose main repository is not known yet.
pub(super) fn open_any(workspace: &Workspace) -> Result<Repository, ToolError> {
    if !workspace.is_in_place() {
        return Err(ToolError::new(ToolErrorKind::Moved, "the workspace's folder was moved or replaced; connect again"));
    }
    let git_dir = git_dir(Path::new(workspace.root_path()))?;
    git_links::none_in(&git_dir)?;
    // A linked work tree's folder names the one that the repository is in.
    if let Ok(common) = std::fs::read_to_string(git_dir.join("commondir")) {
        git_links::none_in(&git_dir.join(common.trim_end()))?;
    }
    let repo = Repository::open_bare(&git_dir)
        .map_err(|error| unusable("the workspace's repository cannot be opened; is it readable for opsgate's user?").because(error))?;
    // A `commondir` file may lead only from a linked work tree's own folder to the repository that keeps that folder.
    if repo.commondir() != repo.path() && !repo.path().starts_with(repo.commondir().join("worktrees")) {
        return Err(unusable("the workspace's git directory borrows another repository"));
    }
    for part in [repo.path(), repo.commondir()] {
        owned(part, workspace.owner_uid())?;
    }
    for objects in object_dirs(repo.commondir())? {
        owned(&objects, workspace.owner_uid())?;
        owned(&objects.join("pack"), workspace.owner_uid())?;
    }
    repo.set_workdir(Path::new(workspace.root_path()), false).map_err(failed)?;
    Ok(repo)
}

fn git_dir(root: &Path) -> Result<PathBuf, ToolError> {
    let dot_git = root.join(".git");
    let meta = dot_git.symlink_metadata().map_err(|error| unusable("the workspace has no `.git` any more").because(error))?;
    if meta.is_dir() {
        return Ok(dot_git);
    }
    if !meta.is_file() || meta.len() > 8192 {
        return Err(unusable("the workspace's `.git` is neither a folder nor git's file that names one"));
    }
    let text = std::fs::read_to_string(&dot_git).map_err(|error| unusable("the workspace's `.git` file cannot be read").because(error))?;
    let named = text.trim_end().strip_prefix("gitdir:").ok_or_else(|| unusable("the workspace's `.git` file names no git directory"))?;
    let git_dir = root.join(named.trim()).canonicalize().map_err(|error| unusable("the workspace's git directory is not there").because(error))?;
    if git_dir.strip_prefix(root).is_ok_and(|inside| !inside.to_str().is_some_and(has_git_internal)) {
        return Err(unusable("the workspace keeps its git directory among its files; name it `.git`"));
    }
    if knows(&git_dir, root, &dot_git) {
        Ok(git_dir)
    } else {
        Err(unusable("the workspace's `.git` file names a git directory that belongs to another work tree"))
    }
}

/// Whether a git directory outside of the work tree names that work tree as its own: a linked work tree by its
/// `gitdir` file, a submodule by `core.worktree`.
fn knows(git_dir: &Path, root: &Path, dot_git: &Path) -> bool {
    let linked = std::fs::read_to_string(git_dir.join("gitdir")).ok().and_then(|text| git_dir.join(text.trim_end()).canonicalize().ok());
    if linked.is_some() {
        return linked.as_deref() == dot_git.canonicalize().ok().as_deref();
    }
    let work_tree = git2::Config::open(&git_dir.join("config")).and_then(|config| config.get_path("core.worktree"));
    work_tree.ok().and_then(|path| git_dir.join(path).canonicalize().ok()).as_deref() == Some(root)
}

/// The object directory and those it borrows from, directly and through others.
fn object_dirs(common_dir: &Path) -> Result<Vec<PathBuf>, ToolError> {
    let mut dirs = vec![common_dir.join("objects")];
    let mut at = 0;
    while let Some(dir) = dirs.get(at).cloned() {
        at += 1;
        let listed = std::fs::read_to_string(dir.join("info/alternates")).unwrap_or_default();
        dirs.extend(listed.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(|line| dir.join(line)));
        if dirs.len() > MOST_OBJECT_DIRS {
            return Err(unusable("the workspace's repository borrows objects from too many others"));
        }
    }
    Ok(dirs)
}

fn owned(path: &Path, uid: u32) -> Result<(), ToolError> {
    match path.metadata() {
        Ok(meta) if meta.uid() != uid => Err(unusable("part of the workspace's git directory belongs to another user than the work tree")),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(unusable("part of the workspace's git directory cannot be read").because(error)),
    }
}

fn unusable(client: &str) -> ToolError {
    ToolError::new(ToolErrorKind::Unavailable, client)
}

/// A failure of libgit2 whose text the client must not see.
pub(super) fn failed(error: git2::Error) -> ToolError {
    ToolError::new(ToolErrorKind::Upstream, "the repository could not be read; `git fsck` tells whether it is damaged").because(error)
}

// A revision as the caller wrote it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct RevArg(pub(super) String);

/// A revision that can only name a commit: no `:` (files, message search), no range, no pattern.
#[derive(Debug, Clone)]
pub(super) struct Rev {
    name: String,
    spec: String,
}

impl Rev {
    /// The name policy judges.
    pub(super) fn as_str(&self) -> &str {
        &self.name
    }
}

impl RevArg {
    pub(super) fn parse(&self) -> Result<Rev, ToolError> {
        let raw = self.0.as_str();
        let fits = !raw.is_empty()
            && raw.len() <= 256
            && !raw.starts_with('-')
            && !raw.contains("..")
            && !raw.contains("^{/")
            && !raw.chars().any(|c| c.is_control() || c.is_whitespace() || matches!(c, ':' | '\\' | '?' | '*' | '['));
        // INVARIANT: what a branch was is never read under the name of what it is (test: entries_of_a_reflog_are_refused).
        let selectors = raw.split("@{").skip(1).map(|rest| rest.split('}').next().unwrap_or_default());
        if fits && selectors.into_iter().any(|one| !matches!(one, "u" | "upstream")) {
            let client = format!("{} is an entry of a reflog, which no branch or tag names; name a branch, a tag or a commit", quoted(raw));
            return Err(ToolError::invalid(client));
        }
        if fits {
            Ok(Rev { name: raw.to_owned(), spec: raw.to_owned() })
        } else {
            Err(ToolError::invalid(format!("{} is no revision; name a branch, a tag or a commit", quoted(raw))))
        }
    }
}

/// The revision asked for, or what is checked out: `HEAD`, or the branch that it is on.
// INVARIANT: the branch that policy judges is the one that is read, whatever is checked out meanwhile (test:
// what_is_checked_out_meanwhile_is_not_read).
pub(super) fn rev_or_head(repo: &Repository, rev: Option<&RevArg>) -> Result<Rev, ToolError> {
    match rev {
        Some(arg) => arg.parse(),
        None => Ok(match head_branch(repo) {
            Some(name) => Rev { spec: format!("refs/heads/{name}"), name },
            None => Rev { name: "HEAD".to_owned(), spec: "HEAD".to_owned() },
        }),
    }
}

/// The branch that is checked out, whether or not it has a commit.
pub(super) fn head_branch(repo: &Repository) -> Option<String> {
    let head = repo.find_reference("HEAD").ok()?;
    head.symbolic_target().ok().flatten()?.strip_prefix("refs/heads/").map(str::to_owned)
}

/// The commit a revision names.
pub(super) fn commit<'r>(repo: &'r Repository, rev: &Rev) -> Result<Commit<'r>, ToolError> {
    let found = repo.revparse_single(&rev.spec).and_then(|object| object.peel_to_commit());
    found.map_err(|error| match error.code() {
        ErrorCode::Ambiguous => ToolError::invalid(format!("the revision {} is ambiguous; write more of the commit id", quoted(rev.as_str()))),
        _ if (rev.spec == "HEAD" || rev.spec != rev.name) && repo.head().is_err_and(|error| error.code() == ErrorCode::UnbornBranch) => {
            ToolError::not_found("the branch has no commit yet")
        }
        _ => unknown(rev),
    })
}

/// The message of the annotated tag a revision names, where it names one, with what may not be shown still in it.
pub(super) fn tag_message(repo: &Repository, rev: &Rev) -> Option<Vec<u8>> {
    let object = repo.revparse_single(&rev.spec).ok()?;
    Some(object.as_tag()?.message_bytes()?.to_vec())
}

/// What is said of a commit that is not there, and of one that is hidden.
pub(super) fn unknown(rev: &Rev) -> ToolError {
    ToolError::not_found(format!("no commit {} is here to be seen", quoted(rev.as_str())))
}

/// The scope of a file in a commit; what is not there, or is a folder, may be either.
pub(super) fn file_scope(scopes: Scopes, commit: Option<&Commit<'_>>, path: &RepoPath) -> Scopes {
    let entry = commit.and_then(|commit| commit.tree().ok()).and_then(|tree| tree.get_path(path.as_str().as_ref()).ok());
    let scopes = scopes.and(ScopeKind::Path, path.as_str());
    if entry.is_some_and(|entry| entry.kind() == Some(git2::ObjectType::Blob)) { scopes } else { scopes.and(ScopeKind::Tree, path.as_str()) }
}

/// The scope of a revision: the name the caller wrote, and every branch or tag that it leads to by another name (`HEAD`, an upstream,
/// a symbolic branch), of a remote's branch that is followed here its own name too. A commit's own id names no branch.
// INVARIANT: a branch is judged by its own name too, however it was named (test: a_branch_is_judged_under_any_name).
pub(super) fn ref_scope(scopes: Scopes, repo: &Repository, rev: &Rev) -> Scopes {
    let mut names = vec![rev.as_str().to_owned()];
    let whole = rev.spec.split(['~', '^']).next().unwrap_or_default();
    for spec in [whole, whole.split("@{").next().unwrap_or_default()] {
        let Ok((_, Some(reference))) = repo.revparse_ext(spec) else { continue };
        let resolved = reference.resolve().ok();
        for name in [Some(&reference), resolved.as_ref()].into_iter().flatten().flat_map(|one| branch_names(repo, one)) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names.into_iter().fold(scopes, |scopes, name| scopes.and(ScopeKind::Ref, name))
}

/// A reference's short name and, where it follows a branch of a remote, that branch's own.
fn branch_names(repo: &Repository, reference: &Reference<'_>) -> Vec<String> {
    let mut names: Vec<String> = reference.shorthand().ok().map(str::to_owned).into_iter().collect();
    let Ok(full) = reference.name() else { return names };
    let remotes: Vec<String> = repo.remotes().map(|all| all.iter().flatten().flatten().map(str::to_owned).collect()).unwrap_or_default();
    for remote in &remotes {
        let Ok(remote) = repo.find_remote(remote) else { continue };
        let theirs = remote.refspecs().filter(|spec| spec.dst_matches(full)).filter_map(|spec| spec.rtransform(full).ok());
        names.extend(theirs.filter_map(|name| name.as_str().ok().and_then(|name| name.strip_prefix("refs/heads/")).map(str::to_owned)));
    }
    if let Some(tracked) = full.strip_prefix("refs/remotes/") {
        let of = |remote: &String| tracked.strip_prefix(remote.as_str()).and_then(|rest| rest.strip_prefix('/'));
        let known = remotes.iter().filter_map(of);
        names.extend(known.chain(tracked.split_once('/').map(|(_, rest)| rest)).filter(|name| *name != "HEAD").map(str::to_owned));
    }
    names
}

/// Runs what touches disk or libgit2 off the async threads.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, ToolError> + Send + 'static) -> Result<T, ToolError> {
    tokio::task::spawn_blocking(work).await.map_err(ToolError::internal)?
}

/// Stops where the caller has gone.
pub(super) fn live(cancel: &CancellationToken) -> Result<(), ToolError> {
    if cancel.is_cancelled() { Err(ToolError::new(ToolErrorKind::Cancelled, "the call was cancelled")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_checked_out_meanwhile_is_not_read() {
        let top = tempfile::TempDir::new().unwrap();
        let repo = Repository::init(top.path()).unwrap();
        let who = git2::Signature::now("A", "a@example.invalid").unwrap();
        let tree = repo.find_tree(repo.treebuilder(None).unwrap().write().unwrap()).unwrap();
        let made = |name: &str| repo.commit(Some(&format!("refs/heads/{name}")), &who, &who, name, &tree, &[]).unwrap();
        let (main, _) = (made("main"), made("release"));
        repo.set_head("refs/heads/main").unwrap();
        let judged = rev_or_head(&repo, None).unwrap();
        repo.set_head("refs/heads/release").unwrap();
        assert_eq!((judged.as_str(), commit(&repo, &judged).unwrap().id()), ("main", main));
        repo.set_head("refs/heads/unborn").unwrap();
        let error = commit(&repo, &rev_or_head(&repo, None).unwrap()).unwrap_err();
        assert_eq!(error.client, "the branch has no commit yet");
    }
}
