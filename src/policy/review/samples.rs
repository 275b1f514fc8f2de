//! Calls that stand for all calls: callers, targets and times made from every glob of one or two policies, and some that
//! no glob matches. Each call has at most one value of a kind.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, ToSpan};
use opsgate_tools::scope::{ScopeKind, Scopes};

use super::super::compile::Core;
use super::super::decision::{ChangePart, Decision, Facts, Trigger};
use super::super::glob::{Compare, Pattern};
use super::super::normalise::scope_spelling;
use super::super::tool_index::ToolEntry;
use super::callers::{Sampled, callers};
use super::instances::{fixed_ends, instances};
use super::marks::Marks;

/// A value, and what it is shown as.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Value {
    pub(super) value: String,
    /// The globs from each of which alone it, or a value that is decided alike, was made.
    pub(super) globs: BTreeSet<String>,
    /// The globs that it was made from in another way.
    pub(super) near: Vec<String>,
    /// Whether it is in capitals.
    pub(super) capitals: bool,
}

/// A value with the globs that it was made from.
struct Made<'p> {
    value: String,
    from: Vec<&'p str>,
    how: How,
}

/// How a value was made.
#[derive(PartialEq, Eq)]
enum How {
    /// From one glob, which is meant to match it.
    Filled,
    /// The same in capitals.
    Capitals,
    /// Of parts of several globs, or beneath what one matches.
    Near,
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
#[derive(Default)]
pub(in super::super) struct Samples {
    pub(in super::super) callers: Vec<Sampled>,
    pub(super) values: BTreeMap<ScopeKind, Vec<Value>>,
    /// When, and with which parts of `change`.
    pub(super) situations: Vec<(Timestamp, &'static [ChangePart])>,
    /// The rules that are not the same in all of the policies.
    pub(super) changed_rules: BTreeSet<String>,
    /// Whether something was left out because there is too much.
    pub(super) partial: bool,
}

/// The most values of one kind.
const MOST_VALUES: usize = 300;
/// The most values that are made of one kind's globs; those that are alike go again.
const MOST_MADE: usize = 100_000;
/// The most pairs of globs that are looked at for values that both match.
const MOST_PAIRS: usize = 60_000;

impl Samples {
    pub(in super::super) fn of(policies: &[&Core]) -> Result<Self, globset::Error> {
        let marks = Marks::of(policies)?;
        let changed_rules = marks.changed_rules.iter().map(|id| (*id).to_owned()).collect();
        let mut samples = Self { situations: situations(policies), changed_rules, ..Self::default() };
        for kind in ScopeKind::ALL {
            let raw = samples.raw(kind, &marks, policies);
            let mut seen = BTreeMap::new();
            let class = |value: &str| (kind == ScopeKind::Repo && value.starts_with('/'), marks.on(kind, value));
            let mut kept: Vec<Value> = Vec::new();
            for made in raw {
                let place = *seen.entry(class(&made.value)).or_insert(kept.len());
                if place == MOST_VALUES {
                    samples.partial = true;
                    break;
                }
                if place == kept.len() {
                    let near = made.from.iter().map(|glob| (*glob).to_owned()).collect();
                    kept.push(Value { value: made.value, globs: BTreeSet::new(), near, capitals: made.how == How::Capitals });
                }
                let glob = made.from.first().filter(|_| made.how == How::Filled);
                if let (Some(one), Some(glob)) = (kept.get_mut(place), glob) {
                    one.globs.insert((*glob).to_owned());
                }
            }
            samples.values.insert(kind, kept);
        }
        let (callers, partial) = callers(policies, &marks)?;
        samples.callers = callers;
        samples.partial |= partial;
        Ok(samples)
    }

