//! What policy is asked and what it answers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opsgate_tools::change::Change;
use opsgate_tools::mode::Mode;
use opsgate_tools::scope::{OutputFilter, Scopes};
use opsgate_tools::tool::Class;
use serde::{Deserialize, Serialize};

use super::filter::{CallPaths, FilterGlobs, Seen};
use super::risk::Risk;
use super::sentences::Told;

/// How a call came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// A client asked.
    Client,
    /// A webhook came in.
    Webhook,
    /// The time had come.
    Schedule,
    /// A runbook's step.
    Runbook,
}

impl Trigger {
    /// Every trigger with the name `policy.yaml` uses.
    pub const ALL: [(Self, &'static str); 4] =
        [(Self::Client, "client"), (Self::Webhook, "webhook"), (Self::Schedule, "schedule"), (Self::Runbook, "runbook")];

    /// The name in `policy.yaml`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Webhook => "webhook",
            Self::Schedule => "schedule",
            Self::Runbook => "runbook",
        }
    }
}

/// Everything a decision depends on besides the policy itself.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Who calls, with the issuer of the name: `local:uid=1000`, `key:ci-main`.
    pub caller: &'a str,
    /// The tool's name.
    pub tool: &'a str,
    /// The system the tool belongs to.
    pub system: &'a str,
    /// Whether the tool reads or writes.
    pub class: Class,
    /// What the call touches, resolved.
    pub scopes: &'a Scopes,
    /// How the call came to be.
    pub trigger: Trigger,
    /// Whether the environment says `WRITE_MODE=off`, which always wins.
    pub write_mode_env_off: bool,
    /// Whether the gateway runs as the caller's own user, who could then change policy and log.
    pub same_user: bool,
    /// The parts of a write's `change` that the caller filled in ([`ChangePart::given`]).
    pub change: &'a [ChangePart],
    /// The time of the call.
    pub now: jiff::Timestamp,
}

/// Policy's answer.
#[derive(Debug)]
#[must_use]
pub enum Decision {
    /// The call may run.
    Permit(Permit),
    /// The call may run once these approvals are there.
    NeedsApproval(Permit, Requirement),
    /// The call may not run.
    Deny(Denial),
}

impl Decision {
    /// `permit`, `needs_approval` or `deny`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.kind().name()
    }

    pub(super) fn kind(&self) -> DecisionKind {
        match self {
            Self::Permit(_) => DecisionKind::Permit,
            Self::NeedsApproval(..) => DecisionKind::NeedsApproval,
            Self::Deny(_) => DecisionKind::Deny,
        }
    }
}

/// Which of the three a decision is. The order is from less to more permitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum DecisionKind {
    Deny,
    NeedsApproval,
    Permit,
}

impl DecisionKind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::NeedsApproval => "needs_approval",
            Self::Permit => "permit",
        }
    }
}

/// Proof that policy permitted one call. Only `Policy::decide` makes it, and it cannot be copied.
#[must_use]
pub struct Permit {
    pub(super) granted: Granted,
    pub(super) shadow: Vec<String>,
    pub(super) mode: Mode,
    pub(super) risk: Risk,
    pub(super) seen: Arc<Seen>,
}

/// The ids of the rules that permitted.
pub(super) enum Granted {
    /// `defaults.read` or `defaults.automation`: the policy holds the list, so that the common case allocates nothing.
    ByDefault,
    ByRules(Vec<String>),
}

impl Permit {
    /// The ids of the rules that permitted the call, `defaults.read` where the defaults did.
    #[must_use]
    pub fn rules(&self) -> &[String] {
        match &self.granted {
            Granted::ByDefault => &self.seen.core.by_default,
            Granted::ByRules(ids) => ids,
        }
    }

    /// The ids of the deny rules in `mode: shadow` that would have refused the call.
    #[must_use]
    pub fn shadow(&self) -> &[String] {
        &self.shadow
    }

    /// The hash of the policy that permitted.
    #[must_use]
    pub fn policy_hash(&self) -> &str {
        &self.seen.core.hash
    }

    /// The mode of the tool's system.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// How risky the call is.
    #[must_use]
    pub fn risk(&self) -> Risk {
        self.risk
    }

    /// What of the call's output this caller may see: the same rules, asked of each path, and the output budget.
    #[must_use]
    pub fn output_filter(&self) -> OutputFilter {
        OutputFilter::new(Arc::new(CallPaths::new(&self.seen)), self.seen.core.limits.output_bytes)
    }

    /// The path globs that its output filter goes by.
    pub(super) fn filter_globs(&self) -> FilterGlobs {
        CallPaths::new(&self.seen).globs()
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("rules", &self.rules()).field("mode", &self.mode).finish_non_exhaustive()
    }
}

/// So many approvals from one group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Quorum {
    /// How many different people.
    pub count: u32,
    /// The group; none means any enrolled approver.
    pub group: Option<String>,
}

/// A part of a write's `change` that an environment can require.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangePart {
    /// Why.
    Reasoning,
    /// How to undo it.
    RollbackPlan,
    /// For which incident.
    IncidentId,
}

