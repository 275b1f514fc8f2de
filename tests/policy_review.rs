//! The commands with which a reviewer reads a policy, through the command line.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod harness;

use std::collections::BTreeSet;

use harness::repository::Repository;
use harness::stdio::Client;
use harness::tools::{arguments, specs};
use harness::{Home, text};
use opsgate::policy::touches;
use serde_json::Value;

fn example(name: &str) -> String {
    format!("{}/docs/examples/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn json_of(home: &Home, args: &[&str]) -> Value {
    let output = home.run(args);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{args:?}: {} {}", text(&output.stdout), text(&output.stderr)))
}

#[test]
fn check_draws_each_finding_in_its_line() {
    let home = Home::new();
    let output = home.run(&["policy", "check", &example("misspelt.yaml")]);
    assert_eq!(output.status.code(), Some(64));
    let said = text(&output.stderr);
    assert!(said.is_ascii() && said.starts_with("error: the policy has 2 errors; it is not used\n"), "{said}");
    for part in [" 6 |   workspace: {mode: readonly}\n   :                     ^^^^^^^^", "misspelt.yaml:9:12]", "help: did you mean `paths`?"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    let report = json_of(&home, &["policy", "check", &example("misspelt.yaml"), "--json"]);
    let first = &report["errors"][0];
    assert_eq!((&first["line"], &first["column"], &first["length"]), (&6.into(), &21.into(), &8.into()));
    assert_eq!(first["source_line"], "  workspace: {mode: readonly}");
    assert_eq!(json_of(&home, &["policy", "check", "--json"])["warnings"], Value::Array(Vec::new()));
}

#[test]
fn a_start_that_fails_draws_what_check_draws() {
    let home = Home::with_policy("version: 1\nwrite_mod: off\n");
    let checked = text(&home.run(&["policy", "check"]).stderr);
    for command in [&["serve", "--socket-only"][..], &["stdio", "--in-process"], &["stdio"]] {
        let output = home.run(command);
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(64), checked.clone()), "{command:?}");
    }
}

#[test]
fn every_tool_touches_what_the_table_says() {
    let repository = Repository::with(&[("conf/app.yaml", "token: x\n")]);
    repository.commit(&[("conf/app.yaml", "token: y\n")], "second");
    let home = Home::new();
    let mut client = Client::legacy(&home, &["--in-process", "--workspace", repository.arg()]);
    for spec in specs() {
        client.call(spec.card.name, arguments(spec.card.name));
    }
    client.close();
    let records: Vec<Value> = home.entries_of("call.intent").into_iter().chain(home.entries_of("call.refused")).collect();
    for spec in specs() {
        let name = spec.card.name;
        let shapes = touches(name).unwrap_or_else(|| panic!("`{name}` has no row in src/policy/review/touches.rs"));
        let known: BTreeSet<&str> = shapes.iter().flat_map(|shape| shape.iter().map(|kind| kind.name())).collect();
        for record in records.iter().filter(|record| record["data"]["gen_ai.tool.name"] == name) {
            let touched = record["data"]["scopes"].as_array().into_iter().flatten().map(|scope| scope["kind"].as_str().unwrap());
            let touched: BTreeSet<&str> = touched.collect();
            assert!(touched.is_subset(&known), "`{name}` touches {touched:?}, and the table says {known:?}");
            let exact = |shape: &[opsgate_tools::scope::ScopeKind]| shape.iter().map(|kind| kind.name()).collect::<BTreeSet<_>>() == touched;
            assert!(touched.is_empty() || shapes.iter().any(|shape| exact(shape)), "`{name}` touches {touched:?} together: no shape");
        }
    }
}

#[test]
fn the_schema_is_as_it_was() {
    let home = Home::new();
    let output = home.run(&["policy", "schema"]);
    assert!(output.status.success());
    let path = format!("{}/docs/policy.schema.json", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &output.stdout).unwrap();
    }
    let same = std::fs::read(&path).unwrap_or_default() == output.stdout;
    assert!(same, "docs/policy.schema.json is not what the reader reads; run UPDATE=1 cargo test --test policy_review");
}

