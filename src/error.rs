//! The closed set of refusals: what a client reads apart from what the log keeps.

mod hints;

use std::time::Duration;

use opsgate_audit::AppendError;
use opsgate_tools::error::{ToolError, ToolErrorKind};
use serde::Serialize;

use crate::policy::Denial;

/// Why a call was refused or failed. Clients, records and metrics all use [`Code::name`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// No valid credential.
    Unauthenticated,
    /// Too many calls in a while.
    RateLimited,
    /// Too many calls at once.
    Busy,
    /// What the caller may use in a day is used up.
    BudgetExhausted,
    /// No such tool for this caller.
    ToolUnavailable,
    /// A tool that exists only to be refused.
    ToolForbidden,
    /// Arguments that do not fit.
    InvalidArguments,
    /// Arguments that name something outside.
    OutOfBounds,
    /// Policy says no.
    PolicyDenied,
    /// Policy wants approvals, which this version cannot collect.
    ApprovalsUnavailable,
    /// The record could not be written, so nothing was done.
    AuditUnavailable,
    /// The log sealed itself; everything is refused.
    Sealed,
    /// It was done, and its outcome could not be written.
    ExecutedAuditFailed,
    /// What was named does not exist.
    NotFound,
    /// The tool cannot work here.
    Unavailable,
    /// What was resolved changed before it ran.
    Moved,
    /// A write whose content holds a secret or the mark of one.
    HoldsSecret,
    /// The answer exceeds every bound.
    OutputTooLarge,
    /// The answer held a secret and the policy withholds such answers whole.
    ExposureWithheld,
    /// The call's time was up.
    TimedOut,
    /// The caller cancelled.
    Cancelled,
    /// The system behind the tool failed.
    UpstreamFailed,
    /// The gateway is stopping.
    ShuttingDown,
    /// A defect of opsgate.
    Internal,
}

impl Code {
    /// Every code with its wire name and what a caller can do about it.
    pub const TABLE: [(Self, &'static str, &'static str); 24] = [
        (Self::Unauthenticated, "unauthenticated", "send `Authorization: Bearer opsgate_…`; `opsgate keys new` makes a key"),
        (Self::RateLimited, "rate_limited", "wait for `retry_after_s` seconds"),
        (Self::Busy, "busy", "wait for running calls to end"),
        (Self::BudgetExhausted, "budget_exhausted", "wait for `retry_after_s` seconds: the day ends at midnight UTC"),
        (Self::ToolUnavailable, "tool_unavailable", "list the tools; `policy_whoami` tells what the policy knows of you"),
        (Self::ToolForbidden, "tool_forbidden", "ask a person to do it"),
        (Self::InvalidArguments, "invalid_arguments", "correct the arguments after the tool's input schema"),
        (Self::OutOfBounds, "out_of_bounds", "stay inside the workspace"),
        (Self::PolicyDenied, "policy_denied", "`policy_explain` tells which rule decided and what would be needed"),
        (Self::ApprovalsUnavailable, "approvals_unavailable", "this version cannot collect approvals; ask a person to do it"),
        (Self::AuditUnavailable, "audit_unavailable", "nothing was done; an operator must look at the audit log"),
        (Self::Sealed, "sealed", "an operator must look into it and run `opsgate unseal`"),
        (Self::ExecutedAuditFailed, "executed_audit_failed", "it ran, but its outcome could not be recorded; an operator must look"),
        (Self::NotFound, "not_found", "check the name"),
        (Self::Unavailable, "unavailable", "the message says what is missing"),
        (Self::Moved, "moved", "look again and repeat the call"),
        (Self::HoldsSecret, "holds_secret", "take it out; a secret is put in its place by its own system, never through a model"),
        (Self::OutputTooLarge, "output_too_large", "narrow the request or page through it"),
        (Self::ExposureWithheld, "exposure_withheld", "ask for a part without the secret, and have the secret rotated"),
        (Self::TimedOut, "timed_out", "narrow the request"),
        (Self::Cancelled, "cancelled", "repeat the call if it is still wanted"),
        (Self::UpstreamFailed, "upstream_failed", "try again later"),
        (Self::ShuttingDown, "shutting_down", "repeat the call; the next gateway answers it"),
        (Self::Internal, "internal", "the gateway's log has the detail under this request id"),
    ];

