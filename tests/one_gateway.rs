//! One gateway per home: joined, started, shared, killed, and closed in order.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod harness;

use std::collections::BTreeSet;

use harness::repository::Repository;
use harness::stdio::Client;
use harness::{Home, stop, text};
use serde_json::{Value, json};

const SLOW: &str = include_str!("policies/slow.yaml");

#[test]
fn ten_clients_at_once_on_ten_repositories_make_one_chain() {
    let home = Home::new();
    let rounds: usize = if std::env::var_os("SOAK").is_some() { 15 } else { 3 };
    let seqs: Vec<u64> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..10)
            .map(|n| {
                let home = &home;
                scope.spawn(move || {
                    let repository = Repository::with(&[("name.txt", &format!("repository {n}\n"))]);
                    let mut client = Client::legacy(home, &["--workspace", repository.arg()]);
                    let mut seqs = Vec::new();
                    for _ in 0..rounds {
                        let reply = client.call("workspace_read_file", json!({ "path": "name.txt" }));
                        assert_eq!(reply["result"]["structuredContent"]["content"], format!("repository {n}\n"), "{reply}");
                        seqs.push(reply["result"]["_meta"]["opsgate/receipt"]["seq"].as_u64().unwrap());
                    }
                    seqs
                })
            })
            .collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    assert_eq!(seqs.iter().collect::<BTreeSet<_>>().len(), 10 * rounds, "two replies share an entry");
    assert_eq!(home.entries_of("genesis").len(), 1);
    assert_eq!(home.entries_of("policy.loaded").len(), 1, "more than one gateway started");
}

#[test]
fn clients_share_one_set_of_limits() {
    let home = Home::with_policy(include_str!("policies/small_limits.yaml"));
    let (mut one, mut two) = (Client::legacy(&home, &[]), Client::legacy(&home, &[]));
    let mut limited = 0;
    for _ in 0..4 {
        for client in [&mut one, &mut two] {
            let reply = client.call("policy_whoami", json!({}));
            limited += usize::from(reply["error"]["data"]["code"] == "rate_limited");
        }
    }
    assert!(limited >= 2, "{limited}");
}

#[test]
fn a_killed_gateway_gives_each_open_call_an_error_and_the_next_call_a_working_one() {
    let home = Home::with_policy(SLOW);
    let repository = Repository::with(&[("a.txt", "x\n")]);
    let mut clients: Vec<_> = (0..3).map(|_| Client::legacy(&home, &["--workspace", repository.arg()])).collect();
    let held = hold_the_workspace(&repository);
    let ids: Vec<_> = clients
        .iter_mut()
        .map(|client| client.ask("tools/call", json!({ "name": "workspace_search_code", "arguments": { "pattern": "x" } })))
        .collect();
    wait_for_intents(&home, 3);
    let gateway = home.holder().unwrap();
    stop(gateway, "-KILL");
    for (client, id) in clients.iter_mut().zip(&ids) {
        let reply = client.receive();
        assert_eq!((&reply["id"], &reply["error"]["data"]["code"]), (&json!(id), &json!("gateway_lost")), "{reply}");
    }
    drop(held);
    for client in &mut clients {
        assert_eq!(client.answer("workspace_read_file", json!({ "path": "a.txt" }))["content"], "x\n");
    }
    assert_ne!(home.holder().unwrap(), gateway);
    let outcomes = home.entries_of("call.outcome");
    assert_eq!(outcomes.iter().filter(|e| e.to_string().contains("indeterminate")).count(), 3, "{outcomes:?}");
}

#[test]
fn a_second_serve_says_who_is_there() {
    let home = Home::new();
    let served = home.serve(&[]);
    let second = home.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(second.status.code(), Some(75));
    assert!(text(&second.stderr).contains(&format!("pid {}", served.child.id())), "{}", text(&second.stderr));
}

#[test]
fn a_client_that_hangs_up_loses_no_record() {
    let home = Home::with_policy(SLOW);
    let repository = Repository::with(&[("a.txt", "x\n")]);
    let served = home.serve(&["--socket-only"]);
    let mut client = Client::legacy(&home, &["--workspace", repository.arg()]);
    let held = hold_the_workspace(&repository);
    client.ask("tools/call", json!({ "name": "workspace_search_code", "arguments": { "pattern": "x" } }));
    wait_for_intents(&home, 1);
    drop(client);
    drop(held);
    assert!(served.terminate().success());
    assert_eq!(home.entries_of("call.intent").len(), 1);
    assert_eq!(home.entries_of("call.outcome").len(), 1);
}

#[test]
fn a_terminated_gateway_answers_its_calls_and_closes_the_log() {
    let home = Home::with_policy(SLOW);
    let repository = Repository::with(&[("a.txt", &"x\n".repeat(10_000))]);
    let served = home.serve(&["--socket-only"]);
    let mut client = Client::legacy(&home, &["--workspace", repository.arg()]);
    let mut waiting: BTreeSet<u64> =
        (0..20).map(|_| client.ask("tools/call", json!({ "name": "workspace_search_code", "arguments": { "pattern": "x" } }))).collect();
    wait_for_intents(&home, 1);
    let terminated = std::thread::spawn(move || served.terminate());
    let mut answered = 0;
    while !waiting.is_empty() {
        let reply = client.receive();
        assert!(waiting.remove(&reply["id"].as_u64().unwrap()), "answered twice: {reply}");
        answered += usize::from(reply["result"]["_meta"]["opsgate/receipt"]["seq"].is_u64());
    }
    assert!(terminated.join().unwrap().success());
    let count = |kind: &str| home.entries_of(kind).len();
    assert!(answered >= 1, "nothing that ran was answered");
    assert_eq!(count("call.intent"), count("call.outcome"));
    assert_eq!(answered, count("call.outcome") + count("call.refused"), "a record without its reply");
    assert!(!home.entries().iter().any(|e| e["data"]["code"] == "cancelled"), "a running call was cancelled");
    assert!(!home.path().join("gateway.sock").exists());
}

