//! `workspace_run_tests`: a declared command, in the sandbox, and what its output says of tests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use opsgate_audit::{Durable, Receipt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::feed::Feed;
use super::report::{self, Failure, Report};
use super::run;
use crate::error::{ToolError, ToolErrorKind};
use crate::progress::Progress;
use crate::sandbox::{How, Sandbox, tail_lines};
use crate::scope::{OutputFilter, ScopeKind, Scopes};
use crate::tool::{CallContext, Card, Preview, WriteTool};
use crate::workspace::repository::blocking;
use crate::workspace::root::Workspace;
use crate::workspace::settings::{Command, DEPENDENCY};

/// The command that runs where the caller names none.
const DEFAULT: &str = "test";
/// Failures beyond are counted and not shown.
const MOST_FAILURES: usize = 50;
/// So much of a failure's message, and so much of its details.
const MESSAGE_BYTES: usize = 500;
const DETAILS_BYTES: usize = 4000;

/// Runs the commands that are declared without a dependency.
pub(super) struct RunTests {
    commands: BTreeMap<String, Command>,
    sandbox: Option<Sandbox>,
}

impl RunTests {
    /// Without a sandbox it runs nothing.
    pub(super) fn new(commands: &BTreeMap<String, Command>, sandbox: Option<Sandbox>) -> Self {
        let commands = commands.iter().filter(|(_, command)| !command.argv.iter().any(|part| part == DEPENDENCY));
        Self { commands: commands.map(|(name, command)| (name.clone(), command.clone())).collect(), sandbox }
    }

    /// Whether there is anything to run.
    pub(super) fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = crate::lean::lean)]
pub(super) struct Args {
    /// default `test`
    command: Option<String>,
}

pub(super) struct Target {
    name: String,
    command: Command,
    sandbox: Sandbox,
    workspace: Arc<Workspace>,
    cancel: CancellationToken,
    progress: Progress,
}

#[derive(Serialize, JsonSchema)]
#[schemars(transform = crate::lean::lean)]
pub(super) struct Output {
    /// exited, timed_out, …
    ended: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    passed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<u64>,
    /// percent
    #[serde(skip_serializing_if = "Option::is_none")]
    coverage: Option<f64>,
    duration_ms: u64,
    /// name, message, details
    #[schemars(with = "Vec<std::collections::BTreeMap<String, String>>")]
    failures: Vec<Failure>,
    failures_cut: bool,
    output: String,
}

impl WriteTool for RunTests {
    const CARD: Card = crate::workspace::card("workspace_run_tests", "Run tests", "Run a declared test command in a sandbox.", 0.4);
    type Args = Args;
    type Target = Target;
    type Output = Output;

    async fn resolve(&self, args: Args, cx: &CallContext) -> Result<(Target, Scopes), ToolError> {
        let workspace = cx.workspace()?;
        let sandbox = run::sandbox(self.sandbox.as_ref())?;
        let name = args.command.unwrap_or_else(|| DEFAULT.to_owned());
        let command = run::declared(&self.commands, &name)?;
        let scopes = workspace.scope()?.and(ScopeKind::Method, name.as_str());
        Ok((Target { name, command, sandbox, workspace, cancel: cx.cancel.clone(), progress: cx.progress.clone() }, scopes))
    }

    fn time(&self, target: &Target) -> Option<Duration> {
        Some(run::call_time(&target.command))
    }

    async fn preview(&self, target: &Target, _filter: &OutputFilter) -> Result<Preview, ToolError> {
        let summary = format!("runs `{}` in a sandbox: {}", target.name, target.command.argv.join(" "));
        Ok(Preview { summary, change: run::described(&target.command, json!("the files that policy shows, without `.git`")) })
    }

    async fn write(&self, target: Target, filter: &OutputFilter, _receipt: Receipt<Durable>) -> Result<Output, ToolError> {
        let Target { command, sandbox, workspace, cancel, progress, .. } = target;
        let (job, before) = {
            let (workspace, command, filter, cancel) = (workspace.clone(), command.clone(), filter.clone(), cancel.clone());
            blocking(move || {
                let job = run::in_place(&workspace, &command, &filter, &cancel)?;
                Ok((job, command.report.as_deref().and_then(|path| report::stamp(&workspace, path))))
            })
            .await?
        };
        let mut feed = Feed::new(filter.clone(), progress);
        let ended = sandbox.run(job, &cancel, |fresh| feed.take(fresh)).await?;
        if ended.how == How::Cancelled {
            return Err(ToolError::new(ToolErrorKind::Cancelled, "the call was cancelled; the command and all its processes were ended"));
        }
        let filter = filter.clone();
        blocking(move || {
            let file = command.report.as_deref().and_then(|path| report::file(&workspace, path, before, &filter));
            let text = ended.output.shown(|text| filter.redacted(text));
            Ok(answer(file, &text, ended.how, ended.duration, filter.output_bytes()))
        })
        .await
    }
}

/// The report's file says best which tests there were; the output may have the coverage beside it.
fn answer(file: Option<Report>, text: &str, how: How, duration: Duration, budget: usize) -> Output {
    let printed = report::printed(text);
    let coverage = file.as_ref().and_then(|report| report.coverage).or(printed.coverage);
    let Report { passed, failed, skipped, failures, .. } = file.unwrap_or(printed);
    let (ended, exit_code) = run::told(how);
    let (failures, failures_cut) = bounded(failures, budget / 2);
    let output = tail_lines(text, budget / 4).to_owned();
    let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Output { ended, exit_code, passed, failed, skipped, coverage, duration_ms, failures, failures_cut, output }
}

/// The first failures, each cut, within a budget; and whether anything was cut.
fn bounded(failures: Vec<Failure>, budget: usize) -> (Vec<Failure>, bool) {
    let (mut kept, mut left, mut cut) = (Vec::new(), budget, false);
    for failure in failures {
        let name = clipped(&failure.name, MESSAGE_BYTES, &mut cut);
        let message = clipped(&failure.message, MESSAGE_BYTES, &mut cut);
        let details = clipped(&failure.details, DETAILS_BYTES, &mut cut);
        let size = name.len() + message.len() + details.len();
        if kept.len() == MOST_FAILURES || size > left {
            return (kept, true);
        }
        left -= size;
        kept.push(Failure { name, message, details });
    }
    (kept, cut)
}

fn clipped(text: &str, most: usize, cut: &mut bool) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    *cut = true;
    format!("{}…", text.get(..text.floor_char_boundary(most)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_bounded_and_the_cut_is_told() {
        let failure = |size: usize| Failure { name: "n".into(), message: "ä".repeat(size), details: String::new() };
        assert_eq!(bounded(vec![failure(1)], 100), (vec![failure(1)], false));
        let (kept, cut) = bounded(vec![failure(1000)], 10_000);
        assert!(cut && kept[0].message.len() <= MESSAGE_BYTES + 4 && kept[0].message.ends_with('…'));
        let (kept, cut) = bounded(vec![failure(1); 100], 1 << 20);
        assert!(cut && kept.len() == MOST_FAILURES);
        let (kept, cut) = bounded(vec![failure(1); 10], 10);
        assert!(cut && kept.len() == 3);
    }

    #[test]
    fn the_reports_file_counts_and_the_output_says_the_coverage() {
        let file = Report { passed: Some(3), ..Report::default() };
        let output = answer(Some(file), "TOTAL   10   1   90%\n", How::Exited(0), Duration::from_secs(1), 1000);
        assert_eq!((output.passed, output.coverage, output.exit_code), (Some(3), Some(90.0), Some(0)));
    }
}
