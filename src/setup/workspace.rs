//! A repository that the gateway's user may read, or read and write, by access lists.
//!
//! Root walks folders that somebody else can change meanwhile, so every step is taken by handle, no symlink is followed,
//! and what belongs to another user than the repository is left alone.

use std::collections::VecDeque;
use std::ffi::{CStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, XattrFlags};
use rustix::io::Errno;

use super::account::user;
use super::layout::Layout;
use super::step::{SetupError, State, Step};
use crate::trust::Acl;

const ACCESS: &str = "system.posix_acl_access";
const DEFAULT: &str = "system.posix_acl_default";
/// Folders within folders.
const DEEPEST: usize = 200;
/// Links on the way to a repository.
const MOST_LINKS: usize = 40;
const READ: u16 = 4;
const WRITE: u16 = 2;
const ENTER: u16 = 1;

pub(super) struct Granted {
    pub(super) layout: Layout,
    pub(super) folder: PathBuf,
    pub(super) writable: bool,
    /// The user whose repository it must be.
    pub(super) agent: u32,
}

/// A repository of the agent's, opened; only what is opened here is ever granted.
pub(super) struct Reached {
    /// Where it lies on the installed machine, without a link.
    pub(super) real: PathBuf,
    top: OwnedFd,
    above: Vec<(PathBuf, OwnedFd)>,
}

/// Opens a repository part by part. A link on the way is followed only where it is root's, in a folder of root's.
///
/// # Errors
/// Where the way leads through another's link, or to what is not the top of a git work tree of this user.
// INVARIANT: what the agent's user can bend leads nowhere (test: only_a_repository_of_the_agents_is_granted).
pub(super) fn reach(layout: &Layout, folder: &Path, agent: u32) -> Result<Reached, SetupError> {
    let shown = folder.display();
    let fails = |error: Errno| SetupError::new(format!("`{shown}` cannot be opened: {error}; name a repository's folder with --workspace"));
    let open_root = || rustix::fs::open(layout.root(), folder_flags(), Mode::empty()).map_err(fails);
    let mut at = vec![(PathBuf::from("/"), open_root()?)];
    let mut parts: VecDeque<OsString> = parts_of(folder).collect();
    let mut links = 0;
    while let Some(part) = parts.pop_front() {
        if part == ".." {
            if at.len() > 1 {
                at.pop();
            }
            continue;
        }
        let Some((path, above)) = at.last() else { return Err(fails(Errno::NOENT)) };
        let path = path.join(&part);
        let seen = rustix::fs::statat(above, &part, AtFlags::SYMLINK_NOFOLLOW).map_err(fails)?;
        if FileType::from_raw_mode(seen.st_mode) == FileType::Symlink {
            if seen.st_uid != 0 || rustix::fs::fstat(above).map_err(fails)?.st_uid != 0 {
                return Err(SetupError::new(format!(
                    "`{shown}` leads through the link `{}`, which is not root's; name the folder itself",
                    path.display()
                )));
            }
            links += 1;
            if links > MOST_LINKS {
                return Err(fails(Errno::LOOP));
            }
            let target = rustix::fs::readlinkat(above, &part, Vec::new()).map_err(fails)?;
            let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
            if target.is_absolute() {
                at.truncate(1);
            }
            for part in parts_of(&target).collect::<Vec<_>>().into_iter().rev() {
                parts.push_front(part);
            }
            continue;
        }
        let opened = rustix::fs::openat(above, &part, folder_flags(), Mode::empty()).map_err(fails)?;
        at.push((path, opened));
    }
    let Some((real, top)) = at.pop().filter(|_| !at.is_empty()) else {
        return Err(SetupError::new(format!("`{shown}` is the whole machine and no repository; name one with --workspace")));
    };
    let owner = rustix::fs::fstat(&top).map_err(fails)?.st_uid;
    if owner != agent {
        return Err(SetupError::new(format!(
            "`{shown}` belongs to uid {owner} and not to the agent's user (uid {agent}); name a repository of theirs"
        )));
    }
    if !is_work_tree(&top, agent) {
        return Err(SetupError::new(format!("`{shown}` is not the top of a git work tree; name one with --workspace")));
    }
    Ok(Reached { real, top, above: at })
}

/// The names on the way; `.` is none, and the root is where it begins.
fn parts_of(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir)).map(|part| part.as_os_str().to_owned())
}

