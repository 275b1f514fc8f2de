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
    for (direction, title) in [(Direction::Wider, "wider"), (Direction::Narrower, "narrower"), (Direction::Approvals, "other approvals")] {
        let changes: Vec<_> = diff.changes.iter().filter(|change| change.direction == direction).collect();
        if changes.is_empty() {
            continue;
        }
        out::say(match direction {
            Direction::Wider => format!("{}:", title.red().bold()),
            Direction::Narrower => format!("{}:", title.green().bold()),
            Direction::Approvals => format!("{}:", title.yellow().bold()),
        });
        changes.iter().for_each(|change| out::say(format!("  {}", change.sentence())));
    }
    if !diff.settings.is_empty() {
        out::say(format!("{}:", "settings".bold()));
        let said = |text: &Option<String>| text.clone().unwrap_or_else(|| "nothing".to_owned());
        diff.settings.iter().for_each(|one| out::say(format!("  {}: {} -> {}", one.name, said(&one.old), said(&one.new))));
    }
    match (diff.is_empty(), diff.partial) {
        (true, false) => out::say("no permission and no setting changes"),
        (true, true) => out::say("no change was found, and there were too many combinations to compare them all"),
        (false, true) => out::say("there were too many combinations to compare them all"),
        (false, false) => {}
    }
}
