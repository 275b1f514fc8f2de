//! Whose the files are that a write makes: the user's whose repository it is, where opsgate's own user may give them away.

use std::os::fd::AsFd;

use rustix::fs::{AtFlags, FileType, Gid, Statx, StatxFlags, Uid};
use rustix::time::ClockId;

/// A user and a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner {
    user: u32,
    group: u32,
}

impl Owner {
    pub(super) fn of(handle: impl AsFd) -> Option<Self> {
        rustix::fs::fstat(handle).ok().map(|stat| Self { user: stat.st_uid, group: stat.st_gid })
    }
}

/// The moment from which on a call makes files, by the clock that file systems stamp new ones with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Began {
    seconds: i64,
    nanoseconds: i64,
}

impl Began {
    pub(super) fn now() -> Self {
        let now = rustix::time::clock_gettime(ClockId::RealtimeCoarse); // the precise clock runs ahead of the stamps
        Self { seconds: now.tv_sec, nanoseconds: now.tv_nsec }
    }

    /// Whether it is a file of one name, or a folder, of opsgate's own user, made since. Moving a file keeps when it was made; a
    /// file system that does not tell tells no.
    fn saw_made(self, stat: &Statx) -> bool {
        let is_plain = match FileType::from_raw_mode(u32::from(stat.stx_mode)) {
            FileType::RegularFile => stat.stx_nlink == 1,
            kind => kind == FileType::Directory,
        };
        let made = (stat.stx_btime.tv_sec, i64::from(stat.stx_btime.tv_nsec));
        let is_told = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::BTIME);
        is_plain && is_told && made >= (self.seconds, self.nanoseconds) && stat.stx_uid == rustix::process::geteuid().as_raw()
    }
}

/// Gives a file to `owner` through the handle by which opsgate made it. One that cannot be given away stays opsgate's.
// INVARIANT: a gateway that runs as root leaves nothing of root's in a user's repository (test: what_root_writes_is_the_owners).
pub(super) fn give(file: impl AsFd, owner: Option<Owner>) {
    let file = file.as_fd();
    if let Some(owner) = owner.filter(|owner| Owner::of(file) != Some(*owner)) {
        let _ = rustix::fs::fchown(file, Some(Uid::from_raw(owner.user)), Some(Gid::from_raw(owner.group)));
    }
}

/// As [`give`], for a file or a folder that was opened by its name after it was made: only one that was certainly made since.
// INVARIANT: what is root's and was there before is nobody else's afterwards (test: what_was_roots_before_stays_roots).
pub(super) fn give_made(file: impl AsFd, owner: Option<Owner>, began: Began) {
    let file = file.as_fd();
    let wanted = StatxFlags::BASIC_STATS.union(StatxFlags::BTIME);
    if rustix::fs::statx(file, "", AtFlags::EMPTY_PATH, wanted).is_ok_and(|stat| began.saw_made(&stat)) {
        give(file, owner);
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn what_was_roots_before_stays_roots() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: giving files away takes root");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let owner = Some(Owner { user: 4711, group: 4712 });
        let given = |name: &str, began: Began| {
            let file = File::open(path(name)).unwrap();
            give_made(&file, owner, began);
            file.metadata().unwrap().uid() == 4711
        };
        std::fs::write(path("before"), "x").unwrap();
        let later = Began { seconds: Began::now().seconds + 3600, nanoseconds: 0 };
        assert!(!given("before", later));
        std::fs::rename(path("before"), path("moved")).unwrap();
        assert!(!given("moved", later), "moving a file does not make it");

        let began = Began::now();
        std::fs::write(path("made"), "x").unwrap();
        std::fs::create_dir(path("folder")).unwrap();
        std::fs::write(path("two"), "x").unwrap();
        std::fs::hard_link(path("two"), path("names")).unwrap();
        std::fs::write(path("theirs"), "x").unwrap();
        std::os::unix::fs::chown(path("theirs"), Some(4713), None).unwrap();
        for (name, is_given) in [("made", true), ("folder", true), ("two", false), ("names", false), ("theirs", false)] {
            assert_eq!(given(name, began), is_given, "{name}");
        }
    }
}
