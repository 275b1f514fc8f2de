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
