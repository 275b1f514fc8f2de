//! A real repository under a real gateway: files that a caller may read, files that the policy denies, files outside; and links
//! between them. Each kind holds a mark of its own.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use git2::{IndexAddOption, Repository, Signature};
use opsgate::call::{Body, RawCall};
use opsgate::gateway::Gateway;
use opsgate::home::Settings;
use opsgate::identity::Caller;
use opsgate::policy::Trigger;
use opsgate_tools::progress::Progress;
use opsgate_tools::workspace::Workspace;
use serde_json::{Map, Value};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use unicode_normalization::UnicodeNormalization;

/// In what may be read.
pub const ALLOWED: &str = "marked-as-allowed";
/// In what the policy denies.
pub const DENIED: &str = "marked-as-denied";
/// In what lies outside of the repository.
pub const OUTSIDE: &str = "marked-as-outside";

const POLICY: &str = r#"
version: 1
write_mode: on
defaults: {read: allow}
callers: {"local:*": {roles: [developer]}}
systems: {workspace: {mode: approval_required_write, roots: ["/**"]}}
repositories: {"/**": {write: true, paths: {deny: ["listed/**"]}}}
rules:
  - {id: writes, allow: {tools: [workspace_write_file]}, approvals: 0}
  - {id: denied, deny: {paths: ["secret/**", "deep/**/secret", "**/*.pem", "**/.env*", "private.txt", "**/clé.txt", "**/[Kk]ey*.bin", "straße/**", "**/*Σ.cfg", "?.key"]}}
limits: {per_caller: {rate: 100000/s, burst: 100000}, concurrency: 64, output_bytes: 1MiB}
"#;

/// What may be read, by its one name.
pub const READABLE: &[&str] = &[
    "plain.txt",
    "src/main.rs",
    "src/deep/er/file.txt",
    "with space.txt",
    "dots...",
    "...",
    "café.txt",
    "UPPER.TXT",
    "upper.txt",
    "pem",
    "env",
    "a pem.txt",
    "50%.txt",
    "-dash",
    "*star*",
    "[class]",
    "{brace}",
    "secrets.txt",
    "secretive/file",
    "deep/public",
    "listed.txt",
];

/// What the policy denies, in the spellings that a file system keeps apart.
const HIDDEN: &[&str] = &[
    "secret/file",
    "secret/deep/file",
    "Secret/file",
    "SECRET/FILE",
    "deep/secret",
    "deep/a/b/secret",
    "key.pem",
    "src/Key.PEM",
    "src/x.pem/file",
    ".env",
    "src/.env.local",
    ".ENV",
    "private.txt",
    "PRIVATE.TXT",
    "clé.txt",
    "src/cle\u{301}.txt",
    "KEY1.bin",
    "listed/file",
    "Listed/File",
    "STRAẞE/file",
    "src/ΑΣ.cfg",
    "src/ας.cfg",
    "é.key",
];

/// The world and the gateway that serves it.
pub struct World {
    top: TempDir,
    runtime: Runtime,
    gateway: Arc<Gateway>,
    workspace: Arc<Workspace>,
    first: BTreeMap<PathBuf, Vec<u8>>,
}

