//! The stages as types. Fields are private to `call/`, so only the path moves a call on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use opsgate_audit::{CallRef, Digest, Durable, Pending, Receipt, Recorded as Proof, Written};
use opsgate_tools::change::Change;
use opsgate_tools::erased::{Action, ReadAction, WriteAction};
use opsgate_tools::error::ToolError;
use opsgate_tools::progress::Progress;
use opsgate_tools::scope::Scopes;
use opsgate_tools::tool::{Class, Spec};
use opsgate_tools::workspace::Workspace;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::error::{Code, Refusal};
use crate::gateway::{Gateway, InForce};
use crate::identity::Caller;
use crate::limit::{Charge, Counted, Slot};
use crate::policy::{ChangePart, DenialCode, Permit, Profile, Required, Requirement, Risk, Trigger};
use crate::scrub::{Clean, Counts};

/// A call as a door hands it in: identified, nothing judged yet.
pub struct RawCall {
    /// Who calls.
    pub caller: Caller,
    /// The rate already counted at the door, where the door had to answer before MCP was read.
    pub counted: Option<Counted>,
    /// The tool's name, as sent.
    pub tool: String,
    /// The arguments, as sent.
    pub args: Map<String, Value>,
    /// The repository of this connection.
    pub workspace: Option<Arc<Workspace>>,
    /// `WRITE_MODE=off` where the client runs.
    pub write_mode_off: bool,
    /// What set the call off.
    pub trigger: Trigger,
    /// The client's trace, where it sent one (W3C trace id).
    pub trace: Option<[u8; 16]>,
    /// Takes lines for the client while the call runs, as tools say them.
    pub progress: Progress,
    /// Fires when the client cancels.
    pub cancel: CancellationToken,
}

/// A call at one stage of its path.
pub struct Call<Stage> {
    pub(super) mark: Mark,
    pub(super) stage: Stage,
}

/// What every stage knows of the call.
#[derive(Clone)]
pub(super) struct Mark {
    pub(super) re: CallRef,
    pub(super) caller: Caller,
    /// What the policy knows of the caller; `None` is an unknown caller.
    pub(super) profile: Option<Arc<Profile>>,
    pub(super) trigger: Trigger,
    pub(super) write_mode_off: bool,
    pub(super) same_user: bool,
    /// The one policy this call is judged under, and its tools, from its first stage to its last.
    pub(super) in_force: Arc<InForce>,
    pub(super) started: Instant,
    /// The call's part of its caller's budget, from its admission on.
    pub(super) charge: Option<Arc<Charge>>,
    /// How long the call may take: the policy's time-out, or what the tool asks for within the policy's `max_timeout`.
    pub(super) allowed: Duration,
    pub(super) cancel: CancellationToken,
}

/// What a refusal can say of the call, as far as it got. Names are as sent: the refusal's record scrubs them.
#[derive(Clone, Default)]
pub(super) struct About {
    pub(super) tool: String,
    pub(super) system: &'static str,
    pub(super) args: Option<Clean<Value>>,
    pub(super) digest: Option<Digest>,
    pub(super) scopes: Option<Scopes>,
    pub(super) judged: Option<Judged>,
}

/// What policy decided and on which facts, as the record keeps them: `opsgate policy replay` makes the decision again from these.
#[derive(Clone)]
pub(super) struct Judged {
    pub(super) at: jiff::Timestamp,
    pub(super) class: Class,
    pub(super) change: Vec<ChangePart>,
    pub(super) decision: &'static str,
    pub(super) denial: Option<DenialCode>,
    pub(super) required: Option<Required>,
    /// How risky it is; nothing of what was denied.
    pub(super) risk: Option<Risk>,
    /// The rules in `mode: shadow` that the call meets.
    pub(super) shadow: Vec<String>,
}

/// A call that goes no further, on its way to the log.
pub struct Refused {
    pub(super) mark: Mark,
    pub(super) about: About,
    pub(super) refusal: Refusal,
}

