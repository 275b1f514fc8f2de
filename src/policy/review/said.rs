//! All that a policy says, as data: each setting under its place in the file.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use opsgate_tools::scope::ScopeKind;
use serde_json::{Map, Value, json};

use super::super::compile::Core;
use super::super::decision::Quorum;
use super::super::glob::Pattern;
use super::super::model::{AllowDeny, Effect, Rule, RuleApprovals, Tier};
use super::super::read::keys;

/// Where a setting stands: `environments`, `production`, `mfa`.
pub(in super::super) type Place = Vec<String>;

/// What a setting says.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) enum Said {
    /// A word, a truth, or a list whose order counts.
    Text(String),
    /// A number or a time, and how it is written.
    Number(String, f64),
    /// A list whose order does not count.
    Set(BTreeSet<String>),
}

impl Said {
    pub(super) fn text(&self) -> String {
        match self {
            Self::Text(text) | Self::Number(text, _) => text.clone(),
            Self::Set(set) => json!(set).to_string(),
        }
    }
}

/// Everything that a policy says.
pub(in super::super) struct Policy(BTreeMap<Place, Said>);

impl Policy {
    // INVARIANT: two policies that are not the same say not the same (test: each_difference_of_the_text_is_told).
    pub(in super::super) fn of(core: &Core) -> Self {
        let mut all = BTreeMap::new();
        flatten(&mut Place::new(), &whole(core), &mut all);
        Self(all)
    }

    pub(super) fn get(&self, place: &[String]) -> Option<&Said> {
        self.0.get(place)
    }

    pub(in super::super) fn iter(&self) -> impl Iterator<Item = (&Place, &Said)> {
        self.0.iter()
    }

    /// Whether it says anything at the place or beneath.
    pub(super) fn has(&self, place: &[String]) -> bool {
        let mut from = self.0.range::<[String], _>((Bound::Included(place), Bound::Unbounded));
        from.next().is_some_and(|(found, _)| found.starts_with(place))
    }
}

fn whole(core: &Core) -> Value {
    let systems = core.systems.iter().map(|(name, system)| {
        let lists: Map<String, Value> = system.listed.iter().map(|(kind, list)| (key(*kind).to_owned(), texts(list))).collect();
        let roots = system.roots.as_ref().map(texts);
        (name.clone(), json!({ "mode": system.mode.name(), "roots": roots, "commands": system.commands, "author": system.author, "lists": lists }))
    });
    let callers = core.callers().map(|profile| (profile.matched.clone(), json!({ "owner": profile.owner, "roles": profile.roles })));
    let repositories = core.repositories.iter().map(|one| {
        let one = &one.source;
        let said = json!({ "write": one.write, "tools": both(&one.tools), "paths": both(&one.paths), "refs": both(&one.refs) });
        (one.pattern.value.text().to_owned(), said)
    });
    let namespaces = core.namespaces.iter().map(|(one, _)| {
        let tier = Tier::ALL.iter().find(|(tier, _)| *tier == one.tier).map(|(_, name)| name);
        (one.pattern.text().to_owned(), json!({ "tier": tier }))
    });
    let environments = core.environments.iter().map(|(one, _)| {
        let targets: Map<String, Value> = one.targets.iter().map(|(kind, list)| (key(*kind).to_owned(), texts(list))).collect();
        let hours = one.hours.as_ref().map(|hours| hours.text().to_owned());
        let said = json!({
            "aliases": one.aliases, "match": targets, "approvals": quorums(&one.approvals), "mfa": one.mfa, "require": one.require,
            "expires": one.expires, "hours": hours,
        });
        (one.name.clone(), said)
    });
    let people = core.people.iter().map(|(name, one)| {
        let oidc = Some(&one.oidc).filter(|subjects| !subjects.is_empty());
        (name.clone(), json!({ "keys": one.keys, "oidc": oidc, "slack": one.slack, "github": one.github }))
    });
    let rules = core.rules.iter().map(|compiled| (compiled.rule.id.clone(), rule(&compiled.rule)));
    let approvals = &core.approvals;
    json!({
        "write_mode": if core.write_mode { "on" } else { "off" },
        "automation": if core.automation { "on" } else { "off" },
        "defaults": { "read": core.defaults.read, "automation": core.defaults.automation },
        "limits": core.limits,
        "settings": core.settings,
        "people": people.collect::<Map<_, _>>(),
        "groups": core.groups,
        "approvals": {
            "default": quorums(&approvals.quorums), "expires": approvals.expires, "override": approvals.override_group, "fallback": approvals.fallback,
        },
        "callers": callers.collect::<Map<_, _>>(),
        "systems": systems.collect::<Map<_, _>>(),
        "repositories": repositories.collect::<Map<_, _>>(),
        "namespaces": namespaces.collect::<Map<_, _>>(),
        "environments": environments.collect::<Map<_, _>>(),
        "rules": rules.collect::<Map<_, _>>(),
    })
}

