//! The two traits a tool can implement, and their type-erased form.
//!
//! Which trait a tool implements *is* its class, so the class cannot be wrong. A tool runs only when it is handed a
//! [`Receipt`] by value, and only the audit log makes those.

use std::future::Future;
use std::sync::Arc;

use futures::future::BoxFuture;
use opsgate_audit::{Digest, Durable, Receipt, Written};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::error::ToolError;
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
    /// Typed arguments, `deny_unknown_fields`.
    type Args: DeserializeOwned + JsonSchema + Send + 'static;
    /// As for a read, with the preconditions the write depends on.
    type Target: Send + Sync + 'static;
    /// The structured reply.
    type Output: Serialize + JsonSchema + Send + 'static;

    /// Turns arguments into a target, its preconditions and its scopes.
    fn resolve(&self, args: Self::Args, cx: &CallContext) -> impl Future<Output = Result<(Self::Target, Scopes), ToolError>> + Send;

    /// Shows what would happen, without doing it.
    fn preview(&self, target: &Self::Target) -> impl Future<Output = Result<Preview, ToolError>> + Send;

    /// Does it. `receipt` proves that the intent is on disk.
    fn write(&self, target: Self::Target, receipt: Receipt<Durable>) -> impl Future<Output = Result<Self::Output, ToolError>> + Send;
}

/// A tool as the registry holds it: its constants and schemas.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Name, system, description.
    pub card: Card,
    /// Read or write, from the trait it implements.
    pub class: Class,
    /// JSON Schema of the arguments.
    pub input_schema: Arc<Map<String, Value>>,
    /// JSON Schema of the structured reply.
    pub output_schema: Arc<Map<String, Value>>,
}

/// A call whose arguments were parsed and resolved, once. What was judged is what runs.
pub struct Prepared {
    /// What policy judges.
    pub scopes: Scopes,
    /// The digest of the arguments that the receipt must carry.
    pub args: Digest,
    /// The resolved work.
    pub action: Action,
}

/// The resolved work, by class.
pub enum Action {
    /// Runs on a [`Receipt<Written>`].
    Read(ReadAction),
    /// Runs on a [`Receipt<Durable>`].
    Write(WriteAction),
}

type ReadRun = dyn FnOnce(OutputFilter, Receipt<Written>) -> BoxFuture<'static, Result<Value, ToolError>> + Send;
type WriteRun = dyn FnOnce(Receipt<Durable>) -> BoxFuture<'static, Result<Value, ToolError>> + Send;
type PreviewRun = dyn Fn() -> BoxFuture<'static, Result<Preview, ToolError>> + Send + Sync;

/// A resolved read.
pub struct ReadAction(Box<ReadRun>);

impl ReadAction {
    /// Reads; fails where the receipt was made for other arguments.
    ///
    /// # Errors
    /// What the tool's own `read` answers.
    pub async fn run(self, filter: OutputFilter, receipt: Receipt<Written>) -> Result<Value, ToolError> {
        (self.0)(filter, receipt).await
    }
}

/// A resolved write with its preview.
pub struct WriteAction {
    preview: Box<PreviewRun>,
    run: Box<WriteRun>,
}

impl WriteAction {
    /// What would happen.
    ///
    /// # Errors
    /// What the tool's own `preview` answers.
    pub async fn preview(&self) -> Result<Preview, ToolError> {
        (self.preview)().await
    }

    /// Does it; fails where the receipt was made for other arguments.
    ///
    /// # Errors
    /// What the tool's own `write` answers.
    pub async fn run(self, receipt: Receipt<Durable>) -> Result<Value, ToolError> {
        let Self { preview, run } = self;
        drop(preview); // it shares the target, which the write takes by value
        run(receipt).await
    }
}

/// A type-erased tool: what the registry holds and the call path drives.
pub trait Tool: Send + Sync {
    /// Its constants and schemas.
    fn spec(&self) -> &Spec;
    /// Parses the arguments and resolves them. `digest` is what the receipt must carry for the work to run.
    fn prepare<'a>(&'a self, args: Map<String, Value>, digest: Digest, cx: &'a CallContext) -> BoxFuture<'a, Result<Prepared, ToolError>>;
}

/// Wraps a read tool for the registry.
#[must_use]
pub fn read<T: ReadTool>(tool: T) -> Arc<dyn Tool> {
    Arc::new(Read { spec: spec::<T::Args, T::Output>(T::CARD, Class::Read), tool: Arc::new(tool) })
}

