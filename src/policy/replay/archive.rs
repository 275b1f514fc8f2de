//! The policies that were in force, by the hash that records name.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::super::{Catalogue, Policy};

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
const ANOTHER: &str = "the archived policy has not the hash that the record names";
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

    fn load(&self, hash: &str, catalogue: &Catalogue) -> Result<Arc<Policy>, &'static str> {
        // A record's text becomes part of a path only where it is a digest.
        let digest =
            hash.strip_prefix("sha256:").filter(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
        let path = self.folder.join(format!("{}.yaml", digest.ok_or(ABSENT)?));
        if path.symlink_metadata().is_err() {
            return Err(ABSENT);
        }
        let policy = Policy::load(&path, catalogue).map_err(|_| UNREADABLE)?;
        // INVARIANT: no call is decided again under another policy than its record names (test: an_archive_that_was_changed_is_refused).
        if policy.hash() == hash { Ok(Arc::new(policy)) } else { Err(ANOTHER) }
    }
}
