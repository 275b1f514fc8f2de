//! What people must say before a write runs: in words, and as records keep it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::decision::{Quorum, Requirement};

/// What was required of a call, as its record keeps it and a replay compares it. The fields stand in the order of the log's keys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Required {
    /// All of these quorums, by the names of their groups.
    pub approvals: Vec<Quorum>,
    /// How long a grant is good, in milliseconds.
    pub expires_ms: u64,
    /// Whether each approver needs a second factor.
    pub mfa: bool,
    /// At least this many different people in all.
    pub people: u32,
}

impl From<&Requirement> for Required {
    fn from(requirement: &Requirement) -> Self {
        let mut approvals = requirement.approvals.clone();
        approvals.sort_by(|a, b| a.group.cmp(&b.group));
        let expires_ms = u64::try_from(requirement.expires.as_millis()).unwrap_or(u64::MAX);
        Self { approvals, expires_ms, mfa: requirement.mfa, people: requirement.people }
    }
}

impl Required {
    /// Whether whatever meets this meets the other too.
    // INVARIANT: what asks for less in any way does not (test: what_asks_for_less_is_wider).
    pub(super) fn asks_for_all_of(&self, other: &Self) -> bool {
        let is_met = |quorum: &Quorum| match &quorum.group {
            Some(_) => self.approvals.iter().any(|one| one.group == quorum.group && one.count >= quorum.count),
            // Whoever approves for a group is an approver.
            None => self.people >= quorum.count,
        };
        other.approvals.iter().all(is_met) && self.people >= other.people && self.mfa >= other.mfa && self.expires_ms <= other.expires_ms
    }
}

/// `1 approval of `oncall` and 2 approvals of `security`, by at least 2 different people, each with a second factor, within 30 min`
impl fmt::Display for Required {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&in_words(&self.approvals))?;
        // Of one group it is the count.
        if self.approvals.len() > 1 && self.people > 1 {
            write!(f, ", by at least {} different people", self.people)?;
        }
        if self.mfa {
            f.write_str(", each with a second factor")?;
        }
        let comma = if self.mfa || self.approvals.len() > 1 && self.people > 1 { "," } else { "" };
        match self.expires_ms {
            minutes if minutes.is_multiple_of(60_000) => write!(f, "{comma} within {} min", minutes / 60_000),
            seconds if seconds.is_multiple_of(1000) => write!(f, "{comma} within {} s", seconds / 1000),
            milliseconds => write!(f, "{comma} within {milliseconds} ms"),
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Required::from(self).fmt(f)
    }
}

/// `1 approval of `oncall` and 2 approvals of any approver`
pub(super) fn in_words(quorums: &[Quorum]) -> String {
    let one = |quorum: &Quorum| {
        let plural = if quorum.count == 1 { "" } else { "s" };
        let whose = quorum.group.as_ref().map_or_else(|| "any approver".to_owned(), |group| format!("`{group}`"));
        format!("{} approval{plural} of {whose}", quorum.count)
    };
    quorums.iter().map(one).collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn required(approvals: &[(&str, u32)]) -> Required {
        let quorum = |(group, count): &(&str, u32)| Quorum { group: (!group.is_empty()).then(|| (*group).to_owned()), count: *count };
        let people = approvals.iter().map(|(_, count)| *count).max().unwrap_or(0);
        Required { approvals: approvals.iter().map(quorum).collect(), expires_ms: 1_800_000, mfa: false, people }
    }

    #[test]
    fn what_asks_for_less_is_wider() {
        for (before, after, asks_for_all) in [
            (&[("sec", 1)][..], &[("sec", 1)][..], true),
            (&[("sec", 1)], &[("sec", 2)], true),
            (&[("sec", 1)], &[("one", 1), ("sec", 1)], true),
            (&[("", 1)], &[("sec", 1)], true),
            (&[("sec", 3)], &[("one", 1)], false),
            (&[("sec", 2)], &[("sec", 1)], false),
            (&[("sec", 1)], &[("", 3)], false),
            (&[("sec", 1)], &[("one", 1)], false),
            (&[("", 2)], &[("sec", 1)], false),
            (&[("one", 1), ("sec", 1)], &[("sec", 2)], false),
        ] {
            assert_eq!(required(after).asks_for_all_of(&required(before)), asks_for_all, "{before:?} {after:?}");
        }
        let before = Required { mfa: true, people: 2, ..required(&[("sec", 1)]) };
        for after in [
            Required { mfa: false, ..before.clone() },
            Required { people: 1, ..before.clone() },
            Required { expires_ms: 1_800_001, ..before.clone() },
        ] {
            assert!(before.asks_for_all_of(&after) && !after.asks_for_all_of(&before), "{after:?}");
        }
    }

    #[test]
    fn all_that_is_required_is_said() {
        for (required, words) in [
            (required(&[("sec", 1)]), "1 approval of `sec` within 30 min"),
            (
                Required { mfa: true, expires_ms: 90_000, ..required(&[("", 2)]) },
                "2 approvals of any approver, each with a second factor, within 90 s",
            ),
            (
                Required { mfa: true, people: 2, expires_ms: 500, ..required(&[("one", 1), ("sec", 1)]) },
                "1 approval of `one` and 1 approval of `sec`, by at least 2 different people, each with a second factor, within 500 ms",
            ),
        ] {
            assert_eq!(required.to_string(), words);
        }
    }
}
