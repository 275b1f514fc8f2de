//! The issues of the invented organisation: listed by GitHub's parameters and pages, and opened.

use http::{Request, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answered, Repository, failed};
use crate::mock::query;

/// Issues that one caller may open, and bytes that they may have.
const MOST: usize = 50;
const MOST_BYTES: usize = 256 << 10;

/// What a caller opened: the repository and the issue.
pub(super) type Created = Vec<(String, Value)>;

pub(super) fn list(repository: &Repository, created: &Created, request: &Request<bytes::Bytes>) -> Answered {
    let state = query(request, "state").unwrap_or("open".into());
    let labels = query(request, "labels").unwrap_or_default();
    let wanted = |issue: &&Value| {
        let has = |label: &str| issue["labels"].as_array().is_some_and(|all| all.iter().any(|one| same(&one["name"], label)));
        (state == "all" || issue["state"] == *state) && labels.split(',').filter(|label| !label.is_empty()).all(has)
    };
    let own = created.iter().rev().filter(|(of, _)| *of == repository.full_name).map(|(_, issue)| issue);
    let all: Vec<&Value> = own.chain(&repository.issues).filter(wanted).collect();
    let number = |name: &str, otherwise: usize| query(request, name).and_then(|n| n.parse().ok()).unwrap_or(otherwise);
    let (page, per_page) = (number("page", 1).max(1), number("per_page", 30).clamp(1, 100));
    let pages = all.len().div_ceil(per_page).max(1);
    let shown: Vec<&Value> = all.iter().skip(page.saturating_sub(1).saturating_mul(per_page)).take(per_page).copied().collect();
    let to = |page: usize, name: &str| {
        format!("<https://api.github.com/repositories/{}/issues?state={state}&per_page={per_page}&page={page}>; rel=\"{name}\"", repository.id)
    };
    let mut links = Vec::new();
    if page > 1 {
        links.push(to(page - 1, "prev"));
    }
    if page < pages {
        links.extend([to(page + 1, "next"), to(pages, "last")]);
    }
    if page > 1 {
        links.push(to(1, "first"));
    }
    (StatusCode::OK, Some(links.join(", ")).filter(|links| !links.is_empty()), json!(shown))
}

fn same(name: &Value, label: &str) -> bool {
    name.as_str().is_some_and(|name| name.eq_ignore_ascii_case(label))
}

#[derive(Deserialize)]
struct New {
    #[serde(default)]
    title: String,
    body: Option<String>,
    #[serde(default)]
    labels: Vec<String>,
}

const PAGE: &str = "issues/issues#create-an-issue";

pub(super) fn create(repository: &Repository, created: &mut Created, body: &[u8]) -> Answered {
    let Ok(new) = serde_json::from_slice::<New>(body) else {
        return failed(StatusCode::BAD_REQUEST, "Problems parsing JSON", PAGE, None);
    };
    if new.title.trim().is_empty() {
        let errors = json!([{ "resource": "Issue", "field": "title", "code": "missing_field" }]);
        return failed(StatusCode::UNPROCESSABLE_ENTITY, "Validation Failed", PAGE, Some(errors));
    }
    let bytes: usize = created.iter().map(|(_, issue)| issue["body"].as_str().map_or(0, str::len)).sum();
    if created.len() >= MOST || bytes + body.len() > MOST_BYTES {
        return failed(
            StatusCode::FORBIDDEN,
            "You have exceeded a secondary rate limit and have been temporarily blocked from content creation.",
            PAGE,
            None,
        );
    }
    let before = created.iter().filter(|(of, _)| *of == repository.full_name).count();
    let issue = opened(repository, before, new);
    created.push((repository.full_name.clone(), issue.clone()));
    (StatusCode::CREATED, None, issue)
}

/// The next issue, in the shape of the recorded ones, one minute after the one before it.
fn opened(repository: &Repository, before: usize, new: New) -> Value {
    let numbers = repository.issues.iter().filter_map(|issue| issue["number"].as_u64());
    let number = numbers.max().unwrap_or(0) + 1 + before as u64;
    let url = format!("https://api.github.com/repos/{}/issues/{number}", repository.full_name);
    let at = format!("2026-03-02T{:02}:{:02}:00Z", 9 + before / 60, before % 60);
    let mut issue = repository.issues.last().cloned().unwrap_or_default();
    let labels: Vec<Value> = new.labels.iter().map(|name| label(repository, name)).collect();
    let fields = json!({
        "url": url, "labels_url": format!("{url}/labels{{/name}}"), "comments_url": format!("{url}/comments"), "events_url": format!("{url}/events"),
        "timeline_url": format!("{url}/timeline"), "html_url": format!("https://github.com/{}/issues/{number}", repository.full_name),
        "id": repository.id * 100_000 + number, "node_id": format!("I_mock{number:08}"), "number": number, "title": new.title, "body": new.body,
        "labels": labels, "state": "open", "state_reason": null, "comments": 0, "assignee": null, "assignees": [], "milestone": null,
        "created_at": at, "updated_at": at, "closed_at": null, "closed_by": null,
    });
    if let (Value::Object(issue), Value::Object(fields)) = (&mut issue, fields) {
        issue.extend(fields);
    }
    issue
}

/// A label of the repository; one that it does not have is made, as GitHub does for who may push.
fn label(repository: &Repository, name: &str) -> Value {
    let known = repository.labels.iter().find(|one| same(&one["name"], name)).cloned();
    known.unwrap_or_else(|| {
        let url = format!("https://api.github.com/repos/{}/labels/{name}", repository.full_name);
        json!({ "id": 9_000_000, "node_id": "LA_mock", "url": url, "name": name, "color": "ededed", "default": false, "description": null })
    })
}
