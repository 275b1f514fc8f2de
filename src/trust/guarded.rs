//! Whether a file is beyond the reach of everybody but its owners: the file itself, every folder above it, and every
//! symlink on the way.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use super::accounts::Accounts;
use super::acl::{Acl, Tag};

/// The user that stands for all those that a user namespace does not map.
const OVERFLOW_UID: u32 = 65534;
/// Symlinks on one way; the kernel's own bound.
const MOST_LINKS: usize = 40;

/// Somebody else could change a file, and the command that mends it.
#[derive(Debug, thiserror::Error)]
#[error("`{path}` can be changed by others: `{at}` {who}; run `{mend}`")]
pub struct Exposed {
    /// The file that was asked about.
    pub path: PathBuf,
    /// Where on the way to it.
    pub at: PathBuf,
    /// What is wrong there, after the name: "belongs to `ana` (uid 1000)".
    pub who: String,
    /// The command that mends it.
    pub mend: String,
}

/// The users that may own what a gateway under this user rests on: that user and root. In a user namespace root's
/// files show as nobody's, and nobody else's do.
pub(super) fn owners(uid: u32) -> Vec<u32> {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let mut owners = vec![0, uid];
    if hides_root(&map) {
        owners.push(OVERFLOW_UID);
    }
    owners
}

/// Whether a user namespace's map leaves the real root out, and nobody's number is nobody's own.
fn hides_root(map: &str) -> bool {
    let ranges = map.lines().filter_map(|line| {
        let mut numbers = line.split_whitespace().map(str::parse::<u64>);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?))
    });
    let ranges: Vec<_> = ranges.collect();
    let nobody = u64::from(OVERFLOW_UID);
    !ranges.is_empty() && ranges.iter().all(|(inside, outside, count)| *outside != 0 && !(*inside..inside.saturating_add(*count)).contains(&nobody))
}

/// Holds a file against root and the current user: nobody else may be able to change it or put another in its place.
/// A path that ends where nothing is yet is judged up to there.
///
/// # Errors
/// [`Exposed`], with who could and the mend.
pub fn guarded(path: &Path) -> Result<(), Exposed> {
    guarded_for(path, &owners(rustix::process::geteuid().as_raw()))
}

/// As [`guarded`], for these users.
///
/// # Errors
/// As [`guarded`].
pub fn guarded_for(path: &Path, owners: &[u32]) -> Result<(), Exposed> {
    guarded_where(path, owners, Accounts::only)
}

/// As [`guarded_for`], where `alone` says whether a group that may write has no other member than these users.
// INVARIANT: every component is judged, of every symlink's target too (test: each_step_of_the_way_is_judged).
pub(super) fn guarded_where(path: &Path, owners: &[u32], alone: fn(&Accounts, u32, &[u32]) -> bool) -> Result<(), Exposed> {
    let exposed = |at: &Path, who: String, mend: String| Exposed { path: path.to_owned(), at: at.to_owned(), who, mend };
    let absolute = std::path::absolute(path).map_err(|error| exposed(path, format!("has no absolute name ({error})"), "pwd".to_owned()))?;
    let mut ahead: VecDeque<OsString> = parts(&absolute);
    let mut at = PathBuf::from("/");
    let mut links = 0;
    loop {
        let meta = match at.symlink_metadata() {
            Ok(meta) => meta,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(exposed(&at, format!("cannot be looked at ({error})"), format!("ls -ld {}", quoted(&at)))),
        };
        judge(&at, &meta, owners, alone).map_err(|(who, mend)| exposed(&at, who, mend))?;
        if meta.is_symlink() {
            links += 1;
            let target = std::fs::read_link(&at).ok().filter(|_| links <= MOST_LINKS);
            let target = target.ok_or_else(|| exposed(&at, "is a symlink that leads nowhere".to_owned(), format!("ls -l {}", quoted(&at))))?;
            at.pop();
            if target.is_absolute() {
                at = PathBuf::from("/");
            }
            let mut rest = parts(&target);
            rest.append(&mut ahead);
            ahead = rest;
        }
        match ahead.pop_front() {
            None => return Ok(()),
            Some(part) if part == ".." => {
                at.pop();
            }
            Some(part) => at.push(part),
        }
    }
}

