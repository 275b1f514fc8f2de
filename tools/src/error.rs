//! How a tool fails: a sentence that is safe for the client apart from the detail that only the log gets.

use std::fmt;
use std::time::Duration;

use crate::scope::Scopes;

/// What went wrong, as a closed set. The gateway maps each to a refusal code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolErrorKind {
    /// The arguments do not parse or contradict each other.
    InvalidArguments,
    /// The arguments name something outside of what the tool may touch (a path out of the root, `.git`).
    OutOfBounds,
    /// What the arguments name does not exist.
    NotFound,
    /// The tool cannot work here (no workspace, no Docker socket).
    Unavailable,
    /// What was resolved is no longer what it was.
    Moved,
    /// What would be written holds a secret, or the mark of one that was taken out.
    HoldsSecret,
    /// The answer would be larger than any bound allows.
    TooLarge,
    /// The caller cancelled.
    Cancelled,
    /// The system behind the tool failed.
    Upstream,
    /// A defect of opsgate.
    Internal,
}

/// A failed tool call.
///
/// `client` is lower case, names the user's value in backticks and says what to do; it carries no absolute path and
/// no upstream text. `detail` may carry both and goes to the log alone. Both are scrubbed on their way.
#[derive(Debug, Clone)]
pub struct ToolError {
    /// Which of the closed set.
    pub kind: ToolErrorKind,
    /// For the client.
    pub client: String,
    /// For the log.
    pub detail: Option<String>,
    /// What the call would have touched, as far as it is known: policy judges it before the caller hears the error, so
    /// that whether a denied thing exists is not told.
    pub scopes: Option<Box<Scopes>>,
    /// When the system behind the tool takes calls again, where it said so.
    pub retry_after: Option<Duration>,
    /// Whether the effect may be there all the same: a write that failed after it, or that nobody heard the end of.
    pub maybe_done: bool,
}

impl ToolError {
    /// An error of this kind with this sentence for the client.
    #[must_use]
    pub fn new(kind: ToolErrorKind, client: impl Into<String>) -> Self {
        Self { kind, client: client.into(), detail: None, scopes: None, retry_after: None, maybe_done: false }
    }

    /// The arguments are wrong.
    #[must_use]
    pub fn invalid(client: impl Into<String>) -> Self {
        Self::new(ToolErrorKind::InvalidArguments, client)
    }

    /// What was named is not there.
    #[must_use]
    pub fn not_found(client: impl Into<String>) -> Self {
        Self::new(ToolErrorKind::NotFound, client)
    }

    /// What was named lies outside.
    #[must_use]
    pub fn out_of_bounds(client: impl Into<String>) -> Self {
        Self::new(ToolErrorKind::OutOfBounds, client)
    }

    /// A defect: the client hears only that it is one.
    #[must_use]
    pub fn internal(detail: impl fmt::Display) -> Self {
        Self::new(ToolErrorKind::Internal, "the tool failed inside opsgate; the log has the detail").because(detail)
    }

    /// Adds what the call would have touched.
    #[must_use]
    pub fn touching(mut self, scopes: Scopes) -> Self {
        self.scopes = Some(Box::new(scopes));
        self
    }

    /// Adds when the system behind the tool takes calls again.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Says that the effect may be there all the same: the record is then `indeterminate`, and the sentence should say to look.
    #[must_use]
    pub fn maybe_done(mut self) -> Self {
        self.maybe_done = true;
        self
    }

    /// Adds what the log should know.
    #[must_use]
    pub fn because(mut self, detail: impl fmt::Display) -> Self {
        self.detail = Some(detail.to_string());
        self
    }
}

impl fmt::Display for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.client)
    }
}

impl std::error::Error for ToolError {}
