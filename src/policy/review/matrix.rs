//! Who may call what: each caller and tool, decided over sampled arguments.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use opsgate_tools::scope::ScopeKind;
use opsgate_tools::tool::Class;
use serde::Serialize;

use super::super::Policy;
use super::super::compile::{CompiledRule, Core, Who};
use super::super::decision::{DecisionKind, DenialCode};
use super::super::glob_table::WILD;
use super::super::model::Effect;
use super::super::tool_index::ToolEntry;
use super::callers::{MOST_CALLERS, Sampled, in_order, is_named};
use super::calls::MOST_DECISIONS;
use super::entries::{self, Says};
use super::outcome::{Outcome, Reason};
use super::said::Policy as Said;
use super::samples::{Samples, Tried, ask, trigger};

/// Whether a caller may call a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum May {
    /// Whatever the arguments.
    Yes,
    /// With some arguments.
    Some,
    /// Once approved, whatever the arguments.
    Approval,
    /// Once approved, with some arguments, and never without.
    SomeApproval,
    /// With some arguments, and with others once approved.
    SomeAndApproval,
    /// Never.
    No,
}

impl May {
    /// As the table says it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::Some => "some",
            Self::Approval => "approval",
            Self::SomeApproval => "some approval",
            Self::SomeAndApproval => "some, else approval",
            Self::No => "no",
        }
    }
}

/// One caller and one tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// Whether.
    pub may: May,
    /// The kinds of things on which it depends; `hours` where it depends on the time, `change` where on what was said of the change.
    pub by: Vec<&'static str>,
    /// What approvals are asked for.
    pub approvals: Vec<String>,
    /// Why a call is refused, a few reasons of many: the first is that of a call which no glob is about.
    pub denials: Vec<Reason>,
    /// Rules about this caller and tool of which no sample was found: with some arguments they may decide otherwise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub untried: Vec<String>,
    /// How many reasons more there are.
    #[serde(skip_serializing_if = "is_zero")]
    pub more_denials: usize,
}

/// One tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its name.
    pub tool: String,
    /// Its system.
    pub system: String,
    /// The system's mode; `None` where the policy does not list it.
    pub mode: Option<&'static str>,
    /// Whether it reads or writes.
    pub class: Class,
    /// One for each caller.
    pub cells: Vec<Cell>,
}

/// A caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Column {
    /// The entry of `callers`, the caller that a rule names, or `anyone else`.
    pub caller: String,
    /// The name that was asked with.
    pub asked_as: String,
    /// Its roles.
    pub roles: Vec<String>,
}

/// Callers × tools.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Matrix {
    /// The policy's hash.
    pub policy: String,
    /// The columns.
    pub callers: Vec<Column>,
    /// The rows, by system and name.
    pub tools: Vec<Row>,
    /// What the rules and other entries say, so that a glob that changes changes the matrix, whether or not a cell does.
    pub rules: Vec<Says>,
    /// Whether there were too many combinations to try all.
    pub partial: bool,
}

impl Policy {
    /// Decides for each caller and tool over sampled arguments. `only` are callers or globs over them; none means all.
    ///
    /// # Errors
    /// Where the policy's globs cannot be compiled together.
    pub fn matrix(&self, only: &[String]) -> Result<Matrix, globset::Error> {
        self.matrix_within(only, MOST_DECISIONS)
    }

