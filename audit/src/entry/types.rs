//! The table of entry types.

/// Whether entries of a type belong to a call and carry its ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ids {
    Required,
    Optional,
    Absent,
}

/// The name of an entry type that this version of the writer writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Genesis,
    Intent,
    Outcome,
    Refused,
    Recovered,
    Event(EventKind),
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Genesis => "genesis",
            Self::Intent => "call.intent",
            Self::Outcome => "call.outcome",
            Self::Refused => "call.refused",
            Self::Recovered => "log.recovered",
            Self::Event(event) => event.name(),
        }
    }
}

/// How a call ended. Written as `outcome` in the entry's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It did what it was for.
    Ok,
    /// It failed, and that is certain.
    Error,
    /// Nobody can say whether it had its effect.
    Indeterminate,
}

impl Outcome {
    /// Its word in the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Indeterminate => "indeterminate",
        }
    }
}

/// Entries that are neither calls nor the log's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// A policy took effect.
    PolicyLoaded,
    /// A policy was offered and did not take effect.
    PolicyRejected,
    /// Nothing happened, and that is a fact too.
    Heartbeat,
    /// The wall clock jumped.
    ClockJump,
    /// Someone must approve.
    ApprovalRequested,
    /// Someone approved.
    ApprovalGranted,
    /// Someone said no.
    ApprovalDenied,
    /// Nobody answered in time.
    ApprovalExpired,
    /// A grant was taken back.
    ApprovalRevoked,
    /// A grant was spent on its one run.
    ApprovalUsed,
}

impl EventKind {
    /// Its `type` in the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PolicyLoaded => "policy.loaded",
            Self::PolicyRejected => "policy.rejected",
            Self::Heartbeat => "heartbeat",
            Self::ClockJump => "clock.jump",
            Self::ApprovalRequested => "approval.requested",
            Self::ApprovalGranted => "approval.granted",
            Self::ApprovalDenied => "approval.denied",
            Self::ApprovalExpired => "approval.expired",
            Self::ApprovalRevoked => "approval.revoked",
            Self::ApprovalUsed => "approval.used",
        }
    }
}

/// Every type a reader accepts. `approval.` stands for all that begin so.
const TYPES: &[(&str, Ids)] = &[
    ("call.intent", Ids::Required),
    ("call.outcome", Ids::Required),
    ("call.refused", Ids::Required),
    ("genesis", Ids::Absent),
    ("policy.loaded", Ids::Optional),
    ("policy.rejected", Ids::Absent),
    ("heartbeat", Ids::Absent),
    ("clock.jump", Ids::Absent),
    ("key.rotated", Ids::Optional),
    ("segment.begin", Ids::Absent),
    ("segment.end", Ids::Absent),
    ("log.recovered", Ids::Optional),
    ("log.restored", Ids::Optional),
    ("data.erased", Ids::Optional),
    ("log.pruned", Ids::Optional),
];

/// Whether a type may, must or must not carry a call's ids; `None` for a type that is not in the table.
pub(crate) fn ids_of(name: &str) -> Option<Ids> {
    if let Some(rest) = name.strip_prefix("approval.") {
        let word = !rest.is_empty() && rest.len() <= 32 && rest.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        return word.then_some(Ids::Optional);
    }
    TYPES.iter().find(|(known, _)| *known == name).map(|(_, ids)| *ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_that_is_written_is_one_that_is_read() {
        use EventKind::*;
        let events = [
            PolicyLoaded,
            PolicyRejected,
            Heartbeat,
            ClockJump,
            ApprovalRequested,
            ApprovalGranted,
            ApprovalDenied,
            ApprovalExpired,
            ApprovalRevoked,
            ApprovalUsed,
        ];
        let kinds = [Kind::Genesis, Kind::Intent, Kind::Outcome, Kind::Refused, Kind::Recovered];
        for kind in events.map(Kind::Event).into_iter().chain(kinds) {
            assert!(ids_of(kind.name()).is_some(), "{}", kind.name());
        }
        for unknown in ["", "call", "approval.", "approval.A", "Genesis", "heartbeat "] {
            assert!(ids_of(unknown).is_none(), "{unknown}");
        }
    }
}
