//! `github_create_issue`: opens an issue.

use std::sync::Arc;

use opsgate_audit::{Durable, Receipt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::client::{Client, Session};
use super::issue::Issue;
use super::names::{Label, RepoRef};
use crate::error::ToolError;
use crate::scope::{OutputFilter, Scopes};
use crate::tool::{CallContext, Card, Preview, WriteTool};

/// GitHub's own bounds, in characters.
const LONGEST_TITLE: usize = 256;
const LONGEST_BODY: usize = 65_536;
const MOST_LABELS: usize = 20;

pub(super) struct CreateIssue(pub(super) Arc<Client>);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = crate::lean::lean)]
pub(super) struct Args {
    /// owner/name
    repo: RepoRef,
    title: String,
    /// Markdown
    body: Option<String>,
    #[serde(default)]
    labels: Vec<Label>,
}

pub(super) struct Target {
    session: Session,
    repo: RepoRef,
    request: NewIssue,
}

/// What is sent, and what a preview shows.
#[derive(Debug, Clone, Serialize)]
struct NewIssue {
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    labels: Vec<Label>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(transform = crate::lean::lean)]
pub(super) struct Output {
    number: u64,
    html_url: String,
    state: String,
    title: String,
    /// that github set
    labels: Vec<String>,
}

impl WriteTool for CreateIssue {
    const CARD: Card = super::card("github_create_issue", "Open an issue", "Opens an issue.", 0.3);
    type Args = Args;
    type Target = Target;
    type Output = Output;

    async fn resolve(&self, args: Args, cx: &CallContext) -> Result<(Target, Scopes), ToolError> {
        let scopes = args.repo.scope();
        let Args { repo, title, body, labels } = args;
        let title = title.trim().to_owned();
        let long = |text: &str, most: usize| text.chars().nth(most).is_some();
        if title.is_empty() || long(&title, LONGEST_TITLE) || title.contains(char::is_control) {
            return Err(ToolError::invalid(format!("the title is one line of 1 to {LONGEST_TITLE} characters")).touching(scopes));
        }
        if body.as_deref().is_some_and(|body| long(body, LONGEST_BODY)) || labels.len() > MOST_LABELS {
            let client = format!("the body has at most {LONGEST_BODY} characters, and there are at most {MOST_LABELS} labels");
            return Err(ToolError::invalid(client).touching(scopes));
        }
        let session = self.0.session(cx).map_err(|error| error.touching(scopes.clone()))?;
        Ok((Target { session, repo, request: NewIssue { title, body, labels } }, scopes))
    }

    fn reference(output: &Output) -> Option<String> {
        Some(output.html_url.clone())
    }

    async fn preview(&self, target: &Target, _filter: &OutputFilter) -> Result<Preview, ToolError> {
        Ok(Preview {
            summary: format!("open an issue in {}: {}", target.repo.as_str(), target.request.title),
            change: json!({ "method": "POST", "path": address(&target.repo), "body": target.request }),
        })
    }

    async fn write(&self, target: Target, _filter: &OutputFilter, _receipt: Receipt<Durable>) -> Result<Output, ToolError> {
        let issue: Issue = target.session.post(&address(&target.repo), &target.request).await?.body;
        issue.in_repo(&target.repo).map_err(ToolError::maybe_done)?;
        Ok(Output { number: issue.number, labels: issue.labels(), html_url: issue.html_url, state: issue.state, title: issue.title })
    }
}

fn address(repo: &RepoRef) -> String {
    format!("{}/issues", repo.route())
}
