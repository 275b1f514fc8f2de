//! Whose the files are that a write makes: the user's whose repository it is, where opsgate's own user may give them away.

use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Gid, Uid};

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

    pub(super) fn at(path: &Path) -> Option<Self> {
        path.metadata().ok().map(|meta| Self { user: meta.uid(), group: meta.gid() })
    }
}

/// Gives a file that opsgate made to `owner`; one that is another's already stays it, and one that cannot be given away stays
/// opsgate's.
// INVARIANT: a gateway that runs as root leaves nothing of root's in a user's repository (test: what_root_writes_is_the_owners).
pub(super) fn give(file: impl AsFd, owner: Option<Owner>) {
    let file = file.as_fd();
    let is_own = Owner::of(file).is_some_and(|of| of.user == rustix::process::geteuid().as_raw() && Some(of) != owner);
    if let Some(owner) = owner.filter(|_| is_own) {
        let _ = rustix::fs::fchown(file, Some(Uid::from_raw(owner.user)), Some(Gid::from_raw(owner.group)));
    }
}
