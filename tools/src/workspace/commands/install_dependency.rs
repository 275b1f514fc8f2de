//! `workspace_install_dependency`: a declared package manager, in the sandbox and on a copy of the workspace.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use opsgate_audit::{Durable, Receipt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::dependency::{Dependency, Ecosystem};
use super::feed::Feed;
use super::lockfile::{self, Pinned};
use super::run;
use super::scratch::Scratch;
use crate::error::{ToolError, ToolErrorKind};
use crate::progress::Progress;
use crate::sandbox::{How, Sandbox, tail_lines};
use crate::scope::{OutputFilter, ScopeKind, Scopes};
use crate::tool::{CallContext, Card, Preview, WriteTool};
use crate::workspace::path::RepoPath;
use crate::workspace::repository::blocking;
use crate::workspace::root::Workspace;
use crate::workspace::settings::{Command, DEPENDENCY};

/// The command that runs where the caller names none and several are declared.
const DEFAULT: &str = "install";
/// More names are counted by the last one.
const MOST_NAMES: usize = 200;
/// So many files of a folder are named.
const FEW: usize = 10;

/// Runs the commands that are declared with a dependency.
pub(super) struct InstallDependency {
    commands: BTreeMap<String, Command>,
    sandbox: Option<Sandbox>,
}

impl InstallDependency {
    /// Without a sandbox it runs nothing.
    pub(super) fn new(commands: &BTreeMap<String, Command>, sandbox: Option<Sandbox>) -> Self {
        let commands = commands.iter().filter(|(_, command)| command.argv.iter().any(|part| part == DEPENDENCY));
        Self { commands: commands.map(|(name, command)| (name.clone(), command.clone())).collect(), sandbox }
    }

    /// Whether there is anything to run.
    pub(super) fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    fn named(&self, name: Option<String>) -> Result<(String, Command), ToolError> {
        let name = match (name, self.commands.keys().next()) {
            (Some(name), _) => name,
            (None, Some(only)) if self.commands.len() == 1 => only.clone(),
            (None, _) => DEFAULT.to_owned(),
        };
        let command = run::declared(&self.commands, &name)?;
        Ok((name, command))
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = crate::lean::lean)]
pub(super) struct Args {
    name: String,
    version: Option<String>,
    command: Option<String>,
}

pub(super) struct Target {
    name: String,
    command: Command,
    argv: Vec<String>,
    dependency: Dependency,
    declared: Vec<RepoPath>,
    sandbox: Sandbox,
    workspace: Arc<Workspace>,
    cancel: CancellationToken,
    progress: Progress,
}

#[derive(Serialize, JsonSchema)]
#[schemars(transform = crate::lean::lean)]
pub(super) struct Output {
    /// nothing is changed unless it exited with 0
    ended: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    installed_version: Option<String>,
    dependencies_added: Vec<String>,
    files_changed: Vec<String>,
    duration_ms: u64,
    output: String,
}

impl WriteTool for InstallDependency {
    const CARD: Card = crate::workspace::card(
        "workspace_install_dependency",
        "Install a dependency",
        "Add a package by a declared command, in a sandbox; only declared files change.",
        0.5,
    );
    const DESTRUCTIVE: bool = true; // declared files are replaced
    type Args = Args;
    type Target = Target;
    type Output = Output;

    async fn resolve(&self, args: Args, cx: &CallContext) -> Result<(Target, Scopes), ToolError> {
        let workspace = cx.workspace()?;
        let sandbox = run::sandbox(self.sandbox.as_ref())?;
        let (name, command) = self.named(args.command)?;
        let dependency = Dependency::parse(&args.name, args.version.as_deref(), Ecosystem::of(&command.argv))?;
        let argument = dependency.argument();
        let argv = command.argv.iter().map(|part| if part == DEPENDENCY { argument.clone() } else { part.clone() }).collect();
        let declared = command.writable.iter().map(|path| RepoPath::parse(path)).collect::<Result<Vec<_>, _>>()?;
        let (cancel, progress) = (cx.cancel.clone(), cx.progress.clone());
        blocking(move || {
            let scopes = workspace.scope()?.and(ScopeKind::Method, name.as_str());
            let kinds = [ScopeKind::Path, ScopeKind::Tree];
            let scopes = declared.iter().fold(scopes, |scopes, path| workspace.locate(path.clone()).scoped(scopes, &kinds));
            Ok((Target { name, command, argv, dependency, declared, sandbox, workspace, cancel, progress }, scopes))
        })
        .await
    }

    fn time(&self, target: &Target) -> Option<Duration> {
        Some(run::call_time(&target.command))
    }

    fn reference(output: &Output) -> Option<String> {
        (!output.files_changed.is_empty()).then(|| format!("{}; {}", output.dependencies_added.join(" "), output.files_changed.join(" ")))
    }

    async fn preview(&self, target: &Target, _filter: &OutputFilter) -> Result<Preview, ToolError> {
        let summary = format!("runs `{}` in a sandbox, on a copy: {}", target.name, target.argv.join(" "));
        let shown = Command { argv: target.argv.clone(), ..target.command.clone() };
        Ok(Preview { summary, change: run::described(&shown, json!("a copy of the files that policy shows; of it, `writes` are brought back")) })
    }

