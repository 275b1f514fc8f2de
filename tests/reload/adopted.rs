use opsgate::home::archived_policy;
use opsgate::policy::Policy;
use serde_json::json;

use super::harness::repository::Repository;
use super::harness::stdio::Client;
use super::harness::{Home, stop};
use super::{entries, hangup, in_force, policy, put, until, without};

fn hash(text: &str) -> String {
    Policy::hash_of(text.as_bytes())
}

#[test]
fn a_changed_file_is_adopted_and_at_a_signal_at_once() {
    let (first, second, third) = (policy(""), without("a"), without("b"));
    let (home, repository) = (Home::with_policy(&first), Repository::with(&[("a.txt", "a\n"), ("b.txt", "b\n")]));
    let served = home.serve(&[]);
    let mut client = Client::legacy(&home, &["--workspace", repository.arg()]);
    let reads = |client: &mut Client, path: &str| client.call("workspace_read_file", json!({ "path": path }))["result"]["isError"] != true;
    assert!(reads(&mut client, "a.txt") && reads(&mut client, "b.txt"));
    hangup(served.child.id());
    until("the word that nothing changed", || served.log().contains("the policy is unchanged").then_some(()));

    put(&home, &second);
    entries(&home, "policy.loaded", 2);
    until("the second policy", || (in_force(&served) == hash(&second)).then_some(()));
    assert!(!reads(&mut client, "a.txt") && reads(&mut client, "b.txt"));

    hangup(client.child.id()); // a relay has no policy
    put(&home, &third);
    hangup(served.child.id());
    until("the third policy", || (in_force(&served) == hash(&third)).then_some(()));
    assert!(reads(&mut client, "a.txt") && !reads(&mut client, "b.txt"));

    let common =
        |hash: String, because: &str| json!({ "because": because, "file": "policy.yaml", "hash": hash, "write_mode_off_by_environment": false });
    let mut expected = [common(hash(&first), "start"), common(hash(&second), "file"), common(hash(&third), "signal")];
    expected[1]["replaces"] = hash(&first).into();
    expected[2]["replaces"] = hash(&second).into();
    assert_eq!(entries(&home, "policy.loaded", 3), expected);
    for text in [&first, &second, &third] {
        assert_eq!(archived_policy(&home.path().join("policies"), &hash(text)).unwrap(), *text);
    }
    assert!(served.metrics().contains("opsgate_policy_loads_total{result=\"loaded\"} 3"), "{}", served.metrics());
}

/// Whoever closes a door in a hurry is not left with the policy in which it is open.
#[test]
fn what_is_taken_away_in_an_emergency_is_gone() {
    let roles = "{id: r, deny: {roles: [ops-us], paths: [x]}}, {id: e, deny: {roles: [ops-eu], paths: [x]}}";
    let first = policy(roles).replace("callers: {", "callers: {\"key:eu\": {roles: [ops-eu]}, \"key:leaked\": {roles: [ops-us]}, ")
        + "people: {ana: {keys: [leaked]}}\ngroups: {oncall: [ana]}\n";
    let home = Home::with_policy(&first);
    let served = home.serve(&["--socket-only"]);
    let mut next = first.clone();
    for ((from, to), loads) in [
        ("\"key:leaked\": {roles: [ops-us]}, ", ""),
        ("roles: [ops-eu]}, ", "roles: []}, "),
        ("keys: [leaked]", "keys: []"),
        ("oncall: [ana]", "oncall: []"),
        ("rules: [", "rules: [{id: closed, deny: {tools: [\"*\"]}}, "),
    ]
    .into_iter()
    .zip(2..)
    {
        assert!(next.contains(from), "{from}");
        next = next.replacen(from, to, 1);
        put(&home, &next);
        hangup(served.child.id());
        assert_eq!(entries(&home, "policy.loaded", loads).last().unwrap()["hash"], json!(hash(&next)), "{from}");
    }
}

#[test]
fn a_home_without_a_policy_adopts_one_and_keeps_it_when_the_file_goes() {
    let home = Home::new();
    let served = home.serve(&[]);
    assert_eq!(in_force(&served), hash(Policy::shipped()));
    let text = policy("");
    put(&home, &text);
    until("the policy", || (in_force(&served) == hash(&text)).then_some(()));
    std::fs::remove_file(home.path().join("policy.yaml")).unwrap();
    let rejected = entries(&home, "policy.rejected", 1);
    assert_eq!((&rejected[0]["reason"], &rejected[0]["file"]), (&json!("unreadable"), &json!("policy.yaml")));
    assert_eq!(in_force(&served), hash(&text), "the shipped policy came back");
    let loaded = entries(&home, "policy.loaded", 2);
    assert_eq!((&loaded[0]["file"], &loaded[1]["file"]), (&json!("policy.yaml (shipped)"), &json!("policy.yaml")));
}

#[test]
fn a_link_that_leads_elsewhere_is_adopted() {
    let home = Home::new();
    for (name, text) in [("one", policy("")), ("two", without("a"))] {
        std::fs::create_dir(home.path().join(name)).unwrap();
        std::fs::write(home.path().join(name).join("policy.yaml"), text).unwrap();
    }
    let to = |name: &str| {
        std::os::unix::fs::symlink(name, home.path().join("next")).unwrap();
        std::fs::rename(home.path().join("next"), home.path().join("data")).unwrap();
    };
    to("one");
    std::os::unix::fs::symlink("data/policy.yaml", home.path().join("policy.yaml")).unwrap();
    let served = home.serve(&[]);
    to("two");
    until("the second policy", || (in_force(&served) == hash(&without("a"))).then_some(()));
}

#[test]
fn new_limits_hold_for_the_next_call() {
    let limits = |limits: &str| policy("").replace("rate: 100000/min, burst: 100000", limits);
    let home = Home::with_policy(&limits("rate: 1/h, burst: 2"));
    let served = home.serve(&["--socket-only"]);
    let mut client = Client::legacy(&home, &[]);
    let mut limited = || client.call("policy_whoami", json!({}))["error"]["data"]["code"] == "rate_limited";
    until("the first limit", || limited().then_some(()));
    put(&home, limits("rate: 1/h, burst: 50"));
    hangup(served.child.id());
    until("the second limit", || (!limited()).then_some(()));
}

#[test]
fn an_in_process_gateway_reads_its_policy_again_at_a_signal() {
    let home = Home::with_policy(&policy(""));
    let mut client = Client::legacy(&home, &["--in-process"]);
    client.answer("policy_whoami", json!({}));
    put(&home, without("a"));
    hangup(client.child.id());
    assert_eq!(entries(&home, "policy.loaded", 2)[1]["hash"], hash(&without("a")));
    client.answer("policy_whoami", json!({}));
    stop(client.child.id(), "-TERM");
}
