//! `opsgate policy replay`: what a real gateway decided is decided again from its log alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod harness;

use std::io::Write;

use harness::repository::Repository;
use harness::stdio::Client;
use harness::{Home, fresh_secret, text};
use serde_json::{Value, json};

const POLICY: &str = r#"version: 1
write_mode: on
defaults: {read: allow}
callers: {"local:*": {roles: [developer]}}
systems: {workspace: {mode: approval_required_write}, policy: {mode: read_only}, github: {mode: mock}}
repositories: {"/tmp/**": {write: true}, "acme/shop": {write: true}}
environments: {closed: {match: {repos: ["acme/shop"]}, hours: "CLOSED 00:00-24:00 UTC"}}
rules:
  - {id: files, allow: {tools: [workspace_write_file]}, approvals: 0}
  - {id: branches, allow: {tools: [workspace_create_branch]}}
  - {id: issues, allow: {tools: [github_create_issue]}, approvals: 0}
  - {id: no-docs, deny: {paths: ["docs/**"]}, because: docs are not for agents}
  - {id: try, deny: {paths: ["old/**"]}, mode: shadow}
  - {id: no-service, deny: {tools: [workspace_service_status]}}
"#;

/// With an environment that is closed all of today, wherever today ends.
fn policy() -> String {
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let day = today.checked_add(jiff::Span::new().days(3)).unwrap();
    POLICY.replace("CLOSED", &day.strftime("%a").to_string())
}

/// A home whose log has calls of every kind.
fn lived_in() -> (Home, Repository) {
    let repository = Repository::with(&[("a.txt", "one\n"), ("docs/a.md", "x\n"), ("old/a", "x\n")]);
    let home = Home::with_policy(&policy());
    let mut client = Client::legacy(&home, &["--in-process", "--workspace", repository.arg()]);
    client.answer("workspace_read_file", json!({ "path": "a.txt" }));
    client.answer("workspace_read_file", json!({ "path": "old/a" }));
    client.answer("policy_whoami", json!({}));
    client.answer("workspace_write_file", json!({ "path": "b.txt", "content": "b\n" }));
    for (tool, args, code) in [
        ("workspace_read_file", json!({ "path": "docs/a.md" }), "policy_denied"),
        ("workspace_read_file", json!({ "path": "docs/missing.md" }), "policy_denied"),
        ("workspace_write_file", json!({ "path": "docs/b.md", "content": "b" }), "policy_denied"),
        ("workspace_create_branch", json!({ "name": "fix" }), "approvals_unavailable"),
        ("github_create_issue", json!({ "repo": "acme/shop", "title": "x" }), "policy_denied"),
        ("github_create_issue", json!({ "repo": "acme/other", "title": "x" }), "policy_denied"),
        ("workspace_service_status", json!({}), "tool_unavailable"),
        ("workspace_read_file", json!({ "pth": "a.txt" }), "invalid_arguments"),
    ] {
        assert_eq!(client.refusal(tool, args.clone()), code, "{tool} {args}");
    }
    assert!(client.close().success());
    let mut off = home.opsgate(&["stdio", "--in-process", "--workspace", repository.arg()]);
    let mut client = Client::started(off.env("WRITE_MODE", "off")).greeted();
    client.answer("workspace_read_file", json!({ "path": "a.txt" }));
    assert_eq!(client.refusal("workspace_write_file", json!({ "path": "b.txt", "content": "c" })), "tool_unavailable");
    assert!(client.close().success());
    (home, repository)
}

fn replay(home: &Home, options: &[&str]) -> (Option<i32>, String, Value) {
    let audit = home.audit();
    let args = [&["policy", "replay", "--log", audit.to_str().unwrap()], options].concat();
    let output = home.run(&args);
    let as_json = home.run(&[&args[..], &["--json"]].concat());
    assert_eq!(output.status.code(), as_json.status.code());
    (output.status.code(), text(&output.stdout) + &text(&output.stderr), serde_json::from_slice(&as_json.stdout).unwrap_or_default())
}

