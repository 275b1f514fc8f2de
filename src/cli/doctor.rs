//! `opsgate doctor`

use owo_colors::OwoColorize;

use super::{Failure, exit, out};
use crate::doctor::{Form, Person, Report, examine};
use crate::home::Settings;

/// Looks for what is wrong.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Print what was found as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(settings: &Settings, args: &Args) -> Result<u8, Failure> {
    let report = examine(settings, &Person::of_this_process()).await;
    if args.json {
        out::json(&report);
    } else {
        print(&report);
    }
    Ok(if report.has_findings() { exit::FINDING } else { exit::OK })
}

fn print(report: &Report) {
    let gateway = &report.gateway;
    let line = |what: &str, text: &str| out::say(format!("{:<9} {text}", what.bold()));
    line("you", &report.user);
    let form = match gateway.form {
        Form::Service => "the machine's service",
        Form::PerUser => "one of your own",
    };
    let state = match (&gateway.user, gateway.running) {
        (Some(user), _) => format!("runs as {user}"),
        (None, true) => "runs".to_owned(),
        (None, false) => "does not run".to_owned(),
    };
    line("gateway", &format!("{form}, at {}; it {state}", gateway.socket.display()));
    let trust = if gateway.trust == "separate" { gateway.trust.green().to_string() } else { gateway.trust.yellow().to_string() };
    line("trust", &format!("{trust}: {}", gateway.why));
    let policy = gateway.policy_path.as_ref().map_or_else(|| "the shipped one".to_owned(), |path| path.display().to_string());
    line(
        "policy",
        &[Some(policy.as_str()), gateway.policy.as_deref(), gateway.profile.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(", "),
    );
    if let Some(on) = gateway.write_mode {
        line("writes", if on { "on, as far as a rule allows them" } else { "off" });
    }
    let systems: Vec<_> = gateway.systems.iter().map(|(name, mode)| format!("{name} {mode}")).collect();
    line("systems", &systems.join(" · "));
    if !gateway.real_calls.is_empty() {
        line("real", &gateway.real_calls.join(" · "));
    }
    for need in &report.needs {
        if let Some(missing) = &need.missing {
            line("missing", &format!("{}: {missing}; without it: {}", need.id, need.without));
        }
    }
    for problem in &gateway.problems {
        out::say(format!("{} {problem}", "✘".red()));
    }
    out::say(format!("\n{}", "Ways round opsgate that you hold".bold()));
    for way in &report.ways {
        if let Some(unknown) = &way.unknown {
            out::say(format!("{} {:<16} cannot be told: {unknown}", "?".yellow(), way.id));
        }
        if way.findings.is_empty() && way.unknown.is_none() {
            out::say(format!("{} {:<16} {}", "✔".green(), way.id, format!("none ({})", way.looked_at).dimmed()));
        } else if !way.findings.is_empty() {
            out::say(format!("{} {:<16} {}", "✘".red(), way.id, way.findings.join("; ")));
            out::say(format!("  {:<16} {}", "", way.remedy.dimmed()));
        }
    }
}
