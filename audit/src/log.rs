//! The writer's face: what the gateway calls.

mod flusher;
mod high_water;
pub(crate) mod open;
mod seal;
mod state;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::call::CallRef;
use crate::canonical::CanonicalJson;
use crate::digest::Digest;
use crate::entry::{EventKind, Kind, Outcome};
use crate::error::AppendError;
use crate::files::{Files, RealFiles};
use crate::key::SigningKey;
use crate::receipt::{Appended, Durable, Receipt, Written};
use crate::stats::Stats;

pub use open::{OpenError, Opened, Unsealed, unseal};
use state::Shared;

/// Where a log lives and under which name and key.
#[derive(Clone)]
pub struct Options {
    /// The folder of the log's files, `audit/` in the home. Created with mode 0700 where it is absent.
    pub dir: PathBuf,
    /// The mark that seals the log; its existence is what counts.
    pub sealed: PathBuf,
    /// The high-water mark: the newest signed checkpoint, kept outside of the log's folder, so that a log whose end was cut off is not
    /// opened. Written after each checkpoint; no log needs it to be there.
    pub high_water: PathBuf,
    /// The log's name: 1 to 128 of `A-Z a-z 0-9 . _ / : @ ~ -`. It stays the same for the log's life.
    pub origin: String,
    /// Signs checkpoints.
    pub key: SigningKey,
    /// The file system, or one that fails on purpose.
    pub files: Arc<dyn Files>,
}

impl Options {
    /// Options on the real file system, with the high-water mark as `head` beside the seal's mark.
    #[must_use]
    pub fn new(dir: PathBuf, sealed: PathBuf, origin: String, key: SigningKey) -> Self {
        let high_water = sealed.with_file_name("head");
        Self { dir, sealed, high_water, origin, key, files: Arc::new(RealFiles) }
    }
}

/// The last entry, and whether the log still takes more.
#[derive(Debug, Clone)]
pub struct Head {
    /// Its place, from zero.
    pub seq: u64,
    /// Its hash.
    pub entry_hash: Digest,
    /// Why the log is sealed, where it is.
    pub sealed: Option<Arc<str>>,
}

/// An open audit log: the only writer of its folder. Clones share it; the last one dropped closes it.
#[derive(Clone)]
pub struct Log {
    shared: Arc<Shared>,
    _thread: Arc<Flushing>,
}

impl Log {
    /// Opens the log in `options.dir`, or creates it. Reads and checks what is there, mends what a crash left, and starts the one
    /// thread that writes. Blocks.
    ///
    /// # Errors
    /// [`OpenError`]: another writer has it, it is sealed, it is another log's, or it was tampered with.
    pub fn open(options: Options) -> Result<(Self, Opened), OpenError> {
        let (flusher, opened) = open::open(&options)?;
        let shared = flusher.shared();
        let thread = std::thread::Builder::new().name("opsgate-audit".to_owned()).spawn(move || flusher.run())?;
        let thread = Flushing { shared: shared.clone(), thread: Some(thread) };
        Ok((Self { shared, _thread: Arc::new(thread) }, opened))
    }

    /// Appends a call's intent, with `args_digest` added to its data. Costs no context switch and no wait.
    ///
    /// # Errors
    /// [`AppendError`]; then nothing was recorded and the call must not run.
    pub fn intent(&self, call: &CallRef, args: Digest, data: CanonicalJson) -> Result<(Receipt<Written>, Pending), AppendError> {
        let data = data.with("args_digest", &format!("\"{args}\"")).ok_or(AppendError::Reserved { key: "args_digest" })?;
        let placed = self.shared.append(Kind::Intent, Some(call), data.as_bytes())?;
        let pending = Pending { shared: self.shared.clone(), call: call.clone(), intent: placed.seq, open: true };
        Ok((Receipt::new(placed.seq, args, placed.entry_hash, placed.batch), pending))
    }

