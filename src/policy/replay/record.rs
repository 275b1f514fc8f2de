//! A record of the log → the facts that policy was asked with, or why they are not all there.

use opsgate_audit::verify::Record;
use opsgate_tools::mode::Mode;
use opsgate_tools::scope::{ScopeKind, Scopes};
use opsgate_tools::tool::Class;
use serde::Deserialize;

use super::super::Catalogue;
use super::super::asked::Asked;
use super::super::decision::{ChangePart, Decision, DecisionKind, DenialCode, Trigger};
use super::super::required::Required;

/// What a record is to a replay.
pub(super) enum Read {
    /// A call that policy decided, with all facts.
    Judged(Box<Judged>),
    /// A refusal that was made before policy was asked.
    NotJudged { code: String, caller: String, tool: String, policy: String },
    /// Policy decided it, and the record does not tell with what facts.
    Undecidable(&'static str),
}

/// A recorded decision with its facts.
pub(super) struct Judged {
    pub(super) asked: Asked,
    /// The hash of the policy that decided.
    pub(super) policy: String,
    pub(super) was: Outcome,
    pub(super) shadow: Vec<String>,
}

/// What a permitted call comes to in its system's mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Runs {
    Invented,
    Previewed,
    Real,
}

impl Runs {
    fn of(class: Class, mode: Mode) -> Self {
        match mode {
            Mode::Mock => Self::Invented,
            Mode::DryRun if class == Class::Write => Self::Previewed,
            _ => Self::Real,
        }
    }
}

/// A decision and its grounds, as far as records keep them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) decision: DecisionKind,
    pub(super) code: Option<DenialCode>,
    /// The rules that permitted, or the rule or setting that denied; `None` where the record does not say.
    pub(super) by: Option<Vec<String>>,
    /// Nothing for a denial, nor in the record of a call that was refused since nobody could approve it.
    pub(super) runs: Option<Runs>,
    /// What `needs_approval` needs; `None` where the record does not say.
    pub(super) required: Option<Required>,
}

impl Outcome {
    pub(super) fn of(decision: &Decision, class: Class) -> Self {
        let kind = decision.kind();
        match decision {
            Decision::Permit(permit) | Decision::NeedsApproval(permit, _) => Self {
                decision: kind,
                code: None,
                by: Some(permit.rules().to_vec()),
                runs: Some(Runs::of(class, permit.mode())),
                required: if let Decision::NeedsApproval(_, requirement) = decision { Some(requirement.into()) } else { None },
            },
            Decision::Deny(denial) => {
                Self { decision: kind, code: Some(denial.code), by: Some(denial.rule.iter().cloned().collect()), runs: None, required: None }
            }
        }
    }

    /// Whether as much is permitted, asked for and run; `None` where the record does not say what was asked for.
    // INVARIANT: a call is alike only where it needs the same people and touches the same world (test:
    // what_is_asked_for_and_what_runs_must_be_the_same).
    pub(super) fn is_alike(&self, would: &Self) -> Option<bool> {
        let runs = self.runs.is_none() || would.runs.is_none() || self.runs == would.runs;
        if self.decision != would.decision || !runs {
            return Some(false);
        }
        match self.decision {
            DecisionKind::NeedsApproval => self.required.as_ref().map(|required| Some(required) == would.required.as_ref()),
            DecisionKind::Deny | DecisionKind::Permit => Some(true),
        }
    }

    /// Whether more is permitted than was: what was not, what would run in earnest, or what would need fewer people.
    pub(super) fn is_wider_than(&self, was: &Self) -> bool {
        let in_earnest = self.runs == Some(Runs::Real) && was.runs.is_some_and(|runs| runs != Runs::Real);
        let for_less = self.required.as_ref().zip(was.required.as_ref()).is_some_and(|(required, was)| !required.asks_for_all_of(was));
        self.decision > was.decision || in_earnest || for_less
    }

    /// Whether code and rules are the same, as far as both are known.
    pub(super) fn grounds_agree(&self, other: &Self) -> bool {
        let by = |one: &Option<Vec<String>>, two: &Option<Vec<String>>| one.as_ref().zip(two.as_ref()).is_none_or(|(one, two)| one == two);
        self.code == other.code && by(&self.by, &other.by)
    }

    pub(super) fn in_words(&self) -> String {
        let code = self.code.map(|code| format!(" ({})", code.name())).unwrap_or_default();
        let by = self.by.as_ref().filter(|by| !by.is_empty()).map(|by| format!(" by {}", by.join(", "))).unwrap_or_default();
        let required = self.required.as_ref().map(|required| format!(", with {required}")).unwrap_or_default();
        let runs = match self.runs {
            Some(Runs::Invented) => ", in mock",
            Some(Runs::Previewed) => ", in dry_run",
            Some(Runs::Real) | None => "",
        };
        format!("{}{code}{by}{required}{runs}", self.decision.name())
    }
}

