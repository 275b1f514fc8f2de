//! Where an installation lies. All of it bears the name of the gateway's user.

use std::path::{Path, PathBuf};

use super::step::SetupError;
use crate::home::service::{SERVICE, etc_folder, home_folder, run_folder, state_folder};

/// The places of one installation, beneath a root that is `/` but for images and tests.
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
    name: String,
}

impl Layout {
    /// The places of the gateway that runs as this user.
    ///
    /// # Errors
    /// Where the name could not be a system user's.
    pub fn new(root: &Path, name: &str) -> Result<Self, SetupError> {
        let starts = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b == b'_');
        let fits = name.len() <= 31 && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
        if !starts || !fits || name == "root" {
            return Err(SetupError::new(format!("`{name}` cannot be the name of the gateway's user; use a-z, 0-9, `-` and `_`, 31 at most")));
        }
        Ok(Self { root: root.to_owned(), name: name.to_owned() })
    }

    /// The user, and what everything is named after.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What all paths lie beneath.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether it is the running machine that is installed to, and not an image.
    #[must_use]
    pub fn is_this_machine(&self) -> bool {
        self.root == Path::new("/")
    }

    /// Whether clients find it without being told where.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.name == SERVICE
    }

    /// Where a path of the installed machine is now.
    #[must_use]
    pub fn on_disk(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The program.
    #[must_use]
    pub fn program(&self) -> PathBuf {
        Path::new("/usr/local/bin").join(&self.name)
    }

    /// The folder above the home, which is root's.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        state_folder(&self.name)
    }

    /// The home.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        home_folder(&self.name)
    }

    /// The folder of policy and environment.
    #[must_use]
    pub fn etc(&self) -> PathBuf {
        etc_folder(&self.name)
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> PathBuf {
        self.etc().join("policy.yaml")
    }

    /// The environment file with the credentials.
    #[must_use]
    pub fn environment(&self) -> PathBuf {
        self.etc().join(format!("{}.env", self.name))
    }

    /// The folder of the socket. It is root's, and the gateway's group writes there: what runs as the gateway's user, a
    /// declared command too, can change the mode of what is its own, but lets nobody else in here.
    #[must_use]
    pub fn run(&self) -> PathBuf {
        run_folder(&self.name)
    }

    /// The socket that the machine's users join.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.run().join("gateway.sock")
    }

    /// The systemd unit.
    #[must_use]
    pub fn unit(&self) -> PathBuf {
        Path::new("/etc/systemd/system").join(format!("{}.service", self.name))
    }

    /// The start script, where there is no systemd.
    #[must_use]
    pub fn script(&self) -> PathBuf {
        Path::new("/usr/local/sbin").join(format!("{}-service", self.name))
    }
}
