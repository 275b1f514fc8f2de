//! `github_list_issues`: a repository's issues, newest first, without its pull requests.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use opsgate_audit::{Receipt, Written};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::client::{Client, Session};
use super::issue::Issue;
use super::link::PageAt;
use super::names::{Label, RepoRef, escaped};
use crate::cursor::{More, Question, not_ours, stale};
use crate::error::ToolError;
use crate::scope::{OutputFilter, Scopes};
use crate::tool::{CallContext, Card, ReadTool};
use crate::workspace::page::{self, Budget};

/// Bytes of a body that a listing shows.
const BODY: usize = 1500;
/// What stands where a body was cut.
const CUT: &str = "[…]";
/// GitHub's pages that one call reads while they hold nothing but pull requests.
const MOST_PAGES: usize = 4;

pub(super) struct ListIssues(pub(super) Arc<Client>);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = crate::lean::lean)]
pub(super) struct Args {
    /// owner/name
    repo: RepoRef,
    #[serde(default)]
    state: State,
    labels: Option<Vec<Label>>,
    limit: Option<u32>,
    cursor: Option<String>,
}

#[derive(Clone, Copy, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum State {
    #[default]
    Open,
    Closed,
    All,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::All => "all",
        }
    }
}

pub(super) struct Target {
    session: Session,
    repo: RepoRef,
    /// The address without the page.
    address: String,
    question: Question,
    from: Place,
}

/// Where a page of ours begins: a page of GitHub's, and how many of its issues came before.
#[derive(Default)]
struct Place {
    at: PageAt,
    skip: usize,
    seen: u64,
}

#[derive(Serialize, JsonSchema)]
#[schemars(transform = crate::lean::lean)]
pub(super) struct Output {
    issues: Vec<Listed>,
    #[serde(flatten)]
    more: More,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline, transform = crate::lean::row)]
struct Listed {
    number: u64,
    title: String,
    state: String,
    labels: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<String>,
    comments: u64,
    created_at: String,
    updated_at: String,
    html_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
}

impl ReadTool for ListIssues {
    const CARD: Card =
        super::card("github_list_issues", "List issues", "A repository's issues, newest first, with the start of each body. No pull requests.", 0.1);
    type Args = Args;
    type Target = Target;
    type Output = Output;

    async fn resolve(&self, args: Args, cx: &CallContext) -> Result<(Target, Scopes), ToolError> {
        let scopes = args.repo.scope();
        let session = self.0.session(cx).map_err(|error| error.touching(scopes.clone()))?;
        let limit = page::limit(args.limit, 30, 100);
        let labels = args.labels.iter().flatten().map(Label::as_str).collect::<Vec<_>>().join(",");
        let mut address = format!("{}/issues?state={}&per_page={limit}", args.repo.route(), args.state.name());
        if !labels.is_empty() {
            address = format!("{address}&labels={}", escaped(&labels));
        }
        let question = Question::of(&[Self::CARD.name, &address]);
        let from = args.cursor.map_or_else(|| Ok(Place::default()), |cursor| Place::read(&question.place(&cursor)?).ok_or_else(not_ours))?;
        Ok((Target { session, repo: args.repo, address, question, from }, scopes))
    }

    async fn read(&self, target: Target, filter: &OutputFilter, _receipt: Receipt<Written>) -> Result<Output, ToolError> {
        let Target { session, repo, address, question, mut from } = target;
        for left in (0..MOST_PAGES).rev() {
            let answer = session.get::<Vec<Issue>>(&format!("{address}{}", from.at.query())).await?;
            answer.body.iter().try_for_each(|issue| issue.in_repo(&repo))?;
            let issues: Vec<Issue> = answer.body.into_iter().filter(|issue| !issue.is_pull_request()).collect();
            match answer.next {
                Some(next) if issues.is_empty() && left > 0 => from = Place { at: next, ..Place::default() },
                next => {
                    let shown = filter.clone();
                    return tokio::task::spawn_blocking(move || page_of(&issues, from, next, question, &shown)).await.map_err(ToolError::internal)?;
                }
            }
        }
        Err(ToolError::internal("a listing ended without a page"))
    }
}

fn page_of(issues: &[Issue], from: Place, next: Option<PageAt>, question: Question, filter: &OutputFilter) -> Result<Output, ToolError> {
    let mut seen = DefaultHasher::new();
    issues.iter().take(from.skip).for_each(|issue| issue.number.hash(&mut seen));
    if from.skip > 0 && (from.skip >= issues.len() || seen.finish() != from.seen) {
        return Err(stale());
    }
    let mut budget = Budget::new(filter.output_bytes());
    let mut listed = Vec::new();
    for issue in issues.iter().skip(from.skip) {
        let one = Listed::of(issue, filter);
        if !budget.take(serde_json::to_string(&one).map_or(usize::MAX, |text| text.len())) {
            let rest = Place { at: from.at, skip: from.skip + listed.len(), seen: seen.finish() };
            return Ok(Output { issues: listed, more: More::at(Some(question.cursor(&rest.text()))) });
        }
        issue.number.hash(&mut seen);
        listed.push(one);
    }
    let next = next.map(|at| question.cursor(&Place { at, ..Place::default() }.text()));
    Ok(Output { issues: listed, more: More::at(next) })
}

impl Listed {
    fn of(issue: &Issue, filter: &OutputFilter) -> Self {
        // Redacted whole, then cut: a part of a secret would not be known for one.
        let whole = issue.body.clone().filter(|body| !body.is_empty()).map(|body| filter.redacted(body));
        let body = whole.map(|mut body| {
            let end = Budget::new(BODY).cut(body.as_bytes());
            if end < body.len() {
                body.truncate(end);
                body.push_str(CUT);
            }
            body
        });
        Self {
            number: issue.number,
            title: issue.title.clone(),
            state: issue.state.clone(),
            labels: issue.labels(),
            author: issue.author(),
            comments: issue.comments,
            created_at: issue.created_at.clone(),
            updated_at: issue.updated_at.clone(),
            html_url: issue.html_url.clone(),
            body,
        }
    }
}

impl Place {
    fn text(&self) -> String {
        format!("{} {} {}", self.skip, self.seen, self.at.text())
    }

    fn read(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ' ');
        Some(Self { skip: parts.next()?.parse().ok()?, seen: parts.next()?.parse().ok()?, at: PageAt::read(parts.next()?)? })
    }
}
