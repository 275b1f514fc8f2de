//! A repository, an audit log, and a policy that denies some folders.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use git2::{IndexAddOption, Oid, Repository, Signature, Time};
use opsgate_audit::{CallRef, CanonicalJson, Digest, Log, Options, SigningKey};
use opsgate_tools::erased::{Action, Prepared};
use opsgate_tools::error::{ToolError, ToolErrorKind};
use opsgate_tools::progress::Progress;
use opsgate_tools::registry::Registry;
use opsgate_tools::scope::{OutputFilter, PathFilter, Redaction, ScopeKind, Scopes};
use opsgate_tools::tool::{CallContext, Class, Preview};
use opsgate_tools::workspace::{self, ServiceSources, Settings, Workspace};
use serde_json::{Map, Value};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// Denies these paths and what is below them.
#[derive(Clone, Default)]
pub(crate) struct Denied(Vec<&'static str>);

impl Denied {
    fn covers(&self, path: &str) -> bool {
        self.0.iter().any(|denied| path == *denied || path.strip_prefix(denied).is_some_and(|rest| rest.starts_with('/')))
    }

    /// What the gateway's policy does before a call runs.
    pub(crate) fn refuses(&self, scopes: &Scopes) -> bool {
        [ScopeKind::Path, ScopeKind::Tree].iter().any(|kind| scopes.values(*kind).any(|path| self.covers(path)))
            || scopes.values(ScopeKind::Repo).any(|folder| !self.repository(folder))
    }
}

impl PathFilter for Denied {
    fn file(&self, path: &str) -> bool {
        !self.covers(path)
    }

    fn tree(&self, path: &str) -> bool {
        !self.covers(path)
    }

    /// Repositories are denied by the end of their folder's name.
    fn repository(&self, folder: &str) -> bool {
        !self.0.iter().any(|denied| folder.ends_with(&format!("/{denied}")))
    }
}

pub(crate) struct Fixture {
    home: TempDir,
    top: TempDir,
    pub(crate) git: Repository,
    log: Log,
    tools: Registry,
    calls: AtomicU64,
    clock: AtomicU64,
    pub(crate) denied: Denied,
    pub(crate) redaction: Option<Arc<dyn Redaction>>,
    pub(crate) bytes: usize,
    pub(crate) cancel: CancellationToken,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with_services(ServiceSources { bus: Some("unix:path=/nonexistent/bus".into()), docker: "/nonexistent/docker.sock".into() })
    }

    pub(crate) fn with_services(services: ServiceSources) -> Self {
        Self::with(&Settings::default(), services)
    }

    pub(crate) fn with(settings: &Settings, services: ServiceSources) -> Self {
        let (home, top) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let mut options = git2::RepositoryInitOptions::new();
        let git = Repository::init_opts(top.path(), options.initial_head("main")).unwrap();
        let key = SigningKey::load_or_create(&home.path().join("signing.key")).unwrap();
        let (log, _) = Log::open(Options::new(home.path().join("audit"), home.path().join("sealed"), "test/workspace".into(), key)).unwrap();
        let tools = Registry::new(workspace::tools_with(settings, services)).unwrap();
        let (calls, clock) = (AtomicU64::new(0), AtomicU64::new(1_700_000_000));
        Self {
            home,
            top,
            git,
            log,
            tools,
            calls,
            clock,
            denied: Denied::default(),
            redaction: None,
            bytes: 100_000,
            cancel: CancellationToken::new(),
        }
    }

    pub(crate) fn deny(mut self, paths: &[&'static str]) -> Self {
        self.denied = Denied(paths.to_vec());
        self
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.top.path().join(path)
    }

    /// A folder that is in no repository.
    pub(crate) fn outside(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        self
    }

    pub(crate) fn link(&self, path: &str, target: impl AsRef<Path>) -> &Self {
        symlink(target, self.path(path)).unwrap();
        self
    }

    /// Stages everything, deletions too, and commits it, each commit an hour after the one before.
    pub(crate) fn commit(&self, message: &str) -> Oid {
        self.stage();
        let tree = self.git.find_tree(self.git.index().unwrap().write_tree().unwrap()).unwrap();
        let time = Time::new(self.clock.fetch_add(3600, Ordering::Relaxed).cast_signed(), 120);
        let author = Signature::new("Ada Example", "ada@example.org", &time).unwrap();
        let parent = self.git.head().ok().and_then(|head| head.peel_to_commit().ok());
        self.git.commit(Some("HEAD"), &author, &author, message, &tree, &parent.iter().collect::<Vec<_>>()).unwrap()
    }

    pub(crate) fn stage(&self) {
        let mut index = self.git.index().unwrap();
        index.add_all(["*"], IndexAddOption::DEFAULT, None).unwrap();
        index.update_all(["*"], None).unwrap();
        index.write().unwrap();
    }

    pub(crate) fn workspace(&self) -> Arc<Workspace> {
        Arc::new(Workspace::open(self.top.path()).unwrap())
    }

    pub(crate) async fn prepare(&self, tool: &str, args: Value) -> Result<Prepared, ToolError> {
        self.prepare_in(&self.context(), tool, args).await
    }

    pub(crate) fn context(&self) -> CallContext {
        CallContext { workspace: Some(self.workspace()), ..self.context_without_workspace() }
    }

    pub(crate) fn context_without_workspace(&self) -> CallContext {
        CallContext { caller: "local:uid=1000".into(), workspace: None, cancel: self.cancel.clone(), progress: Progress::default() }
    }

    pub(crate) async fn prepare_in(&self, cx: &CallContext, tool: &str, args: Value) -> Result<Prepared, ToolError> {
        let args: Map<String, Value> = serde_json::from_value(args).unwrap();
        self.tools.find(tool).unwrap().prepare(args, digest(), cx).await
    }

    pub(crate) async fn run(&self, prepared: Prepared) -> Result<Value, ToolError> {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let call = CallRef { request_id: format!("01900000-0000-7000-8000-{number:012x}").parse().unwrap(), correlation_id: [1; 16] };
        let (receipt, _pending) = self.log.intent(&call, digest(), CanonicalJson::of(&Map::new()).unwrap()).unwrap();
        let filter = self.filter();
        match prepared.action {
            Action::Read(read) => read.run(filter, receipt).await,
            Action::Write(write) => write.run(filter, self.log.durable(receipt).await.unwrap()).await.map(|done| done.answer),
        }
    }

    fn filter(&self) -> OutputFilter {
        let filter = OutputFilter::new(Arc::new(self.denied.clone()), self.bytes);
        match &self.redaction {
            Some(redaction) => filter.with_redaction(redaction.clone()),
            None => filter,
        }
    }

    /// What a write would do.
    pub(crate) async fn preview(&self, tool: &str, args: Value) -> Result<Preview, ToolError> {
        match self.prepare(tool, args).await?.action {
            Action::Write(write) => write.preview(self.filter()).await,
            Action::Read(_) => panic!("{tool} writes nothing"),
        }
    }

    /// What a write did.
    pub(crate) async fn done(&self, tool: &str, args: Value) -> Value {
        let answer = self.ok(tool, args).await;
        assert_eq!(answer["status"], "done");
        answer["result"].clone()
    }

    /// What git's own command line says in the work tree, under no settings but the repository's.
    pub(crate) fn git_says(&self, args: &[&str]) -> String {
        let output = self.git_command(args);
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn git_command(&self, args: &[&str]) -> std::process::Output {
        let mut command = std::process::Command::new("git");
        command.args(["-c", "user.name=Bo", "-c", "user.email=bo@example.invalid"]).args(args).current_dir(self.top.path());
        command.env("HOME", self.home.path()).env("GIT_CONFIG_NOSYSTEM", "1").output().unwrap()
    }

    /// The whole call: resolved, judged, run, and held against the tool's schema.
    pub(crate) async fn call(&self, tool: &str, args: Value) -> Result<Value, ToolError> {
        let prepared = self.prepare(tool, args).await?;
        if self.denied.refuses(&prepared.scopes) {
            return Err(ToolError::new(ToolErrorKind::OutOfBounds, "denied by policy"));
        }
        let output = self.run(prepared).await?;
        let spec = self.tools.find(tool).unwrap().spec();
        let schema = Value::Object(spec.output_schema.as_ref().clone());
        match spec.class {
            Class::Read => fits(&output, &schema, tool),
            Class::Write => fits(&output["result"], &schema["properties"]["result"], tool),
        }
        Ok(output)
    }

    /// A call on another workspace.
    pub(crate) async fn call_in(&self, cx: &CallContext, tool: &str, args: Value) -> Result<Value, ToolError> {
        self.run(self.prepare_in(cx, tool, args).await?).await
    }

    pub(crate) async fn ok(&self, tool: &str, args: Value) -> Value {
        self.call(tool, args.clone()).await.unwrap_or_else(|error| panic!("{tool} {args}: {error:?}"))
    }

    pub(crate) async fn err(&self, tool: &str, args: Value) -> ToolError {
        let error = self.call(tool, args.clone()).await.map_or_else(|error| error, |output| panic!("{tool} {args} answered {output}"));
        let top = self.top.path().to_str().unwrap();
        assert!(!error.client.contains(top), "an internal path in {:?}", error.client);
        error
    }

    /// All pages of a call.
    pub(crate) async fn pages(&self, tool: &str, mut args: Value) -> Vec<Value> {
        let mut pages = Vec::new();
        loop {
            let page = self.ok(tool, args.clone()).await;
            let next = page.get("next_cursor").cloned();
            assert_eq!(page.get("cut").is_some(), next.is_some());
            pages.push(page);
            assert!(pages.len() < 10_000, "{tool} makes no progress");
            match next {
                Some(cursor) => args["cursor"] = cursor,
                None => return pages,
            }
        }
    }
}

/// Holds a value against the words of JSON Schema that the tools use.
fn fits(value: &Value, schema: &Value, at: &str) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    assert_eq!(schema["type"], kind, "{at}");
    for item in value.as_array().into_iter().flatten() {
        fits(item, &schema["items"], at);
    }
    for (key, inner) in value.as_object().into_iter().flatten() {
        fits(inner, schema["properties"].get(key).unwrap_or_else(|| panic!("{at}.{key} is in no schema")), &format!("{at}.{key}"));
    }
    for key in schema["required"].as_array().into_iter().flatten() {
        assert!(value.get(key.as_str().unwrap()).is_some(), "{at} lacks {key}");
    }
}

fn digest() -> Digest {
    Digest::new([7; 32])
}

/// The strings of one field of every item of a list.
pub(crate) fn each<'v>(output: &'v Value, list: &str, field: &str) -> Vec<&'v str> {
    output[list].as_array().unwrap().iter().map(|item| item[field].as_str().unwrap()).collect()
}
