//! The tools over some access, an audit log, and a policy that denies some paths.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use opsgate_audit::{CallRef, CanonicalJson, Digest, Log, Options, SigningKey};
use opsgate_tools::erased::{Action, Prepared};
use opsgate_tools::error::ToolError;
use opsgate_tools::github::{self, Access, Settings};
use opsgate_tools::http::ApiUrl;
use opsgate_tools::progress::Progress;
use opsgate_tools::registry::Registry;
use opsgate_tools::scope::{OutputFilter, PathFilter, Redaction};
use opsgate_tools::tool::{CallContext, Preview};
use secrecy::SecretString;
use serde_json::{Map, Value};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

pub(crate) struct Fixture {
    _home: TempDir,
    log: Log,
    tools: Registry,
    calls: AtomicU64,
    pub(crate) token: String,
    denied: &'static str,
    bytes: usize,
    pub(crate) cancel: CancellationToken,
}

/// A word that no other run has.
pub(crate) fn word() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

impl Fixture {
    pub(crate) fn mock() -> Self {
        Self::with(Access::Mock, String::new())
    }

    pub(crate) fn real(url: &str) -> Self {
        let token = word() + &word();
        Self::with(Access::Real { api: ApiUrl::parse(url).unwrap(), token: SecretString::from(token.clone()) }, token)
    }

    pub(crate) fn with(access: Access, token: String) -> Self {
        let home = TempDir::new().unwrap();
        let key = SigningKey::load_or_create(&home.path().join("signing.key")).unwrap();
        let (log, _) = Log::open(Options::new(home.path().join("audit"), home.path().join("sealed"), "test/github".into(), key)).unwrap();
        let tools = Registry::new(github::tools(&Settings { access })).unwrap();
        Self { _home: home, log, tools, calls: AtomicU64::new(0), token, denied: "\0", bytes: 100_000, cancel: CancellationToken::new() }
    }

    /// A budget for the output.
    pub(crate) fn of_bytes(self, bytes: usize) -> Self {
        Self { bytes, ..self }
    }

    /// Denies paths that contain this.
    pub(crate) fn denying(self, denied: &'static str) -> Self {
        Self { denied, ..self }
    }

    pub(crate) async fn prepare(&self, caller: &str, tool: &str, args: Value) -> Result<Prepared, ToolError> {
        let cx = CallContext { caller: caller.into(), workspace: None, cancel: self.cancel.clone(), progress: Progress::default() };
        let args: Map<String, Value> = serde_json::from_value(args).unwrap();
        self.tools.find(tool).unwrap().prepare(args, digest(), &cx).await
    }

    fn filter(&self) -> OutputFilter {
        OutputFilter::new(Arc::new(Denied(self.denied)), self.bytes).with_redaction(Arc::new(Tokens))
    }

    pub(crate) async fn run(&self, prepared: Prepared) -> Result<Value, ToolError> {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let call = CallRef { request_id: format!("01900000-0000-7000-8000-{number:012x}").parse().unwrap(), correlation_id: [1; 16] };
        let (receipt, _pending) = self.log.intent(&call, digest(), CanonicalJson::of(&Map::new()).unwrap()).unwrap();
        match prepared.action {
            Action::Read(read) => read.run(self.filter(), receipt).await,
            Action::Write(write) => write.run(self.filter(), self.log.durable(receipt).await.unwrap()).await.map(|done| done.answer),
        }
    }

    pub(crate) async fn preview(&self, tool: &str, args: Value) -> Preview {
        match self.prepare("a", tool, args).await.unwrap().action {
            Action::Write(write) => write.preview(self.filter()).await.unwrap(),
            Action::Read(_) => panic!("{tool} writes nothing"),
        }
    }

    pub(crate) async fn call_by(&self, caller: &str, tool: &str, args: Value) -> Result<Value, ToolError> {
        let prepared = self.prepare(caller, tool, args).await?;
        self.run(prepared).await
    }

    pub(crate) async fn ok(&self, tool: &str, args: Value) -> Value {
        self.call_by("a", tool, args.clone()).await.unwrap_or_else(|error| panic!("{tool} {args}: {error:?}"))
    }

    /// A call that fails, and shows the token nowhere.
    pub(crate) async fn err(&self, tool: &str, args: Value) -> ToolError {
        let error = self.call_by("a", tool, args.clone()).await.map_or_else(|error| error, |output| panic!("{tool} {args} answered {output}"));
        assert!(self.token.is_empty() || !format!("{error:?}").contains(&self.token), "the token is in {error:?}");
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
            assert!(pages.len() < 1000, "{tool} makes no progress");
            match next {
                Some(cursor) => args["cursor"] = cursor,
                None => return pages,
            }
        }
    }
}

/// Denies paths that contain this.
struct Denied(&'static str);

impl PathFilter for Denied {
    fn file(&self, path: &str) -> bool {
        !path.contains(self.0)
    }

    fn tree(&self, path: &str) -> bool {
        !path.contains(self.0)
    }
    fn repository(&self, _: &str) -> bool {
        true
    }
}

/// Stands in for the gateway's scrubber.
struct Tokens;

impl Redaction for Tokens {
    fn by_line(&self, whole: &str) -> Option<String> {
        let (before, after) = whole.split_once("ghp_")?;
        let rest = after.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
        Some(format!("{before}[REDACTED:github_token]{rest}"))
    }
}

fn digest() -> Digest {
    Digest::new([7; 32])
}

pub(crate) fn numbers(output: &Value) -> Vec<u64> {
    output["issues"].as_array().unwrap().iter().map(|issue| issue["number"].as_u64().unwrap()).collect()
}
