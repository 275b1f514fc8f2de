//! What a person types. Each command has a file; everything a person sees also exists as JSON.

mod call;
mod demo;
mod doctor;
pub mod exit;
mod keys;
mod out;
mod policy;
mod serve;
mod setup;
mod stdio;
mod tools;
mod unseal;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory, Parser, Subcommand};

use crate::gateway::Gateway;
use crate::home::{Home, Settings, SettingsError, service};
use crate::observe::log;
use crate::scrub::Scrubber;
use crate::trust::unattachable;

pub use exit::Failure;

/// DevOps tools for AI clients, behind a policy, approvals, scrubbing and a tamper-evident log.
#[derive(Parser)]
#[command(name = "opsgate", version, about, arg_required_else_help = true, after_help = EXIT_CODES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 ok · 1 a refusal or a finding · 2 wrong usage · 64 bad configuration · 70 the log is sealed · \
75 another gateway holds the home\n\nExample: opsgate demo";

#[derive(Subcommand)]
enum Command {
    /// Speak MCP on standard input and output, for an editor or an agent
    #[command(after_help = "Example: claude mcp add opsgate -- opsgate stdio")]
    Stdio(stdio::Args),
    /// Run the gateway of a home: its socket and, unless told otherwise, HTTP at /mcp
    #[command(after_help = "SIGHUP reads the policy again at once; a changed file is adopted by itself within seconds. A bad one changes \
nothing: the last good policy stays.\n\nExample: opsgate serve --workspace ~/src/app")]
    Serve(serve::Args),
    /// Call one tool, on the same path as a client's call
    #[command(after_help = "Example: opsgate call workspace_git_log --args '{\"limit\": 3}'")]
    Call(call::Args),
    /// List the tools a caller may use
    #[command(after_help = "Example: opsgate tools --as key:ci-main")]
    Tools(tools::Args),
    /// Check and explain the policy
    #[command(subcommand, after_help = "Example: opsgate policy check policy.yaml")]
    Policy(policy::Command),
    /// Make, list and revoke API keys
    #[command(subcommand, after_help = "Example: opsgate keys new --caller ci-main")]
    Keys(keys::Command),
    /// Reopen a sealed log after looking into why it sealed
    #[command(after_help = "Example: opsgate unseal")]
    Unseal(unseal::Args),
    /// Install the gateway under a user of its own, or verify that it is; as root
    #[command(after_help = "Example: sudo opsgate setup --agent ana --approver ben --workspace /home/ana/src/app")]
    Setup(setup::Args),
    /// Say how the gateway stands to you, what is missing, and which ways round it you hold
    #[command(after_help = "Example: opsgate doctor --json")]
    Doctor(doctor::Args),
    /// A guided tour: a real client, a real repository, real refusals, in a home of its own
    #[command(after_help = "Example: opsgate demo")]
    Demo(demo::Args),
    /// Print completions for a shell
    #[command(after_help = "Example: opsgate completions bash > /etc/bash_completion.d/opsgate")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// The folder a command works on.
#[derive(clap::Args)]
struct WorkspaceArg {
    /// The git repository to work on [default: the current one]
    #[arg(long, value_name = "DIR")]
    workspace: Option<PathBuf>,
}

/// Reads the arguments, runs the command, and says how it went.
#[must_use]
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print(); // a closed terminal
            return if error.use_stderr() { exit::code(exit::USAGE) } else { ExitCode::SUCCESS };
        }
    };
    match run_command(cli.command) {
        Ok(exit::OK) if out::failed() => {
            out::complain("standard output could not be written");
            exit::code(exit::FINDING)
        }
        Ok(code) => exit::code(code),
        Err(failure) => {
            out::complain(&failure.message);
            exit::code(failure.exit)
        }
    }
}

fn run_command(command: Command) -> Result<u8, Failure> {
    if let Command::Completions { shell } = command {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "opsgate", &mut script);
        out::say(String::from_utf8_lossy(&script).trim_end());
        return Ok(exit::OK);
    }
    log::init(Scrubber::new(Vec::new()));
    let settings = Settings::from_env()?;
    match command {
        Command::Stdio(args) => in_runtime(stdio::run(&settings, args)),
        Command::Serve(args) => in_runtime(serve::run(settings, args)),
        Command::Call(args) => in_runtime(call::run(&settings, args)),
        Command::Tools(args) => in_runtime(tools::run(settings, &args)),
        Command::Policy(command) => in_runtime(policy::run(&with_its_policy(settings), command)),
        Command::Keys(command) => keys::run(&settings, command),
        Command::Unseal(args) => unseal::run(&settings, &args),
        Command::Setup(args) => setup::run(args),
        Command::Doctor(args) => in_runtime(doctor::run(&settings, &args)),
        Command::Demo(args) => in_runtime(demo::run(args)),
        Command::Completions { .. } => Ok(exit::OK),
    }
}

/// Opens the gateway in a process that nobody can attach to, before it holds anything worth attaching for.
fn open_closed(settings: &Settings) -> Result<Arc<Gateway>, Failure> {
    unattachable().map_err(|error| Failure::new(exit::BAD_CONFIGURATION, format!("the process cannot be closed to debuggers: {error}")))?;
    Ok(Gateway::open(settings)?)
}

/// The home that a command works on. Where the machine has a gateway, its home is meant, and that is only its user's to open.
fn own_home(settings: &Settings, command: &str) -> Result<Home, Failure> {
    if let (false, Some(socket)) = (settings.home_named, settings.service()) {
        let name = service::name_of(&socket);
        let home = service::home_folder(&name);
        let message = format!(
            "this machine's gateway has a home and a user of its own; run `sudo -u {name} OPSGATE_HOME={} opsgate {command}`",
            home.display()
        );
        return Err(Failure::new(exit::BAD_CONFIGURATION, message));
    }
    Ok(Home::open(&settings.home)?)
}

/// With the policy of the machine's gateway, where that is the one that is meant.
fn with_its_policy(mut settings: Settings) -> Settings {
    if let (false, None, Some(socket)) = (settings.home_named, &settings.policy, settings.service()) {
        settings.policy = Some(service::etc_folder(&service::name_of(&socket)).join("policy.yaml"));
    }
    settings
}

fn in_runtime(work: impl Future<Output = Result<u8, Failure>>) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| Failure::new(exit::FINDING, error))?;
    let result = runtime.block_on(work);
    // A thread that reads a terminal or a repository may still be at it; nobody waits for it.
    runtime.shutdown_background();
    result
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        Self::new(exit::BAD_CONFIGURATION, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound_and_every_command_shows_an_example() {
        let cli = Cli::command();
        cli.clone().debug_assert();
        for command in cli.get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Example: "), "`{}` has no example", command.get_name());
        }
    }
}
