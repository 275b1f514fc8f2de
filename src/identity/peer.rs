//! Callers on this machine: known by what the kernel says of the other end of the socket.

use std::os::fd::AsFd;

use super::{Address, Caller};

/// The kernel did not say who is at the other end.
#[derive(Debug, thiserror::Error)]
#[error("the system does not say who is at the other end of the socket: {0}")]
pub struct PeerError(#[from] std::io::Error);

impl Caller {
    /// The process at the other end of a Unix socket (`SO_PEERCRED`).
    ///
    /// # Errors
    /// Where the kernel does not say.
    pub fn of_peer(socket: impl AsFd) -> Result<Self, PeerError> {
        let peer = rustix::net::sockopt::socket_peercred(socket).map_err(std::io::Error::from)?;
        let pid = u32::try_from(peer.pid.as_raw_nonzero().get()).unwrap_or(0);
        Ok(Self::process(peer.uid.as_raw(), pid))
    }

    /// This very process: the caller of an in-process gateway is whoever started it.
    #[must_use]
    pub fn of_this_process() -> Self {
        Self::process(rustix::process::getuid().as_raw(), std::process::id())
    }

    fn process(uid: u32, pid: u32) -> Self {
        let executable = std::fs::read_link(format!("/proc/{pid}/exe")).ok().map(|path| path.to_string_lossy().into_owned());
        Self { id: format!("local:uid={uid}").into(), address: Address::Process { pid, executable } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peer_of_a_socket_pair_is_this_user() {
        let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let caller = Caller::of_peer(&ours).unwrap();
        assert_eq!(caller.uid(), Some(rustix::process::getuid().as_raw()));
        assert_eq!(caller.id(), Caller::of_this_process().id());
        assert!(matches!(caller.address(), Address::Process { pid, .. } if *pid == std::process::id()));
    }
}
