//! Calls that stand for all calls: callers, targets and times made from every glob of one or two policies, and some that
//! no glob matches. Each call has at most one value of a kind.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, ToSpan};
use opsgate_tools::scope::{ScopeKind, Scopes};
use opsgate_tools::tool::Class;

use super::super::catalogue::is_local;
use super::super::compile::{Core, ToolEntry};
use super::super::decision::{ChangePart, Decision, Facts, Trigger};
use super::super::glob::{Compare, Pattern, Subject};
use super::super::normalise::scope_spelling;
use super::instances::{fixed_ends, instances};
use super::marks::Marks;
use super::touches::{can_touch_folder, touches};

/// A value, and what it is shown as.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Value {
    pub(super) value: String,
    /// The glob that it was made from; `None` where no glob was, or several.
    pub(super) glob: Option<String>,
}

/// A caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Sampled {
    pub(in super::super) id: String,
    /// The entry of `callers` that it stands for; its own name where a rule names it; `anyone else`.
    pub(in super::super) stands_for: String,
}

/// A call that is tried: one value for each kind of its shape, by place in the list of that kind.
#[derive(Debug)]
pub(super) struct Tried {
    pub(super) picks: Vec<(ScopeKind, usize)>,
    pub(super) scopes: Scopes,
    pub(super) now: Timestamp,
    /// The parts of `change` that are filled in.
    pub(super) change: &'static [ChangePart],
}

/// What is tried.
pub(in super::super) struct Samples {
    pub(in super::super) callers: Vec<Sampled>,
    pub(super) values: BTreeMap<ScopeKind, Vec<Value>>,
    /// When, and with which parts of `change`.
    situations: Vec<(Timestamp, &'static [ChangePart])>,
    /// Whether something was left out because there is too much.
    pub(super) partial: bool,
}

/// The most values of one kind, and combinations for one tool.
const MOST_VALUES: usize = 300;
const MOST_CALLS: usize = 20_000;
/// The most pairs of globs that are looked at for values that both match.
const MOST_PAIRS: usize = 60_000;

impl Samples {
    pub(in super::super) fn of(policies: &[&Core]) -> Result<Self, globset::Error> {
        let marks = Marks::of(policies)?;
        let mut samples = Self { callers: Vec::new(), values: BTreeMap::new(), situations: situations(policies), partial: false };
        for kind in ScopeKind::ALL {
            let raw = samples.raw(kind, &marks, policies);
            let mut seen = BTreeSet::new();
            let class = |value: &str| (kind == ScopeKind::Repo && value.starts_with('/'), marks.on(kind, value));
            let mut kept: Vec<Value> = raw.into_iter().filter(|one| seen.insert(class(&one.value))).collect();
            samples.partial |= kept.len() > MOST_VALUES;
            kept.truncate(MOST_VALUES);
            samples.values.insert(kind, kept);
        }
        samples.callers = callers(policies);
        Ok(samples)
    }

