//! `opsgate policy test`: do a policy's unit tests come out as their writers expect?

use std::path::{Path, PathBuf};

use owo_colors::OwoColorize;
use serde_json::json;

use super::{Failure, bad, exit, out};
use crate::catalogue;
use crate::gateway::load_policy;
use crate::home::Settings;
use crate::policy::{CaseFile, CaseReport, Policy, UnhitGlob};

#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    /// Files of cases
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The policy to test [default: the one that each file names, else the policy the gateway would use]
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Fail where a rule of the policy decides no case
    #[arg(long)]
    require_coverage: bool,
    /// Print every case as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(settings: &Settings, args: &Args) -> Result<u8, Failure> {
    let mut reports = Vec::new();
    for file in &args.files {
        reports.push((file, report(settings, file, args.policy.as_deref())?));
    }
    let sound = |report: &CaseReport| report.failed().next().is_none() && (!args.require_coverage || report.unexercised.is_empty());
    let all_sound = reports.iter().all(|(_, report)| sound(report));
    if args.json {
        let files: Vec<_> = reports.iter().map(|(file, report)| json!({ "file": file, "ok": sound(report), "report": report })).collect();
        out::json(&json!({ "ok": all_sound, "files": files }));
    } else {
        reports.iter().for_each(|(file, report)| show(file, report, args.require_coverage));
    }
    Ok(if all_sound { exit::OK } else { exit::FINDING })
}

fn report(settings: &Settings, file: &Path, policy: Option<&Path>) -> Result<CaseReport, Failure> {
    let own = catalogue::catalogue().map_err(bad)?;
    let cases = CaseFile::load(file, &own).map_err(bad)?;
    let names = cases.catalogue(own);
    let policy = match policy.map(Path::to_owned).or_else(|| cases.policy_path(file)) {
        Some(path) => Policy::load(&path, &names),
        None => load_policy(settings, &names),
    };
    Ok(cases.run(&policy.map_err(bad)?))
}

fn show(file: &Path, report: &CaseReport, require_coverage: bool) {
    let name = file.display();
    for case in report.failed() {
        out::say(format!("{} {name}:{} {}: expected {}, and it is {}", "FAIL".red().bold(), case.line, case.name, case.expected, case.came_out));
    }
    let failed = report.failed().count();
    let passed = report.cases.len() - failed;
    if failed == 0 {
        out::say(format!("{} {name}: {passed} passed under {}", "ok".green().bold(), report.policy_hash));
    } else {
        out::say(format!("{} {name}: {failed} failed, {passed} passed under {}", "FAIL".red().bold(), report.policy_hash));
    }
    if !report.unexercised.is_empty() {
        let what = format!("no case would notice if these went: {}", report.unexercised.join(", "));
        out::say(if require_coverage { format!("{} {name}: {what}", "FAIL".red().bold()) } else { format!("note: {name}: {what}") });
    }
    if !report.unhit_globs.is_empty() {
        let globs: Vec<String> =
            report.unhit_globs.iter().take(MOST_GLOBS).map(|UnhitGlob { rule, glob, .. }| format!("`{glob}` of {rule}")).collect();
        out::say(format!("note: {name}: no case is about {}{}", globs.join(", "), more_than(report.unhit_globs.len())));
    }
}

/// The most globs that a note names; the JSON has all.
const MOST_GLOBS: usize = 10;

fn more_than(count: usize) -> String {
    let rest = count.saturating_sub(MOST_GLOBS);
    if rest == 0 { String::new() } else { format!(" and {rest} globs more (see --json)") }
}
