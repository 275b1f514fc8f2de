//! Rules, and whether each can ever take effect.

use std::collections::BTreeMap;

use opsgate_tools::scope::ScopeKind;
use opsgate_tools::tool::Class;

use super::super::catalogue::forbidden;
use super::super::decision::Trigger;
use super::super::diagnostics::{At, MOST, Pos};
use super::super::glob::{Compare, Pattern, Subject};
use super::super::glob_table::{GlobTable, WILD};
use super::super::model::{Conditions, Effect, File, Rule};
use super::super::yaml::{Node, Value};
use super::{KEYS, Reader, keys};

impl Reader<'_> {
    pub(super) fn rules(&mut self, node: &Node, file: &File) -> Vec<Rule> {
        let items: &[Node] = match &node.value {
            Value::Null => &[],
            Value::List(items) => items,
            other => {
                self.error(node.at, format!("`rules` is a list, and this is {}", other.kind()), "begin each rule with `- id:`".to_owned());
                &[]
            }
        };
        let mut rules: Vec<Rule> = Vec::with_capacity(items.len());
        let mut ids: BTreeMap<String, Pos> = BTreeMap::new();
        let mut bodies: BTreeMap<String, String> = BTreeMap::new();
        for item in items {
            if self.errors.len() >= MOST {
                break;
            }
            let Some(rule) = self.rule(item, file) else { continue };
            if let Some(first) = ids.insert(rule.id.clone(), rule.at) {
                self.error(
                    rule.at,
                    format!("the rule id `{}` stands in line {} already", rule.id, first.line),
                    "give each rule its own id".to_owned(),
                );
            }
            // With too many globs some were left out, and rules look alike that are not.
            if self.is_too_much() {
                continue;
            }
            if let Some(other) = bodies.insert(body(&rule), rule.id.clone()).filter(|other| *other != rule.id) {
                self.error(rule.at, format!("the rule `{}` says what `{other}` says already", rule.id), "keep one".to_owned());
            }
            rules.push(rule);
        }
        rules
    }

    fn rule(&mut self, node: &Node, file: &File) -> Option<Rule> {
        let before = self.errors.len();
        let fields = self.fields(node, "a rule", keys::RULE);
        let id = match fields.get("id") {
            Some(node) => self.text(node, "id").and_then(|id| self.rule_id(id)),
            None => {
                self.error(node.at, "a rule has no `id`", "give it one: `- id: no-credential-files`".to_owned());
                None
            }
        };
        let (effect, body) = match (fields.get("allow"), fields.get("deny")) {
            (Some(body), None) => (Effect::Allow, body),
            (None, Some(body)) => (Effect::Deny, body),
            (Some(_), Some(_)) => {
                let at = fields.key("deny").map_or(node.at, |key| key.at);
                self.error(at, "a rule allows or denies, not both", "make two rules of it".to_owned());
                return None;
            }
            (None, None) => {
                if self.errors.len() == before {
                    self.error(node.at, "a rule has neither `allow` nor `deny`", None);
                }
                return None;
            }
        };
        let when = self.conditions(body, effect, file);
        let approvals = fields.get("approvals").and_then(|node| self.rule_approvals(node, file));
        if let Some(node) = fields.get("approvals") {
            self.approvals_make_sense(node.at, effect, &when);
        }
        let shadow = fields.get("mode").and_then(|node| self.word(node, "mode", keys::SHADOW)).unwrap_or(false);
        let because = fields.get("because").and_then(|node| self.text(node, "because")).map(|text| text.value);
        let (id, at) = id.map(|id| (id.value, id.at))?;
        Some(Rule { id, at, effect, shadow, because, approvals, when })
    }

    fn rule_id(&mut self, id: At<String>) -> Option<At<String>> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if id.value.len() > 100 || !id.value.chars().all(plain) {
            self.error(id.at, format!("`{}` is no rule id", id.value), "use letters, digits, `-`, `_` and `.`".to_owned());
            return None;
        }
        if is_a_setting(&id.value) {
            self.error(id.at, format!("`{}` is a name that opsgate uses itself", id.value), "give it another id".to_owned());
        }
        Some(id)
    }

    fn conditions(&mut self, node: &Node, effect: Effect, file: &File) -> Conditions {
        let word = if effect == Effect::Allow { "allow" } else { "deny" };
        let before = self.errors.len();
        let fields = self.fields(node, word, &keys::conditions());
        let mut when = Conditions {
            roles: fields.get("roles").map(|node| self.few_texts(node, "roles")),
            callers: fields.get("callers").map(|node| {
                let names = self.texts(node, "callers");
                names.iter().filter_map(|name| self.caller_name(name)).collect()
            }),
            tools: fields.get("tools").map(|node| self.globs(node, "tools", Subject::Tool)),
            systems: fields.get("systems").map(|node| self.few_texts(node, "systems")),
            triggers: fields.get("triggers").map(|node| self.triggers(node)),
            environments: fields.get("environments").map(|node| self.few_texts(node, "environments")),
            scopes: Vec::new(),
        };
        for (key, kind) in keys::SCOPES {
            if let Some(node) = fields.get(key) {
                let globs = self.globs(node, key, Subject::Scope(*kind));
                if *kind == ScopeKind::Path {
                    globs.iter().for_each(|glob| self.only_at_the_root(glob));
                }
                when.scopes.push((*kind, globs));
            }
        }
        let says_nothing = matches!(&node.value, Value::Null) || matches!(&node.value, Value::Map(entries) if entries.is_empty());
        if says_nothing && self.errors.len() == before {
            self.error(node.at, format!("`{word}` names nothing"), format!("to {word} everything, write `{word}: {{tools: [\"*\"]}}`"));
        }
        self.names_exist(&when, effect, file);
        when
    }

    fn triggers(&mut self, node: &Node) -> Vec<Trigger> {
        self.items(node, "triggers").iter().filter_map(|item| self.word(item, "triggers", &Trigger::ALL)).collect()
    }

    fn names_exist(&mut self, when: &Conditions, effect: Effect, file: &File) {
        for role in when.roles.iter().flatten() {
            // Looking for the nearest name is work, and no more warnings are told than this.
            if self.roles.contains(&role.value) || self.warnings.len() >= MOST {
                continue;
            }
            let roles = self.roles.iter().map(String::as_str);
            let message = format!("no caller has the role `{}`", role.value);
            // Never an error: whoever takes the last caller with a role away must not be left with the policy in which it is there.
            let help = self.did_you_mean(&role.value, roles);
            self.warn(role.at, message, help);
        }
        let catalogue = self.catalogue;
        for system in when.systems.iter().flatten() {
            let known = catalogue.systems();
            if !known.contains(&system.value.as_str()) {
                let globbed = system.value.contains(WILD).then(|| "a system is named whole, without wildcards".to_owned());
                let help = globbed.or_else(|| self.did_you_mean(&system.value, known.iter().copied()));
                self.error(system.at, format!("there is no system `{}`", system.value), help);
            } else if !file.systems.contains_key(&system.value) {
                let help = (effect == Effect::Allow).then(|| "list it under `systems`".to_owned());
                self.warn(system.at, format!("the policy does not list the system `{}`, so all of it is refused", system.value), help);
            }
        }
        for environment in when.environments.iter().flatten() {
            let names = file.environments.iter().flat_map(|one| one.aliases.iter().chain([&one.name])).map(String::as_str);
            if !names.clone().any(|name| name == environment.value) {
                self.error(environment.at, format!("there is no environment `{}`", environment.value), self.did_you_mean(&environment.value, names));
            }
        }
        for tool in when.tools.iter().flatten() {
            if let Some(entry) = forbidden(tool.value.text()).filter(|_| effect == Effect::Allow) {
                self.error(tool.at, format!("`{}` never runs, whatever a policy says", entry.name), entry.because.to_owned());
                continue;
            }
            self.known_tool(tool);
            if effect == Effect::Allow && !tool.value.is_literal() && self.tools_of(&tool.value).any(|class| class == Class::Write) {
                self.warn(
                    tool.at,
                    format!("`{}` allows writes that it does not name", tool.value.text()),
                    "name each tool that may write".to_owned(),
                );
            }
        }
        if let (Some(tools), Some(systems)) = (&when.tools, &when.systems) {
            let fits = |tool: &At<Pattern>| {
                let in_system = |system: &str| systems.iter().any(|one| one.value == system);
                catalogue.tools().any(|(name, listed)| in_system(&listed.system) && tool.value.matches_once(Compare::Exact, name))
                    || catalogue.system_to_come(tool.value.text()).is_some_and(in_system)
            };
            if let Some(first) = tools.first().filter(|_| !tools.iter().any(fits)) {
                self.error(first.at, "the rule can never match: none of its tools belongs to its systems", None);
            }
        }
    }

    fn tools_of(&self, glob: &Pattern) -> impl Iterator<Item = Class> {
        let named = if glob.is_literal() { self.catalogue.tool(glob.text()).map(|(_, class)| class) } else { None };
        let table = if glob.is_literal() { None } else { GlobTable::of([glob], Compare::Exact).ok() };
        let matched = table.into_iter().flat_map(|table| self.catalogue.tools().filter(move |(name, _)| table.is_match(name)));
        named.into_iter().chain(matched.map(|(_, listed)| listed.class))
    }

    /// A tool that is named must exist, or belong to a system whose tools are still to come.
    pub(super) fn known_tool(&mut self, tool: &At<Pattern>) {
        let text = tool.value.text();
        let catalogue = self.catalogue;
        if catalogue.knows_tool(text) || forbidden(text).is_some() || self.tools_of(&tool.value).next().is_some() || text == "*" {
            return;
        }
        if let Some(system) = catalogue.system_to_come(text) {
            self.warn(tool.at, format!("this version has no tools of `{system}` yet, so `{text}` matches nothing"), None);
            return;
        }
        let help = self.did_you_mean(text, catalogue.tools().map(|(name, _)| name));
        let message = if tool.value.is_literal() { format!("there is no tool `{text}`") } else { format!("no tool matches `{text}`") };
        self.error(tool.at, message, help);
    }

    /// `*.pem` as a path means only those at the root, which is seldom meant.
    pub(super) fn only_at_the_root(&mut self, glob: &At<Pattern>) {
        let text = glob.value.text();
        if !text.contains('/') && text != "*" && text != "**" && text.contains(['*', '?']) {
            self.warn(glob.at, format!("`{text}` matches only at the repository's root"), format!("write `**/{text}` for every folder"));
        }
    }

    fn approvals_make_sense(&mut self, at: Pos, effect: Effect, when: &Conditions) {
        if effect == Effect::Deny {
            self.error(at, "a deny rule asks for no approvals", "drop `approvals`".to_owned());
            return;
        }
        let Some(tools) = &when.tools else { return };
        let classes: Vec<Class> = tools.iter().flat_map(|tool| self.tools_of(&tool.value)).collect();
        if !classes.is_empty() && !classes.contains(&Class::Write) {
            self.error(at, "approvals belong to writes, and this rule allows only reads", "drop `approvals`".to_owned());
        }
    }
}

