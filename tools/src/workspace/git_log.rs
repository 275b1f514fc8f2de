//! `workspace_git_log`: the commits that a revision reaches, newest first.

use git2::{Commit, Oid, Repository};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use opsgate_audit::{Receipt, Written};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::change;
use super::commit::{self, CommitInfo};
use super::history::History;
use super::page::{self, Budget, Keyed, Page, Paging};
use super::path::{PathArg, RepoPath, or_root, quoted};
use super::repository::{self, RevArg, blocking, failed, live};
use crate::error::{ToolError, ToolErrorKind};
use crate::scope::{OutputFilter, ScopeKind, Scopes};
use crate::tool::{CallContext, Card, ReadTool};

/// As many commits as one call looks at before it answers with a cursor.
const MOST_WALKED: usize = 20_000;
/// As many changed files as are named for one commit.
const MOST_FILES: usize = 200;

pub(super) struct GitLog;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = crate::lean::lean)]
pub(super) struct Args {
    rev: Option<RevArg>,
    path: Option<PathArg>,
    /// date or RFC 3339
    since: Option<String>,
    until: Option<String>,
    author: Option<String>,
    /// name changed files
    files: Option<bool>,
    limit: Option<u32>,
    cursor: Option<String>,
}

pub(super) struct Target {
    repo: Repository,
    start: Result<Oid, ToolError>,
    path: RepoPath,
    since: Option<i64>,
    until: Option<i64>,
    args: Args,
    cancel: CancellationToken,
}

#[derive(Serialize, JsonSchema)]
#[schemars(transform = crate::lean::lean)]
pub(super) struct Output {
    commits: Vec<Logged>,
    #[serde(flatten)]
    page: Page,
}

#[derive(Serialize, JsonSchema)]
struct Logged {
    #[serde(flatten)]
    commit: CommitInfo,
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<Vec<String>>,
}

impl ReadTool for GitLog {
    const CARD: Card =
        super::card("workspace_git_log", "Git history", "List commits, newest first. For one commit's diff use workspace_git_show.", 0.1);
    type Args = Args;
    type Target = Target;
    type Output = Output;

    async fn resolve(&self, args: Args, cx: &CallContext) -> Result<(Target, Scopes), ToolError> {
        let (workspace, cancel) = (cx.workspace()?, cx.cancel.clone());
        blocking(move || {
            let repo = repository::open(&workspace)?;
            let (path, rev) = (or_root(args.path.as_ref())?, repository::rev_or_head(&repo, args.rev.as_ref())?);
            let (since, until) = (
                args.since.as_deref().map(|text| moment(text, false)).transpose()?,
                args.until.as_deref().map(|text| moment(text, true)).transpose()?,
            );
            let commit = repository::commit(&repo, &rev);
            let scopes = path_scope(repository::ref_scope(workspace.scope()?, &repo, &rev), commit.as_ref().ok(), &path);
            let start = commit.map(|commit| commit.id());
            Ok((Target { repo, start, path, since, until, args, cancel }, scopes))
        })
        .await
    }

    async fn read(&self, target: Target, filter: &OutputFilter, _receipt: Receipt<Written>) -> Result<Output, ToolError> {
        let filter = filter.clone();
        blocking(move || log(&target, &filter)).await
    }
}

/// A path in a commit is judged as what it is there; one that is not there, as either.
pub(super) fn path_scope(scopes: Scopes, commit: Option<&Commit<'_>>, path: &RepoPath) -> Scopes {
    if path.is_root() {
        return scopes.and(ScopeKind::Tree, path.as_str());
    }
    let entry = commit.and_then(|commit| commit.tree().ok()).and_then(|tree| tree.get_path(path.as_str().as_ref()).ok());
    match entry.and_then(|entry| entry.kind()) {
        Some(git2::ObjectType::Tree) => scopes.and(ScopeKind::Tree, path.as_str()),
        Some(_) => scopes.and(ScopeKind::Path, path.as_str()),
        None => scopes.and(ScopeKind::Path, path.as_str()).and(ScopeKind::Tree, path.as_str()),
    }
}

/// Seconds since 1970; a date alone is its first second, or its last.
fn moment(text: &str, last: bool) -> Result<i64, ToolError> {
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Ok(timestamp.as_second());
    }
    let start = text.parse::<Date>().ok().and_then(|date| date.to_zoned(TimeZone::UTC).ok());
    let start = start.ok_or_else(|| ToolError::invalid(format!("{} is no date; write `2026-01-31` or `2026-01-31T12:00:00Z`", quoted(text))))?;
    Ok(start.timestamp().as_second() + if last { 86_399 } else { 0 })
}

