//! Whether each write that waits for approval has people who can give it.

use std::collections::{BTreeMap, BTreeSet};

use opsgate_tools::tool::Class;

use super::super::catalogue::Catalogue;
use super::super::decision::Quorum;
use super::super::diagnostics::Pos;
use super::super::glob::Compare;
use super::super::model::{CallerEntry, Effect, File, Person, Rule, RuleApprovals};
use super::super::read::Reader;
use super::super::yaml::Node;
use super::place;
use super::reachable::named_tools;

pub(super) fn review(reader: &mut Reader<'_>, root: &Node, file: &File) {
    let mut told = BTreeSet::new();
    let mut writes = write_rules(reader, file);
    let mut left = MOST_PAIRS;
    let mut is_left = |rule: &&&Rule| {
        left = left.saturating_sub(pairs(rule, file));
        left > 0
    };
    let looked_at = writes.iter().take_while(&mut is_left).count();
    if let Some(rule) = writes.get(looked_at) {
        reader.warn(rule.at, "there are too many rules and callers to look at each pair for one whose writes nobody can approve", None);
    }
    writes.truncate(looked_at);
    for rule in &writes {
        for (quorum, caller) in RuleApprovals::quorums(rule.approvals.as_ref(), &file.approvals)
            .iter()
            .flat_map(|quorum| callers_of(rule, file).map(move |caller| (quorum, caller)))
        {
            check(reader, file, rule.at, quorum, Some(caller), &mut told);
        }
    }
    for environment in &file.environments {
        let at = place(root, "environments", &environment.name);
        for quorum in &environment.approvals {
            check(reader, file, at, quorum, None, &mut told);
            for caller in writes.iter().flat_map(|rule| callers_of(rule, file)) {
                check(reader, file, at, quorum, Some(caller), &mut told);
            }
        }
    }
    unused_groups(reader, root, file);
    let approvers: BTreeSet<&str> =
        approving_groups(file).into_iter().filter_map(|group| file.groups.get(group)).flatten().map(String::as_str).collect();
    for (name, person) in &file.people {
        if approvers.contains(name.as_str()) && !has_identity(person) {
            let message = format!("`{name}` is asked for approvals and has no identity to give one with");
            reader.warn(place(root, "people", name), message, "name a key, an `oidc` subject, a `slack` id or a `github` login".to_owned());
        }
    }
}

/// The most pairs of rules and callers that are looked at: a load stays quick whatever is written.
const MOST_PAIRS: usize = 200_000;
/// What comparing names with a rule's own globs for callers costs, in pairs.
const GLOBS: usize = 20;

/// What looking at a rule costs, in pairs.
fn pairs(rule: &Rule, file: &File) -> usize {
    let names = rule.when.callers.as_ref().map_or(1, |names| GLOBS * names.len());
    let of_environments: usize = file.environments.iter().map(|one| one.approvals.len()).sum();
    file.callers.len() * names * (RuleApprovals::quorums(rule.approvals.as_ref(), &file.approvals).len() + of_environments).max(1)
}

/// Rules that allow a tool that writes.
fn write_rules<'f>(reader: &Reader<'_>, file: &'f File) -> Vec<&'f Rule> {
    let names_one = |rule: &Rule| named_tools(&rule.when, reader.catalogue).iter().any(|(.., class)| *class == Class::Write);
    file.rules.iter().filter(|rule| rule.effect == Effect::Allow && !rule.shadow && names_one(rule)).collect()
}

/// Whether a write that would run waits for approvals first.
pub(in super::super) fn asks_for_approvals(file: &File, catalogue: &Catalogue) -> bool {
    let writes = |system: &str| file.systems.get(system).is_some_and(|system| system.mode.writes());
    let asks =
        |rule: &&Rule| rule.effect == Effect::Allow && !rule.shadow && !RuleApprovals::quorums(rule.approvals.as_ref(), &file.approvals).is_empty();
    let waits = |rule: &Rule| named_tools(&rule.when, catalogue).iter().any(|(_, system, class)| *class == Class::Write && writes(system));
    file.write_mode && file.rules.iter().filter(asks).any(waits)
}

