//! API keys: shown once, kept as SHA-256, compared in constant time.
//!
//! A key is 256 random bits, so its plain hash cannot be guessed from; a slow hash would only slow honest calls.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{Address, Caller};
use crate::home::{HomeError, write_private};

/// What every key starts with, so that scanners find a leaked one.
pub(super) const PREFIX: &str = "opsgate_";

/// A key's short public name, for listing and revoking.
pub type KeyId = String;

/// What is kept of a key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRecord {
    /// Names the key in lists and records; tells nothing about it.
    pub id: KeyId,
    /// Whose it is: the caller becomes `key:NAME`.
    pub caller: String,
    /// SHA-256 of the whole key, lower-case hex.
    pub sha256: String,
    /// When it was made, RFC 3339.
    pub created: String,
    /// When it was revoked, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<String>,
}

/// A key at the one moment it is known.
pub struct IssuedKey {
    /// What is kept of it.
    pub record: KeyRecord,
    /// The key itself.
    pub key: SecretString,
}

/// Why the keys cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The file does not hold keys.
    #[error("the key file `{path}` is damaged at line {line}: {why}; restore it, or move it away and make new keys")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The first bad line, from 1.
        line: usize,
        /// What the reader said.
        why: String,
    },
    /// A name that would not be one word in policy and records.
    #[error("the caller name `{0}` is not usable; use 1 to 64 letters, digits, `-`, `_`, `.` or `@`")]
    Name(String),
    /// Nothing to revoke.
    #[error("there is no active key `{0}`; `opsgate keys list` shows them")]
    Unknown(KeyId),
    /// No randomness.
    #[error("the system gives no randomness: {0}")]
    Random(#[source] std::io::Error),
}

/// The home's keys. Reads the file anew when it changed, so a revoked key is refused at once.
pub struct KeyStore {
    path: PathBuf,
    loaded: ArcSwap<Loaded>,
    reload: Mutex<()>,
}

#[derive(Default)]
struct Loaded {
    stamp: Option<(SystemTime, u64)>,
    active: HashMap<[u8; 32], (KeyId, Arc<str>)>,
}

impl KeyStore {
    /// The keys of this file; a missing file holds none.
    ///
    /// # Errors
    /// Where the file is damaged or unreadable.
    pub fn open(path: &Path) -> Result<Self, KeyError> {
        let store = Self { path: path.to_owned(), loaded: ArcSwap::default(), reload: Mutex::new(()) };
        store.refresh()?;
        Ok(store)
    }

    /// The caller whose key this is. Unknown, wrong and revoked look alike: `None`.
    #[must_use]
    pub fn identify(&self, presented: &str, from: IpAddr) -> Option<Caller> {
        if let Err(error) = self.refresh() {
            // Fail closed: a key file that cannot be read lets nobody in, and the operator hears why.
            tracing::error!(%error, "the key file cannot be used");
            return None;
        }
        let digest: [u8; 32] = Sha256::digest(presented.as_bytes()).into();
        let loaded = self.loaded.load();
        // The look-up is by the hash, which a guesser does not control; the comparison that decides is constant-time.
        let (stored, (_, caller)) = loaded.active.get_key_value(&digest)?;
        bool::from(stored.ct_eq(&digest)).then(|| Caller { id: caller.clone(), address: Address::Ip(from) })
    }

    /// Whether any key is active.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.loaded.load().active.is_empty()
    }

    /// All keys, revoked ones too.
    ///
    /// # Errors
    /// Where the file is damaged or unreadable.
    pub fn list(&self) -> Result<Vec<KeyRecord>, KeyError> {
        read(&self.path)
    }

    /// Makes a key for this caller and keeps its hash.
    ///
    /// # Errors
    /// On an unusable name, or where the file cannot be written.
    pub fn issue(&self, caller: &str) -> Result<IssuedKey, KeyError> {
        let usable = (1..=64).contains(&caller.len()) && caller.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.@".contains(&b));
        if !usable {
            return Err(KeyError::Name(caller.to_owned()));
        }
        let mut secret = zeroize::Zeroizing::new([0u8; 32]);
        let mut id = [0u8; 6];
        let fill = |bytes: &mut [u8]| getrandom::fill(bytes).map_err(|e| KeyError::Random(std::io::Error::other(e.to_string())));
        fill(secret.as_mut_slice())?;
        fill(&mut id)?;
        let key = SecretString::from(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(secret.as_slice())));
        let record = KeyRecord {
            id: hex(&id),
            caller: caller.to_owned(),
            sha256: hex(&Sha256::digest(key.expose_secret().as_bytes())),
            created: jiff::Timestamp::now().to_string(),
            revoked: None,
        };
        self.change(|records| {
            records.push(record.clone());
            Ok(())
        })?;
        Ok(IssuedKey { record, key })
    }

    /// Revokes a key; the running gateway refuses it from its next request on.
    ///
    /// # Errors
    /// [`KeyError::Unknown`] where there is no such active key.
    pub fn revoke(&self, id: &str) -> Result<(), KeyError> {
        self.change(|records| {
            let record = records.iter_mut().find(|r| r.id == id && r.revoked.is_none()).ok_or_else(|| KeyError::Unknown(id.to_owned()))?;
            record.revoked = Some(jiff::Timestamp::now().to_string());
            Ok(())
        })
    }

    /// Reads, changes and rewrites the file under a lock of its own, so that two `keys new` at once lose no key.
    fn change(&self, change: impl FnOnce(&mut Vec<KeyRecord>) -> Result<(), KeyError>) -> Result<(), KeyError> {
        let guard = self.path.with_extension("lock");
        let io = |source| KeyError::Home(HomeError::Io { path: guard.clone(), source });
        let lock = std::fs::OpenOptions::new().write(true).create(true).truncate(false).open(&guard).map_err(io)?;
        lock.lock().map_err(io)?;
        let mut records = read(&self.path)?;
        change(&mut records)?;
        let mut text = String::new();
        for record in &records {
            text.push_str(&serde_json::to_string(record).unwrap_or_default());
            text.push('\n');
        }
        write_private(&self.path, text.as_bytes())?;
        self.refresh()
    }

    fn refresh(&self) -> Result<(), KeyError> {
        let stamp = std::fs::metadata(&self.path).ok().and_then(|m| Some((m.modified().ok()?, std::os::unix::fs::MetadataExt::ino(&m))));
        if self.loaded.load().stamp == stamp && stamp.is_some() {
            return Ok(());
        }
        let _one = self.reload.lock().unwrap_or_else(PoisonError::into_inner);
        let mut active = HashMap::new();
        for record in read(&self.path)?.into_iter().filter(|r| r.revoked.is_none()) {
            if let Some(digest) = unhex(&record.sha256) {
                active.insert(digest, (record.id, format!("key:{}", record.caller).into()));
            }
        }
        self.loaded.store(Arc::new(Loaded { stamp, active }));
        Ok(())
    }
}

