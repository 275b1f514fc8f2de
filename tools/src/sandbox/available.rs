//! Whether this machine can hold a command.

use std::fmt;
use std::sync::OnceLock;

use landlock::{ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, Scope};
use seccompiler::TargetArch;

/// The Landlock that is asked for in full: files, TCP, devices, signals and abstract sockets.
pub(super) const NEEDED: ABI = ABI::V6;

/// What this machine holds a command with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Support;

impl fmt::Display for Support {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("commands run in a sandbox (Landlock with files, TCP, devices, signals and sockets; seccomp)")
    }
}

/// Why no command can run here: a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// The kernel has no Landlock, or one that guards less.
    #[error(
        "commands do not run here: the kernel's Landlock is missing or too old ({0}); Linux 6.12 with `landlock` among its security modules has it"
    )]
    Landlock(String),
    /// The kernel has no seccomp filters.
    #[error("commands do not run here: the kernel has no seccomp filters")]
    Seccomp,
    /// System calls have other numbers here.
    #[error("commands do not run here: the sandbox knows x86_64, aarch64 and riscv64, not {0}")]
    Architecture(&'static str),
    /// The program that enters the sandbox is not there.
    #[error("commands do not run here: opsgate's own program is no longer where it was started from; restart it")]
    Entry,
}

/// Whether the kernel can hold a command. Asked of the kernel once; changes nothing.
///
/// # Errors
/// What is missing.
pub fn available() -> Result<Support, Missing> {
    static ANSWER: OnceLock<Result<Support, Missing>> = OnceLock::new();
    ANSWER.get_or_init(ask).clone()
}

fn ask() -> Result<Support, Missing> {
    TargetArch::try_from(std::env::consts::ARCH).map_err(|_| Missing::Architecture(std::env::consts::ARCH))?;
    // Made and thrown away: it restricts only what asks to be restricted by it.
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(NEEDED))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(NEEDED)))
        .and_then(|rules| rules.scope(Scope::from_all(NEEDED)))
        .and_then(Ruleset::create)
        .map_err(|error| Missing::Landlock(error.to_string()))?;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if status.lines().any(|line| line.starts_with("Seccomp:")) { Ok(Support) } else { Err(Missing::Seccomp) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_in_words() {
        for missing in [Missing::Landlock("x".into()), Missing::Seccomp, Missing::Architecture("vax"), Missing::Entry] {
            assert!(missing.to_string().starts_with("commands do not run here: "), "{missing}");
        }
    }
}