    /// With so many decisions at most.
    pub(in super::super) fn matrix_within(&self, only: &[String], decisions: usize) -> Result<Matrix, globset::Error> {
        let core = &self.core;
        let mut samples = Samples::of(&[core])?;
        let asked = |caller: &Sampled| only.is_empty() || only.iter().any(|one| is_named(one, caller));
        let mut callers: Vec<Sampled> = samples.callers.iter().filter(|caller| asked(caller)).cloned().collect();
        let literal = |one: &&String| !one.contains(WILD);
        for one in only.iter().filter(literal) {
            if !callers.iter().any(|caller| caller.stands_for == *one || caller.id == *one) {
                callers.insert(0, Sampled { id: one.clone(), stands_for: one.clone() });
            }
        }
        let mut entries: Vec<&ToolEntry> = core.tools.iter().collect();
        entries.sort_by_key(|entry| (&entry.system, &entry.name));
        samples.partial |= callers.len() > MOST_CALLERS;
        callers.truncate(MOST_CALLERS);
        in_order(&mut callers);
        let most = samples.most_calls(decisions, entries.len(), callers.len(), 1);
        let mut tools = Vec::new();
        for entry in entries {
            let calls = samples.calls(entry, &[core], most);
            let untried = samples.untried(entry, core);
            let cells = callers.iter().map(|caller| cell(core, caller, entry, &calls, &untried)).collect();
            let mode = core.systems.get(&entry.system).map(|system| system.mode.name());
            tools.push(Row { tool: entry.name.clone(), system: entry.system.clone(), mode, class: entry.class, cells });
        }
        let columns = callers.into_iter().map(|caller| {
            let roles = core.profile(&caller.id).map(|profile| profile.roles.clone()).unwrap_or_default();
            Column { caller: caller.stands_for, asked_as: caller.id, roles }
        });
        Ok(Matrix { policy: core.hash.clone(), callers: columns.collect(), tools, rules: entries::all(&Said::of(core)), partial: samples.partial })
    }
}

