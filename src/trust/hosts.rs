//! Whose gateway listens at a socket: the users that the socket's folder belongs to, held against the kernel's word on
//! the process at the other end.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::accounts::Accounts;
use super::guarded::{Exposed, guarded_where, owners};

/// The users whose gateway may listen at a socket: root, the owner of the socket's folder, and the one whose group root
/// lets write there.
#[derive(Debug, Clone)]
pub struct Hosts {
    socket: PathBuf,
    uids: Vec<u32>,
}

/// What listens at a socket, or lies there, is somebody else's.
#[derive(Debug, thiserror::Error)]
pub enum NotItsHost {
    /// Others could put theirs in its place.
    #[error("the gateway at the socket is not believed: {0}")]
    Exposed(#[from] Exposed),
    /// Somebody else's socket, or none at all.
    #[error("`{socket}` is {what} and not the gateway's socket; nothing was sent to it; remove it and start the gateway again")]
    Planted {
        /// Where it lies.
        socket: PathBuf,
        /// What it is.
        what: String,
    },
    /// Another user's process answers.
    #[error("`{socket}` is answered by {who} and not by the gateway's user; nothing was sent to it; remove it and start the gateway again")]
    Peer {
        /// Where it listens.
        socket: PathBuf,
        /// That user.
        who: String,
    },
}

/// The users whose gateway may listen here, by the folder that the socket is in. A folder that is not there yet is
/// nobody's but root's; whether something lies there is not asked.
///
/// # Errors
/// [`NotItsHost::Exposed`] where somebody else could put a socket there.
pub fn hosts(socket: &Path) -> Result<Hosts, NotItsHost> {
    let folder = socket.parent().unwrap_or(socket);
    let accounts = Accounts::read(Path::new("/"));
    let mut uids = owners(0);
    if let Ok(meta) = folder.metadata() {
        let members: Vec<_> = accounts.of_group(meta.gid()).map(|user| user.uid).collect();
        if !uids.contains(&meta.uid()) {
            uids.push(meta.uid());
        } else if let (true, [only]) = (meta.mode() & 0o020 != 0, members.as_slice()) {
            uids.push(*only);
        }
    }
    // A directory's user whose first group this is could write here too, but is then none of these users.
    guarded_where(folder, &uids, Accounts::only_listed)?;
    Ok(Hosts { socket: socket.to_owned(), uids })
}

impl Hosts {
    /// Whether this user's gateway may listen there.
    #[must_use]
    pub fn contains(&self, uid: u32) -> bool {
        self.uids.contains(&uid)
    }

    /// Holds what lies there against these users; what is not there is not judged.
    ///
    /// # Errors
    /// [`NotItsHost::Planted`].
    pub fn lies(&self) -> Result<(), NotItsHost> {
        let Ok(meta) = self.socket.symlink_metadata() else { return Ok(()) };
        let what = if !meta.file_type().is_socket() {
            "no socket".to_owned()
        } else if !self.contains(meta.uid()) {
            format!("a socket of {}", Accounts::read(Path::new("/")).user_text(meta.uid()))
        } else {
            return Ok(());
        };
        Err(NotItsHost::Planted { socket: self.socket.clone(), what })
    }

    /// Holds the user of the process at the other end against these users.
    ///
    /// # Errors
    /// [`NotItsHost::Peer`].
    pub fn peer(&self, uid: u32) -> Result<(), NotItsHost> {
        if self.contains(uid) {
            return Ok(());
        }
        Err(NotItsHost::Peer { socket: self.socket.clone(), who: Accounts::read(Path::new("/")).user_text(uid) })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};
    use std::os::unix::net::UnixListener;

    use super::*;

    const OTHER: u32 = 4_000_009;

    fn mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_folder_that_others_write_has_no_host() {
        let me = rustix::process::geteuid().as_raw();
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("run");
        std::fs::create_dir(&run).unwrap();
        let socket = run.join("gateway.sock");
        let _listening = UnixListener::bind(&socket).unwrap();
        for (folder, bits, believed) in [(&run, 0o755, true), (&run, 0o777, false), (&run, 0o757, false)] {
            mode(folder, bits);
            assert_eq!(hosts(&socket).is_ok(), believed, "{bits:o}");
        }
        mode(&run, 0o755);
        let found = hosts(&socket).unwrap();
        found.lies().unwrap();
        found.peer(me).unwrap();
        assert!(found.peer(OTHER).unwrap_err().to_string().contains("answered by uid 4000009"));
        // The folders above count as well.
        mode(dir.path(), 0o777);
        assert!(hosts(&socket).is_err());
        mode(dir.path(), 0o755);
        std::fs::rename(&socket, run.join("elsewhere")).unwrap();
        symlink(run.join("elsewhere"), &socket).unwrap();
        assert!(found.lies().unwrap_err().to_string().contains("no socket"));
        std::fs::remove_file(&socket).unwrap();
        found.lies().unwrap();
    }

    #[test]
    fn a_socket_of_another_user_is_told() {
        if !rustix::process::geteuid().is_root() {
            crate::skipped::skipped("only root can give files away");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        mode(dir.path(), 0o755);
        let socket = dir.path().join("gateway.sock");
        let _listening = UnixListener::bind(&socket).unwrap();
        chown(&socket, Some(OTHER), None).unwrap();
        assert!(hosts(&socket).unwrap().lies().unwrap_err().to_string().contains("a socket of uid 4000009"));
        // In a folder of that user's own it is that user's gateway.
        chown(dir.path(), Some(OTHER), None).unwrap();
        let found = hosts(&socket).unwrap();
        found.lies().unwrap();
        found.peer(OTHER).unwrap();
        assert!(found.peer(OTHER + 1).is_err());
        // Root lets a group write there that the machine does not list: who is in it cannot be told.
        chown(dir.path(), Some(0), Some(OTHER)).unwrap();
        mode(dir.path(), 0o775);
        assert!(hosts(&socket).is_err());
    }
}
