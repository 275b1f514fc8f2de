//! Bad and good input over stdio, in both protocol eras, against the real binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod harness;

use harness::repository::Repository;
use harness::stdio::Client;
use harness::{Home, assert_safe, text};
use serde_json::{Value, json};

fn started() -> (Home, Repository, Client) {
    let (home, repository) = (Home::new(), Repository::with(&[("src/main.rs", "fn main() {}\n"), (".env", "A=1\n")]));
    let client = Client::legacy(&home, &["--workspace", repository.arg()]);
    (home, repository, client)
}

#[test]
fn tools_are_listed_and_none_of_them_writes() {
    let (_home, _repository, mut client) = started();
    let reply = client.request("tools/list", json!({}));
    let tools = reply["result"]["tools"].as_array().unwrap();
    assert!(tools.len() >= 11, "{}", tools.len());
    for tool in tools {
        assert_eq!(tool["annotations"]["readOnlyHint"], true, "{}", tool["name"]);
        assert_eq!(tool["outputSchema"]["type"], "object", "{}", tool["name"]);
        assert_eq!(tool["inputSchema"]["additionalProperties"], false, "{} takes unknown arguments", tool["name"]);
    }
    assert_ne!(reply["result"]["cacheScope"], "public");
}

#[test]
fn the_newest_revision_needs_no_handshake() {
    let (home, repository) = (Home::new(), Repository::with(&[("a.txt", "hello\n")]));
    let mut client = Client::raw(&home, &["--workspace", repository.arg()]);
    let meta = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientInfo": { "name": "t", "version": "0" },
        "io.modelcontextprotocol/clientCapabilities": {} });
    let reply = client.request("tools/call", json!({ "name": "workspace_read_file", "arguments": { "path": "a.txt" }, "_meta": meta }));
    assert_eq!(reply["result"]["structuredContent"]["content"], "hello\n", "{reply}");
    assert_eq!(reply["result"]["resultType"], "complete");
    let list = client.request("tools/list", json!({ "_meta": meta }));
    assert_eq!(list["result"]["cacheScope"], "private");
}

#[test]
fn every_revision_with_a_handshake_is_served() {
    let home = Home::new();
    for revision in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let mut client = Client::raw(&home, &[]);
        let params = json!({ "protocolVersion": revision, "capabilities": {}, "clientInfo": { "name": "t", "version": "0" } });
        let reply = client.request("initialize", params);
        assert_eq!(reply["result"]["protocolVersion"], revision);
        client.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string());
        assert_eq!(client.answer("policy_whoami", json!({}))["roles"], json!(["developer"]), "{revision}");
    }
}

/// Tool, arguments, the code of the refusal, and a word its message must have.
fn bad_calls() -> Vec<(&'static str, Value, &'static str, &'static str)> {
    vec![
        ("no_such_tool", json!({}), "tool_unavailable", "no_such_tool"),
        ("workspace_write_file", json!({ "path": "x", "content": "y" }), "tool_unavailable", "workspace_write_file"),
        ("workspace_force_push", json!({}), "tool_forbidden", "history"),
        ("workspace_read_file", json!({}), "invalid_arguments", "path"),
        ("workspace_read_file", json!({ "path": 7 }), "invalid_arguments", "string"),
        ("workspace_read_file", json!({ "path": "a", "nope": 1 }), "invalid_arguments", "nope"),
        ("workspace_read_file", json!({ "path": "src/missing.rs" }), "not_found", "missing.rs"),
        ("workspace_read_file", json!({ "path": ".env" }), "policy_denied", "no-credential-files"),
        ("workspace_read_file", json!({ "path": "deploy/.env" }), "policy_denied", "no-credential-files"),
        ("workspace_read_file", json!({ "path": "a\u{0}b" }), "*", "path"),
        ("workspace_read_file", json!({ "path": "../../etc/passwd" }), "*", "path"),
        ("workspace_read_file", json!({ "path": "/etc/passwd" }), "*", "path"),
        ("workspace_read_file", json!({ "path": "%2e%2e/x" }), "*", "path"),
        ("workspace_read_file", json!({ "path": "src\\main.rs" }), "*", "path"),
        ("workspace_read_file", json!({ "path": ".git/config" }), "*", ".git"),
        ("workspace_read_file", json!({ "path": "x".repeat(5_000) }), "*", "path"),
    ]
}

#[test]
fn bad_calls_are_refused_with_a_code_and_a_hint_and_recorded() {
    let (home, _repository, mut client) = started();
    let cases = bad_calls();
    for (tool, args, code, word) in &cases {
        let reply = client.call(tool, args.clone());
        let refusal = &reply["result"]["_meta"]["opsgate/refusal"];
        assert_eq!(reply["result"]["isError"], true, "{tool} {args:.80}: {reply}");
        let got = refusal["code"].as_str().unwrap();
        assert!(*code == "*" && ["invalid_arguments", "out_of_bounds"].contains(&got) || got == *code, "{tool} {args:.80}: {reply}");
        assert!(refusal["message"].as_str().unwrap().contains(word), "{tool}: {refusal}");
        assert!(!refusal["hint"].as_str().unwrap().is_empty());
        assert!(reply["result"]["_meta"]["opsgate/receipt"]["seq"].as_u64().unwrap() > 0, "{reply}");
        assert_safe(&reply.to_string(), &home.path());
    }
    assert!(client.close().success());
    let recorded = home.entries_of("call.refused").len() + home.entries_of("call.outcome").len();
    assert_eq!(recorded, cases.len());
}