    /// Every value of a kind: those that no glob is meant to match first, then one for each glob, then those of two globs.
    fn raw(&mut self, kind: ScopeKind, marks: &Marks<'_>, policies: &[&Core]) -> Vec<Value> {
        let globs: Vec<&Pattern> = {
            let of = |one: ScopeKind| one == kind || (kind == ScopeKind::Tree && one == ScopeKind::Path);
            let mut seen = BTreeSet::new();
            marks.globs.iter().filter(|named| of(named.kind)).map(|named| named.glob).filter(|glob| seen.insert(glob.text())).collect()
        };
        let mut raw: Vec<Value> = Vec::new();
        let neutral: &[&str] = match kind {
            ScopeKind::Repo => &["unnamed/repository", "/unnamed/repository"],
            ScopeKind::Path => &["unnamed", "unnamed/file"],
            ScopeKind::Tree => &[".", "unnamed"],
            _ => &["unnamed"],
        };
        let mut put = |value: String, glob: Option<&str>| {
            if scope_spelling(kind, &value).is_some_and(|spelt| spelt == value) {
                raw.push(Value { value, glob: glob.map(str::to_owned) });
            }
        };
        neutral.iter().for_each(|value| put((*value).to_owned(), None));
        if kind == ScopeKind::Namespace {
            marks.environment_names().for_each(|name| put(name.to_owned(), Some(name)));
        }
        if kind == ScopeKind::Method {
            let commands = policies.iter().filter_map(|core| core.systems.get("workspace")).flat_map(|system| system.commands.keys());
            commands.for_each(|name| put(name.clone(), Some(name)));
        }
        let mut made = Vec::new();
        if marks.tell_secrets() {
            put("secret".to_owned(), None);
            made.push("secret".to_owned());
        }
        for glob in &globs {
            let text = glob.text();
            for name in instances(text) {
                if kind == ScopeKind::Tree {
                    let parents = name.match_indices('/').filter_map(|(at, _)| name.get(..at));
                    parents.chain([name.as_str()]).for_each(|folder| put(folder.to_owned(), Some(text)));
                }
                if kind == ScopeKind::Repo && !name.starts_with('/') && glob.matches_once(Compare::Exact, &format!("/{name}")) {
                    put(format!("/{name}"), Some(text));
                }
                put(name.clone(), Some(text));
                made.push(name);
            }
        }
        let prefixes: BTreeSet<&str> = globs.iter().map(|glob| fixed_ends(glob.text()).0).filter(|prefix| !prefix.is_empty()).collect();
        let suffixes: BTreeSet<&str> = globs.iter().map(|glob| fixed_ends(glob.text()).1).filter(|suffix| !suffix.is_empty()).collect();
        let mut left = MOST_PAIRS;
        'pairs: for prefix in prefixes {
            let ends = suffixes.iter().map(|suffix| format!("{prefix}x{suffix}"));
            let within = made.iter().flat_map(|name| [format!("{prefix}{name}"), format!("{prefix}/{name}")]);
            for both in ends.chain(within) {
                left = left.saturating_sub(1);
                if left == 0 {
                    self.partial = true;
                    break 'pairs;
                }
                put(both, None);
            }
        }
        if kind == ScopeKind::Path {
            // A denial also covers what is beneath.
            made.iter().for_each(|name| put(format!("{name}/x"), None));
        }
        // A denial ignores case, and a permission does not.
        made.iter().for_each(|name| put(name.to_uppercase(), None));
        raw
    }

