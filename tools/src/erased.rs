//! Tools as the registry holds them: one type for all, whose arguments are parsed and resolved once.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use opsgate_audit::{Digest, Durable, Receipt, Written};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::change::{self, Change};
use crate::error::ToolError;
use crate::schema::object_schema;
use crate::scope::{OutputFilter, Scopes};
use crate::tool::{CallContext, Card, Class, Preview, ReadTool, Spec, WriteTool};

/// A call whose arguments were parsed and resolved, once. What was judged is what runs.
pub struct Prepared {
    /// What policy judges.
    pub scopes: Scopes,
    /// The digest of the arguments that the receipt must carry.
    pub args: Digest,
    /// The resolved work.
    pub action: Action,
    /// What the caller says of a write; nothing for a read.
    pub change: Change,
    /// How long the work may take, where that is longer than the policy's time-out.
    pub time: Option<Duration>,
}

/// The resolved work, by class.
pub enum Action {
    /// Runs on a [`Receipt<Written>`].
    Read(ReadAction),
    /// Runs on a [`Receipt<Durable>`].
    Write(WriteAction),
}

type ReadRun = dyn FnOnce(OutputFilter, Receipt<Written>) -> BoxFuture<'static, Result<Value, ToolError>> + Send;
type WriteRun = dyn FnOnce(OutputFilter, Receipt<Durable>) -> BoxFuture<'static, Result<Done, ToolError>> + Send;
type PreviewRun = dyn Fn(OutputFilter) -> BoxFuture<'static, Result<Preview, ToolError>> + Send + Sync;

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

/// A write that was made.
#[derive(Debug)]
pub struct Done {
    /// The structured answer.
    pub answer: Value,
    /// What was made, by the name that its system gives it.
    pub reference: Option<String>,
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
    pub fn preview(&self, filter: OutputFilter) -> BoxFuture<'static, Result<Preview, ToolError>> {
        (self.preview)(filter)
    }

    /// Answers with the preview in place of doing it: a system in `dry_run`.
    ///
    /// # Errors
    /// What the tool's own `preview` answers.
    // INVARIANT: in `dry_run` nothing is written (test: dry_run_answers_with_a_preview_and_writes_nothing).
    pub async fn rehearse(self, filter: OutputFilter, _receipt: Receipt<Written>) -> Result<Value, ToolError> {
        let preview = self.preview(filter);
        drop(self);
        Ok(json!({ "status": "dry_run", "preview": preview.await? }))
    }

    /// Does it; fails where the receipt was made for other arguments.
    ///
    /// # Errors
    /// What the tool's own `write` answers.
    pub async fn run(self, filter: OutputFilter, receipt: Receipt<Durable>) -> Result<Done, ToolError> {
        let Self { preview, run } = self;
        drop(preview); // it shares the target, which the write takes by value
        run(filter, receipt).await
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
    Arc::new(Read { spec: Spec::of_read::<T::Args, T::Output>(T::CARD), tool: Arc::new(tool) })
}

/// Wraps a write tool for the registry.
#[must_use]
pub fn write<T: WriteTool>(tool: T) -> Arc<dyn Tool> {
    Arc::new(Write { spec: Spec { destructive: T::DESTRUCTIVE, ..Spec::of_write::<T::Args, T::Output>(T::CARD) }, tool: Arc::new(tool) })
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
            Ok(Prepared { scopes, args: digest, action: Action::Read(ReadAction(run)), change: Change::default(), time: None })
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

    fn prepare<'a>(&'a self, mut args: Map<String, Value>, digest: Digest, cx: &'a CallContext) -> BoxFuture<'a, Result<Prepared, ToolError>> {
        Box::pin(async move {
            let change = change::taken(&mut args)?;
            let (target, scopes) = self.tool.resolve(parse(args)?, cx).await?;
            let time = self.tool.time(&target);
            let target = Arc::new(target);
            let (tool, shown) = (self.tool.clone(), target.clone());
            let preview: Box<PreviewRun> = Box::new(move |filter| {
                let (tool, shown) = (tool.clone(), shown.clone());
                Box::pin(async move { tool.preview(&shown, &filter).await })
            });
            let tool = self.tool.clone();
            let run: Box<WriteRun> = Box::new(move |filter, receipt| {
                Box::pin(async move {
                    matching(receipt.args(), digest)?;
                    let target = Arc::into_inner(target).ok_or_else(|| ToolError::internal("a preview still holds the write's target"))?;
                    let output = tool.write(target, &filter, receipt).await?;
                    let reference = T::reference(&output);
                    let result = structured(output).map_err(ToolError::maybe_done)?;
                    Ok(Done { answer: json!({ "status": "done", "result": result }), reference })
                })
            });
            Ok(Prepared { scopes, args: digest, action: Action::Write(WriteAction { preview, run }), change, time })
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

impl Spec {
    fn of_read<A: JsonSchema, O: JsonSchema>(card: Card) -> Self {
        Self {
            card,
            class: Class::Read,
            destructive: false,
            input_schema: Arc::new(object_schema::<A>()),
            output_schema: Arc::new(object_schema::<O>()),
        }
    }

    /// A write takes `change` beside its own arguments, and answers what it did, or in `dry_run` what it would do.
    fn of_write<A: JsonSchema, O: JsonSchema>(card: Card) -> Self {
        let output = json!({
            "type": "object",
            "properties": { "status": { "enum": ["done", "dry_run"] }, "result": object_schema::<O>(), "preview": { "type": "object" } },
            "required": ["status"],
        });
        let output = output.as_object().cloned().unwrap_or_default();
        Self {
            card,
            class: Class::Write,
            destructive: false,
            input_schema: Arc::new(change::beside(object_schema::<A>())),
            output_schema: Arc::new(output),
        }
    }
}