    async fn write(&self, target: Target, filter: &OutputFilter, _receipt: Receipt<Durable>) -> Result<Output, ToolError> {
        let Target { command, argv, dependency, declared, sandbox, workspace, cancel, progress, .. } = target;
        let (scratch, before, job) = {
            let (workspace, filter, cancel, copied) = (workspace.clone(), filter.clone(), cancel.clone(), declared.clone());
            blocking(move || {
                run::in_its_place(&workspace)?;
                let scratch = Scratch::copy(&workspace, copied, &filter, &cancel)?;
                let before = pinned(&scratch);
                let job = run::job(scratch.root(), &command, argv, scratch.grants()?)?;
                Ok((scratch, before, job))
            })
            .await?
        };
        let mut feed = Feed::new(filter.clone(), progress);
        let ended = sandbox.run(job, &cancel, |fresh| feed.take(fresh)).await?;
        if ended.how == How::Cancelled {
            return Err(ToolError::new(ToolErrorKind::Cancelled, "the call was cancelled; nothing was changed"));
        }
        let filter = filter.clone();
        blocking(move || {
            let text = ended.output.shown(|text| filter.redacted(text));
            let duration_ms = u64::try_from(ended.duration.as_millis()).unwrap_or(u64::MAX);
            let (told, exit_code) = run::told(ended.how);
            let output = tail_lines(&text, filter.output_bytes() / 4).to_owned();
            let nothing = Output {
                ended: told,
                exit_code,
                installed_version: None,
                dependencies_added: Vec::new(),
                files_changed: Vec::new(),
                duration_ms,
                output,
            };
            if ended.how != How::Exited(0) {
                return Ok(nothing);
            }
            run::in_its_place(&workspace)?;
            let changed = scratch.changed(&workspace, &filter, &cancel)?;
            let after = pinned(&scratch);
            scratch.bring_back(&workspace, &changed)?;
            let said = lockfile::said(&text);
            let added: Pinned = if after.is_empty() { said.clone() } else { after.difference(&before).cloned().collect() };
            Ok(Output {
                installed_version: lockfile::version_of(&dependency, &added, &after).or_else(|| lockfile::version_of(&dependency, &said, &said)),
                dependencies_added: named(added.iter().map(|(name, version)| format!("{name}@{version}"))),
                files_changed: named(summed(&declared, changed.iter().map(|change| change.path.as_str())).into_iter()),
                ..nothing
            })
        })
        .await
    }
}

/// What the declared lock files of the copy pin.
fn pinned(scratch: &Scratch) -> Pinned {
    let files: std::collections::BTreeSet<_> = scratch.declared_files().filter(|path| lockfile::is_known(path.as_str())).collect();
    files.into_iter().filter_map(|path| lockfile::pinned(path.as_str(), &scratch.text(path)?)).flatten().collect()
}

/// Each path; of a declared folder with many, their number.
fn summed<'a>(declared: &[RepoPath], changed: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for path in changed {
        let folder = declared.iter().find(|folder| folder.covers(path)).map_or(path, RepoPath::as_str);
        groups.entry(folder).or_default().push(path);
    }
    let told = |(folder, paths): (&str, Vec<&str>)| match paths.len() {
        count if count > FEW => vec![format!("{folder}/ ({count} files)")],
        _ => paths.into_iter().map(str::to_owned).collect(),
    };
    groups.into_iter().flat_map(told).collect()
}

/// So many, and how many more.
fn named(names: impl ExactSizeIterator<Item = String>) -> Vec<String> {
    let more = names.len().saturating_sub(MOST_NAMES);
    let rest = (more > 0).then(|| format!("… and {more} more"));
    names.take(MOST_NAMES).chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_files_of_a_folder_are_told_by_their_number() {
        let declared = ["lock", "lib"].map(|path| RepoPath::parse(path).unwrap());
        let many: Vec<String> = (0..11).map(|n| format!("lib/{n}")).collect();
        let changed = |count: usize| summed(&declared, many.iter().take(count).map(String::as_str).chain(["lock"]));
        assert_eq!(changed(2), ["lib/0", "lib/1", "lock"]);
        assert_eq!(changed(11), ["lib/ (11 files)", "lock"]);
        assert_eq!(named((0..201).map(|n| n.to_string())).last().unwrap(), "… and 1 more");
    }

    #[test]
    fn the_only_command_is_meant_where_none_is_named() {
        let command = Command { argv: vec!["x".into(), DEPENDENCY.into()], ..Command::default() };
        let tool = |names: &[&str]| InstallDependency::new(&names.iter().map(|name| ((*name).to_owned(), command.clone())).collect(), None);
        assert_eq!(tool(&["add"]).named(None).unwrap().0, "add");
        assert_eq!(tool(&["add", "install"]).named(None).unwrap().0, "install");
        assert!(tool(&["add", "get"]).named(None).is_err() && tool(&["add"]).named(Some("x".into())).is_err());
    }
}
