//! Where things happen: systems, repositories, namespaces, environments.

use std::collections::BTreeMap;
use std::time::Duration;

use opsgate_tools::mode::Mode;
use opsgate_tools::scope::ScopeKind;

use super::super::catalogue::is_local;
use super::super::decision::ChangePart;
use super::super::diagnostics::At;
use super::super::glob::{Pattern, Subject};
use super::super::hours::Hours;
use super::super::model::{AllowDeny, Environment, Namespace, Repository, System, Tier};
use super::super::normalise::fold;
use super::super::yaml::Node;
use super::{Reader, keys};

/// One bit each in a call's set of environments.
const MAX_ENVIRONMENTS: usize = 32;

impl Reader<'_> {
    pub(super) fn systems(&mut self, node: &Node, longest: Duration) -> BTreeMap<String, System> {
        let mut systems = BTreeMap::new();
        let catalogue = self.catalogue;
        let known = catalogue.systems();
        for (name, entry) in self.entries(node, "`systems`") {
            if !known.contains(&name.value.as_str()) {
                self.error(name.at, format!("there is no system `{}`", name.value), self.did_you_mean(&name.value, known.iter().copied()));
                continue;
            }
            let system = self.system(&name.value, entry, longest);
            systems.insert(name.value.clone(), system);
        }
        systems
    }

    fn system(&mut self, name: &str, node: &Node, longest: Duration) -> System {
        let fields = self.fields(node, &format!("the system `{name}`"), keys::system(name));
        let default = if is_local(name) { Mode::ReadOnly } else { Mode::Mock };
        let mut mode = fields.get("mode").map_or(Some(default), |node| self.word(node, "mode", &Mode::ALL));
        if let Some(node) = fields.get("mode").filter(|_| is_local(name) && mode == Some(Mode::Mock)) {
            self.warn(node.at, format!("`{name}` is on this machine, with nothing to mock: it is only read"), "write `read_only`".to_owned());
            mode = Some(Mode::ReadOnly);
        }
        let roots = fields.get("roots").map(|node| self.roots(node));
        let commands = fields.get("commands").map(|node| self.commands(node, longest)).unwrap_or_default();
        let author = fields.get("author").and_then(|node| self.author(node));
        let mut lists = Vec::new();
        for (key, kind) in [("log_groups", ScopeKind::LogGroup), ("channels", ScopeKind::Channel), ("projects", ScopeKind::Project)] {
            if let Some(node) = fields.get(key) {
                lists.push((kind, self.bare(node, key, Subject::Scope(kind))));
            }
        }
        if let Some(node) = fields.get("metrics") {
            let services = self.entries(node, "metrics");
            let metrics = services.into_iter().flat_map(|(_, list)| self.bare(list, "metrics", Subject::Scope(ScopeKind::Metric))).collect();
            lists.push((ScopeKind::Metric, metrics));
        }
        // A mode that does not parse is an error of the file; until then nothing runs.
        System { mode: mode.unwrap_or(Mode::Blocked), roots, commands, author, lists }
    }

    fn roots(&mut self, node: &Node) -> Vec<Pattern> {
        let roots = self.globs(node, "roots", Subject::Folder);
        for root in &roots {
            let text = root.value.text();
            if !(text.starts_with('/') || text == "~" || text.starts_with("~/")) {
                self.error(root.at, format!("the root `{text}` is not a whole path"), "begin with `/`, or `~/` for the caller's home".to_owned());
            }
        }
        roots.into_iter().map(|root| root.value).collect()
    }

    pub(super) fn repositories(&mut self, node: &Node) -> Vec<Repository> {
        let mut repositories = Vec::new();
        for (name, entry) in self.entries(node, "`repositories`") {
            let fields = self.fields(entry, "a repository", keys::REPOSITORY);
            let write = fields.get("write").and_then(|node| self.boolean(node, "write"));
            let tools = fields.get("tools").map(|node| self.allow_deny(node, "tools", Subject::Tool)).unwrap_or_default();
            let paths = fields.get("paths").map(|node| self.allow_deny(node, "paths", Subject::Scope(ScopeKind::Path))).unwrap_or_default();
            let refs = fields.get("refs").map(|node| self.allow_deny(node, "refs", Subject::Scope(ScopeKind::Ref))).unwrap_or_default();
            if let Some(pattern) = self.key_glob(name, Subject::Scope(ScopeKind::Repo)) {
                if write == Some(true) && matches!(pattern.value.text(), "*" | "**" | "*/*" | "**/*") {
                    self.warn(pattern.at, "every repository may be written to", "name the ones that may".to_owned());
                }
                repositories.push(Repository { pattern, write, tools, paths, refs });
            }
        }
        repositories
    }

    fn allow_deny(&mut self, node: &Node, what: &str, subject: Subject) -> AllowDeny {
        let fields = self.fields(node, what, keys::ALLOW_DENY);
        let allow = fields.get("allow").map(|node| self.globs(node, &format!("{what}.allow"), subject));
        let deny = fields.get("deny").map(|node| self.globs(node, &format!("{what}.deny"), subject)).unwrap_or_default();
        for glob in allow.iter().flatten().chain(&deny) {
            match subject {
                Subject::Tool => self.known_tool(glob),
                Subject::Scope(ScopeKind::Path) => self.only_at_the_root(glob),
                _ => {}
            }
        }
        let bare = |globs: Vec<At<Pattern>>| globs.into_iter().map(|glob| glob.value).collect();
        AllowDeny { allow: allow.map(bare), deny: bare(deny) }
    }

    pub(super) fn namespaces(&mut self, node: &Node) -> Vec<Namespace> {
        let mut namespaces = Vec::new();
        for (name, entry) in self.entries(node, "`namespaces`") {
            let tier = self.word(entry, "a namespace", &Tier::ALL);
            if let (Some(pattern), Some(tier)) = (self.key_glob(name, Subject::Scope(ScopeKind::Namespace)), tier) {
                namespaces.push(Namespace { pattern: pattern.value, tier });
            }
        }
        namespaces
    }

    pub(super) fn environments(&mut self, node: &Node, groups: &BTreeMap<String, Vec<String>>) -> Vec<Environment> {
        let mut environments: Vec<Environment> = Vec::new();
        for (name, entry) in self.entries(node, "`environments`") {
            if environments.len() == MAX_ENVIRONMENTS {
                self.error(name.at, format!("there are more than {MAX_ENVIRONMENTS} environments"), None);
                break;
            }
            let fields = self.fields(entry, "an environment", keys::ENVIRONMENT);
            let aliases = fields.get("aliases").map(|node| self.few_texts(node, "aliases")).unwrap_or_default();
            for alias in aliases.iter().chain([name]) {
                // Without regard to case: a namespace is found so, and two that look alike are one misspelt.
                let taken = |other: &Environment| other.aliases.iter().chain([&other.name]).any(|name| fold(name) == fold(&alias.value));
                if let Some(other) = environments.iter().find(|other| taken(other)) {
                    self.error(alias.at, format!("`{}` names the environment `{}` already", alias.value, other.name), None);
                }
            }
            let mut targets = Vec::new();
            if let Some(node) = fields.get("match") {
                let names: Vec<&'static str> = keys::targets().map(|(key, _)| key).collect();
                let scopes = self.fields(node, "match", &names);
                for (key, kind) in keys::targets() {
                    if let Some(list) = scopes.get(key) {
                        targets.push((kind, self.bare(list, key, Subject::Scope(kind))));
                    }
                }
            }
            environments.push(Environment {
                name: name.value.clone(),
                aliases: aliases.into_iter().map(|alias| alias.value).collect(),
                targets,
                approvals: fields.get("approvals").map(|node| self.quorums(node, groups)).unwrap_or_default(),
                mfa: fields.get("mfa").and_then(|node| self.word(node, "mfa", keys::MFA)).unwrap_or(false),
                require: fields.get("require").map(|node| self.change_parts(node)).unwrap_or_default(),
                expires: fields.get("expires").and_then(|node| self.duration(node, "expires")),
                hours: fields.get("hours").and_then(|node| self.hours(node)),
            });
        }
        environments
    }

    fn change_parts(&mut self, node: &Node) -> Vec<ChangePart> {
        self.items(node, "require").iter().filter_map(|item| self.word(item, "require", &ChangePart::ALL)).collect()
    }

    pub(super) fn hours(&mut self, node: &Node) -> Option<Hours> {
        let text = self.text(node, "hours")?;
        Hours::parse(&text.value).map_err(|(message, help)| self.error(text.at, message, help)).ok()
    }

    fn key_glob(&mut self, name: &At<String>, subject: Subject) -> Option<At<Pattern>> {
        match Pattern::parse(&name.value, subject) {
            Ok(value) => Some(At { value, at: name.at }),
            Err((message, help)) => {
                self.error(name.at, message, help);
                None
            }
        }
    }

    fn bare(&mut self, node: &Node, what: &str, subject: Subject) -> Vec<Pattern> {
        self.globs(node, what, subject).into_iter().map(|glob| glob.value).collect()
    }
}