    /// Every value of a kind: those that no glob is meant to match first, then one for each glob, then those of two globs.
    fn raw<'p>(&mut self, kind: ScopeKind, marks: &'p Marks<'_>, policies: &'p [&Core]) -> Vec<Made<'p>> {
        let globs: Vec<&'p Pattern> = {
            let of = |one: ScopeKind| one == kind || (kind == ScopeKind::Tree && one == ScopeKind::Path);
            let mut seen = BTreeSet::new();
            marks.globs.iter().filter(|named| of(named.kind)).map(|named| named.glob).filter(|glob| seen.insert(glob.text())).collect()
        };
        let mut raw: Vec<Made<'p>> = Vec::new();
        let neutral: &[&str] = match kind {
            ScopeKind::Repo => &["unnamed/repository", "/unnamed/repository"],
            ScopeKind::Path => &["unnamed", "unnamed/file"],
            ScopeKind::Tree => &[".", "unnamed"],
            _ => &["unnamed"],
        };
        let mut put = |value: String, from: Vec<&'p str>, how: How| {
            if scope_spelling(kind, &value).is_some_and(|spelt| spelt == value) {
                raw.push(Made { value, from, how });
            }
        };
        neutral.iter().for_each(|value| put((*value).to_owned(), Vec::new(), How::Near));
        if kind == ScopeKind::Namespace {
            marks.environment_names().for_each(|name| put(name.to_owned(), vec![name], How::Filled));
        }
        if kind == ScopeKind::Method {
            let commands = policies.iter().filter_map(|core| core.systems.get("workspace")).flat_map(|system| system.commands.keys());
            commands.for_each(|name| put(name.clone(), vec![name], How::Filled));
        }
        let mut made: Vec<(String, &'p str)> = Vec::new();
        if marks.tell_secrets() {
            put("secret".to_owned(), Vec::new(), How::Near);
            made.push(("secret".to_owned(), "secret"));
        }
        for glob in &globs {
            if made.len() > MOST_MADE {
                self.partial = true;
                break;
            }
            let text = glob.text();
            for name in instances(text) {
                if kind == ScopeKind::Tree {
                    let parents = name.match_indices('/').filter_map(|(at, _)| name.get(..at));
                    parents.chain([name.as_str()]).for_each(|folder| put(folder.to_owned(), vec![text], How::Filled));
                }
                if kind == ScopeKind::Repo && !name.starts_with('/') && glob.matches_once(Compare::Exact, &format!("/{name}")) {
                    put(format!("/{name}"), vec![text], How::Filled);
                }
                put(name.clone(), vec![text], How::Filled);
                made.push((name, text));
            }
        }
        let prefixes: BTreeMap<&str, &str> =
            globs.iter().map(|glob| (fixed_ends(glob.text()).0, glob.text())).filter(|(prefix, _)| !prefix.is_empty()).collect();
        let suffixes: BTreeMap<&str, &str> =
            globs.iter().map(|glob| (fixed_ends(glob.text()).1, glob.text())).filter(|(suffix, _)| !suffix.is_empty()).collect();
        let mut left = MOST_PAIRS;
        'pairs: for (prefix, glob) in prefixes {
            let ends = suffixes.iter().map(|(suffix, other)| (format!("{prefix}x{suffix}"), *other));
            let within = made.iter().flat_map(|(name, other)| [(format!("{prefix}{name}"), *other), (format!("{prefix}/{name}"), *other)]);
            for (both, other) in ends.chain(within) {
                left = left.saturating_sub(1);
                if left == 0 {
                    self.partial = true;
                    break 'pairs;
                }
                put(both, vec![glob, other], How::Near);
            }
        }
        if kind == ScopeKind::Path {
            // A denial also covers what is beneath.
            made.iter().for_each(|(name, glob)| put(format!("{name}/x"), vec![glob], How::Near));
        }
        // A denial ignores case, and a permission does not.
        made.iter().for_each(|(name, glob)| put(name.to_uppercase(), vec![glob], How::Capitals));
        raw
    }

    pub(super) fn value(&self, kind: ScopeKind, place: usize) -> &str {
        self.values.get(&kind).and_then(|values| values.get(place)).map_or("", |one| one.value.as_str())
    }
}

/// How a call comes to be follows from where its caller's name comes from.
pub(super) fn trigger(caller: &Sampled) -> Trigger {
    match caller.id.split(':').next() {
        Some("webhook") => Trigger::Webhook,
        Some("schedule") => Trigger::Schedule,
        Some("runbook") => Trigger::Runbook,
        _ => Trigger::Client,
    }
}

/// Decides about a sampled call.
pub(super) fn ask(core: &std::sync::Arc<Core>, caller: &Sampled, tool: &ToolEntry, call: &Tried) -> Decision {
    core.decide(&Facts {
        caller: &caller.id,
        tool: &tool.name,
        system: &tool.system,
        class: tool.class,
        scopes: &call.scopes,
        trigger: trigger(caller),
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
    let minutes = (0..7 * 24 * 60_i64).filter_map(|minute| start.checked_add(minute.minutes()).ok());
    minutes.filter(|now| seen.insert(hours.iter().map(|hours| hours.contains(*now)).collect::<Vec<_>>())).collect()
}

/// Every value that samples are chosen from.
#[cfg(test)]
pub(in super::super) fn every_value(policies: &[&Core], kind: ScopeKind) -> Vec<String> {
    let mut samples = Samples::default();
    let marks = Marks::of(policies).unwrap();
    let raw = samples.raw(kind, &marks, policies);
    raw.into_iter().map(|one| one.value).collect()
}
