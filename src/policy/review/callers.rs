//! Callers that stand for all callers of one or two policies.

use std::collections::{BTreeSet, HashMap};

use super::super::compile::{Core, Profile};
use super::super::glob::{Compare, Pattern, Subject};
use super::super::glob_table::GlobTable;
use super::super::normalise::fold;
use super::instances::{fixed_ends, instances};
use super::marks::Marks;

/// A caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Sampled {
    pub(in super::super) id: String,
    /// The entry of `callers` that it stands for; its own name where a rule names it; `anyone else`.
    pub(in super::super) stands_for: String,
}

/// The most callers that a matrix or a comparison asks for.
pub(super) const MOST_CALLERS: usize = 100;
/// The most names that are made, and looked at for being alike.
const MOST_NAMES: usize = 50_000;
/// The most endings that are put behind each beginning.
const MOST_ENDINGS: usize = 200;

/// One caller for each entry, one for each caller that a rule names apart from the rest of its entry, and one that is unknown;
/// those that a policy has not, or has otherwise, first. And whether some were left out.
pub(super) fn callers(policies: &[&Core], marks: &Marks<'_>) -> Result<(Vec<Sampled>, bool), globset::Error> {
    let entries: BTreeSet<&str> = policies.iter().flat_map(|core| core.callers()).map(|profile| profile.matched.as_str()).collect();
    let named = |core: &&Core, changed: bool| -> Vec<Pattern> {
        let rules = core.rules.iter().map(|rule| &rule.rule).filter(|rule| marks.changed_rules.contains(rule.id.as_str()) == changed);
        rules.flat_map(|rule| rule.when.callers.iter().flatten()).map(|glob| glob.value.clone()).collect()
    };
    let [of_changed, of_others] = [true, false].map(|changed| policies.iter().flat_map(|core| named(core, changed)).collect::<Vec<_>>());
    let profiles: Vec<HashMap<&str, &Profile>> =
        policies.iter().map(|core| core.callers().map(|profile| (profile.matched.as_str(), &**profile)).collect()).collect();
    let same = |entry: &&str| {
        let mut of_each = profiles.iter().map(|profiles| profiles.get(entry));
        let first = of_each.next();
        of_each.all(|profile| Some(profile) == first)
    };
    let (same, changed): (Vec<&str>, Vec<&str>) = entries.iter().copied().partition(same);
    let mut texts: Vec<&str> = Vec::new();
    let mut known = BTreeSet::new();
    let all = changed.into_iter().chain(of_changed.iter().map(Pattern::text)).chain(same).chain(of_others.iter().map(Pattern::text));
    texts.extend(all.filter(|text| known.insert(*text)));
    let globs: BTreeSet<&str> = of_changed.iter().chain(&of_others).map(Pattern::text).collect();
    let table = |compare| GlobTable::new(globs.iter().zip(0u32..).map(|(text, place)| (*text, place)), Subject::Caller, compare);
    let (exact, folded) = (table(Compare::Exact)?, table(Compare::Folded)?);

    let mut ids: Vec<String> = texts.iter().flat_map(|text| instances(text)).collect();
    let endings: BTreeSet<&str> = texts.iter().map(|text| fixed_ends(text).1).take(MOST_ENDINGS).collect();
    let beginnings: BTreeSet<&str> = texts.iter().map(|text| fixed_ends(text).0).collect();
    let both = beginnings.iter().flat_map(|prefix| {
        let both = endings.iter().map(move |suffix| format!("{prefix}x{suffix}"));
        both.chain([format!("{prefix}x1"), format!("{prefix}unnamed")])
    });
    ids.extend(both.take(MOST_NAMES));
    let partial = ids.len() > MOST_NAMES;
    ids.truncate(MOST_NAMES);

    let matched = |core: &Core, id: &str| core.profile(id).map(|profile| profile.matched.clone());
    let mut seen = BTreeSet::new();
    let mut found: Vec<Sampled> = Vec::new();
    for id in ids.into_iter().filter(|id| id.contains(':')) {
        let places: Vec<Option<String>> = policies.iter().map(|core| matched(core, &id)).collect();
        if places.iter().all(Option::is_none) {
            continue;
        }
        let mut named = BTreeSet::new();
        exact.each_match(&id, |place| named.extend([(place, true)]));
        folded.each_match(&fold(&id), |place| named.extend([(place, false)]));
        let entry = places.iter().rev().flatten().next().cloned().unwrap_or_default();
        let is_named = !named.is_empty();
        if seen.insert((places, named)) {
            let stands_for = if is_named { id.clone() } else { entry };
            found.push(Sampled { id, stands_for });
        }
    }
    // Two that stand for one entry under two policies go by their own names.
    let mut names: HashMap<String, usize> = HashMap::new();
    found.iter().for_each(|one| *names.entry(one.stands_for.clone()).or_default() += 1);
    for one in &mut found {
        if names.get(&one.stands_for).is_some_and(|count| *count > 1) {
            one.stands_for.clone_from(&one.id);
        }
    }
    let strangers = ["jwt:https://unnamed.invalid|unnamed", "key:unnamed", "local:uid=4294967294", "anonymous:unnamed", "webhook:unnamed"];
    let unknown = strangers.into_iter().find(|id| policies.iter().all(|core| core.profile(id).is_none()));
    found.splice(0..0, unknown.map(|id| Sampled { id: id.to_owned(), stands_for: ANYONE_ELSE.to_owned() }));
    Ok((found, partial))
}

const ANYONE_ELSE: &str = "anyone else";

/// The callers as they are shown: by name, whom no policy knows last.
pub(super) fn in_order(callers: &mut [Sampled]) {
    callers.sort_by(|one, other| {
        let key = |caller: &Sampled| (caller.stands_for == ANYONE_ELSE, caller.stands_for.clone(), caller.id.clone());
        key(one).cmp(&key(other))
    });
}

/// A caller's glob, for the one that `--caller` names.
pub(super) fn is_named(asked: &str, caller: &Sampled) -> bool {
    caller.stands_for == asked
        || caller.id == asked
        || Pattern::parse(asked, Subject::Caller).is_ok_and(|glob| glob.matches_once(Compare::Exact, &caller.id))
}
