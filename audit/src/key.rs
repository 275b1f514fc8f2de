//! The key that signs checkpoints: made once, kept in a file that only its owner can read.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use ed25519_dalek::Signer as _;
use zeroize::Zeroizing;

use crate::digest::{decode_hex, push_hex};

/// An Ed25519 signing key (RFC 8032). Its secret half is in no `Debug` and is wiped when dropped.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", crate::digest::hex(&self.public()))
    }
}

/// Why the signing key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Others than its owner may read or write it.
    #[error("the signing key's file has mode `{mode:o}`; only its owner may read it: chmod 600")]
    Exposed {
        /// The file's permission bits.
        mode: u32,
    },
    /// The file does not hold a key.
    #[error("the signing key's file does not hold 64 hex digits; restore it from a backup, or remove it together with the log to start a new one")]
    Malformed,
    /// It could not be read or created.
    #[error("the signing key cannot be read or created: {0}")]
    Io(#[from] io::Error),
}

impl SigningKey {
    /// Loads the key from `path`, or creates it there with mode 0600.
    ///
    /// # Errors
    /// [`KeyError`] where the file is readable by others, is not a key, or cannot be read or created.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyError> {
        match File::open(path) {
            Ok(file) => Self::load(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => match Self::create(path) {
                Err(KeyError::Io(error)) if error.kind() == io::ErrorKind::AlreadyExists => Self::load(File::open(path)?),
                created => created,
            },
            Err(error) => Err(error.into()),
        }
    }

    /// A key from its 32-byte seed.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }

    fn load(file: File) -> Result<Self, KeyError> {
        let mode = file.metadata()?.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(KeyError::Exposed { mode });
        }
        let mut text = Zeroizing::new(Vec::with_capacity(128));
        file.take(128).read_to_end(&mut text)?;
        let seed = text.strip_suffix(b"\n").and_then(decode_hex::<32>).map(Zeroizing::new).ok_or(KeyError::Malformed)?;
        Ok(Self::from_seed(&seed))
    }

    /// Written whole under another name first and then linked, so that a crash leaves a key or none and two starters end with one.
    fn create(path: &Path) -> Result<Self, KeyError> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut()).map_err(|_| io::Error::other("the system gave no random bytes"))?;
        let mut text = Zeroizing::new(Vec::with_capacity(65));
        push_hex(&mut text, seed.as_ref());
        text.push(b'\n');
        let fresh = path.with_extension(format!("new-{}", std::process::id()));
        let written = (|| {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::hard_link(&fresh, path)
        })();
        let removed = fs::remove_file(&fresh);
        written?;
        removed?;
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            File::open(parent)?.sync_all()?;
        }
        Ok(Self::from_seed(&seed))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_created_once_private_and_loads_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("signing.key");
        let created = SigningKey::load_or_create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(SigningKey::load_or_create(&path).unwrap().public(), created.public());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left beside it");
        let secret = fs::read_to_string(&path).unwrap();
        assert!(!format!("{created:?}").contains(secret.trim()));
    }

    #[test]
    fn an_exposed_or_broken_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("signing.key");
        SigningKey::load_or_create(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(SigningKey::load_or_create(&path), Err(KeyError::Exposed { mode: 0o640 })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "no key\n").unwrap();
        assert!(matches!(SigningKey::load_or_create(&path), Err(KeyError::Malformed)));
    }
}
