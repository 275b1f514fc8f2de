//! Opening: lock, read what is there, mend what a crash left, go on.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Instant;

use serde_json::json;
use uuid::Uuid;

use crate::call::CallRef;
use crate::canonical::{CanonicalJson, NotCanonical};
use crate::digest::hex;
use crate::entry::{Kind, genesis_data, genesis_hash, is_origin};
use crate::error::AppendError;
use crate::files::no_follow;
use crate::recover::{self, Quarantined, Scan};

use super::flusher::{Checkpoints, Flusher};
use super::state::{MAX_BATCH, Room, Shared, State, Waiting};
use super::{Options, high_water, indeterminate, seal};

/// The file that holds the exclusive lock. It is never renamed, removed or written.
const LOCK: &str = "lock";

/// What opening found and did.
#[derive(Debug, Clone, Default)]
pub struct Opened {
    /// There was no log: it now has its genesis.
    pub created: bool,
    /// Entries that were there.
    pub entries: u64,
    /// Intents that a crash left without an outcome; each now has `indeterminate`.
    pub dangling: u64,
    /// Tails that a crash left, now beside the log under names of their own.
    pub quarantined: Vec<Quarantined>,
    /// A `log.recovered` was appended, because the run before did not close the log.
    pub recovered: bool,
}

/// What unsealing did.
#[derive(Debug, Clone)]
pub struct Unsealed {
    /// Why it was sealed; `None` where it was not.
    pub why: Option<String>,
    /// What opening found and did.
    pub opened: Opened,
}

/// Why the log cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The name is not one.
    #[error("`{0}` cannot name a log: 1 to 128 of A-Z a-z 0-9 . _ / : @ ~ -")]
    Origin(String),
    /// Another writer has it.
    #[error("another gateway writes this audit log; stop it first, or join it")]
    Locked,
    /// It was sealed.
    #[error("the audit log is sealed: {why}; an operator must run `opsgate unseal`")]
    Sealed {
        /// What made it seal.
        why: String,
    },
    /// It has another name.
    #[error("the audit log is `{found}` and not `{expected}`")]
    OtherLog {
        /// The name in its genesis.
        found: String,
        /// The name that was asked for.
        expected: String,
    },
    /// It has another key.
    #[error("the audit log was begun with the key `{found}`, and the signing key is `{expected}`; restore the key that belongs to it")]
    OtherKey {
        /// The public key in its genesis.
        found: String,
        /// The signing key's public half.
        expected: String,
    },
    /// What is there cannot be a crash's work.
    #[error("the audit log was changed: {what} (`{file}`, line {line}); run `opsgate-audit verify` and restore it from a backup")]
    Tampered {
        /// The file's name in the log's folder.
        file: String,
        /// The line, from 1.
        line: u64,
        /// What is wrong.
        what: String,
    },
    /// It could not go on.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The system's.
    #[error("the audit log cannot be opened: {0}")]
    Io(#[from] io::Error),
    /// Its own record did not serialise.
    #[error(transparent)]
    Record(#[from] NotCanonical),
}

/// Lifts the seal: reads and checks the whole log as opening does, records that it was unsealed, and takes the mark away. For an operator,
/// while no gateway runs.
///
/// # Errors
/// As [`super::Log::open`], but for the seal itself; the mark then stays.
pub fn unseal(options: Options) -> Result<Unsealed, OpenError> {
    let why = seal::reason(&options.sealed)?;
    let (mut flusher, opened) = open_with(&options, Some(why.as_deref()))?;
    flusher.checkpoint()?;
    if why.is_some() {
        seal::remove(options.files.as_ref(), &options.sealed)?;
    }
    Ok(Unsealed { why, opened })
}

pub(super) fn open(options: &Options) -> Result<(Flusher, Opened), OpenError> {
    open_with(options, None)
}

/// `unsealing` says that the mark is to be ignored, and what it says.
fn open_with(options: &Options, unsealing: Option<Option<&str>>) -> Result<(Flusher, Opened), OpenError> {
    if !is_origin(&options.origin) {
        return Err(OpenError::Origin(options.origin.clone()));
    }
    let lock = take_lock(options)?;
    if unsealing.is_none()
        && let Some(why) = seal::reason(&options.sealed)?
    {
        return Err(OpenError::Sealed { why });
    }
    let public = options.key.public();
    let mark = high_water::read(&options.high_water, &options.origin, &public);
    // A log of another name or key says so before its mark does, and nothing is changed before both are looked at.
    let mut scan = recover::scan(&options.dir, &options.origin, &public, mark.as_ref().ok().and_then(Option::as_ref))?;
    mark.map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => tampered(&options.high_water, 1, error.to_string()),
        _ => error.into(),
    })?;
    let quarantined = recover::quarantine(options.files.as_ref(), &options.dir, &scan, MAX_BATCH)?;
    let mut opened = Opened { created: scan.entries == 0, entries: scan.entries, quarantined, ..Opened::default() };
    let open_intents = std::mem::take(&mut scan.open);
    opened.dangling = open_intents.len() as u64;
    let clean = opened.quarantined.is_empty() && opened.dangling == 0 && scan.checkpointed == scan.entries;
    let (uncovered, unsigned) = (scan.entries - scan.checkpointed, scan.vouched..scan.entries);
    let mut flusher = flusher(options, lock, scan)?;
    if opened.created {
        genesis(&flusher, &public)?;
    }
    if !opened.created && (!clean || unsealing.flatten().is_some()) {
        opened.recovered = true;
        let mut data = json!({
            "dangling": opened.dangling,
            "entries": opened.entries,
            "quarantined": opened.quarantined,
            "uncovered": uncovered,
            "unsealed": unsealing.flatten(),
        });
        // INVARIANT: what nothing had signed is named before it is signed now: whether it is what the last run wrote, nobody can say
        // (test: a_tail_that_was_forged_after_a_kill_is_announced).
        if let (Some(data), Some(last)) = (data.as_object_mut(), unsigned.clone().last()) {
            data.insert("unsigned_from".to_owned(), unsigned.start.into());
            data.insert("unsigned_to".to_owned(), last.into());
        }
        flusher.shared.append(Kind::Recovered, None, CanonicalJson::of(&data)?.as_ref())?;
    }
    for intent in open_intents {
        let call = CallRef { request_id: Uuid::from_bytes(intent.request_id), correlation_id: intent.correlation_id };
        let data = indeterminate(intent.seq, "the gateway stopped before the outcome was recorded");
        flusher.shared.append(Kind::Outcome, Some(&call), data.as_bytes())?;
        if flusher.shared.stats().waiting_bytes > 1 << 20 {
            flusher.commit()?;
        }
    }
    flusher.commit()?;
    flusher.checkpoint()?;
    Ok((flusher, opened))
}

