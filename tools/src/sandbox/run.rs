//! Running a job from the gateway: starting the supervisor, reading what the command says, and learning how it ended.

use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines, Take};
use tokio::process::{Child, ChildStderr, Command};
use tokio_util::sync::CancellationToken;

use super::available::{Missing, available};
use super::capture::{Capture, Output};
use super::enter::SUPERVISE;
use super::group::Group;
use super::home::Home;
use super::inside::{MOVED, PROGRAM};
use super::job::{Job, Order, Said, Told};
use super::plain::plain;
use crate::error::{ToolError, ToolErrorKind};

/// How often what came is told on.
const TELL: Duration = Duration::from_millis(500);
/// How long the supervisor may take beyond the job's time; then it is given up with all it holds.
const BEYOND: Duration = Duration::from_secs(30);
/// More is not read of what the supervisor says.
const TOLD: u64 = 64 << 10;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// By itself, with this code.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
    /// It took longer than it may.
    TimedOut,
    /// Its processes held more than they may together.
    TooMuchMemory,
    /// Its private folder held more than it may.
    TooMuchDisk,
    /// It had more processes or threads than it may.
    TooManyProcesses,
    /// The caller cancelled.
    Cancelled,
}

/// A command that has ended, and nothing of it is left.
#[derive(Debug)]
pub struct Ended {
    /// Why.
    pub how: How,
    /// What it wrote to standard output and standard error, in order.
    pub output: Output,
    /// How long it took.
    pub duration: Duration,
}

/// A sandbox that this machine can make.
#[derive(Debug, Clone)]
pub struct Sandbox {
    entry: PathBuf,
}

impl Sandbox {
    /// A sandbox that is entered through this program, which calls [`super::enter`] first thing.
    ///
    /// # Errors
    /// What this machine lacks for it.
    pub fn through(entry: Option<&Path>) -> Result<Self, Missing> {
        available()?;
        let entry = entry.filter(|path| path.is_file()).ok_or(Missing::Entry)?;
        Ok(Self { entry: entry.to_owned() })
    }

    /// Runs a job to its end. `on_output` gets what came, as text, at most twice a second. Dropping the future kills the
    /// command with all its children.
    ///
    /// # Errors
    /// Where the command did not start. However it ended once it had started is no error.
    pub async fn run(&self, job: Job, cancel: &CancellationToken, on_output: impl FnMut(&str) + Send) -> Result<Ended, ToolError> {
        // Removed by the supervisor, which is there for it even where the gateway is not; and by this guard.
        let home = Home::make().map_err(not_made)?;
        let started = Instant::now();
        let patience = job.limits.time + BEYOND;
        let (folder, order) = Order::of(job, home.path().to_owned());
        let mut line = serde_json::to_vec(&order).map_err(ToolError::internal)?;
        line.push(b'\n');
        let mut command = Command::new(&self.entry);
        command.arg(SUPERVISE).env_clear().current_dir(format!("/proc/self/fd/{}", folder.as_raw_fd())).process_group(0);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(not_made)?;
        drop(folder);
        let mut heard = Heard::default();
        let followed = tokio::time::timeout(patience, follow(&mut child, &line, cancel, on_output, &mut heard)).await;
        if followed.is_err() {
            let _ = child.start_kill(); // it may be stopped, or wait for a disk
            heard.end_the_group().await;
            return Err(ToolError::internal("the sandbox's supervisor did not end"));
        }
        let capture = followed.map_err(ToolError::internal)?.map_err(not_made)?;
        let status = child.wait().await.map_err(ToolError::internal)?;
        let Some(told) = heard.told else {
            return Err(ToolError::internal(format!("the sandbox's supervisor ended with {status} and said: {}", heard.other)));
        };
        Ok(Ended { how: ended(told)?, output: capture.output(), duration: started.elapsed() })
    }
}

/// What the supervisor said.
#[derive(Default)]
struct Heard {
    group: Option<Group>,
    told: Option<Told>,
    other: String,
}

