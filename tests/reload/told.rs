use std::io::{BufRead, BufReader};
use std::time::Duration;

use serde_json::{Value, json};

use super::harness::http::Http;
use super::harness::stdio::Client;
use super::harness::{Home, Served, stop};
use super::{hangup, in_force, policy, put, until, without};

const CHANGED: &str = "notifications/tools/list_changed";

fn swap(home: &Home, pid: u32) {
    put(home, without("a"));
    hangup(pid);
}

#[test]
fn clients_of_the_older_protocol_are_told_on_their_stream() {
    for in_process in [false, true] {
        let home = Home::with_policy(&policy(""));
        let served = (!in_process).then(|| home.serve(&["--socket-only"]));
        let args: &[&str] = if in_process { &["--in-process"] } else { &[] };
        let mut clients: Vec<_> = (0..if in_process { 1 } else { 3 }).map(|_| Client::raw(&home, args)).collect();
        for client in &mut clients {
            let params = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "test", "version": "0" } });
            let reply = client.request("initialize", params);
            assert_eq!(reply["result"]["capabilities"]["tools"]["listChanged"], true, "{reply}");
            client.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string());
            client.tools();
        }
        swap(&home, served.as_ref().map_or_else(|| clients[0].child.id(), |served| served.child.id()));
        for client in &mut clients {
            assert_eq!(client.receive()["method"], CHANGED);
        }
    }
}

#[test]
fn a_client_whose_gateway_was_started_anew_is_told() {
    let home = Home::with_policy(&policy(""));
    let mut client = Client::legacy(&home, &[]);
    client.answer("policy_whoami", json!({}));
    stop(home.holder().unwrap(), "-KILL");
    client.ask("ping", json!({}));
    assert_eq!(client.receive()["method"], CHANGED);
}

fn modern(id: u64, method: &str, mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "0" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

fn listen() -> Value {
    modern(7, "subscriptions/listen", json!({ "notifications": { "toolsListChanged": true, "promptsListChanged": true } }))
}

#[test]
fn clients_of_the_newer_protocol_are_told_where_they_asked() {
    let home = Home::with_policy(&policy(""));
    let served = home.serve(&["--socket-only"]);
    let (mut asks, mut does_not) = (Client::raw(&home, &[]), Client::raw(&home, &[]));
    asks.send(&listen().to_string());
    let acknowledged = asks.receive();
    assert_eq!(acknowledged["params"]["notifications"], json!({ "toolsListChanged": true }), "{acknowledged}");
    let list = modern(1, "tools/list", json!({})).to_string();
    does_not.send(&list);
    let listed = does_not.receive();
    assert_eq!(listed["result"]["ttlMs"], 0, "{listed}");
    swap(&home, served.child.id());
    assert_eq!(asks.receive()["method"], CHANGED);
    does_not.send(&list);
    assert_eq!(does_not.receive()["id"], 1, "told without having asked");
    assert!(asks.close().success(), "a subscription keeps the relay");
}

/// Opens a stream and returns its lines.
fn stream(served: &Served, key: &str, session: Option<&str>) -> impl Iterator<Item = String> + use<> {
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(60))).build().into();
    let bearer = format!("Bearer {key}");
    let response = match session {
        Some(session) => {
            let request = agent.get(served.url()).header("authorization", &bearer).header("accept", "text/event-stream");
            request.header("mcp-session-id", session).header("mcp-protocol-version", "2025-06-18").call()
        }
        None => {
            let request = agent.post(served.url()).header("authorization", &bearer).header("accept", "application/json, text/event-stream");
            let request = request.header("content-type", "application/json").header("mcp-protocol-version", "2026-07-28");
            request.header("mcp-method", "subscriptions/listen").send(listen().to_string().as_bytes())
        }
    };
    BufReader::new(response.unwrap().into_body().into_reader()).lines().map(|line| line.expect("the stream ended"))
}

#[test]
fn clients_over_http_are_told_on_the_stream_they_opened() {
    let home = Home::with_policy(&policy(""));
    let key = home.key("ci");
    let served = home.serve(&[]);
    let http = Http { url: served.url(), key: Some(&key) };
    let session = http.session();
    let mut older = stream(&served, &key, Some(&session));
    let mut newer = stream(&served, &key, None);
    newer.by_ref().find(|line| line.contains("notifications/subscriptions/acknowledged")).expect("not acknowledged");
    let before = in_force(&served);
    swap(&home, served.child.id());
    until("the swap", || (in_force(&served) != before).then_some(()));
    older.find(|line| line.contains(CHANGED)).expect("not told on the session's stream");
    newer.find(|line| line.contains(CHANGED)).expect("not told on the subscription");
    assert!(served.terminate().success(), "an open stream keeps the gateway");
}
