//! What the policy says and the gateway then does, from the outside: budgets that outlive a crash, rules in shadow, production, language.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod harness;

use harness::http::Http;
use harness::stdio::Client;
use harness::{Home, Served, stop, text};
use serde_json::{Value, json};

const READS: &str = "version: 1\ndefaults: {read: allow}\ncallers: {\"local:*\": {roles: [developer]}, \"key:*\": {roles: [developer]}}\n\
                     systems: {policy: {mode: read_only}, github: {mode: mock}}\n";

/// Whether a call of this key is answered, or what it is refused with.
fn refusal(served: &Served, key: &str) -> Option<Value> {
    let http = Http { url: served.url(), key: Some(key) };
    let said = http.call("policy_whoami", json!({})).json();
    let refusal = &said["result"]["_meta"]["opsgate/refusal"];
    assert!(refusal.is_object() || said["result"]["structuredContent"].is_object(), "{said}");
    refusal.is_object().then(|| refusal.clone())
}

fn kill(mut served: Served) {
    stop(served.child.id(), "-KILL");
    served.child.wait().unwrap();
}

fn used(home: &Home, caller: &str) -> u64 {
    let kept: Value = serde_json::from_slice(&std::fs::read(home.path().join("budgets.json")).unwrap()).unwrap();
    kept["callers"][caller]["calls"].as_u64().unwrap()
}

/// Runs a test of what is counted by the day (UTC), and once more where it failed because midnight came.
fn on_one_day(test: impl Fn() + std::panic::RefUnwindSafe) {
    let day = || jiff::Timestamp::now().as_second().div_euclid(86_400);
    let began = day();
    match std::panic::catch_unwind(&test) {
        Err(_) if day() != began => test(),
        Err(failed) => std::panic::resume_unwind(failed),
        Ok(()) => {}
    }
}

#[test]
fn a_budget_outlives_a_crash_and_is_exact_after_a_clean_end() {
    on_one_day(|| {
        let home = Home::with_policy(&format!("{READS}budgets: {{per_caller_day: {{calls: 40}}}}\n"));
        let (key, other) = (home.key("ci"), home.key("other"));
        let served = home.serve(&[]);
        (0..5).for_each(|_| assert_eq!(refusal(&served, &key), None));
        assert!(served.terminate().success());
        assert_eq!(used(&home, "key:ci"), 5, "a clean end is exact");
        let served = home.serve(&[]);
        (0..35).for_each(|_| assert_eq!(refusal(&served, &key), None));
        let exhausted = |served: &Served| {
            let refusal = refusal(served, &key).unwrap();
            assert_eq!((&refusal["code"], &refusal["rule"]), (&json!("budget_exhausted"), &json!("budgets.per_caller_day.calls")));
            assert!((1..=86_400).contains(&refusal["retry_after_s"].as_u64().unwrap()), "{refusal}");
        };
        exhausted(&served);
        assert_eq!(refusal(&served, &other), None, "each caller has its own");
        kill(served);
        let served = home.serve(&[]);
        exhausted(&served);
        kill(served);
        assert!((1..=2).contains(&used(&home, "key:other")), "a crash costs at most a block");
        let refused = home.entries_of("call.refused");
        assert!(!refused.is_empty() && refused.iter().all(|entry| entry["data"]["code"] == "budget_exhausted"), "{refused:?}");
        // What cannot be read refuses, and says which failure it was.
        std::fs::write(home.path().join("budgets.json"), "{").unwrap();
        let served = home.serve(&[]);
        let refusal = refusal(&served, &key).unwrap();
        assert!(refusal["code"] == "unavailable" && refusal["message"].as_str().unwrap().contains("damaged"), "{refusal}");
    });
}

#[test]
fn bytes_are_a_budget_and_without_budgets_nothing_is_kept() {
    on_one_day(|| {
        let home = Home::with_policy(&format!("{READS}budgets: {{per_caller_day: {{bytes: 100}}}}\n"));
        let mut client = Client::legacy(&home, &["--in-process"]);
        client.answer("policy_whoami", json!({}));
        assert_eq!(client.refusal("policy_whoami", json!({})), "budget_exhausted");
        assert!(client.close().success());
        let outcome = &home.entries_of("call.outcome")[0]["data"];
        let kept: Value = serde_json::from_slice(&std::fs::read(home.path().join("budgets.json")).unwrap()).unwrap();
        assert_eq!(kept["callers"].as_object().unwrap().values().next().unwrap()["bytes"], outcome["bytes"]);
        let home = Home::with_policy(READS);
        let mut client = Client::legacy(&home, &["--in-process"]);
        client.answer("policy_whoami", json!({}));
        assert!(client.close().success());
        assert!(!home.path().join("budgets.json").exists());
    });
}