/// The entries of `callers` that a rule can be about.
fn callers_of<'f>(rule: &'f Rule, file: &'f File) -> impl Iterator<Item = &'f CallerEntry> {
    let has_role = |caller: &CallerEntry| {
        rule.when.roles.as_ref().is_none_or(|roles| roles.iter().any(|role| caller.roles.iter().any(|one| one.value == role.value)))
    };
    let is_named = |caller: &CallerEntry| {
        let text = caller.pattern.value.text();
        rule.when
            .callers
            .as_ref()
            .is_none_or(|names| names.iter().any(|name| name.value.text() == text || name.value.matches_once(Compare::Exact, text)))
    };
    file.callers.iter().filter(move |caller| has_role(caller) && is_named(caller))
}

/// Says so where a quorum cannot be met: too few who have an identity, or too few besides the caller's own owner.
fn check(reader: &mut Reader<'_>, file: &File, at: Pos, quorum: &Quorum, caller: Option<&CallerEntry>, told: &mut BTreeSet<(u32, String)>) {
    let Some((group, members)) = quorum.group.as_ref().and_then(|group| file.groups.get_key_value(group)) else { return };
    let needed = quorum.count as usize;
    // Too few people at all is told where the quorum is written.
    if members.len() < needed {
        return;
    }
    let able: Vec<&String> = members.iter().filter(|name| file.people.get(*name).is_some_and(has_identity)).collect();
    let message = if able.len() < needed {
        format!("nobody can give {needed} approvals of `{group}`: only {} of its people have an identity", able.len())
    } else {
        let Some((caller, owner)) = caller.and_then(|caller| Some((caller, sole_owner(caller, &file.groups)?))) else { return };
        if able.iter().filter(|name| **name != owner).count() >= needed {
            return;
        }
        let name = caller.pattern.value.text();
        format!("nobody can approve the writes of `{name}`: it belongs to `{owner}`, and without `{owner}` the group `{group}` cannot give {needed}")
    };
    if told.insert((at.line, message.clone())) {
        reader.warn(at, message, "add people to the group".to_owned());
    }
}

/// The one person who answers for a caller.
fn sole_owner<'f>(caller: &'f CallerEntry, groups: &'f BTreeMap<String, Vec<String>>) -> Option<&'f String> {
    let owner = &caller.owner.as_ref()?.value;
    match groups.get(owner).map(Vec::as_slice) {
        None => Some(owner),
        Some([only]) => Some(only),
        Some(_) => None,
    }
}

fn has_identity(person: &Person) -> bool {
    !person.keys.is_empty() || !person.oidc.is_empty() || person.slack.is_some() || person.github.is_some()
}

/// The groups that are asked for approvals.
fn approving_groups(file: &File) -> BTreeSet<&str> {
    let of_rules = file.rules.iter().filter_map(|rule| match &rule.approvals {
        Some(RuleApprovals::Quorums(quorums)) => Some(quorums),
        _ => None,
    });
    let quorums = of_rules.chain(file.environments.iter().map(|one| &one.approvals)).chain([&file.approvals.quorums]).flatten();
    quorums.filter_map(|quorum| quorum.group.as_deref()).collect()
}

fn unused_groups(reader: &mut Reader<'_>, root: &Node, file: &File) {
    let mut used = approving_groups(file);
    used.extend(file.callers.iter().filter_map(|caller| caller.owner.as_ref()).map(|owner| owner.value.as_str()));
    used.extend(file.approvals.override_group.as_deref());
    used.extend(file.approvals.fallback.as_deref());
    for group in file.groups.keys().filter(|group| !used.contains(group.as_str())) {
        reader.warn(place(root, "groups", group), format!("nothing names the group `{group}`"), "use it or drop it".to_owned());
    }
}
