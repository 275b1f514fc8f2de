//! The door: what opsgate does before anything else when it was started as a part of the sandbox.

use super::{inside, supervisor};

/// The first argument of a process that is a part of the sandbox.
pub(super) const SUPERVISE: &str = "sandbox-enter";
/// Its second argument in the process that becomes the command; the supervisor's number comes after it.
pub(super) const INSIDE: &str = "inside";

/// Where this process was started to enter the sandbox, does that and never returns; else does nothing.
///
/// To be called first thing in `main`: before arguments are read, and before there is a second thread, since what a
/// thread gives up it gives up for itself alone.
pub fn enter() {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_none_or(|first| first != SUPERVISE) {
        return;
    }
    let code = match args.next() {
        Some(second) if second == INSIDE => inside::become_the_command(args.next().and_then(|parent| parent.to_str()?.parse().ok())),
        _ => supervisor::supervise(),
    };
    std::process::exit(code);
}
