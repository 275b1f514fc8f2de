//! The steps that write: in a scratch clone, under a scratch policy with write mode on, and nowhere else.

use std::net::TcpListener;

use git2::Repository;
use rmcp::model::CallToolResult;
use serde_json::{Value, json};

use super::planted::Folder;
use super::steps::{call, text};
use super::{Client, Step, failed};
use crate::cli::Failure;

/// Allows the tour's three writes in its own folder, each without asking people.
pub(super) fn policy(folder: &Folder, port: u16) -> String {
    // As JSON, which YAML is: the folder's name needs no quoting rules of our own.
    json!({
        "version": 1,
        "write_mode": "on",
        "defaults": { "read": "allow" },
        "callers": { "local:*": { "roles": ["developer"] } },
        "systems": {
            "policy": { "mode": "read_only" },
            "github": { "mode": "mock" },
            "workspace": {
                "mode": "approval_required_write",
                "author": "opsgate tour <tour@example.invalid>",
                "commands": { "fetch": { "argv": ["git", "ls-remote", format!("git://127.0.0.1:{port}/app")], "timeout": "20s" } },
            },
        },
        "repositories": { folder.path().display().to_string() + "/**": { "write": true }, "acme/app": { "write": true } },
        "rules": [
            { "id": "tour-writes", "allow": { "tools": ["workspace_write_file", "workspace_commit", "workspace_run_tests"] }, "approvals": 0 },
            { "id": "tour-issues", "allow": { "tools": ["github_create_issue"], "repos": ["acme/app"] }, "approvals": 0 },
        ],
    })
    .to_string()
}

/// A place to knock at, that nobody answers: whoever comes is seen.
pub(super) fn listener() -> Result<(TcpListener, u16), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    Ok((listener, port))
}

pub(super) async fn commits_in_a_scratch_clone(client: &Client, folder: &Folder) -> Result<Step, Failure> {
    let title = "with write mode on and a rule that needs no approval, it commits in a scratch clone";
    let written = call(client, "workspace_write_file", json!({ "path": "NOTES.md", "content": "# Notes\n\nWritten through opsgate.\n" })).await;
    let mut saw = refusals(&[written.as_ref().map_err(failed)?]);
    let change = json!({ "reasoning": "show that a write is recorded before it happens", "rollback_plan": "git revert" });
    let args = json!({ "paths": ["NOTES.md"], "message": "Add notes", "change": change });
    let result = call(client, "workspace_commit", args).await.map_err(failed)?;
    saw.extend(refusals(&[&result]));
    let said = answer(&result, "/result/commit").and_then(Value::as_str).unwrap_or_default().to_owned();
    let repository = Repository::open(folder.clone_path()).map_err(failed)?;
    let commit = repository.head().and_then(|head| head.peel_to_commit()).map_err(failed)?;
    let held = !said.is_empty() && commit.id().to_string() == said;
    saw.push(format!("commit {} by {}", said.chars().take(9).collect::<String>(), commit.author()));
    saw.extend(commit.message().unwrap_or_default().lines().filter(|line| !line.is_empty()).map(str::to_owned));
    Ok(Step { title, held, saw })
}

pub(super) async fn refuses_the_network_to_a_command(client: &Client, listener: &TcpListener) -> Result<Step, Failure> {
    let title = "a declared command runs in a sandbox, which refuses it the network";
    if let Err(missing) = opsgate_tools::sandbox::available() {
        let listed = client.list_all_tools().await.map_err(failed)?.iter().any(|tool| tool.name == "workspace_run_tests");
        return Ok(Step { title, held: !listed, saw: vec![format!("no sandbox here, so no tool that runs commands: {missing}")] });
    }
    let result = call(client, "workspace_run_tests", json!({ "command": "fetch" })).await.map_err(failed)?;
    let exit = answer(&result, "/result/exit_code").and_then(Value::as_i64);
    let output = answer(&result, "/result/output").and_then(Value::as_str).unwrap_or_default().to_owned();
    let knocked = listener.accept().is_ok();
    let mut saw = refusals(&[&result]);
    saw.push("git ls-remote git://127.0.0.1/app".to_owned());
    saw.extend(output.lines().filter(|line| !line.trim().is_empty()).take(3).map(str::to_owned));
    saw.push(if knocked { "the listener saw a connection".to_owned() } else { "the listener saw nobody".to_owned() });
    Ok(Step { title, held: !knocked && exit.is_some_and(|code| code != 0), saw })
}

pub(super) async fn opens_an_issue_at_a_mock_github(client: &Client) -> Result<Step, Failure> {
    let title = "a GitHub issue is opened without a credential: the wire is recorded, the code is the real one's";
    let args = json!({ "repo": "acme/app", "title": "The tour was here", "body": "Nothing left this machine." });
    let created = call(client, "github_create_issue", args).await.map_err(failed)?;
    let number = answer(&created, "/result/number").and_then(Value::as_u64);
    let listed = call(client, "github_list_issues", json!({ "repo": "acme/app" })).await.map_err(failed)?;
    let issues = answer(&listed, "/issues").and_then(Value::as_array).cloned().unwrap_or_default();
    let line = |issue: &Value| {
        let title = issue.get("title").and_then(Value::as_str).unwrap_or_default();
        format!("#{} {title}", issue.get("number").and_then(Value::as_u64).unwrap_or_default())
    };
    let held = number.is_some() && issues.iter().any(|issue| issue.get("number").and_then(Value::as_u64) == number);
    let mut saw = refusals(&[&created, &listed]);
    saw.extend(issues.iter().take(3).map(line));
    Ok(Step { title, held, saw })
}

fn answer<'a>(result: &'a CallToolResult, at: &str) -> Option<&'a Value> {
    result.structured_content.as_ref()?.pointer(at)
}

fn refusals(results: &[&CallToolResult]) -> Vec<String> {
    results.iter().filter(|result| result.is_error == Some(true)).map(|result| text(result)).collect()
}