fn parts(path: &Path) -> VecDeque<OsString> {
    let part = |component: Component<'_>| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    };
    path.components().filter_map(part).collect()
}

/// One component: what is wrong with it, and the mend.
fn judge(at: &Path, meta: &Metadata, owners: &[u32], alone: fn(&Accounts, u32, &[u32]) -> bool) -> Result<(), (String, String)> {
    let accounts = std::cell::LazyCell::new(|| Accounts::read(Path::new("/")));
    let name = quoted(at);
    if !owners.contains(&meta.uid()) {
        return Err((format!("belongs to {}", accounts.user_text(meta.uid())), format!("chown -h root {name}")));
    }
    // A symlink's own bits mean nothing. Who may write into a sticky folder cannot replace what is another's there.
    if meta.is_symlink() || (meta.is_dir() && meta.mode() & 0o1000 != 0) {
        return Ok(());
    }
    let acl = match access_list(at) {
        Ok(acl) => acl.unwrap_or_else(|| Acl::of_mode(meta.mode())),
        Err(why) => return Err((format!("has an access list that cannot be read ({why})"), format!("setfacl -b {name}"))),
    };
    let listed = acl.entries().any(|entry| entry.tag == Tag::Mask);
    for holder in acl.holders(2) {
        let group = match holder {
            Tag::Owner | Tag::Mask => continue,
            Tag::Other => return Err(("is writable for everybody".to_owned(), format!("chmod o-w {name}"))),
            Tag::User(uid) if owners.contains(&uid) => continue,
            Tag::User(uid) => {
                return Err((format!("is writable for {} by its access list", accounts.user_text(uid)), format!("setfacl -x u:{uid} {name}")));
            }
            Tag::OwningGroup => meta.gid(),
            Tag::Group(gid) => gid,
        };
        if !alone(&accounts, group, owners) {
            let mend = match holder {
                Tag::Group(gid) => format!("setfacl -x g:{gid} {name}"),
                _ if listed => format!("setfacl -m g::rX {name}"),
                _ => format!("chmod g-w {name}"),
            };
            return Err((format!("is writable for the group {}", accounts.group_text(group)), mend));
        }
    }
    Ok(())
}

/// Whether a folder above this path is root's and lets nobody through but root and these users: whatever modes they give to
/// what is beneath it, nobody else comes as far.
pub(super) fn closed_above(path: &Path, users: &[u32]) -> bool {
    let accounts = Accounts::read(Path::new("/"));
    let Ok(path) = path.canonicalize() else { return false };
    path.ancestors().skip(1).any(|at| {
        let Ok(meta) = at.symlink_metadata() else { return false };
        let Ok(acl) = access_list(at) else { return false };
        owners(0).contains(&meta.uid())
            && acl.unwrap_or_else(|| Acl::of_mode(meta.mode())).holders(1).all(|holder| match holder {
                Tag::Owner | Tag::Mask => true,
                Tag::Other => false,
                Tag::User(uid) => users.contains(&uid),
                Tag::OwningGroup => accounts.only_listed(meta.gid(), users),
                Tag::Group(gid) => accounts.only_listed(gid, users),
            })
    })
}

/// The access list of a file, where it has one beside its mode.
fn access_list(at: &Path) -> Result<Option<Acl>, String> {
    let mut bytes = vec![0u8; 64 << 10];
    match rustix::fs::lgetxattr(at, "system.posix_acl_access", &mut bytes) {
        Ok(length) => {
            bytes.truncate(length);
            Acl::parse(&bytes).map(Some).ok_or_else(|| "it is malformed".to_owned())
        }
        Err(rustix::io::Errno::NODATA | rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    if text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-+@%,".contains(&b)) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests;
