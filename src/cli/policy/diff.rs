//! `opsgate policy diff`: whose permissions change.

use std::path::PathBuf;

use owo_colors::OwoColorize;

use super::{Failure, bad, exit, out};
use crate::catalogue;
use crate::policy::{Diff, Direction, Policy};

#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    /// The policy as it is
    old: PathBuf,
    /// The policy as it would be
    new: PathBuf,
    /// Print the changes as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<u8, Failure> {
    let catalogue = catalogue::catalogue().map_err(bad)?;
    let (old, new) = (Policy::load(&args.old, &catalogue)?, Policy::load(&args.new, &catalogue)?);
    let diff = old.diff(&new).map_err(bad)?;
    if args.json {
        out::json(&diff);
    } else {
        show(&diff);
    }
    // What was not compared may differ.
    Ok(if diff.is_empty() && !diff.partial { exit::OK } else { exit::FINDING })
}

fn show(diff: &Diff) {
    if !diff.rules.is_empty() {
        out::say(format!("{}:", "rules".bold()));
        diff.rules.iter().for_each(|entry| {
            let line = format!("  {}", entry.sentence());
            out::say(if entry.may_be_wider { line.red().to_string() } else { line });
        });
        if diff.changes.is_empty() {
            out::say("  no sample of a call differs; look at the rule itself");
        }
    }
    changes(diff, Direction::Wider, &"wider".red().bold().to_string());
    let weaker: Vec<_> = diff.changes.iter().filter(|change| change.direction == Direction::Weaker).collect();
    if !weaker.is_empty() || !diff.weaker.is_empty() {
        out::say(format!("{}:", "weaker".red().bold()));
        weaker.iter().for_each(|change| out::say(format!("  {}", change.sentence())));
        diff.weaker.iter().for_each(|one| out::say(format!("  {}", one.sentence())));
    }
    changes(diff, Direction::Narrower, &"narrower".green().bold().to_string());
    changes(diff, Direction::Approvals, &"other approvals".yellow().bold().to_string());
    if !diff.settings.is_empty() {
        out::say(format!("{}:", "settings".bold()));
        diff.settings.iter().for_each(|one| out::say(format!("  {}", one.sentence())));
    }
    match (diff.is_empty(), diff.partial) {
        (true, false) => out::say("no permission and no setting changes"),
        (true, true) => out::say("no change was found, and there were too many combinations to compare them all"),
        (false, true) => out::say("there were too many combinations to compare them all; every rule and setting that differs is named above"),
        (false, false) => {}
    }
}

fn changes(diff: &Diff, direction: Direction, title: &str) {
    let changes: Vec<_> = diff.changes.iter().filter(|change| change.direction == direction).collect();
    if !changes.is_empty() {
        out::say(format!("{title}:"));
        changes.iter().for_each(|change| out::say(format!("  {}", change.sentence())));
    }
}
