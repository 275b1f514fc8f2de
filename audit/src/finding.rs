//! What a reader can find wrong, by name. Both validators use these names.

use std::fmt;

use serde::{Serialize, Serializer};

/// The kinds of finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Code {
    /// Bytes that no entry has: BOM, NUL, CR or another control character, or invalid UTF-8.
    Encoding,
    /// A line over 64 KiB.
    LineTooLong,
    /// The last line has no end. A log that is being written may show one for a moment.
    TornLine,
    /// Not an entry: a key is unknown, missing, repeated or out of order, or a value has the wrong shape.
    Malformed,
    /// `data` has a key twice.
    DuplicateKey,
    /// `data` is not in RFC 8785 form.
    NotCanonical,
    /// `data` has a number that is not a plain integer of magnitude at most 2⁵³.
    Number,
    /// `data` is nested too deeply.
    TooDeep,
    /// The type is not in the table, or an entry of that type has or lacks a call's ids.
    Type,
    /// The entry's bytes do not have the hash that it names.
    EntryHash,
    /// The entry does not follow the one before it.
    PrevHash,
    /// A place is missing, repeated or out of order.
    Seq,
    /// The entry is another log's.
    OtherLog,
    /// The log does not begin with a genesis that commits to its name and key, or has a second one.
    Genesis,
    /// The monotonic clock went backwards within one run.
    Monotonic,
    /// A run's id came back after another run.
    BootReused,
    /// A second intent under one request id while the first is open.
    DuplicateIntent,
    /// An outcome with no open intent: there never was one, or it has its outcome already.
    OutcomeWithoutIntent,
    /// An intent that has no outcome and no excuse: a later run exists, or it is old.
    IntentWithoutOutcome,
    /// A segment's file is missing or misnamed.
    Segment,
    /// The log has no checkpoints.
    NoCheckpoints,
    /// The checkpoints' file is not a list of signed notes.
    CheckpointFormat,
    /// A checkpoint names another log.
    CheckpointOrigin,
    /// A checkpoint is signed by a key that is not the log's.
    CheckpointKey,
    /// A checkpoint's signature does not fit.
    CheckpointSignature,
    /// Checkpoints of one size have different roots.
    CheckpointFork,
    /// A checkpoint is smaller than the one before it.
    CheckpointOrder,
    /// A checkpoint says what the one before it says. The writer never does that.
    CheckpointRepeat,
    /// The entries do not have the root that was signed.
    CheckpointRoot,
    /// A signed checkpoint or a receipt covers entries that are not there.
    Truncated,
    /// Old entries at the end that no checkpoint covers: the newest checkpoints are missing.
    Uncovered,
    /// A receipt names another hash, or another log.
    Receipt,
    /// The log's key is not the one that was asked for.
    Key,
}

impl Code {
    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Encoding => "encoding",
            Self::LineTooLong => "line_too_long",
            Self::TornLine => "torn_line",
            Self::Malformed => "malformed",
            Self::DuplicateKey => "duplicate_key",
            Self::NotCanonical => "not_canonical",
            Self::Number => "number",
            Self::TooDeep => "too_deep",
            Self::Type => "type",
            Self::EntryHash => "entry_hash",
            Self::PrevHash => "prev_hash",
            Self::Seq => "seq",
            Self::OtherLog => "other_log",
            Self::Genesis => "genesis",
            Self::Monotonic => "monotonic",
            Self::BootReused => "boot_reused",
            Self::DuplicateIntent => "duplicate_intent",
            Self::OutcomeWithoutIntent => "outcome_without_intent",
            Self::IntentWithoutOutcome => "intent_without_outcome",
            Self::Segment => "segment",
            Self::NoCheckpoints => "no_checkpoints",
            Self::CheckpointFormat => "checkpoint_format",
            Self::CheckpointOrigin => "checkpoint_origin",
            Self::CheckpointKey => "checkpoint_key",
            Self::CheckpointSignature => "checkpoint_signature",
            Self::CheckpointFork => "checkpoint_fork",
            Self::CheckpointOrder => "checkpoint_order",
            Self::CheckpointRepeat => "checkpoint_repeat",
            Self::CheckpointRoot => "checkpoint_root",
            Self::Truncated => "truncated",
            Self::Uncovered => "uncovered",
            Self::Receipt => "receipt",
            Self::Key => "key",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// What is wrong with one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: Code,
    /// Bytes from the line's start.
    pub(crate) at: usize,
    pub(crate) what: String,
}
