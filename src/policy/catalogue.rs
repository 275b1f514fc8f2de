//! The names a policy may use: the tools there are, and the systems opsgate is designed for.

use std::collections::BTreeMap;

use opsgate_tools::registry::FORBIDDEN;
use opsgate_tools::tool::{Card, Class};

use super::risk::Risk;

/// The systems of the design. A policy may list one before this version has a tool for it.
pub(super) const SYSTEMS: &[&str] = &[
    "alertmanager",
    "approval",
    "audit",
    "cloudwatch",
    "cost",
    "discord",
    "github",
    "grafana",
    "helm",
    "incident",
    "jira",
    "kubernetes",
    "loki",
    "pagerduty",
    "policy",
    "postgres",
    "prometheus",
    "secrets",
    "slack",
    "supabase",
    "teamcity",
    "terraform",
    "workspace",
];

/// The systems that are opsgate itself or this machine: they have no credential and nothing to mock.
const LOCAL: &[&str] = &["approval", "audit", "incident", "policy", "workspace"];

/// Which tools and systems exist, so that a policy that names others is an error and not a hole.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    tools: BTreeMap<String, Listed>,
}

/// What policy knows of a tool.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    pub(super) system: String,
    pub(super) class: Class,
    pub(super) risk: Risk,
    pub(super) destructive: bool,
    /// Whether a file of cases declares it, and this version does not have it.
    pub(super) to_come: bool,
}

impl Catalogue {
    /// The catalogue of these tools: name, system, class. Each has the least risk of its class.
    pub fn of<'n>(tools: impl IntoIterator<Item = (&'n str, &'n str, Class)>) -> Self {
        tools.into_iter().fold(Self::default(), |all, (name, system, class)| all.with(name, system, class))
    }

    /// The catalogue of these tools: their cards, their class, and whether they are destructive.
    pub fn of_tools(tools: impl IntoIterator<Item = (Card, Class, bool)>) -> Self {
        let listed = |(card, class, destructive): (Card, Class, bool)| {
            (card.name.to_owned(), Listed { system: card.system.to_owned(), class, risk: Risk::of(card.risk.into()), destructive, to_come: false })
        };
        Self { tools: tools.into_iter().map(listed).collect() }
    }

    pub(super) fn tools(&self) -> impl Iterator<Item = (&str, &Listed)> + Clone {
        self.tools.iter().map(|(name, listed)| (name.as_str(), listed))
    }

    /// The same with one tool more, of the least risk of its class.
    pub(super) fn with(mut self, name: &str, system: &str, class: Class) -> Self {
        let risk = Risk::of(if class == Class::Read { 0.1 } else { 0.3 });
        self.tools.insert(name.to_owned(), Listed { system: system.to_owned(), class, risk, destructive: false, to_come: false });
        self
    }

    /// The same with a tool that this version does not have: its system stays one whose tools are still to come.
    pub(super) fn with_to_come(mut self, name: &str, system: &str, class: Class) -> Self {
        self = self.with(name, system, class);
        if let Some(listed) = self.tools.get_mut(name) {
            listed.to_come = true;
        }
        self
    }

    /// The system and the class of a tool.
    pub(super) fn tool(&self, name: &str) -> Option<(&str, Class)> {
        self.tools.get(name).map(|listed| (listed.system.as_str(), listed.class))
    }

    /// A tool's own name, its system and its class.
    pub(super) fn named(&self, name: &str) -> Option<(&str, &str, Class)> {
        self.tools.get_key_value(name).map(|(name, listed)| (name.as_str(), listed.system.as_str(), listed.class))
    }

    pub(super) fn knows_tool(&self, name: &str) -> bool {
        self.tools.contains_key(name)
    }

    /// Every system that may be listed: those of the design and those that have tools.
    pub(super) fn systems(&self) -> Vec<&str> {
        let mut all: Vec<&str> = SYSTEMS.iter().copied().chain(self.tools.values().map(|tool| tool.system.as_str())).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The system of the design whose tools this version does not have yet and to which this name or glob belongs.
    pub(super) fn system_to_come(&self, tool: &str) -> Option<&'static str> {
        let has_tools = |system: &str| self.tools.values().any(|listed| listed.system == system && !listed.to_come);
        SYSTEMS.iter().copied().find(|system| {
            let rest = tool.strip_prefix(system).and_then(|rest| rest.strip_prefix('_'));
            rest.is_some_and(|rest| !rest.is_empty()) && !has_tools(system)
        })
    }
}

/// Whether a name is in the catalogue only to be refused.
pub(super) fn forbidden(tool: &str) -> Option<&'static opsgate_tools::registry::Forbidden> {
    FORBIDDEN.iter().find(|entry| entry.name == tool)
}

/// Whether a system is opsgate itself or this machine.
pub(super) fn is_local(system: &str) -> bool {
    LOCAL.contains(&system)
}
