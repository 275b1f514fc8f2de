//! From a credential to a [`Caller`]. Only this folder makes one, so a caller that was not identified cannot call.

mod keys;
mod peer;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use secrecy::SecretString;

pub use keys::{IssuedKey, KeyError, KeyId, KeyRecord, KeyStore};
pub use peer::PeerError;

/// Who calls: a name that carries its issuer, and where from. Made by identification alone.
#[derive(Debug, Clone)]
pub struct Caller {
    id: Arc<str>,
    address: Address,
}

/// Where a call comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A process on this machine, as the kernel names it.
    Process {
        /// The process.
        pid: u32,
        /// Its executable, where the kernel lets us see it.
        executable: Option<String>,
    },
    /// A peer over HTTP.
    Ip(IpAddr),
}

impl Caller {
    /// The name with its issuer: `local:uid=1000`, `key:ci-main`.
    #[must_use]
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// Where the call comes from.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Whoever came without a valid credential. Policy knows no such caller: it is refused everything, and recorded.
    pub(crate) fn nobody(from: IpAddr) -> Self {
        Self { id: format!("unauthenticated@{from}").into(), address: Address::Ip(from) }
    }

    /// The user id, for a caller over the socket.
    #[must_use]
    pub fn uid(&self) -> Option<u32> {
        self.id.strip_prefix("local:uid=").and_then(|uid| uid.parse().ok())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { pid, executable: Some(exe) } => write!(f, "pid={pid} exe={exe}"),
            Self::Process { pid, executable: None } => write!(f, "pid={pid}"),
            Self::Ip(ip) => write!(f, "{ip}"),
        }
    }
}

/// 256 random bits in lower-case hex.
///
/// # Errors
/// Where the system gives no randomness.
pub fn random_hex() -> std::io::Result<SecretString> {
    use std::fmt::Write;
    let mut bytes = zeroize::Zeroizing::new([0u8; 32]);
    getrandom::fill(bytes.as_mut_slice()).map_err(|error| std::io::Error::other(error.to_string()))?;
    let mut text = String::with_capacity(64);
    for byte in bytes.iter() {
        let _ = write!(text, "{byte:02x}"); // writing to a String cannot fail
    }
    Ok(SecretString::from(text))
}