#[test]
fn a_replay_agrees_with_every_decision_of_a_real_gateway() {
    let (home, _repository) = lived_in();
    let (code, said, report) = replay(&home, &[]);
    assert_eq!((code, &report["same"], &report["changed"], &report["undecidable"]), (Some(0), &json!(11), &json!(0), &json!({})), "{said}");
    assert_eq!(report["not_judged"]["tool_unavailable"]["count"], 2);
    assert_eq!(report["not_judged"]["invalid_arguments"]["count"], 1);
    assert_eq!((&report["log"]["verified"], &report["log"]["torn"]), (&json!(true), &json!(false)), "{said}");
    let judged = home.entries().into_iter().filter(|entry| entry["data"].get("decision").is_some()).count();
    assert_eq!(judged, 11);

    // The line that a running gateway is at may be half there.
    let segment = home.audit().join("00000001.jsonl");
    std::fs::OpenOptions::new().append(true).open(&segment).unwrap().write_all(b"{\"v\":1,\"log\":\"ha").unwrap();
    let (code, said, report) = replay(&home, &[]);
    assert_eq!((code, &report["same"], &report["log"]["torn"]), (Some(0), &json!(11), &json!(true)), "{said}");
    assert!(said.contains("last line has no end"), "{said}");
    std::fs::write(home.path().join("unverifiable"), "").unwrap();
}

#[test]
fn a_log_that_was_changed_is_no_ground_to_deploy_on() {
    let (home, _repository) = lived_in();
    let segment = home.audit().join("00000001.jsonl");
    let log = std::fs::read_to_string(&segment).unwrap();
    std::fs::write(&segment, log.replacen("\"decision\":\"deny\"", "\"decision\":\"permit\"", 1)).unwrap();
    std::fs::write(home.path().join("unverifiable"), "").unwrap();
    let (code, said, report) = replay(&home, &[]);
    assert_eq!((code, &report["log"]["verified"], &report["changed"]), (Some(1), &json!(false), &json!(1)), "{said}");
    assert!(said.contains("does not verify"), "{said}");
}

#[test]
fn a_log_that_was_rolled_back_or_is_another_home_s_does_not_hold() {
    let (home, repository) = lived_in();
    let files = |folder: &std::path::Path| -> Vec<(std::path::PathBuf, Vec<u8>)> {
        let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
        paths.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
    };
    let before = files(&home.audit());
    let mut client = Client::legacy(&home, &["--in-process", "--workspace", repository.arg()]);
    client.answer("workspace_read_file", json!({ "path": "a.txt" }));
    assert!(client.close().success());
    assert_eq!(replay(&home, &[]).0, Some(0));
    std::fs::write(home.path().join("unverifiable"), "").unwrap();
    for (path, bytes) in &before {
        std::fs::write(path, bytes).unwrap();
    }
    let (code, said, report) = replay(&home, &[]);
    assert_eq!((code, &report["log"]["verified"], &report["changed"]), (Some(1), &json!(false), &json!(0)), "{said}");
    assert!(said.contains("the log's end is missing") && !said.contains("entries holds"), "{said}");

    let (other, _repository) = lived_in();
    std::fs::copy(other.path().join("head"), home.path().join("head")).unwrap();
    let (code, said, _) = replay(&home, &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("a checkpoint of the log") && !said.contains("entries holds"), "{said}");
    // A log of another home, elsewhere.
    let output = home.run(&["policy", "replay", "--log", other.audit().to_str().unwrap()]);
    assert!(text(&output.stdout).contains("another key than this home's"), "{}", text(&output.stdout));
    assert!(!replay(&other, &[]).1.contains("another key"));
    // A log that was copied out of its home is held against itself alone.
    std::fs::remove_file(home.path().join("head")).unwrap();
    assert_eq!(replay(&home, &[]).0, Some(0));
}

#[test]
fn a_new_policy_s_changes_are_listed_before_it_is_deployed() {
    let (home, _repository) = lived_in();
    let new = policy()
        .replace("{paths: [\"docs/**\"]}", "{paths: [\"docs/missing.md\", a.txt]}")
        .replace("branches, allow: {tools: [workspace_create_branch]}", "branches, allow: {tools: [workspace_create_branch]}, approvals: 0")
        .replace("hours: ", "expires: 5m}} # ")
        .replace("  - {id: no-service, deny: {tools: [workspace_service_status]}}\n", "");
    let file = home.path().join("new.yaml");
    std::fs::write(&file, new).unwrap();
    let (code, said, report) = replay(&home, &["--policy", file.to_str().unwrap()]);
    assert_eq!(code, Some(1), "{said}");
    let told: Vec<String> = report["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| {
            format!(
                "{} {} {} -> {}",
                change["wider"],
                change["tool"].as_str().unwrap(),
                change["was"].as_str().unwrap(),
                change["would_be"].as_str().unwrap()
            )
        })
        .collect();
    for expected in [
        "true workspace_read_file deny (rule_denied) by no-docs -> permit by defaults.read",
        "true workspace_write_file deny (rule_denied) by no-docs -> permit by files",
        "true workspace_create_branch needs_approval, with 1 approval of any approver within 30 min -> permit by branches",
        "true github_create_issue deny (outside_hours) by environments.closed.hours -> permit by issues, in mock",
        "false workspace_read_file permit by defaults.read -> deny (rule_denied) by no-docs",
    ] {
        assert!(told.iter().any(|one| one == expected), "{expected} is not in {told:#?}");
    }
    assert_eq!(told.len(), 5, "{told:#?}");
    let wider: Vec<bool> = told.iter().map(|one| one.starts_with("true")).collect();
    assert_eq!(wider, [true, true, true, true, false]);
    let shown: Vec<&str> = report["would_be_shown"].as_array().unwrap().iter().map(|one| one["tool"].as_str().unwrap()).collect();
    assert_eq!(shown, ["workspace_service_status"], "{said}");
    let example = report["changes"][0]["example"].as_str().unwrap();
    assert!(home.entries().iter().any(|entry| entry["request_id"] == example), "{example}");
    assert!(said.contains("→ permit by files") && said.contains(example), "{said}");
}

