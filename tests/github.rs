//! GitHub through the outside: the invented world over MCP, and real calls to a server on loopback with each key and without.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod harness;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Output;
use std::sync::{Arc, Mutex};

use harness::http::Http;
use harness::stdio::Client;
use harness::{Home, text};
use serde_json::{Value, json};
use tokio_rustls::rustls;

fn policy(mode: &str) -> String {
    format!(
        "version: 1\nwrite_mode: on\nsame_user_writes: true\ndefaults: {{read: allow}}\n\
         callers: {{\"local:*\": {{roles: [developer]}}, \"key:*\": {{roles: [developer]}}}}\n\
         systems: {{policy: {{mode: read_only}}, github: {{mode: {mode}}}}}\n\
         repositories: {{\"acme/app\": {{write: true, refs: {{deny: [secret-branch]}}}}}}\n\
         rules:\n\
         - {{id: issues, allow: {{tools: [github_create_issue]}}, approvals: 0}}\n\
         - {{id: no-env, deny: {{paths: [\"**/.env\"]}}}}\n\
         - {{id: no-hr, deny: {{repos: [\"acme/hr\"]}}}}\n"
    )
}

#[test]
fn a_newcomer_sees_github_without_a_credential() {
    let home = Home::new();
    let mut client = Client::legacy(&home, &["--in-process"]);
    let tools = client.tools();
    assert!(["github_get_file", "github_list_issues"].iter().all(|tool| tools.iter().any(|one| one == tool)), "{tools:?}");
    assert!(!tools.iter().any(|tool| tool == "github_create_issue"), "the shipped policy writes nothing");
    assert_eq!(client.answer("github_list_issues", json!({ "repo": "acme/app", "limit": 1 }))["issues"][0]["number"], 42);
    let file = client.answer("github_get_file", json!({ "repo": "acme/app", "path": "config/deploy.yaml" }));
    let content = file["content"].as_str().unwrap();
    assert!(content.contains("[REDACTED:") && !content.contains("ghp_"), "{content}");
    assert_eq!(client.refusal("github_get_file", json!({ "repo": "acme/app", "path": "config/.env" })), "policy_denied");
    assert_eq!(client.refusal("github_get_file", json!({ "repo": "acme/app", "path": "config/current" })), "not_found");
    for forbidden in ["github_merge_pull_request", "github_delete_branch", "github_force_push"] {
        assert_eq!(client.refusal(forbidden, json!({})), "tool_forbidden");
    }
    client.close();
    assert!(!home.entries().iter().any(|entry| entry.to_string().contains("ghp_")));
}

#[test]
fn an_opened_issue_is_listed_for_who_opened_it_alone() {
    let home = Home::with_policy(&policy("mock"));
    let (ana, ben) = (home.key("ana"), home.key("ben"));
    let served = home.serve(&[]);
    let (ana, ben) = (Http { url: served.url(), key: Some(&ana) }, Http { url: served.url(), key: Some(&ben) });
    let newest = |http: &Http<'_>| {
        let listed = http.call("github_list_issues", json!({ "repo": "acme/app", "limit": 1 })).json();
        listed["result"]["structuredContent"]["issues"][0]["number"].clone()
    };
    assert_eq!((newest(&ana), newest(&ben)), (json!(42), json!(42)));
    let created = ana.call("github_create_issue", json!({ "repo": "acme/app", "title": "From ana" })).json();
    assert_eq!(created["result"]["structuredContent"]["status"], "done", "{created}");
    assert_eq!((newest(&ana), newest(&ben)), (json!(43), json!(42)));
    let elsewhere = ana.call("github_create_issue", json!({ "repo": "acme/docs", "title": "t" })).json();
    assert_eq!(elsewhere["result"]["_meta"]["opsgate/refusal"]["code"], "policy_denied", "{elsewhere}");
    served.terminate();
}

/// GitHub on loopback: says what it is told to, keeps what it was asked.
struct Server {
    url: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn answering(answer: impl Fn(&str) -> Value + Send + 'static) -> Self {
        Self::over("http", Some, answer)
    }

