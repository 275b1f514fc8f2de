//! `opsgate demo`: a guided tour that proves each promise with a real MCP client against a real gateway.

mod planted;
mod steps;
mod writes;

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Instant;

use rmcp::service::RunningService;
use rmcp::transport::TokioChildProcess;
use rmcp::{RoleClient, ServiceExt};
use serde::Serialize;
use tokio::io::AsyncBufReadExt;
use tokio::process::{Child, Command};

use super::{Failure, exit, out};

/// Takes the tour.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Print what each step found as JSON
    #[arg(long)]
    json: bool,
}

/// What one step set out to show, and what came.
#[derive(Serialize)]
struct Step {
    title: &'static str,
    held: bool,
    saw: Vec<String>,
}

/// A gateway in a home of its own, with clients.
struct Tour {
    exe: PathBuf,
    folder: planted::Folder,
    gateway: Child,
}

type Client = RunningService<RoleClient, ()>;

pub(super) async fn run(args: Args) -> Result<u8, Failure> {
    let start = Instant::now();
    let (listener, port) = writes::listener()?;
    let mut tour = Tour::begin(None).await?;
    let mut steps = Vec::new();
    let mut show = |step: Step| {
        if !args.json {
            print(&step, steps.len() + 1);
        }
        steps.push(step);
    };
    let here = tour.client(&std::env::current_dir().map_err(failed)?).await?;
    show(steps::lists_no_write_tool(&here).await?);
    show(steps::reads_this_repository(&here).await?);
    let planted = tour.client(tour.folder.repository()).await?;
    show(steps::scrubs_a_planted_secret(&planted, &tour.folder).await?);
    show(steps::refuses_a_denied_path(&planted).await?);
    show(steps::limits_a_flood(&planted).await?);
    let _ = tokio::join!(here.cancel(), planted.cancel());
    tour.stop().await?;
    show(steps::verifies_the_chain(&tour.folder)?);
    show(steps::finds_tampering(&tour.folder)?);
    // A second gateway, with a home, a policy and a clone of its own: the first one's shipped policy writes nothing.
    let mut scratch = Tour::begin(Some(port)).await?;
    let client = scratch.client(&scratch.folder.clone_path()).await?;
    show(writes::commits_in_a_scratch_clone(&client, &scratch.folder).await?);
    show(writes::refuses_the_network_to_a_command(&client, &listener).await?);
    show(writes::opens_an_issue_at_a_mock_github(&client).await?);
    let _ = client.cancel().await;
    scratch.stop().await?;
    show(steps::verifies_the_chain(&scratch.folder)?);
    let held = steps.iter().all(|step| step.held);
    if args.json {
        out::json(&serde_json::json!({ "held": held, "steps": steps }));
    } else {
        let verdict = if held { "every promise held" } else { "a promise did not hold" };
        out::say(format!("\n{verdict}, in {:.1} s. Next: opsgate serve, or see the README for your client.", start.elapsed().as_secs_f32()));
    }
    Ok(if held { exit::OK } else { exit::FINDING })
}

impl Tour {
    /// Under the shipped policy; or, with a port that nobody may reach, under the one that writes.
    async fn begin(writing: Option<u16>) -> Result<Self, Failure> {
        let exe = std::env::current_exe().map_err(failed)?;
        let folder = planted::Folder::make().map_err(failed)?;
        if let Some(port) = writing {
            folder.place_policy(&writes::policy(&folder, port)).map_err(failed)?;
        }
        let log = std::fs::File::create(folder.path().join("gateway.log")).map_err(failed)?;
        let mut gateway = clean_command(&exe, &folder)
            .args(["serve", "--socket-only", "--announce"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let mut said = String::new();
        if let Some(output) = gateway.stdout.take() {
            tokio::io::BufReader::new(output).read_line(&mut said).await.map_err(failed)?;
        }
        match serde_json::from_str::<crate::server::Started>(&said) {
            Ok(started) => match started.error {
                None => Ok(Self { exe, folder, gateway }),
                Some(error) => Err(Failure::new(started.exit, error)),
            },
            Err(error) => Err(failed(error)),
        }
    }

    /// A real MCP client whose server is `opsgate stdio`, as an editor starts it.
    async fn client(&self, workspace: &std::path::Path) -> Result<Client, Failure> {
        let mut command = clean_command(&self.exe, &self.folder);
        command.arg("stdio").current_dir(workspace);
        let (transport, _) = TokioChildProcess::builder(command).stderr(Stdio::null()).spawn().map_err(failed)?;
        ().serve(transport).await.map_err(failed)
    }

    async fn stop(&mut self) -> Result<(), Failure> {
        if let Some(pid) = self.gateway.id().and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).unwrap_or(0))) {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).map_err(failed)?;
        }
        self.gateway.wait().await.map_err(failed).map(|_| ())
    }
}

/// The tour shows the shipped policy, whatever the person's own environment says.
fn clean_command(exe: &std::path::Path, folder: &planted::Folder) -> Command {
    let mut command = Command::new(exe);
    for name in crate::home::VARIABLES {
        command.env_remove(name);
    }
    command.env_remove("WRITE_MODE").env("OPSGATE_HOME", folder.home());
    command
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::new(exit::FINDING, format!("the tour broke off: {error}"))
}

fn print(step: &Step, number: usize) {
    use owo_colors::OwoColorize;
    let mark = if step.held { "✔".green().to_string() } else { "✘".red().to_string() };
    out::say(format!("\n{} {} {}", format!("{number}.").dimmed(), step.title.bold(), mark));
    for line in &step.saw {
        out::say(format!("   {}", line.dimmed()));
    }
}
