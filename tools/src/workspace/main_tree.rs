//! Whose branches and objects a work tree shows: the repositories besides its own folder that keep them.
//!
//! A linked work tree, a submodule and a separate git directory have their git files in another folder, and a repository may borrow
//! objects. A policy names those folders, so what is done in such a work tree is judged as done there too.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use super::path::is_git_internal;

/// More chains of borrowed objects are not followed; such a repository is not opened either.
const MOST_OBJECT_DIRS: usize = 16;
/// Larger files of git's are none of those that are read here.
const LARGEST: u64 = 1 << 20;

/// The canonical folders of the repositories that the work tree at `top` is of, without `top` itself: of a linked work tree the main
/// one, of a submodule the one around it, where git's files lie in no `.git` that folder. As far as can be told: what leads nowhere is
/// named as it is written.
pub(super) fn of(top: &Path) -> BTreeSet<PathBuf> {
    git_dir(top).map(|git_dir| of_common_dir(top, &common_dir(&git_dir))).unwrap_or_default()
}

/// As [`of`], where the folder that has refs and objects is known.
// INVARIANT: a repository is judged by the folder that holds its branches, through whichever work tree it is used (test:
// a_linked_work_tree_is_judged_as_its_main_one).
pub(super) fn of_common_dir(top: &Path, common_dir: &Path) -> BTreeSet<PathBuf> {
    let mut mains = BTreeSet::new();
    keepers(&real(common_dir), &mut mains);
    for config in ["config", "config.worktree"] {
        if let Some(named) = text(&common_dir.join(config)).as_deref().and_then(work_tree) {
            mains.insert(real(&common_dir.join(named)));
        }
    }
    let mut dirs = vec![common_dir.join("objects")];
    let mut at = 0;
    while let Some(dir) = dirs.get(at).cloned() {
        let listed = text(&dir.join("info/alternates")).unwrap_or_default();
        dirs.extend(listed.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(|line| dir.join(line)));
        dirs.truncate(MOST_OBJECT_DIRS);
        if let Some(lender) = real(&dir).parent().filter(|_| at > 0) {
            keepers(lender, &mut mains);
        }
        at += 1;
    }
    mains.remove(top);
    mains
}

/// The folders whose `.git` this is or lies in; where it lies in none, itself.
fn keepers(git_dir: &Path, mains: &mut BTreeSet<PathBuf>) {
    let is_git = |folder: &&Path| folder.file_name().and_then(|name| name.to_str()).is_some_and(is_git_internal);
    let around: Vec<&Path> = git_dir.ancestors().filter(is_git).filter_map(Path::parent).collect();
    if around.is_empty() {
        mains.insert(git_dir.to_owned());
    }
    mains.extend(around.into_iter().map(Path::to_owned));
}

fn git_dir(top: &Path) -> Option<PathBuf> {
    let dot_git = top.join(".git");
    let meta = dot_git.symlink_metadata().ok()?;
    if !meta.is_file() {
        return Some(real(&dot_git));
    }
    let text = text(&dot_git)?;
    Some(real(&top.join(text.trim_end().strip_prefix("gitdir:")?.trim())))
}

fn common_dir(git_dir: &Path) -> PathBuf {
    text(&git_dir.join("commondir")).map_or_else(|| git_dir.to_owned(), |common| real(&git_dir.join(common.trim_end())))
}

/// The canonical path, or where that leads nowhere the path without `.` and `..`.
fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| {
        let mut plain = PathBuf::new();
        for part in path.components() {
            match part {
                Component::CurDir => {}
                Component::ParentDir => drop(plain.pop()),
                part => plain.push(part),
            }
        }
        plain
    })
}

/// The text of a regular file, without waiting at a pipe.
fn text(path: &Path) -> Option<String> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).map(File::from).ok()?;
    let mut bytes = Vec::new();
    let is_file = file.metadata().is_ok_and(|meta| meta.is_file());
    file.take(LARGEST).read_to_end(&mut bytes).ok().filter(|_| is_file)?;
    String::from_utf8(bytes).ok()
}

/// `core.worktree` of a configuration.
fn work_tree(config: &str) -> Option<&str> {
    let mut in_core = false;
    let mut found = None;
    for line in config.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            in_core = section.split(']').next().is_some_and(|name| name.trim().eq_ignore_ascii_case("core"));
        }
        let setting = line.rsplit(']').next().unwrap_or(line).split_once('=');
        if let Some((_, value)) = setting.filter(|(key, _)| in_core && key.trim().eq_ignore_ascii_case("worktree")) {
            found = Some(value.trim().trim_matches('"'));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_work_tree_is_of_the_folders_around_its_git_files() {
        let top = tempfile::tempdir().unwrap();
        let top = top.path().canonicalize().unwrap();
        let file = |path: &str, text: &str| {
            std::fs::create_dir_all(top.join(path).parent().unwrap()).unwrap();
            std::fs::write(top.join(path), text).unwrap();
        };
        file("plain/.git/HEAD", "x");
        file("linked/.git", "gitdir: ../plain/.git/worktrees/linked\n");
        file("plain/.git/worktrees/linked/commondir", "../..\n");
        file("bare.git/worktrees/of-bare/commondir", "../..");
        file("of-bare/.git", &format!("gitdir: {}/bare.git/worktrees/of-bare", top.display()));
        file("plain/.git/modules/sub/config", "[core]\n\tworktree = ../../../sub\n");
        file("plain/sub/.git", "gitdir: ../.git/modules/sub");
        file("of-sub/.git", "gitdir: ../plain/.git/modules/sub/worktrees/of-sub");
        file("plain/.git/modules/sub/worktrees/of-sub/commondir", "../..");
        file("separate/.git", "gitdir: ../elsewhere");
        file("elsewhere/config", "[Core] WorkTree = \"../separate\"\n[other]\nworktree = x\n");
        file("dangling/.git", "gitdir: ../gone/.git/worktrees/x");
        file("borrows/.git/objects/info/alternates", "../../../lends/.git/objects\n");
        file("lends/.git/objects/info/alternates", "../../../bare.git/objects\n");
        file("none/.git", "what");
        std::os::unix::fs::symlink("plain/.git", top.join("elsewhere/link")).unwrap();
        for (work_tree, mains) in [
            ("plain", &[][..]),
            ("linked", &["plain"]),
            ("of-bare", &["bare.git"]),
            ("plain/sub", &["plain"]),
            ("of-sub", &["plain", "plain/sub"]),
            ("separate", &["elsewhere"]),
            ("dangling", &["gone"]),
            ("borrows", &["bare.git", "lends"]),
            ("none", &[]),
            ("absent", &[]),
        ] {
            let expected: BTreeSet<PathBuf> = mains.iter().map(|main| top.join(main)).collect();
            assert_eq!(of(&top.join(work_tree)), expected, "{work_tree}");
        }
    }
}
