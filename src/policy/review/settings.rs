//! Settings of two policies, one by one: what matters to a reviewer and changes no decision by itself.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::super::compile::Core;
use super::super::glob::Pattern;

/// A setting that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Where in the policy: `limits.timeout`.
    pub name: String,
    /// What it was; `None` where it was not there.
    pub old: Option<String>,
    /// What it is; `None` where it is not there any more.
    pub new: Option<String>,
}

/// The settings that differ.
pub(super) fn changed(old: &Core, new: &Core) -> Vec<Setting> {
    let (old, new) = (flat(old), flat(new));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    names
        .into_iter()
        .filter(|name| old.get(*name) != new.get(*name))
        .map(|name| Setting { name: name.clone(), old: old.get(name).cloned(), new: new.get(name).cloned() })
        .collect()
}

fn flat(core: &Core) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    flatten("", &whole(core), &mut settings);
    settings
}

fn whole(core: &Core) -> Value {
    let texts = |list: &[Pattern]| list.iter().map(|glob| glob.text().to_owned()).collect::<Vec<_>>();
    let systems: Map<String, Value> = core
        .systems
        .iter()
        .map(|(name, system)| {
            let lists: Map<String, Value> = system.listed.iter().map(|(kind, list)| (kind.name().to_owned(), json!(texts(list)))).collect();
            let roots = system.roots.as_ref().map(|roots| texts(roots));
            (
                name.clone(),
                json!({ "mode": system.mode.name(), "roots": roots, "commands": system.commands, "author": system.author, "lists": lists }),
            )
        })
        .collect();
    let callers: Map<String, Value> =
        core.callers().map(|profile| (profile.matched.clone(), json!({ "owner": profile.owner, "roles": profile.roles }))).collect();
    let environments: Map<String, Value> = core
        .environments
        .iter()
        .map(|(one, _)| {
            let hours = one.hours.as_ref().map(|hours| hours.text().to_owned());
            (one.name.clone(), json!({ "aliases": one.aliases, "approvals": one.approvals, "mfa": one.mfa, "require": one.require, "expires": one.expires, "hours": hours }))
        })
        .collect();
    let shadow: Vec<&str> = core.rules.iter().filter(|rule| rule.rule.shadow).map(|rule| rule.rule.id.as_str()).collect();
    let approvals = &core.approvals;
    json!({
        "write_mode": if core.write_mode { "on" } else { "off" },
        "automation": if core.automation { "on" } else { "off" },
        "defaults": { "read": core.defaults.read, "automation": core.defaults.automation },
        "limits": core.limits,
        "settings": core.settings,
        "people": core.people,
        "groups": core.groups,
        "approvals": { "default": approvals.quorums, "expires": approvals.expires, "override": approvals.override_group, "fallback": approvals.fallback },
        "callers": callers,
        "systems": systems,
        "environments": environments,
        "rules in shadow": shadow,
    })
}

/// Each leaf under its whole name; a list is one leaf, and nothing is no leaf.
fn flatten(name: &str, value: &Value, into: &mut BTreeMap<String, String>) {
    match value {
        Value::Null => {}
        Value::Object(entries) => {
            if let (2, Some(seconds), Some(nanoseconds)) =
                (entries.len(), entries.get("secs").and_then(Value::as_u64), entries.get("nanos").and_then(Value::as_u64))
            {
                into.insert(
                    name.to_owned(),
                    if nanoseconds == 0 { format!("{seconds} s") } else { format!("{} ms", seconds * 1000 + nanoseconds / 1_000_000) },
                );
                return;
            }
            if entries.is_empty() && !name.is_empty() {
                into.insert(name.to_owned(), "{}".to_owned());
            }
            for (key, value) in entries {
                // The model's own grouping is none of the file's.
                let key = if name.is_empty() || name == "settings" { key.clone() } else { format!("{name}.{key}") };
                flatten(&key, value, into);
            }
        }
        Value::String(text) => {
            into.insert(name.to_owned(), text.clone());
        }
        other => {
            into.insert(name.to_owned(), other.to_string());
        }
    }
}