fn cell(core: &Arc<Core>, caller: &Sampled, tool: &ToolEntry, calls: &[Tried], untried: &[&CompiledRule]) -> Cell {
    let outcomes: Vec<Outcome> = calls.iter().map(|call| Outcome::of(&ask(core, caller, tool, call))).collect();
    let kinds: BTreeSet<DecisionKind> = outcomes.iter().map(Outcome::kind).collect();
    let has = |kind| kinds.contains(&kind);
    let may = match (has(DecisionKind::Deny), has(DecisionKind::NeedsApproval), has(DecisionKind::Permit)) {
        (false, false, _) => May::Yes,
        (true, false, true) => May::Some,
        (false, true, false) => May::Approval,
        (true, true, false) => May::SomeApproval,
        (_, true, true) => May::SomeAndApproval,
        (true, false, false) => May::No,
    };
    let by_default = DenialCode::DefaultDeny.name();
    let is_open = outcomes
        .iter()
        .any(|outcome| outcome.kind() != DecisionKind::Deny || matches!(outcome, Outcome::Denied(reason) if reason.code == by_default));
    let untried: Vec<String> = match core.profile(&caller.id) {
        // A call that is refused whatever rules say is refused.
        Some(profile) if is_open => {
            let who = Who { id: &caller.id, profile, trigger: trigger(caller), environments: u32::MAX };
            let about = untried.iter().filter(|rule| rule.is_about(&who, core.defaults.automation));
            about.filter(|rule| (rule.rule.effect == Effect::Allow) == (may == May::No)).map(|rule| rule.rule.id.clone()).collect()
        }
        _ => Vec::new(),
    };
    let may = match may {
        May::Yes | May::No if !untried.is_empty() => May::Some,
        May::Approval if !untried.is_empty() => May::SomeApproval,
        may => may,
    };
    let (mut denials, mut approvals, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    for outcome in outcomes.iter().filter(|outcome| seen.insert(*outcome)) {
        match outcome {
            Outcome::Denied(reason) => denials.push(reason.clone()),
            Outcome::Approval(required) => approvals.push(required.to_string()),
            Outcome::Permitted => {}
        }
    }
    if may == May::No {
        denials.truncate(1);
    }
    let more_denials = denials.len().saturating_sub(MOST_REASONS);
    denials.truncate(MOST_REASONS);
    Cell { may, by: if kinds.len() > 1 { depends_on(calls, &outcomes) } else { Vec::new() }, approvals, denials, untried, more_denials }
}

/// The most reasons that a cell names.
const MOST_REASONS: usize = 12;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape serde asks for")]
fn is_zero(n: &usize) -> bool {
    *n == 0
}

/// The kinds of which one value is permitted more than another, all else being the same.
fn depends_on(calls: &[Tried], outcomes: &[Outcome]) -> Vec<&'static str> {
    let mut by = BTreeSet::new();
    for kind in ScopeKind::ALL {
        let mut alike = BTreeMap::new();
        for (call, outcome) in calls.iter().zip(outcomes).filter(|(call, _)| call.picks.iter().any(|(one, _)| *one == kind)) {
            let others: Vec<_> = call.picks.iter().filter(|(one, _)| *one != kind).collect();
            if *alike.entry((others, call.now, call.change)).or_insert(outcome.kind()) != outcome.kind() {
                by.insert(kind);
            }
        }
    }
    let mut names: Vec<&'static str> = Vec::new();
    for kind in by {
        // To a reader a folder is a path.
        let name = if kind == ScopeKind::Tree { ScopeKind::Path.name() } else { kind.name() };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let (mut at_times, mut with_parts) = (BTreeMap::new(), BTreeMap::new());
    let asked = || calls.iter().zip(outcomes).map(|(call, outcome)| (call, outcome.kind()));
    if asked().any(|(call, kind)| *at_times.entry((&call.picks, call.change)).or_insert(kind) != kind) {
        names.push("hours");
    }
    if asked().any(|(call, kind)| *with_parts.entry((&call.picks, call.now)).or_insert(kind) != kind) {
        names.push("change");
    }
    names
}

impl Matrix {
    /// The footnotes: what each number in a cell stands for.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let mut seen = HashSet::new();
        self.tools.iter().flat_map(|row| &row.cells).flat_map(of).filter(|note| seen.insert(note.clone())).collect()
    }

    /// A cell as text: what may be, by what, and the numbers of its notes.
    #[must_use]
    pub fn text(cell: &Cell, notes: &[String]) -> String {
        let by = if cell.by.is_empty() { String::new() } else { format!(" by {}", cell.by.join(", ")) };
        let numbers: Vec<String> =
            of(cell).iter().filter_map(|note| notes.iter().position(|one| one == note)).map(|place| (place + 1).to_string()).collect();
        let more = if cell.more_denials == 0 { String::new() } else { format!(" and {} more", cell.more_denials) };
        let numbers = if numbers.is_empty() { String::new() } else { format!(" [{}{more}]", numbers.join(",")) };
        format!("{}{by}{numbers}", cell.may.words())
    }

    /// As Markdown, for a file whose difference a reviewer reads. It names no hash, so that a comment changes nothing.
    #[must_use]
    pub fn markdown(&self) -> String {
        let notes = self.notes();
        let escaped = |text: &str| text.replace('|', "\\|");
        let mut page = String::new();
        let mut system = None;
        for row in &self.tools {
            if system != Some(&row.system) {
                system = Some(&row.system);
                let head: Vec<String> = self.callers.iter().map(|column| code(&escaped(&column.caller))).collect();
                let lines = "| --- ".repeat(self.callers.len() + 2);
                page += &format!("\n## {} ({})\n\n| tool | class | {} |\n{lines}|\n", row.system, row.mode.unwrap_or("not listed"), head.join(" | "));
            }
            let class = if row.class == Class::Read { "read" } else { "write" };
            let cells: Vec<String> = row.cells.iter().map(|cell| Self::text(cell, &notes)).collect();
            page += &format!("| `{}` | {class} | {} |\n", row.tool, cells.join(" | "));
        }
        if !notes.is_empty() {
            page += "\n## Notes\n\n";
            notes.iter().zip(1..).for_each(|(note, number)| page += &format!("{number}. {note}\n"));
        }
        if !self.rules.is_empty() {
            page += "\n## Rules and other entries\n\n";
            self.rules.iter().for_each(|one| page += &one.item());
        }
        if self.partial {
            page += "\nThere were too many combinations to try them all.\n";
        }
        page.trim_start().to_owned()
    }
}

/// `anyone else` is no name.
fn code(caller: &str) -> String {
    if caller.contains(':') { format!("`{caller}`") } else { caller.to_owned() }
}

/// The notes of a cell.
fn of(cell: &Cell) -> Vec<String> {
    let needs = cell.approvals.iter().map(|needs| format!("approval: {needs}"));
    let denied = cell.denials.iter().map(|reason| {
        let rule = reason.rule.as_ref().map_or_else(String::new, |rule| format!(" `{rule}`"));
        format!("refused: {}{rule}: {}", reason.code, reason.because)
    });
    let untried = cell.untried.iter().map(|rule| format!("by rule `{rule}`, of which no sample was found"));
    needs.chain(denied).chain(untried).collect()
}