impl Heard {
    fn hear(&mut self, line: &str) {
        match serde_json::from_str(line) {
            Ok(Said::Began(leader)) => self.group = Group::of(leader),
            Ok(Said::Ended(told)) => self.told = Some(told),
            Err(_) => self.other.push_str(line),
        }
    }

    async fn end_the_group(&self) {
        if let Some(group) = &self.group {
            group.end().await;
        }
    }
}

/// Hands the order over, keeps the lifeline, and reads until nothing holds the pipes any more.
async fn follow(
    child: &mut Child,
    line: &[u8],
    cancel: &CancellationToken,
    mut on_output: impl FnMut(&str),
    heard: &mut Heard,
) -> io::Result<Capture> {
    let (Some(mut lifeline), Some(mut output), Some(told)) = (child.stdin.take(), child.stdout.take(), child.stderr.take()) else {
        return Err(io::Error::other("the supervisor has no pipes"));
    };
    lifeline.write_all(line).await?;
    lifeline.flush().await?;
    let (mut lifeline, mut told) = (Some(lifeline), Some(BufReader::new(told.take(TOLD)).lines()));
    let (mut capture, mut fresh, mut buffer) = (Capture::default(), Vec::new(), vec![0; 64 << 10]);
    let mut tick = tokio::time::interval(TELL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut is_open = true;
    while is_open || told.is_some() {
        tokio::select! {
            biased;
            () = cancel.cancelled(), if lifeline.is_some() => lifeline = None, // closes it: the supervisor ends the command
            line = next(&mut told) => match line? {
                Some(line) => heard.hear(&line),
                None => {
                    told = None;
                    if heard.told.is_none() {
                        heard.end_the_group().await; // it was killed, and left the command behind
                    }
                }
            },
            _ = tick.tick() => tell(&mut fresh, &mut on_output),
            read = output.read(&mut buffer), if is_open => {
                let bytes = buffer.get(..read?).unwrap_or_default();
                is_open = !bytes.is_empty();
                capture.push(bytes);
                // Of what comes faster than it is told on, the reply has the ends.
                if fresh.len() < buffer.len() {
                    fresh.extend_from_slice(bytes);
                }
            }
        }
    }
    tell(&mut fresh, &mut on_output);
    Ok(capture)
}

/// The next line; never, where there are none any more.
async fn next(told: &mut Option<Lines<BufReader<Take<ChildStderr>>>>) -> io::Result<Option<String>> {
    match told {
        Some(lines) => lines.next_line().await,
        None => std::future::pending().await,
    }
}

/// Tells the whole lines, and keeps what has no end yet.
fn tell(fresh: &mut Vec<u8>, on_output: &mut impl FnMut(&str)) {
    let Some(end) = fresh.iter().rposition(|byte| *byte == b'\n') else { return };
    let rest = fresh.split_off(end + 1);
    on_output(&plain(fresh));
    *fresh = rest;
}

fn ended(told: Told) -> Result<How, ToolError> {
    Ok(match told {
        Told::Exited(code) => How::Exited(code),
        Told::Signalled(signal) => How::Signalled(signal),
        Told::TimedOut => How::TimedOut,
        Told::TooMuchMemory => How::TooMuchMemory,
        Told::TooMuchDisk => How::TooMuchDisk,
        Told::TooManyProcesses => How::TooManyProcesses,
        Told::Cancelled => How::Cancelled,
        Told::NotStarted { step, why } if step == PROGRAM => {
            let client = "the declared program could not be started; it must be in the workspace, in the system's folders or in `readable`";
            return Err(ToolError::new(ToolErrorKind::Unavailable, client).because(why));
        }
        Told::NotStarted { step, why } if step == MOVED => {
            return Err(ToolError::new(ToolErrorKind::Moved, "the workspace changed while the command was about to start; ask again").because(why));
        }
        Told::NotStarted { step, why } => return Err(ToolError::internal(format!("the sandbox failed at {step}: {why}"))),
    })
}

fn not_made(error: io::Error) -> ToolError {
    ToolError::new(ToolErrorKind::Unavailable, "the sandbox could not be made on this machine").because(error)
}