pub(super) struct Identified {
    pub(super) tool: String,
    pub(super) args: Map<String, Value>,
    pub(super) workspace: Option<Arc<Workspace>>,
    pub(super) progress: Progress,
    pub(super) counted: Option<Counted>,
}

pub(super) struct Admitted {
    pub(super) tool: String,
    pub(super) args: Map<String, Value>,
    pub(super) workspace: Option<Arc<Workspace>>,
    pub(super) progress: Progress,
    pub(super) slot: Slot,
}

/// Parsed and resolved: what is judged from here on is what runs.
pub(super) struct Prepared {
    pub(super) spec: Spec,
    pub(super) scopes: Scopes,
    pub(super) action: Action,
    pub(super) digest: Digest,
    pub(super) args: Clean<Value>,
    /// What the caller says of a write.
    pub(super) change: Change,
    pub(super) slot: Slot,
}

pub(super) struct Authorised {
    pub(super) prepared: Prepared,
    pub(super) permit: Permit,
    /// What people must say first, where the policy asks for them.
    pub(super) requirement: Option<Requirement>,
    pub(super) judged: Judged,
}

pub(super) struct Approved {
    pub(super) prepared: Prepared,
    pub(super) permit: Permit,
    pub(super) judged: Judged,
}

/// In the chain. The work and the receipt it needs, paired by class.
pub(super) enum Licensed {
    Read(ReadAction, Receipt<Written>),
    /// A write of a system in `dry_run`: it has only what a read has, so it cannot write.
    Rehearsal(WriteAction, Receipt<Written>),
    Write(WriteAction, Receipt<Durable>),
}

pub(super) struct Intended {
    pub(super) about: About,
    pub(super) work: Licensed,
    pub(super) permit: Permit,
    pub(super) pending: Pending,
    pub(super) slot: Slot,
}

pub(super) struct Executed {
    pub(super) about: About,
    pub(super) wrote: bool,
    pub(super) result: Result<Value, Refusal>,
    /// What a write made, by the name that its system gives it.
    pub(super) reference: Option<String>,
    pub(super) hidden: u64,
    /// What was taken out of whole files while the tool read them.
    pub(super) redacted: Counts,
    pub(super) pending: Pending,
    pub(super) slot: Slot,
}

pub(super) struct Scrubbed {
    pub(super) about: About,
    pub(super) wrote: bool,
    pub(super) result: Result<(Clean<Value>, Clean<String>), CleanRefusal>,
    pub(super) reference: Option<Clean<String>>,
    pub(super) scrubbed: Counts,
    pub(super) hidden: u64,
    pub(super) pending: Pending,
    pub(super) slot: Slot,
}

pub(super) struct Recorded {
    pub(super) result: Result<(Clean<Value>, Clean<String>), CleanRefusal>,
    pub(super) proof: Proof,
}

/// A refusal whose every word is clean: the only form that leaves.
#[derive(Debug, Clone)]
pub(super) struct CleanRefusal {
    pub(super) code: Code,
    pub(super) message: Clean<String>,
    /// The message in the policy's language, where that is not English: the record keeps the other.
    pub(super) told: Option<Clean<String>>,
    pub(super) hint: Clean<String>,
    pub(super) rule: Option<Clean<String>>,
    pub(super) retry_after_s: Option<u64>,
    /// Whether the effect may be there all the same: the record says so.
    pub(super) maybe_done: bool,
}

impl Refused {
    /// Refused before there was a call: only the caller and, as far as the door looked, the tool are known.
    pub(super) fn at_door(gateway: &Gateway, caller: Caller, tool: &str, refusal: Refusal) -> Self {
        let raw = RawCall {
            caller,
            counted: None,
            tool: tool.to_owned(),
            args: Map::new(),
            workspace: None,
            write_mode_off: false,
            trigger: Trigger::Client,
            trace: None,
            progress: Progress::default(),
            cancel: CancellationToken::new(),
        };
        let call = Call::begin(gateway, raw);
        let (_, about) = call.mark();
        Self { mark: call.mark, about, refusal }
    }
}

