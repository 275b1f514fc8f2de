//! Policies as a person writes them: good, empty, wrong; and what the gateway does under each.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod harness;

use harness::stdio::Client;
use harness::{Home, text};
use serde_json::{Value, json};

const START: &str = "version: 1\ndefaults: {read: allow}\ncallers: {\"local:*\": {roles: [developer]}}\nsystems: {policy: {mode: read_only}}\n";

/// A policy and the words that its report must have.
fn wrong() -> Vec<(&'static str, String, Vec<&'static str>)> {
    vec![
        ("an unknown key", format!("{START}defalts: {{read: allow}}\n"), vec!["`defalts`", "`defaults`", "policy.yaml:5"]),
        ("a bad glob", format!("{START}rules:\n  - id: a\n    deny: {{paths: [\"a[\"]}}\n"), vec!["a[", "policy.yaml:7"]),
        ("an unknown tool", format!("{START}rules:\n  - id: a\n    allow: {{tools: [policy_whoam]}}\n"), vec!["`policy_whoam`", "`policy_whoami`"]),
        ("an unknown system", format!("{START}rules:\n  - id: a\n    allow: {{systems: [githb]}}\n"), vec!["`githb`", "`github`"]),
        ("a duplicate key", format!("{START}version: 1\n"), vec!["version", "policy.yaml:5"]),
        ("a duplicate rule", format!("{START}rules:\n  - {{id: a, deny: {{paths: [x]}}}}\n  - {{id: a, deny: {{paths: [y]}}}}\n"), vec!["`a`"]),
        ("no YAML", "version: [1\n".into(), vec!["policy.yaml"]),
        ("a version of the future", "version: 2\n".into(), vec!["version", "2"]),
        ("a bomb", bomb(), vec!["policy.yaml"]),
    ]
}

/// Ten levels of ten aliases: ten thousand million nodes if it were expanded.
fn bomb() -> String {
    let mut text = String::from("version: 1\na0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for level in 1..10 {
        let below = format!("*a{}", level - 1);
        text += &format!("a{level}: &a{level} [{}]\n", [below.as_str(); 10].join(","));
    }
    text
}

#[test]
fn a_wrong_policy_is_reported_with_its_place_and_starts_nothing() {
    for (what, policy, words) in wrong() {
        let home = Home::with_policy(&policy);
        let check = home.run(&["policy", "check", home.path().join("policy.yaml").to_str().unwrap()]);
        let said = text(&check.stderr);
        assert_eq!(check.status.code(), Some(64), "{what}: {said}");
        for word in words {
            assert!(said.contains(word), "{what}: `{word}` is not in: {said}");
        }
        assert!(!said.contains("panicked"));
        let as_json = home.run(&["policy", "check", "--json"]);
        let report: Value = serde_json::from_slice(&as_json.stdout).unwrap();
        assert_eq!(report["ok"], false, "{what}");
        for command in [&["serve"][..], &["stdio"], &["call", "policy_whoami"]] {
            let output = home.run(command);
            assert_eq!(output.status.code(), Some(64), "{what}: {command:?}: {}", text(&output.stderr));
        }
        assert!(!home.audit().exists(), "{what}: a log was begun");
    }
}

#[test]
fn an_empty_policy_refuses_everything() {
    for policy in ["version: 1\n", ""] {
        let home = Home::with_policy(policy);
        let checked = home.run(&["policy", "check"]);
        if !checked.status.success() {
            assert_eq!(checked.status.code(), Some(64)); // a file without a version is no policy: nothing starts at all
            continue;
        }
        let mut client = Client::legacy(&home, &["--in-process"]);
        assert!(client.tools().is_empty());
        for tool in ["policy_whoami", "workspace_git_log", "workspace_read_file", "workspace_service_status"] {
            assert_eq!(client.refusal(tool, json!({})), "tool_unavailable", "{tool}");
        }
    }
}

#[test]
fn write_mode_off_in_the_environment_is_taken_and_nonsense_is_not() {
    let home = Home::new();
    assert!(home.opsgate(&["tools"]).env("WRITE_MODE", "off").output().unwrap().status.success());
    assert_eq!(home.opsgate(&["tools"]).env("WRITE_MODE", "sometimes").output().unwrap().status.code(), Some(64));
}

#[test]
fn explain_names_the_rule_and_decides_as_the_gateway_does() {
    let home = Home::new();
    let repository = harness::repository::Repository::with(&[(".env", "A=1\n"), ("a.txt", "x\n")]);
    for (path, decision) in [(".env", "deny"), ("a.txt", "permit"), ("missing.pem", "deny")] {
        let args = json!({ "path": path }).to_string();
        let output = home.run(&["policy", "explain", "workspace_read_file", "--args", &args, "--workspace", repository.arg(), "--json"]);
        let explanation: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
        assert_eq!(explanation["decision"], decision, "{path}: {explanation}");
        assert_eq!(explanation.to_string().contains("no-credential-files"), decision == "deny", "{path}");
    }
    let mut client = Client::legacy(&home, &["--workspace", repository.arg()]);
    let explained = client.answer("policy_explain", json!({ "tool": "workspace_read_file", "arguments": { "path": ".env" } }));
    assert_eq!(explained["decision"], "deny");
}

#[test]
fn another_caller_sees_what_the_policy_gives_it() {
    let home = Home::with_policy(&format!("{START}rules:\n  - {{id: no-explain, deny: {{tools: [policy_explain]}}, because: not here}}\n"));
    let tools = |caller: &str| {
        let output = home.run(&["tools", "--as", caller, "--json"]);
        let list: Value = serde_json::from_slice(&output.stdout).unwrap();
        list["tools"].as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(tools("local:uid=1"), ["policy_whoami"]);
    assert!(tools("key:stranger").is_empty());
}
