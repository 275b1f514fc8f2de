//! A permitted call's view of single paths: the same rules that judged the call, asked of each path it would show.

use std::collections::BTreeSet;
use std::sync::Arc;

use opsgate_tools::scope::{PathFilter, ScopeKind};

use super::compile::{CompiledRepository, CompiledRule, Core, Profile, Who, bit};
use super::decision::Trigger;
use super::glob::Pattern;
use super::hits::Hits;
use super::normalise::{fold, path_spelling};

/// What of a permitted call decides about its paths.
pub(super) struct Seen {
    pub(super) core: Arc<Core>,
    pub(super) profile: Arc<Profile>,
    pub(super) caller: String,
    pub(super) trigger: Trigger,
    pub(super) tool: u32,
    pub(super) environments: u32,
    pub(super) hits: Hits,
    pub(super) repositories: Vec<Vec<u32>>,
    /// The repositories that are touched, as allow globs see them.
    pub(super) touched: Vec<String>,
    pub(super) touches_refs: bool,
    pub(super) allowing: Option<Vec<u32>>,
}

/// The filter of one call.
pub(super) struct CallPaths {
    seen: Arc<Seen>,
    /// The deny rules that name paths and whose other conditions hold for this call.
    active: Vec<u32>,
}

/// What a filter goes by, to be held against another policy's for the same call.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FilterGlobs {
    denied: BTreeSet<String>,
    /// Lists that a path must be on; `None` lets all through.
    allowed: Vec<Option<BTreeSet<String>>>,
}

impl FilterGlobs {
    /// Whether it may show more than `was` did: a denial's glob went, or a list has more or went. Globs are compared by their text.
    pub(super) fn is_wider_than(&self, was: &Self) -> bool {
        let list = |(now, was): (&Option<BTreeSet<String>>, &Option<BTreeSet<String>>)| match (now, was) {
            (Some(now), Some(was)) => !now.is_subset(was),
            (None, Some(_)) => true,
            (_, None) => false,
        };
        !was.denied.is_subset(&self.denied) || self.allowed.len() < was.allowed.len() || self.allowed.iter().zip(&was.allowed).any(list)
    }
}

impl CallPaths {
    pub(super) fn new(seen: &Arc<Seen>) -> Self {
        let core = &seen.core;
        let who = Who { id: &seen.caller, profile: &seen.profile, trigger: seen.trigger, environments: seen.environments };
        let applies = |index: &u32| {
            core.rule(*index).is_some_and(|rule| {
                let hit = seen.hits.of(*index) | bit(ScopeKind::Path);
                !rule.rule.shadow && rule.kinds & hit == rule.kinds && rule.is_about(&who, core.defaults.automation)
            })
        };
        let own = core.tools.get(seen.tool as usize).map(|entry| entry.denies.with_paths.as_slice()).unwrap_or_default();
        let mut active: Vec<u32> = core.common.with_paths.iter().chain(own).copied().filter(applies).collect();
        active.sort_unstable();
        Self { seen: Arc::clone(seen), active }
    }

    /// The globs that this call's filter goes by, as they were written.
    pub(super) fn globs(&self) -> FilterGlobs {
        let of_rules = |rules: &[u32]| -> BTreeSet<String> {
            let rules = rules.iter().filter_map(|index| self.seen.core.rule(*index));
            let paths = rules.flat_map(|rule| &rule.rule.when.scopes).filter(|(kind, _)| *kind == ScopeKind::Path);
            paths.flat_map(|(_, globs)| globs).map(|glob| glob.value.text().to_owned()).collect()
        };
        let texts = |globs: &[Pattern]| globs.iter().map(|glob| glob.text().to_owned()).collect::<BTreeSet<String>>();
        let mut denied = of_rules(&self.active);
        let mut allowed = Vec::new();
        for matched in &self.seen.repositories {
            self.entries(matched).for_each(|entry| denied.extend(texts(&entry.source.paths.deny)));
            allowed.push(self.entries(matched).find_map(|entry| entry.source.paths.allow.as_deref()).map(texts));
        }
        let names_paths = |index: &u32| self.seen.core.rule(*index).is_some_and(|rule| rule.kinds & bit(ScopeKind::Path) != 0);
        allowed.push(self.seen.allowing.as_deref().filter(|rules| rules.iter().all(names_paths)).map(of_rules));
        FilterGlobs { denied, allowed }
    }

    fn denied(&self, kind: ScopeKind, folded: &str) -> bool {
        let mut denied = false;
        let mut note = |rule: u32| denied |= self.active.binary_search(&rule).is_ok();
        self.seen.core.common.each_rule(kind, folded, &mut note);
        if let Some(entry) = self.seen.core.tools.get(self.seen.tool as usize) {
            entry.denies.each_rule(kind, folded, &mut note);
        }
        denied
    }

    fn entries(&self, matched: &[u32]) -> impl Iterator<Item = &CompiledRepository> {
        matched.iter().filter_map(|index| self.seen.core.repositories.get(*index as usize))
    }

    /// Whether one of the rules that permitted the call covers the path; the defaults cover all.
    fn allowed(&self, covers: impl Fn(&CompiledRule) -> bool) -> bool {
        let names_paths = |rule: &CompiledRule| rule.kinds & bit(ScopeKind::Path) != 0;
        self.seen
            .allowing
            .as_ref()
            .is_none_or(|rules| rules.iter().filter_map(|index| self.seen.core.rule(*index)).any(|rule| !names_paths(rule) || covers(rule)))
    }
}

// INVARIANT: what the filter shows, with each repository that it shows in place too, `decide` would permit (test:
// what_is_shown_of_nested_repositories_decide_permits).
// INVARIANT: what the filter shows, `decide` would permit for that path (test: the_filter_shows_what_decide_permits).
impl PathFilter for CallPaths {
    fn file(&self, path: &str) -> bool {
        let Ok(path) = path_spelling(path) else { return false };
        let folded = fold(&path);
        !self.denied(ScopeKind::Path, &folded)
            && self.seen.repositories.iter().all(|matched| {
                !self.entries(matched).any(|entry| entry.hides_files.is_match(&folded))
                    && self.entries(matched).find_map(|entry| entry.paths_allow.as_ref()).is_none_or(|list| list.is_match(&path))
            })
            && self.allowed(|rule| rule.plain.covers(&rule.rule).iter().any(|(kind, table)| *kind == ScopeKind::Path && table.is_match(&path)))
    }

    fn tree(&self, path: &str) -> bool {
        let Ok(path) = path_spelling(path) else { return false };
        let folded = fold(&path);
        !self.denied(ScopeKind::Tree, &folded)
            && self.seen.repositories.iter().all(|matched| {
                !self.entries(matched).any(|entry| entry.hides_folder(&folded))
                    && self
                        .entries(matched)
                        .find_map(|entry| entry.source.paths.allow.as_ref())
                        .is_none_or(|list| list.iter().any(|glob| glob.reaches_into(&path)))
            })
            && self.allowed(|rule| {
                let globs = rule.rule.when.scopes.iter().filter(|(kind, _)| *kind == ScopeKind::Path).flat_map(|(_, globs)| globs);
                globs.into_iter().any(|glob| glob.value.reaches_into(&path))
            })
    }

    fn repository(&self, folder: &str) -> bool {
        self.seen.shows(folder)
    }
}
