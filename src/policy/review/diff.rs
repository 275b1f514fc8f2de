//! Whose permissions change between two policies, and which settings.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use opsgate_tools::scope::ScopeKind;
use opsgate_tools::tool::Class;
use serde::Serialize;

use super::super::Policy;
use super::super::compile::Core;
use super::super::decision::DecisionKind;
use super::super::tool_index::ToolEntry;
use super::callers::{MOST_CALLERS, in_order};
use super::calls::MOST_DECISIONS;
use super::entries::{self, Entry};
use super::outcome::Outcome;
use super::said::Policy as Said;
use super::samples::{Samples, Tried, Value, ask};
use super::settings::{self, Setting};

/// Which way a permission changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// More is permitted, or the same with no approval.
    Wider,
    /// The same with approvals that are easier to get.
    Weaker,
    /// Less is permitted, or the same with approval.
    Narrower,
    /// Other approvals are asked for.
    Approvals,
}

/// Things of one kind that a change is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Target {
    /// The kind.
    pub kind: &'static str,
    /// Globs that the calls' values were made from, values that several globs match, or `others`, which no glob matches.
    pub of: Vec<String>,
}

/// A change of what some callers may do with some tools.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Change {
    /// Which way.
    pub direction: Direction,
    /// Whose: entries of `callers`, names that a rule names, or `anyone else`.
    pub callers: Vec<String>,
    /// The tools.
    pub tools: Vec<String>,
    /// Whether the tools write.
    pub writes: bool,
    /// What the calls touch; a kind on which nothing depends is left out, and nothing at all means any arguments.
    pub targets: Vec<Target>,
    /// What was decided.
    pub before: String,
    /// What is decided.
    pub after: String,
}

/// What changes from one policy to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// The hash of the old policy.
    pub old: String,
    /// The hash of the new one.
    pub new: String,
    /// Rules and other entries that differ, those that may be wider first. Nothing that they say is left out.
    pub rules: Vec<Entry>,
    /// Changes of permissions that samples show, what is wider first.
    pub changes: Vec<Change>,
    /// Settings that differ and are weaker.
    pub weaker: Vec<Setting>,
    /// Other settings that differ.
    pub settings: Vec<Setting>,
    /// Whether there were too many combinations to compare all.
    pub partial: bool,
}

/// What is the same for the callers and tools of one change.
type Same = (Direction, String, String, bool, Vec<Target>);

impl Policy {
    /// Compares two policies over callers × tools × sampled targets, and their settings.
    ///
    /// # Errors
    /// Where the globs of both cannot be compiled together.
    // INVARIANT: where a sampled call is decided otherwise, its caller and tool are told (test:
    // no_sampled_change_is_missed).
    pub fn diff(&self, new: &Self) -> Result<Diff, globset::Error> {
        self.diff_within(new, MOST_DECISIONS)
    }

    /// Compares with so many decisions at most.
    pub(in super::super) fn diff_within(&self, new: &Self, decisions: usize) -> Result<Diff, globset::Error> {
        let (old, new) = (&self.core, &new.core);
        if old.hash == new.hash && old.tools.len() == new.tools.len() {
            let hash = old.hash.clone();
            return Ok(Diff {
                old: hash.clone(),
                new: hash,
                rules: Vec::new(),
                changes: Vec::new(),
                weaker: Vec::new(),
                settings: Vec::new(),
                partial: false,
            });
        }
        let mut samples = Samples::of(&[old, new])?;
        let mut found: BTreeMap<Same, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
        let names: BTreeSet<&str> = old.tools.iter().chain(&new.tools).map(|entry| entry.name.as_str()).collect();
        let mut callers = samples.callers.clone();
        samples.partial |= callers.len() > MOST_CALLERS;
        callers.truncate(MOST_CALLERS);
        in_order(&mut callers);
        let most = samples.most_calls(decisions, names.len(), callers.len(), 2);
        for name in names {
            let (before, after) = (old.tool(name).map(|(_, entry)| entry), new.tool(name).map(|(_, entry)| entry));
            let Some(entry) = after.or(before) else { continue };
            let calls = samples.calls(entry, &[old, new], most);
            let every = touched(&calls);
            for caller in &callers {
                let outcome = |core: &Arc<Core>, entry: &ToolEntry, call: &Tried| Outcome::of(&ask(core, caller, entry, call));
                let mut groups: BTreeMap<(Direction, String, String), Vec<&Tried>> = BTreeMap::new();
                for call in &calls {
                    let (before, after) = (outcome(old, entry, call), outcome(new, entry, call));
                    if let Some(direction) = direction(&before, &after) {
                        groups.entry((direction, words(&before), words(&after))).or_default().push(call);
                    }
                }
                for ((direction, before, after), group) in groups {
                    let same = (direction, before, after, entry.class == Class::Write, targets(&samples, &touched(group), &every));
                    found.entry(same).or_default().entry(caller.stands_for.clone()).or_default().insert(name.to_owned());
                }
            }
        }
        let mut changes = Vec::new();
        for ((direction, before, after, writes, targets), by_caller) in found {
            let mut by_tools: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
            for (caller, tools) in by_caller {
                by_tools.entry(tools.into_iter().collect()).or_default().push(caller);
            }
            let change = |(tools, callers)| Change {
                direction,
                callers,
                tools,
                writes,
                targets: targets.clone(),
                before: before.clone(),
                after: after.clone(),
            };
            changes.extend(by_tools.into_iter().map(change));
        }
        let said = [Said::of(old), Said::of(new)];
        let [before, after] = &said;
        let (weaker, settings) = settings::changed(before, after);
        let rules = entries::changed([old, new], [before, after]);
        Ok(Diff { old: old.hash.clone(), new: new.hash.clone(), rules, changes, weaker, settings, partial: samples.partial })
    }
}

