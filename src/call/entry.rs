//! What the chain keeps of a call. Every string in it is `Clean`.

use std::borrow::Cow;
use std::time::Duration;

use opsgate_audit::{CallRef, CanonicalJson, NotCanonical};
use opsgate_tools::tool::Class;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::stage::{About, CleanRefusal, Mark, Prepared};
use crate::error::{Code, Refusal};
use crate::limit::Kind;
use crate::policy::{AuditLevel, ChangePart, Circumstance, DenialCode, Permit, Required, Risk};
use crate::scrub::{Clean, Counts, Scrubber};

/// The caller, as the log names it.
#[derive(Serialize)]
struct CallerEntry {
    address: Clean<String>,
    id: Clean<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<Clean<String>>,
    roles: Vec<Clean<String>>,
}

#[derive(Serialize)]
struct ScopeEntry {
    kind: &'static str,
    value: Clean<String>,
}

/// What is kept of a call that is to run, or that was refused. Its fields, as those of every entry here, stand in the order of their
/// keys: only then does [`CanonicalJson::sorted`] write them without a second look (test: `entries_are_written_as_they_stand`).
#[derive(Serialize)]
struct CallEntry<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    args: Option<Clean<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    args_digest: Option<String>,
    caller: CallerEntry,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    change: &'a [ChangePart],
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<Class>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<Code>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    denial: Option<DenialCode>,
    #[serde(rename = "gen_ai.tool.name")]
    tool: Clean<Cow<'static, str>>,
    /// The incident that a write is made for.
    #[serde(skip_serializing_if = "Option::is_none")]
    incident: Option<Clean<String>>,
    #[serde(rename = "mcp.method.name", skip_serializing_if = "Option::is_none")]
    method: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a Clean<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<&'static str>,
    policy: &'a str,
    /// What people must say first, where policy asks for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    required: Option<&'a Required>,
    #[serde(skip_serializing_if = "Option::is_none")]
    risk: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    risk_because: Vec<Circumstance>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a Clean<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rules: Option<&'a [String]>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    same_user: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes: Option<Vec<ScopeEntry>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    shadow: &'a [String],
    #[serde(skip_serializing_if = "str::is_empty")]
    system: &'static str,
    trigger: crate::policy::Trigger,
    #[serde(skip_serializing_if = "is_zero")]
    unrecorded: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    unscoped_because: Option<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    write_mode_off: bool,
}

impl<'a> CallEntry<'a> {
    /// What an intent and a refusal have in common: who asked for what, and what policy decided on which facts.
    fn of(scrubber: &Scrubber, mark: &'a Mark, about: &'a About, tool: Clean<Cow<'static, str>>, kept: Kept) -> Self {
        let judged = about.judged.as_ref();
        let risk = judged.and_then(|judged| judged.risk);
        let args = about.args.as_ref().filter(|_| kept.args);
        Self {
            args: args.map(|args| too_long(&args.to_json_text(), "arguments").unwrap_or_else(|| args.clone())),
            args_digest: None,
            caller: caller(scrubber, mark),
            change: judged.map_or(&[], |judged| judged.change.as_slice()),
            class: judged.map(|judged| judged.class),
            code: None,
            decided_at: judged.map(|judged| judged.at.to_string()),
            decision: judged.map(|judged| judged.decision),
            denial: judged.and_then(|judged| judged.denial),
            // Refused at a door before there was a call: which method it was going to be is not known.
            method: (!tool.is_empty()).then_some("tools/call"),
            tool,
            incident: None,
            message: None,
            mode: None,
            policy: mark.in_force.policy.hash(),
            required: judged.and_then(|judged| judged.required.as_ref()),
            risk: risk.map(|risk| format!("{:.2}", risk.score())),
            risk_because: risk.into_iter().flat_map(Risk::because).collect(),
            rule: None,
            rules: None,
            same_user: judged.is_some() && mark.same_user,
            scopes: about.scopes.as_ref().map(|touched| scopes(scrubber, touched)),
            shadow: judged.map_or(&[], |judged| judged.shadow.as_slice()),
            system: about.system,
            trigger: mark.trigger,
            unrecorded: 0,
            unscoped_because: None,
            write_mode_off: judged.is_some() && mark.write_mode_off,
        }
    }
}

#[derive(Serialize)]
struct OutcomeEntry<'a> {
    /// What was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<&'a Clean<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<Code>,
    duration_us: u64,
    #[serde(skip_serializing_if = "is_zero")]
    hidden: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a Clean<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_digest: Option<String>,
    /// What a write made, by the name that its system gives it: a commit, an issue's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a Clean<String>>,
    #[serde(skip_serializing_if = "Counts::is_empty")]
    scrubbed: &'a Counts,
}

/// Arguments longer than this are kept as digest and length: a record's line has a bound.
const LONGEST_ARGS: usize = 24 * 1024;
const LONGEST_NAME: usize = 256;

