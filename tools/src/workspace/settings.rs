//! What policy sets for the workspace's write tools.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

/// What `systems.workspace` of the policy says about writing, and where the sandbox's entry is.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The commands that may run, by name.
    pub commands: BTreeMap<String, Command>,
    /// Who commits.
    pub author: Author,
    /// The program that enters the sandbox and then becomes the command: opsgate itself. Without it no command runs.
    pub entry: Option<PathBuf>,
}

/// The author of a commit that a caller asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Author {
    /// As in `Name <email>`.
    pub name: String,
    /// As in `Name <email>`.
    pub email: String,
}

impl Default for Author {
    fn default() -> Self {
        Self { name: "opsgate".to_owned(), email: "opsgate@localhost".to_owned() }
    }
}

/// A command that a workspace declares: what `run_tests` and `install_dependency` may run, in a sandbox. No shell reads it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Command {
    /// The program and its arguments. One argument may be `{dependency}`: then it is a command of `install_dependency`, else one of `run_tests`.
    pub argv: Vec<String>,
    /// Whether it has a network.
    pub network: bool,
    /// How long it may run.
    pub timeout: Option<Duration>,
    /// How many bytes its processes may hold together.
    pub memory: Option<u64>,
    /// Files and folders of the workspace that it may write, relative to the root.
    pub writable: Vec<String>,
    /// Whole paths outside of the workspace that it may read, such as a toolchain's or a cache's.
    pub readable: Vec<String>,
    /// Variables of its environment beside `PATH`, `HOME`, `TMPDIR` and `LANG`.
    pub env: BTreeMap<String, String>,
    /// Where it leaves a JUnit XML report, relative to the root.
    pub report: Option<String>,
}

/// What stands in `argv` for the dependency that is asked for.
pub const DEPENDENCY: &str = "{dependency}";
