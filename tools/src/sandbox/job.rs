//! What is to run, with what it may reach; and how that is told to the process that becomes the command.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A command and all that it may reach. What is not in here it does not get.
#[derive(Debug)]
pub struct Job {
    /// The folder it runs in, and that grants are beneath.
    pub folder: OwnedFd,
    /// The program and its arguments; looked for in the environment's `PATH` where it has no `/`.
    pub argv: Vec<String>,
    /// Beside `PATH`, `HOME`, `TMPDIR` and `LANG`.
    pub env: BTreeMap<String, String>,
    /// Whether it may speak TCP and UDP.
    pub network: bool,
    /// What it may reach beneath the folder.
    pub grants: Vec<Grant>,
    /// Whole paths outside of the folder that it may read. Those that are missing are left out.
    pub readable: Vec<PathBuf>,
    /// When it is stopped.
    pub limits: Limits,
}

/// One file or folder beneath the job's folder. The path is opened without following a link, and what is there must be
/// what was judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Relative to the job's folder; `.` is the folder.
    pub path: String,
    /// The file system of what was judged.
    pub device: u64,
    /// The inode of what was judged.
    pub inode: u64,
    /// What it may do there and in all below.
    pub access: Access,
}

/// What a command may do with a file or with all below a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// See names.
    List,
    /// Read and run.
    Read,
    /// Read, run, change, make and remove.
    Write,
}

/// Beyond these a command is stopped, all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// How long it may take.
    pub time: Duration,
    /// How many bytes its processes may hold together, with its private folder where that is in memory.
    pub memory: u64,
    /// How many processes it may have at once.
    pub processes: u64,
    /// How many threads they may have together.
    pub threads: u64,
    /// How long a file it may write.
    pub file_bytes: u64,
    /// How much its private folder may hold together. What it writes elsewhere, where that was granted, is bounded for each
    /// file alone: neither their number nor their sum is. Nor is what the kernel keeps for its sockets and pipes.
    pub home_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { time: Duration::from_mins(10), memory: 2 << 30, processes: 256, threads: 2048, file_bytes: 4 << 30, home_bytes: 4 << 30 }
    }
}

/// A [`Job`] on its way into the sandbox: one line of JSON. The folder goes as the current one.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) argv: Vec<String>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) network: bool,
    pub(super) grants: Vec<Grant>,
    pub(super) readable: Vec<PathBuf>,
    pub(super) limits: Limits,
    /// The private folder, made for this run.
    pub(super) home: PathBuf,
}

impl Order {
    pub(super) fn of(job: Job, home: PathBuf) -> (OwnedFd, Self) {
        let Job { folder, argv, env: own, network, grants, readable, limits } = job;
        let private = home.to_string_lossy().into_owned();
        let mut env = BTreeMap::from([
            ("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned()),
            ("HOME".to_owned(), private.clone()),
            ("TMPDIR".to_owned(), private),
            ("LANG".to_owned(), "C.UTF-8".to_owned()),
        ]);
        env.extend(own);
        (folder, Self { argv, env, network, grants, readable, limits, home })
    }
}

/// What the supervisor says, each a line of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Said {
    /// The process that becomes the command is there, and this is its number.
    Began(i32),
    /// Its last word.
    Ended(Told),
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Told {
    Exited(i32),
    Signalled(i32),
    TimedOut,
    TooMuchMemory,
    TooMuchDisk,
    TooManyProcesses,
    Cancelled,
    /// It never began: which step failed, and why.
    NotStarted {
        step: String,
        why: String,
    },
}
