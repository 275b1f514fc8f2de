//! Policy, tested from its text.

mod bad_input;
mod decisions;
mod diff;
mod errors;
mod globs;
mod laws;
mod nested;
mod page;
mod paths;
mod production;
mod risk;
mod schema;
mod shipped;
mod yaml_both;

use std::sync::LazyLock;

use opsgate_tools::scope::{ScopeKind, Scopes};
use opsgate_tools::tool::Class;

use super::*;

/// A catalogue with read and write tools of several systems.
pub(super) fn catalogue() -> Catalogue {
    Catalogue::of([
        ("policy_whoami", "policy", Class::Read),
        ("policy_explain", "policy", Class::Read),
        ("workspace_read_file", "workspace", Class::Read),
        ("workspace_list_directory", "workspace", Class::Read),
        ("workspace_search_code", "workspace", Class::Read),
        ("workspace_service_status", "workspace", Class::Read),
        ("workspace_write_file", "workspace", Class::Write),
        ("workspace_commit", "workspace", Class::Write),
        ("workspace_install_dependency", "workspace", Class::Write),
        ("github_get_file", "github", Class::Read),
        ("github_create_issue", "github", Class::Write),
        ("github_actions", "github", Class::Write),
        ("kubernetes_list", "kubernetes", Class::Read),
        ("kubernetes_scale", "kubernetes", Class::Write),
        ("slack_post_summary", "slack", Class::Write),
    ])
}

pub(super) fn policy(text: &str) -> Policy {
    Policy::parse(text, "policy.yaml", &catalogue()).unwrap_or_else(|errors| panic!("{errors}"))
}

/// A call as the tests write it.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) caller: String,
    pub(super) tool: &'static str,
    pub(super) scopes: Scopes,
    pub(super) trigger: Trigger,
    pub(super) env_off: bool,
    pub(super) same_user: bool,
    pub(super) change: Vec<ChangePart>,
    pub(super) now: jiff::Timestamp,
}

impl Ask {
    pub(super) fn new(tool: &'static str, scopes: &[(ScopeKind, &str)]) -> Self {
        let scopes = scopes.iter().fold(Scopes::none("nothing is touched"), |all, (kind, value)| all.and(*kind, *value));
        let now = "2026-11-20T12:00:00Z".parse().unwrap(); // a Friday
        Self {
            caller: "local:uid=1000".to_owned(),
            tool,
            scopes,
            trigger: Trigger::Client,
            env_off: false,
            same_user: false,
            change: Vec::new(),
            now,
        }
    }

    pub(super) fn by(mut self, caller: &str) -> Self {
        caller.clone_into(&mut self.caller);
        self
    }

    pub(super) fn facts<R>(&self, use_them: impl FnOnce(&Facts<'_>) -> R) -> R {
        static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(catalogue);
        let listed = CATALOGUE.tools().find(|(name, _)| *name == self.tool).map(|(_, listed)| listed.clone());
        let (system, class) = listed.map_or((String::new(), Class::Read), |listed| (listed.system, listed.class));
        use_them(&Facts {
            caller: &self.caller,
            tool: self.tool,
            system: &system,
            class,
            scopes: &self.scopes,
            trigger: self.trigger,
            write_mode_env_off: self.env_off,
            same_user: self.same_user,
            change: &self.change,
            now: self.now,
        })
    }

    pub(super) fn of(&self, policy: &Policy) -> Decision {
        self.facts(|facts| policy.decide(facts))
    }

    pub(super) fn explained(&self, policy: &Policy) -> Explanation {
        self.facts(|facts| policy.explain(facts))
    }

    /// `permit`, `needs_approval`, or the code of the denial.
    pub(super) fn outcome(&self, policy: &Policy) -> String {
        match self.of(policy) {
            Decision::Deny(denial) => serde_json::to_value(denial.code).unwrap().as_str().unwrap().to_owned(),
            other => other.name().to_owned(),
        }
    }
}