/// A rule in shadow that would deny, one that would allow, and one in force.
const SHADOW: &str = r#"rules:
  - {id: try-closing, deny: {repos: ["acme/app"]}, mode: shadow}
  - {id: try-opening, allow: {tools: [github_list_issues], repos: ["acme/docs"]}, mode: shadow}
  - {id: app, allow: {tools: [github_list_issues], repos: ["acme/app"]}}
"#;

#[test]
fn a_rule_in_shadow_changes_nothing_and_is_recorded_and_counted() {
    let home = Home::with_policy(&format!("{}{SHADOW}", READS.replace("defaults: {read: allow}\n", "")));
    let key = home.key("ci");
    let served = home.serve(&[]);
    let http = Http { url: served.url(), key: Some(&key) };
    for (repo, kind, rule, refused) in [("acme/app", "call.intent", "try-closing", false), ("acme/docs", "call.refused", "try-opening", true)] {
        let said = http.call("github_list_issues", json!({ "repo": repo })).json();
        assert_eq!(said["result"]["isError"] == true, refused, "{said}");
        assert_eq!(home.entries_of(kind).last().unwrap()["data"]["shadow"], json!([rule]));
        assert!(served.metrics().contains(&format!("opsgate_policy_shadow_total{{rule=\"{rule}\"}} 1\n")), "{}", served.metrics());
    }
    // A tool that only a rule in shadow would allow is not shown.
    let hidden = http.call("github_get_file", json!({ "repo": "acme/docs", "path": "a" })).json();
    assert_eq!(hidden["result"]["_meta"]["opsgate/refusal"]["code"], "tool_unavailable", "{hidden}");
    assert_eq!(served.metrics().matches("opsgate_policy_shadow_total{").count(), 2);
}

#[test]
fn production_refuses_what_is_unsafe_of_the_process() {
    // Whoever runs the tests can log in, or is root: the gateway is no boundary.
    for (says, args, word) in [
        ("write_mode: on\n", &["serve", "--socket-only"][..], "write_mode: on"),
        ("write_mode: on\n", &["call", "policy_whoami", "--in-process"], "write_mode: on"),
        ("", &["serve", "--insecure-bind", "--listen", "0.0.0.0:0"], "--insecure-bind"),
    ] {
        let policy = format!("{}profile: production\n{says}", READS.replace("mode: mock", "mode: read_only"));
        let home = Home::with_policy(&policy);
        let output = home.run(args);
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(64) && said.contains("profile: production") && said.contains(word), "{args:?}: {said}");
        assert!(!home.audit().exists(), "a log was begun");
    }
}

#[test]
fn refusals_speak_the_policys_language_and_records_english() {
    for (language, because, hint) in [
        ("en", "no rule allows it", "ask whoever keeps the policy for a rule"),
        ("fr", "refusé : aucune règle ne l’autorise", "demandez une règle à qui tient la politique"),
        ("ru", "отклонено: ни одно правило этого не разрешает", "попросите правило у того, кто ведёт политику"),
    ] {
        let rules = "rules: [{id: docs, allow: {tools: [github_list_issues], repos: [\"acme/docs\"]}}]";
        let home = Home::with_policy(&format!("{}{rules}\nlanguage: {language}\n", READS.replace("defaults: {read: allow}\n", "")));
        let mut client = Client::legacy(&home, &["--in-process"]);
        let reply = client.call("github_list_issues", json!({ "repo": "acme/app" }));
        let refusal = &reply["result"]["_meta"]["opsgate/refusal"];
        assert_eq!(refusal["code"], "policy_denied");
        assert!(refusal["message"].as_str().unwrap().contains(because) && refusal["hint"] == hint, "{reply}");
        let unknown = client.call("no_such_tool", json!({}));
        let hint = unknown["result"]["_meta"]["opsgate/refusal"]["hint"].as_str().unwrap().to_owned();
        assert!(hint.contains("`policy_whoami`") && (language == "en") == hint.starts_with("list the tools"), "{hint}");
        assert!(client.close().success());
        assert_eq!(home.entries_of("call.refused")[0]["data"]["message"], "refused: no rule allows it");
    }
}