#[test]
fn other_approvals_for_the_same_decision_are_a_change() {
    let (home, _repository) = lived_in();
    let needed = home.entries().into_iter().find(|entry| entry["data"]["decision"] == "needs_approval").unwrap();
    let required = json!({ "approvals": [{ "count": 1, "group": null }], "expires_ms": 1_800_000, "mfa": false, "people": 1 });
    assert_eq!(needed["data"]["required"], required);
    let file = home.path().join("new.yaml");
    for (approvals, changed) in [("approvals: 2", 1), ("approvals: 1", 0)] {
        let new = policy().replace("[workspace_create_branch]}", &format!("[workspace_create_branch]}}, {approvals}"));
        std::fs::write(&file, new).unwrap();
        let (code, said, report) = replay(&home, &["--policy", file.to_str().unwrap()]);
        assert_eq!((code, &report["changed"], &report["wider"]), (Some(changed), &json!(changed), &json!(0)), "{said}");
    }
    // So is another mode, where the decision is the same.
    std::fs::write(&file, policy().replace("workspace: {mode: approval_required_write}", "workspace: {mode: dry_run}")).unwrap();
    let (code, said, report) = replay(&home, &["--policy", file.to_str().unwrap()]);
    assert_eq!(code, Some(1), "{said}");
    let told: Vec<&str> = report["changes"].as_array().unwrap().iter().map(|change| change["would_be"].as_str().unwrap()).collect();
    assert!(told.contains(&"permit by files, in dry_run"), "{told:?}");
}

#[test]
fn a_scrubbed_name_and_an_absent_policy_are_undecidable() {
    let repository = Repository::with(&[("a.txt", "one\n")]);
    let home = Home::with_policy(&policy());
    let mut client = Client::legacy(&home, &["--in-process", "--workspace", repository.arg()]);
    client.answer("workspace_read_file", json!({ "path": "a.txt" }));
    client.refusal("workspace_read_file", json!({ "path": format!("docs/{}", fresh_secret()) }));
    assert!(client.close().success());
    let (code, said, report) = replay(&home, &[]);
    assert_eq!((code, &report["same"]), (Some(1), &json!(1)), "{said}");
    assert!(said.contains("scrubbed"), "{said}");

    // The home forgot the policy it decided under.
    std::fs::write(home.path().join("policy.yaml"), policy() + "# another\n").unwrap();
    let _ = std::fs::remove_dir_all(home.path().join("policies"));
    let (code, said, report) = replay(&home, &[]);
    assert_eq!((code, &report["same"], &report["absent_policies"].as_array().unwrap().len()), (Some(1), &json!(0), &1), "{said}");
    assert!(said.contains("not in the home's archive"), "{said}");
    // And found it again.
    let old = policy();
    let hash = report["absent_policies"][0].as_str().unwrap().strip_prefix("sha256:").unwrap().to_owned();
    std::fs::create_dir_all(home.path().join("policies")).unwrap();
    std::fs::write(home.path().join("policies").join(format!("{hash}.yaml")), old).unwrap();
    assert_eq!(replay(&home, &[]).2["same"], json!(1));
}

#[test]
fn what_is_no_log_or_no_policy_is_bad_input() {
    let home = Home::new();
    std::fs::write(home.path().join("bad.yaml"), "version: 2\n").unwrap();
    for args in [&["--log", "missing"][..], &["--log", ".", "--policy", "bad.yaml"], &["--log", "."]] {
        let output = home.run(&[&["policy", "replay"], args].concat());
        assert_eq!(output.status.code(), Some(64), "{args:?}: {}", text(&output.stderr));
    }
    assert_eq!(home.run(&["policy", "replay"]).status.code(), Some(2));
}
