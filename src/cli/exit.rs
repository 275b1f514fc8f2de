//! Exit codes, documented in the README and in `--help`.

use std::fmt::Display;
use std::process::ExitCode;

use opsgate_audit::OpenError;

use crate::gateway::StartError;
use crate::home::HomeError;
use crate::in_force::LoadError;
use crate::policy::PolicyErrors;
use crate::server::StartFailed;

/// All went well.
pub const OK: u8 = 0;
/// It ran and found something: a refusal, a damaged log, a bad rule.
pub const FINDING: u8 = 1;
/// The command line makes no sense.
pub const USAGE: u8 = 2;
/// Policy, home or environment cannot be used (`EX_USAGE` of sysexits, as other proxies use it).
pub const BAD_CONFIGURATION: u8 = 64;
/// The log is sealed: everything is refused until `opsgate unseal`.
pub const SEALED: u8 = 70;
/// Another gateway holds the home (`EX_TEMPFAIL`).
pub const LOCKED: u8 = 75;

/// Why a command ends without having done its work.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: u8,
    /// For the person.
    pub message: String,
}

impl Failure {
    /// A failure with this exit code.
    pub fn new(exit: u8, message: impl Display) -> Self {
        Self { exit, message: message.to_string() }
    }
}

/// A code as the process's result.
#[must_use]
pub fn code(code: u8) -> ExitCode {
    ExitCode::from(code)
}

impl From<HomeError> for Failure {
    fn from(error: HomeError) -> Self {
        let exit = if matches!(error, HomeError::Locked { .. }) { LOCKED } else { BAD_CONFIGURATION };
        Self::new(exit, error)
    }
}

impl From<PolicyErrors> for Failure {
    fn from(errors: PolicyErrors) -> Self {
        Self::new(BAD_CONFIGURATION, errors.drawn(super::out::look(&std::io::stderr())))
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Home(error) => error.into(),
            StartError::Policy(LoadError::Policy(errors) | LoadError::Unreadable(errors)) => errors.into(),
            StartError::Audit(OpenError::Sealed { .. }) => Self::new(SEALED, error),
            other => Self::new(BAD_CONFIGURATION, other),
        }
    }
}

impl From<StartFailed> for Failure {
    fn from(error: StartFailed) -> Self {
        match error {
            StartFailed::Home(error) => error.into(),
            StartFailed::Refused { message, exit } => Self { exit, message },
            other => Self::new(BAD_CONFIGURATION, other),
        }
    }
}
