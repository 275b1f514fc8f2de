//! What a decision comes to for whoever asked, apart from the call it was made about.

use std::time::Duration;

use serde::Serialize;

use super::super::decision::{Decision, Requirement};

/// A decision's outcome, comparable. The order is from less to more permitted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// Refused.
    Denied(Reason),
    /// Runs once this is there.
    Approval(Needs),
    /// Runs.
    Permitted,
}

/// What approvals are needed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub(super) struct Needs {
    /// In words.
    pub(super) text: String,
    quorums: Vec<(Option<String>, u32)>,
    mfa: bool,
    people: u32,
    expires: Duration,
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
            Decision::NeedsApproval(_, requirement) => Self::Approval(needs(requirement)),
            Decision::Deny(denial) => {
                Self::Denied(Reason { code: denial.code.name().to_owned(), rule: denial.rule.clone(), because: denial.because.clone() })
            }
        }
    }

    /// Whether fewer or other approvals will do than for `other`.
    pub(super) fn asks_less_than(&self, other: &Self) -> bool {
        let (Self::Approval(new), Self::Approval(old)) = (self, other) else { return false };
        let has = |group: &Option<String>, count: u32| new.quorums.iter().any(|(one, most)| (group.is_none() || one == group) && *most >= count);
        old.quorums.iter().any(|(group, count)| !has(group, *count)) || (old.mfa && !new.mfa) || new.people < old.people || new.expires > old.expires
    }

    /// 0 denied, 1 with approval, 2 permitted.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::Denied(_) => 0,
            Self::Approval(_) => 1,
            Self::Permitted => 2,
        }
    }
}

/// `2 approvals of `security`, with a second factor`.
fn needs(requirement: &Requirement) -> Needs {
    let approvals = requirement.approvals.iter().map(|quorum| {
        let plural = if quorum.count == 1 { "" } else { "s" };
        let whose = quorum.group.as_ref().map_or_else(|| "any approver".to_owned(), |group| format!("`{group}`"));
        format!("{} approval{plural} of {whose}", quorum.count)
    });
    let mut all: Vec<String> = approvals.collect();
    if requirement.mfa {
        all.push("a second factor".to_owned());
    }
    if requirement.people > 1 {
        all.push(format!("{} different people", requirement.people));
    }
    let seconds = requirement.expires.as_secs();
    let text =
        format!("{} within {}", all.join(" and "), if seconds.is_multiple_of(60) { format!("{} min", seconds / 60) } else { format!("{seconds} s") });
    let quorums = requirement.approvals.iter().map(|quorum| (quorum.group.clone(), quorum.count)).collect();
    Needs { text, quorums, mfa: requirement.mfa, people: requirement.people, expires: requirement.expires }
}
