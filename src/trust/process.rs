//! The gateway's own process: nobody of its user attaches to it or reads its memory, environment or core.

use std::path::Path;

use rustix::process::{DumpableBehavior, Resource, Rlimit};

/// Closes this process to others of the same user: no `ptrace`, no `/proc/PID/mem` or `environ`, no core file. Root still can.
///
/// What it starts by `exec` is not closed by this.
///
/// # Errors
/// Where the kernel refuses.
// INVARIANT: a gateway is closed before it reads a credential (test: tests/setup.rs,
// a_gateway_of_ones_own_is_closed_to_debuggers_too).
pub fn unattachable() -> std::io::Result<()> {
    rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// Whether the current user could attach to this process: the kernel lets whoever could do so read its environment.
#[must_use]
pub fn attachable(pid: u32) -> bool {
    std::fs::read(Path::new("/proc").join(pid.to_string()).join("environ")).is_ok()
}
