//! A sandbox for one command of a workspace: no shell, a cleared environment, Landlock, seccomp, limits, and an end that
//! takes all of its children.
//!
//! The gateway starts opsgate itself once more ([`enter`]). That process supervises (`supervisor`): it holds the pipe
//! whose end is the gateway's end, and it starts a second one (`inside`), which gives up everything that was not granted
//! and then becomes the command. Nothing of this is undone by what the command does: a Landlock domain and a seccomp
//! filter only ever get narrower.

mod available;
mod calls;
mod capture;
mod enter;
mod group;
mod held;
mod home;
mod inside;
mod job;
mod plain;
mod processes;
mod run;
mod supervisor;
mod system;

pub use available::{Missing, Support, available};
pub use capture::{Output, tail_lines};
pub use enter::enter;
pub use job::{Access, Grant, Job, Limits};
pub use run::{Ended, How, Sandbox};