const OLD: &str = "version: 1\nwrite_mode: on\ndefaults: {read: allow}\npeople: {ana: {github: ana}, ben: {github: ben}}\ngroups: {oncall: [ana, ben]}\n\
    callers: {\"key:ci-*\": {roles: [pipeline]}, \"local:*\": {roles: [developer]}}\nsystems: {github: {mode: mock}, workspace: {}}\n\
    repositories: {\"acme/app\": {write: true}}\n";

fn with(rules: &str) -> String {
    format!("{OLD}approvals: {{default: {{approvals: [{{group: oncall, count: 1}}]}}}}\nrules:\n{rules}")
}

#[test]
fn diff_says_whose_permissions_change() {
    let home = Home::new();
    let path = |name: &str, policy: &str| {
        let path = home.path().join(name);
        std::fs::write(&path, policy).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let secrets = "  - {id: keys, deny: {paths: [\"**/*.pem\"]}}\n";
    let issues = "  - {id: issues, allow: {roles: [pipeline], tools: [github_create_issue], repos: [\"acme/*\"]}}\n";
    let old = path("old.yaml", &with(secrets));
    for (new, code, parts) in [
        (with(secrets), 0, &["no permission and no setting changes"][..]),
        (
            with(&format!("{secrets}{issues}")),
            1,
            &[
                "wider:\n  `key:ci-*` may now call `github_create_issue`, repo `acme/app`, with 1 approval of `oncall` within 30 min; before: denied (no rule allows it)\n",
            ],
        ),
        (
            with("  - {id: keys, deny: {paths: [\"**/*.key\"]}}\n"),
            1,
            &[
                "rules:\n  rule `keys` changed, may be wider: paths went `**/*.pem`, came `**/*.key`\nwider:\n",
                "wider:\n  `key:ci-*` and `local:*` may now call `github_get_file`",
                "path `**/*.pem`; before: denied (`keys`: a rule of the policy denies it)",
                "narrower:\n  `key:ci-*` and `local:*` may no longer call `github_get_file`",
                "path `**/*.key`: denied (`keys`",
            ],
        ),
        (
            with(secrets).replace("oncall: [ana, ben]", "oncall: [ana]") + "limits: {timeout: 5s}\n",
            1,
            &["settings:\n  groups.oncall: [\"ana\",\"ben\"] -> [\"ana\"]\n  limits.timeout: 60 s -> 5 s\n"],
        ),
        (
            with(secrets).replace("  \"key", " \"key").replace("callers: {", "callers: {\"key:boss\": {roles: [developer]}, "),
            1,
            &["rules:\n  caller `key:boss` added, may be wider: roles `developer`\n"],
        ),
    ] {
        let new = path("new.yaml", &new);
        let output = home.run(&["policy", "diff", &old, &new]);
        let said = text(&output.stdout);
        assert_eq!(output.status.code(), Some(code), "{said}{}", text(&output.stderr));
        for part in parts {
            assert!(said.contains(part), "`{part}` is not in:\n{said}");
        }
        assert_eq!(json_of(&home, &["policy", "diff", &old, &new, "--json"])["partial"], false);
    }
    assert_eq!(home.run(&["policy", "diff", &old, &path("new.yaml", "version: 2\n")]).status.code(), Some(64));
}

#[test]
fn matrix_says_on_what_it_depends() {
    let rules = "  - {id: issues, allow: {roles: [pipeline], tools: [github_create_issue], repos: [\"acme/*\"]}}\n\
                 \x20 - {id: no-docs, deny: {callers: [\"local:uid=7\"], tools: [github_list_issues]}}\n";
    let home = Home::with_policy(&with(rules));
    let matrix = json_of(&home, &["policy", "matrix", "--json"]);
    let callers: Vec<&str> = matrix["callers"].as_array().unwrap().iter().map(|one| one["caller"].as_str().unwrap()).collect();
    assert_eq!(callers, ["key:ci-*", "local:*", "local:uid=7", "anyone else"]);
    let row = |tool: &str| {
        let rows = matrix["tools"].as_array().unwrap();
        rows.iter().find(|row| row["tool"] == tool).unwrap()["cells"].as_array().unwrap().clone()
    };
    let issues = row("github_create_issue");
    assert_eq!((&issues[0]["may"], &issues[0]["by"]), (&"some_approval".into(), &serde_json::json!(["repo"])));
    assert_eq!(issues[0]["approvals"], serde_json::json!(["1 approval of `oncall` within 30 min"]));
    assert_eq!((&issues[1]["may"], &issues[1]["denials"][0]["code"]), (&"no".into(), &"default_deny".into()));
    let may = |cells: Vec<Value>| cells.iter().map(|cell| cell["may"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(may(row("github_list_issues")), ["yes", "yes", "no", "no"]);
    assert_eq!(row("github_list_issues")[2]["denials"][0]["rule"], "no-docs");
    let table = text(&home.run(&["policy", "matrix", "--caller", "key:*"]).stdout);
    let (cells, _) = table.split_once("\n\n").unwrap();
    assert!(table.is_ascii() && cells.lines().all(|line| line.len() <= 100 && line.trim_end() == line), "{table}");
    assert!(table.contains("some approval by repo [") && !cells.contains("local:"), "{table}");
    assert!(table.contains("] refused: default_deny: no rule allows it"), "{table}");
}

#[test]
fn a_name_that_nobody_has_is_told() {
    let home = Home::with_policy(&with(""));
    for (args, part) in [
        (&["explain", "github-list-issues"][..], "did you mean `github_list_issues`?"),
        (&["explain", "policy_whoami", "--caller", "kye:x"], "did you mean `key`?"),
        (&["explain", "policy_whoami", "--caller", "x"], "such as `key:`"),
        (&["matrix", "--caller", "kye:*"], "did you mean `key`?"),
        (&["matrix", "--caller", "webhook:*"], "no caller of the policy is named by `webhook:*`"),
    ] {
        let output = home.run(&[&["policy"], args].concat());
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains(part), "{args:?}: {:?} {said}", output.status.code());
    }
}

/// What turns the reading direction, or is not seen, reaches neither terminal nor page; a page has no markup of the policy's writer.
#[test]
fn what_a_policy_says_is_shown_and_acts_on_nothing() {
    let rules = "  - {id: a, deny: {tools: [github_list_issues]}, because: \"see\u{202e}<b>|`x`\u{200b}\"}\n";
    let home = Home::with_policy(
        &with(&rules.replace('\u{202e}', "\\u202e").replace('\u{200b}', "\\u200b")).replace("[developer]", "[\"dev\\u2066eloper\"]"),
    );
    let args = ["--args", "{\"repo\": \"acme/app\"}", "--caller", "local:uid=7"];
    let explain = [&["policy", "explain", "github_list_issues"][..], &args].concat();
    let as_json = [&explain[..], &["--json"]].concat();
    for args in [&explain[..], &["policy", "matrix"], &["policy", "matrix", "--markdown"], &["policy", "matrix", "--json"], &as_json] {
        let said = text(&home.run(args).stdout);
        assert!(said.contains("see") && !said.contains(['\u{202e}', '\u{200b}', '\u{2066}']), "{args:?}: {said}");
        match args.last() {
            Some(&"--json") => assert!(serde_json::from_str::<Value>(&said).unwrap().to_string().contains("see\u{202e}"), "{said}"),
            Some(&"--markdown") => assert!(said.contains("see\\u{202e}&lt;b>\\|\\`x\\`"), "{said}"),
            _ => assert!(said.contains("see\\u{202e}<b>"), "{said}"),
        }
    }
}

#[test]
fn each_command_shows_an_example() {
    let home = Home::new();
    for command in ["check", "matrix", "schema", "diff"] {
        let help = text(&home.run(&["policy", command, "--help"]).stdout);
        assert!(help.contains("Example: opsgate policy") && help.contains("--json"), "{help}");
    }
}
