//! Listening on the gateway's socket: the home's own, or one that the machine's users share.

use std::collections::HashMap;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use super::socket::{turn_away, welcome};
use crate::gateway::Gateway;
use crate::trust::hosts;

/// Connections at once; more are closed at the door.
const MOST_CONNECTIONS: usize = 512;
/// Connections of one user at once where users share the socket: none shuts the others out.
const MOST_OF_ONE_USER: usize = 128;

/// How many connections are open, so that a gateway started for clients can end when idle.
pub type Idle = watch::Receiver<usize>;

/// Listens on the gateway's socket. A stale socket of a dead gateway is replaced: the home's lock says it is dead.
///
/// In the home only its user comes as far as the socket. A socket elsewhere is for other users too: the kernel says who
/// they are, and the policy which of them are callers.
///
/// # Errors
/// Where the socket cannot be made, or others could put theirs in its place.
pub fn serve_socket(gateway: Arc<Gateway>) -> std::io::Result<(Idle, impl Future<Output = ()>)> {
    let path = gateway.socket().to_owned();
    let shared = path != gateway.home().socket();
    if shared {
        let hosts = hosts(&path).map_err(std::io::Error::other)?;
        if !hosts.contains(rustix::process::geteuid().as_raw()) {
            let why = "clients would not believe it: the socket's folder is neither this user's, nor root's for this user's group to write";
            return Err(std::io::Error::new(std::io::ErrorKind::PermissionDenied, why));
        }
    }
    clear(&path, shared)?;
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(if shared { 0o666 } else { 0o600 }))?;
    let (count, idle) = watch::channel(0usize);
    let accept = async move {
        let (open, tasks) = (Arc::new(Open { count, users: Mutex::default() }), TaskTracker::new());
        while let Some(accepted) = gateway.stopping().run_until_cancelled(listener.accept()).await {
            let Ok((stream, _)) = accepted else {
                tokio::time::sleep(Duration::from_millis(50)).await; // out of descriptors: let some close
                continue;
            };
            let uid = stream.peer_cred().map(|peer| peer.uid()).ok();
            let full = open.full(uid.filter(|_| shared));
            let (gateway, counted) = (gateway.clone(), Counted::one(&open, uid));
            tasks.spawn(async move {
                if full {
                    turn_away(stream, "too many connections are open; close some and try again").await;
                } else {
                    welcome(gateway, stream).await;
                }
                drop(counted);
            });
        }
        tasks.close();
        tasks.wait().await;
        let _ = std::fs::remove_file(&path); // the next gateway replaces it anyway
    };
    Ok((idle, accept))
}

/// Makes room for the socket. Of one in the home the lock says that it is stale; of one elsewhere only its silence does.
fn clear(path: &Path, shared: bool) -> std::io::Result<()> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(meta) if !meta.file_type().is_socket() => {
            return Err(std::io::Error::new(std::io::ErrorKind::AlreadyExists, "something that is no socket is there"));
        }
        Ok(_) => {}
    }
    if shared && std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(std::io::Error::new(std::io::ErrorKind::AddrInUse, "another gateway listens there"));
    }
    std::fs::remove_file(path)
}

/// The connections that are open.
struct Open {
    count: watch::Sender<usize>,
    users: Mutex<HashMap<Option<u32>, usize>>,
}

impl Open {
    /// Whether one more is too many: in all, and for this user where users are counted.
    fn full(&self, of: Option<u32>) -> bool {
        let one = |uid| self.users.lock().unwrap_or_else(PoisonError::into_inner).get(&Some(uid)).copied().unwrap_or(0);
        *self.count.borrow() >= MOST_CONNECTIONS || of.is_some_and(|uid| one(uid) >= MOST_OF_ONE_USER)
    }
}

/// One open connection in the count, for as long as it lives.
struct Counted(Arc<Open>, Option<u32>);

impl Counted {
    fn one(open: &Arc<Open>, uid: Option<u32>) -> Self {
        open.count.send_modify(|n| *n += 1);
        *open.users.lock().unwrap_or_else(PoisonError::into_inner).entry(uid).or_insert(0) += 1;
        Self(open.clone(), uid)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.count.send_modify(|n| *n -= 1);
        let mut users = self.0.users.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(n) = users.get_mut(&self.1) {
            *n -= 1;
            if *n == 0 {
                users.remove(&self.1);
            }
        }
    }
}