/// What a level keeps of a call besides what the chain, a proof and a replay need: caller, tool, decision and its facts, policy,
/// rules, scopes, digests, lengths, counts and times are in every record, because a decision must be provable.
#[derive(Clone, Copy)]
struct Kept {
    /// Sentences and names that a caller or a tool put into words: refusals' messages, the incident, what a write made.
    words: bool,
    args: bool,
    answer: bool,
}

impl Kept {
    fn of(mark: &Mark) -> Self {
        Self::at(mark.in_force.policy.settings().audit.level)
    }

    fn at(level: AuditLevel) -> Self {
        match level {
            AuditLevel::None => Self { words: false, args: false, answer: false },
            AuditLevel::Metadata => Self { words: true, args: false, answer: false },
            AuditLevel::Request => Self { words: true, args: true, answer: false },
            AuditLevel::RequestResponse => Self { words: true, args: true, answer: true },
        }
    }
}

pub(super) fn intent(scrubber: &Scrubber, mark: &Mark, prepared: &Prepared, permit: &Permit, about: &About) -> Result<CanonicalJson, Refusal> {
    let kept = Kept::of(mark);
    let mut entry = CallEntry::of(scrubber, mark, about, Clean::fixed(prepared.spec.card.name).into(), kept);
    entry.incident = prepared.change.incident_id.as_deref().filter(|_| kept.words).map(|id| scrubber.text(id).0);
    entry.mode = Some(permit.mode().name());
    entry.policy = permit.policy_hash();
    entry.rules = Some(permit.rules());
    entry.unscoped_because = prepared.scopes.unscoped_because();
    CanonicalJson::sorted(&entry).map_err(|error| Refusal::new(Code::InvalidArguments, format!("the arguments cannot be recorded: {error}")))
}

pub(super) fn outcome(
    level: AuditLevel,
    result: &Result<(Clean<Value>, Clean<String>), CleanRefusal>,
    reference: Option<&Clean<String>>,
    scrubbed: &Counts,
    hidden: u64,
    took: Duration,
) -> Result<CanonicalJson, NotCanonical> {
    let kept = Kept::at(level);
    let answer = match result {
        Ok((structured, text)) if kept.answer => Some(too_long(text, "answer").unwrap_or_else(|| structured.clone())),
        _ => None,
    };
    let (text, refusal) = match result {
        Ok((_, text)) => (Some(text), None),
        Err(refusal) => (None, Some(refusal)),
    };
    let mut entry = OutcomeEntry {
        answer: answer.as_ref(),
        bytes: text.map(|text| text.len()),
        code: refusal.map(|refusal| refusal.code),
        duration_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX).min(1 << 53),
        hidden,
        message: refusal.map(|refusal| &refusal.message).filter(|_| kept.words),
        output_digest: text.map(|text| opsgate_audit::Digest::new(Sha256::digest(text.as_bytes()).into()).to_string()),
        reference: reference.filter(|_| kept.words),
        scrubbed,
    };
    CanonicalJson::sorted(&entry).or_else(|_| {
        // An answer nested too deep for the log is there as its digest.
        entry.answer = None;
        CanonicalJson::sorted(&entry)
    })
}

pub(super) fn refused(
    scrubber: &Scrubber,
    mark: &Mark,
    about: &About,
    refusal: &CleanRefusal,
    unrecorded: u64,
) -> Result<CanonicalJson, NotCanonical> {
    let kept = Kept::of(mark);
    let tool: String = about.tool.chars().take(LONGEST_NAME).collect();
    let mut entry = CallEntry::of(scrubber, mark, about, scrubber.text_owned(tool).0.into(), kept);
    entry.args_digest = about.digest.map(|digest| digest.to_string());
    entry.code = Some(refusal.code);
    entry.message = kept.words.then_some(&refusal.message);
    entry.rule = refusal.rule.as_ref();
    entry.unrecorded = unrecorded;
    CanonicalJson::sorted(&entry).or_else(|_| {
        // Arguments nested too deep for the log are refused for that; the refusal is recorded without them.
        entry.args = None;
        CanonicalJson::sorted(&entry)
    })
}

/// Refusals for rate that have no record but this one.
pub(super) fn counted(scrubber: &Scrubber, kind: &Kind, unrecorded: u64) -> Result<CanonicalJson, NotCanonical> {
    #[derive(Serialize)]
    struct Id {
        id: Clean<String>,
    }
    #[derive(Serialize)]
    struct Counted<'a> {
        caller: Id,
        code: Code,
        #[serde(rename = "gen_ai.tool.name")]
        tool: &'static str,
        policy: &'a str,
        unrecorded: u64,
    }
    let caller = Id { id: scrubber.text(&kind.caller).0 };
    CanonicalJson::sorted(&Counted { caller, code: kind.code, tool: kind.tool, policy: &kind.policy, unrecorded })
}

