//! The tour's own folder: a home, and a repository with a secret that was made up a moment ago.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use git2::{IndexAddOption, Repository, Signature};
use secrecy::{ExposeSecret, SecretString};

/// Removed, with all in it, when the tour ends.
pub(super) struct Folder {
    path: PathBuf,
    repository: PathBuf,
    secret: SecretString,
}

impl Folder {
    pub(super) fn make() -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("opsgate-demo-{}", uuid::Uuid::new_v4().simple()));
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        let repository = path.join("repository");
        // The documented form of a GitHub token, with random content: it opens nothing.
        let random = crate::identity::random_hex()?;
        let secret = SecretString::from(format!("ghp_{}", random.expose_secret().get(..36).unwrap_or_default()));
        let folder = Self { path, repository, secret };
        folder.plant().map_err(std::io::Error::other)?;
        Ok(folder)
    }

    fn plant(&self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let repository = Repository::init(&self.repository)?;
        std::fs::create_dir(self.repository.join("deploy"))?;
        std::fs::write(
            self.repository.join("deploy/app.yaml"),
            format!("replicas: 3\ngithub_token: {}\nregion: eu-west-1\n", self.secret.expose_secret()),
        )?;
        std::fs::write(self.repository.join(".env"), "not for agents\n")?;
        let mut index = repository.index()?;
        index.add_all(["*"], IndexAddOption::DEFAULT, None)?;
        index.write()?;
        let tree = repository.find_tree(index.write_tree()?)?;
        let who = Signature::now("demo", "demo@example.invalid")?;
        repository.commit(Some("HEAD"), &who, &who, "Plant a secret", &tree, &[])?;
        Repository::clone(&self.repository.display().to_string(), self.clone_path())?;
        Ok(())
    }

    /// The policy of this folder's home, in place of the shipped one.
    pub(super) fn place_policy(&self, policy: &str) -> std::io::Result<()> {
        std::fs::DirBuilder::new().mode(0o700).create(self.home())?;
        std::fs::write(self.home().join("policy.yaml"), policy)
    }

    /// A clone of the repository, to write in.
    pub(super) fn clone_path(&self) -> PathBuf {
        self.path.join("clone")
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn home(&self) -> PathBuf {
        self.path.join("home")
    }

    pub(super) fn repository(&self) -> &Path {
        &self.repository
    }

    /// Whether this text gives the planted secret away.
    pub(super) fn leaks_in(&self, text: &str) -> bool {
        text.contains(self.secret.expose_secret())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path); // a leftover in the temporary folder harms nobody
    }
}