    /// The wire name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::TABLE.iter().find(|row| row.0 == self).map_or("internal", |row| row.1)
    }

    /// What a caller can do about it.
    #[must_use]
    pub fn hint(self) -> &'static str {
        Self::TABLE.iter().find(|row| row.0 == self).map_or("", |row| row.2)
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// One refusal. `message` is for the client, `detail` for the log alone; both are scrubbed before they go anywhere.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// Which of the closed set.
    pub code: Code,
    /// For the client: lower case, the value in backticks, what to do.
    pub message: String,
    /// The same for the client in the policy's language, where that is another: the log keeps `message`, which is English.
    pub told: Option<Box<str>>,
    /// What to do instead, where the code's own hint is not the best one.
    pub hint: Option<Box<str>>,
    /// For the log.
    pub detail: Option<String>,
    /// The policy rule that decided, where one did.
    pub rule: Option<Box<str>>,
    /// When to try again.
    pub retry_after: Option<Duration>,
    /// Whether the effect may be there all the same.
    pub maybe_done: bool,
}

impl Refusal {
    /// A refusal of this code with this sentence for the client.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), told: None, hint: None, detail: None, rule: None, retry_after: None, maybe_done: false }
    }

    /// Adds when to try again.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Whole seconds to wait, rounded up, at least one.
    #[must_use]
    pub fn retry_after_s(&self) -> Option<u64> {
        self.retry_after.map(|wait| wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).map(|s| s.max(1))
    }
}

impl From<ToolError> for Refusal {
    fn from(error: ToolError) -> Self {
        let code = match error.kind {
            ToolErrorKind::InvalidArguments => Code::InvalidArguments,
            ToolErrorKind::OutOfBounds => Code::OutOfBounds,
            ToolErrorKind::NotFound => Code::NotFound,
            ToolErrorKind::Unavailable => Code::Unavailable,
            ToolErrorKind::Moved => Code::Moved,
            ToolErrorKind::HoldsSecret => Code::HoldsSecret,
            ToolErrorKind::TooLarge => Code::OutputTooLarge,
            ToolErrorKind::Cancelled => Code::Cancelled,
            ToolErrorKind::Upstream => Code::UpstreamFailed,
            ToolErrorKind::Internal => Code::Internal,
        };
        Self { detail: error.detail, retry_after: error.retry_after, maybe_done: error.maybe_done, ..Self::new(code, error.client) }
    }
}

impl From<Denial> for Refusal {
    fn from(denial: Denial) -> Self {
        let (message, told) = denial.sentences();
        let hint = Some(denial.hint).filter(|hint| !hint.is_empty()).map(Into::into);
        Self { told: told.map(Into::into), hint, rule: denial.rule.map(Into::into), ..Self::new(Code::PolicyDenied, message) }
    }
}

impl From<AppendError> for Refusal {
    fn from(error: AppendError) -> Self {
        let (code, message) = match error {
            AppendError::Sealed { .. } => (Code::Sealed, "the audit log is sealed, so nothing was done"),
            _ => (Code::AuditUnavailable, "the audit log cannot take this call, so nothing was done"),
        };
        Self { detail: Some(error.to_string()), ..Self::new(code, message) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_serialises_as_its_wire_name_and_has_a_hint() {
        for (code, name, hint) in Code::TABLE {
            assert_eq!(serde_json::to_value(code).unwrap(), name);
            assert_eq!(code.name(), name);
            assert!(!hint.is_empty(), "{name} says nothing");
        }
    }

    #[test]
    fn waits_are_rounded_up_to_whole_seconds() {
        let wait = |ms| Refusal::new(Code::Busy, "x").retry_after(Duration::from_millis(ms)).retry_after_s();
        assert_eq!((wait(0), wait(1), wait(1000), wait(1001)), (Some(1), Some(1), Some(1), Some(2)));
    }
}
