//! The one directory that holds a gateway's state, and the lock that makes it one gateway.

mod github;
mod policies;
pub mod service;
mod settings;

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

pub use github::GithubSettings;
pub use policies::archived_policy;
pub use settings::{Settings, SettingsError, VARIABLES};

/// Why a home cannot be used. The text is for the person who starts the gateway.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// It cannot be made or read.
    #[error("cannot use the home `{path}`: {source}; set OPSGATE_HOME to a folder of your own")]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Something else stands where the folder should be.
    #[error("the home `{0}` is not a folder; set OPSGATE_HOME to a folder of your own")]
    NotAFolder(PathBuf),
    /// Others could change the state.
    #[error("the home `{path}` is open to others (mode {mode:04o}); run `chmod 700` on it")]
    OpenToOthers {
        /// The folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It belongs to somebody else.
    #[error("the home `{path}` belongs to uid {owner}, not to you (uid {me}); set OPSGATE_HOME to a folder of your own")]
    NotYours {
        /// The folder.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// The current user.
        me: u32,
    },
    /// A second gateway.
    #[error("another gateway ({holder}) already runs on the home `{path}`; stop it, or give this one a home of its own with OPSGATE_HOME")]
    Locked {
        /// The folder.
        path: PathBuf,
        /// The process that holds it, as far as it told.
        holder: String,
    },
    /// Somebody else could put another folder in its place.
    #[error("the home cannot be used: {0}, or set OPSGATE_HOME to a folder of your own")]
    Exposed(#[from] crate::trust::Exposed),
    /// The socket's address would not fit.
    #[error("the home `{0}` has too long a path for a socket (100 bytes at most); set OPSGATE_HOME to a shorter one")]
    PathTooLong(PathBuf),
}

/// A home that is ours alone: mode 0700 or tighter, owned by the current user.
#[derive(Debug, Clone)]
pub struct Home {
    path: PathBuf,
}

/// The proof that this process is the home's one gateway. Held for the gateway's life.
#[derive(Debug)]
pub struct HomeLock {
    _file: File,
}

impl Home {
    /// Opens the home, making it with mode 0700 where it is missing.
    ///
    /// # Errors
    /// Where it cannot be made, is not a folder, belongs to somebody else, or others can read or write it.
    pub fn open(path: &Path) -> Result<Self, HomeError> {
        let io = |source| HomeError::Io { path: path.to_owned(), source };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|source| match source.kind() {
            std::io::ErrorKind::AlreadyExists | std::io::ErrorKind::NotADirectory => HomeError::NotAFolder(path.to_owned()),
            _ => io(source),
        })?;
        let path = path.canonicalize().map_err(io)?;
        let meta = path.metadata().map_err(io)?;
        if !meta.is_dir() {
            return Err(HomeError::NotAFolder(path));
        }
        let me = rustix::process::geteuid().as_raw();
        if meta.uid() != me {
            return Err(HomeError::NotYours { path, owner: meta.uid(), me });
        }
        let mode = meta.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(HomeError::OpenToOthers { path, mode });
        }
        crate::trust::guarded(&path)?;
        if path.as_os_str().len() > 100 - "/gateway.sock".len() {
            return Err(HomeError::PathTooLong(path));
        }
        Ok(Self { path })
    }

    /// Takes the lock, or says who has it.
    ///
    /// # Errors
    /// [`HomeError::Locked`] where another gateway runs.
    pub fn lock(&self) -> Result<HomeLock, HomeError> {
        let path = self.path.join("gateway.lock");
        let io = |source| HomeError::Io { path: path.clone(), source };
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Only to tell the person who it is: an unreadable file changes nothing about the refusal.
                let _ = file.read_to_string(&mut holder);
                let holder = if holder.trim().is_empty() { "of unknown pid".into() } else { format!("pid {}", holder.trim()) };
                return Err(HomeError::Locked { path: self.path.clone(), holder });
            }
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        file.set_len(0).map_err(io)?;
        write!(file, "{}", std::process::id()).map_err(io)?;
        Ok(HomeLock { _file: file })
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The socket clients on this machine join.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.path.join("gateway.sock")
    }

    /// The folder of the chain.
    #[must_use]
    pub fn audit(&self) -> PathBuf {
        self.path.join("audit")
    }

    /// The mark that refuses everything until `opsgate unseal`.
    #[must_use]
    pub fn sealed(&self) -> PathBuf {
        self.path.join("sealed")
    }

    /// The key that signs checkpoints.
    #[must_use]
    pub fn signing_key(&self) -> PathBuf {
        self.path.join("signing.key")
    }

    /// The hashes of the API keys.
    #[must_use]
    pub fn keys(&self) -> PathBuf {
        self.path.join("keys")
    }

    /// Where a first start leaves the key of `local`.
    #[must_use]
    pub fn local_key(&self) -> PathBuf {
        self.path.join("local.key")
    }

    /// What each caller used of its budget.
    #[must_use]
    pub fn budgets(&self) -> PathBuf {
        self.path.join("budgets.json")
    }

    /// Where a gateway that was started for a client writes its log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.path.join("gateway.log")
    }

    /// The secret under which argument digests are made; created on first use.
    ///
    /// # Errors
    /// Where it can be neither read nor made.
    pub fn digest_key(&self) -> Result<SecretString, HomeError> {
        let path = self.path.join("digest.key");
        match std::fs::read_to_string(&path) {
            Ok(text) if text.len() == 64 => Ok(SecretString::from(text)),
            Ok(_) => Err(HomeError::Io { path, source: std::io::Error::other("it does not hold 64 hex digits") }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let key = crate::identity::random_hex().map_err(|source| HomeError::Io { path: path.clone(), source })?;
                write_private(&path, key.expose_secret().as_bytes())?;
                Ok(key)
            }
            Err(source) => Err(HomeError::Io { path, source }),
        }
    }
}

