//! GitHub as it is in mock mode: an invented organisation, answered in GitHub's shapes, with GitHub's own failures.

mod contents;
mod issues;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::mock::{self, PerCaller, Recorded};
use contents::File;
use issues::Created;

/// The repositories of the invented organisation.
const RECORDED: [&str; 2] = [include_str!("app.json"), include_str!("docs.json")];
/// Callers whose writes are remembered.
const MOST_CALLERS: usize = 64;

/// The invented world, with what each caller wrote since the gateway started.
pub(in super::super) struct World {
    repositories: Vec<Repository>,
    created: PerCaller<Created>,
    requests: AtomicU64,
    token: String,
}

#[derive(Deserialize)]
struct Repository {
    full_name: String,
    id: u64,
    refs: Vec<String>,
    labels: Vec<Value>,
    issues: Vec<Value>,
    files: std::collections::BTreeMap<String, File>,
}

impl World {
    pub(in super::super) fn new() -> Self {
        let repositories = RECORDED.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
        Self { repositories, created: PerCaller::new(MOST_CALLERS), requests: AtomicU64::new(1), token: example_token() }
    }

    fn answered(&self, caller: &Arc<str>, request: &Request<Bytes>) -> Answered {
        let parts = mock::segments(request);
        let parts: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
        let ["repos", owner, name, what, rest @ ..] = parts.as_slice() else { return not_found("") };
        // GitHub compares names without regard to case.
        let asked = format!("{owner}/{name}");
        let Some(repository) = self.repositories.iter().find(|one| one.full_name.eq_ignore_ascii_case(&asked)) else {
            return not_found("repos/repos#get-a-repository");
        };
        match (request.method(), *what, rest) {
            (&Method::GET, "issues", []) => issues::list(repository, &self.created.with(caller, |created| created.clone()), request),
            (&Method::POST, "issues", []) => self.created.with(caller, |created| issues::create(repository, created, request.body())),
            (&Method::GET, "contents", path) => contents::read(repository, &path.join("/"), request, &self.token),
            _ => not_found("repos/repos#get-a-repository"),
        }
    }
}

impl Recorded for World {
    fn answer(&self, caller: &Arc<str>, request: &Request<Bytes>) -> Response<Bytes> {
        let (status, link, body) = self.answered(caller, request);
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let mut headers = vec![
            ("x-github-request-id", format!("0A17:3C5B:{number:06X}:{:06X}:65F1C0DE", number * 3)),
            ("x-github-media-type", "github.v3; format=json".to_owned()),
            ("x-ratelimit-limit", "5000".to_owned()),
            ("x-ratelimit-remaining", (5000 - number.min(4000)).to_string()),
            ("x-ratelimit-used", number.min(4000).to_string()),
            ("x-ratelimit-resource", "core".to_owned()),
        ];
        headers.extend(link.map(|link| ("link", link)));
        if status == StatusCode::FORBIDDEN {
            headers.push(("retry-after", "60".to_owned()));
        }
        mock::json(status, &headers, &body)
    }
}

/// Status, `Link`, body.
type Answered = (StatusCode, Option<String>, Value);

/// An error in GitHub's form.
fn failed(status: StatusCode, message: &str, page: &str, errors: Option<Value>) -> Answered {
    let mut body =
        json!({ "message": message, "documentation_url": format!("https://docs.github.com/rest/{page}"), "status": status.as_u16().to_string() });
    if let (Some(errors), Value::Object(fields)) = (errors, &mut body) {
        fields.insert("errors".to_owned(), errors);
    }
    (status, None, body)
}

fn not_found(page: &str) -> Answered {
    failed(StatusCode::NOT_FOUND, "Not Found", page, None)
}

/// A text in the form of a token, made up at start, so that redaction has something to do. It opens nothing.
fn example_token() -> String {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let word = || format!("{:016x}", RandomState::new().build_hasher().finish());
    let digits: String = [word(), word(), word()].concat().chars().take(36).collect();
    ["ghp", &digits].join("_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(world: &World, caller: &str, request: Request<Bytes>) -> (u16, Value) {
        let answer = world.answer(&caller.into(), &request);
        assert!(answer.headers().contains_key("x-github-request-id"));
        (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap())
    }

    fn get(path: &str) -> Request<Bytes> {
        Request::get(path).body(Bytes::new()).unwrap()
    }

    #[test]
    fn every_recording_is_read() {
        let world = World::new();
        assert_eq!(world.repositories.iter().map(|one| one.full_name.as_str()).collect::<Vec<_>>(), ["acme/app", "acme/docs"]);
        for repository in &world.repositories {
            assert!(!repository.issues.is_empty() && !repository.files.is_empty());
            for issue in &repository.issues {
                assert_eq!(issue["repository_url"], format!("https://api.github.com/repos/{}", repository.full_name));
            }
        }
    }

    #[test]
    fn a_caller_sees_what_it_wrote_alone() {
        let world = World::new();
        let post = Request::post("/repos/acme/app/issues").body(Bytes::from(r#"{"title":"mine"}"#)).unwrap();
        let (status, created) = asked(&world, "a", post);
        assert_eq!((status, &created["title"]), (201, &json!("mine")));
        let first = |caller: &str| asked(&world, caller, get("/repos/acme/app/issues?per_page=1")).1[0]["number"].clone();
        assert_eq!(first("a"), created["number"]);
        assert_ne!(first("b"), created["number"]);
    }

    #[test]
    fn what_it_does_not_know_is_not_found() {
        let world = World::new();
        for path in ["/", "/user", "/repos/acme", "/repos/acme/none/issues", "/repos/acme/app/nothing", "/repos/acme/app/contents/none.md"] {
            let (status, body) = asked(&world, "a", get(path));
            assert_eq!((status, &body["status"], &body["message"]), (404, &json!("404"), &json!("Not Found")), "{path}");
        }
        let delete = Request::delete("/repos/acme/app/issues").body(Bytes::new()).unwrap();
        assert_eq!(asked(&world, "a", delete).0, 404);
    }

    #[test]
    fn a_caller_cannot_fill_the_memory() {
        let world = World::new();
        let post = |title: &str| Request::post("/repos/acme/app/issues").body(Bytes::from(json!({ "title": title }).to_string())).unwrap();
        let statuses: Vec<u16> = (0..60).map(|_| asked(&world, "a", post("x")).0).collect();
        assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 50);
        assert!(statuses.iter().skip(50).all(|status| *status == 403));
        assert_eq!(asked(&world, "b", post(" ")).0, 422);
        assert_eq!(asked(&world, "b", Request::post("/repos/acme/app/issues").body(Bytes::from("nope")).unwrap()).0, 400);
    }

    #[test]
    fn two_worlds_have_two_tokens() {
        assert_ne!(World::new().token, World::new().token);
    }
}