fn take_lock(options: &Options) -> Result<File, OpenError> {
    if !options.dir.is_dir() {
        DirBuilder::new().recursive(true).mode(0o700).create(&options.dir)?;
        if let Some(parent) = options.dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            options.files.sync_dir(parent)?;
        }
    }
    let lock = OpenOptions::new().read(true).append(true).create(true).mode(0o600).custom_flags(no_follow()).open(options.dir.join(LOCK))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// The writer as it goes on from what was read.
fn flusher(options: &Options, lock: File, scan: Scan) -> Result<Flusher, OpenError> {
    let path = options.dir.join(recover::SEGMENT);
    let file = options.files.append(&path)?;
    let checkpoints = options.files.append(&options.dir.join(recover::CHECKPOINTS))?;
    // The names must last before anything is acknowledged that is in them.
    options.files.sync_dir(&options.dir)?;
    let meta = fs::symlink_metadata(&path)?;
    let state = State::new(scan.entries, scan.last, Room::new(scan.end), lock);
    let shared = Shared::new(&options.origin, file, (meta.dev(), meta.ino()), options.files.clone(), options.sealed.clone(), state);
    let checkpoints = Checkpoints { file: checkpoints, room: Room::new(scan.checkpoints_end), size: scan.checkpointed, last: Instant::now() };
    let (high_water, key) = (options.high_water.clone(), options.key.clone());
    Ok(Flusher { shared, path, high_water, key, tree: scan.tree, checkpoints, spare: Waiting::default() })
}

/// The first entry: it names the key, and its `prev_hash` commits to name, key and nonce.
fn genesis(flusher: &Flusher, public: &[u8; 32]) -> Result<(), OpenError> {
    let mut nonce = [0; 32];
    getrandom::fill(&mut nonce).map_err(|_| io::Error::other("the system gave no random bytes"))?;
    flusher.shared.lock().last = genesis_hash(flusher.shared.origin(), public, &nonce);
    flusher.shared.append(Kind::Genesis, None, genesis_data(public, &nonce).as_bytes())?;
    Ok(())
}

/// A tampered log, told with the file's name.
pub(crate) fn tampered(file: &Path, line: u64, what: impl Into<String>) -> OpenError {
    OpenError::Tampered { file: file.file_name().unwrap_or_default().to_string_lossy().into_owned(), line, what: what.into() }
}

pub(crate) fn other_key(found: &[u8; 32], expected: &[u8; 32]) -> OpenError {
    OpenError::OtherKey { found: hex(found), expected: hex(expected) }
}
