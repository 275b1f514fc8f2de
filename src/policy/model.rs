//! What a policy file says, typed. Reading it is the work of `read`; what it means, of `compile` and `decide`.

use std::collections::BTreeMap;
use std::time::Duration;

use opsgate_tools::mode::Mode;
use opsgate_tools::scope::ScopeKind;
use opsgate_tools::workspace::{Author, Command};
use serde::Serialize;

use super::decision::{ChangePart, Quorum, Trigger};
use super::diagnostics::{At, Pos};
use super::glob::Pattern;
use super::hours::Hours;
use super::limits::Limits;
use super::risk::Circumstance;

/// A whole policy file.
#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) write_mode: bool,
    pub(super) automation: bool,
    pub(super) defaults: Defaults,
    pub(super) people: BTreeMap<String, Person>,
    pub(super) groups: BTreeMap<String, Vec<String>>,
    pub(super) callers: Vec<CallerEntry>,
    pub(super) systems: BTreeMap<String, System>,
    pub(super) repositories: Vec<Repository>,
    pub(super) namespaces: Vec<Namespace>,
    pub(super) environments: Vec<Environment>,
    pub(super) rules: Vec<Rule>,
    pub(super) approvals: Approvals,
    pub(super) limits: Limits,
    pub(super) settings: Settings,
    pub(super) risk_hours: Option<Hours>,
}

/// What holds where no rule does. All false where the file says nothing.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Defaults {
    pub(super) read: bool,
    pub(super) automation: bool,
}

/// One person with all identities.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Person {
    /// Names of API keys.
    pub keys: Vec<String>,
    /// `issuer|subject` of identity tokens.
    pub oidc: Vec<String>,
    /// The member id in the chat.
    pub slack: Option<String>,
    /// The login at the forge.
    pub github: Option<String>,
}

/// One line of `callers`.
#[derive(Debug)]
pub(super) struct CallerEntry {
    pub(super) pattern: At<Pattern>,
    pub(super) owner: Option<At<String>>,
    pub(super) roles: Vec<At<String>>,
    /// Whether it says anything about roles, if only that it has none.
    pub(super) says_roles: bool,
}

/// One line of `systems`.
#[derive(Debug)]
pub(super) struct System {
    pub(super) mode: Mode,
    pub(super) roots: Option<Vec<Pattern>>,
    pub(super) commands: BTreeMap<String, Command>,
    pub(super) author: Option<Author>,
    /// Lists that a call's values of this kind must be on.
    pub(super) lists: Vec<(ScopeKind, Vec<Pattern>)>,
}

/// One line of `repositories`.
#[derive(Debug)]
pub(super) struct Repository {
    pub(super) pattern: At<Pattern>,
    pub(super) write: Option<bool>,
    pub(super) tools: AllowDeny,
    pub(super) paths: AllowDeny,
    pub(super) refs: AllowDeny,
}

#[derive(Debug, Default)]
pub(super) struct AllowDeny {
    pub(super) allow: Option<Vec<Pattern>>,
    pub(super) deny: Vec<Pattern>,
}

/// One line of `namespaces`.
#[derive(Debug)]
pub(super) struct Namespace {
    pub(super) pattern: Pattern,
    pub(super) tier: Tier,
}

/// What may happen in a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tier {
    Forbidden,
    ReadOnly,
    Approval,
}

