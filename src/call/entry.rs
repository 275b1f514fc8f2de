//! What the chain keeps of a call. Every string in it is `Clean`.

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

/// What policy decided and the facts it was asked with, besides caller, tool, scopes and trigger.
#[derive(Serialize)]
struct JudgedEntry<'a> {
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    change: &'a [ChangePart],
    class: Class,
    decided_at: String,
    decision: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    denial: Option<DenialCode>,
    /// What people must say first, where policy asks for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    required: Option<&'a Required>,
    #[serde(skip_serializing_if = "Option::is_none")]
    risk: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    risk_because: Vec<Circumstance>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    same_user: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    shadow: &'a [String],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    write_mode_off: bool,
}

#[derive(Serialize)]
struct IntentEntry<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    args: Option<&'a Clean<Value>>,
    caller: CallerEntry,
    /// The incident that a write is made for.
    #[serde(skip_serializing_if = "Option::is_none")]
    incident: Option<Clean<String>>,
    #[serde(rename = "gen_ai.tool.name")]
    tool: &'static str,
    #[serde(flatten)]
    judged: Option<JudgedEntry<'a>>,
    #[serde(rename = "mcp.method.name")]
    method: &'static str,
    mode: &'static str,
    policy: &'a str,
    rules: &'a [String],
    scopes: Vec<ScopeEntry>,
    system: &'static str,
    trigger: crate::policy::Trigger,
    #[serde(skip_serializing_if = "Option::is_none")]
    unscoped_because: Option<&'static str>,
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

#[derive(Serialize)]
struct RefusedEntry<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    args: Option<Clean<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    args_digest: Option<String>,
    caller: CallerEntry,
    code: Code,
    #[serde(rename = "gen_ai.tool.name")]
    tool: Clean<String>,
    #[serde(flatten)]
    judged: Option<JudgedEntry<'a>>,
    #[serde(rename = "mcp.method.name", skip_serializing_if = "Option::is_none")]
    method: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a Clean<String>>,
    policy: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a Clean<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes: Option<Vec<ScopeEntry>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    system: &'static str,
    trigger: crate::policy::Trigger,
    #[serde(skip_serializing_if = "is_zero")]
    unrecorded: u64,
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
    let card = prepared.spec.card;
    let kept = Kept::at(mark.in_force.policy.settings().audit.level);
    let args = kept.args.then(|| bounded(&prepared.args, "arguments").unwrap_or_else(|| prepared.args.clone()));
    CanonicalJson::sorted(&IntentEntry {
        args: args.as_ref(),
        caller: caller(scrubber, mark),
        incident: prepared.change.incident_id.as_deref().filter(|_| kept.words).map(|id| scrubber.text(id).0),
        tool: card.name,
        judged: judged(mark, about),
        method: "tools/call",
        mode: permit.mode().name(),
        policy: permit.policy_hash(),
        rules: permit.rules(),
        scopes: scopes(scrubber, &prepared.scopes),
        system: card.system,
        trigger: mark.trigger,
        unscoped_because: prepared.scopes.unscoped_because(),
    })
    .map_err(|error| Refusal::new(Code::InvalidArguments, format!("the arguments cannot be recorded: {error}")))
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
    let kept = Kept::at(mark.in_force.policy.settings().audit.level);
    let tool: String = about.tool.chars().take(LONGEST_NAME).collect();
    let mut entry = RefusedEntry {
        args: about.args.as_ref().filter(|_| kept.args).map(|args| bounded(args, "arguments").unwrap_or_else(|| args.clone())),
        args_digest: about.digest.map(|digest| digest.to_string()),
        caller: caller(scrubber, mark),
        code: refusal.code,
        // Refused at a door before there was a call: which method it was going to be is not known.
        method: (!tool.is_empty()).then_some("tools/call"),
        tool: scrubber.text_owned(tool).0,
        judged: judged(mark, about),
        message: kept.words.then_some(&refusal.message),
        policy: mark.in_force.policy.hash(),
        rule: refusal.rule.as_ref(),
        scopes: about.scopes.as_ref().map(|s| scopes(scrubber, s)),
        system: about.system,
        trigger: mark.trigger,
        unrecorded,
    };
    CanonicalJson::sorted(&entry).or_else(|_| {
        // Arguments nested too deep for the log are refused for that; the refusal is recorded without them.
        entry.args = None;
        CanonicalJson::sorted(&entry)
    })
}

/// Refusals for rate that have no record but this one.
pub(super) fn counted(scrubber: &Scrubber, kind: &Kind, unrecorded: u64, policy: &str) -> Result<CanonicalJson, NotCanonical> {
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
    CanonicalJson::sorted(&Counted { caller: Id { id: scrubber.text(&kind.caller).0 }, code: kind.code, tool: kind.tool, policy, unrecorded })
}

/// Ids for a record that belongs to no one call.
pub(super) fn fresh() -> CallRef {
    CallRef { request_id: uuid::Uuid::now_v7(), correlation_id: *uuid::Uuid::new_v4().as_bytes() }
}

fn judged<'a>(mark: &Mark, about: &'a About) -> Option<JudgedEntry<'a>> {
    let judged = about.judged.as_ref()?;
    Some(JudgedEntry {
        change: &judged.change,
        class: judged.class,
        decided_at: judged.at.to_string(),
        decision: judged.decision,
        denial: judged.denial,
        required: judged.required.as_ref(),
        risk: judged.risk.map(|risk| format!("{:.2}", risk.score())),
        risk_because: judged.risk.into_iter().flat_map(Risk::because).collect(),
        same_user: mark.same_user,
        shadow: &judged.shadow,
        write_mode_off: mark.write_mode_off,
    })
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

fn bounded(args: &Clean<Value>, what: &'static str) -> Option<Clean<Value>> {
    too_long(&args.to_json_text(), what)
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
