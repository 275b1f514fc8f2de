//! The path's invariants, with tools that write, wait and panic, and a disk that fails when it is told to.

mod levels;
mod reload;
mod writes;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opsgate_audit::{Digest, Durable, Files, Handle, OpenError, RealFiles, Receipt, Written};
use opsgate_tools::erased::{Action, Tool, read, write};
use opsgate_tools::error::ToolError;
use opsgate_tools::progress::Progress;
use opsgate_tools::registry::Registry;
use opsgate_tools::scope::{OutputFilter, ScopeKind, Scopes};
use opsgate_tools::tool::{CallContext, Card, Class, Preview, ReadTool, WriteTool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::{Body, RawCall, Reply};
use crate::error::Code;
use crate::gateway::{Gateway, StartError};
use crate::home::Settings;
use crate::identity::Caller;
use crate::policy::{Catalogue, Trigger};

const POLICY: &str = r#"
version: 1
write_mode: on
defaults: {read: allow}
callers: {"local:*": {roles: [developer]}}
systems: {github: {mode: mock}}
repositories: {"acme/*": {write: true}}
rules:
  - {id: notes, allow: {tools: [github_note], repos: ["acme/*"]}, approvals: 0}
  - {id: asked, allow: {tools: [github_ask], repos: ["acme/*"]}, approvals: 1}
limits: {timeout: 1s, max_timeout: 2s, per_caller: {rate: 1000/s, burst: 1000}}
"#;

/// What the tools saw and did.
#[derive(Default)]
struct World {
    audit: PathBuf,
    /// Lets go of a call that is held open.
    let_go: tokio::sync::Notify,
    done: Mutex<Vec<String>>,
    fail: AtomicBool,
    full: AtomicBool,
}

impl World {
    /// Whether the entry with this number is in the file by now.
    fn on_disk(&self, seq: u64) -> bool {
        let log = std::fs::read_to_string(self.audit.join("00000001.jsonl")).unwrap();
        log.lines().any(|line| line.contains(&format!("\"seq\":{seq},")) && line.contains("call.intent"))
    }

    fn did(&self, what: impl Into<String>) {
        self.done.lock().unwrap().push(what.into());
    }

    fn done(&self) -> Vec<String> {
        self.done.lock().unwrap().clone()
    }
}

const fn card(name: &'static str) -> Card {
    Card { name, system: "github", title: "a test", description: "a test", risk: 0.3, open_world: false }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Args {
    text: String,
}

#[derive(Serialize, JsonSchema)]
struct Output {
    said: String,
}

struct Write<const ASK: bool>(Arc<World>);
struct Peek(Arc<World>);

async fn resolve(args: Args) -> Result<(String, Scopes), ToolError> {
    Ok((args.text, Scopes::of(ScopeKind::Repo, "acme/app")))
}

/// A write; whether it asks people first is the policy's business, by its name.
impl<const ASK: bool> WriteTool for Write<ASK> {
    const CARD: Card = card(if ASK { "github_ask" } else { "github_note" });
    type Args = Args;
    type Target = String;
    type Output = Output;
    async fn resolve(&self, args: Args, _: &CallContext) -> Result<(String, Scopes), ToolError> {
        resolve(args).await
    }
    fn time(&self, target: &String) -> Option<Duration> {
        (target == "takes an hour").then(|| Duration::from_secs(3600))
    }
    fn reference(output: &Output) -> Option<String> {
        Some(format!("note {}", output.said.len()))
    }
    async fn preview(&self, target: &String, _: &OutputFilter) -> Result<Preview, ToolError> {
        self.0.did("previewed");
        Ok(Preview { summary: target.clone(), change: Value::Null })
    }
    async fn write(&self, target: String, _: &OutputFilter, receipt: Receipt<Durable>) -> Result<Output, ToolError> {
        self.0.did(format!("{target}, intent on disk: {}", self.0.on_disk(receipt.seq())));
        match target.as_str() {
            "takes an hour" => std::future::pending().await,
            "answers a secret" => return Ok(Output { said: format!("ghp_{}abcd", uuid::Uuid::new_v4().simple()) }),
            "answers much" => return Ok(Output { said: "x".repeat(1 << 20) }),
            "breaks after it" => return Err(ToolError::internal("synced, though it was written").maybe_done()),
            "breaks before it" => return Err(ToolError::internal("nothing was written")),
            "then the disk fails" => self.0.fail.store(true, Ordering::SeqCst),
            _ => {}
        }
        Ok(Output { said: target })
    }
}

impl ReadTool for Peek {
    const CARD: Card = card("github_peek");
    type Args = Args;
    type Target = String;
    type Output = Output;
    async fn resolve(&self, args: Args, cx: &CallContext) -> Result<(String, Scopes), ToolError> {
        cx.progress.say(&args.text);
        resolve(args).await
    }
    async fn read(&self, target: String, _: &OutputFilter, receipt: Receipt<Written>) -> Result<Output, ToolError> {
        self.0.did(format!("{target}, intent on disk: {}", self.0.on_disk(receipt.seq())));
        match target.as_str() {
            "never ends" => std::future::pending().await,
            "held open" => self.0.let_go.notified().await,
            "panics" => panic!("a defect at /home/somebody/secret.rs"),
            "then the disk fails" => self.0.fail.store(true, Ordering::SeqCst),
            _ => {}
        }
        Ok(Output { said: target })
    }
}

/// Fails every sync once told to, or has no room left. It gives the room that is needed, and none ahead.
struct Disk(Arc<World>);
struct DiskFile(Arc<World>, Box<dyn Handle>);

impl Files for Disk {
    fn append(&self, path: &Path) -> io::Result<Box<dyn Handle>> {
        Ok(Box::new(DiskFile(self.0.clone(), RealFiles.append(path)?)))
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        RealFiles.sync_dir(dir)
    }
}

impl Handle for DiskFile {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.1.write(bytes)
    }
    fn sync(&self) -> io::Result<()> {
        if self.0.fail.load(Ordering::SeqCst) { Err(io::Error::from_raw_os_error(5)) } else { self.1.sync() }
    }
    fn reserve(&self, offset: u64, len: u64) -> io::Result<()> {
        let full = self.0.full.load(Ordering::SeqCst) || len >= 1 << 20;
        if full { Err(io::ErrorKind::StorageFull.into()) } else { self.1.reserve(offset, len) }
    }
    fn truncate(&self, len: u64) -> io::Result<()> {
        self.1.truncate(len)
    }
}

struct Bench {
    dir: tempfile::TempDir,
    world: Arc<World>,
    gateway: Arc<Gateway>,
}

fn tools(world: &Arc<World>) -> Vec<Arc<dyn Tool>> {
    vec![write(Write::<false>(world.clone())), write(Write::<true>(world.clone())), read(Peek(world.clone()))]
}

fn open(dir: &Path, world: &Arc<World>, policy: &str) -> Result<Arc<Gateway>, StartError> {
    std::fs::write(dir.join("policy.yaml"), policy).unwrap();
    let settings = Settings { home: dir.join("home"), policy: Some(dir.join("policy.yaml")), ..Settings::default() };
    let catalogue =
        Catalogue::of([("github_note", "github", Class::Write), ("github_ask", "github", Class::Write), ("github_peek", "github", Class::Read)]);
    let own = world.clone();
    Gateway::open_with(&settings, &catalogue, Arc::new(Disk(world.clone())), Box::new(move |_, _| Registry::new(tools(&own))))
}

impl Bench {
    fn with_policy(policy: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("og").tempdir_in("/tmp").unwrap();
        let world = Arc::new(World { audit: dir.path().join("home/audit"), ..World::default() });
        let gateway = open(dir.path(), &world, policy).unwrap();
        Self { dir, world, gateway }
    }

    fn new() -> Self {
        Self::with_policy(POLICY)
    }

    async fn call(&self, tool: &str, text: &str) -> (Option<Code>, String) {
        self.call_as(tool, text, CancellationToken::new(), false).await
    }

    async fn call_as(&self, tool: &str, text: &str, cancel: CancellationToken, write_mode_off: bool) -> (Option<Code>, String) {
        let args = Map::from_iter([("text".to_owned(), text.into())]);
        Self::said(self.gateway.handle(RawCall { cancel, write_mode_off, ..Self::raw(tool, args) }).await)
    }

    fn raw(tool: &str, args: Map<String, Value>) -> RawCall {
        RawCall {
            caller: Caller::of_this_process(),
            counted: None,
            tool: tool.into(),
            args,
            workspace: None,
            write_mode_off: false,
            trigger: Trigger::Client,
            trace: None,
            progress: Progress::default(),
            cancel: CancellationToken::new(),
        }
    }

    fn said(reply: Reply) -> (Option<Code>, String) {
        match reply.into_body() {
            Body::Answer { text, .. } => (None, text.into_inner()),
            Body::Refusal { code, message, .. } => (Some(code), message.into_inner()),
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.world.audit.join("00000001.jsonl")).unwrap()
    }

    /// The types of the log's entries after the first two, with what an outcome was.
    fn entries(&self) -> Vec<String> {
        let log = self.log();
        let entry = |line: &str| {
            let entry: Value = serde_json::from_str(line).unwrap();
            let outcome = entry["data"]["outcome"].as_str().map(|o| format!(" {o}")).unwrap_or_default();
            format!("{}{outcome}", entry["type"].as_str().unwrap())
        };
        log.lines().map(entry).filter(|e| e.starts_with("call.")).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_runs_only_after_its_intent_is_durable() {
    let bench = Bench::new();
    assert_eq!(bench.call("github_note", "hello").await, (None, "{\"result\":{\"said\":\"hello\"},\"status\":\"done\"}".into()));
    assert_eq!(bench.world.done(), ["hello, intent on disk: true"]);
    assert_eq!(bench.entries(), ["call.intent", "call.outcome ok"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_runs_at_once_unless_the_policy_is_strict() {
    let strict = Bench::with_policy(&format!("{POLICY}audit: {{reads: strict}}\n"));
    strict.call("github_peek", "x").await;
    assert_eq!(strict.world.done(), ["x, intent on disk: true"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_needs_people_does_not_run() {
    let bench = Bench::new();
    assert_eq!(bench.call("github_ask", "x").await.0, Some(Code::ApprovalsUnavailable));
    assert_eq!(bench.world.done(), [""; 0]);
    assert_eq!(bench.entries(), ["call.refused"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn write_mode_off_where_the_client_runs_hides_and_refuses_writes() {
    let bench = Bench::new();
    let (code, _) = bench.call_as("github_note", "x", CancellationToken::new(), true).await;
    assert_eq!((code, bench.world.done().len()), (Some(Code::ToolUnavailable), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_ran_and_cannot_be_recorded_says_so_and_seals_for_good() {
    let bench = Bench::new();
    let (code, said) = bench.call("github_note", "then the disk fails").await;
    assert_eq!(code, Some(Code::ExecutedAuditFailed), "{said}");
    assert_eq!(bench.call("github_peek", "x").await.0, Some(Code::Sealed));
    assert_eq!(bench.world.done().len(), 1, "something ran on a sealed log");
    assert!(bench.dir.path().join("home/sealed").exists());
    let Bench { dir, world, gateway } = bench;
    drop(gateway);
    world.fail.store(false, Ordering::SeqCst);
    assert!(matches!(open(dir.path(), &world, POLICY), Err(StartError::Audit(OpenError::Sealed { .. }))));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_cannot_be_recorded_is_withheld() {
    let bench = Bench::new();
    let (code, said) = bench.call("github_peek", "then the disk fails").await;
    assert!(matches!(code, Some(Code::Sealed | Code::AuditUnavailable)), "{code:?}");
    assert!(!said.contains("then the disk fails"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_never_ends_is_ended() {
    let bench = Bench::new();
    let (code, said) = bench.call("github_peek", "never ends").await;
    assert_eq!(code, Some(Code::TimedOut), "{said}");
    assert_eq!(bench.entries(), ["call.intent", "call.outcome error"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_a_record_and_a_safe_sentence() {
    let bench = Bench::new();
    let (code, said) = bench.call("github_peek", "panics").await;
    assert_eq!(code, Some(Code::Internal));
    assert!(!said.contains("secret.rs") && !said.contains("panic"), "{said}");
    assert_eq!(bench.entries(), ["call.intent", "call.outcome indeterminate", "call.refused"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_was_cancelled_before_it_ran_does_not_run() {
    let bench = Bench::new();
    let cancel = CancellationToken::new();
    cancel.cancel();
    let (code, _) = bench.call_as("github_note", "x", cancel, false).await;
    assert_eq!((code, bench.world.done().len()), (Some(Code::Cancelled), 0));
    assert_eq!(bench.entries(), ["call.refused"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_for_other_arguments_runs_nothing() {
    let bench = Bench::new();
    let cx = CallContext { caller: "local:uid=0".into(), workspace: None, cancel: CancellationToken::new(), progress: Progress::default() };
    let args = Map::from_iter([("text".to_owned(), json!("x"))]);
    let peek = read(Peek(bench.world.clone()));
    let prepared = peek.prepare(args, Digest::new([1; 32]), &cx).await.unwrap();
    let re = opsgate_audit::CallRef { request_id: uuid::Uuid::now_v7(), correlation_id: [1; 16] };
    let (receipt, pending) = bench.gateway.log.intent(&re, Digest::new([2; 32]), opsgate_audit::CanonicalJson::of(&json!({})).unwrap()).unwrap();
    let Action::Read(action) = prepared.action else { panic!("a read prepared a write") };
    let permits = OutputFilter::new(Arc::new(Everything), 1 << 16);
    assert!(action.run(permits, receipt).await.is_err());
    assert_eq!(bench.world.done(), [""; 0]);
    drop(pending);
}

struct Everything;

impl opsgate_tools::scope::PathFilter for Everything {
    fn file(&self, _: &str) -> bool {
        true
    }
    fn tree(&self, _: &str) -> bool {
        true
    }
    fn repository(&self, _: &str) -> bool {
        true
    }
}