impl Tier {
    pub(super) const ALL: [(Self, &'static str); 3] = [(Self::Forbidden, "forbidden"), (Self::ReadOnly, "read_only"), (Self::Approval, "approval")];
}

/// One line of `environments`.
#[derive(Debug)]
pub(super) struct Environment {
    pub(super) name: String,
    pub(super) aliases: Vec<String>,
    pub(super) targets: Vec<(ScopeKind, Vec<Pattern>)>,
    pub(super) approvals: Vec<Quorum>,
    pub(super) mfa: bool,
    pub(super) require: Vec<ChangePart>,
    pub(super) expires: Option<Duration>,
    pub(super) hours: Option<Hours>,
}

/// One rule.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) id: String,
    pub(super) at: Pos,
    pub(super) effect: Effect,
    pub(super) shadow: bool,
    pub(super) because: Option<String>,
    /// How many or which approvals a write under this rule needs; none said means those of `approvals.default`.
    pub(super) approvals: Option<RuleApprovals>,
    pub(super) when: Conditions,
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Permits what no rule denies.
    Allow,
    /// Refuses, whatever else is allowed.
    Deny,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RuleApprovals {
    /// This many in place of the default's count; 0 is none at all.
    Count(u32),
    Quorums(Vec<Quorum>),
}

impl RuleApprovals {
    /// What a rule asks for that says this of its approvals, or nothing, where these are the policy's.
    pub(super) fn quorums(said: Option<&Self>, policy: &Approvals) -> Vec<Quorum> {
        match said {
            None => policy.quorums.clone(),
            Some(Self::Count(0)) => Vec::new(),
            Some(Self::Count(count)) => vec![Quorum { count: *count, group: policy.quorums.first().and_then(|one| one.group.clone()) }],
            Some(Self::Quorums(quorums)) => quorums.clone(),
        }
    }
}

/// What a rule is about. Every condition that is there must hold.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    pub(super) roles: Option<Vec<At<String>>>,
    pub(super) callers: Option<Vec<At<Pattern>>>,
    pub(super) tools: Option<Vec<At<Pattern>>>,
    pub(super) systems: Option<Vec<At<String>>>,
    pub(super) triggers: Option<Vec<Trigger>>,
    pub(super) environments: Option<Vec<At<String>>>,
    pub(super) scopes: Vec<(ScopeKind, Vec<At<Pattern>>)>,
}

/// `approvals`.
#[derive(Debug)]
pub(super) struct Approvals {
    pub(super) quorums: Vec<Quorum>,
    pub(super) expires: Duration,
    pub(super) override_group: Option<String>,
    pub(super) fallback: Option<String>,
}

impl Default for Approvals {
    fn default() -> Self {
        Self { quorums: vec![Quorum { group: None, count: 1 }], expires: Duration::from_secs(30 * 60), override_group: None, fallback: None }
    }
}

/// What other rooms of the gateway read from the policy.
#[derive(Debug, Clone, PartialEq, Serialize, Default)]
pub struct Settings {
    /// Whether writes to real systems may run where gateway and caller are one user.
    pub same_user_writes: bool,
    /// What is done with personal data.
    pub scrub: ScrubSettings,
    /// How much is recorded and when it is durable.
    pub audit: AuditSettings,
    /// The language of messages to people.
    pub language: Language,
    /// What kind of place this is.
    pub deployment: Deployment,
    /// Risk and its modifiers, where the policy sets them.
    pub risk: Option<RiskSettings>,
    /// Budgets, where the policy sets them.
    pub budgets: Option<Budget>,
}

/// `scrub`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
pub struct ScrubSettings {
    /// Personal data.
    pub pii: Pii,
    /// A secret in a reply.
    pub on_exposure: OnExposure,
}

/// What is done with personal data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Pii {
    /// Not looked for.
    Off,
    /// Counted.
    #[default]
    Detect,
    /// Taken out.
    Redact,
}

impl Pii {
    pub(super) const ALL: [(Self, &'static str); 3] = [(Self::Off, "off"), (Self::Detect, "detect"), (Self::Redact, "redact")];
}

/// What is done with a reply that has a secret in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum OnExposure {
    /// The secret is taken out.
    #[default]
    Redact,
    /// The reply is withheld.
    Withhold,
}

impl OnExposure {
    pub(super) const ALL: [(Self, &'static str); 2] = [(Self::Redact, "redact"), (Self::Withhold, "withhold")];
}

/// `audit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
pub struct AuditSettings {
    /// How much of a call is recorded.
    pub level: AuditLevel,
    /// When a read's intent is durable.
    pub reads: AuditReads,
}

/// How much of a call is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum AuditLevel {
    /// Nothing in words: only what the chain, a proof and a replay need. Caller, tool, scopes, decision, policy and digests stay,
    /// since a decision must be provable.
    None,
    /// That there was one.
    Metadata,
    /// And what was asked.
    #[default]
    Request,
    /// And what was answered.
    RequestResponse,
}

impl AuditLevel {
    pub(super) const ALL: [(Self, &'static str); 4] =
        [(Self::None, "none"), (Self::Metadata, "metadata"), (Self::Request, "request"), (Self::RequestResponse, "request_response")];
}

/// When a read's intent is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum AuditReads {
    /// Together with its outcome, before the reply.
    #[default]
    Fast,
    /// Before the read.
    Strict,
}

impl AuditReads {
    pub(super) const ALL: [(Self, &'static str); 2] = [(Self::Fast, "fast"), (Self::Strict, "strict")];
}

/// The language of messages to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// English.
    #[default]
    En,
    /// French.
    Fr,
    /// Russian.
    Ru,
}

impl Language {
    pub(super) const ALL: [(Self, &'static str); 3] = [(Self::En, "en"), (Self::Fr, "fr"), (Self::Ru, "ru")];
}

/// What kind of place this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Deployment {
    /// A person's machine.
    #[default]
    Development,
    /// What is unsafe there is refused: same-user writes, insecure binds, anonymous callers, mock secrets.
    Production,
}

impl Deployment {
    pub(super) const ALL: [(Self, &'static str); 2] = [(Self::Development, "development"), (Self::Production, "production")];
}

/// `risk`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RiskSettings {
    /// From this risk on, two people approve.
    pub two_approvals_from: Option<f64>,
    /// What each circumstance adds.
    pub modifiers: BTreeMap<Circumstance, f64>,
    /// Outside of these hours it is `off_hours`, as written; without them, outside of the hours of the target's environments.
    pub hours: Option<String>,
}

/// `budgets.per_caller_day`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Budget {
    /// Calls of one caller in one day.
    pub calls: Option<u64>,
    /// Bytes returned to one caller in one day.
    pub bytes: Option<u64>,
}