impl ChangePart {
    /// Every part with the name `policy.yaml` uses.
    pub const ALL: [(Self, &'static str); 3] =
        [(Self::Reasoning, "reasoning"), (Self::RollbackPlan, "rollback_plan"), (Self::IncidentId, "incident_id")];

    /// The parts that a caller filled in. A part that is too short to say anything is not.
    #[must_use]
    pub fn given(change: &Change) -> Vec<Self> {
        let said = |part: &Option<String>, least: usize| part.as_ref().is_some_and(|text| says(text, least));
        let parts = [
            (Self::Reasoning, said(&change.reasoning, LEAST_SAID)),
            (Self::RollbackPlan, said(&change.rollback_plan, LEAST_SAID)),
            (Self::IncidentId, said(&change.incident_id, 1)),
        ];
        parts.into_iter().filter(|(_, said)| *said).map(|(part, _)| part).collect()
    }
}

/// Fewer letters and digits than these are no reason and no plan.
const LEAST_SAID: usize = 8;
/// Words that fill a field and say nothing.
const NOTHING: [&str; 6] = ["none", "null", "nil", "na", "tbd", "unknown"];

/// Whether a text has so many letters and digits that are seen, and not one of them over and over.
fn says(text: &str, least: usize) -> bool {
    // The fillers of Hangul count as letters and are drawn as nothing.
    let seen = |c: &char| c.is_alphanumeric() && !matches!(c, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}');
    let said: String = text.chars().filter(seen).flat_map(char::to_lowercase).collect();
    let different: std::collections::BTreeSet<char> = said.chars().collect();
    said.chars().count() >= least && different.len() >= least.min(4) && !NOTHING.contains(&said.as_str())
}

/// What must be there before a permitted call runs. The approval stage holds every part of it or refuses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Requirement {
    /// All of these quorums; at least one.
    pub approvals: Vec<Quorum>,
    /// At least this many different people in all, who may stand in several groups.
    pub people: u32,
    /// How risky the call is: it may have raised the approvals.
    pub risk: Risk,
    /// How long a grant is good.
    pub expires: Duration,
    /// Whether each approver needs a second factor.
    pub mfa: bool,
    /// The environments of the policy that the target belongs to.
    pub environments: Vec<String>,
}

/// Why a call may not run, as a closed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DenialCode {
    /// No entry of `callers` matches.
    UnknownCaller,
    /// No such tool, or the call's facts contradict the catalogue.
    UnknownTool,
    /// opsgate never does this, whatever a policy says.
    Forbidden,
    /// The policy does not list the system.
    SystemNotListed,
    /// The system's mode is `blocked`.
    SystemBlocked,
    /// A value cannot be brought into the form that rules match.
    Unnormalisable,
    /// A deny rule matches.
    RuleDenied,
    /// The repository's own settings deny it.
    RepositoryDenied,
    /// The namespace's tier denies it.
    NamespaceDenied,
    /// A list of the system's settings (log groups, metrics) does not have it.
    NotListed,
    /// Automation is off.
    AutomationOff,
    /// Write mode is off.
    WriteOff,
    /// The system's mode does not write.
    SystemReadOnly,
    /// A write to a real system by the gateway's own user.
    SameUser,
    /// The target of a write is not whitelisted.
    NotWhitelisted,
    /// The environment's hours are over.
    OutsideHours,
    /// The environment requires parts of `change` that are not filled in.
    ChangeIncomplete,
    /// No rule allows it.
    DefaultDeny,
}

impl DenialCode {
    /// Every code, in the order of declaration.
    pub const ALL: [Self; 18] = [
        Self::UnknownCaller,
        Self::UnknownTool,
        Self::Forbidden,
        Self::SystemNotListed,
        Self::SystemBlocked,
        Self::Unnormalisable,
        Self::RuleDenied,
        Self::RepositoryDenied,
        Self::NamespaceDenied,
        Self::NotListed,
        Self::AutomationOff,
        Self::WriteOff,
        Self::SystemReadOnly,
        Self::SameUser,
        Self::NotWhitelisted,
        Self::OutsideHours,
        Self::ChangeIncomplete,
        Self::DefaultDeny,
    ];

    /// The name in records and in policy tests.
    #[must_use]
    pub const fn name(self) -> &'static str {
        // One more here is one more in `ALL`.
        match self {
            Self::UnknownCaller => "unknown_caller",
            Self::UnknownTool => "unknown_tool",
            Self::Forbidden => "forbidden",
            Self::SystemNotListed => "system_not_listed",
            Self::SystemBlocked => "system_blocked",
            Self::Unnormalisable => "unnormalisable",
            Self::RuleDenied => "rule_denied",
            Self::RepositoryDenied => "repository_denied",
            Self::NamespaceDenied => "namespace_denied",
            Self::NotListed => "not_listed",
            Self::AutomationOff => "automation_off",
            Self::WriteOff => "write_off",
            Self::SystemReadOnly => "system_read_only",
            Self::SameUser => "same_user",
            Self::NotWhitelisted => "not_whitelisted",
            Self::OutsideHours => "outside_hours",
            Self::ChangeIncomplete => "change_incomplete",
            Self::DefaultDeny => "default_deny",
        }
    }
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Denial {
    /// Which of the closed set.
    pub code: DenialCode,
    /// The rule or the setting that denied, as the policy names it.
    pub rule: Option<String>,
    /// Why, safe for the client, in the policy's language.
    pub because: String,
    /// What would help, safe for the client, in the policy's language.
    pub hint: String,
    /// The ids of rules in `mode: shadow` that the call meets: deny rules that would have refused it too, and, where no rule
    /// allows it, the allow rules that would have.
    pub shadow: Vec<String>,
    #[serde(skip)]
    pub(super) told: Box<Told>,
}

impl Denial {
    /// Names the rule or the setting.
    pub(super) fn by(self, rule: &str) -> Self {
        Self { rule: Some(rule.to_owned()), ..self }
    }
}
