//! Prepare: look the tool up, parse the arguments once, resolve them to what will be judged and run.

use opsgate_audit::Digest;
use opsgate_tools::registry::FORBIDDEN;
use opsgate_tools::tool::{CallContext, Spec};
use serde_json::{Map, Value};

use super::stage::{About, Admitted, Call, Mark, Prepared, Refused};
use crate::error::{Code, Refusal};
use crate::gateway::Gateway;
use crate::policy::{Decision, Facts};

/// The longest arguments of a call, in bytes: more is no work for a tool, and scrubbing it would hold others up.
const LONGEST_ARGS: usize = 1 << 20;

impl Gateway {
    pub(super) async fn prepare(&self, call: Call<Admitted>) -> Result<Call<Prepared>, Box<Refused>> {
        let Call { mark, stage: Admitted { tool: name, args, workspace, slot } } = call;
        let mut about = About { tool: name, ..About::default() };
        if let Some(forbidden) = FORBIDDEN.iter().find(|f| f.name == about.tool) {
            let refusal = Refusal::new(Code::ToolForbidden, format!("`{}` is never run: {}", forbidden.name, forbidden.because));
            return Err(mark.refuse(about, refusal));
        }
        // Hidden and unknown look alike: the same code and the same words.
        let visible = self.registry.find(&about.tool).filter(|tool| self.shows(&mark.caller, tool.spec(), mark.write_mode_off));
        let Some(tool) = visible else {
            let refusal = Refusal::new(Code::ToolUnavailable, format!("there is no tool `{}` for you", shortened(&about.tool)));
            return Err(mark.refuse(about, refusal));
        };
        let spec = tool.spec().clone();
        about.system = spec.card.system;
        let digest = match self.digest(spec.card.name, &args) {
            Ok(digest) => digest,
            Err(refusal) => return Err(mark.refuse(about, refusal)),
        };
        about.digest = Some(digest);
        let clean = self.scrubber.json(Value::Object(args.clone())).0;
        about.args = Some(clean.clone());
        let cx = CallContext { caller: mark.caller.id().clone(), workspace, cancel: mark.cancel.clone() };
        let resolved = tokio::time::timeout(mark.left(), tool.prepare(args, digest, &cx)).await;
        match resolved {
            Ok(Ok(prepared)) => {
                let stage = Prepared { spec, scopes: prepared.scopes, action: prepared.action, digest, args: clean, slot };
                Ok(Call { mark, stage })
            }
            Ok(Err(mut error)) => {
                about.scopes = error.scopes.take().map(|scopes| *scopes);
                let refusal = Self::judged_first(&mark, &spec, &about).unwrap_or_else(|| error.into());
                Err(mark.refuse(about, refusal))
            }
            Err(_) => {
                mark.cancel.cancel();
                let message = format!("the arguments could not be resolved within {:?}", mark.policy.limits().timeout);
                Err(mark.refuse(about, Refusal::new(Code::TimedOut, message)))
            }
        }
    }

    /// Where resolving failed on something that policy denies, the denial is the answer: whether a denied thing exists
    /// is not told (test: a_denied_path_that_is_missing_is_denied).
    fn judged_first(mark: &Mark, spec: &Spec, about: &About) -> Option<Refusal> {
        let facts = Facts {
            caller: mark.caller.id(),
            tool: spec.card.name,
            system: spec.card.system,
            class: spec.class,
            scopes: about.scopes.as_ref()?,
            trigger: mark.trigger,
            write_mode_env_off: mark.write_mode_off,
            now: jiff::Timestamp::now(),
        };
        match mark.policy.decide(&facts) {
            Decision::Deny(denial) => Some(denial.into()),
            Decision::Permit(_) | Decision::NeedsApproval(..) => None,
        }
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

/// A name nobody knows, short enough to repeat.
fn shortened(name: &str) -> String {
    let mut short: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
    if short.len() < name.len() {
        short.push('…');
    }
    short
}