    /// Over TLS, with a certificate of its own in this file.
    fn with_certificate(file: &Path, answer: impl Fn(&str) -> Value + Send + 'static) -> Self {
        let certified = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        let lines: Vec<String> = base64_of(certified.cert.der()).as_bytes().chunks(64).map(text).collect();
        std::fs::write(file, format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let config = Arc::new(config.with_single_cert(vec![certified.cert.der().clone()], key).unwrap());
        let shaken = move |stream| {
            let mut stream = rustls::StreamOwned::new(rustls::ServerConnection::new(config.clone()).unwrap(), stream);
            stream.conn.complete_io(&mut stream.sock).ok().map(|_| stream)
        };
        Self::over("https", shaken, answer)
    }

    /// Over what `shaken` makes of a connection; nothing of one that it refuses is kept.
    fn over<S: Read + Write>(
        scheme: &str,
        shaken: impl Fn(TcpStream) -> Option<S> + Send + 'static,
        answer: impl Fn(&str) -> Value + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = seen.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Some(stream) = shaken(stream.unwrap()) else { continue };
                let mut stream = BufReader::new(stream);
                let mut request = String::new();
                while !request.ends_with("\r\n\r\n") {
                    assert!(stream.read_line(&mut request).unwrap() > 0);
                }
                let length = request.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
                let mut body = vec![0; length.unwrap_or(0)];
                stream.read_exact(&mut body).unwrap();
                let answer = answer(&request).to_string();
                kept.lock().unwrap().push(request + &text(&body));
                let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", answer.len());
                stream.get_mut().write_all((head + &answer).as_bytes()).unwrap();
                stream.get_mut().flush().unwrap();
            }
        });
        Self { url, seen }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

/// A token that no rule of the scrubber knows by its form.
fn fresh_token() -> String {
    harness::fresh_secret().trim_start_matches("ghp_").to_owned()
}

