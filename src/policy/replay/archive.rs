//! The policies that were in force, by the hash that records name.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use super::super::{Catalogue, Policy};
use crate::home::{HomeError, archived_policy};

/// The folder in which a gateway keeps each policy it loaded: `<hex of sha256>.yaml`.
#[derive(Debug)]
pub struct Archive {
    folder: PathBuf,
    /// The policy that a gateway would load now, which may not have been archived yet.
    now: Option<Arc<Policy>>,
    read: HashMap<String, Result<Arc<Policy>, &'static str>>,
}

/// The most policies that are held at once. Records come in the order of time, so few are needed together.
const MOST_HELD: usize = 16;
const ABSENT: &str = "the policy that decided it is not in the home's archive";
const ANOTHER: &str = "the archive has no policy with the hash that the record names, but another";
const UNREADABLE: &str = "this version cannot read the policy that decided it";

impl Archive {
    /// The archive in this folder, which need not be there; `now` is the policy that a gateway would load at present.
    #[must_use]
    pub fn new(folder: PathBuf, now: Option<Arc<Policy>>) -> Self {
        Self { folder, now, read: HashMap::new() }
    }

    /// The policy with this hash, `sha256:` and 64 digits; or why it cannot be had.
    pub(super) fn policy(&mut self, hash: &str, catalogue: &Catalogue) -> Result<Arc<Policy>, &'static str> {
        if let Some(now) = self.now.as_ref().filter(|now| now.hash() == hash) {
            return Ok(now.clone());
        }
        if let Some(read) = self.read.get(hash) {
            return read.clone();
        }
        let read = self.load(hash, catalogue);
        if self.read.len() >= MOST_HELD {
            self.read.clear();
        }
        self.read.insert(hash.to_owned(), read.clone());
        read
    }

    // INVARIANT: no call is decided again under another policy than its record names (test: an_archive_that_was_changed_is_refused).
    fn load(&self, hash: &str, catalogue: &Catalogue) -> Result<Arc<Policy>, &'static str> {
        let text = archived_policy(&self.folder, hash).map_err(|error| match error {
            HomeError::Io { source, .. } if source.kind() == ErrorKind::InvalidData => ANOTHER,
            _ => ABSENT,
        })?;
        Policy::parse(&text, hash, catalogue).map(Arc::new).map_err(|_| UNREADABLE)
    }
}
