//! The policy unit tests that ship, and what `opsgate policy test` says of good, failing and misspelt ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod harness;

use std::path::{Path, PathBuf};

use harness::{Home, text};
use serde_json::Value;

fn in_checkout(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// `policy.test.yaml`, and one beside each example policy.
fn shipped_cases() -> Vec<PathBuf> {
    let mut files = vec![in_checkout("policy.test.yaml")];
    if let Ok(examples) = std::fs::read_dir(in_checkout("docs/policies")) {
        files.extend(examples.map(|entry| entry.unwrap().path()).filter(|path| path.to_string_lossy().ends_with(".test.yaml")));
    }
    files.sort();
    files
}

#[test]
fn every_shipped_policy_passes_its_cases_and_each_rule_has_one() {
    let home = Home::new();
    for file in shipped_cases() {
        let output = home.run(&["policy", "test", "--require-coverage", file.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(0), "{}\n{}", text(&output.stdout), text(&output.stderr));
    }
}

const POLICY: &str = "version: 1\ndefaults: {read: allow}\ncallers: {\"local:*\": {roles: [developer]}}\nsystems: {workspace: {mode: read_only}}\n\
                      rules:\n  - {id: no-keys, deny: {paths: [\"**/*.pem\"]}, because: keys are not served}\n  - {id: no-docs, deny: {paths: [\"docs/**\"]}}\n";

const CASES: &str = r#"policy: policy.yaml
defaults: {caller: "local:uid=1000", tool: workspace_read_file, repo: /src/app}
cases:
  - {name: keys are not read, each: {path: [a.pem, b/C.PEM]}, expect: deny, rule: no-keys, code: rule_denied}
  - {name: the rest is read, path: a.txt, expect: permit, rule: defaults.read}
"#;

/// The exit code, what was said, and the report.
fn tested(cases: &str, options: &[&str]) -> (Option<i32>, String, Value) {
    let home = Home::with_policy(POLICY);
    let file = home.path().join("policy.test.yaml");
    std::fs::write(&file, cases).unwrap();
    let args = [&["policy", "test", file.to_str().unwrap()], options].concat();
    let output = home.run(&args);
    let as_json = home.run(&[&args[..], &["--json"]].concat());
    assert_eq!(output.status.code(), as_json.status.code());
    (output.status.code(), text(&output.stdout) + &text(&output.stderr), serde_json::from_slice(&as_json.stdout).unwrap_or_default())
}

#[test]
fn cases_pass_fail_and_tell_what_came_out() {
    let (code, said, report) = tested(CASES, &[]);
    assert_eq!((code, &report["ok"]), (Some(0), &Value::Bool(true)), "{said}");
    assert_eq!(report["files"][0]["report"]["cases"].as_array().unwrap().len(), 3);
    assert!(said.contains("3 passed") && said.contains("note:") && said.contains("no-docs") && !said.contains("no-keys"), "{said}");
    let (code, said, report) = tested(CASES, &["--require-coverage"]);
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(report["files"][0]["report"]["unexercised"], serde_json::json!(["no-docs"]));

    for (right, wrong, words) in [
        ("expect: permit", "expect: deny", "expected deny by `defaults.read`, and it is permit by `defaults.read`"),
        (
            "rule: no-keys, code: rule_denied",
            "rule: no-docs",
            "expected deny by `no-docs`, and it is deny (rule_denied) by `no-keys`: keys are not served",
        ),
        ("code: rule_denied", "code: write_off", "expected deny (write_off) by `no-keys`"),
        ("rule: defaults.read", "shadow: [no-docs]", "in the shadow of [no-docs]"),
        ("path: a.txt", "path: x.pem", "policy.test.yaml:5 the rest is read: expected permit"),
    ] {
        assert!(CASES.contains(right));
        let (code, said, report) = tested(&CASES.replacen(right, wrong, 1), &[]);
        assert_eq!((code, &report["ok"]), (Some(1), &Value::Bool(false)), "{wrong}: {said}");
        assert!(said.contains(words), "{wrong}: {said}");
    }
}

#[test]
fn what_is_misspelt_is_an_error_with_its_place_and_the_nearest_name() {
    let rest = CASES.replacen("path: a.txt", "path: a.txt, FURTHER", 1);
    for (right, wrong, words) in [
        ("expect: permit", "expects: permit", &["`expects`", "`expect`", "policy.test.yaml:5"][..]),
        ("expect: permit", "expect: permitted", &["`permitted`", "`permit`", "policy.test.yaml:5"]),
        ("rule_denied", "rule_denid", &["`rule_denid`", "`rule_denied`", "policy.test.yaml:4"]),
        ("workspace_read_file", "workspace_read-file", &["`workspace_read-file`", "`workspace_read_file`", "policy.test.yaml:2"]),
        ("local:uid", "locl:uid", &["`locl:uid=1000`", "`local`", "policy.test.yaml:2"]),
        ("local:uid=1000", "local:*", &["`local:*`", "one caller", "policy.test.yaml:2"]),
        ("path: [a.pem", "pathe: [a.pem", &["`pathe`", "`path`", "policy.test.yaml:4"]),
        ("FURTHER", "paths: [b.txt]", &["`path`", "`paths`", "policy.test.yaml:5"]),
        ("FURTHER", "now: yesterday", &["`yesterday`", "policy.test.yaml:5"]),
        ("FURTHER", "trigger: cron", &["`cron`", "policy.test.yaml:5"]),
        ("FURTHER", "same_user: ture", &["`ture`", "`true`", "policy.test.yaml:5"]),
        ("FURTHER", "change: [reason]", &["`reason`", "`reasoning`", "policy.test.yaml:5"]),
        ("FURTHER", "code: rule_denied", &["`code` belongs to", "policy.test.yaml:5"]),
        ("FURTHER", "approvals: [{group: a}]", &["`approvals` belongs to", "policy.test.yaml:5"]),
        ("the rest is read", "keys are not read", &["`keys are not read`", "twice", "policy.test.yaml:5"]),
        ("name: the rest is read, ", "", &["`name`", "policy.test.yaml:5"]),
        ("policy: policy.yaml", "policy: missing.yaml", &["missing.yaml", "cannot be read"]),
        ("policy: policy.yaml", "tools: {workspace_read_file: write}", &["`workspace_read_file`", "policy.test.yaml:1"]),
        ("policy: policy.yaml", "tools: {no_such_thing: write}", &["`no_such_thing`", "policy.test.yaml:1"]),
    ] {
        assert!(rest.contains(right), "{right}");
        let cases = rest.replacen(right, wrong, 1).replace(", FURTHER", "");
        let (code, said, _) = tested(&cases, &[]);
        assert_eq!(code, Some(64), "{wrong}: {said}");
        for word in words {
            assert!(said.contains(word), "{wrong}: `{word}` is not in: {said}");
        }
    }
    for nothing in ["", "policy: policy.yaml\n", "policy: policy.yaml\ncases: []\n", "policy: policy.yaml\ncases:\n"] {
        let (code, said, _) = tested(nothing, &[]);
        assert_eq!(code, Some(64), "{nothing}: {said}");
        assert!(said.contains("cases"), "{said}");
    }
}

#[test]
fn coverage_counts_a_repository_s_lists_and_tells_globs_that_no_case_hits() {
    let home = Home::with_policy(&POLICY.replace("[\"docs/**\"]", "[\"docs/**\", \"**/*.key\"]").replace(
        "rules:",
        "repositories: {\"/src/*\": {paths: {deny: [\"b/**\"], allow: [\"**\"]}, tools: {deny: [workspace_git_log]}, refs: {deny: [x]}}}\nrules:",
    ));
    let file = home.path().join("policy.test.yaml");
    let cases = CASES.to_owned()
        + "  - {name: a, tree: docs, tool: workspace_list_directory, expect: deny, rule: no-docs}\n\
           \x20 - {name: b, path: b/c, expect: deny, rule: \"repositories./src/*.paths.deny\"}\n";
    std::fs::write(&file, cases).unwrap();
    let output = home.run(&["policy", "test", "--json", file.to_str().unwrap()]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let report = &report["files"][0]["report"];
    let lists = ["paths.allow", "refs.deny", "tools.deny"].map(|list| format!("repositories./src/*.{list}"));
    assert_eq!(report["unexercised"], serde_json::json!(lists), "{}", text(&output.stderr));
    assert_eq!(report["unhit_globs"], serde_json::json!([{ "rule": "no-docs", "kind": "path", "glob": "**/*.key" }]));
    let output = home.run(&["policy", "test", file.to_str().unwrap()]);
    assert!(text(&output.stdout).contains("`**/*.key` of no-docs"), "{}", text(&output.stdout));
}

#[test]
fn a_call_that_cannot_exist_is_no_case() {
    for (case, words) in [
        ("tool: github_list_issues, path: a.pem", "`github_list_issues` never touches a path"),
        ("tool: github_list_issues, repo: acme/shop, namespace: prod", "`github_list_issues` never touches a namespace"),
        ("tool: workspace_list_directory, path: docs", "`workspace_list_directory` never touches a path"),
        ("tool: workspace_read_file, tree: docs", "`workspace_read_file` never touches a tree"),
        ("tool: policy_whoami, repos: [/src/app]", "`policy_whoami` never touches a repo"),
        ("tool: workspace_search_code, path: a, tree: docs", "touches a repo and a path and a tree in one"),
    ] {
        let cases = CASES.replacen("path: a.txt, expect: permit, rule: defaults.read", &format!("{case}, expect: deny"), 1);
        let (code, said, _) = tested(&cases, &[]);
        assert_eq!(code, Some(64), "{case}: {said}");
        assert!(said.contains(words) && said.contains("policy.test.yaml:"), "{case}: {said}");
    }
    // `defaults` give a tool what it touches, and every method name may stand, since policies give tools more of them.
    for case in ["tool: policy_whoami, expect: deny", "tool: workspace_run_tests, method: anything, expect: deny"] {
        let (code, said, _) = tested(&CASES.replacen("path: a.txt, expect: permit, rule: defaults.read", case, 1), &[]);
        assert_eq!(code, Some(0), "{case}: {said}");
    }
}

#[test]
fn tools_to_come_can_be_tested_before_they_are_there() {
    let home = Home::with_policy(
        "version: 1\nwrite_mode: on\ndefaults: {read: allow}\ncallers: {\"local:*\": {}}\nsystems: {kubernetes: {mode: approval_required_write}}\n\
         namespaces: {\"kube-*\": forbidden, \"squad-*\": approval}\nrules: [{id: scale, allow: {tools: [kubernetes_scale], namespaces: [\"squad-*\"]}}]\n",
    );
    let file = home.path().join("policy.test.yaml");
    let cases = r#"policy: policy.yaml
tools: {kubernetes_scale: write, kubernetes_list: read}
defaults: {caller: "local:uid=1000"}
cases:
  - {name: a squad scales with an approval, tool: kubernetes_scale, namespace: squad-a, expect: needs_approval, rule: scale, approvals: [{count: 1}]}
  - {name: the cluster's own is not even read, tool: kubernetes_list, namespace: kube-system, expect: deny, code: namespace_denied, rule: "namespaces.kube-*"}
  - {name: the rest is read, tool: kubernetes_list, namespace: default, expect: permit}
"#;
    std::fs::write(&file, cases).unwrap();
    let output = home.run(&["policy", "test", "--require-coverage", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
    // A rule about another tool of the system is as good as without the declaration.
    std::fs::write(
        &file,
        cases
            .replace("kubernetes_scale: write, ", "")
            .replace("tool: kubernetes_scale, namespace: squad-a", "tool: kubernetes_list, namespace: kube-x")
            .replace("expect: needs_approval, rule: scale, approvals: [{count: 1}]", "expect: deny"),
    )
    .unwrap();
    let output = home.run(&["policy", "test", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
    std::fs::write(&file, cases.replace("count: 1", "count: 2")).unwrap();
    let output = home.run(&["policy", "test", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("with 1 approval of any approver within"), "{}", text(&output.stdout));
}