fn base64_of(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn issue() -> Value {
    let recorded: Value = serde_json::from_str(include_str!("../tools/src/github/mock/app.json")).unwrap();
    recorded["issues"][0].clone()
}

/// One call by a gateway of its own with these variables; what it answered, and all that was said.
fn call(home: &Home, variables: &[(&str, &str)], tool: &str, args: Value) -> (Value, Output) {
    let mut command = home.opsgate(&["call", tool, "--in-process", "--json", "--args", &args.to_string()]);
    let output = command.envs(variables.iter().copied()).output().unwrap();
    (serde_json::from_slice(&output.stdout).unwrap_or_default(), output)
}

#[test]
fn with_both_keys_and_a_token_the_real_calls_arrive() {
    let token = fresh_token();
    let content = format!("seen: {token}\n");
    let sha = git2::Oid::hash_object(git2::ObjectType::Blob, content.as_bytes()).unwrap().to_string();
    let server = Server::answering(move |request| {
        if request.starts_with("POST") {
            issue()
        } else if request.contains("/contents/") {
            json!({ "type": "file", "path": "a.txt", "sha": sha, "size": content.len(), "encoding": "base64", "content": base64_of(content.as_bytes()),
                "url": "https://api.github.com/repos/acme/app/contents/a.txt?ref=main" })
        } else {
            json!([issue()])
        }
    });
    let home = Home::with_policy(&policy("approval_required_write"));
    let file = home.path().join("token");
    std::fs::write(&file, format!("{token}\n")).unwrap();
    let variables = [("GITHUB_API_URL", server.url.as_str()), ("ENABLE_REAL_GITHUB_CALLS", "true"), ("GITHUB_TOKEN_FILE", file.to_str().unwrap())];
    let (created, said) = call(&home, &variables, "github_create_issue", json!({ "repo": "acme/app", "title": "T" }));
    assert_eq!(created["output"]["result"]["number"], 42, "{created} {}", text(&said.stderr));
    let (listed, _) = call(&home, &variables, "github_list_issues", json!({ "repo": "acme/app" }));
    assert_eq!(listed["output"]["issues"][0]["number"], 42);
    let (read, said) = call(&home, &variables, "github_get_file", json!({ "repo": "acme/app", "path": "a.txt" }));
    assert!(read["output"]["content"].as_str().unwrap().starts_with("seen: [REDACTED:"), "{read}");
    let seen = server.seen();
    assert_eq!(seen.len(), 3);
    assert!(seen[0].starts_with("POST /repos/acme/app/issues HTTP/1.1\r\n") && seen[0].ends_with("{\"title\":\"T\"}"), "{}", seen[0]);
    assert!(seen[1].starts_with("GET /repos/acme/app/issues?state=open&per_page=30 HTTP/1.1\r\n"), "{}", seen[1]);
    assert!(seen.iter().all(|request| request.contains(&format!("authorization: Bearer {token}\r\n"))));
    assert!(!home.entries().iter().any(|entry| entry.to_string().contains(&token)));
    assert!(!text(&said.stderr).contains(&token) && !text(&said.stdout).contains(&token));
}

#[test]
fn a_token_that_was_rotated_is_not_used_behind_the_scrubber() {
    let server = Server::answering(|request| {
        let mut issue = issue();
        issue["title"] = json!(request.lines().find(|line| line.starts_with("authorization: ")));
        json!([issue])
    });
    let home = Home::with_policy(&policy("mock"));
    let (file, key) = (home.path().join("token"), home.key("ci"));
    let tokens = [fresh_token(), fresh_token()];
    std::fs::write(&file, &tokens[0]).unwrap();
    let variables = [("GITHUB_API_URL", server.url.as_str()), ("ENABLE_REAL_GITHUB_CALLS", "true"), ("GITHUB_TOKEN_FILE", file.to_str().unwrap())];
    let served = home.serve_with(&variables, &[]);
    std::fs::write(&file, &tokens[1]).unwrap();
    std::fs::write(home.path().join("next.yaml"), policy("read_only")).unwrap();
    std::fs::rename(home.path().join("next.yaml"), home.path().join("policy.yaml")).unwrap();
    let adopted = || home.entries_so_far().iter().filter(|entry| entry["type"] == "policy.loaded").count() == 2;
    while !adopted() || !served.log().contains("a new policy is in force") {
        std::thread::sleep(std::time::Duration::from_millis(20)); // two cores are shared with the gateway
    }
    let http = Http { url: served.url(), key: Some(&key) };
    let listed = http.call("github_list_issues", json!({ "repo": "acme/app" })).text;
    assert_eq!(server.seen().len(), 1);
    assert!(server.seen()[0].contains(&format!("authorization: Bearer {}\r\n", tokens[0])), "{}", server.seen()[0]);
    assert!(listed.contains("[REDACTED:") && tokens.iter().all(|token| !listed.contains(token)), "{listed}");
    assert!(served.terminate().success());
    assert!(!home.entries().iter().any(|entry| tokens.iter().any(|token| entry.to_string().contains(token))));
}

#[test]
fn a_certificate_must_be_one_that_the_machine_trusts() {
    let home = Home::with_policy(&policy("read_only"));
    let token = fresh_token();
    let (own, other) = (home.path().join("own.pem"), home.path().join("other.pem"));
    let server = Server::with_certificate(&own, |_| json!([issue()]));
    let _other = Server::with_certificate(&other, |_| json!([]));
    for (trusted, sees) in [(&own, true), (&other, false)] {
        let variables = [
            ("GITHUB_API_URL", server.url.as_str()),
            ("ENABLE_REAL_GITHUB_CALLS", "true"),
            ("GITHUB_TOKEN", token.as_str()),
            ("SSL_CERT_FILE", trusted.to_str().unwrap()),
        ];
        let (answer, output) = call(&home, &variables, "github_list_issues", json!({ "repo": "acme/app" }));
        assert_eq!(answer["output"]["issues"][0]["number"] == 42, sees, "{answer} {}", text(&output.stderr));
        assert_eq!(answer["refusal"]["code"] == "upstream_failed", !sees, "{answer}");
        assert_eq!(server.seen().len(), 1, "a request goes to a server that proved who it is");
    }
}

#[test]
fn what_strangers_wrote_comes_without_what_is_hidden_in_it() {
    let server = Server::answering(|_| {
        let mut issue = issue();
        issue["title"] = json!("plain\u{e0041}\u{e0042}\u{202e}\u{1b}[2J title");
        issue["body"] = json!("see\u{200b}n\u{e0041}");
        issue["labels"] = json!([{ "name": "bu\u{2066}g" }]);
        json!([issue])
    });
    let token = fresh_token();
    let home = Home::with_policy(&policy("read_only"));
    let variables = [("GITHUB_API_URL", server.url.as_str()), ("ENABLE_REAL_GITHUB_CALLS", "true"), ("GITHUB_TOKEN", token.as_str())];
    let (answer, _) = call(&home, &variables, "github_list_issues", json!({ "repo": "acme/app" }));
    let issue = &answer["output"]["issues"][0];
    assert_eq!((&issue["title"], &issue["body"], &issue["labels"]), (&json!("plain title"), &json!("seen"), &json!(["bug"])), "{answer}");
}

#[test]
fn with_any_key_missing_nothing_is_sent() {
    let server = Server::answering(|_| json!([]));
    let token = fresh_token();
    let api = ("GITHUB_API_URL", server.url.as_str());
    let (key, credential) = (("ENABLE_REAL_GITHUB_CALLS", "true"), ("GITHUB_TOKEN", token.as_str()));
    let no_file = ("GITHUB_TOKEN_FILE", "/nonexistent/token");
    for mode in ["read_only", "dry_run", "approval_required_write"] {
        for (variables, missing) in [
            (vec![api], vec!["ENABLE_REAL_GITHUB_CALLS=true", "GITHUB_TOKEN_FILE"]),
            (vec![api, key], vec!["GITHUB_TOKEN_FILE"]),
            (vec![api, credential], vec!["ENABLE_REAL_GITHUB_CALLS=true"]),
            (vec![api, key, no_file], vec!["cannot be read"]),
        ] {
            let home = Home::with_policy(&policy(mode));
            let (answer, output) = call(&home, &variables, "github_list_issues", json!({ "repo": "acme/app" }));
            assert_eq!(answer["refusal"]["code"], "unavailable", "{mode} {answer}");
            let (message, log) = (answer["refusal"]["message"].as_str().unwrap(), text(&output.stderr));
            assert!(missing.iter().all(|word| message.contains(word) && log.contains(word)), "{message}\n{log}");
            assert!(!message.contains("nonexistent") && !log.contains(&token), "{message}");
        }
    }
    let home = Home::with_policy(&policy("mock"));
    let (answer, output) = call(&home, &[api, key, credential], "github_list_issues", json!({ "repo": "acme/app" }));
    assert_eq!(answer["output"]["issues"][0]["number"], 42, "mock stays mock");
    let log = text(&output.stderr);
    assert!(log.contains("GITHUB_TOKEN is set") && log.contains("needs no credential") && !log.contains(&token), "{log}");
    assert!(server.seen().is_empty());
}

#[test]
fn what_policy_denies_is_not_sent_and_not_told_apart() {
    let server = Server::answering(|_| json!([]));
    let token = fresh_token();
    let all = [("GITHUB_API_URL", server.url.as_str()), ("ENABLE_REAL_GITHUB_CALLS", "true"), ("GITHUB_TOKEN", token.as_str())];
    for (tool, args) in [
        ("github_list_issues", json!({ "repo": "acme/hr" })),
        ("github_list_issues", json!({ "repo": "ACME/HR" })),
        ("github_get_file", json!({ "repo": "acme/app", "path": "deploy/.env" })),
        ("github_get_file", json!({ "repo": "acme/app", "path": "deploy/.ENV" })),
        ("github_get_file", json!({ "repo": "acme/app", "path": "a", "ref": "secret-branch" })),
        ("github_get_file", json!({ "repo": "acme/app", "path": "a", "ref": "heads/secret-branch" })),
        ("github_create_issue", json!({ "repo": "acme/docs", "title": "t" })),
    ] {
        // With the keys and without them the answer is policy's.
        for variables in [&all[..], &all[..1]] {
            let home = Home::with_policy(&policy("approval_required_write"));
            let (answer, _) = call(&home, variables, tool, args.clone());
            assert_eq!(answer["refusal"]["code"], "policy_denied", "{tool} {args}: {answer}");
        }
    }
    assert!(server.seen().is_empty());
}

#[test]
fn in_dry_run_a_write_shows_what_it_would_send() {
    let server = Server::answering(|_| json!([]));
    let token = fresh_token();
    let variables = [("GITHUB_API_URL", server.url.as_str()), ("ENABLE_REAL_GITHUB_CALLS", "true"), ("GITHUB_TOKEN", token.as_str())];
    let home = Home::with_policy(&policy("dry_run"));
    let (answer, _) = call(&home, &variables, "github_create_issue", json!({ "repo": "acme/app", "title": "T" }));
    assert_eq!(answer["output"]["status"], "dry_run", "{answer}");
    assert_eq!(answer["output"]["preview"]["change"]["body"], json!({ "title": "T" }));
    assert!(server.seen().is_empty());
}

#[test]
fn an_environment_that_makes_no_sense_starts_nothing() {
    let token = fresh_token();
    for variables in [
        vec![("ENABLE_REAL_GITHUB_CALLS", "yes")],
        vec![("GITHUB_API_URL", "http://github.example.org")],
        vec![("GITHUB_TOKEN", token.as_str()), ("GITHUB_TOKEN_FILE", "/x")],
    ] {
        let home = Home::with_policy(&policy("mock"));
        let (_, output) = call(&home, &variables, "policy_whoami", json!({}));
        assert_eq!(output.status.code(), Some(64), "{variables:?}");
        let said = text(&output.stderr);
        assert!(said.contains(variables[0].0) && !said.contains(&token), "{said}");
    }
}
