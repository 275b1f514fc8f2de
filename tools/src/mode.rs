//! What a system may do at all: the first of the two keys to a real call.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A system's mode in `policy.yaml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Recorded answers from inside the process; no network, no credential.
    Mock,
    /// Real reads; a write answers with its preview and never runs.
    DryRun,
    /// Real reads; writes are refused.
    ReadOnly,
    /// Real reads; writes run with their approvals.
    ApprovalRequiredWrite,
    /// Nothing runs.
    Blocked,
}

impl Mode {
    /// Every mode with the name `policy.yaml` uses.
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::Mock, "mock"),
        (Self::DryRun, "dry_run"),
        (Self::ReadOnly, "read_only"),
        (Self::ApprovalRequiredWrite, "approval_required_write"),
        (Self::Blocked, "blocked"),
    ];

    /// The name in `policy.yaml`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mock => "mock",
            Self::DryRun => "dry_run",
            Self::ReadOnly => "read_only",
            Self::ApprovalRequiredWrite => "approval_required_write",
            Self::Blocked => "blocked",
        }
    }

    /// Whether a write could run in this mode (mock writes change only the session's recorded world).
    #[must_use]
    pub fn writes(self) -> bool {
        matches!(self, Self::Mock | Self::ApprovalRequiredWrite)
    }

    /// Whether a write gets an answer other than a refusal: it runs, or shows what it would do.
    #[must_use]
    pub fn answers_writes(self) -> bool {
        self.writes() || self == Self::DryRun
    }

    /// Whether calls go to the real system.
    #[must_use]
    pub fn is_real(self) -> bool {
        matches!(self, Self::DryRun | Self::ReadOnly | Self::ApprovalRequiredWrite)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