impl Call<Identified> {
    pub(super) fn begin(gateway: &Gateway, raw: RawCall) -> Self {
        let re = CallRef { request_id: uuid::Uuid::now_v7(), correlation_id: raw.trace.unwrap_or_else(|| *uuid::Uuid::new_v4().as_bytes()) };
        let in_force = gateway.in_force();
        let profile = in_force.policy.caller(raw.caller.id());
        let allowed = in_force.policy.limits().timeout;
        Self {
            mark: Mark {
                re,
                profile,
                same_user: gateway.is_same_user(&raw.caller),
                caller: raw.caller,
                trigger: raw.trigger,
                write_mode_off: raw.write_mode_off || gateway.write_mode_off,
                in_force,
                started: Instant::now(),
                charge: None,
                allowed,
                cancel: raw.cancel,
            },
            stage: Identified { tool: raw.tool, args: raw.args, workspace: raw.workspace, progress: raw.progress, counted: raw.counted },
        }
    }

    /// What is left of the call if its task dies.
    pub(super) fn mark(&self) -> (Mark, About) {
        (self.mark.clone(), About { tool: self.stage.tool.clone(), ..About::default() })
    }
}

impl<Stage> Call<Stage> {
    /// Moves on: the stage is consumed, the mark stays.
    pub(super) fn map<Next>(self, next: impl FnOnce(Stage) -> Next) -> Call<Next> {
        Call { mark: self.mark, stage: next(self.stage) }
    }
}

/// What a tool with a time of its own gets beyond the longest one, to end what it runs and tell of it.
const ENDING: Duration = Duration::from_secs(15);

impl Mark {
    pub(super) fn refuse(self, about: About, refusal: impl Into<Refusal>) -> Box<Refused> {
        Box::new(Refused { mark: self, about, refusal: refusal.into() })
    }

    /// Something on the path panicked: a defect. An open intent was closed as indeterminate when it was dropped.
    pub(super) fn died(self, about: About) -> Refused {
        let refusal = Refusal::from(ToolError::internal("a stage of the call panicked; the line before says where"));
        Refused { mark: self, about, refusal }
    }

    /// From here on the call is judged under this policy.
    pub(super) fn under(&mut self, in_force: Arc<InForce>) {
        if !Arc::ptr_eq(&self.in_force, &in_force) {
            self.profile = in_force.policy.caller(self.caller.id());
            self.allowed = in_force.policy.limits().timeout;
            self.in_force = in_force;
        }
    }

    /// Whether the caller gave the call up, or its time is over: then nothing more of it runs.
    pub(super) fn given_up(&self) -> Option<Refusal> {
        if self.cancel.is_cancelled() {
            return Some(Refusal::new(Code::Cancelled, "the call was cancelled before it ran"));
        }
        self.left().is_zero().then(|| Refusal::new(Code::TimedOut, format!("the call did not get to run within {:?}", self.allowed)))
    }

    /// What is left of the call's time.
    pub(super) fn left(&self) -> Duration {
        self.allowed.saturating_sub(self.started.elapsed())
    }

    /// Gives a call whose tool asks for it more time, as far as the policy lets any call have.
    pub(super) fn allow(&mut self, wanted: Option<Duration>) {
        let limits = self.in_force.policy.limits();
        self.allowed = wanted.map_or(limits.timeout, |wanted| wanted.min(limits.max_timeout + ENDING).max(limits.timeout));
    }
}

impl About {
    pub(super) fn of(prepared: &Prepared) -> Self {
        Self {
            tool: prepared.spec.card.name.to_owned(),
            system: prepared.spec.card.system,
            args: Some(prepared.args.clone()),
            digest: Some(prepared.digest),
            scopes: Some(prepared.scopes.clone()),
            judged: None,
        }
    }

    /// Once policy has decided.
    pub(super) fn judged(prepared: &Prepared, judged: Judged) -> Self {
        Self { judged: Some(judged), ..Self::of(prepared) }
    }
}