/// Whether records and refusals name a setting so: by its key in the file, and what is beneath it.
// INVARIANT: what decided is a rule or a setting, never either (test: no_rule_has_the_name_of_a_setting).
fn is_a_setting(name: &str) -> bool {
    let key = name.split_once('.').map_or(name, |(key, _)| key);
    KEYS.contains(&key)
}

/// All that a rule says, in one spelling.
pub(in super::super) fn said(rule: &Rule) -> String {
    format!("{} {} {:?}", rule.id, body(rule), rule.approvals)
}

/// What a rule does and when, in one spelling, so that the same rule written twice is seen. No name has a control character.
fn body(rule: &Rule) -> String {
    let when = &rule.when;
    let mut text = String::with_capacity(160);
    text.push_str(if rule.shadow { "shadow " } else { "" });
    text.push_str(if rule.effect == Effect::Deny { "deny" } else { "allow" });
    let mut add = |name: &str, mut items: Vec<&str>| {
        items.sort_unstable();
        text.push('\u{1}');
        text.push_str(name);
        items.iter().for_each(|item| text.extend(["\u{2}", item]));
    };
    for (name, list) in [("roles", &when.roles), ("systems", &when.systems), ("environments", &when.environments)] {
        list.iter().for_each(|list| add(name, list.iter().map(|one| one.value.as_str()).collect()));
    }
    for (name, list) in [("callers", &when.callers), ("tools", &when.tools)] {
        list.iter().for_each(|list| add(name, list.iter().map(|one| one.value.text()).collect()));
    }
    when.triggers.iter().for_each(|list| add("triggers", list.iter().map(|one| one.name()).collect()));
    when.scopes.iter().for_each(|(kind, list)| add(kind.name(), list.iter().map(|one| one.value.text()).collect()));
    text
}