fn direction(before: &Outcome, after: &Outcome) -> Option<Direction> {
    match before.kind().cmp(&after.kind()) {
        std::cmp::Ordering::Less => Some(Direction::Wider),
        std::cmp::Ordering::Greater => Some(Direction::Narrower),
        // Another reason for the same refusal permits nothing.
        std::cmp::Ordering::Equal if after.kind() == DecisionKind::Deny || before == after => None,
        std::cmp::Ordering::Equal => Some(if after.asks_less_than(before) { Direction::Weaker } else { Direction::Approvals }),
    }
}

fn words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Permitted => "permitted".to_owned(),
        Outcome::Approval(required) => format!("with {required}"),
        Outcome::Denied(reason) => {
            let rule = reason.rule.as_ref().map_or_else(String::new, |rule| format!("`{rule}`: "));
            format!("denied ({rule}{})", reason.because)
        }
    }
}

/// For each kind, the places of the values that some calls touch.
fn touched<'c>(calls: impl IntoIterator<Item = &'c Tried>) -> BTreeMap<ScopeKind, BTreeSet<usize>> {
    let mut touched: BTreeMap<ScopeKind, BTreeSet<usize>> = BTreeMap::new();
    for (kind, place) in calls.into_iter().flat_map(|call| &call.picks) {
        touched.entry(*kind).or_default().insert(*place);
    }
    touched
}

/// What a group of calls touches that not all calls of the tool touch.
fn targets(samples: &Samples, group: &BTreeMap<ScopeKind, BTreeSet<usize>>, every: &BTreeMap<ScopeKind, BTreeSet<usize>>) -> Vec<Target> {
    let differs = group.iter().filter(|(kind, some)| every.get(kind) != Some(some));
    let targets = differs.map(|(kind, some)| {
        let values = samples.values.get(kind).map(Vec::as_slice).unwrap_or_default();
        let values: Vec<&Value> = some.iter().filter_map(|place| values.get(*place)).collect();
        Target { kind: kind.name(), of: shown(&values).into_iter().collect() }
    });
    let mut targets: Vec<Target> = targets.collect();
    // Files and folders that change alike are said once.
    let of = |kind: ScopeKind| targets.iter().position(|target| target.kind == kind.name());
    if let (Some(files), Some(folders)) = (of(ScopeKind::Path), of(ScopeKind::Tree)) {
        let each = |place: usize| targets.get(place).map(|target| target.of.iter().cloned().collect::<BTreeSet<_>>()).unwrap_or_default();
        let (of_files, of_folders) = (each(files), each(folders));
        if of_files.is_subset(&of_folders) || of_folders.is_subset(&of_files) {
            if let Some(target) = targets.get_mut(files) {
                target.of = of_files.union(&of_folders).cloned().collect();
            }
            targets.remove(folders);
        }
    }
    targets
}

/// The globs that the values were made from; a value that none of these explains by itself.
fn shown(values: &[&Value]) -> BTreeSet<String> {
    let globs: BTreeSet<&String> = values.iter().flat_map(|one| &one.globs).collect();
    let others = values.iter().filter(|one| one.globs.is_empty() && !one.near.iter().any(|glob| globs.contains(glob)));
    let others = others.map(|one| match one.near.as_slice() {
        [] if one.value.trim_start_matches('/').starts_with("unnamed") => "others".to_owned(),
        [glob] if one.capitals => format!("`{glob}` in capitals"),
        [glob] => format!("beneath `{glob}`"),
        _ => format!("`{}`", one.value),
    });
    globs.iter().map(|glob| format!("`{glob}`")).chain(others).collect()
}

/// The most globs of one kind that a sentence names.
const MOST_NAMED: usize = 12;

impl Change {
    /// In a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let name = |one: &String| if one.contains(' ') { one.clone() } else { format!("`{one}`") };
        let many = |list: &[String], of: &dyn Fn(&String) -> String| match list {
            [] => String::new(),
            [one] => of(one),
            [first @ .., last] => format!("{} and {}", first.iter().map(of).collect::<Vec<_>>().join(", "), of(last)),
        };
        let targets = self.targets.iter().map(|target| {
            let few: Vec<&str> = target.of.iter().take(MOST_NAMED).map(String::as_str).collect();
            let more = target.of.len().saturating_sub(MOST_NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("{} {}{more}", target.kind, few.join(" or "))
        });
        let targets: Vec<String> = targets.collect();
        let at: String = targets.iter().map(|target| format!(", {target}")).collect();
        let comma = if targets.is_empty() { "" } else { "," };
        let (callers, tools) = (many(&self.callers, &name), many(&self.tools, &name));
        let Self { before, after, .. } = self;
        match self.direction {
            Direction::Wider if after == "permitted" && !self.writes => format!("{callers} may now call {tools}{at}; before: {before}"),
            Direction::Wider if after == "permitted" => format!("{callers} may now call {tools}{at}{comma} without approval; before: {before}"),
            Direction::Wider | Direction::Weaker => format!("{callers} may now call {tools}{at}{comma} {after}; before: {before}"),
            Direction::Narrower if after.starts_with("denied") => format!("{callers} may no longer call {tools}{at}: {after}; before: {before}"),
            _ => format!("{callers} may call {tools}{at}{comma} only {after}; before: {before}"),
        }
    }
}

impl Diff {
    /// Whether anything differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.changes.is_empty() && self.weaker.is_empty() && self.settings.is_empty()
    }
}
