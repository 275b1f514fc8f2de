//! `opsgate call`

use rmcp::handler::client::ClientHandler;
use rmcp::model::{CallToolRequestParams, CallToolResult, ProgressNotificationParam};
use rmcp::service::NotificationContext;
use rmcp::{RoleClient, ServiceExt};
use serde_json::{Map, Value, json};

use super::{Failure, WorkspaceArg, exit, out};
use crate::home::Settings;
use crate::server::{Hello, Lines, join_or_start, serve_stream};

/// Calls one tool.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The tool's name
    tool: String,
    /// Its arguments, a JSON object
    #[arg(long, value_name = "JSON", default_value = "{}")]
    args: String,
    #[command(flatten)]
    workspace: WorkspaceArg,
    /// Be the gateway instead of joining the home's; takes the home's lock
    #[arg(long)]
    in_process: bool,
    /// Print output, refusal and receipt as one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(settings: &Settings, args: Args) -> Result<u8, Failure> {
    let arguments: Map<String, Value> = serde_json::from_str(&args.args)
        .map_err(|error| Failure::new(exit::USAGE, format!("--args is not a JSON object: {error}; write it as '{{\"key\": \"value\"}}'")))?;
    let explicit = args.workspace.workspace.is_some();
    let folder = args.workspace.workspace.unwrap_or_else(|| ".".into());
    let folder = std::path::absolute(&folder).map_err(|error| Failure::new(exit::BAD_CONFIGURATION, format!("`{}`: {error}", folder.display())))?;
    let params = CallToolRequestParams::new(args.tool).with_arguments(arguments);
    let result = if args.in_process {
        let gateway = super::open_closed(settings)?;
        let connection = super::stdio::connection_here(&gateway, &folder, explicit).await?;
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (input, output) = tokio::io::split(theirs);
        let serving = tokio::spawn(serve_stream(gateway.clone(), connection, Lines::new(input), output));
        let result = ask(ours, params).await;
        let _ = serving.await;
        gateway.close().await;
        result
    } else {
        let hello = Hello::new(settings, Some(folder), explicit).map_err(|error| Failure::new(exit::BAD_CONFIGURATION, error))?;
        let (stream, reply) = join_or_start(settings, &hello).await?;
        match reply.error {
            Some(error) => return Err(Failure::new(exit::BAD_CONFIGURATION, error)),
            None => ask(stream, params).await,
        }
    };
    show(&result?, args.json)
}

/// A client that shows how far the call is.
struct Watching;

impl ClientHandler for Watching {
    async fn on_progress(&self, progress: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        if let Some(line) = progress.message {
            out::progress(&line);
        }
    }
}

async fn ask<S>(stream: S, params: CallToolRequestParams) -> Result<Result<CallToolResult, Value>, Failure>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + 'static,
{
    let lost = |error: &dyn std::fmt::Display| Failure::new(exit::FINDING, format!("the gateway was lost: {error}"));
    let client = Watching.serve(stream).await.map_err(|error| lost(&error))?;
    let answer = client.call_tool(params).await;
    let _ = client.cancel().await;
    match answer {
        Ok(result) => Ok(Ok(result)),
        Err(rmcp::ServiceError::McpError(error)) => Ok(Err(json!({ "message": error.message, "data": error.data }))),
        Err(error) => Err(lost(&error)),
    }
}

/// Prints the answer; the exit code says whether it was one.
fn show(result: &Result<CallToolResult, Value>, as_json: bool) -> Result<u8, Failure> {
    let (ok, output, meta) = match result {
        Ok(result) => {
            let meta = result.meta.as_ref().map(|m| Value::Object(m.0.clone())).unwrap_or_default();
            (result.is_error != Some(true), result.structured_content.clone().unwrap_or_default(), meta)
        }
        Err(error) => (false, Value::Null, json!({ "opsgate/refusal": error })),
    };
    let refusal = meta.get("opsgate/refusal").cloned().unwrap_or_default();
    let sealed = refusal.get("code").is_some_and(|code| code == "sealed" || code == "executed_audit_failed");
    if as_json {
        out::json(
            &json!({ "ok": ok, "output": output, "refusal": refusal, "receipt": meta.get("opsgate/receipt"), "request_id": meta.get("opsgate/request_id") }),
        );
    } else if ok {
        out::json(&output);
    } else {
        let text = |key: &str| refusal.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let code = refusal.get("code").or_else(|| refusal.pointer("/data/code")).and_then(Value::as_str).unwrap_or("refused").to_owned();
        return Err(Failure::new(if sealed { exit::SEALED } else { exit::FINDING }, format!("{code}: {}\nhint: {}", text("message"), text("hint"))));
    }
    Ok(if ok {
        exit::OK
    } else if sealed {
        exit::SEALED
    } else {
        exit::FINDING
    })
}
