//! The reply: clean words and the proof that they are recorded. It has no other source.

use opsgate_audit::{AppendError, Recorded as Proof};
use serde_json::Value;

use super::stage::{Call, CleanRefusal, Mark, Recorded};
use crate::error::Code;
use crate::limit::Skipped;
use crate::scrub::Clean;

/// What goes back to the client. Made only from a durable record, or from the audit's own word that none can be made.
#[derive(Debug)]
pub struct Reply {
    body: Body,
    request_id: uuid::Uuid,
    receipt: Option<ReplyReceipt>,
}

/// What a reply says.
#[derive(Debug)]
pub enum Body {
    /// The tool's answer, structured and as JSON text.
    Answer {
        /// For clients that read structured content.
        structured: Clean<Value>,
        /// The same, as text.
        text: Clean<String>,
    },
    /// Why there is no answer.
    Refusal {
        /// Which of the closed set.
        code: Code,
        /// What was wrong.
        message: Clean<String>,
        /// What to do.
        hint: Clean<String>,
        /// The policy rule that decided, where one did.
        rule: Option<Clean<String>>,
        /// When to try again.
        retry_after_s: Option<u64>,
    },
}

/// The place in the chain that a client can keep and hold against the log later.
#[derive(Debug, Clone)]
pub struct ReplyReceipt {
    /// The log's origin.
    pub origin: String,
    /// The entry's number.
    pub seq: u64,
    /// The entry's hash, lower-case hex.
    pub entry_hash: String,
}

impl Reply {
    /// What it says.
    #[must_use]
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// Takes what it says.
    #[must_use]
    pub fn into_body(self) -> Body {
        self.body
    }

    /// The call's id in the log.
    #[must_use]
    pub fn request_id(&self) -> uuid::Uuid {
        self.request_id
    }

    /// The record behind it; `None` for a refusal that is only counted or that no log can take.
    #[must_use]
    pub fn receipt(&self) -> Option<&ReplyReceipt> {
        self.receipt.as_ref()
    }

    pub(super) fn refused(mark: &Mark, refusal: CleanRefusal, proof: Proof) -> Self {
        Self { body: refusal.into(), request_id: mark.re.request_id, receipt: Some(proof.into()) }
    }

    /// A refusal for rate whose record is the count in the next sampled one.
    pub(super) fn counted(mark: &Mark, refusal: CleanRefusal, _counted: Skipped) -> Self {
        Self { body: refusal.into(), request_id: mark.re.request_id, receipt: None }
    }

    /// The log takes nothing: the client hears that and nothing else, in fixed words.
    pub(super) fn unrecordable(mark: &Mark, code: Code, error: AppendError) -> Self {
        // Its detail is in the gateway's log, never here.
        let (code, message) = match (code, error) {
            (Code::ExecutedAuditFailed, _) => (code, "executed, audit failed: the result is withheld"),
            (_, AppendError::Sealed { .. }) => (Code::Sealed, "the audit log is sealed, so nothing was done"),
            _ => (Code::AuditUnavailable, "the audit log cannot take this call, so nothing was done"),
        };
        let hint = Clean::from_fixed(code.hint_in(mark.in_force.policy.settings().language));
        let body = Body::Refusal { code, message: Clean::from_fixed(message), hint, rule: None, retry_after_s: None };
        Self { body, request_id: mark.re.request_id, receipt: None }
    }
}

impl Reply {
    /// No call was answered: the process is ending. What ran has its record, or gets it at the next start.
    pub(super) fn lost() -> Self {
        let code = Code::ShuttingDown;
        let body = Body::Refusal {
            code,
            message: Clean::from_fixed("the gateway is stopping"),
            hint: Clean::from_fixed(code.hint()),
            rule: None,
            retry_after_s: None,
        };
        Self { body, request_id: uuid::Uuid::nil(), receipt: None }
    }
}

impl Call<Recorded> {
    pub(super) fn reply(self) -> Reply {
        let body = match self.stage.result {
            Ok((structured, text)) => Body::Answer { structured, text },
            Err(refusal) => refusal.into(),
        };
        Reply { body, request_id: self.mark.re.request_id, receipt: Some(self.stage.proof.into()) }
    }
}

impl From<CleanRefusal> for Body {
    fn from(r: CleanRefusal) -> Self {
        Self::Refusal { code: r.code, message: r.told.unwrap_or(r.message), hint: r.hint, rule: r.rule, retry_after_s: r.retry_after_s }
    }
}

impl From<Proof> for ReplyReceipt {
    fn from(proof: Proof) -> Self {
        Self { origin: proof.origin().to_owned(), seq: proof.seq(), entry_hash: proof.entry_hash().to_string() }
    }
}
