//! What an append gives back. None of these can be made, copied or cloned outside this crate.

use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;

use crate::batch::Batch;
use crate::digest::Digest;
use crate::error::AppendError;

/// The intent is in the chain; it may not be on disk yet.
#[derive(Debug)]
pub struct Written(());

/// The intent is on disk.
#[derive(Debug)]
pub struct Durable(());

/// Proof that a call's intent is in the chain. A tool takes it by value: no receipt, no run.
///
/// ```compile_fail
/// fn twice(receipt: opsgate_audit::Receipt<opsgate_audit::Written>) -> [opsgate_audit::Receipt<opsgate_audit::Written>; 2] {
///     [receipt.clone(), receipt]
/// }
/// ```
#[must_use = "an intent without its run: hand the receipt to the tool"]
#[derive(Debug)]
pub struct Receipt<State> {
    seq: u64,
    args: Digest,
    entry_hash: Digest,
    pub(crate) batch: Arc<Batch>,
    state: PhantomData<State>,
}

impl<State> Receipt<State> {
    /// The intent's place in the log.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// The digest of the arguments that the intent was recorded with.
    #[must_use]
    pub const fn args(&self) -> Digest {
        self.args
    }

    /// The intent's hash.
    #[must_use]
    pub const fn entry_hash(&self) -> Digest {
        self.entry_hash
    }
}

impl Receipt<Written> {
    pub(crate) const fn new(seq: u64, args: Digest, entry_hash: Digest, batch: Arc<Batch>) -> Self {
        Self { seq, args, entry_hash, batch, state: PhantomData }
    }

    // INVARIANT: the only maker of `Receipt<Durable>`, called after the batch's sync (test: durable_means_synced).
    pub(crate) fn synced(self) -> Receipt<Durable> {
        Receipt { seq: self.seq, args: self.args, entry_hash: self.entry_hash, batch: self.batch, state: PhantomData }
    }
}

/// An entry that is in the chain and on its way to the disk.
#[must_use = "nothing may be told before the entry is durable"]
#[derive(Debug)]
pub struct Appended {
    pub(crate) origin: Arc<str>,
    pub(crate) seq: u64,
    pub(crate) entry_hash: Digest,
    pub(crate) batch: Arc<Batch>,
}

impl Appended {
    /// Its place in the log.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// Waits until it is on disk.
    ///
    /// # Errors
    /// [`AppendError::Sealed`] where it could not be made durable: whether it is on disk is then unknown.
    pub async fn durable(self) -> Result<Recorded, AppendError> {
        self.batch.done().await?;
        Ok(Recorded { origin: self.origin, seq: self.seq, entry_hash: self.entry_hash })
    }
}

/// An entry that is on disk: what a reply needs, and a receipt that the client can keep.
#[derive(Debug, Serialize)]
pub struct Recorded {
    #[serde(serialize_with = "as_text")]
    origin: Arc<str>,
    seq: u64,
    entry_hash: Digest,
}

impl Recorded {
    /// The log's name.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Its place in the log.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// Its hash.
    #[must_use]
    pub const fn entry_hash(&self) -> Digest {
        self.entry_hash
    }
}

fn as_text<S: serde::Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}
