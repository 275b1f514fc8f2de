//! `opsgate policy`: one file a command.

mod check;
mod explain;
mod replay;
mod test;

use super::{Failure, WorkspaceArg, exit, out};
use crate::home::Settings;

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Read a policy and report every error and warning
    #[command(after_help = "Example: opsgate policy check policy.yaml")]
    Check(check::Args),
    /// Say how a call would be decided, and by which rules
    #[command(after_help = "Example: opsgate policy explain workspace_read_file --caller key:ci --args '{\"path\": \".env\"}'")]
    Explain(explain::Args),
    /// Decide the calls of a log again: as they were decided, or under a policy that is to be deployed
    #[command(after_help = "Example: opsgate policy replay --log ~/.local/state/opsgate/audit --policy new.yaml")]
    Replay(replay::Args),
    /// Run a policy's unit tests: calls with the decision that is expected of each
    #[command(after_help = "Example: opsgate policy test policy.test.yaml --require-coverage")]
    Test(test::Args),
}

pub(super) async fn run(settings: &Settings, command: Command) -> Result<u8, Failure> {
    match command {
        Command::Check(args) => check::run(settings, args),
        Command::Explain(args) => explain::run(settings, args).await,
        Command::Replay(args) => replay::run(settings, args),
        Command::Test(args) => test::run(settings, &args),
    }
}

/// A failure of what the machine or its owner set up.
fn bad(error: impl std::fmt::Display) -> Failure {
    Failure::new(exit::BAD_CONFIGURATION, error)
}
