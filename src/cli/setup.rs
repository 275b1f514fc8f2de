//! `opsgate setup`

use std::net::SocketAddr;
use std::path::PathBuf;

use owo_colors::OwoColorize;
use secrecy::ExposeSecret;
use serde_json::json;

use super::{Failure, exit, out};
use crate::home::service::SERVICE;
use crate::setup::{Install, Installed, Layout, Outcome, SetupError, agent_of, check, clients, systemd_runs};

/// Installs the gateway.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Verify an installation instead; exits with 1 where something is not as it should be
    #[arg(long, conflicts_with_all = ["dry_run", "approver", "workspace", "writable", "listen"])]
    check: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// The gateway's own user; folders, program and unit bear its name
    #[arg(long, value_name = "NAME", default_value = SERVICE)]
    user: String,
    /// The user whose agent calls the gateway [default: as before, else who called sudo]
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// The first approver: a person's name; a key is made and shown once
    #[arg(long, value_name = "NAME")]
    approver: Option<String>,
    /// A repository that the gateway may read, by access lists; may be repeated
    #[arg(long, value_name = "DIR")]
    workspace: Vec<PathBuf>,
    /// Let it write to these repositories too
    #[arg(long, requires = "workspace")]
    writable: bool,
    /// Listen for HTTP too, with API keys
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Write a plain start script and no unit [default where systemd does not run]
    #[arg(long)]
    no_systemd: bool,
    /// Install beneath this folder, for an image
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    root: PathBuf,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> Result<u8, Failure> {
    let layout = Layout::new(&args.root, &args.user)?;
    if !rustix::process::geteuid().is_root() {
        return Err(Failure::new(exit::BAD_CONFIGURATION, "setup makes users and writes to /etc; run it as root: `sudo opsgate setup`"));
    }
    // In an image systemd does not run yet; the unit is what images are for.
    let plain = args.no_systemd || (args.check && !layout.on_disk(&layout.unit()).exists() && layout.on_disk(&layout.script()).exists());
    let systemd = !plain && (!layout.is_this_machine() || systemd_runs());
    let sudo = || std::env::var("SUDO_USER").ok().filter(|user| !user.is_empty() && user != "root");
    // Whoever administers an installation later is not the one it was made for.
    let agent = args.agent.or_else(|| agent_of(&layout, systemd)).or_else(sudo);
    if args.check {
        return Ok(show_check(&layout, systemd, agent.as_deref(), args.json));
    }
    if let Some(name) = args.approver.as_ref().filter(|name| !is_name(name)) {
        return Err(Failure::new(exit::USAGE, format!("`{name}` cannot be an approver's name; use 1 to 64 letters, digits, `-` and `_`")));
    }
    let absolute = |folder: &PathBuf| std::path::absolute(folder).map_err(|error| Failure::new(exit::USAGE, error));
    let workspaces = args.workspace.iter().map(absolute).collect::<Result<_, _>>()?;
    let install = Install { layout, agent, approver: args.approver, workspaces, writable: args.writable, listen: args.listen, systemd };
    let installed = install.run(args.dry_run, |outcome| {
        if !args.json {
            show_step(outcome);
        }
    })?;
    show(&install, &installed, args.json, args.dry_run);
    Ok(exit::OK)
}

/// A name that is one word in the policy, in YAML as it stands.
fn is_name(name: &str) -> bool {
    let starts = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
    starts && name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

fn show_step(outcome: &Outcome) {
    let mark = match outcome.state {
        "already" => "✔".dimmed().to_string(),
        "planned" => "→".yellow().to_string(),
        _ => "✔".green().to_string(),
    };
    let state = format!("{:<8}", outcome.state);
    out::say(format!("{mark} {} {}", state.dimmed(), outcome.what));
}

fn show(install: &Install, installed: &Installed, as_json: bool, dry: bool) {
    let clients = clients(&install.layout, install.listen);
    let key = installed.key.as_ref().map(ExposeSecret::expose_secret);
    if as_json {
        out::json(&json!({ "dry_run": dry, "steps": installed.steps, "notes": installed.notes, "approver_key": key, "clients": clients }));
        return;
    }
    for note in &installed.notes {
        out::say(format!("{} {note}", "note:".yellow()));
    }
    if dry {
        return;
    }
    if let Some(key) = key {
        out::say(format!("\n{}\n  {key}", "The approver's key. It is not shown again:".bold()));
    }
    out::say(format!("\n{}", "Clients, as the agent's user:".bold()));
    for client in &clients {
        out::say(format!("  {} ({})\n    {}", client.client, client.place, client.text));
    }
    if !install.layout.is_default() {
        out::say(format!("  {} {}", "note:".yellow(), told_where(&install.layout)));
    }
    let user = if install.layout.is_default() { String::new() } else { format!(" --user {}", install.layout.name()) };
    let (name, home) = (install.layout.name(), install.layout.home());
    out::say(format!(
        "\nThe gateway's keys and seal: sudo -u {name} OPSGATE_HOME={} {} keys list",
        home.display(),
        install.layout.program().display()
    ));
    out::say(format!("Next: opsgate setup --check{user}, and `opsgate doctor` as the agent's user."));
}

/// A gateway of another name is not looked for.
fn told_where(layout: &Layout) -> String {
    let socket = layout.socket();
    format!("a client without OPSGATE_SOCKET={} does not call this gateway: it starts a private one, which is no boundary", socket.display())
}

fn show_check(layout: &Layout, systemd: bool, agent: Option<&str>, as_json: bool) -> u8 {
    let facts = check(layout, systemd, agent);
    let ok = facts.iter().all(|fact| fact.ok);
    if as_json {
        out::json(&json!({ "ok": ok, "facts": facts }));
    } else {
        for fact in &facts {
            let mark = if fact.ok { "✔".green().to_string() } else { "✘".red().to_string() };
            out::say(format!("{mark} {:<14} {}", fact.id, fact.found));
        }
    }
    if ok { exit::OK } else { exit::FINDING }
}

impl From<SetupError> for Failure {
    fn from(error: SetupError) -> Self {
        Self::new(exit::BAD_CONFIGURATION, error)
    }
}
