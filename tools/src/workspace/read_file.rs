//! `workspace_read_file`: a file of the work tree or of a commit, by lines.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use opsgate_audit::{Receipt, Written};

use super::language;
use super::open::{Found, OpenFile};
use super::page::{Budget, Page, Paging, stale};
use super::path::{PathArg, RepoPath, quoted};
use super::repository::{self, RevArg, blocking, live};
use crate::error::{ToolError, ToolErrorKind};
use crate::scope::{OutputFilter, ScopeKind, Scopes};
use crate::tool::{CallContext, Card, ReadTool};

/// As much of a file as is read to find lines or a digest.
const MOST_SCANNED: u64 = 256 << 20;
/// The lines of a larger file are not counted.
const MOST_COUNTED: u64 = 16 << 20;
const CHUNK: usize = 64 << 10;

pub(super) struct ReadFile;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = super::lean::lean)]
pub(super) struct Args {
    path: PathArg,
    start_line: Option<u64>,
    lines: Option<u64>,
    /// commit, default: work tree
    rev: Option<RevArg>,
    cursor: Option<String>,
}

pub(super) struct Target {
    path: RepoPath,
    source: Result<Source, ToolError>,
    first: u64,
    lines: Option<u64>,
    cursor: Option<String>,
    cancel: CancellationToken,
}

enum Source {
    File(OpenFile),
    Blob(git2::Oid, Vec<u8>),
}

#[derive(Serialize, JsonSchema)]
#[schemars(transform = super::lean::lean)]
pub(super) struct Output {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<&'static str>,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_lines: Option<u64>,
    /// utf-8, utf-8-lossy, binary
    encoding: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_line: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    #[serde(flatten)]
    page: Page,
}

impl ReadTool for ReadFile {
    const CARD: Card = super::card("workspace_read_file", "Read a file", "Read a text file, by lines. A binary one gives its size and sha256.", 0.1);
    type Args = Args;
    type Target = Target;
    type Output = Output;

    async fn resolve(&self, args: Args, cx: &CallContext) -> Result<(Target, Scopes), ToolError> {
        let (workspace, cancel) = (cx.workspace()?, cx.cancel.clone());
        blocking(move || {
            let asked = args.path.parse()?;
            if args.start_line == Some(0) || args.lines == Some(0) {
                return Err(ToolError::invalid("`start_line` and `lines` count from 1"));
            }
            let mut scopes = workspace.scope();
            let (path, source) = if let Some(rev) = &args.rev {
                let repo = repository::open(&workspace)?;
                let rev = rev.parse()?;
                scopes = repository::ref_scope(scopes, &rev).and(ScopeKind::Path, asked.as_str());
                let source = repository::commit(&repo, &rev).and_then(|commit| blob(&repo, &commit, &asked));
                (asked, source)
            } else {
                let located = workspace.locate(asked);
                scopes = located.scoped(scopes, ScopeKind::Path);
                let source = located.found.and_then(|found| match found {
                    Found::File(file) => Ok(Source::File(file)),
                    Found::Folder(_) => Err(folder(&located.asked)),
                });
                (located.real, source)
            };
            Ok((Target { path, source, first: args.start_line.unwrap_or(1), lines: args.lines, cursor: args.cursor, cancel }, scopes))
        })
        .await
    }

    async fn read(&self, target: Target, filter: &OutputFilter, _receipt: Receipt<Written>) -> Result<Output, ToolError> {
        let filter = filter.clone();
        blocking(move || show(target, &filter)).await
    }
}

fn blob(repo: &git2::Repository, commit: &git2::Commit<'_>, path: &RepoPath) -> Result<Source, ToolError> {
    let missing = || ToolError::not_found(format!("{} is not in that commit", quoted(path.as_str())));
    let entry = commit.tree().map_err(repository::failed)?.get_path(path.as_str().as_ref()).map_err(|_| missing())?;
    if entry.kind() != Some(git2::ObjectType::Blob) {
        return Err(folder(path));
    }
    let (size, _) = repo.odb().and_then(|odb| odb.read_header(entry.id())).map_err(repository::failed)?;
    if size as u64 > MOST_COUNTED {
        return Err(ToolError::new(ToolErrorKind::TooLarge, format!("{} has {size} bytes in that commit; at most {MOST_COUNTED} are read", quoted(path.as_str()))));
    }
    let blob = repo.find_blob(entry.id()).map_err(repository::failed)?;
    Ok(Source::Blob(entry.id(), blob.content().to_vec()))
}

fn folder(path: &RepoPath) -> ToolError {
    ToolError::invalid(format!("{} is no file; `workspace_list_directory` shows folders", quoted(path.as_str())))
}

