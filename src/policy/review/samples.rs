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
    /// The glob that it was made from; `None` where no glob was, or several.
    pub(super) glob: Option<String>,
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
            let mut seen = BTreeSet::new();
            let class = |value: &str| (kind == ScopeKind::Repo && value.starts_with('/'), marks.on(kind, value));
            // One more than are kept tells that there are more.
            let mut kept: Vec<Value> = raw.into_iter().filter(|one| seen.insert(class(&one.value))).take(MOST_VALUES + 1).collect();
            samples.partial |= kept.len() > MOST_VALUES;
            kept.truncate(MOST_VALUES);
            samples.values.insert(kind, kept);
        }
        let (callers, partial) = callers(policies, &marks)?;
        samples.callers = callers;
        samples.partial |= partial;
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
        let mut made: Vec<String> = Vec::new();
        if marks.tell_secrets() {
            put("secret".to_owned(), None);
            made.push("secret".to_owned());
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

/// Every value that samples are chosen from.
#[cfg(test)]
pub(in super::super) fn every_value(policies: &[&Core], kind: ScopeKind) -> Vec<String> {
    let mut samples = Samples::default();
    let raw = samples.raw(kind, &Marks::of(policies).unwrap(), policies);
    raw.into_iter().map(|one| one.value).collect()
}
