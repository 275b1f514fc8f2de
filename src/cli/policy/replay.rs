//! `opsgate policy replay`: recorded calls, decided again.

use std::path::PathBuf;
use std::sync::Arc;

use comfy_table::{Table, presets};
use owo_colors::OwoColorize;

use super::{Failure, bad, exit, out};
use crate::catalogue;
use crate::gateway::load_policy;
use crate::home::Settings;
use crate::policy::{Archive, Policy, Replay, ReplayReport, Tally, Under};

#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    /// The log: its folder, or segment files in their order
    #[arg(long, required = true, num_args = 1.., value_name = "PATH")]
    log: Vec<PathBuf>,
    /// The policy to decide under [default: for each call the one that decided it, out of the home]
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(settings: &Settings, Args { log, policy, json: as_json }: Args) -> Result<u8, Failure> {
    let catalogue = catalogue::catalogue().map_err(bad)?;
    // A policy that does not load now may still have archived ones before it.
    let now = load_policy(settings, &catalogue).ok().map(Arc::new);
    let archive = Archive::new(settings.home.join("policies"), now);
    let under = match policy {
        Some(path) => {
            let policy = Arc::new(Policy::load(&path, &catalogue).map_err(bad)?);
            let specs = catalogue::every_spec(&policy).map_err(bad)?;
            Under::New(policy, specs)
        }
        None => Under::Recorded,
    };
    let is_new = matches!(under, Under::New(..));
    let report = Replay { catalogue: &catalogue, archive, under, home_key: home_key(settings) }.run(log).map_err(bad)?;
    if as_json {
        out::json(&report);
    } else {
        show(&report, is_new);
    }
    Ok(if report.agrees() { exit::OK } else { exit::FINDING })
}

/// The home's public key, where the home has one that this user may read. None is made.
fn home_key(settings: &Settings) -> Option<String> {
    let path = settings.home.join("signing.key");
    let key = path.is_file().then(|| opsgate_audit::SigningKey::load_or_create(&path).ok()).flatten()?;
    Some(key.public().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn show(report: &ReplayReport, is_new: bool) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["calls", "", "for example"]);
    let mut row = |count: u64, what: String, example: &str| {
        table.add_row([count.to_string(), what, example.to_owned()]);
    };
    let same =
        if report.other_grounds == 0 { "decided alike".to_owned() } else { format!("decided alike, {} by another rule", report.other_grounds) };
    row(report.same, same, "");
    let changed = if is_new { "would be decided otherwise" } else { "were decided otherwise than their policy says" };
    row(report.changed, format!("{changed}, {} wider", report.wider), "");
    let filters = &report.other_filters;
    if filters.calls > 0 {
        let wider: u64 = filters.wider.values().map(|tally| tally.count).sum();
        row(filters.calls, format!("permitted alike and filtered otherwise, {wider} wider"), "");
    }
    for (why, Tally { count, example }) in &report.undecidable {
        row(*count, format!("undecidable: {why}"), example);
    }
    for (code, Tally { count, example }) in &report.not_judged {
        row(*count, format!("refused before policy was asked: {}", printable(code)), example);
    }
    out::say(table.trim_fmt());
    for change in &report.changes {
        let calls = if change.calls.count == 1 { "call".to_owned() } else { "calls".to_owned() };
        let (caller, tool) = (printable(&change.caller), printable(&change.tool));
        let line = format!(
            "{caller} {tool}: {} → {} ({} {calls}, for example {})",
            printable(&change.was),
            printable(&change.would_be),
            change.calls.count,
            change.calls.example
        );
        out::say(if change.wider { format!("{} {line}", "wider".red().bold()) } else { format!("{} {line}", "other".yellow()) });
    }
    for (groups, is_wider) in [(&report.other_filters.wider, true), (&report.other_filters.other, false)] {
        for (who, Tally { count, example }) in groups {
            let line = format!("{}: the answer would hide other paths ({count} calls, for example {example})", printable(who));
            out::say(if is_wider { format!("{} {line}", "wider".red().bold()) } else { format!("{} {line}", "other".yellow()) });
        }
    }
    if report.changes_left_out > 0 {
        out::say(format!("… and {} more calls", report.changes_left_out));
    }
    for hidden in &report.would_be_shown {
        let (caller, tool) = (printable(&hidden.caller), printable(&hidden.tool));
        out::say(format!("{} {tool} was hidden from {caller} and would be listed ({} calls)", "shown".red().bold(), hidden.calls.count));
    }
    for hash in &report.absent_policies {
        out::say(format!("note: no usable policy {}", printable(hash)));
    }
    if report.log.torn {
        out::say("note: the last line has no end, as in a log that is being written; it was left out");
    }
    if report.log.of_this_home == Some(false) {
        out::say("note: the log is signed by another key than this home's, so it is another gateway's log");
    }
    match &report.log.first_finding {
        Some(finding) => {
            let finding = printable(finding);
            out::say(format!("{} the log does not verify, so its records may not be what happened: {finding}", "warning:".red().bold()));
        }
        None => {
            let entries = report.log.entries;
            out::say(format!("the chain of {entries} entries holds; `opsgate-audit verify` with receipts says whether it is all there"));
        }
    }
}

/// A record's text, without what a terminal would act on.
fn printable(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect()
}