fn show(target: Target, filter: &OutputFilter) -> Result<Output, ToolError> {
    let source = target.source?;
    let (blob, stamp) = match &source {
        Source::File(file) => (None, Some(file.stamp())),
        Source::Blob(id, _) => (Some(*id), None),
    };
    let range = [target.first, target.lines.unwrap_or(0), 0, 0];
    let paging = Paging::open(&[&"read_file", &target.path.as_str(), &blob, &stamp, &range], target.cursor.as_deref())?;
    let size = source.size();
    let head = source.read_at(0, 8192)?;
    let mut output = Output {
        path: target.path.as_str().to_owned(),
        language: language::of(target.path.as_str(), &head),
        size,
        total_lines: None,
        encoding: "binary",
        sha256: None,
        start_line: None,
        content: None,
        page: Page::default(),
    };
    if head.contains(&0) {
        output.sha256 = digest(&source, &target.cancel)?;
        return Ok(output);
    }
    if size <= MOST_COUNTED {
        output.total_lines = Some(count_lines(&source, &target.cancel)?);
    }
    // The place in bytes, and its line.
    let (offset, line) = match (&target.cursor, target.first) {
        (Some(_), _) => (paging.from().at, paging.from().within),
        (None, first) => (skip_lines(&source, first - 1, &target.cancel)?.ok_or_else(|| beyond(first))?, first),
    };
    if offset > size {
        return Err(stale());
    }
    let left = target.lines.map(|lines| target.first.saturating_add(lines).saturating_sub(line));
    let (text, encoding, taken, cut) = window(&source, offset, left, filter.output_bytes())?;
    let next = cut.then(|| paging.cursor_to(offset + taken.len() as u64, line.saturating_add(newlines(&taken))));
    output.encoding = encoding;
    output.start_line = Some(line);
    output.content = Some(text);
    output.page = Page::new(next, filter);
    Ok(output)
}

/// The text from `offset`, at most `lines` lines of it and as much as the budget takes, and whether that cut it.
fn window(source: &Source, offset: u64, lines: Option<u64>, bytes: usize) -> Result<(String, &'static str, Vec<u8>, bool), ToolError> {
    // One byte more than fits tells whether there is more; three for a character that is split.
    let mut raw = source.read_at(offset, bytes.saturating_add(4))?;
    if let Some(end) = lines.and_then(|lines| end_of_line(&raw, lines)) {
        raw.truncate(end);
    }
    let whole = raw.len();
    let keep = Budget::new(bytes).cut(&raw);
    raw.truncate(keep);
    if std::str::from_utf8(&raw).is_err() {
        // Every byte that is none of UTF-8 becomes three.
        let keep = Budget::new((bytes / 3).max(1)).cut(&raw);
        raw.truncate(keep);
    }
    let cut = raw.len() < whole;
    match String::from_utf8(raw) {
        Ok(text) => Ok((text.clone(), "utf-8", text.into_bytes(), cut)),
        Err(error) => {
            let raw = error.into_bytes();
            Ok((String::from_utf8_lossy(&raw).into_owned(), "utf-8-lossy", raw, cut))
        }
    }
}

fn end_of_line(text: &[u8], lines: u64) -> Option<usize> {
    let nth = usize::try_from(lines).ok()?.checked_sub(1);
    nth.map_or(Some(0), |nth| text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(nth).map(|(at, _)| at + 1))
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

fn count_lines(source: &Source, cancel: &CancellationToken) -> Result<u64, ToolError> {
    let (mut count, mut last) = (0, b'\n');
    source.chunks(cancel, |_, chunk| {
        count += newlines(chunk);
        last = *chunk.last().unwrap_or(&last);
        true
    })?;
    Ok(count + u64::from(last != b'\n'))
}

/// Where the line after `lines` lines begins; `None` where there is none.
fn skip_lines(source: &Source, lines: u64, cancel: &CancellationToken) -> Result<Option<u64>, ToolError> {
    if lines == 0 {
        return Ok(Some(0));
    }
    let (mut left, mut found) = (lines, None);
    source.chunks(cancel, |at, chunk| {
        match end_of_line(chunk, left) {
            Some(end) => found = Some(at + end as u64),
            None => left -= newlines(chunk),
        }
        found.is_none()
    })?;
    Ok(found.filter(|at| *at < source.size()))
}

fn beyond(line: u64) -> ToolError {
    ToolError::invalid(format!("the file ends before line {line}"))
}

fn digest(source: &Source, cancel: &CancellationToken) -> Result<Option<String>, ToolError> {
    if source.size() > MOST_SCANNED {
        return Ok(None);
    }
    let mut hasher = Sha256::new();
    source.chunks(cancel, |_, chunk| {
        hasher.update(chunk);
        true
    })?;
    Ok(Some(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
}

impl Source {
    fn size(&self) -> u64 {
        match self {
            Self::File(file) => file.size(),
            Self::Blob(_, bytes) => bytes.len() as u64,
        }
    }

    fn read_at(&self, offset: u64, most: usize) -> Result<Vec<u8>, ToolError> {
        match self {
            Self::File(file) => file.read_at(offset, usize::try_from(self.size().saturating_sub(offset)).map_or(most, |left| left.min(most))),
            Self::Blob(_, bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                Ok(bytes.iter().skip(start).take(most).copied().collect())
            }
        }
    }

    /// Reads on from the start until `each` says stop, or too much was read.
    fn chunks(&self, cancel: &CancellationToken, mut each: impl FnMut(u64, &[u8]) -> bool) -> Result<(), ToolError> {
        let mut at = 0;
        loop {
            live(cancel)?;
            if at > MOST_SCANNED {
                return Err(ToolError::new(ToolErrorKind::TooLarge, "that part of the file is too far in; search it instead"));
            }
            let chunk = self.read_at(at, CHUNK)?;
            if chunk.is_empty() || !each(at, &chunk) {
                return Ok(());
            }
            at += chunk.len() as u64;
        }
    }
}
