//! A call as the policy sees it: its caller, its tool, one spelling for each value, and the rules that name them.

use std::borrow::Cow;
use std::sync::Arc;

use opsgate_tools::mode::Mode;
use opsgate_tools::scope::ScopeKind;
use opsgate_tools::tool::Class;

use super::catalogue::forbidden;
use super::compile::{CompiledRule, Core, Profile, Who, bit, environment_bit};
use super::decision::{Denial, DenialCode, Facts};
use super::glob::Pattern;
use super::hits::Hits;
use super::model::Environment;
use super::normalise::{fold, scope_spelling};
use super::tool_index::ToolEntry;

/// A value that a call touches: as allow globs see it, and as deny globs do.
pub(super) struct Touched<'a> {
    pub(super) kind: ScopeKind,
    pub(super) value: Cow<'a, str>,
    pub(super) folded: Cow<'a, str>,
}

/// A call whose caller, tool and values are known to the policy.
pub(super) struct Call<'a> {
    pub(super) core: &'a Core,
    pub(super) facts: &'a Facts<'a>,
    pub(super) tool: u32,
    pub(super) entry: &'a ToolEntry,
    pub(super) profile: &'a Arc<Profile>,
    pub(super) mode: Mode,
    pub(super) touched: Vec<Touched<'a>>,
    pub(super) environments: u32,
    /// For each deny rule that names a touched value: the kinds it names one of.
    pub(super) hits: Hits,
    /// The entries of `repositories` that match a touched repository; one list for each repository.
    pub(super) repositories: Vec<Vec<u32>>,
}

impl<'a> Call<'a> {
    /// Finds the caller, the tool, the system, and one spelling for each value.
    pub(super) fn new(core: &'a Core, facts: &'a Facts<'a>) -> Result<Self, Denial> {
        let profile = core.profile(facts.caller).ok_or_else(|| Denial::new(DenialCode::UnknownCaller, []))?;
        let Some((tool, entry)) = core.tool(facts.tool) else {
            return Err(match forbidden(facts.tool) {
                Some(entry) => Denial::new(DenialCode::Forbidden, [("because", entry.because.to_owned())]),
                None => Denial::new(DenialCode::UnknownTool, []),
            });
        };
        // INVARIANT: facts that contradict the catalogue are never judged (test: contradicting_facts_are_refused).
        if entry.system != facts.system || entry.class != facts.class {
            return Err(Denial::new(DenialCode::UnknownTool, []));
        }
        let system = core.systems.get(&entry.system).ok_or_else(|| Denial::new(DenialCode::SystemNotListed, [("system", entry.system.clone())]))?;
        if system.mode == Mode::Blocked {
            return Err(Denial::new(DenialCode::SystemBlocked, [("system", entry.system.clone())]).by(&format!("systems.{}.mode", entry.system)));
        }
        let mut call = Self {
            core,
            facts,
            tool,
            entry,
            profile,
            mode: system.mode,
            touched: Vec::with_capacity(facts.scopes.entries().len()),
            environments: 0,
            hits: Hits::default(),
            repositories: Vec::new(),
        };
        for scope in facts.scopes.entries() {
            let value = scope_spelling(scope.kind, &scope.value)
                .ok_or_else(|| Denial::new(DenialCode::Unnormalisable, [("kind", scope.kind.to_string())]))?;
            let folded = match &value {
                Cow::Borrowed(value) => fold(value),
                Cow::Owned(value) => Cow::Owned(fold(value).into_owned()),
            };
            call.touch(Touched { kind: scope.kind, value, folded });
        }
        Ok(call)
    }

    fn touch(&mut self, touched: Touched<'a>) {
        let Touched { kind, folded, .. } = &touched;
        self.hits.add(bit(*kind), |found| {
            self.core.common.each_rule(*kind, folded, &mut *found);
            self.entry.denies.each_rule(*kind, folded, found);
        });
        if *kind == ScopeKind::Repo && !self.core.repositories.is_empty() {
            let mut found = Vec::new();
            self.core.repository_globs.each_match(folded, |entry| found.push(entry));
            found.sort_unstable();
            self.repositories.push(found);
        }
        for ((environment, targets), place) in self.core.environments.iter().zip(0..) {
            let named = *kind == ScopeKind::Namespace && environment.aliases.iter().chain([&environment.name]).any(|name| fold(name) == *folded);
            if named || targets.iter().any(|(one, globs)| one == kind && globs.is_match(folded)) {
                self.environments |= environment_bit(place);
            }
        }
        self.touched.push(touched);
    }