#[derive(Deserialize)]
struct Data {
    caller: Option<CallerData>,
    #[serde(rename = "gen_ai.tool.name", default)]
    tool: String,
    #[serde(default)]
    system: String,
    #[serde(default)]
    class: Option<String>,
    trigger: Option<Trigger>,
    scopes: Option<Vec<ScopeData>>,
    #[serde(default)]
    policy: String,
    decision: Option<DecisionKind>,
    denial: Option<DenialCode>,
    mode: Option<Mode>,
    required: Option<Required>,
    #[serde(default)]
    decided_at: String,
    #[serde(default)]
    same_user: bool,
    #[serde(default)]
    write_mode_off: bool,
    #[serde(default)]
    change: Vec<ChangePart>,
    #[serde(default)]
    shadow: Vec<String>,
    rules: Option<Vec<String>>,
    rule: Option<String>,
    #[serde(default)]
    code: String,
}

#[derive(Deserialize)]
struct CallerData {
    id: String,
}

#[derive(Deserialize)]
struct ScopeData {
    kind: ScopeKind,
    value: String,
}

/// What the scrubber leaves in place of a secret.
const SCRUBBED: &str = "[REDACTED:";

pub(super) fn read(record: &Record<'_>, catalogue: &Catalogue) -> Read {
    let Ok(data) = serde_json::from_str::<Data>(record.data) else {
        return Read::Undecidable("the record says something that this version does not know");
    };
    let caller = data.caller.map(|caller| caller.id).unwrap_or_default();
    let Some(decision) = data.decision else {
        // A connection was refused, which is no call yet, or the repository is none that policy lets anyone work on.
        let at_the_door = data.tool.is_empty() || data.rule.as_deref() == Some(crate::call::ROOTS);
        let by_policy = record.kind == "call.intent" || !at_the_door && matches!(data.code.as_str(), "policy_denied" | "approvals_unavailable");
        return if by_policy {
            Read::Undecidable("an older version recorded it without the facts of the decision")
        } else {
            Read::NotJudged { code: data.code, caller, tool: data.tool, policy: data.policy }
        };
    };
    let class = match data.class.as_deref() {
        Some("read") => Some(Class::Read),
        Some("write") => Some(Class::Write),
        _ => None,
    };
    let (Ok(now), Some(trigger), Some(class)) = (data.decided_at.parse(), data.trigger, class) else {
        return Read::Undecidable("an older version recorded it without the facts of the decision");
    };
    let Some(scopes) = data.scopes else {
        return Read::Undecidable("what it touches was not recorded");
    };
    if record.kind == "call.intent" && data.mode.is_none() {
        return Read::Undecidable("the mode that it ran in was not recorded");
    }
    if [&caller, &data.tool].into_iter().chain(scopes.iter().map(|scope| &scope.value)).any(|value| value.contains(SCRUBBED)) {
        return Read::Undecidable("a needed value was scrubbed out of the record");
    }
    match catalogue.tool(&data.tool) {
        Some((system, listed)) if system == data.system && listed == class => {}
        Some(_) => return Read::Undecidable("its tool belongs to another system or class in this version"),
        None => return Read::Undecidable("this version does not have its tool"),
    }
    let scopes = scopes.into_iter().fold(None, |all: Option<Scopes>, scope| {
        Some(match all {
            Some(all) => all.and(scope.kind, scope.value),
            None => Scopes::of(scope.kind, scope.value),
        })
    });
    let by = match (decision, data.rule) {
        // A refusal goes to the client, so that its rule was scrubbed.
        (DecisionKind::Deny, Some(rule)) if rule.contains(SCRUBBED) => None,
        (DecisionKind::Deny, rule) => Some(rule.into_iter().collect()),
        _ => data.rules,
    };
    let asked = Asked {
        caller,
        tool: data.tool,
        system: data.system,
        class,
        scopes: scopes.unwrap_or_else(|| Scopes::none("as recorded")),
        trigger,
        write_mode_env_off: data.write_mode_off,
        same_user: data.same_user,
        change: data.change,
        now,
    };
    let was = Outcome { decision, code: data.denial, by, runs: data.mode.map(|mode| Runs::of(class, mode)), required: data.required };
    Read::Judged(Box::new(Judged { asked, policy: data.policy, was, shadow: data.shadow }))
}