#[test]
fn an_in_process_gateway_ends_when_told_to_with_its_client_still_there() {
    let home = Home::new();
    let mut client = Client::legacy(&home, &["--in-process"]);
    client.answer("policy_whoami", json!({}));
    stop(client.child.id(), "-TERM");
    assert!(home.run(&["call", "policy_whoami", "--in-process"]).status.success(), "the home is still locked");
}

#[test]
fn a_cancelled_call_does_not_keep_the_relay() {
    let home = Home::with_policy(SLOW);
    let repository = Repository::with(&[("a.txt", "x\n")]);
    let _held = hold_the_workspace(&repository);
    let mut client = Client::legacy(&home, &["--workspace", repository.arg()]);
    let id = client.ask("tools/call", json!({ "name": "workspace_search_code", "arguments": { "pattern": "x" } }));
    wait_for_intents(&home, 1);
    client.send(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id } }).to_string());
    assert!(client.close().success());
    stop(home.holder().unwrap(), "-TERM");
    assert_eq!(home.entries_of("call.outcome")[0]["data"]["code"], "cancelled");
}

#[test]
fn a_client_that_names_another_policy_is_told() {
    let home = Home::new();
    let _served = home.serve(&["--socket-only"]);
    let other = home.path().join("other.yaml");
    std::fs::write(&other, SLOW).unwrap();
    let output = home.opsgate(&["call", "policy_whoami"]).env("OPSGATE_POLICY", &other).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("OPSGATE_POLICY"), "{}", text(&output.stderr));
    assert!(home.opsgate(&["call", "policy_whoami"]).env("WRITE_MODE", "off").output().unwrap().status.success());
}

#[test]
fn every_refusal_of_a_flood_is_in_a_count() {
    let home = Home::with_policy(include_str!("policies/small_limits.yaml"));
    let served = home.serve(&["--socket-only"]);
    let mut client = Client::legacy(&home, &[]);
    let mut limited = (0..200).filter(|_| client.call("policy_whoami", json!({}))["error"]["data"]["code"] == "rate_limited").count();
    limited += (0..20).filter(|_| client.call("delete_database", json!({}))["error"]["data"]["code"] == "rate_limited").count();
    drop(client);
    assert!(served.terminate().success());
    let records = home.entries_of("call.refused");
    let counted: u64 = records.iter().map(|r| r["data"]["unrecorded"].as_u64().unwrap_or(0)).sum();
    let own = records.iter().filter(|r| r["data"]["trigger"].is_string()).count();
    assert_eq!(own as u64 + counted, limited as u64);
    assert!(records.iter().any(|r| r["data"]["gen_ai.tool.name"] == "delete_database"), "an attempt is hidden by a flood");
    assert!(records.len() < 10, "a flood wrote {} records", records.len());
}

#[test]
fn call_joins_and_starts_and_speaks_json() {
    let home = Home::new();
    let repository = Repository::with(&[("a.txt", "x\n"), (".env", "A=1\n")]);
    let ok = home.run(&["call", "workspace_read_file", "--args", r#"{"path":"a.txt"}"#, "--workspace", repository.arg(), "--json"]);
    let answer: Value = serde_json::from_slice(&ok.stdout).unwrap();
    assert_eq!((answer["ok"].clone(), answer["output"]["content"].clone()), (json!(true), json!("x\n")));
    assert!(answer["receipt"]["seq"].is_u64());
    let refused = home.run(&["call", "workspace_read_file", "--args", r#"{"path":".env"}"#, "--workspace", repository.arg()]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("no-credential-files"), "{}", text(&refused.stderr));
    assert_eq!(home.run(&["call", "policy_whoami", "--args", "[1]"]).status.code(), Some(2));
    assert_eq!(home.entries_of("policy.loaded").len(), 1, "each call started its own gateway");
    stop(home.holder().unwrap(), "-TERM");
    let alone = home.run(&["call", "policy_whoami", "--in-process", "--json"]);
    assert_eq!(alone.status.code(), Some(0), "{}", text(&alone.stderr));
}

/// A great many lines to search; removed when dropped, which ends the search.
struct Held(std::path::PathBuf);

impl Drop for Held {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Makes searches of this repository slow: many files with many lines.
fn hold_the_workspace(repository: &Repository) -> Held {
    let folder = repository.path().join("many");
    std::fs::create_dir(&folder).unwrap();
    let text = "y\n".repeat(200_000);
    for n in 0..200 {
        std::fs::write(folder.join(format!("{n}.txt")), &text).unwrap();
    }
    Held(folder)
}

/// Waits until the log on disk holds this many intents.
fn wait_for_intents(home: &Home, count: usize) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while home.entries_so_far().iter().filter(|e| e["type"] == "call.intent").count() < count {
        assert!(std::time::Instant::now() < deadline, "the intents do not come");
        std::thread::yield_now();
    }
}