impl World {
    /// Builds it in a temporary folder.
    pub fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let builder = || tempfile::Builder::new().prefix("ogfuzz").to_owned();
        let top = if memory.is_dir() { builder().tempdir_in(memory) } else { builder().tempdir() }.unwrap();
        let at = |name: &str| top.path().join(name);
        std::fs::DirBuilder::new().mode(0o700).create(at("home")).unwrap();
        std::fs::write(at("policy.yaml"), POLICY).unwrap();
        for name in ["outside/file", "outside/secret/file", "outside/plain.txt"] {
            put(&at(name), OUTSIDE);
        }
        let repository = at("repo");
        READABLE.iter().for_each(|name| put(&repository.join(name), ALLOWED));
        HIDDEN.iter().for_each(|name| put(&repository.join(name), DENIED));
        // Names that have no spelling: whatever they hold, nothing may show it.
        for name in [&b"back\\slash"[..], b"%2e%2e", b"%73ecret", b"cont\x01rol", b"zero\xe2\x80\x8bwidth", b"latin\xe9.pem"] {
            put(&repository.join(std::ffi::OsStr::from_bytes(name)), DENIED);
        }
        put(&repository.join("l".repeat(250)), ALLOWED);
        let outside = at("outside");
        for (name, target) in [
            ("to-plain", Path::new("plain.txt")),
            ("to-src", Path::new("src")),
            ("to-top", Path::new(".")),
            ("to-denied", Path::new("secret/file")),
            ("to-denied-folder", Path::new("secret")),
            ("to-denied-case", Path::new("Secret/file")),
            ("to-link", Path::new("to-denied-folder")),
            ("src/up", Path::new("../secret")),
            ("loop", Path::new("loop")),
            ("to-git", Path::new(".git")),
            ("to-parent", Path::new("..")),
            ("to-outside", outside.as_path()),
            ("to-outside-file", &outside.join("file")),
            ("relative-outside", Path::new("../outside/file")),
            ("src/relative-outside", Path::new("../../outside")),
            ("chain", Path::new("to-outside")),
            ("absolute-inside", &repository.join("plain.txt")),
            ("absolute-denied", &repository.join("private.txt")),
            ("proc", Path::new("/proc/self/root")),
        ] {
            symlink(target, repository.join(name)).unwrap();
        }
        commit(&repository);
        let settings = Settings { home: at("home"), policy: Some(at("policy.yaml")), ..Settings::default() };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let gateway = runtime.block_on(async { Gateway::open(&settings) }).unwrap();
        let workspace = Arc::new(Workspace::open(&repository).unwrap());
        let mut world = Self { top, runtime, gateway, workspace, first: BTreeMap::new() };
        world.first = world.files();
        world
    }

    fn repository(&self) -> PathBuf {
        self.top.path().join("repo")
    }

    /// Calls a tool as a client does; the whole answer as text, and whether it is one.
    pub fn call(&self, tool: &str, args: Map<String, Value>) -> (bool, String) {
        let raw = RawCall {
            caller: Caller::of_this_process(),
            counted: None,
            tool: tool.to_owned(),
            args,
            workspace: Some(self.workspace.clone()),
            write_mode_off: false,
            trigger: Trigger::Client,
            trace: None,
            progress: Progress::default(),
            cancel: CancellationToken::new(),
        };
        match self.runtime.block_on(self.gateway.handle(raw)).into_body() {
            Body::Answer { text, .. } => (true, text.into_inner()),
            Body::Refusal { message, hint, .. } => (false, format!("{} {}", message.into_inner(), hint.into_inner())),
        }
    }

    /// Says what a write changed that it may not, and takes back what it did.
    pub fn restore(&self) -> Option<String> {
        let now = self.files();
        let mut wrong = None;
        for path in now.keys().chain(self.first.keys()) {
            let (before, after) = (self.first.get(path), now.get(path));
            if before == after {
                continue;
            }
            if !self.may_change(path) {
                wrong = Some(format!("{} changed", path.display()));
            }
            match before {
                Some(content) => std::fs::write(path, content).unwrap(),
                None => std::fs::remove_file(path).unwrap(),
            }
        }
        wrong
    }

    /// Whether a write may touch the file, said once more and by other means than globs.
    fn may_change(&self, path: &Path) -> bool {
        let Ok(inside) = path.strip_prefix(self.repository()) else { return false };
        let Some(name) = inside.to_str() else { return false };
        let name: String = name.nfc().collect::<String>().to_lowercase();
        let parts: Vec<&str> = name.split('/').collect();
        let denied = |part: &&str| part.ends_with(".pem") || part.starts_with(".env") || *part == "clé.txt" || *part == ".git";
        let key = |part: &&str| part.starts_with("key") && part.ends_with(".bin");
        let greek = |part: &&str| part.ends_with("σ.cfg") || part.ends_with("ς.cfg");
        let one_letter = parts.first().is_some_and(|part| part.strip_suffix(".key").is_some_and(|letter| letter.chars().count() == 1));
        let first = parts.first().copied().unwrap_or_default();
        let under_deep = first == "deep" && parts.iter().skip(1).any(|part| *part == "secret");
        !(parts.iter().any(|part| denied(part) || key(part) || greek(part))
            || one_letter
            || under_deep
            || matches!(first, "secret" | "private.txt" | "listed" | "straße" | "strasse"))
    }

    /// Every file of the world but the gateway's own, with its content. Links are not followed.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.repository(), self.top.path().join("outside")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()) {
                let (path, kind) = (entry.path(), entry.file_type().unwrap());
                if kind.is_dir() {
                    // git's own objects are many, and no tool here writes them.
                    if !path.ends_with(".git/objects") {
                        folders.push(path);
                    }
                } else if kind.is_symlink() {
                    files.insert(path.clone(), std::fs::read_link(path).unwrap().as_os_str().as_bytes().to_vec());
                } else {
                    files.insert(path.clone(), std::fs::read(path).unwrap());
                }
            }
        }
        files
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

fn put(path: &Path, mark: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, format!("first line\n{mark}\nlast line\n")).unwrap();
}

/// Two commits, so that history holds the denied files too.
fn commit(repository: &Path) {
    let git = Repository::init_opts(repository, git2::RepositoryInitOptions::new().initial_head("main")).unwrap();
    let who = Signature::now("Ana", "ana@example.invalid").unwrap();
    for message in ["first", "second"] {
        put(&repository.join("secret/changing"), &format!("{DENIED} {message}"));
        put(&repository.join("changing"), &format!("{ALLOWED} {message}"));
        let mut index = git.index().unwrap();
        index.add_all(["*"], IndexAddOption::DEFAULT, Some(&mut |path: &Path, _: &[u8]| i32::from(path.to_str().is_none()))).unwrap();
        index.write().unwrap();
        let tree = git.find_tree(index.write_tree().unwrap()).unwrap();
        let parents: Vec<_> = git.head().ok().and_then(|head| head.peel_to_commit().ok()).into_iter().collect();
        git.commit(Some("HEAD"), &who, &who, message, &tree, &parents.iter().collect::<Vec<_>>()).unwrap();
    }
    let head = git.head().unwrap().peel_to_commit().unwrap();
    git.branch("release/1", &head, false).unwrap();
    git.tag_lightweight("v1", head.as_object(), false).unwrap();
}
