//! What a policy does not say aloud: a rule that is only recorded, a system whose answers are invented, a caller that lost
//! the roles of a wider entry, a command that nothing declares.

use std::collections::BTreeMap;

use opsgate_tools::mode::Mode;
use opsgate_tools::scope::ScopeKind;
use opsgate_tools::workspace::Command;

use super::super::catalogue::is_local;
use super::super::diagnostics::{MOST, did_you_mean};
use super::super::glob::{Compare, Subject};
use super::super::glob_table::GlobTable;
use super::super::model::{CallerEntry, Effect, File, Rule};
use super::super::normalise::fold;
use super::super::read::Reader;
use super::super::yaml::Node;
use super::reachable::named_tools;
use super::touches::touches;
use super::{entry, place};

pub(super) fn review(reader: &mut Reader<'_>, root: &Node, file: &File) {
    invented(reader, root, file);
    hidden_roles(reader, file);
    let none = BTreeMap::new();
    let commands = file.systems.get("workspace").map_or(&none, |workspace| &workspace.commands);
    for rule in &file.rules {
        if rule.effect == Effect::Allow && rule.shadow {
            let message = format!("the rule `{}` permits nothing: what allows in `mode: shadow` is only recorded", rule.id);
            reader.warn(rule.at, message, "take `mode: shadow` away to allow it".to_owned());
        }
        undeclared(reader, rule, commands);
    }
}

/// A system with credentials that says no mode: it looks real and is not.
fn invented(reader: &mut Reader<'_>, root: &Node, file: &File) {
    let says_mode =
        |name: &str| entry(root, "systems").and_then(|(_, systems)| entry(systems, name)).is_some_and(|(_, one)| entry(one, "mode").is_some());
    for (name, _) in file.systems.iter().filter(|(name, system)| !is_local(name) && system.mode == Mode::Mock && !says_mode(name)) {
        let message = format!("`{name}` says no `mode`, so it is `mock`: its answers are invented");
        reader.warn(place(root, "systems", name), message, "write `mode: mock`, or `mode: read_only` for what is real".to_owned());
    }
}

/// Of callers the closest entry counts whole: one without `roles` takes those of a wider one away, and with them the denials by role.
fn hidden_roles(reader: &mut Reader<'_>, file: &File) {
    let wider: Vec<&CallerEntry> = file.callers.iter().filter(|one| !one.roles.is_empty() && !one.pattern.value.is_literal()).collect();
    let globs = wider.iter().zip(0u32..).map(|(one, place)| (one.pattern.value.text(), place));
    let Ok(table) = GlobTable::new(globs, Subject::Caller, Compare::Exact) else { return };
    for one in file.callers.iter().filter(|one| !one.says_roles) {
        let (text, mut hidden) = (one.pattern.value.text(), None);
        table.each_match(text, |place| {
            let other = wider.get(place as usize).filter(|other| one.pattern.value.closest_first(&other.pattern.value).is_lt());
            hidden = hidden.or(other);
        });
        if let Some(other) = hidden {
            let message =
                format!("`{text}` has no roles, and `{}` has some, which do not hold for it: nor do denials by role", other.pattern.value.text());
            reader.warn(one.pattern.at, message, "repeat the roles here, or write `roles: []`".to_owned());
        }
    }
}

/// A method that is no command of the workspace, where the rule is about commands.
fn undeclared(reader: &mut Reader<'_>, rule: &Rule, commands: &BTreeMap<String, Command>) {
    let Some((_, methods)) = rule.when.scopes.iter().find(|(kind, _)| *kind == ScopeKind::Method) else { return };
    let of_workspace = match (&rule.when.tools, &rule.when.systems) {
        (Some(_), _) => {
            let named = named_tools(&rule.when, reader.catalogue);
            let mut can = named
                .iter()
                .filter(|(name, ..)| touches(name).is_none_or(|shapes| shapes.iter().any(|shape| shape.contains(&ScopeKind::Method))))
                .peekable();
            can.peek().is_some() && can.all(|(_, system, _)| *system == "workspace")
        }
        (None, Some(systems)) => systems.iter().all(|system| system.value == "workspace"),
        (None, None) => false,
    };
    let compare = if rule.effect == Effect::Deny { Compare::Folded } else { Compare::Exact };
    for method in methods.iter().filter(|_| of_workspace) {
        if reader.warnings.len() >= MOST {
            return;
        }
        let table = GlobTable::of([&method.value], compare).unwrap_or_default();
        if commands.keys().any(|name| table.is_match(&if compare == Compare::Folded { fold(name) } else { name.into() })) {
            continue;
        }
        let help = did_you_mean(method.value.text(), commands.keys().map(String::as_str));
        let help = help.or_else(|| Some("declare it under `systems.workspace.commands`".to_owned()));
        reader.warn(method.at, format!("the workspace has no command `{}`", method.value.text()), help);
    }
}
