//! What a decision comes to for whoever asked, apart from the call it was made about.

use serde::Serialize;

use super::super::decision::{Decision, DecisionKind};
use super::super::required::Required;

/// A decision's outcome, comparable. The order is from less to more permitted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// Refused.
    Denied(Reason),
    /// Runs once this is there.
    Approval(Required),
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
            Decision::NeedsApproval(_, requirement) => Self::Approval(Required::from(requirement)),
            Decision::Deny(denial) => {
                Self::Denied(Reason { code: denial.code.name().to_owned(), rule: denial.rule.clone(), because: denial.because.clone() })
            }
        }
    }

    /// Whether fewer or other approvals will do than for `other`.
    pub(super) fn asks_less_than(&self, other: &Self) -> bool {
        let (Self::Approval(new), Self::Approval(old)) = (self, other) else { return false };
        !new.asks_for_all_of(old)
    }

    pub(super) fn kind(&self) -> DecisionKind {
        match self {
            Self::Denied(_) => DecisionKind::Deny,
            Self::Approval(_) => DecisionKind::NeedsApproval,
            Self::Permitted => DecisionKind::Permit,
        }
    }
}
