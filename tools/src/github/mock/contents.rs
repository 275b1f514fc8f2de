//! The files of the invented organisation, as the contents API gives them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{Request, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answered, Repository, failed, not_found};
use crate::mock::query;

/// A file as it is recorded.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum File {
    /// A text, where `{{token}}` stands for a token that is made up at start.
    Text(String),
    /// Bytes in base64.
    Base64(String),
    /// A symbolic link to a file, which GitHub follows.
    LinkTo(String),
    /// A file of this size, which GitHub gives out without its content.
    Size(u64),
}

const PAGE: &str = "repos/contents#get-repository-content";

pub(super) fn read(repository: &Repository, path: &str, request: &Request<bytes::Bytes>, token: &str) -> Answered {
    let at = query(request, "ref");
    let name = at.as_deref().map_or("main", |name| name.trim_start_matches("refs/").trim_start_matches("heads/").trim_start_matches("tags/"));
    if !repository.refs.iter().any(|one| one == name) {
        return failed(StatusCode::NOT_FOUND, &format!("No commit found for the ref {name}"), PAGE, None);
    }
    let Some(file) = repository.files.get(path) else { return folder(repository, path, name, token) };
    match file {
        File::LinkTo(target) => match repository.files.get(target) {
            Some(file) => (StatusCode::OK, None, entry(repository, target, file, name, token, true)),
            None => not_found(PAGE),
        },
        file => (StatusCode::OK, None, entry(repository, path, file, name, token, true)),
    }
}

/// What lies directly in a folder, without content.
fn folder(repository: &Repository, path: &str, at: &str, token: &str) -> Answered {
    let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
    let mut entries: Vec<Value> = Vec::new();
    for (inner, file) in &repository.files {
        let Some(rest) = inner.strip_prefix(&prefix) else { continue };
        match rest.split_once('/') {
            None => entries.push(entry(repository, inner, file, at, token, false)),
            Some((name, _)) if entries.iter().any(|one| one["name"] == name) => {}
            Some((name, _)) => entries.push(described(repository, &format!("{prefix}{name}"), "dir", 0, &"0".repeat(40), at)),
        }
    }
    if entries.is_empty() { not_found(PAGE) } else { (StatusCode::OK, None, json!(entries)) }
}

fn entry(repository: &Repository, path: &str, file: &File, at: &str, token: &str, whole: bool) -> Value {
    let (bytes, size, encoding) = match file {
        File::Text(text) => (text.replace("{{token}}", token).into_bytes(), None, "base64"),
        File::Base64(text) => (STANDARD.decode(text).unwrap_or_default(), None, "base64"),
        File::LinkTo(target) => (target.clone().into_bytes(), None, "base64"),
        File::Size(size) => (Vec::new(), Some(*size), "none"),
    };
    let sha = git2::Oid::hash_object(git2::ObjectType::Blob, &bytes).map(|id| id.to_string()).unwrap_or_default();
    let kind = if matches!(file, File::LinkTo(_)) { "symlink" } else { "file" };
    let mut entry = described(repository, path, kind, size.unwrap_or(bytes.len() as u64), &sha, at);
    if let (true, Value::Object(fields)) = (whole, &mut entry) {
        fields.insert("content".to_owned(), json!(in_lines(&STANDARD.encode(&bytes))));
        fields.insert("encoding".to_owned(), json!(encoding));
    }
    entry
}

fn described(repository: &Repository, path: &str, kind: &str, size: u64, sha: &str, at: &str) -> Value {
    let of = &repository.full_name;
    let url = format!("https://api.github.com/repos/{of}/contents/{path}?ref={at}");
    let (git, seen) = if kind == "dir" { ("trees", "tree") } else { ("blobs", "blob") };
    let git_url = format!("https://api.github.com/repos/{of}/git/{git}/{sha}");
    let html_url = format!("https://github.com/{of}/{seen}/{at}/{path}");
    json!({
        "name": path.rsplit('/').next(), "path": path, "sha": sha, "size": size, "type": kind, "url": url, "git_url": git_url, "html_url": html_url,
        "download_url": format!("https://raw.githubusercontent.com/{of}/{at}/{path}"),
        "_links": { "self": url, "git": git_url, "html": html_url },
    })
}

/// Base64 as GitHub breaks it: 60 characters a line.
fn in_lines(text: &str) -> String {
    let mut lines = String::with_capacity(text.len() + text.len() / 60 + 1);
    for (at, c) in text.chars().enumerate() {
        if at > 0 && at % 60 == 0 {
            lines.push('\n');
        }
        lines.push(c);
    }
    lines.push('\n');
    lines
}
