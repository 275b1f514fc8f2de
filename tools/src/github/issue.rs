//! An issue as GitHub describes it, as far as the tools use it: what else comes is not read, and what is missing is told.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::names::RepoRef;
use crate::error::{ToolError, ToolErrorKind};

#[derive(Debug, Deserialize)]
pub(super) struct Issue {
    pub(super) number: u64,
    pub(super) title: String,
    pub(super) state: String,
    pub(super) html_url: String,
    pub(super) created_at: String,
    pub(super) updated_at: String,
    #[serde(default)]
    pub(super) comments: u64,
    pub(super) body: Option<String>,
    #[serde(default)]
    labels: Vec<Label>,
    user: Option<User>,
    repository_url: String,
    pull_request: Option<IgnoredAny>,
}

/// A label is an object, or in old answers its name.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Label {
    Object { name: Option<String> },
    Name(String),
}

#[derive(Debug, Deserialize)]
struct User {
    login: String,
}

impl Issue {
    pub(super) fn labels(&self) -> Vec<String> {
        let name = |label: &Label| match label {
            Label::Object { name } => name.clone(),
            Label::Name(name) => Some(name.clone()),
        };
        self.labels.iter().filter_map(name).collect()
    }

    /// `None` is an account that is no more.
    pub(super) fn author(&self) -> Option<String> {
        self.user.as_ref().map(|user| user.login.clone())
    }

    /// GitHub lists pull requests among the issues.
    pub(super) fn is_pull_request(&self) -> bool {
        self.pull_request.is_some()
    }

    /// Fails where the answer is about another repository than was judged.
    pub(super) fn in_repo(&self, repo: &RepoRef) -> Result<(), ToolError> {
        if repo.holds(&self.repository_url) { Ok(()) } else { Err(another_repository(&self.repository_url)) }
    }
}

pub(super) fn another_repository(told: &str) -> ToolError {
    let client = "github's answer is about another repository than was asked for: it may be renamed or moved; name it as it is now";
    ToolError::new(ToolErrorKind::Upstream, client).because(told)
}