#[test]
fn a_denied_path_that_is_missing_is_denied() {
    let (_home, _repository, mut client) = started();
    for path in [".env", ".env.local", "keys/missing.pem"] {
        assert_eq!(client.refusal("workspace_read_file", json!({ "path": path })), "policy_denied", "{path}");
    }
}

#[test]
fn messages_that_are_not_mcp_get_an_error_and_the_next_one_works() {
    let (home, _repository, mut client) = started();
    let deep = format!("{{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"tools/call\",\"params\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let long = format!("{{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"tools/call\",\"params\":{{\"name\":\"{}\"}}}}", "x".repeat(10 << 20));
    for (line, code) in [
        ("{", -32700),
        ("not json", -32700),
        (deep.as_str(), -32600),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, -32600),
        (r#"{"id":5}"#, -32600),
        ("7", -32600),
        (long.as_str(), -32600),
    ] {
        client.send(line);
        let reply = client.receive();
        assert_eq!(reply["error"]["code"], code, "{line:.40}: {reply}");
        assert_safe(&reply.to_string(), &home.path());
    }
    assert_eq!(client.answer("policy_whoami", json!({}))["caller"].as_str().unwrap().split('=').next(), Some("local:uid"));
}

#[test]
fn what_is_not_offered_is_refused() {
    let (_home, _repository, mut client) = started();
    let secret = harness::fresh_secret();
    let reply = client.request(&format!("\u{1b}[2J{secret}{}", "x".repeat(100_000)), json!({}));
    assert_eq!(reply["error"]["code"], -32601);
    let said = reply.to_string();
    assert!(said.len() < 300 && !said.contains(&secret) && !said.contains("\\u001b"), "{said:.300}");
    let reply = client.request("tools/call", json!({ "name": "policy_whoami", "arguments": "x" }));
    assert_eq!(reply["error"]["code"], -32602, "{reply}");
    for (method, params) in [
        ("prompts/list", json!({})),
        ("prompts/get", json!({ "name": "x" })),
        ("resources/list", json!({})),
        ("resources/read", json!({ "uri": "file:///etc/passwd" })),
        ("resources/templates/list", json!({})),
        ("logging/setLevel", json!({ "level": "debug" })),
        ("no/such", json!({})),
    ] {
        let reply = client.request(method, params);
        assert_eq!(reply["error"]["code"], -32601, "{method}: {reply}");
    }
}

#[test]
fn a_secret_in_arguments_reaches_neither_reply_nor_log() {
    let (home, _repository, mut client) = started();
    let secret = harness::fresh_secret();
    for args in [json!({ "path": format!("src/{secret}") }), json!({ "path": "a", (secret.as_str()): 1 }), json!({ "path": [secret] })] {
        let reply = client.call("workspace_read_file", args);
        assert!(!reply.to_string().contains(&secret), "{reply}");
    }
    let reply = client.call(&format!("tool_{secret}"), json!({}));
    assert!(!reply.to_string().contains(&secret), "{reply}");
    assert!(client.close().success());
    let log: String = home.entries().iter().map(ToString::to_string).collect();
    assert!(!log.contains(&secret));
    assert!(!std::fs::read_to_string(home.path().join("gateway.log")).unwrap_or_default().contains(&secret));
}

#[test]
fn every_reply_carries_a_receipt_that_is_in_the_log() {
    let (home, _repository, mut client) = started();
    let reply = client.call("policy_whoami", json!({}));
    let receipt = reply["result"]["_meta"]["opsgate/receipt"].clone();
    let entry = home.entries().into_iter().find(|e| e["seq"] == receipt["seq"]).unwrap();
    assert_eq!(entry["entry_hash"], receipt["entry_hash"]);
    assert_eq!(entry["type"], "call.outcome");
    assert_eq!(entry["request_id"], reply["result"]["_meta"]["opsgate/request_id"]);
}

#[test]
fn a_folder_that_is_no_repository_ends_the_connection_only_when_named() {
    let home = Home::new();
    let output = home.run(&["stdio", "--workspace", "/proc"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("/proc"), "{}", text(&output.stderr));
    let mut client = Client::legacy(&home, &[]);
    assert_eq!(client.refusal("workspace_git_log", json!({})), "unavailable");
    client.answer("policy_whoami", json!({}));
}

#[test]
fn in_process_serves_too_and_says_who_has_the_lock() {
    let (home, repository) = (Home::new(), Repository::with(&[("a.txt", "x\n")]));
    let mut client = Client::legacy(&home, &["--in-process", "--workspace", repository.arg()]);
    client.answer("workspace_list_directory", json!({}));
    let second = home.run(&["stdio", "--in-process"]);
    assert_eq!(second.status.code(), Some(75), "{}", text(&second.stderr));
    assert!(text(&second.stderr).contains(&client.child.id().to_string()));
    assert!(client.close().success());
}
