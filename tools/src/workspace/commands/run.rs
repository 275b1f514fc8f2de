//! What the tools that run declared commands share: finding one, its job, and how its end is told.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::reach;
use crate::error::{ToolError, ToolErrorKind};
use crate::sandbox::{Grant, How, Job, Limits, Sandbox, available};
use crate::scope::OutputFilter;
use crate::workspace::path::quoted;
use crate::workspace::root::Workspace;
use crate::workspace::settings::Command;

/// What judging the workspace before, and reading a report after, may take on top of a command's own time.
const AROUND: Duration = Duration::from_secs(15);

/// The sandbox, or why there is none.
pub(super) fn sandbox(sandbox: Option<&Sandbox>) -> Result<Sandbox, ToolError> {
    sandbox.cloned().ok_or_else(|| {
        let why = available().map_or_else(|missing| missing.to_string(), |_| "commands do not run here: this opsgate has no sandbox".to_owned());
        ToolError::new(ToolErrorKind::Unavailable, why)
    })
}

/// The declared command of this name.
pub(super) fn declared(commands: &BTreeMap<String, Command>, name: &str) -> Result<Command, ToolError> {
    commands.get(name).cloned().ok_or_else(|| {
        let names: Vec<_> = commands.keys().map(|name| format!("`{name}`")).collect();
        let known = if names.is_empty() { "the policy declares none".to_owned() } else { format!("declared are {}", names.join(", ")) };
        ToolError::invalid(format!("no command {} is declared; {known}", quoted(name)))
    })
}

/// How long a call that runs this command may take.
pub(super) fn call_time(command: &Command) -> Duration {
    limits(command).time + AROUND
}

fn limits(command: &Command) -> Limits {
    let usual = Limits::default();
    Limits { time: command.timeout.unwrap_or(usual.time), memory: command.memory.unwrap_or(usual.memory), ..usual }
}

/// What a command would run with, for a preview.
pub(super) fn described(command: &Command, reads: Value) -> Value {
    let limits = limits(command);
    json!({
        "argv": command.argv,
        "reads": reads,
        "also_reads": command.readable,
        "writes": command.writable,
        "network": command.network,
        "env": command.env.keys().collect::<Vec<_>>(),
        "timeout_seconds": limits.time.as_secs(),
        "memory_bytes": limits.memory,
        "processes": limits.processes,
    })
}

/// Whether the workspace's folder is the one that policy judged by its name.
pub(super) fn in_its_place(workspace: &Workspace) -> Result<(), ToolError> {
    if workspace.is_in_place() {
        return Ok(());
    }
    Err(ToolError::new(ToolErrorKind::Moved, "the workspace's folder is no longer where it was; connect again"))
}

/// The job of a command that runs in the workspace itself.
pub(super) fn in_place(workspace: &Workspace, command: &Command, filter: &OutputFilter, cancel: &CancellationToken) -> Result<Job, ToolError> {
    in_its_place(workspace)?;
    let grants = reach::grants((workspace.dir(), workspace.root_path()), command, filter, cancel)?;
    job(workspace.dir(), command, command.argv.clone(), grants)
}

/// The job of a command in this folder.
pub(super) fn job(folder: impl AsFd, command: &Command, argv: Vec<String>, grants: Vec<Grant>) -> Result<Job, ToolError> {
    Ok(Job {
        folder: folder.as_fd().try_clone_to_owned().map_err(ToolError::internal)?,
        argv,
        env: command.env.clone(),
        network: command.network,
        grants,
        readable: command.readable.iter().map(PathBuf::from).collect(),
        limits: limits(command),
    })
}

/// How a command ended, as an answer says it, and its exit code where it had one.
pub(super) fn told(how: How) -> (&'static str, Option<i32>) {
    match how {
        How::Exited(code) => ("exited", Some(code)),
        How::Signalled(_) => ("signalled", None),
        How::TimedOut => ("timed_out", None),
        How::TooMuchMemory => ("too_much_memory", None),
        How::TooMuchDisk => ("too_much_disk", None),
        How::TooManyProcesses => ("too_many_processes", None),
        How::Cancelled => ("cancelled", None),
    }
}
