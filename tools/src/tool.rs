//! The two traits a tool can implement.
//!
//! Which trait a tool implements *is* its class, so the class cannot be wrong. A tool runs only when it is handed a
//! [`Receipt`] by value, and only the audit log makes those.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use opsgate_audit::{Durable, Receipt, Written};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::error::ToolError;
use crate::progress::Progress;
use crate::scope::{OutputFilter, Scopes};
use crate::workspace::Workspace;

/// What a tool does to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Changes nothing.
    Read,
    /// Changes something.
    Write,
}

/// The constant facts of a tool.
#[derive(Debug, Clone, Copy)]
pub struct Card {
    /// `system_verb_object`.
    pub name: &'static str,
    /// The system it belongs to: `workspace`, `github`, `policy`, …
    pub system: &'static str,
    /// A few words for people.
    pub title: &'static str,
    /// What it is for and when to use another one; it costs the client's context, so nothing else.
    pub description: &'static str,
    /// Base risk from 0.0 to 1.0 (reads 0.1–0.2, writes 0.3–0.5, critical 0.7–1.0).
    pub risk: f32,
    /// Whether it reaches beyond this machine.
    pub open_world: bool,
}

/// Who calls, from where, and how to stop. Given to `resolve`.
#[derive(Debug, Clone)]
pub struct CallContext {
    /// The caller's id with its issuer, `local:uid=1000`.
    pub caller: Arc<str>,
    /// The repository this connection works on.
    pub workspace: Option<Arc<Workspace>>,
    /// Fires when the client cancels or the call's time is up.
    pub cancel: CancellationToken,
    /// Takes lines for the client while the call runs. What is said there is scrubbed like everything that leaves.
    pub progress: Progress,
}

impl CallContext {
    /// The connection's workspace, or the error that says how to name one.
    ///
    /// # Errors
    /// [`crate::error::ToolErrorKind::Unavailable`] where the connection names none.
    pub fn workspace(&self) -> Result<Arc<Workspace>, ToolError> {
        self.workspace.clone().ok_or_else(|| {
            ToolError::new(
                crate::error::ToolErrorKind::Unavailable,
                "this connection has no workspace; start it with `--workspace DIR` inside a git repository",
            )
        })
    }
}

/// A tool that changes nothing.
pub trait ReadTool: Send + Sync + 'static {
    /// Name, system, description.
    const CARD: Card;
    /// Typed arguments, `deny_unknown_fields`.
    type Args: DeserializeOwned + JsonSchema + Send + 'static;
    /// What policy judges and what then runs: handles and object ids, never a name to be looked up again.
    type Target: Send + 'static;
    /// The structured reply.
    type Output: Serialize + JsonSchema + Send + 'static;

    /// Turns arguments into a target and its scopes, without telling the caller anything yet.
    fn resolve(&self, args: Self::Args, cx: &CallContext) -> impl Future<Output = Result<(Self::Target, Scopes), ToolError>> + Send;

    /// Reads the target. `receipt` proves that the intent is in the chain.
    fn read(
        &self,
        target: Self::Target,
        filter: &OutputFilter,
        receipt: Receipt<Written>,
    ) -> impl Future<Output = Result<Self::Output, ToolError>> + Send;
}

/// What a write would do, made by the provider's own dry run.
#[derive(Debug, Clone, Serialize)]
pub struct Preview {
    /// One line for people.
    pub summary: String,
    /// The exact change: a diff, a body, a plan.
    pub change: Value,
}

/// A tool that changes something.
pub trait WriteTool: Send + Sync + 'static {
    /// Name, system, description.
    const CARD: Card;
    /// Whether it replaces or removes what was there, where another write only adds: a policy can weigh that.
    const DESTRUCTIVE: bool = false;
    /// Typed arguments, `deny_unknown_fields`.
    type Args: DeserializeOwned + JsonSchema + Send + 'static;
    /// As for a read, with the preconditions the write depends on.
    type Target: Send + Sync + 'static;
    /// The structured reply.
    type Output: Serialize + JsonSchema + Send + 'static;

    /// Turns arguments into a target, its preconditions and its scopes.
    fn resolve(&self, args: Self::Args, cx: &CallContext) -> impl Future<Output = Result<(Self::Target, Scopes), ToolError>> + Send;

    /// How long this write may take where that is longer than the policy's time-out for a call; the policy's `max_timeout` bounds it.
    fn time(&self, _target: &Self::Target) -> Option<Duration> {
        None
    }

    /// What was made, by the name that its system gives it (a commit, an issue's address): the record keeps it.
    fn reference(_output: &Self::Output) -> Option<String> {
        None
    }

    /// Shows what would happen, without doing it.
    fn preview(&self, target: &Self::Target, filter: &OutputFilter) -> impl Future<Output = Result<Preview, ToolError>> + Send;

    /// Does it. `receipt` proves that the intent is on disk.
    fn write(
        &self,
        target: Self::Target,
        filter: &OutputFilter,
        receipt: Receipt<Durable>,
    ) -> impl Future<Output = Result<Self::Output, ToolError>> + Send;
}

/// A tool as the registry holds it: its constants and schemas.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Name, system, description.
    pub card: Card,
    /// Read or write, from the trait it implements.
    pub class: Class,
    /// Whether it replaces or removes what was there.
    pub destructive: bool,
    /// JSON Schema of the arguments.
    pub input_schema: Arc<Map<String, Value>>,
    /// JSON Schema of the structured reply.
    pub output_schema: Arc<Map<String, Value>>,
}
