//! The private folder of a run, which goes with it, whatever the command left there.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

/// A folder that is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Home(PathBuf);

impl Home {
    /// A new one that only this user may go into.
    pub(super) fn make() -> io::Result<Self> {
        Ok(Self(tempfile::Builder::new().prefix("opsgate-run-").tempdir()?.keep()))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = remove(&self.0); // the supervisor tries too, and mostly was first
    }
}

/// Removes a folder with all in it: also folders that the command has closed to its own user, and however deep they are.
///
/// What is in a folder is brought up to the top before it goes, so that two folders are open at a time and no path is long.
/// Everything happens beneath handles; no link is followed.
pub(super) fn remove(folder: &Path) -> io::Result<()> {
    let top = opened(CWD, &CString::new(folder.as_os_str().as_encoded_bytes())?)?;
    let (mut waiting, mut moved) = (names(&top)?, 0u64);
    while let Some(name) = waiting.pop() {
        let inner = match opened(&top, &name) {
            Ok(inner) => inner,
            Err(Errno::NOTDIR | Errno::LOOP) => {
                rustix::fs::unlinkat(&top, &name, AtFlags::empty())?;
                continue;
            }
            Err(Errno::NOENT) => continue, // another remover was here
            Err(error) => return Err(error.into()),
        };
        for name in names(&inner)? {
            match rustix::fs::unlinkat(&inner, &name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(Errno::ISDIR) => waiting.push(brought_up(&inner, &name, &top, &mut moved)?),
                Err(error) => return Err(error.into()),
            }
        }
        rustix::fs::unlinkat(&top, &name, AtFlags::REMOVEDIR)?;
    }
    Ok(rustix::fs::unlinkat(CWD, folder, AtFlags::REMOVEDIR)?)
}

/// The name at the top that a folder has now.
fn brought_up(from: &OwnedFd, name: &CStr, top: &OwnedFd, moved: &mut u64) -> io::Result<CString> {
    drop(opened(from, name)?); // a folder that may not be written cannot be moved either
    loop {
        *moved += 1;
        let new = CString::new(format!(".moved-{moved}"))?;
        match rustix::fs::renameat_with(from, name, top, &new, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(new),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// A folder, with all rights over it for its owner; no link.
fn opened(at: impl AsFd, name: &CStr) -> rustix::io::Result<OwnedFd> {
    const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
    let handle = rustix::fs::openat(at, name, FOLDER | OFlags::PATH, Mode::empty())?;
    if rustix::fs::fstat(&handle)?.st_mode & 0o700 != 0o700 {
        // The very folder that is held: its name may be another's by now.
        rustix::fs::chmod(format!("/proc/self/fd/{}", handle.as_raw_fd()), Mode::RWXU)?;
    }
    rustix::fs::openat(&handle, c".", FOLDER, Mode::empty())
}

/// What is in a folder, without itself and the one above.
fn names(folder: &OwnedFd) -> rustix::io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let name = entry?.file_name().to_owned();
        if name.as_c_str() != c"." && name.as_c_str() != c".." {
            names.push(name);
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn closed_and_deep_folders_go_and_what_links_lead_to_stays() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("kept"), "x").unwrap();
        let home = Home::make().unwrap();
        let at = |name: &str| home.path().join(name);
        std::fs::create_dir_all(at("a/b/c")).unwrap();
        std::fs::create_dir(at(".moved-1")).unwrap();
        std::fs::write(at("a/b/c/file"), "x").unwrap();
        std::fs::write(at("a/.moved-2"), "x").unwrap();
        symlink(outside.path(), at("link")).unwrap();
        symlink(outside.path().join("kept"), at("a/b/link")).unwrap();
        // Deeper than there may be open files, and than a path may be long.
        let mut folder = rustix::fs::open(home.path(), OFlags::DIRECTORY, Mode::empty()).unwrap();
        for _ in 0..5000 {
            rustix::fs::mkdirat(&folder, "deep", Mode::RWXU).unwrap();
            folder = rustix::fs::openat(&folder, "deep", OFlags::DIRECTORY, Mode::empty()).unwrap();
        }
        for closed in ["a/b/c", "a/b", "a"] {
            std::fs::set_permissions(at(closed), std::fs::Permissions::from_mode(0)).unwrap();
        }
        let path = home.path().to_owned();
        drop(home);
        assert!(!path.exists());
        assert_eq!(std::fs::read_to_string(outside.path().join("kept")).unwrap(), "x");
        assert_eq!(std::fs::metadata(outside.path()).unwrap().permissions().mode() & 0o700, 0o700);
    }
}
