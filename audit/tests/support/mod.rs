//! Shared by the tests: a home to write in, calls to record, a file system that fails on purpose.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use opsgate_audit::verify::{Check, Report, verify};
use opsgate_audit::{CallRef, CanonicalJson, Digest, Files, Handle, Log, Opened, Options, RealFiles, SigningKey};
use serde_json::json;
use tempfile::TempDir;

pub struct Home {
    pub dir: TempDir,
    pub key: SigningKey,
    pub files: Arc<dyn Files>,
}

impl Home {
    pub fn new() -> Self {
        Self::on(Arc::new(RealFiles))
    }

    pub fn on(files: Arc<dyn Files>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = SigningKey::load_or_create(&dir.path().join("signing.key")).unwrap();
        Self { dir, key, files }
    }

    pub fn audit(&self) -> PathBuf {
        self.dir.path().join("audit")
    }

    pub fn segment(&self) -> PathBuf {
        self.audit().join("00000001.jsonl")
    }

    pub fn checkpoints(&self) -> PathBuf {
        self.audit().join("checkpoints")
    }

    pub fn mark(&self) -> PathBuf {
        self.dir.path().join("sealed")
    }

    pub fn head(&self) -> PathBuf {
        self.dir.path().join("head")
    }

    pub fn options(&self) -> Options {
        Options { files: self.files.clone(), ..Options::new(self.audit(), self.mark(), "opsgate/test".into(), self.key.clone()) }
    }

    pub fn open(&self) -> (Log, Opened) {
        Log::open(self.options()).unwrap()
    }

    pub fn verify(&self) -> Report {
        verify_folder(&self.audit())
    }

    /// Fails the test where the validator finds anything.
    pub fn assert_valid(&self) -> Report {
        let report = self.verify();
        assert!(report.is_valid(), "{report}");
        report
    }
}

pub fn verify_folder(folder: &Path) -> Report {
    verify(&Check { paths: vec![folder.to_owned()], ..Check::default() }).unwrap()
}

/// What the validator in Python reports, as JSON.
pub fn verify_by_python(folder: &Path, options: &[&std::ffi::OsStr]) -> serde_json::Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("verify.py");
    let output = std::process::Command::new("python3").arg(script).arg("--json").args(options).arg(folder).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

pub fn call() -> CallRef {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    CallRef { request_id: uuid::Uuid::now_v7(), correlation_id: u128::from(NEXT.fetch_add(1, Ordering::Relaxed)).to_be_bytes() }
}

pub fn args() -> Digest {
    Digest::new([7; 32])
}

pub fn data(tool: &str) -> CanonicalJson {
    CanonicalJson::of(&json!({"tool": tool, "class": "read", "bytes": 12})).unwrap()
}

/// Which operation fails, how, and from which time on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    Write,
    Sync,
    Reserve,
    Open,
    SyncDir,
}

/// The real files, with faults by operation and file name. A disk of `space` bytes, where that is set.
#[derive(Default)]
pub struct Faults {
    plan: Mutex<HashMap<(Op, String), i32>>,
    pub syncs: AtomicU64,
    /// Writes take at most so many bytes at once; 0 for all.
    pub short: AtomicU64,
    /// Reserved bytes that the disk still has; `u64::MAX` for a large one.
    pub space: Mutex<Option<u64>>,
}

impl Faults {
    /// From now on, `op` on the file of that name fails with the error number.
    pub fn fail(&self, op: Op, file: &str, errno: i32) {
        self.plan.lock().unwrap().insert((op, file.into()), errno);
    }

    pub fn mend(&self) {
        self.plan.lock().unwrap().clear();
    }

    fn check(&self, op: Op, path: &Path) -> io::Result<()> {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        match self.plan.lock().unwrap().get(&(op, name)) {
            Some(errno) => Err(io::Error::from_raw_os_error(*errno)),
            None => Ok(()),
        }
    }
}

pub const EIO: i32 = 5;
pub const ENOSPC: i32 = 28;

/// A [`Files`] over shared [`Faults`].
pub struct FaultyFiles(pub Arc<Faults>);

struct FaultyHandle {
    faults: Arc<Faults>,
    path: PathBuf,
    file: Box<dyn Handle>,
}

impl Files for FaultyFiles {
    fn append(&self, path: &Path) -> io::Result<Box<dyn Handle>> {
        self.0.check(Op::Open, path)?;
        Ok(Box::new(FaultyHandle { faults: self.0.clone(), path: path.to_owned(), file: RealFiles.append(path)? }))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.check(Op::SyncDir, dir)?;
        RealFiles.sync_dir(dir)
    }
}

impl Handle for FaultyHandle {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.faults.check(Op::Write, &self.path)?;
        let short = usize::try_from(self.faults.short.load(Ordering::Relaxed)).unwrap();
        let length = if short == 0 { bytes.len() } else { short.min(bytes.len()) };
        self.file.write(&bytes[..length])
    }

    fn sync(&self) -> io::Result<()> {
        self.faults.syncs.fetch_add(1, Ordering::SeqCst);
        self.faults.check(Op::Sync, &self.path)?;
        self.file.sync()
    }

    fn reserve(&self, offset: u64, len: u64) -> io::Result<()> {
        self.faults.check(Op::Reserve, &self.path)?;
        if let Some(space) = self.faults.space.lock().unwrap().as_mut() {
            *space = space.checked_sub(len).ok_or_else(|| io::Error::from_raw_os_error(ENOSPC))?;
        }
        self.file.reserve(offset, len)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.file.truncate(len)
    }
}

pub fn faulty() -> (Arc<Faults>, Home) {
    let faults = Arc::new(Faults::default());
    (faults.clone(), Home::on(Arc::new(FaultyFiles(faults))))
}

/// The real files without waiting for the disk: for tests that open a log a thousand times.
pub struct NoSync;

struct NoSyncHandle(Box<dyn Handle>);

impl Files for NoSync {
    fn append(&self, path: &Path) -> io::Result<Box<dyn Handle>> {
        Ok(Box::new(NoSyncHandle(RealFiles.append(path)?)))
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }
}

impl Handle for NoSyncHandle {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn reserve(&self, _offset: u64, _len: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.0.truncate(len)
    }
}
