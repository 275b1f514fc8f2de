//! Policy unit tests: tree → cases. `each` and `defaults` are resolved here, so that a case is one call.

use std::collections::{BTreeMap, BTreeSet};

use opsgate_tools::scope::{ScopeKind, Scopes};
use opsgate_tools::tool::Class;

use super::super::asked::Asked;
use super::super::cases::{Case, CaseFile, Expected};
use super::super::catalogue::forbidden;
use super::super::decision::{ChangePart, DenialCode, Quorum, Trigger};
use super::super::diagnostics::{At, Pos};
use super::super::review::touches::cannot_touch;
use super::super::yaml::{Node, Value};
use super::Reader;
use super::keys::SCOPES;

const FILE_KEYS: &[&str] = &["policy", "tools", "defaults", "cases"];
const FACTS: &[&str] = &["caller", "tool", "change", "now", "trigger", "same_user", "write_mode_env_off"];
const EXPECTATIONS: &[&str] = &["expect", "rule", "code", "approvals", "shadow"];
const DECISIONS: [(&str, &str); 3] = [("permit", "permit"), ("needs_approval", "needs_approval"), ("deny", "deny")];
/// The most calls of one file, `each` resolved.
const MOST_CASES: usize = 10_000;
/// A Wednesday noon: where a case says no time, its answer must not depend on the day it is run.
const NOON: jiff::Timestamp = jiff::Timestamp::constant(1_735_732_800, 0);

/// The facts of one call, by the name of the fact; of `path` and `paths` the first.
type Given<'n> = BTreeMap<&'static str, &'n Node>;

/// What all cases of a file share.
struct Shared<'n> {
    /// The names of all facts.
    known: Vec<&'static str>,
    defaults: Given<'n>,
    /// Tools to come: name, system, class.
    tools: Vec<(String, String, Class)>,
}

/// A kind of thing touched: its name for one value and for several.
fn kinds() -> impl Iterator<Item = (&'static str, &'static str, ScopeKind)> + Clone {
    SCOPES.iter().map(|(several, kind)| (kind.name(), *several, *kind)).chain([("tree", "trees", ScopeKind::Tree)])
}

