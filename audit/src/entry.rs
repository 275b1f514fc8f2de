//! The entry: one line of JSON with a fixed order of keys, hashed as it is stored.

mod read;
mod types;
mod write;

use sha2::{Digest as _, Sha256};

use crate::digest::Digest;

pub(crate) use read::{Entry, parse};
pub use types::{EventKind, Outcome};
pub(crate) use types::{Ids, Kind, ids_of};
pub(crate) use write::{Draft, Frame};

/// The longest line, its line end included.
pub(crate) const MAX_LINE: usize = 64 * 1024;

/// What stands between an entry's hashed bytes and its hash.
const HASH_KEY: &[u8] = b",\"entry_hash\":\"";
/// `,"entry_hash":"` 64 digits `"}`
const HASH_FIELD: usize = HASH_KEY.len() + 64 + 2;

/// The hash over the stored bytes before `,"entry_hash":`.
fn hash(stored: &[u8]) -> Digest {
    Digest::new(Sha256::new().chain_update(b"opsgate-audit/v1/entry\n").chain_update(stored).finalize().into())
}

/// What the first entry's `prev_hash` commits to, so that entries of one log cannot be spliced into another.
pub(crate) fn genesis_hash(origin: &str, public_key: &[u8; 32], nonce: &[u8; 32]) -> Digest {
    let hash = Sha256::new().chain_update(b"opsgate-audit/v1/genesis\n").chain_update(origin).chain_update(b"\n");
    Digest::new(hash.chain_update(public_key).chain_update(nonce).finalize().into())
}

/// The `data` of a genesis entry, exactly.
pub(crate) fn genesis_data(public_key: &[u8; 32], nonce: &[u8; 32]) -> String {
    format!("{{\"nonce\":\"{}\",\"public_key\":\"{}\"}}", crate::digest::hex(nonce), crate::digest::hex(public_key))
}

/// Reads what [`genesis_data`] wrote: public key and nonce.
pub(crate) fn parse_genesis(data: &str) -> Option<([u8; 32], [u8; 32])> {
    let (nonce, key) = data.strip_prefix("{\"nonce\":\"")?.strip_suffix("\"}")?.split_once("\",\"public_key\":\"")?;
    Some((crate::digest::decode_hex(key.as_bytes())?, crate::digest::decode_hex(nonce.as_bytes())?))
}

/// A log's name: 1 to 128 of `A-Z a-z 0-9 . _ / : @ ~ -`. It needs no escape in JSON and is a key name of C2SP signed notes.
pub(crate) fn is_origin(name: &str) -> bool {
    (1..=128).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._/:@~-".contains(&byte))
}
