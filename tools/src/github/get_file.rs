//! `github_get_file`: a file of a repository, as text by lines.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use opsgate_audit::{Receipt, Written};
use schemars::JsonSchema;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::client::{Client, Session};
use super::issue::another_repository;
use super::names::{RefName, RepoRef, escaped, escaped_path};
use crate::cursor::{Question, stale};
use crate::error::{ToolError, ToolErrorKind};
use crate::scope::{OutputFilter, ScopeKind, Scopes};
use crate::tool::{CallContext, Card, ReadTool};
use crate::workspace::page::{Budget, Page};
use crate::workspace::path::{PathArg, RepoPath, quoted};

pub(super) struct GetFile(pub(super) Arc<Client>);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = crate::lean::lean)]
pub(super) struct Args {
    /// owner/name
    repo: RepoRef,
    path: PathArg,
    /// branch, tag or commit; default: the default branch
    r#ref: Option<RefName>,
    cursor: Option<String>,
}

pub(super) struct Target {
    session: Session,
    repo: RepoRef,
    path: RepoPath,
    address: String,
    cursor: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(transform = crate::lean::lean)]
pub(super) struct Output {
    path: String,
    /// of the git blob
    #[serde(skip_serializing_if = "Option::is_none")]
    sha: Option<String>,
    size: u64,
    /// utf-8, utf-8-lossy, binary
    encoding: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    html_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_lines: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    #[serde(flatten)]
    page: Page,
}

/// What the contents API answers.
#[derive(Deserialize)]
#[serde(untagged)]
enum Contents {
    #[expect(dead_code, reason = "a list is how a folder is told")]
    Folder(Vec<IgnoredAny>),
    Entry(Entry),
}

#[derive(Deserialize)]
struct Entry {
    r#type: String,
    path: String,
    sha: String,
    size: u64,
    url: String,
    html_url: Option<String>,
    encoding: Option<String>,
    content: Option<String>,
}

impl ReadTool for GetFile {
    const CARD: Card = super::card("github_get_file", "Read a file at GitHub", "A text file, by lines. A binary one gives its size and sha.", 0.1);
    type Args = Args;
    type Target = Target;
    type Output = Output;

    /// Without `ref`, the reference that is judged is `HEAD`: which branch is the default one only GitHub knows, and nothing
    /// is asked of it before the call was judged. A rule about the default branch must name `HEAD` too.
    async fn resolve(&self, args: Args, cx: &CallContext) -> Result<(Target, Scopes), ToolError> {
        let path = args.path.parse()?;
        let scopes = args.repo.scope().and(ScopeKind::Path, path.as_str());
        let scopes = match &args.r#ref {
            Some(name) => name.scoped(scopes),
            None => scopes.and(ScopeKind::Ref, "HEAD"),
        };
        if path.is_root() {
            return Err(folder(&path).touching(scopes));
        }
        let session = self.0.session(cx).map_err(|error| error.touching(scopes.clone()))?;
        let at = args.r#ref.as_ref().map(|name| format!("?ref={}", escaped(name.as_str()))).unwrap_or_default();
        let address = format!("{}/contents/{}{at}", args.repo.route(), escaped_path(&path));
        Ok((Target { session, repo: args.repo, path, address, cursor: args.cursor }, scopes))
    }

    async fn read(&self, target: Target, filter: &OutputFilter, _receipt: Receipt<Written>) -> Result<Output, ToolError> {
        let Target { session, repo, path, address, cursor } = target;
        let entry = match session.get(&address).await?.body {
            Contents::Folder(_) => return Err(folder(&path)),
            Contents::Entry(entry) => entry,
        };
        let filter = filter.clone();
        let show = move || show(entry, &repo, &path, &address, cursor.as_deref(), &filter);
        tokio::task::spawn_blocking(show).await.map_err(ToolError::internal)?
    }
}

fn show(entry: Entry, repo: &RepoRef, path: &RepoPath, address: &str, cursor: Option<&str>, filter: &OutputFilter) -> Result<Output, ToolError> {
    if !repo.holds(&entry.url) {
        return Err(another_repository(&entry.url));
    }
    // INVARIANT: GitHub follows symbolic links to files, and what a link leads to is judged by its own path (test: a_link_to_a_denied_file_is_as_absent).
    if entry.path != path.as_str() && !filter.shows_file(&entry.path) {
        return Err(ToolError::not_found(format!("github has no file {}", quoted(path.as_str()))));
    }
    let bytes = bytes_of(&entry, path)?;
    let mut output = Output {
        path: entry.path.clone(),
        sha: Some(entry.sha.clone()),
        size: entry.size,
        encoding: "binary",
        html_url: entry.html_url.clone(),
        total_lines: None,
        start_line: None,
        content: None,
        page: Page::default(),
    };
    if bytes.contains(&0) {
        return Ok(output);
    }
    let (text, encoding) = match String::from_utf8(bytes) {
        Ok(text) => (text, "utf-8"),
        Err(error) => (String::from_utf8_lossy(error.as_bytes()).into_owned(), "utf-8-lossy"),
    };
    let whole = filter.redacted(text.clone());
    if whole != text {
        output.sha = None; // with it, guesses at what was redacted could be tried
    }
    let question = Question::of(&["github_get_file", address, &entry.sha]);
    let from: usize = match cursor {
        Some(cursor) => question.place(cursor)?.parse().map_err(|_| stale())?,
        None => 0,
    };
    let (before, rest) = whole.split_at_checked(from).filter(|(_, rest)| from == 0 || !rest.is_empty()).ok_or_else(stale)?;
    let end = Budget::new(filter.output_bytes()).cut(rest.as_bytes());
    let shown = rest.get(..end).unwrap_or(rest);
    output.encoding = encoding;
    output.total_lines = Some(whole.lines().count());
    output.start_line = Some(1 + before.matches('\n').count());
    output.content = Some(shown.to_owned());
    output.page = Page::new((end < rest.len()).then(|| question.cursor(&(from + end).to_string())), filter);
    Ok(output)
}

/// The file's bytes, which must be those that its hash names.
fn bytes_of(entry: &Entry, path: &RepoPath) -> Result<Vec<u8>, ToolError> {
    let odd = |what: &str| ToolError::new(ToolErrorKind::Upstream, "github's answer does not hold the file that it describes").because(what);
    if entry.r#type != "file" {
        return Err(ToolError::invalid(format!("{} is no file at github but a link to something else, or a submodule", quoted(path.as_str()))));
    }
    let encoded = match (entry.encoding.as_deref(), &entry.content) {
        (Some("base64"), Some(content)) => content,
        (Some("none"), _) => {
            let client = format!("{} has {} bytes; github gives out at most 1 MiB by this way", quoted(path.as_str()), entry.size);
            return Err(ToolError::new(ToolErrorKind::TooLarge, client));
        }
        _ => return Err(odd("no content in base64")),
    };
    let plain: Vec<u8> = encoded.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let bytes = STANDARD.decode(plain).map_err(|_| odd("the content is no base64"))?;
    let hash = git2::Oid::hash_object(git2::ObjectType::Blob, &bytes).map_err(ToolError::internal)?;
    if hash.to_string() != entry.sha {
        return Err(odd("the content does not have the hash it is said to have"));
    }
    Ok(bytes)
}

fn folder(path: &RepoPath) -> ToolError {
    ToolError::invalid(format!("{} is a folder; name a file in it", quoted(path.as_str())))
}