impl Reader<'_> {
    /// The whole file. What is wrong is in `errors`, and the cases are then not to be run.
    pub(in super::super) fn case_file(&mut self, root: &Node) -> CaseFile {
        let fields = self.fields(root, "a file of cases", FILE_KEYS);
        let policy = fields.get("policy").and_then(|node| self.text(node, "policy")).map(|text| text.value);
        let tools = fields.get("tools").map(|node| self.tools_to_come(node)).unwrap_or_default();
        let known: Vec<&'static str> = FACTS.iter().copied().chain(kinds().flat_map(|(one, several, _)| [one, several])).collect();
        let defaults = fields.get("defaults").map(|node| self.given(node, "`defaults`", &known)).unwrap_or_default();
        let shared = Shared { known, defaults, tools };
        let mut cases = Vec::new();
        match fields.get("cases").map(|node| (node, &node.value)) {
            Some((node, Value::List(_))) => {
                let mut names = BTreeSet::new();
                for item in self.items(node, "`cases`") {
                    self.case(item, &shared, &mut names, &mut cases);
                }
            }
            Some((node, _)) => self.error(node.at, "`cases` is a list", "begin each case with `- name:`".to_owned()),
            None => self.error(root.at, "the file has no `cases`, so it tests nothing", "write `cases:` and a list".to_owned()),
        }
        CaseFile { policy, tools: shared.tools, cases }
    }

    /// Tools of systems of the design that this version has no tools of: what a policy says of them can be tested before they are there.
    fn tools_to_come(&mut self, node: &Node) -> Vec<(String, String, Class)> {
        let mut tools = Vec::new();
        for (name, class) in self.entries(node, "`tools`") {
            let class = self.word(class, "a tool", &[(Class::Read, "read"), (Class::Write, "write")]);
            match (self.catalogue.system_to_come(&name.value), class) {
                (Some(system), Some(class)) => tools.push((name.value.clone(), system.to_owned(), class)),
                (Some(_), None) => {}
                (None, _) => self.error(
                    name.at,
                    format!("`{}` is no tool of a system whose tools are still to come", name.value),
                    "what this version has needs no line here".to_owned(),
                ),
            }
        }
        tools
    }

    /// The facts of a mapping, those of `known` only.
    fn given<'n>(&mut self, node: &'n Node, what: &str, known: &[&'static str]) -> Given<'n> {
        let fields = self.fields(node, what, known);
        let mut given: Given<'n> = FACTS.iter().filter_map(|key| fields.get(key).map(|node| (*key, node))).collect();
        for (one, several, _) in kinds() {
            if let (Some(_), Some(key)) = (fields.get(one), fields.key(several)) {
                self.error(key.at, format!("{what} says both `{one}` and `{several}`"), "keep one".to_owned());
            }
            if let Some(node) = fields.get(one).or_else(|| fields.get(several)) {
                given.insert(one, node);
            }
        }
        given
    }

    fn case(&mut self, node: &Node, shared: &Shared<'_>, names: &mut BTreeSet<String>, cases: &mut Vec<Case>) {
        let keys: Vec<&'static str> = ["name", "each"].iter().chain(EXPECTATIONS).chain(&shared.known).copied().collect();
        let fields = self.fields(node, "a case", &keys);
        let Some(name) = fields.get("name").and_then(|node| self.text(node, "name")) else {
            if fields.get("name").is_none() {
                self.error(node.at, "a case has no `name`", "say in a sentence what it holds".to_owned());
            }
            return;
        };
        if !names.insert(name.value.clone()) {
            self.error(name.at, format!("the name `{}` stands twice", name.value), "give each case its own".to_owned());
        }
        let own = self.given(node, "a case", &keys);
        let given: Given<'_> = shared.defaults.iter().chain(&own).map(|(key, node)| (*key, *node)).collect();
        let Some(expected) = self.expected(node, &keys) else { return };
        let each = fields.get("each").map(|node| self.each(node)).unwrap_or_default();
        let count = each.iter().map(|(_, values)| values.len()).fold(1usize, usize::saturating_mul);
        if cases.len().saturating_add(count) > MOST_CASES {
            self.error(name.at, format!("there are more than {MOST_CASES} calls in this file"), "make several files of it".to_owned());
            return;
        }
        for index in 0..count {
            let (mut given, mut label, mut rest) = (given.clone(), Vec::new(), index);
            for (key, values) in &each {
                if let Some(value) = values.get(rest % values.len().max(1)) {
                    given.insert(key, value);
                    label.push(format!("{key}={}", shown(value)));
                }
                rest /= values.len().max(1);
            }
            let name = if label.is_empty() { name.value.clone() } else { format!("{} [{}]", name.value, label.join(", ")) };
            if let Some(asked) = self.asked(node, &given, shared) {
                cases.push(Case { name, line: node.at.line, asked, expected: expected.clone() });
            }
        }
    }

    /// Facts that are tried one after the other, all with all.
    fn each<'n>(&mut self, node: &'n Node) -> Vec<(&'static str, &'n [Node])> {
        let keys: Vec<&'static str> = FACTS.iter().copied().filter(|key| *key != "change").chain(kinds().map(|(one, ..)| one)).collect();
        let fields = self.fields(node, "`each`", &keys);
        keys.into_iter().filter_map(|key| fields.get(key).map(|node| (key, node))).map(|(key, node)| (key, self.items(node, key))).collect()
    }

    fn asked(&mut self, node: &Node, given: &Given<'_>, shared: &Shared<'_>) -> Option<Asked> {
        let tool = self.tool_asked(node, given, &shared.tools);
        let of_this_version = tool.as_ref().map(|(name, ..)| name).filter(|name| !shared.tools.iter().any(|(one, ..)| one == *name));
        let caller = self.caller_asked(node, given);
        let mut scopes: Option<Scopes> = None;
        let mut touched: Vec<(ScopeKind, Pos)> = Vec::new();
        for (one, several, kind) in kinds() {
            let Some(node) = given.get(one) else { continue };
            let by_default = shared.defaults.get(one).is_some_and(|default| std::ptr::eq(*default, *node));
            if by_default && of_this_version.is_some_and(|name| cannot_touch(name, &[kind]).is_some()) {
                continue;
            }
            let values = match &node.value {
                Value::List(items) => items.iter().filter_map(|item| self.text(item, several)).collect(),
                _ => self.text(node, one).into_iter().collect::<Vec<At<String>>>(),
            };
            if !values.is_empty() {
                touched.push((kind, node.at));
            }
            for value in values {
                scopes = Some(match scopes {
                    Some(scopes) => scopes.and(kind, value.value),
                    None => Scopes::of(kind, value.value),
                });
            }
        }
        // INVARIANT: a case is a call that can be made, so that none covers a rule that no call meets (test: tests/policy_cases.rs,
        // a_call_that_cannot_exist_is_no_case).
        let kinds: Vec<ScopeKind> = touched.iter().map(|(kind, _)| *kind).collect();
        if let Some(what) = of_this_version.and_then(|name| cannot_touch(name, &kinds)) {
            let never = |kind: ScopeKind| of_this_version.is_some_and(|name| cannot_touch(name, &[kind]).is_some());
            let at = touched.iter().find(|(kind, _)| never(*kind)).or(touched.last()).map_or(node.at, |(_, at)| *at);
            self.error(at, what, "leave it out, or make a case for each tool".to_owned());
            return None;
        }
        let change = match given.get("change") {
            Some(node) if matches!(&node.value, Value::List(items) if items.is_empty()) => Vec::new(),
            Some(node) => self.items(node, "change").iter().filter_map(|item| self.word(item, "change", &ChangePart::ALL)).collect(),
            None => Vec::new(),
        };
        let now = given.get("now").and_then(|node| self.moment(node)).unwrap_or(NOON);
        let trigger = given.get("trigger").and_then(|node| self.word(node, "trigger", &Trigger::ALL)).unwrap_or(Trigger::Client);
        let mut holds = |key: &'static str| given.get(key).and_then(|node| self.boolean(node, key)).unwrap_or(false);
        let (same_user, write_mode_env_off) = (holds("same_user"), holds("write_mode_env_off"));
        let (tool, system, class) = tool?;
        let scopes = scopes.unwrap_or_else(|| Scopes::none("the case names nothing"));
        Some(Asked { caller: caller?, tool, system, class, scopes, trigger, write_mode_env_off, same_user, change, now })
    }

    fn tool_asked(&mut self, case: &Node, given: &Given<'_>, tools: &[(String, String, Class)]) -> Option<(String, String, Class)> {
        let Some(node) = given.get("tool") else {
            self.error(case.at, "a case names no `tool`", "write `tool:` here or in `defaults`".to_owned());
            return None;
        };
        let name = self.text(node, "tool")?;
        if let Some(tool) = tools.iter().find(|(one, ..)| *one == name.value) {
            return Some(tool.clone());
        }
        if let Some((system, class)) = self.catalogue.tool(&name.value) {
            return Some((name.value, system.to_owned(), class));
        }
        if forbidden(&name.value).is_some() {
            return Some((name.value, String::new(), Class::Write));
        }
        let known = self.catalogue.tools().map(|(name, _)| name).chain(tools.iter().map(|(name, ..)| name.as_str()));
        let help = self.did_you_mean(&name.value, known);
        self.error(name.at, format!("there is no tool `{}`", name.value), help);
        None
    }

    fn caller_asked(&mut self, case: &Node, given: &Given<'_>) -> Option<String> {
        let Some(node) = given.get("caller") else {
            self.error(case.at, "a case names no `caller`", "write `caller:` here or in `defaults`".to_owned());
            return None;
        };
        let name = self.text(node, "caller")?;
        let pattern = self.caller_name(&name)?;
        if !pattern.value.is_literal() {
            self.error(name.at, format!("`{}` is a glob, and a call has one caller", name.value), "name one caller".to_owned());
            return None;
        }
        Some(name.value)
    }

    fn moment(&mut self, node: &Node) -> Option<jiff::Timestamp> {
        let text = self.text(node, "now")?;
        let parsed = text.value.parse().ok();
        if parsed.is_none() {
            self.error(text.at, format!("`{}` is no moment in time", text.value), "write `2026-11-20T12:00:00Z`".to_owned());
        }
        parsed
    }

    fn expected(&mut self, node: &Node, keys: &[&'static str]) -> Option<Expected> {
        let fields = self.fields(node, "a case", keys);
        let Some(decision) = fields.get("expect") else {
            self.error(node.at, "a case does not say what it expects", "write `expect: permit`, `needs_approval` or `deny`".to_owned());
            return None;
        };
        let decision = self.word(decision, "expect", &DECISIONS)?;
        for (key, with) in [("code", "deny"), ("approvals", "needs_approval")] {
            if let Some(key_at) = fields.key(key).filter(|_| decision != with) {
                self.error(key_at.at, format!("`{key}` belongs to `expect: {with}`"), None);
            }
        }
        let rule = fields.get("rule").and_then(|node| self.text(node, "rule")).map(|text| text.value);
        let codes = DenialCode::ALL.map(|code| (code, code.name()));
        let code = fields.get("code").and_then(|node| self.word(node, "code", &codes));
        let approvals = fields.get("approvals").map(|node| self.quorums_expected(node));
        let shadow = fields.get("shadow").map(|node| match &node.value {
            Value::List(items) if items.is_empty() => Vec::new(),
            _ => self.plain(node, "shadow"),
        });
        Some(Expected { decision, rule, code, approvals, shadow })
    }

    /// As the decision tells them: a group or none, and a count.
    fn quorums_expected(&mut self, node: &Node) -> Vec<Quorum> {
        let mut quorums = Vec::new();
        for item in self.items(node, "approvals") {
            let fields = self.fields(item, "an approval", &["group", "count"]);
            let group = fields.get("group").and_then(|node| self.text(node, "group")).map(|text| text.value);
            let count = fields.get("count").map_or(Some(1), |node| self.count(node, "count", 1..=20));
            quorums.extend(count.map(|count| Quorum { group, count }));
        }
        quorums
    }
}

fn shown(node: &Node) -> String {
    match &node.value {
        Value::Text(text) => text.escape_debug().to_string(),
        Value::Bool(value) => value.to_string(),
        other => other.kind().to_owned(),
    }
}
