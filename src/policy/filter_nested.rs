//! A permitted call's view of a repository within the one that it works on.
//!
//! The answer is for everything in that repository at once, so it is no where part of it would be refused.

use opsgate_tools::scope::ScopeKind;
use opsgate_tools::tool::Class;

use super::compile::{CompiledRepository, CompiledRule, Who, bit, environment_bit};
use super::filter::Seen;
use super::glob_table::GlobTable;
use super::model::Effect;
use super::normalise::{fold, scope_spelling};

impl Seen {
    /// Whether the call would be permitted with this repository in place too, whichever of its files and which other
    /// repositories that are shown it touches besides.
    pub(super) fn shows(&self, folder: &str) -> bool {
        let Some(value) = scope_spelling(ScopeKind::Repo, folder) else { return false };
        // It was judged with the call.
        if self.touched.iter().any(|one| *one == value) {
            return true;
        }
        let folded = fold(&value);
        !self.brings_an_environment(&folded)
            && !self.denied_there(&folded)
            && self.open_by_settings(&folded)
            && self.on_the_lists(&value)
            && self.allowed_there(&value)
            && (self.class() != Some(Class::Write) || self.core.is_writable(&value, &folded))
    }

    fn class(&self) -> Option<Class> {
        self.core.tools.get(self.tool as usize).map(|entry| entry.class)
    }

    /// Whether it belongs to an environment that the call is not in and that changes the answer: for a write any may ask for more.
    fn brings_an_environment(&self, folded: &str) -> bool {
        let of = |targets: &[(ScopeKind, GlobTable)]| targets.iter().any(|(kind, globs)| *kind == ScopeKind::Repo && globs.is_match(folded));
        let theirs =
            self.core.environments.iter().zip(0..).filter(|((_, targets), _)| of(targets)).fold(0, |bits, (_, place)| bits | environment_bit(place));
        let new = theirs & !self.environments;
        let is_denied = || self.core.rules.iter().any(|one| one.rule.effect == Effect::Deny && one.environments.is_some_and(|bits| bits & new != 0));
        new != 0 && (self.class() != Some(Class::Read) || is_denied())
    }

    /// Whether a deny rule names it. One that names paths too hides it whole.
    fn denied_there(&self, folded: &str) -> bool {
        let who = Who { id: &self.caller, profile: &self.profile, trigger: self.trigger, environments: self.environments };
        let mut denied = false;
        let mut note = |index: u32| {
            denied |= self.core.rule(index).is_some_and(|rule| {
                let hit = self.hits.of(index) | bit(ScopeKind::Repo) | bit(ScopeKind::Path);
                !rule.rule.shadow && rule.kinds & hit == rule.kinds && rule.is_about(&who, self.core.defaults.automation)
            });
        };
        self.core.common.each_rule(ScopeKind::Repo, folded, &mut note);
        if let Some(entry) = self.core.tools.get(self.tool as usize) {
            entry.denies.each_rule(ScopeKind::Repo, folded, &mut note);
        }
        denied
    }

    /// Whether the entries of `repositories` for it leave the tool be, and say of paths and refs what those of the call's own say.
    fn open_by_settings(&self, folded: &str) -> bool {
        let Some(tool) = self.core.tools.get(self.tool as usize) else { return false };
        let mut matched = Vec::new();
        if !self.core.repositories.is_empty() {
            self.core.repository_globs.each_match(folded, |entry| matched.push(entry));
            matched.sort_unstable();
        }
        let entry = |index: &u32| self.core.repositories.get(*index as usize);
        let own = |index: &u32| self.repositories.iter().any(|one| one.contains(index));
        let denied = |one: &CompiledRepository| {
            one.tools_deny.is_match(&tool.name) || !one.source.paths.deny.is_empty() || (self.touches_refs && !one.source.refs.deny.is_empty())
        };
        if matched.iter().filter(|index| !own(index)).filter_map(entry).any(denied) {
            return false;
        }
        if matched.iter().filter_map(entry).find_map(|one| one.tools_allow.as_ref()).is_some_and(|list| !list.is_match(&tool.name)) {
            return false;
        }
        // A list that already holds for the call holds for what it shows.
        let same = |says: fn(&CompiledRepository) -> bool| {
            let closest = |matched: &[u32]| matched.iter().find(|index| entry(index).is_some_and(says)).copied();
            closest(&matched).is_none_or(|list| self.repositories.iter().any(|one| closest(one) == Some(list)))
        };
        same(|one| one.paths_allow.is_some()) && (!self.touches_refs || same(|one| one.refs_allow.is_some()))
    }

    fn on_the_lists(&self, value: &str) -> bool {
        let system = self.core.tools.get(self.tool as usize).and_then(|entry| self.core.systems.get(&entry.system));
        system.is_some_and(|system| system.lists.iter().all(|(kind, list)| *kind != ScopeKind::Repo || list.is_match(value)))
    }

    /// Whether one of the rules that permitted the call covers it, and every other repository and path that is shown: the rules
    /// are asked about each of them by itself, and only one rule can permit them together.
    fn allowed_there(&self, value: &str) -> bool {
        let Some(rules) = &self.allowing else { return true };
        let rules = || rules.iter().filter_map(|index| self.core.rule(*index));
        let names = |kinds: u16, kind: ScopeKind| kinds & bit(kind) != 0;
        let covers = |one: &CompiledRule| {
            let mut tables = one.plain.covers(&one.rule).iter().filter(|(kind, _)| *kind == ScopeKind::Repo);
            tables.all(|(_, table)| table.is_match(value))
        };
        rules().any(|one| !names(one.kinds, ScopeKind::Repo) && !names(one.kinds, ScopeKind::Path))
            || (rules().all(covers) && (rules().count() == 1 || rules().any(|one| !names(one.kinds, ScopeKind::Path))))
    }
}
