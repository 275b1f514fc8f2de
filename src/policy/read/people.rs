//! Who there is: people, groups, callers.

use std::collections::{BTreeMap, BTreeSet};

use super::super::diagnostics::At;
use super::super::glob::{Pattern, Subject};
use super::super::glob_table::WILD;
use super::super::model::{CallerEntry, File, Person};
use super::super::yaml::{Node, Value};
use super::{Reader, keys};

impl Reader<'_> {
    pub(super) fn people(&mut self, node: &Node) -> BTreeMap<String, Person> {
        let mut people = BTreeMap::new();
        let mut identities: BTreeMap<String, String> = BTreeMap::new();
        for (name, entry) in self.entries(node, "`people`") {
            let fields = self.fields(entry, "a person", keys::PERSON);
            let person = Person {
                keys: fields.get("keys").map(|node| self.plain_or_none(node, "keys")).unwrap_or_default(),
                oidc: fields.get("oidc").map(|node| self.plain_or_none(node, "oidc")).unwrap_or_default(),
                slack: fields.get("slack").and_then(|node| self.text(node, "slack")).map(|text| text.value),
                github: fields.get("github").and_then(|node| self.text(node, "github")).map(|text| text.value),
            };
            let keys = person.keys.iter().map(|key| format!("key `{key}`"));
            let all = keys.chain(person.oidc.iter().map(|id| format!("identity `{id}`")));
            let all = all.chain(person.slack.iter().map(|id| format!("slack `{id}`"))).chain(person.github.iter().map(|id| format!("github `{id}`")));
            for identity in all {
                if let Some(other) = identities.insert(identity.clone(), name.value.clone()) {
                    let message = format!("{identity} belongs to `{other}` already");
                    self.error(name.at, message, "one identity is one person, or two approvals could be one person's".to_owned());
                }
            }
            people.insert(name.value.clone(), person);
        }
        people
    }

    pub(super) fn groups(&mut self, node: &Node, people: &BTreeMap<String, Person>) -> BTreeMap<String, Vec<String>> {
        let mut groups = BTreeMap::new();
        for (name, entry) in self.entries(node, "`groups`") {
            if people.contains_key(&name.value) {
                self.error(name.at, format!("`{}` is a person already", name.value), "name the group differently".to_owned());
            }
            let (mut members, mut seen) = (Vec::new(), BTreeSet::new());
            for member in self.texts_or_none(entry, "a group") {
                if !people.contains_key(&member.value) {
                    let help = self.nobody(&member.value, "the group", people.keys().map(String::as_str));
                    self.error(member.at, format!("there is no person `{}`", member.value), help);
                } else if !seen.insert(member.value.clone()) {
                    self.error(member.at, format!("`{}` is in the group twice", member.value), "keep one".to_owned());
                }
                members.push(member.value);
            }
            if members.is_empty() {
                self.warn(name.at, format!("the group `{}` has nobody", name.value), "nobody can give its approvals".to_owned());
            }
            groups.insert(name.value.clone(), members);
        }
        groups
    }

    pub(super) fn callers(&mut self, node: &Node, file: &File) -> Vec<CallerEntry> {
        let mut callers = Vec::new();
        for (name, entry) in self.entries(node, "`callers`") {
            let fields = self.fields(entry, "a caller", keys::CALLER);
            let owner = fields.get("owner").and_then(|node| self.text(node, "owner"));
            if let Some(owner) = &owner {
                let names = file.people.keys().chain(file.groups.keys()).map(String::as_str);
                if !file.people.contains_key(&owner.value) && !file.groups.contains_key(&owner.value) {
                    let help = self.nobody(&owner.value, "each caller", names);
                    self.error(owner.at, format!("there is no person or group `{}`", owner.value), help);
                }
            }
            let roles = fields.get("roles").map(|node| if is_empty_list(node) { Vec::new() } else { self.few_texts(node, "roles") });
            let says_roles = roles.is_some();
            let roles = roles.unwrap_or_default();
            self.roles.extend(roles.iter().map(|role| role.value.clone()));
            if let Some(pattern) = self.caller_name(name) {
                callers.push(CallerEntry { pattern, owner, roles, says_roles });
            }
        }
        callers
    }

    /// What to do about a name that nobody has. Who was taken away still counts while the file is wrong.
    fn nobody<'n>(&self, name: &str, from: &str, names: impl Iterator<Item = &'n str> + Clone) -> Option<String> {
        let gone = || format!("take `{name}` out of {from} too: while the file is wrong, a running gateway keeps its last policy");
        self.did_you_mean(name, names).map(|near| if near.starts_with("did") { near } else { gone() }).or_else(|| Some(gone()))
    }

    /// A glob over callers' names with its issuer spelt out.
    pub(super) fn caller_name(&mut self, name: &At<String>) -> Option<At<Pattern>> {
        let pattern = match Pattern::parse(&name.value, Subject::Caller) {
            Ok(value) => At { value, at: name.at },
            Err((message, help)) => {
                self.error(name.at, message, help);
                return None;
            }
        };
        let Some((issuer, rest)) = name.value.split_once(':').filter(|(issuer, _)| keys::ISSUERS.contains(issuer)) else {
            let written = name.value.split(':').next().unwrap_or_default();
            let names = keys::ISSUERS.iter().copied();
            let everybody = matches!(name.value.as_str(), "*" | "**").then(|| {
                "a rule without `callers` is about every caller, and `deny: {tools: [\"*\"]}` denies everything; else write `key:*` and the like"
                    .to_owned()
            });
            let help = everybody.or_else(|| self.did_you_mean(written, names));
            self.error(name.at, format!("the caller `{}` does not begin with where its name comes from, such as `key:`", name.value), help);
            return None;
        };
        if issuer == "jwt" && rest.split_once('|').is_none_or(|(issuer, _)| issuer.contains(WILD)) {
            let help = "write it as `jwt:https://id.example|svc-*`, the issuer without wildcards".to_owned();
            self.error(name.at, format!("the caller `{}` does not say which issuer signs its tokens", name.value), help);
            return None;
        }
        Some(pattern)
    }

    /// A list that may be emptied: none are left, and nothing else can be meant.
    fn texts_or_none(&mut self, node: &Node, what: &str) -> Vec<At<String>> {
        if is_empty_list(node) { Vec::new() } else { self.texts(node, what) }
    }

    fn plain_or_none(&mut self, node: &Node, what: &str) -> Vec<String> {
        self.texts_or_none(node, what).into_iter().map(|text| text.value).collect()
    }

    pub(super) fn plain(&mut self, node: &Node, what: &str) -> Vec<String> {
        self.texts(node, what).into_iter().map(|text| text.value).collect()
    }
}

fn is_empty_list(node: &Node) -> bool {
    matches!(&node.value, Value::List(items) if items.is_empty())
}
