//! What tests through the outside share: a home, a repository, a gateway process, and raw clients.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests; each uses a part"
)]

pub mod commands;
pub mod http;
pub mod mistyped;
pub mod repository;
pub mod skipped;
pub mod stdio;
pub mod tools;

use std::io::BufRead;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// A home of its own. When dropped, its log is kept for the validators, and its folder removed.
pub struct Home {
    dir: tempfile::TempDir,
    name: String,
}

impl Home {
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("og").tempdir_in("/tmp").unwrap();
        std::fs::DirBuilder::new().mode(0o700).create(dir.path().join("home")).unwrap();
        let name = std::thread::current().name().unwrap_or("test").replace("::", "-");
        Self { dir, name }
    }

    pub fn with_policy(policy: &str) -> Self {
        let home = Self::new();
        std::fs::write(home.path().join("policy.yaml"), policy).unwrap();
        home
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    pub fn audit(&self) -> PathBuf {
        self.path().join("audit")
    }

    /// Every line of the log, in order.
    pub fn entries(&self) -> Vec<serde_json::Value> {
        self.log_text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// As [`Home::entries`], while the gateway may be in the middle of a line.
    pub fn entries_so_far(&self) -> Vec<serde_json::Value> {
        self.log_text().lines().map_while(|line| serde_json::from_str(line).ok()).collect()
    }

    fn log_text(&self) -> String {
        let mut files: Vec<_> =
            std::fs::read_dir(self.audit()).unwrap().map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "jsonl")).collect();
        files.sort();
        files.iter().map(|f| String::from_utf8_lossy(&std::fs::read(f).unwrap()).into_owned()).collect()
    }

    pub fn entries_of(&self, kind: &str) -> Vec<serde_json::Value> {
        self.entries().into_iter().filter(|e| e["type"] == kind).collect()
    }

    /// `opsgate` with this home and a clean environment.
    pub fn opsgate(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_opsgate"));
        command.args(args).env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", self.dir.path()).env("OPSGATE_HOME", self.path());
        command.current_dir(self.dir.path());
        command
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.opsgate(args).stdin(Stdio::null()).output().unwrap()
    }

    /// A key for this caller.
    pub fn key(&self, caller: &str) -> String {
        let output = self.run(&["keys", "new", "--caller", caller]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).lines().next().unwrap().to_owned()
    }

    /// Starts `opsgate serve` and waits until it says that it listens.
    pub fn serve(&self, args: &[&str]) -> Served {
        self.serve_with(&[], args)
    }

    /// As `serve`, with these variables.
    pub fn serve_with(&self, variables: &[(&str, &str)], args: &[&str]) -> Served {
        let mut command = self.opsgate(&["serve", "--announce", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
        let log = std::fs::File::create(self.dir.path().join("serve.log")).unwrap();
        let mut child = command.args(args).envs(variables.iter().copied()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut said = String::new();
        std::io::BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let log = std::fs::read_to_string(self.dir.path().join("serve.log")).unwrap();
        assert!(said.contains("\"exit\":0"), "serve did not start: {said}{log}");
        let at = |message: &str| {
            log.lines()
                .filter_map(|l| serde_json::from_str::<serde_json::Value>(l).ok())
                .find(|l| l["message"] == message)
                .map(|l| l["context"]["at"].as_str().unwrap().to_owned())
        };
        Served { child, mcp: at("listening for MCP over HTTP"), metrics: at("listening for operators"), log: self.dir.path().join("serve.log") }
    }

    /// The pid of the gateway that holds the home, if one does.
    pub fn holder(&self) -> Option<u32> {
        std::fs::read_to_string(self.path().join("gateway.lock")).ok()?.trim().parse().ok()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Some(pid) = self.holder() {
            stop(pid, "-TERM");
        }
        let Some(kept) = std::env::var_os("TEST_LOGS") else { return };
        if std::thread::panicking() || !self.audit().is_dir() || self.path().join("unverifiable").exists() {
            return;
        }
        let to = PathBuf::from(kept).join(format!("{}-{}", self.name, self.dir.path().file_name().unwrap().to_string_lossy()));
        std::fs::create_dir_all(&to).unwrap();
        for entry in std::fs::read_dir(self.audit()).unwrap().flatten().filter(|e| e.path().is_file()) {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// A running `opsgate serve`. Stopped when dropped.
pub struct Served {
    pub child: Child,
    pub mcp: Option<String>,
    pub metrics: Option<String>,
    pub log: PathBuf,
}

impl Served {
    pub fn url(&self) -> &str {
        self.mcp.as_deref().unwrap()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    pub fn metrics(&self) -> String {
        ureq::get(self.metrics.as_deref().unwrap()).call().unwrap().body_mut().read_to_string().unwrap()
    }

    pub fn terminate(mut self) -> std::process::ExitStatus {
        stop(self.child.id(), "-TERM");
        self.child.wait().unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            stop(self.child.id(), "-TERM");
            let _ = self.child.wait();
        }
    }
}

/// Sends a signal and waits until the process is gone.
pub fn stop(pid: u32, signal: &str) {
    let _ = Command::new("kill").args([signal, &pid.to_string()]).stderr(Stdio::null()).status();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while alive(pid) {
        assert!(std::time::Instant::now() < deadline, "process {pid} does not end");
        std::thread::yield_now();
    }
}

fn alive(pid: u32) -> bool {
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        // A zombie is dead: its parent is this test, which waits for it elsewhere.
        Ok(stat) => !stat.rsplit(')').next().unwrap_or("").trim_start().starts_with('Z'),
        Err(_) => false,
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Nothing that a client or a person reads may hold these.
pub fn assert_safe(said: &str, home: &Path) {
    for leak in ["panicked", "RUST_BACKTRACE", "/src/", ".rs:", home.to_str().unwrap()] {
        assert!(!said.contains(leak), "`{leak}` in: {said}");
    }
}

/// A secret that was made up just now, in a documented form.
pub fn fresh_secret() -> String {
    let mut random = [0u8; 18];
    getrandom::fill(&mut random).unwrap();
    format!("ghp_{}", random.iter().map(|b| format!("{b:02x}")).collect::<String>())
}
