//! The tools against a server on loopback: what they send, and what they make of what comes.

use axum::body::{Body, Bytes};
use axum::http::Method;
use opsgate_tools::error::ToolErrorKind::{self, Cancelled, InvalidArguments, NotFound, TooLarge, Unavailable, Upstream};
use serde_json::{Value, json};

use crate::fixture::{Fixture, numbers, word};
use crate::server::{Server, answer};

/// The recorded issues of the mock world have GitHub's shape.
fn issues() -> Vec<Value> {
    let recorded: Value = serde_json::from_str(include_str!("../../src/github/mock/app.json")).unwrap();
    recorded["issues"].as_array().unwrap().clone()
}

fn file(path: &str, bytes: &[u8]) -> Value {
    use base64::Engine;
    let sha = git2::Oid::hash_object(git2::ObjectType::Blob, bytes).unwrap().to_string();
    json!({ "type": "file", "path": path, "sha": sha, "size": bytes.len(), "url": format!("https://api.github.com/repos/acme/app/contents/{path}?ref=main"),
        "html_url": "https://github.com/acme/app/blob/main/x", "encoding": "base64", "content": base64::engine::general_purpose::STANDARD.encode(bytes) })
}

#[tokio::test]
async fn a_request_is_as_github_wants_it() {
    let server = Server::answering(|_| answer(200, &[], json!([issues()[0]]).to_string())).await;
    let fixture = Fixture::real(&server.url);
    let args = json!({ "repo": "acme/app", "state": "all", "labels": ["good first issue", "a&b"], "limit": 7 });
    let listed = fixture.ok("github_list_issues", args).await;
    assert_eq!(numbers(&listed), [42]);
    let seen = server.seen();
    assert_eq!((seen.len(), &seen[0].method), (1, &Method::GET));
    assert_eq!(seen[0].uri, "/repos/acme/app/issues?state=all&per_page=7&labels=good%20first%20issue%2Ca%26b");
    let header = |name: &str| {
        let all: Vec<_> = seen[0].headers.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect();
        assert_eq!(all.len(), 1, "{name}: {all:?}");
        all[0].clone()
    };
    assert_eq!(header("authorization"), format!("Bearer {}", fixture.token));
    assert_eq!(header("user-agent"), concat!("opsgate/", env!("CARGO_PKG_VERSION")));
    assert_eq!(header("accept"), "application/vnd.github+json");
    assert_eq!(header("x-github-api-version"), "2022-11-28");
    assert_eq!(header("host"), server.url.strip_prefix("http://").unwrap());
}

#[tokio::test]
async fn a_file_is_asked_for_by_its_escaped_path_below_the_prefix() {
    let server = Server::answering(|_| answer(200, &[], file("docs/a b+c#.md", b"x\n").to_string())).await;
    let fixture = Fixture::real(&format!("{}/api/v3/", server.url));
    fixture.ok("github_get_file", json!({ "repo": "acme/app", "path": "docs/a b+c#.md", "ref": "feature/a+b" })).await;
    assert_eq!(server.seen()[0].uri, "/api/v3/repos/acme/app/contents/docs/a%20b%2Bc%23.md?ref=feature%2Fa%2Bb");
}

#[tokio::test]
async fn an_issue_is_sent_as_it_was_previewed_and_once() {
    let server = Server::answering(|_| answer(201, &[], issues()[0].to_string())).await;
    let fixture = Fixture::real(&server.url);
    let args = json!({ "repo": "acme/app", "title": "T", "body": "B", "labels": ["bug"], "change": { "reasoning": "R" } });
    let preview = fixture.preview("github_create_issue", args.clone()).await;
    assert!(server.seen().is_empty(), "a preview asks nothing");
    fixture.ok("github_create_issue", args).await;
    let seen = server.seen();
    assert_eq!((seen.len(), &seen[0].method, seen[0].uri.path()), (1, &Method::POST, "/repos/acme/app/issues"));
    assert_eq!(serde_json::from_slice::<Value>(&seen[0].body).unwrap(), preview.change["body"]);
    assert_eq!(seen[0].headers["content-type"], "application/json");
}

