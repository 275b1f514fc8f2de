//! A repository that policy denies, reached by its linked work trees, through the repository around it, and by a command.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod harness;

use std::path::Path;

use harness::Home;
use harness::stdio::Client;
use serde_json::{Value, json};

/// A folder with the repositories `deny`, its linked work tree `wt`, and `out` with `sub` in it.
struct Stand {
    home: Home,
    top: tempfile::TempDir,
}

fn git(folder: &Path, args: &[&str]) -> String {
    let mut command = std::process::Command::new("git");
    command.args(["-c", "user.name=Bo", "-c", "user.email=bo@example.invalid"]).args(args).current_dir(folder);
    let output = command.env("HOME", folder).env("GIT_CONFIG_NOSYSTEM", "1").output().unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn repository(at: &Path, file: &str) {
    std::fs::create_dir_all(at).unwrap();
    git(at, &["init", "-q", "-b", "main"]);
    std::fs::write(at.join(file), "needle\n").unwrap();
    git(at, &["add", "."]);
    git(at, &["commit", "-q", "-m", "first"]);
}

impl Stand {
    /// `said` is what the policy says besides: entries of `repositories`, and rules. `TOP` in it is the folder.
    fn with(repositories: &str, rules: &str) -> Self {
        let top = tempfile::Builder::new().prefix("ognested").tempdir_in("/tmp").unwrap();
        repository(&top.path().join("deny"), "f");
        git(&top.path().join("deny"), &["worktree", "add", "-q", "-b", "agent/w", "../wt"]);
        repository(&top.path().join("out"), "g");
        repository(&top.path().join("out/sub"), "h");
        let policy = format!(
            r#"
version: 1
write_mode: on
defaults: {{read: allow}}
callers: {{"local:*": {{roles: [developer]}}}}
systems:
  policy: {{mode: read_only}}
  workspace: {{mode: approval_required_write, commands: {{test: {{argv: [/bin/cat, g, sub/h]}}}}}}
repositories: {{"/tmp/**": {{write: true}}, {repositories}}}
rules:
  - {{id: writes, allow: {{tools: [workspace_create_branch, workspace_run_tests]}}, approvals: 0}}
{rules}
"#
        );
        let top_name = top.path().canonicalize().unwrap();
        let home = Home::with_policy(&policy.replace("TOP", top_name.to_str().unwrap()));
        Self { home, top }
    }

    fn call(&self, workspace: &str, tool: &str, args: Value) -> Value {
        let folder = self.top.path().join(workspace);
        let mut client = Client::legacy(&self.home, &["--in-process", "--workspace", folder.to_str().unwrap()]);
        client.call(tool, args)
    }

    /// The code of a refusal; of an answer, its text.
    fn answer(&self, workspace: &str, tool: &str, args: Value) -> String {
        let reply = self.call(workspace, tool, args);
        match reply["result"]["_meta"]["opsgate/refusal"]["code"].as_str() {
            Some(code) => code.to_owned(),
            None => reply["result"]["structuredContent"].to_string(),
        }
    }
}

#[test]
fn a_work_tree_of_a_denied_repository_is_denied() {
    let stand = Stand::with(r#""/nowhere": {}"#, r#"  - {id: no, deny: {repos: ["TOP/deny"]}, because: another team's}"#);
    for workspace in ["deny", "wt"] {
        for (tool, args) in [
            ("workspace_read_file", json!({"path": "f"})),
            ("workspace_git_log", json!({})),
            ("workspace_create_branch", json!({"name": "agent/new", "from": "main"})),
            ("workspace_run_tests", json!({})),
        ] {
            assert_eq!(stand.answer(workspace, tool, args), "policy_denied", "{workspace} {tool}");
        }
    }
    assert!(stand.answer("out", "workspace_read_file", json!({"path": "g"})).contains("needle"));
}

#[test]
fn a_work_tree_of_a_repository_that_is_not_writable_is_not_written() {
    let stand = Stand::with(r#""TOP/deny": {write: false}"#, "");
    assert_eq!(stand.answer("wt", "workspace_create_branch", json!({"name": "agent/new"})), "policy_denied");
    assert!(!git(&stand.top.path().join("deny"), &["branch"]).contains("agent/new"));
    assert!(stand.answer("wt", "workspace_read_file", json!({"path": "f"})).contains("needle"));
    assert!(stand.answer("out", "workspace_create_branch", json!({"name": "agent/new"})).contains("agent/new"));
}

#[test]
fn a_denied_repository_within_is_shown_by_no_tool() {
    for (repositories, rules) in [
        (r#""/nowhere": {}"#, r#"  - {id: no, deny: {repos: ["TOP/out/sub"]}}"#),
        (r#""TOP/out/sub": {paths: {deny: ["**"]}}"#, ""),
        (r#""/nowhere": {}"#, r#"  - {id: no, deny: {repos: ["TOP/out/sub"], paths: ["h"]}}"#),
        (r#""TOP/out/sub": {paths: {deny: ["h"]}}"#, ""),
    ] {
        let stand = Stand::with(repositories, rules);
        assert_eq!(stand.answer("out", "workspace_read_file", json!({"path": "sub/h"})), "policy_denied", "{repositories} {rules}");
        let listed = stand.answer("out", "workspace_list_directory", json!({"depth": 5}));
        assert!(listed.contains("\"g\"") && !listed.contains("sub"), "{repositories} {rules}: {listed}");
        let found = stand.answer("out", "workspace_search_code", json!({"pattern": "needle"}));
        assert!(found.contains("\"g\"") && !found.contains("sub"), "{repositories} {rules}: {found}");
        if opsgate_tools::sandbox::available().is_ok() {
            let run = stand.answer("out", "workspace_run_tests", json!({}));
            assert!(run.contains("needle") && run.contains("Permission denied"), "{run}");
        }
    }
}

#[test]
fn a_repository_within_that_nothing_denies_is_shown() {
    let stand = Stand::with(r#""/nowhere": {}"#, "");
    assert!(stand.answer("out", "workspace_read_file", json!({"path": "sub/h"})).contains("needle"));
    assert!(stand.answer("out", "workspace_search_code", json!({"pattern": "needle"})).contains("sub/h"));
    if opsgate_tools::sandbox::available().is_ok() {
        let run = stand.answer("out", "workspace_run_tests", json!({}));
        assert!(run.contains("needle\\nneedle"), "{run}");
    }
}