impl Home {
    /// The home's own credentials that lie in files, so that they are removed from whatever leaves.
    #[must_use]
    pub fn own_secrets(&self) -> Vec<SecretString> {
        let files = [self.signing_key(), self.local_key(), self.path.join("digest.key")];
        let read = |file: PathBuf| std::fs::read_to_string(file).ok().map(zeroize::Zeroizing::new);
        files.into_iter().filter_map(read).map(|text| SecretString::from(text.trim())).collect()
    }
}

/// Writes a file only its owner can read: a temporary file of mode 0600, synced, then renamed into place.
///
/// # Errors
/// What the system said.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), HomeError> {
    let io = |source| HomeError::Io { path: path.to_owned(), source };
    let staged = path.with_extension(format!("new-{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&staged).map_err(io)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| std::fs::rename(&staged, path)).map_err(io)?;
    if let Some(folder) = path.parent() {
        File::open(folder).and_then(|f| f.sync_all()).map_err(io)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn temp() -> tempfile::TempDir {
        tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o700)).tempdir().unwrap()
    }

    #[test]
    fn a_missing_home_is_made_private() {
        let dir = temp();
        let home = Home::open(&dir.path().join("a/b")).unwrap();
        assert_eq!(home.path().metadata().unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_home_that_others_can_write_is_refused_with_the_mend() {
        let dir = temp();
        for mode in [0o777, 0o770, 0o750, 0o701] {
            std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            let error = Home::open(dir.path()).unwrap_err().to_string();
            assert!(error.contains("chmod 700"), "{error}");
        }
    }

    #[test]
    fn a_file_is_no_home() {
        let dir = temp();
        let file = dir.path().join("file");
        std::fs::write(&file, "x").unwrap();
        assert!(matches!(Home::open(&file), Err(HomeError::NotAFolder(_))));
    }

    #[test]
    fn a_second_lock_names_the_holder() {
        let dir = temp();
        let home = Home::open(dir.path()).unwrap();
        let held = home.lock().unwrap();
        let error = home.lock().unwrap_err().to_string();
        assert!(error.contains(&format!("pid {}", std::process::id())), "{error}");
        drop(held);
        home.lock().unwrap();
    }

    #[test]
    fn the_digest_key_stays_the_same() {
        let dir = temp();
        let home = Home::open(dir.path()).unwrap();
        let first = home.digest_key().unwrap();
        assert_eq!(first.expose_secret(), home.digest_key().unwrap().expose_secret());
        assert_eq!(dir.path().join("digest.key").metadata().unwrap().mode() & 0o777, 0o600);
    }
}