    fn who(&self) -> Who<'_> {
        Who { id: self.facts.caller, profile: self.profile, trigger: self.facts.trigger, environments: self.environments }
    }

    /// The environments of the policy that the target belongs to.
    pub(super) fn in_environments(&self) -> impl Iterator<Item = &Environment> {
        self.core.environments.iter().zip(0..).filter(|(_, place)| environment_bit(*place) & self.environments != 0).map(|((one, _), _)| one)
    }

    /// The deny rules that match, in the order of their ids, shadowed ones too.
    pub(super) fn denying(&self) -> Vec<u32> {
        let who = self.who();
        let rule = |index: &u32| self.core.rule(*index).is_some_and(|rule| rule.is_about(&who, self.core.defaults.automation));
        let unscoped = self.core.common.unscoped.iter().chain(&self.entry.denies.unscoped).copied();
        let named = self
            .hits
            .iter()
            .filter(|(index, kinds)| self.core.rule(*index).is_some_and(|rule| rule.kinds & kinds == rule.kinds))
            .map(|(index, _)| index);
        let mut found: Vec<u32> = unscoped.chain(named).filter(rule).collect();
        found.sort_unstable();
        found
    }

    /// The allow rules that cover the whole call, in the order of their ids.
    pub(super) fn allowing(&self) -> Vec<u32> {
        self.covering(false)
    }

    /// The allow rules in force, or those in shadow, that cover the whole call.
    pub(super) fn covering(&self, shadow: bool) -> Vec<u32> {
        let who = self.who();
        let (hits, everywhere) = self.allow_hits();
        let covers = |index: &&u32| {
            self.core.rule(**index).is_some_and(|rule| {
                let hit = everywhere | hits.of(**index);
                rule.kinds & hit == rule.kinds
                    && rule.rule.shadow == shadow
                    // A write needs a rule that names its tool.
                    && (self.entry.class == Class::Read || rule.rule.when.tools.is_some())
                    && rule.is_about(&who, self.core.defaults.automation)
                    && self.covered_by(rule)
            })
        };
        self.entry.allows.iter().filter(covers).copied().collect()
    }

    /// For each allow rule that names a touched value: the kinds it names one of. And the kinds that rule nothing out:
    /// a folder may be reached by a glob that does not match it.
    fn allow_hits(&self) -> (Hits, u16) {
        let mut hits = Hits::default();
        for (kind, table) in &self.entry.allow_tables {
            for one in self.of(*kind) {
                hits.add(bit(*kind), |found| table.each_match(&one.value, found));
            }
        }
        let everywhere = if self.of(ScopeKind::Tree).next().is_some() { bit(ScopeKind::Path) } else { 0 };
        (hits, everywhere)
    }

    /// Whether every touched value of each kind that the rule names is one it names, and there is one.
    pub(super) fn covered_by(&self, rule: &CompiledRule) -> bool {
        rule.plain.covers(&rule.rule).iter().all(|(kind, table)| {
            let mut values = self.of(*kind).peekable();
            if *kind != ScopeKind::Path {
                return values.peek().is_some() && values.all(|one| table.is_match(&one.value));
            }
            let globs = || rule.rule.when.scopes.iter().filter(|(one, _)| *one == ScopeKind::Path).flat_map(|(_, globs)| globs);
            let mut folders = self.of(ScopeKind::Tree).peekable();
            (values.peek().is_some() || folders.peek().is_some())
                && values.all(|one| table.is_match(&one.value))
                && folders.all(|one| globs().any(|glob| self.lets_into(&glob.value, &one.value)))
        })
    }

    /// Whether an allow glob for paths lets a call into a folder: a read where something in it may be allowed, since
    /// its entries are filtered; a write only where everything in it is.
    pub(super) fn lets_into(&self, glob: &Pattern, folder: &str) -> bool {
        match self.entry.class {
            Class::Read => glob.reaches_into(folder),
            Class::Write => glob.covers_folder(folder),
        }
    }

    pub(super) fn of(&self, kind: ScopeKind) -> impl Iterator<Item = &Touched<'a>> {
        self.touched.iter().filter(move |one| one.kind == kind)
    }
}
