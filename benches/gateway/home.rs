//! The two servers as processes: the gateway with a home of its own, and the bare one.

use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::drive::{Call, Http};

/// Everything on, with limits that a benchmark does not meet.
pub(crate) const POLICY: &str = "version: 1\ndefaults: {read: allow}\ncallers: {\"local:*\": {roles: [developer]}, \"key:*\": {roles: [developer]}}\n\
    systems: {policy: {mode: read_only}, workspace: {mode: read_only}}\n\
    rules:\n  - {id: no-keys, deny: {paths: [\"**/*.pem\", \"**/.env*\"]}, because: credentials}\n\
    limits: {per_caller: {rate: 100000000/min, burst: 100000000}, concurrency: 100}\n";

/// Where a home is.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    Memory,
    Disk,
}

impl Place {
    pub(crate) fn folder(self) -> tempfile::TempDir {
        let (memory, disk) = (Path::new("/dev/shm"), Path::new(env!("CARGO_TARGET_TMPDIR")));
        let parent = if matches!(self, Self::Memory) && memory.is_dir() { memory } else { disk };
        tempfile::Builder::new().prefix("og").tempdir_in(parent).unwrap()
    }

    /// What the disk itself takes to keep 4 KiB.
    pub(crate) fn sync_time(self) -> Duration {
        let folder = self.folder();
        let mut file = std::fs::File::create(folder.path().join("sync")).unwrap();
        let mut times: Vec<Duration> = (0..50)
            .map(|_| {
                file.write_all(&[b'x'; 4096]).unwrap();
                let start = Instant::now();
                file.sync_data().unwrap();
                start.elapsed()
            })
            .collect();
        times.sort_unstable();
        times[times.len() / 2]
    }
}

/// A repository with a file whose answer is about 16 KB.
pub(crate) fn repository(folder: &Path) -> PathBuf {
    let path = folder.join("repository");
    git2::Repository::init(&path).unwrap();
    let line = "the service answers, the queue is short, nobody waits; 200 in 12 ms\n";
    std::fs::write(path.join("sixteen.txt"), line.repeat(16 * 1024 / line.len())).unwrap();
    path
}

pub(crate) struct Opsgate {
    folder: tempfile::TempDir,
    child: Child,
    address: String,
    pub(crate) key: String,
}

impl Opsgate {
    pub(crate) fn start(place: Place) -> Self {
        let folder = place.folder();
        std::fs::DirBuilder::new().mode(0o700).create(folder.path().join("home")).unwrap();
        std::fs::write(folder.path().join("home/policy.yaml"), POLICY).unwrap();
        let repository = repository(folder.path());
        let key = opsgate(folder.path()).args(["keys", "new", "--caller", "bench"]).output().unwrap();
        let key = String::from_utf8(key.stdout).unwrap().lines().next().unwrap().to_owned();
        let address = free_address();
        let log = std::fs::File::create(folder.path().join("serve.log")).unwrap();
        let mut command = opsgate(folder.path());
        command.args(["serve", "--announce", "--listen", &address, "--workspace"]).arg(&repository);
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut said = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut said).unwrap();
        assert!(said.contains("\"exit\":0"), "{said}");
        Self { folder, child, address, key }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A client's end: the relay that an editor starts.
    pub(crate) fn stdio(&self) -> tokio::process::Child {
        let mut command = tokio::process::Command::from(opsgate(self.folder.path()));
        command.arg("stdio").current_dir(self.folder.path().join("repository")).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
    }

    /// What the gateway answers to this call, for the bare server to repeat.
    pub(crate) async fn answer(&self, call: &Call) -> Value {
        let reply: Value = serde_json::from_slice(&Http::connect(&self.url(), Some(&self.key)).await.ask(call, 1).await).unwrap();
        let answer = reply["result"]["structuredContent"].clone();
        assert!(answer.is_object(), "{reply}");
        answer
    }
}

impl Drop for Opsgate {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn opsgate(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_opsgate"));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", folder).env("OPSGATE_HOME", folder.join("home"));
    command
}

pub(crate) struct Bare {
    _answer: tempfile::NamedTempFile,
    child: Child,
    address: String,
}

impl Bare {
    pub(crate) fn http(answer: &Value) -> Self {
        let (file, address) = (kept(answer), free_address());
        let child = Command::new(std::env::current_exe().unwrap()).args(["bare-http", &address]).arg(file.path()).spawn().unwrap();
        while std::net::TcpStream::connect(&address).is_err() {
            std::thread::yield_now();
        }
        Self { _answer: file, child, address }
    }

    pub(crate) fn stdio(answer: &Value) -> tokio::process::Child {
        let (_, path) = kept(answer).keep().unwrap();
        let mut command = tokio::process::Command::new(std::env::current_exe().unwrap());
        command.arg("bare-stdio").arg(path).kill_on_drop(true).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn kept(answer: &Value) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    file.write_all(answer.to_string().as_bytes()).unwrap();
    file
}

fn free_address() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}
