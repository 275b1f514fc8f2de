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
    ANSWER.get_or_init(|| judged(&Machine::of_here())).clone()
}

/// What is asked of a machine.
#[derive(Debug, Clone)]
struct Machine {
    architecture: &'static str,
    /// Why it has not all of Landlock that is asked for.
    landlock: Result<(), String>,
    /// What it says of this process.
    status: String,
}

impl Machine {
    fn of_here() -> Self {
        Self { architecture: std::env::consts::ARCH, landlock: landlock(), status: std::fs::read_to_string("/proc/self/status").unwrap_or_default() }
    }
}

fn judged(machine: &Machine) -> Result<Support, Missing> {
    TargetArch::try_from(machine.architecture).map_err(|_| Missing::Architecture(machine.architecture))?;
    machine.landlock.clone().map_err(Missing::Landlock)?;
    if machine.status.lines().any(|line| line.starts_with("Seccomp:")) { Ok(Support) } else { Err(Missing::Seccomp) }
}

fn landlock() -> Result<(), String> {
    // Made and thrown away: it restricts only what asks to be restricted by it.
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(NEEDED))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(NEEDED)))
        .and_then(|rules| rules.scope(Scope::from_all(NEEDED)))
        .and_then(Ruleset::create)
        .map(drop)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_missing_piece_is_reported() {
        let whole = Machine { architecture: "x86_64", landlock: Ok(()), status: "Name:\tx\nSeccomp:\t0\n".to_owned() };
        assert_eq!(judged(&whole), Ok(Support));
        let without = [
            (Machine { architecture: "vax", ..whole.clone() }, Missing::Architecture("vax")),
            (Machine { landlock: Err("too old".into()), ..whole.clone() }, Missing::Landlock("too old".into())),
            (Machine { status: "Name:\tx\n".into(), ..whole.clone() }, Missing::Seccomp),
            (Machine { status: String::new(), ..whole }, Missing::Seccomp),
        ];
        for (machine, missing) in without {
            assert_eq!(judged(&machine), Err(missing), "{machine:?}");
        }
    }

    #[test]
    fn what_is_missing_is_told_in_words() {
        for missing in [Missing::Landlock("x".into()), Missing::Seccomp, Missing::Architecture("vax"), Missing::Entry] {
            assert!(missing.to_string().starts_with("commands do not run here: "), "{missing}");
        }
    }
}
