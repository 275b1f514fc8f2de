//! What a policy says and can never have an effect: rules that match nothing, entries that another one hides.

use std::collections::{BTreeMap, HashMap};

use opsgate_tools::mode::Mode;
use opsgate_tools::scope::ScopeKind;
use opsgate_tools::tool::Class;

use super::super::catalogue::Catalogue;
use super::super::diagnostics::At;
use super::super::glob::{Compare, Pattern};
use super::super::glob_table::GlobTable;
use super::super::model::{Conditions, Effect, File, Rule, Tier};
use super::super::read::Reader;
use super::super::yaml::Node;
use super::place;
use super::subsume::Covers;
use super::touches::can_touch;

/// The most pairs of rules that are compared: a load stays quick whatever is written.
const MOST_PAIRS: usize = 1_000_000;

pub(super) fn review(reader: &mut Reader<'_>, root: &Node, file: &File) {
    let catalogue = reader.catalogue;
    let covers = Covers::new();
    for rule in &file.rules {
        touches_what_it_names(reader, rule, catalogue);
        writes_where_nothing_writes(reader, rule, file, catalogue);
        for (kind, globs) in &rule.when.scopes {
            doubles(reader, &covers, globs, *kind == ScopeKind::Path && rule.effect == Effect::Deny);
        }
    }
    never_in_effect(reader, file, catalogue);
    hidden_callers(reader, file);
    hidden_namespaces(reader, &covers, root, file);
}

/// The tools of the catalogue that the conditions can be about, where they name tools.
pub(super) fn named_tools<'c>(when: &Conditions, catalogue: &'c Catalogue) -> Vec<(&'c str, &'c str, Class)> {
    let tools = || when.tools.iter().flatten().map(|tool| &tool.value);
    if tools().all(Pattern::is_literal) {
        return tools().filter_map(|tool| catalogue.named(tool.text())).collect();
    }
    let globs = GlobTable::of(tools().filter(|tool| !tool.is_literal()), Compare::Exact).unwrap_or_default();
    let named = |name: &str| tools().any(|tool| tool.text() == name) || globs.is_match(name);
    catalogue.tools().filter(|(name, _)| named(name)).map(|(name, listed)| (name, listed.system.as_str(), listed.class)).collect()
}

