//! The calls that are tried for a tool: every combination of the sampled values; where these are too many, those that rules name.

use std::collections::HashSet;

use opsgate_tools::scope::{ScopeKind, Scopes};
use opsgate_tools::tool::Class;

use super::super::catalogue::is_local;
use super::super::compile::{CompiledRule, Core};
use super::super::model::Effect;
use super::super::normalise::fold;
use super::super::tool_index::ToolEntry;
use super::samples::{Samples, Tried};
use super::touches::{can_touch, can_touch_folder, touches};

/// The most combinations for one tool.
const MOST_CALLS: usize = 20_000;
/// The most decisions for a whole matrix or a whole comparison, so that either ends within seconds; and the least calls of one tool.
pub(super) const MOST_DECISIONS: usize = 1_000_000;
const LEAST_CALLS: usize = 100;
/// Rules that are looked at for a call that they are about, and such calls around which others are tried.
const MOST_RULES: usize = 500;
const MOST_BASES: usize = 16;

/// For each kind of a shape, the values that a tool can touch, by place.
type Lists = Vec<(ScopeKind, Vec<usize>)>;
/// One value of each kind, by place in the list.
type Pick = Vec<usize>;

/// Every combination.
fn every(lists: &Lists) -> Vec<Pick> {
    lists.iter().fold(vec![Pick::new()], |picks, (_, list)| {
        let longer = |pick: Pick| (0..list.len()).map(move |nth| pick.iter().copied().chain([nth]).collect());
        picks.into_iter().flat_map(longer).collect()
    })
}

impl Samples {
    /// How many calls of one tool can be tried, where so many tools are asked for so many callers.
    pub(super) fn most_calls(&self, decisions: usize, tools: usize, callers: usize, policies: usize) -> usize {
        (decisions / (tools * callers * policies).max(1)).clamp(LEAST_CALLS, MOST_CALLS)
    }

    /// The calls that are tried for a tool, `most` of them at most.
    pub(super) fn calls(&mut self, tool: &ToolEntry, policies: &[&Core], most: usize) -> Vec<Tried> {
        let anything: Vec<ScopeKind> = self.values.iter().filter(|(_, values)| values.len() > 1).map(|(kind, _)| *kind).collect();
        let pairs: Vec<[ScopeKind; 2]> =
            anything.iter().enumerate().flat_map(|(at, one)| anything.iter().skip(at + 1).map(|other| [*one, *other])).collect();
        let unknown: Vec<&[ScopeKind]> =
            pairs.iter().map(<[_; 2]>::as_slice).chain(anything.iter().map(std::slice::from_ref)).chain([&[][..]]).collect();
        let shapes = touches(&tool.name).unwrap_or(&unknown);
        let situations = if tool.class == Class::Write { self.situations.clone() } else { self.situations.iter().take(1).copied().collect() };
        let most = (most / (shapes.len() * situations.len()).max(1)).max(1);
        let rules = self.rules_about(tool, policies);
        let mut calls = Vec::new();
        for shape in shapes {
            let lists = self.lists(tool, shape);
            let all = lists.iter().fold(1usize, |product, (_, list)| product.saturating_mul(list.len()));
            let picks = if all <= most { every(&lists) } else { around_rules(&lists, &self.bases(tool, &lists, policies, &rules), most) };
            self.partial |= all > picks.len();
            for (now, change) in &situations {
                for pick in &picks {
                    let places = lists.iter().zip(pick).filter_map(|((kind, list), nth)| Some((*kind, *list.get(*nth)?)));
                    let picks: Vec<(ScopeKind, usize)> = places.collect();
                    let scopes = picks.iter().fold(Scopes::none("a sample"), |scopes, (kind, place)| scopes.and(*kind, self.value(*kind, *place)));
                    calls.push(Tried { picks, scopes, now: *now, change });
                }
            }
        }
        calls
    }

    fn lists(&self, tool: &ToolEntry, shape: &[ScopeKind]) -> Lists {
        let fits = |kind: ScopeKind, value: &str| match kind {
            ScopeKind::Repo => value.starts_with('/') == is_local(&tool.system),
            ScopeKind::Tree => can_touch_folder(&tool.name, value),
            _ => true,
        };
        let list = |kind: &ScopeKind| {
            let values = self.values.get(kind).map(Vec::as_slice).unwrap_or_default();
            (*kind, values.iter().enumerate().filter(|(_, one)| fits(*kind, &one.value)).map(|(place, _)| place).collect())
        };
        shape.iter().map(list).collect()
    }

