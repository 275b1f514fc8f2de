use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use opsgate::catalogue;
use opsgate::home::archived_policy;
use opsgate::identity::KeyStore;
use opsgate::policy::{Decision, Facts, Policy, Trigger};
use opsgate_tools::scope::{ScopeKind, Scopes};
use opsgate_tools::tool::Class;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::harness::Home;
use super::harness::http::Http;
use super::harness::repository::Repository;
use super::{hangup, in_force, put, until, without};

const CALLERS: usize = 64;

/// Two policies that agree on nothing: one denies what the other permits, and permits by another rule.
fn policies() -> [String; 2] {
    let by_rule = without("b")
        .replace("defaults: {read: allow}", "defaults: {}")
        .replace("rules: [", "rules: [{id: reads, allow: {tools: [\"workspace_*\"]}}, ");
    assert_ne!(by_rule, without("b"));
    [without("a"), by_rule]
}

#[test]
fn under_load_each_record_agrees_with_the_policy_it_names() {
    let policies = policies();
    let (home, repository) = (Home::with_policy(&policies[0]), Repository::with(&[("a.txt", "a\n"), ("b.txt", "b\n")]));
    let rounds = if std::env::var_os("SOAK").is_some() { 200 } else { 10 };
    let store = KeyStore::open(&home.path().join("keys")).unwrap();
    let keys: Vec<_> = (0..CALLERS).map(|n| store.issue(&format!("caller-{n}")).unwrap().key.expose_secret().to_owned()).collect();
    let served = home.serve(&["--workspace", repository.arg()]);
    let (running, mut flips) = (AtomicUsize::new(CALLERS), 0);
    std::thread::scope(|scope| {
        for key in &keys {
            let (running, url) = (&running, served.url());
            scope.spawn(move || {
                let http = Http { url, key: Some(key) };
                for round in 0..rounds {
                    let file = if round % 2 == 0 { "a.txt" } else { "b.txt" };
                    let answer = http.call("workspace_read_file", json!({ "path": file })).json();
                    let refused = &answer["result"]["_meta"]["opsgate/refusal"]["code"];
                    assert!(refused.is_null() || *refused == "policy_denied", "{answer}");
                }
                running.fetch_sub(1, Ordering::Relaxed);
            });
        }
        while running.load(Ordering::Relaxed) > 0 {
            flips += 1;
            let next = &policies[flips % 2];
            put(&home, next);
            hangup(served.child.id());
            until("the next policy", || (in_force(&served) == Policy::hash_of(next.as_bytes())).then_some(()));
        }
    });
    assert!(served.terminate().success());
    assert!(flips >= 10, "the policy changed {flips} times only");
    let mut judged = BTreeMap::new();
    agree(&home, &mut judged);
    assert_eq!(judged.values().map(|tally: &Tally| tally.permitted + tally.denied).sum::<usize>(), CALLERS * rounds, "{judged:?}");
    assert_eq!(judged.len(), 2, "{judged:?}");
    for tally in judged.values() {
        assert!(tally.permitted > 0 && tally.denied > 0, "{judged:?}");
    }
    assert!(!home.entries().iter().any(|entry| entry["type"] == "policy.rejected"));
}

#[derive(Debug, Default)]
struct Tally {
    permitted: usize,
    denied: usize,
}

/// Asks of each record the policy it names, out of the home, whether it decides so.
fn agree(home: &Home, judged: &mut BTreeMap<String, Tally>) {
    let catalogue = catalogue::catalogue().unwrap();
    let mut loaded: BTreeMap<String, Policy> = BTreeMap::new();
    for entry in home.entries() {
        let data = &entry["data"];
        if entry["type"] == "policy.loaded" {
            let hash = data["hash"].as_str().unwrap();
            let text = archived_policy(&home.path().join("policies"), hash).unwrap();
            loaded.insert(hash.to_owned(), Policy::parse(&text, "policy.yaml", &catalogue).unwrap());
        }
        if !data["decision"].is_string() {
            assert!(entry["type"] != "call.intent" && entry["type"] != "call.refused", "not judged: {entry}");
            continue;
        }
        let hash = data["policy"].as_str().unwrap();
        let policy = loaded.get(hash).unwrap_or_else(|| panic!("decided under a policy that was not loaded before: {entry}"));
        let (rules, tally) = (data["rules"].clone(), judged.entry(hash.to_owned()).or_default());
        match decide(policy, data) {
            Decision::Permit(permit) => {
                assert_eq!((&data["decision"], rules), (&json!("permit"), json!(permit.rules())), "{entry}");
                tally.permitted += 1;
            }
            Decision::Deny(denial) => {
                assert_eq!(
                    (&data["decision"], &data["denial"], &data["rule"]),
                    (&json!("deny"), &json!(denial.code), &json!(denial.rule)),
                    "{entry}"
                );
                tally.denied += 1;
            }
            Decision::NeedsApproval(..) => panic!("a read that needs approval: {entry}"),
        }
    }
}

fn decide(policy: &Policy, data: &Value) -> Decision {
    let text = |pointer: &str| data.pointer(pointer).and_then(Value::as_str).unwrap();
    let scopes = data["scopes"].as_array().unwrap().iter().fold(None, |scopes: Option<Scopes>, scope| {
        let kind = match scope["kind"].as_str().unwrap() {
            "repo" => ScopeKind::Repo,
            "path" => ScopeKind::Path,
            "ref" => ScopeKind::Ref,
            other => panic!("another kind than a read of a file has: {other}"),
        };
        let value = scope["value"].as_str().unwrap();
        Some(scopes.map_or_else(|| Scopes::of(kind, value), |scopes| scopes.and(kind, value)))
    });
    policy.decide(&Facts {
        caller: text("/caller/id"),
        tool: text("/gen_ai.tool.name"),
        system: text("/system"),
        class: Class::Read,
        scopes: &scopes.unwrap(),
        trigger: Trigger::Client,
        write_mode_env_off: data["write_mode_off"] == true,
        same_user: data["same_user"] == true,
        change: &[],
        now: text("/decided_at").parse().unwrap(),
    })
}
