//! The tools there are, by name, and the names that exist only to be refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::erased::Tool;

/// A name that is in the catalogue so that asking for it gets a reason, and that nothing ever runs.
#[derive(Debug, Clone, Copy)]
pub struct Forbidden {
    /// The name a client may try.
    pub name: &'static str,
    /// The system it would belong to.
    pub system: &'static str,
    /// Why it never runs.
    pub because: &'static str,
}

/// What opsgate does not do, whatever a policy says.
pub const FORBIDDEN: &[Forbidden] = &[
    Forbidden { name: "workspace_force_push", system: "workspace", because: "history that others rely on is never rewritten by an agent" },
    Forbidden { name: "workspace_delete_branch", system: "workspace", because: "a branch is deleted by a person" },
    Forbidden { name: "workspace_merge", system: "workspace", because: "a merge is a person's decision" },
    Forbidden { name: "github_merge_pull_request", system: "github", because: "a merge is a person's decision" },
    Forbidden { name: "github_delete_branch", system: "github", because: "a branch is deleted by a person" },
    Forbidden { name: "github_force_push", system: "github", because: "history that others rely on is never rewritten by an agent" },
    Forbidden { name: "deploy_to_production", system: "deploy", because: "a deployment belongs to the pipeline that reviews it" },
    Forbidden { name: "delete_database", system: "database", because: "data is deleted by a person with a backup at hand" },
    Forbidden { name: "modify_secrets", system: "secrets", because: "a secret's value is never set through a model; rotate it at its provider" },
];

/// Two tools of one name: a defect, told at start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("two tools are named `{0}`")]
pub struct DuplicateTool(pub &'static str);

/// The tools of a gateway, sorted by name.
#[derive(Clone, Default)]
pub struct Registry {
    tools: BTreeMap<&'static str, Arc<dyn Tool>>,
}

impl Registry {
    /// A registry of these tools.
    ///
    /// # Errors
    /// [`DuplicateTool`] where a name stands twice or is one of the forbidden ones.
    pub fn new(tools: impl IntoIterator<Item = Arc<dyn Tool>>) -> Result<Self, DuplicateTool> {
        let mut registry = Self::default();
        for tool in tools {
            let name = tool.spec().card.name;
            if FORBIDDEN.iter().any(|f| f.name == name) || registry.tools.insert(name, tool).is_some() {
                return Err(DuplicateTool(name));
            }
        }
        Ok(registry)
    }

    /// The tool of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Arc<dyn Tool>> {
        self.tools.get(name)
    }

    /// All tools, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Tool>> {
        self.tools.values()
    }
}
