//! The steps of the tour: each looks at what really came back.

use rmcp::ServiceError;
use rmcp::model::{CallToolRequestParams, CallToolResult};
use serde_json::{Map, Value, json};

use super::planted::Folder;
use super::{Client, Step, failed};
use crate::cli::Failure;

/// Calls after which a flood must have been limited.
const FLOOD: usize = 2_000;

pub(super) async fn lists_no_write_tool(client: &Client) -> Result<Step, Failure> {
    let tools = client.list_all_tools().await.map_err(failed)?;
    let reads = |tool: &rmcp::model::Tool| tool.annotations.as_ref().and_then(|a| a.read_only_hint) == Some(true);
    let held = !tools.is_empty() && tools.iter().all(reads);
    let names: Vec<_> = tools.iter().map(|tool| tool.name.as_ref()).collect();
    Ok(Step { title: "a client lists its tools: no write tool among them", held, saw: vec![names.join("  ")] })
}

pub(super) async fn reads_this_repository(client: &Client) -> Result<Step, Failure> {
    let title = "it reads this repository";
    let result = call(client, "workspace_git_log", json!({ "limit": 3 })).await.map_err(failed)?;
    let commits = result.structured_content.as_ref().and_then(|v| v.get("commits")).and_then(Value::as_array).cloned().unwrap_or_default();
    if commits.is_empty() {
        return Ok(Step {
            title,
            held: ["unavailable", "not_found", "{"].iter().any(|start| text(&result).starts_with(start)),
            saw: vec!["the current folder is no git repository with commits: nothing to read".into()],
        });
    }
    let line = |commit: &Value| {
        let field = |name: &str| commit.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        format!("{} {}", field("id").chars().take(9).collect::<String>(), field("subject"))
    };
    Ok(Step { title, held: true, saw: commits.iter().map(line).collect() })
}

pub(super) async fn scrubs_a_planted_secret(client: &Client, folder: &Folder) -> Result<Step, Failure> {
    let result = call(client, "workspace_read_file", json!({ "path": "deploy/app.yaml" })).await.map_err(failed)?;
    let content = result.structured_content.as_ref().and_then(|v| v.get("content")).and_then(Value::as_str).unwrap_or_default().to_owned();
    let held =
        content.contains("[REDACTED:") && content.contains("region: eu-west-1") && !folder.leaks_in(&text(&result)) && !folder.leaks_in(&content);
    Ok(Step {
        title: "a secret planted in a file is gone from the reply, the rest is there",
        held,
        saw: content.lines().map(str::to_owned).collect(),
    })
}

pub(super) async fn refuses_a_denied_path(client: &Client) -> Result<Step, Failure> {
    let result = call(client, "workspace_read_file", json!({ "path": ".env" })).await.map_err(failed)?;
    let said = text(&result);
    let held = result.is_error == Some(true) && said.contains("policy_denied") && said.contains("no-credential-files");
    Ok(Step { title: "a denied path is refused, with the rule and its reason", held, saw: said.lines().map(str::to_owned).collect() })
}

pub(super) async fn limits_a_flood(client: &Client) -> Result<Step, Failure> {
    let title = "a flood is limited";
    for calls in 1..=FLOOD {
        match call(client, "policy_whoami", json!({})).await {
            Ok(_) => {}
            Err(ServiceError::McpError(error)) if error.data.as_ref().and_then(|d| d.get("code")).is_some_and(|c| c == "rate_limited") => {
                let wait = error.data.as_ref().and_then(|d| d.get("retry_after_s")).and_then(Value::as_u64).unwrap_or_default();
                return Ok(Step { title, held: wait > 0, saw: vec![format!("call {calls} in a row: {}; retry after {wait} s", error.message)] });
            }
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(Step { title, held: false, saw: vec![format!("{FLOOD} calls went through")] })
}

pub(super) fn verifies_the_chain(folder: &Folder) -> Result<Step, Failure> {
    let report = verified(folder.home().join("audit"))?;
    Ok(Step { title: "the audit log of all this verifies", held: report.is_valid(), saw: summary(&report) })
}

pub(super) fn finds_tampering(folder: &Folder) -> Result<Step, Failure> {
    let copy = folder.path().join("tampered");
    std::fs::create_dir(&copy).map_err(failed)?;
    let mut changed = false;
    for entry in std::fs::read_dir(folder.home().join("audit")).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let Some(name) = path.file_name().filter(|_| path.is_file()) else { continue };
        let text = std::fs::read_to_string(&path).map_err(failed)?;
        // The refusal is rewritten as somebody would who wants it forgotten.
        let forged = text.replacen("policy_denied", "policy_allows", 1);
        changed |= forged != text;
        std::fs::write(copy.join(name), forged).map_err(failed)?;
    }
    let report = verified(copy.clone())?;
    let title = "one word changed in a copy of the log, and the validator finds it";
    Ok(Step { title, held: changed && !report.is_valid(), saw: summary(&report) })
}

fn verified(log: std::path::PathBuf) -> Result<opsgate_audit::verify::Report, Failure> {
    let check = opsgate_audit::verify::Check { paths: vec![log], ..Default::default() };
    opsgate_audit::verify::verify(&check).map_err(failed)
}

fn summary(report: &opsgate_audit::verify::Report) -> Vec<String> {
    report.to_string().lines().take(4).map(str::to_owned).collect()
}

pub(super) async fn call(client: &Client, tool: &'static str, args: Value) -> Result<CallToolResult, ServiceError> {
    let args: Map<String, Value> = args.as_object().cloned().unwrap_or_default();
    client.call_tool(CallToolRequestParams::new(tool).with_arguments(args)).await
}

pub(super) fn text(result: &CallToolResult) -> String {
    result.content.iter().filter_map(|block| block.as_text()).map(|t| t.text.as_str()).collect::<Vec<_>>().join("\n")
}