fn touches_what_it_names(reader: &mut Reader<'_>, rule: &Rule, catalogue: &Catalogue) {
    let (Some(tools), false) = (&rule.when.tools, rule.when.scopes.is_empty()) else { return };
    // The common rule names one tool: its name is looked up, and not compared with every tool's.
    let kinds = || rule.when.scopes.iter().map(|(kind, _)| *kind);
    if tools.iter().any(|tool| tool.value.is_literal() && can_touch(tool.value.text(), kinds())) {
        return;
    }
    let named = named_tools(&rule.when, catalogue);
    let to_come = tools.iter().any(|tool| catalogue.system_to_come(tool.value.text()).is_some());
    if named.is_empty() || to_come || named.iter().any(|(name, ..)| can_touch(name, kinds())) {
        return;
    }
    let kinds = kinds().map(|kind| format!("a {kind}")).collect::<Vec<_>>().join(" and ");
    let names = named.iter().map(|(name, ..)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let verb = if named.len() == 1 { "touches" } else { "touch" };
    let message = format!("the rule `{}` can never match: {names} never {verb} {kinds}", rule.id);
    reader.error(rule.at, message, "name other tools, or drop what they do not touch".to_owned());
}

fn writes_where_nothing_writes(reader: &mut Reader<'_>, rule: &Rule, file: &File, catalogue: &Catalogue) {
    if rule.effect == Effect::Deny || !file.write_mode {
        return;
    }
    let named = named_tools(&rule.when, catalogue);
    let mode = |system: &str| file.systems.get(system).map(|system| system.mode);
    let writes = named.iter().filter(|(.., class)| *class == Class::Write);
    if writes.clone().next().is_none() || named.iter().any(|(.., class)| *class == Class::Read) {
        return;
    }
    if writes.clone().all(|(_, system, _)| mode(system).is_some_and(|mode| !mode.answers_writes()))
        && let Some((_, system, _)) = writes.clone().next()
    {
        let name = mode(system).map_or("", Mode::name);
        let message = format!("the rule `{}` permits nothing: the system `{system}` is in mode `{name}`, which does not write", rule.id);
        reader.warn(rule.at, message, "give the system a mode that writes, or drop the rule".to_owned());
    }
}

/// A glob that another one of its list covers.
fn doubles(reader: &mut Reader<'_>, covers: &Covers, globs: &[At<Pattern>], beneath: bool) {
    for glob in globs.iter().take_while(|_| !covers.is_done()) {
        let hides = |other: &&At<Pattern>| other.value.text() != glob.value.text() && covers.glob(&other.value, &glob.value, beneath);
        if let Some(other) = globs.iter().find(hides) {
            reader.warn(glob.at, format!("`{}` covers `{}` already", other.value.text(), glob.value.text()), "keep one".to_owned());
        }
    }
}

fn never_in_effect(reader: &mut Reader<'_>, file: &File, catalogue: &Catalogue) {
    // A denial of named tools can only cover what allows one of them: a policy of a thousand rules names many tools.
    let (mut of_any, mut of_tool): (Vec<&Rule>, HashMap<&str, Vec<&Rule>>) = (Vec::new(), HashMap::new());
    for rule in file.rules.iter().filter(|rule| rule.effect == Effect::Deny && !rule.shadow) {
        match rule.when.tools.as_ref().filter(|tools| tools.iter().all(|tool| tool.value.is_literal())) {
            Some(tools) => tools.iter().for_each(|tool| of_tool.entry(tool.value.text()).or_default().push(rule)),
            None => of_any.push(rule),
        }
    }
    let (covers, mut pairs) = (Covers::new(), 0);
    for allow in file.rules.iter().filter(|rule| rule.effect == Effect::Allow) {
        let named = allow.when.tools.iter().flatten().next().and_then(|tool| of_tool.get(tool.value.text()));
        let denies = || of_any.iter().chain(named.into_iter().flatten());
        pairs += denies().count();
        if pairs > MOST_PAIRS || covers.is_spent() {
            reader.warn(allow.at, "there are too many rules to look at each pair for one that denies all that another allows", None);
            return;
        }
        if let Some(deny) = denies().find(|deny| covers.denies_all_of(deny, allow, catalogue)) {
            // Not an error: who denies something in a hurry must not be left with the policy that permits it.
            let message = format!("the rule `{}` has no effect: `{}` denies all that it allows", allow.id, deny.id);
            reader.warn(allow.at, message, "drop one of them, unless the denial is for a while".to_owned());
        }
    }
}

/// A caller's entry that matches what a closer one matches. In a caller's name `**` is `*`.
fn hidden_callers(reader: &mut Reader<'_>, file: &File) {
    let mut sorted: Vec<&At<Pattern>> = file.callers.iter().map(|entry| &entry.pattern).collect();
    sorted.sort_by(|one, other| one.value.closest_first(&other.value));
    let mut closest: BTreeMap<String, &Pattern> = BTreeMap::new();
    for At { value: pattern, at } in sorted {
        let plain = pattern.text().replace("**", "*");
        if let Some(other) = closest.get(&plain) {
            let message = format!("the entry `{}` is never used: `{}` is closer and names the same callers", pattern.text(), other.text());
            reader.error(*at, message, "keep one".to_owned());
        }
        closest.entry(plain).or_insert(pattern);
    }
    for one in &file.repositories {
        let says = one.write.is_some() || [&one.tools, &one.paths, &one.refs].iter().any(|list| list.allow.is_some() || !list.deny.is_empty());
        if !says {
            reader.warn(one.pattern.at, format!("the repository `{}` has no settings", one.pattern.value.text()), "drop it".to_owned());
        }
    }
}

fn hidden_namespaces(reader: &mut Reader<'_>, covers: &Covers, root: &Node, file: &File) {
    let rank = |tier: Tier| match tier {
        Tier::Forbidden => 2,
        Tier::ReadOnly => 1,
        Tier::Approval => 0,
    };
    for one in file.namespaces.iter().take_while(|_| !covers.is_done()) {
        let hides = |other: &&super::super::model::Namespace| {
            other.pattern.text() != one.pattern.text() && rank(other.tier) > rank(one.tier) && covers.glob(&other.pattern, &one.pattern, false)
        };
        if let Some(other) = file.namespaces.iter().find(hides) {
            let message = format!("`{}` has no effect: `{}` is stricter and covers it", one.pattern.text(), other.pattern.text());
            reader.warn(place(root, "namespaces", one.pattern.text()), message, "the strictest tier holds".to_owned());
        }
    }
}