/// Ids for a record that belongs to no one call.
pub(super) fn fresh() -> CallRef {
    CallRef { request_id: uuid::Uuid::now_v7(), correlation_id: *uuid::Uuid::new_v4().as_bytes() }
}

fn caller(scrubber: &Scrubber, mark: &Mark) -> CallerEntry {
    let clean = |text: &str| scrubber.text(text).0;
    CallerEntry {
        address: clean(&mark.caller.address().to_string()),
        id: clean(mark.caller.id()),
        owner: mark.profile.as_ref().and_then(|p| p.owner.as_deref()).map(clean),
        roles: mark.profile.iter().flat_map(|p| &p.roles).map(|role| clean(role)).collect(),
    }
}

fn scopes(scrubber: &Scrubber, scopes: &opsgate_tools::scope::Scopes) -> Vec<ScopeEntry> {
    scopes.entries().iter().map(|scope| ScopeEntry { kind: scope.kind.name(), value: scrubber.text(&scope.value).0 }).collect()
}

/// What is kept in place of a text that is too long for a record.
fn too_long(text: &Clean<String>, what: &'static str) -> Option<Clean<Value>> {
    let length = i128::try_from(text.len()).unwrap_or(i128::MAX);
    let said = || Clean::builder().number(length).fixed(" bytes of ").fixed(what).fixed(", kept as their digest").finish();
    (text.len() > LONGEST_ARGS).then(|| said().into())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape serde asks for")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::policy::{Quorum, Trigger};

    /// Whether the slow way would write what serialising writes: then it is not gone.
    fn as_it_stands<T: Serialize>(entry: &T, keys: usize) {
        let text = serde_json::to_string(entry).unwrap();
        assert_eq!(text, CanonicalJson::of(entry).unwrap().as_str());
        assert_eq!(serde_json::to_value(entry).unwrap().as_object().unwrap().len(), keys, "not every key is there: {text}");
    }

    #[test]
    fn entries_are_written_as_they_stand() {
        let scrubber = Scrubber::new(Vec::new());
        let (word, secret) = (Clean::from_fixed("word"), format!("ghp_{}abcd", uuid::Uuid::new_v4().simple()));
        let (args, scrubbed) = scrubber.json(json!({ "b": { "y": [1, null], "x": true }, "a": format!("{secret} password: {secret}") }));
        let names = ["one".to_owned(), "two".to_owned()];
        let required = Required { approvals: vec![Quorum { group: Some("oncall".to_owned()), count: 2 }], expires_ms: 1, mfa: true, people: 2 };
        let entry = || CallEntry {
            args: Some(args.clone()),
            args_digest: Some("sha256:00".to_owned()),
            caller: CallerEntry { address: word.clone(), id: word.clone(), owner: Some(word.clone()), roles: vec![word.clone()] },
            change: &[ChangePart::Reasoning, ChangePart::IncidentId],
            class: Some(Class::Write),
            code: Some(Code::PolicyDenied),
            decided_at: Some(jiff::Timestamp::UNIX_EPOCH.to_string()),
            decision: Some("deny"),
            denial: Some(DenialCode::RuleDenied),
            tool: Clean::fixed("workspace_write_file").into(),
            incident: Some(word.clone()),
            method: Some("tools/call"),
            message: Some(&word),
            mode: Some("mock"),
            policy: "sha256:00",
            required: Some(&required),
            risk: Some("0.50".to_owned()),
            risk_because: vec![Circumstance::Production],
            rule: Some(&word),
            rules: Some(&names),
            same_user: true,
            scopes: Some(vec![ScopeEntry { kind: "repo", value: word.clone() }]),
            shadow: &names,
            system: "workspace",
            trigger: Trigger::Client,
            unrecorded: 3,
            unscoped_because: Some("it touches nothing"),
            write_mode_off: true,
        };
        as_it_stands(&entry(), 28);
        // What an intent leaves out, what a refusal does, and what is never judged.
        as_it_stands(&CallEntry { args_digest: None, code: None, denial: None, message: None, rule: None, unrecorded: 0, ..entry() }, 22);
        as_it_stands(&CallEntry { incident: None, mode: None, rules: None, unscoped_because: None, ..entry() }, 24);
        as_it_stands(&CallEntry { class: None, decided_at: None, decision: None, denial: None, change: &[], shadow: &[], ..entry() }, 22);
        let outcome = OutcomeEntry {
            answer: Some(&args),
            bytes: Some(1),
            code: Some(Code::Internal),
            duration_us: 1,
            hidden: 1,
            message: Some(&word),
            output_digest: Some("sha256:00".to_owned()),
            reference: Some(&word),
            scrubbed: &scrubbed,
        };
        assert!(!scrubbed.is_empty());
        as_it_stands(&outcome, 9);
    }
}