fn rule(rule: &Rule) -> Value {
    let when = &rule.when;
    let approvals = rule.approvals.as_ref().map(|approvals| match approvals {
        RuleApprovals::Count(count) => json!(count),
        RuleApprovals::Quorums(list) => quorums(list),
    });
    let mut said = Map::new();
    said.insert("effect".to_owned(), json!(if rule.effect == Effect::Allow { "allow" } else { "deny" }));
    said.insert("mode".to_owned(), json!(if rule.shadow { "shadow" } else { "enforce" }));
    said.insert("because".to_owned(), json!(rule.because));
    said.insert("approvals".to_owned(), json!(approvals));
    for (name, list) in [("roles", &when.roles), ("systems", &when.systems), ("environments", &when.environments)] {
        said.insert(name.to_owned(), json!(list.as_ref().map(|list| list.iter().map(|one| &one.value).collect::<Vec<_>>())));
    }
    for (name, list) in [("callers", &when.callers), ("tools", &when.tools)] {
        said.insert(name.to_owned(), json!(list.as_ref().map(|list| texts(list.iter().map(|one| &one.value)))));
    }
    let triggers = when.triggers.as_ref().map(|list| list.iter().map(|one| one.name()).collect::<Vec<_>>());
    said.insert("triggers".to_owned(), json!(triggers));
    said.extend(when.scopes.iter().map(|(kind, list)| (key(*kind).to_owned(), texts(list.iter().map(|one| &one.value)))));
    Value::Object(said)
}

/// The key under which a policy names things of the kind.
fn key(kind: ScopeKind) -> &'static str {
    keys::SCOPES.iter().find(|(_, one)| *one == kind).map_or(kind.name(), |(key, _)| key)
}

fn texts<'p>(list: impl IntoIterator<Item = &'p Pattern>) -> Value {
    list.into_iter().map(Pattern::text).collect()
}

fn both(lists: &AllowDeny) -> Value {
    json!({ "allow": lists.allow.as_ref().map(texts), "deny": Some(&lists.deny).filter(|deny| !deny.is_empty()).map(texts) })
}

/// How many of each group. A group that is named twice keeps both.
fn quorums(list: &[Quorum]) -> Value {
    let mut all = Map::new();
    for quorum in list {
        let mut name = quorum.group.clone().unwrap_or_else(|| "any approver".to_owned());
        while all.contains_key(&name) {
            name += " too";
        }
        all.insert(name, json!(quorum.count));
    }
    Value::Object(all)
}

/// Each leaf under its whole place; nothing is no leaf.
fn flatten(place: &mut Place, value: &Value, into: &mut BTreeMap<Place, Said>) {
    let said = match value {
        Value::Null => return,
        Value::Object(entries) => match (entries.len(), entries.get("secs").and_then(Value::as_u64), entries.get("nanos").and_then(Value::as_u64)) {
            (2, Some(seconds), Some(nanoseconds)) => {
                let shown = if nanoseconds == 0 { format!("{seconds} s") } else { format!("{} ms", seconds * 1000 + nanoseconds / 1_000_000) };
                Said::Number(shown, std::time::Duration::from_secs(seconds).as_secs_f64() + nanoseconds as f64 / 1e9)
            }
            (0, ..) => return,
            _ => {
                for (key, value) in entries {
                    // The model's own grouping is none of the file's.
                    let is_grouping = place.is_empty() && key == "settings";
                    if !is_grouping {
                        place.push(key.clone());
                    }
                    flatten(place, value, into);
                    if !is_grouping {
                        place.pop();
                    }
                }
                return;
            }
        },
        Value::Array(list) if place.last().is_none_or(|last| last != "argv") => {
            Said::Set(list.iter().map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned)).collect())
        }
        Value::String(text) => Said::Text(text.clone()),
        Value::Number(number) => Said::Number(number.to_string(), number.as_f64().unwrap_or_default()),
        other => Said::Text(other.to_string()),
    };
    into.insert(place.clone(), said);
}
