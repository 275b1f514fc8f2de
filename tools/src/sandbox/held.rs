//! How much the private folder of a run holds, counted beside the supervisor's watch.
//!
//! Counted is what its files and folders take on the disk, and files that have no name any more and are open in one of the
//! command's processes. Not counted is what has no name and is only mapped, or on its way through a socket.

use std::collections::HashSet;
use std::ffi::CStr;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};

use super::processes;

/// Between two counts; longer where a count takes long.
const PAUSE: Duration = Duration::from_millis(100);
/// What a file takes at least, for what is kept of it beside its content.
const LEAST: u64 = 1024;
/// So deep is looked.
const DEEPEST: usize = 256;
/// Of file systems that are memory: tmpfs and ramfs.
const IN_MEMORY: &[u32] = &[0x0102_1994, 0x8584_58f6];

/// What is held, as it was last counted.
#[derive(Debug)]
pub(super) struct HomeHeld {
    bytes: Arc<AtomicU64>,
    /// Whether the folder is memory.
    is_memory: bool,
}

impl HomeHeld {
    /// Counts from now on, for as long as this process is there.
    ///
    /// # Errors
    /// Where the folder cannot be opened, or nothing can count beside.
    pub(super) fn watched(home: &Path, leader: i32) -> io::Result<Self> {
        let count = Count::of(home, leader)?;
        let is_memory = u32::try_from(rustix::fs::fstatfs(&count.top)?.f_type).is_ok_and(|kind| IN_MEMORY.contains(&kind));
        let bytes = Arc::new(AtomicU64::new(0));
        let told = bytes.clone();
        thread::Builder::new().name("counts-home".to_owned()).spawn(move || {
            loop {
                let began = Instant::now();
                told.store(count.bytes(), Ordering::Relaxed);
                thread::sleep(PAUSE.max(began.elapsed() * 4));
            }
        })?;
        Ok(Self { bytes, is_memory })
    }

    /// Of the disk.
    pub(super) fn disk(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Of the memory: all, where the folder is there, else nothing.
    pub(super) fn memory(&self) -> u64 {
        if self.is_memory { self.disk() } else { 0 }
    }
}

/// What is to be counted.
struct Count {
    top: OwnedFd,
    device: u64,
    leader: i32,
    /// What the whole file system held when the command began.
    before: u64,
}

impl Count {
    fn of(home: &Path, leader: i32) -> io::Result<Self> {
        let top = rustix::fs::open(home, OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        let device = rustix::fs::fstat(&top)?.st_dev;
        let before = taken(&top)?;
        Ok(Self { top, device, leader, before })
    }

    fn bytes(&self) -> u64 {
        let mut seen = HashSet::new();
        match (self.named(&mut seen), self.nameless(&mut seen)) {
            (Ok(named), Ok(nameless)) => named.saturating_add(nameless),
            // A folder or a process that the command has closed to its own user, or a folder too deep: then it answers for
            // all that came to the file system since it began.
            _ => taken(&self.top).map_or(u64::MAX, |now| now.saturating_sub(self.before)),
        }
    }

    fn named(&self, seen: &mut HashSet<u64>) -> io::Result<u64> {
        let mut bytes = 0u64;
        let mut open = vec![Dir::read_from(&self.top)?];
        while let Some(folder) = open.last_mut() {
            let Some(entry) = folder.next() else {
                open.pop();
                continue;
            };
            let entry = entry?;
            let name: &CStr = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let Ok(stat) = rustix::fs::statat(folder.fd()?, name, AtFlags::SYMLINK_NOFOLLOW) else { continue }; // gone meanwhile
            if stat.st_nlink == 1 || seen.insert(stat.st_ino) {
                bytes = bytes.saturating_add(on_disk(u64::try_from(stat.st_blocks).unwrap_or(0)));
            }
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                match rustix::fs::openat(folder.fd()?, name, OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
                    Ok(_) if open.len() == DEEPEST => return Err(io::ErrorKind::Unsupported.into()),
                    Ok(inner) => open.push(Dir::new(inner)?),
                    Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP) => {} // gone meanwhile
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(bytes)
    }

    fn nameless(&self, seen: &mut HashSet<u64>) -> io::Result<u64> {
        let mut bytes = 0u64;
        for process in processes::all().filter(|process| process.group == self.leader && !process.is_zombie) {
            let open = match fs::read_dir(format!("/proc/{}/fd", process.pid)) {
                Ok(open) => open,
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(error),
                Err(_) => continue, // gone meanwhile
            };
            let files = open.flatten().filter_map(|entry| fs::metadata(entry.path()).ok());
            let own = files.filter(|meta| meta.is_file() && meta.nlink() == 0 && meta.dev() == self.device);
            for meta in own.filter(|meta| seen.insert(meta.ino())) {
                bytes = bytes.saturating_add(on_disk(meta.blocks()));
            }
        }
        Ok(bytes)
    }
}

fn on_disk(blocks: u64) -> u64 {
    blocks.saturating_mul(512).max(LEAST)
}

/// What the file system holds.
fn taken(folder: &OwnedFd) -> io::Result<u64> {
    let stat = rustix::fs::fstatvfs(folder)?;
    Ok(stat.f_blocks.saturating_sub(stat.f_bfree).saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_counted_with_and_without_a_name_and_links_once() {
        const SIZE: usize = 1 << 20;
        let folder = tempfile::tempdir().unwrap();
        let group = rustix::process::getpgrp().as_raw_nonzero().get();
        let count = Count::of(folder.path(), group).unwrap();
        assert_eq!(count.named(&mut HashSet::new()).unwrap(), 0);
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("a/b")).unwrap();
        fs::write(at("a/b/file"), vec![1; SIZE]).unwrap();
        fs::hard_link(at("a/b/file"), at("again")).unwrap();
        std::os::unix::fs::symlink("/", at("a/root")).unwrap();
        let one = count.named(&mut HashSet::new()).unwrap();
        assert!((SIZE as u64..SIZE as u64 * 3 / 2).contains(&one), "{one}");
        let open = fs::File::open(at("again")).unwrap();
        fs::remove_file(at("again")).unwrap();
        fs::remove_file(at("a/b/file")).unwrap();
        assert!(count.named(&mut HashSet::new()).unwrap() < SIZE as u64);
        assert!(count.nameless(&mut HashSet::new()).unwrap() >= SIZE as u64, "{open:?}");
        let deep: std::path::PathBuf = std::iter::repeat_n("d", DEEPEST + 1).collect();
        fs::create_dir_all(at("a").join(deep)).unwrap();
        assert!(count.named(&mut HashSet::new()).is_err(), "what cannot be looked at is not taken for nothing");
    }
}