    /// The rules about a tool of which no call is tried, since no value is one that they name.
    pub(super) fn untried<'c>(&self, tool: &ToolEntry, core: &'c Core) -> Vec<&'c CompiledRule> {
        let has_none = |rule: &CompiledRule| {
            let lists = rule.rule.when.scopes.iter().map(|(kind, _)| {
                let values = self.values.get(kind).map_or(0, Vec::len);
                (*kind, (0..values).collect())
            });
            let lists: Lists = lists.collect();
            let kinds = rule.rule.when.scopes.iter().map(|(kind, _)| *kind);
            !rule.rule.shadow && can_touch(&tool.name, kinds) && self.named_by(rule, &lists, &lists.iter().map(|_| 0).collect()).is_none()
        };
        self.rules_about(tool, &[core]).into_iter().map(|(_, rule)| rule).filter(|rule| has_none(rule)).collect()
    }

    /// The rules of each policy that are about the tool, those that changed first.
    fn rules_about<'c>(&self, tool: &ToolEntry, policies: &[&'c Core]) -> Vec<(usize, &'c CompiledRule)> {
        let about = |rule: &CompiledRule| {
            let when = &rule.rule.when;
            when.tools.as_ref().is_none_or(|tools| rule.plain.names(tools, &tool.name))
                && when.systems.as_ref().is_none_or(|systems| systems.iter().any(|system| system.value == tool.system))
        };
        let of = |(nth, core): (usize, &&'c Core)| core.rules.iter().filter(|rule| about(rule)).map(move |rule| (nth, rule)).collect::<Vec<_>>();
        let mut rules: Vec<_> = policies.iter().enumerate().flat_map(of).collect();
        rules.sort_by_key(|(_, rule)| !self.changed_rules.contains(&rule.rule.id));
        rules
    }

    fn bases(&self, tool: &ToolEntry, lists: &Lists, policies: &[&Core], rules: &[(usize, &CompiledRule)]) -> Vec<Pick> {
        let neutral: Pick = lists.iter().map(|_| 0).collect();
        // Where a write may go at all, as far as the whitelist says.
        let writable = |core: &Core| -> Pick {
            let nth = |(kind, list): &(ScopeKind, Vec<usize>)| match kind {
                ScopeKind::Repo if tool.class == Class::Write => {
                    list.iter().position(|place| core.says_write(&core.repository_globs_exact, self.value(*kind, *place))).unwrap_or(0)
                }
                _ => 0,
            };
            lists.iter().map(nth).collect()
        };
        let starts: Vec<Pick> = policies.iter().map(|core| writable(core)).collect();
        let of = |effect: Effect| rules.iter().filter(move |(_, rule)| rule.rule.effect == effect).take(MOST_RULES);
        let mut bases = vec![neutral];
        for (policy, rule) in of(Effect::Allow) {
            if bases.len() > MOST_BASES {
                break;
            }
            let base = starts.get(*policy).and_then(|start| self.named_by(rule, lists, start));
            bases.extend(base.filter(|base| !bases.contains(base)));
        }
        // A denial shows where the call is allowed otherwise.
        let allowed: Vec<Pick> = bases.iter().take(4).cloned().collect();
        let mut denied: Vec<Pick> = Vec::new();
        for (_, rule) in of(Effect::Deny) {
            if denied.len() > MOST_BASES {
                break;
            }
            denied.extend(allowed.iter().filter_map(|base| self.named_by(rule, lists, base)));
        }
        bases.extend(denied);
        bases
    }

    /// The call with a value that the rule names for each kind that it does; `None` where there is none.
    fn named_by(&self, rule: &CompiledRule, lists: &Lists, base: &Pick) -> Option<Pick> {
        let tables = if rule.rule.effect == Effect::Allow { rule.plain.covers(&rule.rule) } else { rule.plain.denies(&rule.rule) };
        let names = |kind: ScopeKind, value: &str| match (rule.rule.effect, kind) {
            (Effect::Allow, ScopeKind::Tree) => {
                rule.rule.when.scopes.iter().any(|(kind, globs)| *kind == ScopeKind::Path && globs.iter().any(|glob| glob.value.covers_folder(value)))
            }
            (Effect::Allow, _) => tables.iter().any(|(one, table)| *one == kind && table.is_match(value)),
            (Effect::Deny, _) => tables.iter().any(|(one, table)| *one == kind && table.is_match(&fold(value))),
        };
        let of = |kind: ScopeKind| if kind == ScopeKind::Tree { ScopeKind::Path } else { kind };
        let mut pick = base.clone();
        for ((kind, list), nth) in lists.iter().zip(&mut pick) {
            let is_named = rule.rule.when.scopes.iter().any(|(one, _)| *one == of(*kind));
            if is_named && !list.get(*nth).is_some_and(|place| names(*kind, self.value(*kind, *place))) {
                *nth = list.iter().position(|place| names(*kind, self.value(*kind, *place)))?;
            }
        }
        Some(pick)
    }
}

/// A call that no glob is about; calls that rules are about, those that changed before the others; around each of them every other value
/// of each kind; then pairs of values.
fn around_rules(lists: &Lists, bases: &[Pick], most: usize) -> Vec<Pick> {
    let (mut picks, mut seen) = (Vec::new(), HashSet::new());
    let mut put = |pick: Pick| {
        let room = picks.len() < most;
        if room && seen.insert(pick.clone()) {
            picks.push(pick);
        }
        room
    };
    bases.iter().all(|base| put(base.clone()));
    let with =
        |base: &Pick, at: usize, nth: usize| -> Pick { base.iter().enumerate().map(|(kind, old)| if kind == at { nth } else { *old }).collect() };
    let mut singles = bases.iter().flat_map(|base| lists.iter().enumerate().map(move |(at, (_, list))| (base, at, list.len())));
    let open = singles.all(|(base, at, length)| (0..length).all(|nth| put(with(base, at, nth))));
    if let (true, Some(base)) = (open, bases.first()) {
        let kinds = || lists.iter().map(|(_, list)| list.len()).enumerate();
        let pairs = kinds().flat_map(|(at, one)| kinds().skip(at + 1).map(move |(other_at, other)| ((at, one), (other_at, other))));
        for ((at, one), (other_at, other)) in pairs {
            (0..one).all(|nth| (0..other).all(|other| put(with(&with(base, at, nth), other_at, other))));
        }
    }
    picks
}
