//! The five modes of a system, each over every tool: what answers, what only shows what it would do, what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod harness;

use harness::Home;
use harness::repository::Repository;
use harness::stdio::Client;
use harness::tools::{arguments, specs};
use opsgate_tools::mode::Mode;
use opsgate_tools::registry::FORBIDDEN;
use opsgate_tools::tool::{Class, Spec};
use serde_json::{Value, json};

/// Everything that a write needs beside the mode is there.
fn policy(mode: &str) -> String {
    let rules: Vec<_> = specs()
        .iter()
        .filter(|spec| spec.class == Class::Write)
        .map(|spec| json!({ "id": spec.card.name, "allow": { "tools": [spec.card.name] }, "approvals": 0 }))
        .collect();
    let commands = json!({ "test": { "argv": ["true"] }, "install": { "argv": ["true", "{dependency}"], "writable": ["package.json"] } });
    json!({
        "version": 1, "write_mode": "on", "same_user_writes": true, "defaults": { "read": "allow" },
        "callers": { "local:*": { "roles": ["developer"] } },
        "systems": { "policy": { "mode": mode }, "github": { "mode": mode }, "workspace": { "mode": mode, "commands": commands } },
        "repositories": { "/tmp/**": { "write": true }, "acme/app": { "write": true } },
        "rules": rules,
    })
    .to_string()
}

/// What a tool does in a mode: `read` or `done` answered, `dry_run` showed what it would do, else the code of the refusal.
fn expected(mode: Mode, spec: &Spec) -> &'static str {
    let local = spec.card.system != "github";
    match (mode, spec.class) {
        (Mode::Blocked, _) => "tool_unavailable",
        // The first of the two keys alone: no credential and no second key are there.
        (Mode::ReadOnly, Class::Read) | (Mode::DryRun | Mode::ApprovalRequiredWrite, _) if !local => "unavailable",
        (_, Class::Read) => "read",
        (Mode::ReadOnly, Class::Write) => "tool_unavailable",
        // What is on this machine has nothing to mock: it is only read.
        (Mode::Mock, Class::Write) if local => "tool_unavailable",
        (Mode::Mock | Mode::ApprovalRequiredWrite, Class::Write) => "done",
        (Mode::DryRun, Class::Write) => "dry_run",
    }
}

fn seen(reply: &Value, spec: &Spec) -> String {
    if let Some(code) = reply["result"]["_meta"]["opsgate/refusal"]["code"].as_str() {
        return code.to_owned();
    }
    let answer = &reply["result"]["structuredContent"];
    let schema = Value::Object((*spec.output_schema).clone());
    let errors: Vec<_> = jsonschema::validator_for(&schema).unwrap().iter_errors(answer).map(|e| e.to_string()).collect();
    assert!(errors.is_empty(), "{}: {errors:?} in {answer}", spec.card.name);
    if spec.class == Class::Read { "read".to_owned() } else { answer["status"].as_str().unwrap().to_owned() }
}

fn repository() -> Repository {
    let repository = Repository::with(&[("conf/app.yaml", "a: 0\n"), ("package.json", "{}\n")]);
    repository.commit(&[("conf/app.yaml", "a: 1\n")], "second");
    std::fs::write(repository.path().join("conf/app.yaml"), "a: 2\n").unwrap();
    repository
}

/// Everything below a folder, with its content.
fn state(repository: &Repository) -> Vec<(String, Vec<u8>)> {
    fn walk(folder: &std::path::Path, all: &mut Vec<(String, Vec<u8>)>) {
        for entry in std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
            if entry.is_dir() {
                walk(&entry, all);
            } else {
                all.push((entry.display().to_string(), std::fs::read(&entry).unwrap()));
            }
        }
    }
    let mut all = Vec::new();
    walk(repository.path(), &mut all);
    all.sort();
    all
}

#[test]
fn every_mode_over_every_tool() {
    for (mode, name) in Mode::ALL {
        let (repository, home) = (repository(), Home::with_policy(&policy(name)));
        let before = state(&repository);
        let mut client = Client::legacy(&home, &["--in-process", "--workspace", repository.arg()]);
        for spec in specs() {
            let reply = client.call(spec.card.name, arguments(spec.card.name));
            assert_eq!(seen(&reply, &spec), expected(mode, &spec), "{} in {name}: {reply}", spec.card.name);
            let listed = client.tools().iter().any(|tool| tool == spec.card.name);
            assert_eq!(listed, expected(mode, &spec) != "tool_unavailable", "{} is listed in {name}: {listed}", spec.card.name);
        }
        client.close();
        let writes = mode == Mode::ApprovalRequiredWrite;
        assert_eq!(state(&repository) != before, writes, "the repository in {name}");
        let modes: Vec<_> = home.entries_of("call.intent").iter().map(|entry| entry["data"]["mode"].as_str().unwrap().to_owned()).collect();
        let local = if mode == Mode::Mock { "read_only" } else { name };
        assert!(modes.iter().all(|one| one == name || one == local), "{modes:?}");
    }
}

#[test]
fn what_is_never_run_is_refused_in_every_mode_with_its_reason() {
    for (_, name) in Mode::ALL {
        let (repository, home) = (repository(), Home::with_policy(&policy(name)));
        let mut client = Client::legacy(&home, &["--in-process", "--workspace", repository.arg()]);
        for forbidden in FORBIDDEN {
            let reply = client.call(forbidden.name, json!({}));
            let refusal = &reply["result"]["_meta"]["opsgate/refusal"];
            assert_eq!(refusal["code"], "tool_forbidden", "{reply}");
            assert!(refusal["message"].as_str().unwrap().contains(forbidden.because), "{reply}");
        }
        client.close();
        assert_eq!(home.entries_of("call.refused").len(), FORBIDDEN.len());
    }
}

#[test]
fn the_names_that_are_never_run() {
    let promised = [
        "github_merge_pull_request",
        "github_delete_branch",
        "github_force_push",
        "deploy_to_production",
        "delete_database",
        "modify_secrets",
        "workspace_merge",
        "workspace_delete_branch",
        "workspace_force_push",
    ];
    for name in promised {
        assert!(FORBIDDEN.iter().any(|forbidden| forbidden.name == name && !forbidden.because.is_empty()), "{name}");
    }
}