/// Wraps a write tool for the registry.
#[must_use]
pub fn write<T: WriteTool>(tool: T) -> Arc<dyn Tool> {
    Arc::new(Write { spec: spec::<T::Args, T::Output>(T::CARD, Class::Write), tool: Arc::new(tool) })
}

struct Read<T> {
    spec: Spec,
    tool: Arc<T>,
}

impl<T: ReadTool> Tool for Read<T> {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn prepare<'a>(&'a self, args: Map<String, Value>, digest: Digest, cx: &'a CallContext) -> BoxFuture<'a, Result<Prepared, ToolError>> {
        Box::pin(async move {
            let (target, scopes) = self.tool.resolve(parse(args)?, cx).await?;
            let tool = self.tool.clone();
            let run: Box<ReadRun> = Box::new(move |filter, receipt| {
                Box::pin(async move {
                    matching(receipt.args(), digest)?;
                    structured(tool.read(target, &filter, receipt).await?)
                })
            });
            Ok(Prepared { scopes, args: digest, action: Action::Read(ReadAction(run)) })
        })
    }
}

struct Write<T> {
    spec: Spec,
    tool: Arc<T>,
}

impl<T: WriteTool> Tool for Write<T> {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn prepare<'a>(&'a self, args: Map<String, Value>, digest: Digest, cx: &'a CallContext) -> BoxFuture<'a, Result<Prepared, ToolError>> {
        Box::pin(async move {
            let (target, scopes) = self.tool.resolve(parse(args)?, cx).await?;
            let target = Arc::new(target);
            let (tool, shown) = (self.tool.clone(), target.clone());
            let preview: Box<PreviewRun> = Box::new(move || {
                let (tool, shown) = (tool.clone(), shown.clone());
                Box::pin(async move { tool.preview(&shown).await })
            });
            let tool = self.tool.clone();
            let run: Box<WriteRun> = Box::new(move |receipt| {
                Box::pin(async move {
                    matching(receipt.args(), digest)?;
                    let target = Arc::into_inner(target).ok_or_else(|| ToolError::internal("a preview still holds the write's target"))?;
                    structured(tool.write(target, receipt).await?)
                })
            });
            Ok(Prepared { scopes, args: digest, action: Action::Write(WriteAction { preview, run }) })
        })
    }
}

fn parse<A: DeserializeOwned>(args: Map<String, Value>) -> Result<A, ToolError> {
    serde_json::from_value(Value::Object(args)).map_err(|error| ToolError::invalid(format!("the arguments do not fit the tool: {error}")))
}

// INVARIANT: a receipt runs only the arguments it was made for (test: a_receipt_for_other_arguments_runs_nothing).
fn matching(receipt: Digest, prepared: Digest) -> Result<(), ToolError> {
    if receipt == prepared { Ok(()) } else { Err(ToolError::internal("the receipt was made for other arguments")) }
}

fn structured<O: Serialize>(output: O) -> Result<Value, ToolError> {
    serde_json::to_value(output).map_err(ToolError::internal)
}

fn spec<A: JsonSchema, O: JsonSchema>(card: Card, class: Class) -> Spec {
    Spec { card, class, input_schema: Arc::new(object_schema::<A>()), output_schema: Arc::new(object_schema::<O>()) }
}

/// A schema without what costs context and says nothing: titles, the dialect, number formats.
fn object_schema<T: JsonSchema>() -> Map<String, Value> {
    let generator = schemars::generate::SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true).into_generator();
    let mut schema = generator.into_root_schema_for::<T>().to_value();
    strip(&mut schema, true);
    match schema {
        Value::Object(mut map) => {
            map.remove("description"); // the Rust type's own, which says less than the tool's
            map
        }
        _ => Map::new(),
    }
}

fn strip(value: &mut Value, is_schema: bool) {
    match value {
        Value::Object(map) => {
            if is_schema {
                for noise in ["title", "$schema", "format"] {
                    if map.get(noise).is_some_and(Value::is_string) {
                        map.remove(noise);
                    }
                }
            }
            for (key, inner) in map.iter_mut() {
                // Below `properties` the keys are the user's field names, not schema words.
                strip(inner, !(is_schema && key == "properties"));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| strip(item, true)),
        _ => {}
    }
}
