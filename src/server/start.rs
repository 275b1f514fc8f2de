//! Joining the home's gateway, or starting one where none runs.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::AsyncBufReadExt;
use tokio::net::UnixStream;

use super::socket::{Hello, HelloReply, JoinError, join};
use crate::home::{Home, HomeError, Settings};
use crate::trust::NotItsHost;

/// How long a gateway that was started may take to listen.
const START: Duration = Duration::from_secs(20);
/// How long the log of gateways that were started for clients grows before it is put aside, in bytes.
const MOST_LOG_BYTES: u64 = 8 << 20;
/// Seconds without a connection after which a gateway that was started for a client ends.
const IDLE_EXIT_S: &str = "300";

/// What a started gateway says on its standard output, one line.
#[derive(Debug, Serialize, Deserialize)]
pub struct Started {
    /// Why it did not start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The exit code that goes with it.
    pub exit: u8,
}

/// Why there is no gateway to talk to.
#[derive(Debug, thiserror::Error)]
pub enum StartFailed {
    /// The home cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The gateway said why it does not start.
    #[error("{message}")]
    Refused {
        /// Its words.
        message: String,
        /// Its exit code.
        exit: u8,
    },
    /// The machine's gateway does not answer, and none is started in its place.
    #[error(
        "the gateway at `{socket}` does not answer: {source}; start the service (`opsgate doctor` says more), or name a home of your own with OPSGATE_HOME"
    )]
    Service {
        /// Its socket.
        socket: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// What answers, or lies there, is not the gateway's.
    #[error(transparent)]
    NotItsHost(#[from] NotItsHost),
    /// It could not be run or joined.
    #[error("the gateway could not be started: {0}; `opsgate serve` shows why")]
    Io(#[from] std::io::Error),
    /// It did not listen in time.
    #[error("the gateway did not answer within {} s; `gateway.log` in its home may say why", START.as_secs())]
    TooLate,
}

/// Joins the machine's gateway where there is one, else the home's; where none runs, starts one as gpg-agent is started. One of many that try at once starts it.
///
/// # Errors
/// Where it cannot be started or joined, with its own reason and exit code.
pub async fn join_or_start(settings: &Settings, hello: &Hello) -> Result<(UnixStream, HelloReply), StartFailed> {
    let joined = async {
        if let Some(socket) = settings.service() {
            // INVARIANT: where the machine has a gateway, none is started beside it (test: tests/setup.rs,
            // a_stopped_service_is_told_and_no_other_is_started).
            return join(&socket, hello).await.map_err(|error| match error {
                JoinError::Io(source) => StartFailed::Service { socket, source },
                JoinError::NotItsHost(error) => error.into(),
            });
        }
        let home = Home::open(&settings.home)?;
        match join(&home.socket(), hello).await {
            Ok(joined) => Ok(joined),
            Err(_) => start(&home, settings, hello).await,
        }
    };
    // One bound over all of it: a gateway that is stopped, or hangs, must not hang its clients.
    tokio::time::timeout(START, joined).await.map_err(|_| StartFailed::TooLate)?
}

async fn start(home: &Home, settings: &Settings, hello: &Hello) -> Result<(UnixStream, HelloReply), StartFailed> {
    let turn = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(home.path().join("start.lock"))?;
    let turn = tokio::task::spawn_blocking(move || turn.lock().map(|()| turn)).await.map_err(std::io::Error::other)??;
    let mut pause = Duration::from_millis(10);
    loop {
        // Whoever had the turn before may have started it.
        if let Ok(joined) = join(&home.socket(), hello).await {
            drop(turn);
            return Ok(joined);
        }
        let started = spawn(home, settings).await?;
        match started.error {
            None => {}
            // A gateway that is just coming up or going down holds the lock: wait for its socket, or for its end.
            Some(_) if started.exit == crate::cli::exit::LOCKED => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_millis(500));
            }
            Some(message) => return Err(StartFailed::Refused { message, exit: started.exit }),
        }
    }
}

async fn spawn(home: &Home, settings: &Settings) -> Result<Started, StartFailed> {
    if home.log().metadata().is_ok_and(|log| log.len() > MOST_LOG_BYTES) {
        std::fs::rename(home.log(), home.log().with_extension("log.1"))?;
    }
    let log = OpenOptions::new().append(true).create(true).mode(0o600).open(home.log())?;
    let mut command = std::process::Command::new(std::env::current_exe()?);
    command
        .args(["serve", "--socket-only", "--announce", "--idle-exit", IDLE_EXIT_S])
        .env("OPSGATE_HOME", home.path())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .process_group(0);
    if let Some(policy) = &settings.policy {
        command.env("OPSGATE_POLICY", std::path::absolute(policy)?);
    }
    let mut child = tokio::process::Command::from(command).kill_on_drop(false).spawn()?;
    let mut said = String::new();
    if let Some(output) = child.stdout.take() {
        tokio::io::BufReader::new(output).read_line(&mut said).await?;
    }
    serde_json::from_str(&said).map_err(|_| std::io::Error::other("it ended without a word").into())
}