    /// Waits until the intent is on disk.
    ///
    /// # Errors
    /// [`AppendError::Sealed`] where it could not be made durable; the call must not run.
    pub async fn durable(&self, receipt: Receipt<Written>) -> Result<Receipt<Durable>, AppendError> {
        self.shared.want(&receipt.batch);
        receipt.batch.done().await?;
        Ok(receipt.synced())
    }

    /// Waits until the intent is on disk and leaves its receipt as it is: for a read whose intent must be durable first.
    ///
    /// # Errors
    /// [`AppendError::Sealed`] where it could not be made durable; the call must not run.
    pub async fn sync(&self, receipt: &Receipt<Written>) -> Result<(), AppendError> {
        self.shared.want(&receipt.batch);
        receipt.batch.done().await
    }

    /// Appends a refusal.
    ///
    /// # Errors
    /// [`AppendError`]; then nothing was recorded.
    pub fn refused(&self, call: &CallRef, data: CanonicalJson) -> Result<Appended, AppendError> {
        self.shared.append(Kind::Refused, Some(call), data.as_ref()).map(|placed| self.shared.appended(placed))
    }

    /// Appends an event, of a call or not.
    ///
    /// # Errors
    /// [`AppendError`]; then nothing was recorded.
    pub fn event(&self, kind: EventKind, call: Option<&CallRef>, data: CanonicalJson) -> Result<Appended, AppendError> {
        self.shared.append(Kind::Event(kind), call, data.as_ref()).map(|placed| self.shared.appended(placed))
    }

    /// The last entry.
    #[must_use]
    pub fn head(&self) -> Head {
        self.shared.head()
    }

    /// The log's name.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.shared.origin()
    }

    /// Counters since it was opened.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// Seals the log, durably: from now on it takes nothing but the outcomes of calls whose intents it has, across restarts, until
    /// [`unseal`]. `why` is told to operators and clients. Blocks for two syncs.
    pub fn seal(&self, why: &str) {
        self.shared.seal(why);
    }

    /// Takes no more, writes what waits, signs a last checkpoint, and gives the folder free. Finish running calls first: their outcomes
    /// have no place afterwards.
    ///
    /// # Errors
    /// [`AppendError::Sealed`] where the last entries could not be made durable.
    pub async fn close(&self) -> Result<(), AppendError> {
        self.shared.close();
        self.shared.closed().await
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").field("origin", &self.origin()).field("head", &self.head()).finish_non_exhaustive()
    }
}

/// The writing thread; closes the log when the last [`Log`] goes.
struct Flushing {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Flushing {
    fn drop(&mut self) {
        self.shared.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// An intent that waits for its outcome. Dropped without one, it records `indeterminate`: an intent never stays alone.
#[must_use = "an intent must get its outcome"]
pub struct Pending {
    shared: Arc<Shared>,
    call: CallRef,
    intent: u64,
    open: bool,
}

impl Pending {
    /// Appends the outcome, with `outcome` added to its data.
    ///
    /// # Errors
    /// [`AppendError`]; then the result must be withheld and the gateway must seal. Where only this record was at fault (too large, a
    /// reserved key), `indeterminate` is recorded in its place.
    pub fn outcome(mut self, kind: Outcome, data: CanonicalJson) -> Result<Appended, AppendError> {
        let data = data.with("outcome", &format!("\"{}\"", kind.name())).ok_or(AppendError::Reserved { key: "outcome" })?;
        let placed = self.shared.append(Kind::Outcome, Some(&self.call), data.as_bytes())?;
        self.open = false;
        Ok(self.shared.appended(placed))
    }
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pending").field("call", &self.call).finish_non_exhaustive()
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.open {
            let data = indeterminate(self.intent, "no outcome was recorded");
            // A log that takes nothing any more marks the intent at its next start.
            let _ = self.shared.append(Kind::Outcome, Some(&self.call), data.as_bytes());
        }
    }
}

/// The data of an outcome that the log itself writes.
fn indeterminate(intent: u64, reason: &str) -> String {
    format!("{{\"intent_seq\":{intent},\"outcome\":\"indeterminate\",\"reason\":\"{reason}\"}}")
}
