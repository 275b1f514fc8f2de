//! The HTTP door: credentials, limits, sessions, and what is not MCP.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod harness;

use harness::http::Http;
use harness::repository::Repository;
use harness::{Home, assert_safe, text};
use serde_json::json;

const SMALL_LIMITS: &str = include_str!("policies/small_limits.yaml");

#[test]
fn keys_open_the_door_and_nothing_else_does() {
    let home = Home::new();
    let key = home.key("ci");
    let served = home.serve(&[]);
    let ok = Http { url: served.url(), key: Some(&key) }.call("policy_whoami", json!({}));
    assert_eq!(ok.json()["result"]["structuredContent"]["caller"], "key:ci", "{}", ok.text);
    let mut answers = Vec::new();
    for wrong in [None, Some("opsgate_wrong"), Some(""), Some(&key[..key.len() - 1])] {
        let answer = Http { url: served.url(), key: wrong }.call("policy_whoami", json!({}));
        assert_eq!(answer.status, 401, "{wrong:?}");
        assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer"));
        answers.push(answer.text);
    }
    let id = text(&home.run(&["keys", "list", "--json"]).stdout);
    let id = serde_json::from_str::<serde_json::Value>(&id).unwrap()[0]["id"].as_str().unwrap().to_owned();
    assert!(home.run(&["keys", "revoke", &id]).status.success());
    let revoked = Http { url: served.url(), key: Some(&key) }.call("policy_whoami", json!({}));
    assert_eq!(revoked.status, 401);
    answers.push(revoked.text);
    answers.dedup();
    assert_eq!(answers.len(), 1, "a wrong key can be told from a revoked one: {answers:?}");
}

#[test]
fn a_first_start_without_a_key_makes_one_in_a_private_file() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    let served = home.serve(&[]);
    let file = home.path().join("local.key");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(served.log().contains("local.key"));
    let key = std::fs::read_to_string(&file).unwrap();
    assert!(!served.log().contains(key.trim()));
    let answer = Http { url: served.url(), key: Some(key.trim()) }.call("policy_whoami", json!({}));
    assert_eq!(answer.json()["result"]["structuredContent"]["caller"], "key:local");
}

#[test]
fn an_address_that_guesses_keys_waits() {
    let home = Home::with_policy(SMALL_LIMITS);
    let served = home.serve(&[]);
    let guess = || Http { url: served.url(), key: Some("opsgate_guess") }.call("policy_whoami", json!({}));
    let waited = (0..50).map(|_| guess()).find(|answer| answer.status == 429).expect("never limited");
    assert!(waited.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    let key = home.key("ci");
    assert_eq!(Http { url: served.url(), key: Some(&key) }.call("policy_whoami", json!({})).status, 200, "guesses lock out a valid key");
    drop(served);
    let refused = home.entries_of("call.refused");
    assert!(refused.iter().all(|r| r["data"]["code"] == "unauthenticated" && r["data"]["caller"]["id"] == "unauthenticated@127.0.0.1"));
    assert!((1..4).contains(&refused.len()), "{}", refused.len());
}

#[test]
fn a_caller_over_its_rate_gets_429_with_the_same_words_in_the_body() {
    let home = Home::with_policy(SMALL_LIMITS);
    let key = home.key("ci");
    let served = home.serve(&[]);
    let http = Http { url: served.url(), key: Some(&key) };
    let limited = (0..50).map(|_| http.call("policy_whoami", json!({}))).find(|a| a.status == 429).expect("never limited");
    let wait: u64 = limited.header("retry-after").unwrap().parse().unwrap();
    assert_eq!(limited.json()["error"]["data"], json!({ "code": "rate_limited", "retry_after_s": wait }));
    assert_eq!(limited.json()["id"], 1);
    drop(served);
    let refused = home.entries_of("call.refused");
    assert_eq!(refused.len(), 1, "one sampled record");
    assert_eq!(refused[0]["data"]["code"], "rate_limited");
}

#[test]
fn sessions_belong_to_the_caller_that_opened_them() {
    let home = Home::new();
    let (a, b) = (home.key("a"), home.key("b"));
    let served = home.serve(&[]);
    let (a, b) = (Http { url: served.url(), key: Some(&a) }, Http { url: served.url(), key: Some(&b) });
    let session = a.session();
    let args = json!({ "name": "policy_whoami", "arguments": {} });
    assert_eq!(a.in_session(&session, "tools/call", args.clone()).json()["result"]["structuredContent"]["caller"], "key:a");
    let stolen = b.in_session(&session, "tools/call", args.clone());
    let unknown = b.in_session("no-such-session", "tools/call", args);
    assert_eq!((stolen.status, unknown.status), (404, 404));
    assert_eq!(stolen.text, unknown.text);
}

#[test]
fn every_revision_is_served_on_one_endpoint() {
    let home = Home::new();
    let key = home.key("ci");
    let served = home.serve(&[]);
    let http = Http { url: served.url(), key: Some(&key) };
    let args = json!({ "name": "policy_whoami", "arguments": {} });
    for revision in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let session = http.session_of(revision);
        let answer = http.in_session_of(revision, &session, "tools/call", args.clone());
        assert_eq!(answer.json()["result"]["structuredContent"]["caller"], "key:ci", "{revision}: {}", answer.text);
    }
    assert_eq!(http.modern("tools/call", args).json()["result"]["structuredContent"]["caller"], "key:ci");
    assert_eq!(http.modern("server/discover", json!({})).json()["result"]["supportedVersions"].as_array().unwrap().len(), 5);
}