    /// The calls that are tried for a tool.
    pub(super) fn calls(&mut self, tool: &ToolEntry) -> Vec<Tried> {
        let anything: Vec<ScopeKind> = self.values.iter().filter(|(_, values)| values.len() > 1).map(|(kind, _)| *kind).collect();
        let pairs: Vec<[ScopeKind; 2]> =
            anything.iter().enumerate().flat_map(|(at, one)| anything.iter().skip(at + 1).map(|other| [*one, *other])).collect();
        let unknown: Vec<&[ScopeKind]> =
            pairs.iter().map(<[_; 2]>::as_slice).chain(anything.iter().map(std::slice::from_ref)).chain([&[][..]]).collect();
        let shapes = touches(&tool.name).unwrap_or(&unknown);
        let situations = if tool.class == Class::Write { self.situations.as_slice() } else { self.situations.get(..1).unwrap_or_default() };
        let fits = |kind: ScopeKind, value: &str| match kind {
            ScopeKind::Repo => value.starts_with('/') == is_local(&tool.system),
            ScopeKind::Tree => can_touch_folder(&tool.name, value),
            _ => true,
        };
        let mut calls = Vec::new();
        for shape in shapes {
            let lists: Vec<(ScopeKind, Vec<usize>)> = shape
                .iter()
                .map(|kind| {
                    let values = self.values.get(kind).map(Vec::as_slice).unwrap_or_default();
                    (*kind, values.iter().enumerate().filter(|(_, one)| fits(*kind, &one.value)).map(|(place, _)| place).collect())
                })
                .collect();
            let all = lists.iter().fold(situations.len(), |product, (_, list)| product.saturating_mul(list.len()));
            let at_once = if all > MOST_CALLS { 2 } else { usize::MAX };
            self.partial |= all > MOST_CALLS;
            let mut picks = vec![(Vec::new(), 0usize)];
            for (kind, list) in &lists {
                let mut longer = Vec::new();
                for (chosen, changed) in &picks {
                    for (nth, place) in list.iter().enumerate() {
                        let changed = changed + usize::from(nth > 0);
                        if changed <= at_once {
                            let mut chosen = chosen.clone();
                            chosen.push((*kind, *place));
                            longer.push((chosen, changed));
                        }
                    }
                }
                picks = longer;
            }
            if picks.len() > MOST_CALLS {
                self.partial = true;
                picks.truncate(MOST_CALLS);
            }
            for (now, change) in situations {
                for (picks, _) in &picks {
                    let scopes = picks.iter().fold(Scopes::none("a sample"), |scopes, (kind, place)| scopes.and(*kind, self.value(*kind, *place)));
                    calls.push(Tried { picks: picks.clone(), scopes, now: *now, change });
                }
            }
        }
        calls
    }

    pub(super) fn value(&self, kind: ScopeKind, place: usize) -> &str {
        self.values.get(&kind).and_then(|values| values.get(place)).map_or("", |one| one.value.as_str())
    }
}

/// Decides about a sampled call. How a call comes to be follows from where its caller's name comes from.
pub(super) fn ask(core: &std::sync::Arc<Core>, caller: &Sampled, tool: &ToolEntry, call: &Tried) -> Decision {
    let trigger = match caller.id.split(':').next() {
        Some("webhook") => Trigger::Webhook,
        Some("schedule") => Trigger::Schedule,
        Some("runbook") => Trigger::Runbook,
        _ => Trigger::Client,
    };
    core.decide(&Facts {
        caller: &caller.id,
        tool: &tool.name,
        system: &tool.system,
        class: tool.class,
        scopes: &call.scopes,
        trigger,
        write_mode_env_off: false,
        same_user: false,
        change: call.change,
        now: call.now,
    })
}

const REASONING: ChangePart = ChangePart::Reasoning;
const ROLLBACK: ChangePart = ChangePart::RollbackPlan;
const INCIDENT: ChangePart = ChangePart::IncidentId;
/// All parts, none, and all but one.
const CHANGES: [&[ChangePart]; 5] = [&[REASONING, ROLLBACK, INCIDENT], &[], &[ROLLBACK, INCIDENT], &[REASONING, INCIDENT], &[REASONING, ROLLBACK]];

/// The moments, with all parts of `change`; and without some where a policy asks for them.
fn situations(policies: &[&Core]) -> Vec<(Timestamp, &'static [ChangePart])> {
    let asks = policies.iter().any(|core| core.risk.is_some() || core.environments.iter().any(|(one, _)| !one.require.is_empty()));
    let changes = if asks { CHANGES.as_slice() } else { CHANGES.get(..1).unwrap_or_default() };
    times(policies).into_iter().flat_map(|now| changes.iter().map(move |change| (now, *change))).collect()
}

/// One moment for each way in which the environments' hours can hold, within a week.
fn times(policies: &[&Core]) -> Vec<Timestamp> {
    // A Friday at noon.
    let start = Timestamp::from_second(1_795_176_000).unwrap_or_default();
    let hours = policies.iter().flat_map(|core| &core.environments).filter_map(|(one, _)| one.hours.as_ref());
    let hours: Vec<_> = hours.chain(policies.iter().filter_map(|core| core.risk.as_ref()?.hours())).collect();
    if hours.is_empty() {
        return vec![start];
    }
    let mut seen = BTreeSet::new();
    let quarters = (0..7 * 24 * 4).filter_map(|quarter| start.checked_add((quarter * 15).minutes()).ok());
    quarters.filter(|now| seen.insert(hours.iter().map(|hours| hours.contains(*now)).collect::<Vec<_>>())).collect()
}