#[tokio::test]
async fn pages_follow_the_numbers_of_the_link_and_never_its_address() {
    let elsewhere = Server::answering(|_| answer(200, &[], "[]")).await;
    let url = elsewhere.url.clone();
    let server = Server::answering(move |seen| {
        let query = seen.uri.query().unwrap();
        let (body, next) = match query.split('&').find_map(|pair| pair.strip_prefix("page=")) {
            None => (vec![issues()[0].clone()], Some("page=2&after=Y3Vyc29y%3D")),
            Some("2") => (vec![issues()[1].clone()], Some("page=3")), // a pull request alone
            Some(_) => (vec![issues()[2].clone()], None),
        };
        assert_eq!(query.contains("after=Y3Vyc29y%3D"), query.contains("page=2"), "{query}");
        let link = next.map(|next| format!("<{url}/evil?{next}>; rel=\"next\", <{url}/evil?page=9>; rel=\"last\"")).unwrap_or_default();
        answer(200, &[("link", &link)], json!(body).to_string())
    })
    .await;
    let fixture = Fixture::real(&server.url);
    let pages = fixture.pages("github_list_issues", json!({ "repo": "acme/app", "limit": 1 })).await;
    assert_eq!(pages.iter().flat_map(numbers).collect::<Vec<_>>(), [42, 39]);
    assert!(server.seen().iter().all(|seen| seen.uri.path() == "/repos/acme/app/issues"));
    assert!(elsewhere.seen().is_empty());
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let target = Server::answering(|_| answer(200, &[], "[]")).await;
    for status in [301, 302, 307, 308] {
        let to = format!("{}/repos/other/app/issues", target.url);
        let server = Server::answering(move |_| answer(status, &[("location", &to)], "{}")).await;
        let fixture = Fixture::real(&server.url);
        for (tool, args) in [
            ("github_list_issues", json!({ "repo": "acme/app" })),
            ("github_get_file", json!({ "repo": "acme/app", "path": "a" })),
            ("github_create_issue", json!({ "repo": "acme/app", "title": "t" })),
        ] {
            let error = fixture.err(tool, args).await;
            assert_eq!(error.kind, Upstream);
            assert!(error.client.contains("redirect") && !error.client.contains("127.0.0.1"), "{error}");
        }
        assert_eq!(server.seen().len(), 3);
    }
    assert!(target.seen().is_empty());
}