#[test]
fn what_is_not_mcp_gets_a_json_rpc_error() {
    let home = Home::new();
    let key = home.key("ci");
    let served = home.serve(&[]);
    let http = Http { url: served.url(), key: Some(&key) };
    let deep = format!("{{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"tools/call\",\"params\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
    for (body, status, code) in [
        ("{", 400, -32700),
        (deep.as_str(), 400, -32600),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, 400, -32600),
        (r#"{"id":5}"#, 400, -32600),
        (&"x".repeat(10 << 20), 413, -32600),
    ] {
        let answer = http.post(body.as_bytes(), &[("mcp-protocol-version", "2025-06-18")]);
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (status, &json!(code)), "{body:.40}: {}", answer.text);
        assert_safe(&answer.text, &home.path());
    }
    assert!(served.metrics().contains("opsgate_malformed_messages_total{fault=\"batch\",transport=\"http\"} 1"));
}

#[test]
fn a_foreign_origin_or_host_is_refused() {
    let home = Home::new();
    let key = home.key("ci");
    let served = home.serve(&[]);
    let http = Http { url: served.url(), key: Some(&key) };
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }).to_string();
    for (name, value) in [("origin", "https://evil.example"), ("host", "evil.example")] {
        assert_eq!(http.post(body.as_bytes(), &[(name, value)]).status, 403, "{name}");
    }
}

#[test]
fn bad_calls_are_refused_in_both_eras() {
    let (home, repository) = (Home::new(), Repository::with(&[("a.txt", "x\n"), (".env", "A=1\n")]));
    let key = home.key("ci");
    let served = home.serve(&["--workspace", repository.arg()]);
    let http = Http { url: served.url(), key: Some(&key) };
    let session = http.session();
    for (tool, args, code) in [
        ("no_such_tool", json!({}), "tool_unavailable"),
        ("workspace_read_file", json!({ "path": 1 }), "invalid_arguments"),
        ("workspace_read_file", json!({ "path": "a.txt", "x": 1 }), "invalid_arguments"),
        ("workspace_read_file", json!({ "path": ".env" }), "policy_denied"),
    ] {
        let params = json!({ "name": tool, "arguments": args });
        for answer in [http.modern("tools/call", params.clone()), http.in_session(&session, "tools/call", params)] {
            assert_eq!(answer.json()["result"]["_meta"]["opsgate/refusal"]["code"], code, "{tool}: {}", answer.text);
        }
    }
    assert_eq!(http.call("workspace_read_file", json!({ "path": "a.txt" })).json()["result"]["structuredContent"]["content"], "x\n");
}

#[test]
fn beyond_loopback_needs_a_word() {
    let home = Home::new();
    let output = home.run(&["serve", "--listen", "0.0.0.0:0"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("--insecure-bind"));
}

#[test]
fn operators_see_health_and_metrics() {
    let home = Home::new();
    let key = home.key("ci");
    let served = home.serve(&[]);
    Http { url: served.url(), key: Some(&key) }.call("policy_whoami", json!({}));
    Http { url: served.url(), key: Some(&key) }.call("no_such_tool", json!({}));
    let metrics = served.metrics();
    for line in [
        "opsgate_calls_total{outcome=\"allowed\",tool=\"policy_whoami\"} 1",
        "opsgate_calls_total{outcome=\"denied\",tool=\"unknown\"} 1",
        "opsgate_call_duration_seconds_bucket{tool=\"policy_whoami\",le=\"60\"} 1",
        "opsgate_audit_sealed 0",
    ] {
        assert!(metrics.contains(line), "{line} is not in:\n{metrics}");
    }
    let ready = ureq::get(served.metrics.as_deref().unwrap().replace("metrics", "readyz")).call().unwrap().body_mut().read_to_string().unwrap();
    assert!(ready.contains("same-user"), "{ready}");
}

#[test]
fn a_client_that_disconnects_in_mid_call_loses_no_record() {
    use std::io::Write;
    let home = Home::new();
    let repository = Repository::with(&[("a.txt", &"x\n".repeat(50_000))]);
    let key = home.key("ci");
    let served = home.serve(&["--workspace", repository.arg()]);
    let address = served.url().trim_start_matches("http://").trim_end_matches("/mcp").to_owned();
    let meta = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientInfo": { "name": "t", "version": "0" },
        "io.modelcontextprotocol/clientCapabilities": {} });
    let params = json!({ "name": "workspace_search_code", "arguments": { "pattern": "x" }, "_meta": meta });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }).to_string();
    let mut stream = std::net::TcpStream::connect(&address).unwrap();
    write!(
        stream,
        "POST /mcp HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\n\
         mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: workspace_search_code\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while home.entries_so_far().iter().all(|e| e["type"] != "call.intent") {
        assert!(std::time::Instant::now() < deadline, "the intent does not come");
        std::thread::yield_now();
    }
    drop(stream);
    assert!(served.terminate().success());
    assert_eq!((home.entries_of("call.intent").len(), home.entries_of("call.outcome").len()), (1, 1));
}