fn log(target: &Target, filter: &OutputFilter) -> Result<Output, ToolError> {
    let (repo, args) = (&target.repo, &target.args);
    let start = target.start.clone()?;
    let question: [&dyn Keyed; 6] =
        [&"git_log", &start, &target.path.as_str(), &args.author.as_deref(), &args.since.as_deref(), &args.until.as_deref()];
    let paging = Paging::open(&question, args.cursor.as_deref())?;
    let mut history = History::of(repo, start)?;
    let author = args.author.as_ref().map(|author| author.to_lowercase());
    let limit = page::limit(args.limit, 50, 500);
    let mut budget = Budget::new(filter.output_bytes());
    let (mut commits, mut looked, mut next) = (Vec::new(), 0, None);
    for at in 0_u64.. {
        live(&target.cancel)?;
        let Some(commit) = history.next()? else { break };
        if at < paging.from().at {
            continue;
        }
        if commits.len() == limit || looked == MOST_WALKED {
            next = Some(paging.cursor_to(at, 0));
            break;
        }
        looked += 1;
        let time = commit.time().seconds();
        let in_time = target.since.is_none_or(|since| time >= since) && target.until.is_none_or(|until| time <= until);
        if !in_time || !author.as_deref().is_none_or(|wanted| is_by(&commit, wanted, filter)) || !touches(&commit, &target.path)? {
            continue;
        }
        if !commit::is_visible(repo, &commit, &target.path, filter, &target.cancel)? {
            continue;
        }
        let files = if args.files.unwrap_or(false) { Some(changed_files(repo, &commit, &target.path, filter, &target.cancel)?) } else { None };
        let commit = CommitInfo::of(&commit, filter);
        let weight = 160
            + commit.subject.len()
            + commit.body.as_ref().map_or(0, String::len)
            + files.iter().flatten().map(|name| name.len() + 3).sum::<usize>();
        if !budget.take(weight) {
            next = Some(paging.cursor_to(at, 0));
            break;
        }
        commits.push(Logged { commit, files });
    }
    let page = Page::about(&target.path, commits.is_empty(), next, filter.hidden());
    Ok(Output { commits, page })
}

/// Whether the author, as it may be shown, has the wanted text.
fn is_by(commit: &Commit<'_>, wanted: &str, filter: &OutputFilter) -> bool {
    let author = commit.author();
    let whole = format!("{} <{}>", String::from_utf8_lossy(author.name_bytes()), String::from_utf8_lossy(author.email_bytes()));
    filter.redacted(whole).to_lowercase().contains(wanted)
}

/// Whether a commit's state of the path differs from that in every parent.
fn touches(commit: &Commit<'_>, path: &RepoPath) -> Result<bool, ToolError> {
    if path.is_root() {
        return Ok(true);
    }
    let at = |commit: &Commit<'_>| commit.tree().map(|tree| tree.get_path(path.as_str().as_ref()).ok().map(|entry| (entry.id(), entry.filemode())));
    let here = at(commit).map_err(failed)?;
    if commit.parent_count() == 0 {
        return Ok(here.is_some());
    }
    for parent in commit.parents() {
        if at(&parent).map_err(failed)? == here {
            return Ok(false);
        }
    }
    Ok(true)
}

fn changed_files(
    repo: &Repository,
    commit: &Commit<'_>,
    within: &RepoPath,
    filter: &OutputFilter,
    cancel: &CancellationToken,
) -> Result<Vec<String>, ToolError> {
    let (base, tree) = (commit::base(commit)?, commit.tree().map_err(failed)?);
    let changes = match change::between_trees(repo, base.as_ref(), Some(&tree), within, cancel) {
        Err(error) if error.kind == ToolErrorKind::TooLarge => return Ok(vec!["… too many to name".to_owned()]),
        changes => change::visible(repo, changes?, filter),
    };
    let more = changes.len().saturating_sub(MOST_FILES);
    let mut names: Vec<String> = changes.iter().take(MOST_FILES).map(|change| format!("{} {}", change.status(), change.path)).collect();
    if more > 0 {
        names.push(format!("… {more} more"));
    }
    Ok(names)
}
