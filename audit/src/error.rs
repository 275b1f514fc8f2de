//! Why an entry could not be recorded. Every one of them means that the action must not happen, or its result must not be told.

use std::sync::Arc;

/// Why an append, or making it durable, failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The log takes nothing more until an operator unseals it.
    #[error("the audit log is sealed: {why}; an operator must run `opsgate unseal`")]
    Sealed {
        /// What made it seal.
        why: Arc<str>,
    },
    /// There is no room now: too many entries wait, too many calls are open, or the disk is full. Nothing was recorded.
    #[error("the audit log has no room: {what}; try again")]
    Full {
        /// What there was no room in.
        what: &'static str,
    },
    /// The entry's line would be longer than 64 KiB. Nothing was recorded.
    #[error("the entry is `{bytes}` bytes long; the audit log takes 65536")]
    TooLarge {
        /// The line's length.
        bytes: usize,
    },
    /// The data says something else under a key that the log itself writes. Nothing was recorded.
    #[error("the entry's data has another value under `{key}` than the log's own; leave that key to the log")]
    Reserved {
        /// The key.
        key: &'static str,
    },
    /// A call's ids are not what they must be. Nothing was recorded.
    #[error("the call's request id `{id}` is not a UUID of version 7")]
    RequestId {
        /// The id.
        id: uuid::Uuid,
    },
    /// The log was closed.
    #[error("the audit log is closed: the gateway is stopping")]
    Closed,
}