/// Whether this user's own git folder is here, or the file that a linked work tree has in its place.
fn is_work_tree(top: &OwnedFd, agent: u32) -> bool {
    let of = |folder: &OwnedFd, name: &str| {
        let seen = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).ok().filter(|seen| seen.st_uid == agent);
        seen.map(|seen| FileType::from_raw_mode(seen.st_mode))
    };
    match of(top, ".git") {
        Some(FileType::RegularFile) => true,
        Some(FileType::Directory) => {
            let git = rustix::fs::openat(top, ".git", folder_flags(), Mode::empty());
            git.is_ok_and(|git| of(&git, "HEAD") == Some(FileType::RegularFile) && of(&git, "objects") == Some(FileType::Directory))
        }
        _ => false,
    }
}

impl Reached {
    /// Whether the user has reading, and writing, of the top and what comes later there.
    pub(super) fn holds(&self, uid: u32) -> Result<(bool, bool), Errno> {
        let all = |bits| Ok::<_, Errno>(named(&self.top, ACCESS, uid, bits)? && named(&self.top, DEFAULT, uid, bits)?);
        let some = |bits| Ok::<_, Errno>(named(&self.top, ACCESS, uid, bits)? || named(&self.top, DEFAULT, uid, bits)?);
        let passes = self.above.iter().try_fold(true, |passes, (_, above)| Ok::<_, Errno>(passes && may(above, ACCESS, uid, ENTER)?))?;
        Ok((passes && all(READ | ENTER)?, some(WRITE)?))
    }
}

impl Granted {
    fn bits(&self) -> u16 {
        if self.writable { READ | WRITE } else { READ }
    }

    fn failed(&self, error: Errno) -> SetupError {
        let folder = self.folder.display();
        match error {
            Errno::OPNOTSUPP => SetupError::new(format!("the file system of `{folder}` has no access lists; run `chmod -R o+rX` on it, or move it")),
            error => SetupError::new(format!("`{folder}` cannot be given to the gateway: {error}")),
        }
    }

    /// Lets the user through a folder above, which is the agent's to open and nobody else's.
    fn let_through(&self, path: &Path, above: &OwnedFd, uid: u32) -> Result<(), SetupError> {
        let failed = |error| self.failed(error);
        if may(above, ACCESS, uid, ENTER).map_err(failed)? {
            return Ok(());
        }
        let owner = rustix::fs::fstat(above).map_err(failed)?.st_uid;
        if owner != self.agent {
            let (shown, name) = (path.display(), self.layout.name());
            return Err(SetupError::new(format!(
                "`{}` lies beneath `{shown}`, which `{name}` cannot pass and which is not the agent's; move it, or run `setfacl -m u:{name}:--x {shown}` first",
                self.folder.display()
            )));
        }
        grant(above, ACCESS, uid, ENTER).map_err(failed)
    }
}

impl Step for Granted {
    fn id(&self) -> &'static str {
        "workspace"
    }

    fn what(&self) -> String {
        let (how, back) = if self.writable { ("read and write", "; run setup without --writable to take writing back") } else { ("read", "") };
        format!("the gateway's user may {how} {}, and pass the folders above it{back}", self.folder.display())
    }

    fn state(&self, _: bool) -> Result<State, SetupError> {
        let reached = reach(&self.layout, &self.folder, self.agent)?;
        let Ok(user) = user(&self.layout) else { return Ok(State::Missing) };
        let (reads, writes) = reached.holds(user.uid).map_err(|error| self.failed(error))?;
        Ok(State::done(reads && writes == self.writable))
    }

    // INVARIANT: what is granted is what was opened and judged, by its handle.
    fn apply(&self) -> Result<(), SetupError> {
        let uid = user(&self.layout)?.uid;
        let reached = reach(&self.layout, &self.folder, self.agent)?;
        for (path, above) in &reached.above {
            self.let_through(path, above, uid)?;
        }
        Walk { uid, owner: self.agent, bits: self.bits() }.folder(&reached.top, 0).map_err(|error| self.failed(error))
    }
}

struct Walk {
    uid: u32,
    owner: u32,
    bits: u16,
}