fn read(path: &Path) -> Result<Vec<KeyRecord>, KeyError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(HomeError::Io { path: path.to_owned(), source }.into()),
    };
    let mut records = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let damaged = |why: String| KeyError::Damaged { path: path.to_owned(), line: index + 1, why };
        let record: KeyRecord = serde_json::from_str(line).map_err(|error| damaged(error.to_string()))?;
        if unhex(&record.sha256).is_none() {
            return Err(damaged("`sha256` is not 64 hex digits".into()));
        }
        records.push(record);
    }
    Ok(records)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // writing to a String cannot fail
        text
    })
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0u8; 32];
    let pairs = text.as_bytes().chunks_exact(2);
    if text.len() != 64 || !pairs.remainder().is_empty() {
        return None;
    }
    for (slot, pair) in bytes.iter_mut().zip(pairs) {
        *slot = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn store(dir: &tempfile::TempDir) -> KeyStore {
        KeyStore::open(&dir.path().join("keys")).unwrap()
    }

    #[test]
    fn a_key_identifies_its_caller_until_it_is_revoked_by_another_process() {
        let dir = tempfile::tempdir().unwrap();
        let (gateway, operator) = (store(&dir), store(&dir));
        let issued = operator.issue("ci-main").unwrap();
        let key = issued.key.expose_secret();
        assert!(key.starts_with(PREFIX) && key.len() == PREFIX.len() + 43);
        assert_eq!(&**gateway.identify(key, HERE).unwrap().id(), "key:ci-main");
        operator.revoke(&issued.record.id).unwrap();
        assert!(gateway.identify(key, HERE).is_none());
    }

    #[test]
    fn only_hashes_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let issued = store(&dir).issue("local").unwrap();
        let kept = std::fs::read_to_string(dir.path().join("keys")).unwrap();
        let body = issued.key.expose_secret().strip_prefix(PREFIX).unwrap();
        assert!(!kept.contains(body));
    }

    #[test]
    fn wrong_absent_and_truncated_keys_identify_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir);
        let issued = store.issue("local").unwrap();
        let key = issued.key.expose_secret();
        for wrong in ["", PREFIX, &key[..key.len() - 1], &format!("{key}x"), &key.to_uppercase()] {
            assert!(store.identify(wrong, HERE).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_damaged_file_lets_nobody_in_and_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir);
        let issued = store.issue("local").unwrap();
        let path = dir.path().join("keys");
        let good = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{good}{{\"id\":\n")).unwrap();
        assert!(store.identify(issued.key.expose_secret(), HERE).is_none());
        let Err(KeyError::Damaged { line, .. }) = KeyStore::open(&path) else { panic!("a damaged file was read") };
        assert_eq!(line, 2);
    }

    #[test]
    fn names_stay_one_word() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["", "a b", "key:x", "a*", "jwt:https://x|y", &"x".repeat(65)] {
            assert!(matches!(store(&dir).issue(name), Err(KeyError::Name(_))), "{name}");
        }
    }

    #[test]
    fn keys_made_at_once_are_all_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        std::thread::scope(|scope| {
            for n in 0..8 {
                let path = &path;
                scope.spawn(move || KeyStore::open(path).unwrap().issue(&format!("c{n}")).unwrap());
            }
        });
        assert_eq!(KeyStore::open(&path).unwrap().list().unwrap().len(), 8);
    }
}
