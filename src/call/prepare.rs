//! Prepare: look the tool up, parse the arguments once, resolve them to what will be judged and run.

use opsgate_audit::Digest;
use opsgate_tools::change::Change;
use opsgate_tools::erased::Prepared as Ready;
use opsgate_tools::progress::Progress;
use opsgate_tools::registry::FORBIDDEN;
use opsgate_tools::tool::{CallContext, Class, Spec};
use serde_json::{Map, Value};

use super::roots::within_roots;
use super::stage::{About, Admitted, Call, Mark, Prepared, Refused};
use crate::error::{Code, Refusal};
use crate::gateway::Gateway;
use crate::policy::{Decision, OnExposure};
use crate::scrub::has_redaction_mark;

/// The longest arguments of a call, in bytes: more is no work for a tool, and scrubbing it would hold others up.
const LONGEST_ARGS: usize = 1 << 20;
/// The longest line of progress, in bytes.
const LONGEST_LINE: usize = 512;

impl Gateway {
    pub(super) async fn prepare(&self, call: Call<Admitted>) -> Result<Call<Prepared>, Box<Refused>> {
        let Call { mut mark, stage: Admitted { tool: name, args, workspace, progress, slot } } = call;
        let mut about = About { tool: name, ..About::default() };
        if let Some(forbidden) = FORBIDDEN.iter().find(|f| f.name == about.tool) {
            let refusal = Refusal::new(Code::ToolForbidden, format!("`{}` is never run: {}", forbidden.name, forbidden.because));
            return Err(mark.refuse(about, refusal));
        }
        // Hidden and unknown look alike: the same code and the same words.
        let visible =
            mark.in_force.registry.find(&about.tool).filter(|tool| self.shows(&mark.in_force, &mark.caller, tool.spec(), mark.write_mode_off));
        let Some(tool) = visible else {
            let refusal = Refusal::new(Code::ToolUnavailable, format!("there is no tool `{}` for you", shortened(&about.tool)));
            return Err(mark.refuse(about, refusal));
        };
        let (spec, tool) = (tool.spec().clone(), tool.clone());
        about.system = spec.card.system;
        let digest = match self.digest(spec.card.name, &args) {
            Ok(digest) => digest,
            Err(refusal) => return Err(mark.refuse(about, refusal)),
        };
        about.digest = Some(digest);
        let (clean, found) = self.scrubber.json(Value::Object(args.clone()));
        about.args = Some(clean.clone());
        // INVARIANT: nothing that is secret, and nothing that was redacted, is written (test: no_write_takes_a_secret_or_a_redaction).
        if spec.class == Class::Write && (!found.is_empty() || holds_redaction(&args)) {
            let message = "the arguments of a write hold a secret, or the mark of one that was redacted; write neither";
            return Err(mark.refuse(about, Refusal::new(Code::HoldsSecret, message)));
        }
        // INVARIANT: a repository that the policy in force takes away is read no more, whoever opened it before (test:
        // tests/reload/roots.rs, a_root_that_is_taken_away_is_read_no_more). What is no tool of the workspace goes on without it.
        let workspace = match workspace.as_deref().map_or(Ok(()), |workspace| within_roots(&mark.in_force.policy, &mark.caller, workspace)) {
            Ok(()) => workspace,
            Err(refusal) if spec.card.system == "workspace" => return Err(mark.refuse(about, refusal)),
            Err(_) => None,
        };
        // An answer that may be withheld whole is not told line by line before.
        let withhold = mark.in_force.policy.settings().scrub.on_exposure == OnExposure::Withhold;
        let progress = if withhold { Progress::default() } else { self.scrubbed(progress) };
        let cx = CallContext { caller: mark.caller.id().clone(), workspace, cancel: mark.cancel.clone(), progress };
        let change = Change::said_in(&args);
        let resolved = tokio::time::timeout(mark.left(), tool.prepare(args, digest, &cx)).await;
        match resolved {
            Ok(Ok(prepared)) => {
                mark.allow(prepared.time);
                let Ready { scopes, action, change, .. } = prepared;
                let stage = Prepared { spec, scopes, action, digest, args: clean, change, slot };
                Ok(Call { mark, stage })
            }
            Ok(Err(mut error)) => {
                about.scopes = error.scopes.take().map(|scopes| *scopes);
                let refusal = self.judged_first(&mark, &spec, &mut about, &change).unwrap_or_else(|| error.into());
                Err(mark.refuse(about, refusal))
            }
            Err(_) => {
                mark.cancel.cancel();
                let message = format!("the arguments could not be resolved within {:?}", mark.allowed);
                Err(mark.refuse(about, Refusal::new(Code::TimedOut, message)))
            }
        }
    }

    /// Where resolving failed on something that policy denies, the denial is the answer: whether a denied thing exists
    /// is not told (test: a_denied_path_that_is_missing_is_denied).
    fn judged_first(&self, mark: &Mark, spec: &Spec, about: &mut About, change: &Change) -> Option<Refusal> {
        let (decision, judged) = self.judge(mark, spec, about.scopes.as_ref()?, change);
        match decision {
            Decision::Deny(denial) => {
                about.judged = Some(judged);
                Some(denial.into())
            }
            Decision::Permit(_) | Decision::NeedsApproval(..) => None,
        }
    }

    /// The client's progress, behind the scrubber.
    fn scrubbed(&self, progress: Progress) -> Progress {
        if !progress.is_wanted() {
            return progress;
        }
        let scrubber = self.scrubber.clone();
        Progress::to(move |line| progress.say(scrubber.untrusted_text(line).0.shortened(LONGEST_LINE).as_ref()))
    }

    /// HMAC-SHA-256 of tool and canonical arguments under the home's key: a plain digest of short arguments could be guessed.
    fn digest(&self, tool: &str, args: &Map<String, Value>) -> Result<Digest, Refusal> {
        use hmac::Mac;
        let canonical = serde_json_canonicalizer::to_vec(args).map_err(|error| Refusal {
            detail: Some(error.to_string()),
            ..Refusal::new(Code::InvalidArguments, "the arguments have no canonical form")
        })?;
        if canonical.len() > LONGEST_ARGS {
            return Err(Refusal::new(Code::InvalidArguments, format!("the arguments have `{}` bytes; a call takes {LONGEST_ARGS}", canonical.len())));
        }
        let mut mac = self.digest_key.clone();
        mac.update(tool.as_bytes());
        mac.update(b"\n");
        mac.update(&canonical);
        Ok(Digest::new(mac.finalize().into_bytes().into()))
    }
}

fn holds_redaction(args: &Map<String, Value>) -> bool {
    fn held(value: &Value) -> bool {
        match value {
            Value::String(text) => has_redaction_mark(text),
            Value::Array(items) => items.iter().any(held),
            Value::Object(fields) => holds_redaction(fields),
            _ => false,
        }
    }
    args.iter().any(|(name, value)| has_redaction_mark(name) || held(value))
}

/// A name nobody knows, short enough to repeat.
fn shortened(name: &str) -> String {
    let mut short: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
    if short.len() < name.len() {
        short.push('…');
    }
    short
}
