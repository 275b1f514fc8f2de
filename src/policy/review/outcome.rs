//! What a decision comes to for whoever asked, apart from the call it was made about.

use serde::Serialize;

use super::super::decision::{Decision, DecisionKind};

/// A decision's outcome, comparable. The order is from less to more permitted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// Refused.
    Denied(Reason),
    /// Runs once this is there.
    Approval(String),
    /// Runs.
    Permitted,
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Reason {
    /// The denial's code.
    pub code: String,
    /// The rule or setting that denied.
    pub rule: Option<String>,
    /// In words.
    pub because: String,
}

impl Outcome {
    pub(super) fn of(decision: &Decision) -> Self {
        match decision {
            Decision::Permit(_) => Self::Permitted,
            Decision::NeedsApproval(_, requirement) => Self::Approval(requirement.to_string()),
            Decision::Deny(denial) => {
                Self::Denied(Reason { code: denial.code.name().to_owned(), rule: denial.rule.clone(), because: denial.because.clone() })
            }
        }
    }

    pub(super) fn kind(&self) -> DecisionKind {
        match self {
            Self::Denied(_) => DecisionKind::Deny,
            Self::Approval(_) => DecisionKind::NeedsApproval,
            Self::Permitted => DecisionKind::Permit,
        }
    }
}