/// One caller for each entry, one for each caller that a rule names apart from the rest of its entry, and one that is unknown.
fn callers(policies: &[&Core]) -> Vec<Sampled> {
    let entries: BTreeSet<&str> = policies.iter().flat_map(|core| core.callers()).map(|profile| profile.matched.as_str()).collect();
    let globs: Vec<Pattern> = policies
        .iter()
        .flat_map(|core| &core.rules)
        .flat_map(|rule| rule.rule.when.callers.iter().flatten())
        .map(|glob| glob.value.clone())
        .collect();
    let mut texts: Vec<&str> = entries.into_iter().collect();
    texts.extend(globs.iter().map(Pattern::text));
    let mut ids: Vec<String> = texts.iter().flat_map(|text| instances(text)).collect();
    for prefix in texts.iter().map(|text| fixed_ends(text).0) {
        let both = texts.iter().map(|text| format!("{prefix}x{}", fixed_ends(text).1));
        ids.extend(both.take(200).chain([format!("{prefix}x1"), format!("{prefix}unnamed")]));
    }
    let matched = |core: &Core, id: &str| core.profile(id).map(|profile| profile.matched.clone());
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for id in ids.into_iter().filter(|id| id.contains(':')) {
        let places: Vec<Option<String>> = policies.iter().map(|core| matched(core, &id)).collect();
        if places.iter().all(Option::is_none) {
            continue;
        }
        let named: Vec<bool> =
            globs.iter().flat_map(|glob| [glob.matches_once(Compare::Exact, &id), glob.matches_once(Compare::Folded, &id)]).collect();
        let entry = places.iter().rev().flatten().next().cloned().unwrap_or_default();
        if seen.insert((places, named.clone())) {
            let stands_for = if named.contains(&true) { id.clone() } else { entry };
            found.push(Sampled { id, stands_for });
        }
    }
    found.sort_by(|one, other| (&one.stands_for, &one.id).cmp(&(&other.stands_for, &other.id)));
    // Two that stand for one entry under two policies go by their own names.
    let names: Vec<String> = found.iter().map(|one| one.stands_for.clone()).collect();
    for one in &mut found {
        if names.iter().filter(|name| **name == one.stands_for).count() > 1 {
            one.stands_for.clone_from(&one.id);
        }
    }
    let strangers = ["jwt:https://unnamed.invalid|unnamed", "key:unnamed", "local:uid=4294967294", "anonymous:unnamed", "webhook:unnamed"];
    let unknown = strangers.into_iter().find(|id| policies.iter().all(|core| core.profile(id).is_none()));
    found.extend(unknown.map(|id| Sampled { id: id.to_owned(), stands_for: "anyone else".to_owned() }));
    found
}

/// A caller's glob, for the one that `--caller` names.
pub(super) fn is_named(asked: &str, caller: &Sampled) -> bool {
    caller.stands_for == asked
        || caller.id == asked
        || Pattern::parse(asked, Subject::Caller).is_ok_and(|glob| glob.matches_once(Compare::Exact, &caller.id))
}

/// Every value that samples are chosen from.
#[cfg(test)]
pub(in super::super) fn every_value(policies: &[&Core], kind: ScopeKind) -> Vec<String> {
    let mut samples = Samples { callers: Vec::new(), values: BTreeMap::new(), situations: Vec::new(), partial: false };
    let raw = samples.raw(kind, &Marks::of(policies).unwrap(), policies);
    raw.into_iter().map(|one| one.value).collect()
}
