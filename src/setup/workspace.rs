//! A repository that the gateway's user may read, or read and write, by access lists.
//!
//! Root walks folders that somebody else can change meanwhile, so every step is taken by handle, no symlink is followed,
//! and what belongs to another user than the repository is left alone.

use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, XattrFlags};
use rustix::io::Errno;

use super::account::user;
use super::layout::Layout;
use super::step::{SetupError, State, Step};
use crate::trust::Acl;

const ACCESS: &str = "system.posix_acl_access";
const DEFAULT: &str = "system.posix_acl_default";
/// Folders within folders.
const DEEPEST: usize = 200;
const READ: u16 = 4;
const WRITE: u16 = 2;
const ENTER: u16 = 1;

pub(super) struct Granted {
    pub(super) layout: Layout,
    pub(super) folder: PathBuf,
    pub(super) writable: bool,
}

/// The folder's real name on the installed machine.
pub(super) fn real(layout: &Layout, folder: &Path) -> Result<PathBuf, SetupError> {
    let on_disk = layout.on_disk(folder);
    let real = on_disk.canonicalize().map_err(SetupError::io(folder))?;
    let root = layout.root().canonicalize().map_err(SetupError::io(layout.root()))?;
    let inside = real.strip_prefix(&root).map_err(|_| SetupError::new(format!("`{}` leads out of the root", folder.display())))?;
    if !real.is_dir() || inside.components().count() < 2 {
        return Err(SetupError::new(format!("`{}` is no repository's folder; name one with --workspace", folder.display())));
    }
    Ok(Path::new("/").join(inside))
}

impl Granted {
    fn bits(&self) -> u16 {
        if self.writable { READ | WRITE } else { READ }
    }

    /// The handle of the folder, reached from the root without a symlink; `on_the_way` sees each folder above it.
    fn reach(&self, mut on_the_way: impl FnMut(&OwnedFd) -> Result<(), SetupError>) -> Result<OwnedFd, SetupError> {
        let real = real(&self.layout, &self.folder)?;
        let mut at = open_folder(self.layout.root()).map_err(|error| self.failed(error))?;
        for part in real.strip_prefix("/").unwrap_or(&real) {
            on_the_way(&at)?;
            at = rustix::fs::openat(&at, part, folder_flags(), Mode::empty()).map_err(|error| self.failed(error))?;
        }
        Ok(at)
    }

    fn failed(&self, error: Errno) -> SetupError {
        let folder = self.folder.display();
        match error {
            Errno::OPNOTSUPP => SetupError::new(format!("the file system of `{folder}` has no access lists; run `chmod -R o+rX` on it, or move it")),
            error => SetupError::new(format!("`{folder}` cannot be given to the gateway: {error}")),
        }
    }
}

impl Step for Granted {
    fn id(&self) -> &'static str {
        "workspace"
    }

    fn what(&self) -> String {
        let how = if self.writable { "read and write" } else { "read" };
        format!("the gateway's user may {how} {}, and pass the folders above it", self.folder.display())
    }

    fn state(&self, _: bool) -> Result<State, SetupError> {
        let Ok(user) = user(&self.layout) else { return Ok(State::Missing) };
        let mut passes = true;
        let top = self.reach(|above| {
            passes &= may(above, ACCESS, user.uid, ENTER).map_err(|error| self.failed(error))?;
            Ok(())
        })?;
        let bits = self.bits() | ENTER;
        let has = |list| named(&top, list, user.uid, bits).map_err(|error| self.failed(error));
        Ok(State::done(passes && has(ACCESS)? && has(DEFAULT)?))
    }

    fn apply(&self) -> Result<(), SetupError> {
        let uid = user(&self.layout)?.uid;
        let top = self.reach(|above| {
            let passes = may(above, ACCESS, uid, ENTER).and_then(|may| if may { Ok(()) } else { grant(above, ACCESS, uid, ENTER) });
            passes.map_err(|error| self.failed(error))
        })?;
        let owner = rustix::fs::fstat(&top).map_err(|error| self.failed(error))?.st_uid;
        Walk { uid, owner, bits: self.bits() }.folder(&top, 0).map_err(|error| self.failed(error))
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
        grant(folder, ACCESS, self.uid, self.bits | ENTER)?;
        grant(folder, DEFAULT, self.uid, self.bits | ENTER)?;
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
                grant(&file, ACCESS, self.uid, writable | runs)
            }
            _ => Ok(()),
        }
    }
}

fn folder_flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

fn open_folder(path: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::open(path, folder_flags(), Mode::empty())
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
