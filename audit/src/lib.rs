//! opsgate's audit log: a hash chain of JSON lines with signed checkpoints, its one writer, and its validator.
//!
//! What it promises: every entry that was acknowledged is there, unchanged, in order, and a stranger can check it with no trust in
//! opsgate. [`Log`] writes; [`verify`] reads; neither has any network code.
//!
//! An external effect needs a [`Receipt`], which only [`Log::intent`] makes; a reply needs a [`Recorded`], which only
//! [`Appended::durable`] makes.

mod batch;
mod call;
mod canonical;
mod chain;
mod clock;
mod digest;
mod entry;
mod error;
mod files;
mod finding;
mod key;
mod lines;
mod log;
mod merkle;
mod note;
mod receipt;
mod recover;
mod scan;
mod stats;
pub mod verify;

pub use call::CallRef;
pub use canonical::{CanonicalJson, NotCanonical};
pub use digest::Digest;
pub use entry::{EventKind, Outcome};
pub use error::AppendError;
pub use files::{Files, Handle, RealFiles};
pub use finding::Code;
pub use key::{KeyError, SigningKey};
pub use log::{Head, Log, OpenError, Opened, Options, Pending, Unsealed, unseal};
pub use receipt::{Appended, Durable, Receipt, Recorded, Written};
pub use recover::Quarantined;
pub use stats::{LATENCY_BOUNDS_MICROS, Stats};
