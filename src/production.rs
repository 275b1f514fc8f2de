//! What `profile: production` refuses of the process that enforces a policy.
//!
//! What is unsafe in the policy itself is found when it is read.

use crate::policy::{Deployment, Policy};

/// What of the process matters.
#[derive(Debug, Clone, Copy, Default)]
pub struct Process {
    /// Whether the gateway is no boundary to its callers: they, or it, could change policy and log.
    pub same_user: bool,
    /// Whether it listens beyond loopback without TLS.
    pub insecure_bind: bool,
}

/// Why a policy for production is not enforced by this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the policy says `profile: production`, which refuses {what}; {help}")]
pub struct Unsafe {
    what: &'static str,
    help: &'static str,
}

/// When something is unsafe, what it is, and what to do.
type Check = (fn(&Policy, &Process) -> bool, &'static str, &'static str);

const CHECKS: [Check; 2] = [
    (
        |policy, process| policy.write_mode() && process.same_user,
        "`write_mode: on` where the gateway is no boundary to its callers",
        "run it under its own user (`opsgate setup`; `opsgate doctor` says what is missing), or write `write_mode: off`",
    ),
    (|_, process| process.insecure_bind, "--insecure-bind", "listen on loopback with a TLS proxy in front"),
];

/// Whether this process may enforce this policy. Asked at the start and of each policy that is loaded later.
///
/// # Errors
/// What is unsafe, and what to do.
pub fn fits(policy: &Policy, process: &Process) -> Result<(), Unsafe> {
    if policy.settings().deployment != Deployment::Production {
        return Ok(());
    }
    let found = CHECKS.iter().find(|(is_unsafe, ..)| is_unsafe(policy, process));
    found.map_or(Ok(()), |(_, what, help)| Err(Unsafe { what, help }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Catalogue;

    #[test]
    fn each_check_refuses_in_production_alone() {
        let cases =
            [("write_mode: on", Process { same_user: true, ..Process::default() }), ("", Process { insecure_bind: true, ..Process::default() })];
        for ((says, process), (_, what, help)) in cases.iter().zip(CHECKS) {
            for (profile, says, process, expected) in [
                ("production", says, process, Err(Unsafe { what, help })),
                ("production", says, &Process::default(), Ok(())),
                ("development", says, process, Ok(())),
            ] {
                let text = format!("version: 1\nprofile: {profile}\n{says}\n");
                let policy = Policy::parse(&text, "policy.yaml", &Catalogue::default()).unwrap();
                assert_eq!(fits(&policy, process), expected, "{profile} {says}");
            }
        }
        let off = Policy::parse("version: 1\nprofile: production\n", "policy.yaml", &Catalogue::default()).unwrap();
        assert_eq!(fits(&off, &cases[0].1), Ok(()), "what writes nothing needs no boundary");
    }
}
