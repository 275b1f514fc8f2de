//! `opsgate policy`: one file a command.

mod check;
mod diff;
mod explain;
mod matrix;
mod replay;
mod schema;
mod test;

use std::path::Path;

use super::{Failure, WorkspaceArg, exit, out};
use crate::gateway::load_policy;
use crate::home::Settings;
use crate::policy::{Catalogue, Policy, PolicyErrors};

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Read a policy and report every error and warning
    #[command(after_help = "Example: opsgate policy check policy.yaml")]
    Check(check::Args),
    /// Say how a call would be decided, and by which rules
    #[command(after_help = "Example: opsgate policy explain workspace_read_file --caller key:ci --args '{\"path\": \".env\"}'")]
    Explain(explain::Args),
    /// Decide the calls of a log again: as they were decided, or under a policy that is to be deployed
    #[command(after_help = "A call is decided alike where the answer, the approvals it needs and whether it runs for real are the same.\n\
Exit codes: 0 all are decided alike, 1 one is decided otherwise or cannot be decided again, or the log does not verify, 64 there is no log or the policy does not \
load.\n\nExample: opsgate policy replay --log ~/.local/state/opsgate/audit --policy new.yaml")]
    Replay(replay::Args),
    /// Run a policy's unit tests: calls with the decision that is expected of each
    #[command(after_help = "Example: opsgate policy test policy.test.yaml --require-coverage")]
    Test(test::Args),
    /// Show who may call what: callers, tools, and on what it depends
    #[command(
        after_help = "A cell says `yes`, `some` (by which kinds of things), `approval`, `some approval` or `no`; numbers lead to the reasons below.\nArguments are \
samples made from the policy's globs, one of each kind a call, and some that no glob matches. What the rules and other entries say follows, so that\n\
a glob that changes changes this text too.\nExit codes: 0 all combinations were tried, 1 there were too many.\n\nExample: opsgate policy matrix policy.yaml --caller 'key:*'"
    )]
    Matrix(matrix::Args),
    /// Print the JSON Schema of a policy, with which an editor completes and checks one
    #[command(
        after_help = "For an editor with the YAML language server, begin the policy with `# yaml-language-server: $schema=policy.schema.json`.\n\n\
Example: opsgate policy schema > policy.schema.json"
    )]
    Schema(schema::Args),
    /// Say whose permissions change from one policy to another, what is wider first
    #[command(
        after_help = "First come the rules and other entries that differ, all of them and as they are written; `may be wider` is a deny rule or glob that goes, an allow\n\
rule or glob that comes, and the like. Then whose permissions change, by samples: calls made from every glob of both policies and some that no\n\
glob matches, with one value of each kind. `weaker` is what makes approvals, limits and records easier to get round.\n\
Exit codes: 0 nothing changes, 1 something does, 64 one of them does not load.\n\nExample: opsgate policy diff policy.yaml policy.new.yaml"
    )]
    Diff(diff::Args),
}

pub(super) async fn run(settings: &Settings, command: Command) -> Result<u8, Failure> {
    match command {
        Command::Check(args) => check::run(settings, args),
        Command::Explain(args) => explain::run(settings, args).await,
        Command::Replay(args) => replay::run(settings, args),
        Command::Test(args) => test::run(settings, &args),
        Command::Matrix(args) => matrix::run(settings, &args),
        Command::Schema(args) => schema::run(&args),
        Command::Diff(args) => diff::run(&args),
    }
}

/// The policy of a file, else the one that the gateway would use.
fn load(settings: &Settings, file: Option<&Path>, catalogue: &Catalogue) -> Result<Policy, PolicyErrors> {
    match file {
        Some(file) => Policy::load(file, catalogue),
        None => load_policy(settings, catalogue),
    }
}

/// A failure of what the machine or its owner set up.
fn bad(error: impl std::fmt::Display) -> Failure {
    Failure::new(exit::BAD_CONFIGURATION, error)
}