impl Walk {
    fn folder(&self, folder: &OwnedFd, depth: usize) -> Result<(), Errno> {
        if depth > DEEPEST {
            return Err(Errno::NAMETOOLONG);
        }
        set(folder, ACCESS, self.uid, self.bits | ENTER)?;
        set(folder, DEFAULT, self.uid, self.bits | ENTER)?;
        if self.bits & WRITE != 0 {
            grant(folder, DEFAULT, self.owner, READ | WRITE | ENTER)?; // what the gateway makes there stays the owner's to change
        }
        for entry in rustix::fs::Dir::read_from(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if name.to_bytes() != b"." && name.to_bytes() != b".." {
                match self.entry(folder, name, depth) {
                    // It went, or became a symlink, while we walked.
                    Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) | Ok(()) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    // INVARIANT: only files and folders of the repository's owner are touched, and no symlink is followed (test:
    // what_is_not_the_owners_is_left_alone).
    fn entry(&self, folder: &OwnedFd, name: &CStr, depth: usize) -> Result<(), Errno> {
        let seen = rustix::fs::statat(folder, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)?;
        match FileType::from_raw_mode(seen.st_mode) {
            FileType::Directory => {
                let inner = rustix::fs::openat(folder, name, folder_flags(), Mode::empty())?;
                if rustix::fs::fstat(&inner)?.st_uid == self.owner { self.folder(&inner, depth + 1) } else { Ok(()) }
            }
            FileType::RegularFile => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let file = rustix::fs::openat(folder, name, flags, Mode::empty())?;
                let stat = rustix::fs::fstat(&file)?;
                if stat.st_uid != self.owner || FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
                    return Ok(());
                }
                // Git's objects are read-only for everybody; a grant to write would break that.
                let writable = if stat.st_mode & 0o200 == 0 { READ } else { self.bits };
                let runs = if stat.st_mode & 0o111 == 0 { 0 } else { ENTER };
                set(&file, ACCESS, self.uid, writable | runs)
            }
            _ => Ok(()),
        }
    }
}

fn folder_flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

/// The list of a file; for what has none, what its mode says.
fn list(file: impl AsFd, which: &str) -> Result<(Acl, bool), Errno> {
    let mut bytes = vec![0u8; 64 << 10];
    match rustix::fs::fgetxattr(&file, which, &mut bytes) {
        Ok(length) => {
            bytes.truncate(length);
            Acl::parse(&bytes).map(|acl| (acl, true)).ok_or(Errno::INVAL)
        }
        Err(Errno::NODATA) => Ok((Acl::of_mode(rustix::fs::fstat(&file)?.st_mode), false)),
        Err(error) => Err(error),
    }
}

/// Whether the list names the user with these bits.
fn named(file: impl AsFd, which: &str, uid: u32, bits: u16) -> Result<bool, Errno> {
    list(file, which).map(|(acl, there)| there && acl.holders(bits).any(|tag| tag == crate::trust::Tag::User(uid)))
}

/// Whether the user has these bits: by name, else as anybody. Its group is its own, so groups give it nothing.
fn may(file: impl AsFd, which: &str, uid: u32, bits: u16) -> Result<bool, Errno> {
    let stat = rustix::fs::fstat(&file)?;
    let acl = match list(&file, which) {
        Err(Errno::OPNOTSUPP) => Acl::of_mode(stat.st_mode),
        other => other?.0,
    };
    if stat.st_uid == uid {
        return Ok(acl.holders(bits).any(|tag| tag == crate::trust::Tag::Owner));
    }
    let listed = acl.entries().any(|entry| entry.tag == crate::trust::Tag::User(uid));
    let as_who = if listed { crate::trust::Tag::User(uid) } else { crate::trust::Tag::Other };
    Ok(acl.holders(bits).any(|tag| tag == as_who))
}

fn grant(file: impl AsFd, which: &str, uid: u32, bits: u16) -> Result<(), Errno> {
    if named(&file, which, uid, bits)? {
        return Ok(());
    }
    let (acl, _) = list(&file, which)?;
    rustix::fs::fsetxattr(&file, which, &acl.granting(uid, bits).bytes(), XattrFlags::empty())
}

/// Gives the user these bits and takes the others: a grant to write ends with a grant to read.
fn set(file: impl AsFd, which: &str, uid: u32, bits: u16) -> Result<(), Errno> {
    let (acl, there) = list(&file, which)?;
    let wanted = acl.giving(uid, bits);
    if there && wanted == acl { Ok(()) } else { rustix::fs::fsetxattr(&file, which, &wanted.bytes(), XattrFlags::empty()) }
}