#[tokio::test]
async fn failures_are_sentences_of_ours_with_githubs_words_for_the_log() {
    let said = r#"{"message":"WORDS of github","errors":[{"resource":"Issue","code":"missing_field","field":"title"}],"documentation_url":"https://docs.example.org"}"#;
    type Headers = &'static [(&'static str, &'static str)];
    let cases: [(u16, Headers, ToolErrorKind, &str); 7] = [
        (401, &[], Unavailable, "token"),
        (403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1")], Upstream, "try again in 1 s"),
        (403, &[], Unavailable, "forbids"),
        (404, &[], NotFound, "may not see it"),
        (422, &[], InvalidArguments, "title: missing_field"),
        (429, &[("retry-after", "30")], Upstream, "try again in 30 s"),
        (500, &[], Upstream, "failed by itself (500)"),
    ];
    for (status, headers, kind, word) in cases {
        let mut headers = headers.to_vec();
        headers.push(("x-github-request-id", "AB12:CD"));
        let headers: &'static [(&str, &str)] = headers.leak();
        let server = Server::answering(move |_| answer(status, headers, said)).await;
        let error = Fixture::real(&server.url).err("github_create_issue", json!({ "repo": "acme/app", "title": "t" })).await;
        assert_eq!(error.kind, kind, "{status}");
        assert!(error.client.contains(word) && !error.client.contains("WORDS"), "{error}");
        let detail = error.detail.unwrap();
        assert!(detail.contains("AB12:CD") && detail.contains("WORDS"), "{detail}");
        assert_eq!(server.seen().len(), 1, "nothing is tried again");
    }
}

#[tokio::test]
async fn a_server_that_repeats_the_token_shows_it_to_nobody() {
    let server = Server::answering(|seen| {
        let token = seen.headers["authorization"].to_str().unwrap().to_owned();
        answer(500, &[("x-github-request-id", "AB12:CD")], json!({ "message": token }).to_string())
    })
    .await;
    let fixture = Fixture::real(&server.url);
    let error = fixture.call_by("a", "github_list_issues", json!({ "repo": "acme/app" })).await.unwrap_err();
    assert!(!error.client.contains(&fixture.token));
    assert_eq!(error.detail.unwrap(), "status 500, request AB12:CD: Bearer [token]");
}

#[tokio::test]
async fn an_answer_that_never_ends_or_makes_no_sense_is_given_up() {
    let endless = Server::answering(|_| {
        let piece = Bytes::from(vec![b' '; 1 << 16]);
        answer(200, &[], Body::from_stream(futures::stream::repeat_with(move || Ok::<_, std::io::Error>(piece.clone()))))
    })
    .await;
    let error = Fixture::real(&endless.url).err("github_list_issues", json!({ "repo": "acme/app" })).await;
    assert_eq!(error.kind, TooLarge);
    for body in ["", "{", "{}", "[{}]", "[1]", "null", "<html>502</html>", "[{\"number\":\"x\"}]", "\u{feff}[]"] {
        let server = Server::answering(move |_| answer(200, &[("x-github-request-id", "AB12:CD")], body)).await;
        for (tool, args) in
            [("github_list_issues", json!({ "repo": "acme/app" })), ("github_create_issue", json!({ "repo": "acme/app", "title": "t" }))]
        {
            let error = Fixture::real(&server.url).err(tool, args).await;
            assert_eq!(error.kind, Upstream, "{body}");
            assert!(error.client.contains("does not fit") && error.detail.unwrap().contains("AB12:CD"), "{}", error.client);
            assert_eq!(error.client.contains("look before"), tool == "github_create_issue", "{}", error.client);
        }
    }
}

#[tokio::test]
async fn an_answer_about_another_repository_is_refused() {
    let moved = |issue: Value| {
        let mut issue = issue;
        issue["repository_url"] = json!("https://api.github.com/repos/acme/secrets");
        issue
    };
    let server = Server::answering(move |seen| {
        let body = if seen.uri.path().contains("contents") {
            let mut entry = file("a", b"x");
            entry["url"] = json!("https://api.github.com/repos/acme/secrets/contents/a");
            entry
        } else if seen.method == Method::POST {
            moved(issues()[0].clone())
        } else {
            json!([issues()[0], moved(issues()[2].clone())])
        };
        answer(200, &[], body.to_string())
    })
    .await;
    let fixture = Fixture::real(&server.url);
    for (tool, args) in [
        ("github_list_issues", json!({ "repo": "acme/app" })),
        ("github_get_file", json!({ "repo": "acme/app", "path": "a" })),
        ("github_create_issue", json!({ "repo": "acme/app", "title": "t" })),
    ] {
        let error = fixture.err(tool, args).await;
        assert!(error.kind == Upstream && error.client.contains("another repository"), "{error}");
        assert!(!error.client.contains("secrets"));
    }
}

#[tokio::test]
async fn content_must_have_the_hash_it_is_said_to_have() {
    let server = Server::answering(|_| {
        let mut entry = file("a", b"one");
        entry["content"] = json!("dHdv");
        answer(200, &[], entry.to_string())
    })
    .await;
    let error = Fixture::real(&server.url).err("github_get_file", json!({ "repo": "acme/app", "path": "a" })).await;
    assert_eq!(error.kind, Upstream);
}

#[tokio::test]
async fn a_body_is_redacted_before_it_is_cut() {
    let secret = format!("ghp_{}{}", word(), word());
    let mut issue = issues()[0].clone();
    issue["body"] = json!(format!("{}{secret} after\n{}", "x".repeat(1480), "y".repeat(5000)));
    let server = Server::answering(move |_| answer(200, &[], json!([issue]).to_string())).await;
    let listed = Fixture::real(&server.url).ok("github_list_issues", json!({ "repo": "acme/app" })).await;
    let body = listed["issues"][0]["body"].as_str().unwrap();
    assert!(!body.contains("ghp_") && body.len() < 1510 && body.ends_with("[…]"), "{body}");
}

#[tokio::test]
async fn a_call_that_is_cancelled_lets_go() {
    let (asked, mut was_asked) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::answering(move |_| {
        asked.send(()).unwrap();
        answer(200, &[], Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>()))
    })
    .await;
    for (tool, args, look) in
        [("github_list_issues", json!({ "repo": "acme/app" }), false), ("github_create_issue", json!({ "repo": "acme/app", "title": "t" }), true)]
    {
        let fixture = Fixture::real(&server.url);
        let cancel = fixture.cancel.clone();
        let (error, ()) = tokio::join!(fixture.err(tool, args), async {
            was_asked.recv().await.unwrap();
            cancel.cancel();
        });
        assert_eq!(error.kind, Cancelled);
        assert_eq!(error.client.contains("look before"), look, "{error}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_without_its_address() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = Fixture::real(&url).err("github_create_issue", json!({ "repo": "acme/app", "title": "t" })).await;
    assert_eq!(error.kind, Upstream);
    assert!(error.client.contains("nothing was sent") && !error.client.contains("127.0.0.1"), "{error}");
}
