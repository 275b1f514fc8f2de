//! The first approver: an API key under a person's name, made as the gateway's user and shown once.

use std::cell::RefCell;
use std::os::unix::process::CommandExt;
use std::process::Command;

use secrecy::SecretString;
use serde::Deserialize;

use super::account::user;
use super::layout::Layout;
use super::step::{SetupError, State, Step, run};

pub(super) struct Approver {
    layout: Layout,
    name: String,
    key: RefCell<Option<SecretString>>,
}

/// What `opsgate keys` prints of a key.
#[derive(Deserialize)]
struct Key {
    caller: String,
    #[serde(default)]
    revoked: Option<String>,
    #[serde(default, deserialize_with = "secret")]
    key: Option<SecretString>,
}

fn secret<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<SecretString>, D::Error> {
    Option::<String>::deserialize(from).map(|key| key.map(SecretString::from))
}

impl Approver {
    pub(super) fn new(layout: &Layout, name: &str) -> Self {
        Self { layout: layout.clone(), name: name.to_owned(), key: RefCell::default() }
    }

    /// The key, where it was made just now.
    pub(super) fn key(self) -> Option<SecretString> {
        self.key.into_inner()
    }

    /// `opsgate keys …` on the service's home, as its user: root does not write where that user does.
    fn keys(&self, args: &[&str]) -> Result<Vec<u8>, SetupError> {
        let user = user(&self.layout)?;
        let mut command = Command::new(self.layout.program());
        command.arg("keys").args(args).env_clear().env("OPSGATE_HOME", self.layout.home()).current_dir("/").uid(user.uid).gid(user.gid);
        run(&mut command)
    }
}

impl Step for Approver {
    fn id(&self) -> &'static str {
        "approver"
    }

    fn what(&self) -> String {
        format!("the first approver `{}`, with a key of that name", self.name)
    }

    fn state(&self, _: bool) -> Result<State, SetupError> {
        if !self.layout.home().join("keys").exists() {
            return Ok(State::Missing);
        }
        let listed: Vec<Key> =
            serde_json::from_slice(&self.keys(&["list", "--json"])?).map_err(|error| SetupError::new(format!("the keys cannot be read: {error}")))?;
        let wanted = format!("key:{}", self.name);
        Ok(State::done(listed.iter().any(|key| key.caller == wanted && key.revoked.is_none())))
    }

    fn apply(&self) -> Result<(), SetupError> {
        let said = zeroize::Zeroizing::new(self.keys(&["new", "--json", "--caller", &self.name])?);
        let made: Key = serde_json::from_slice(&said).map_err(|error| SetupError::new(format!("the key cannot be read: {error}")))?;
        self.key.replace(made.key);
        Ok(())
    }
}
