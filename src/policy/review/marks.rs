//! What a policy can tell of a value: which of its globs match it. Two values with the same marks are decided alike, so
//! one of them is enough.

use std::collections::{BTreeMap, BTreeSet};

use opsgate_tools::scope::ScopeKind;

use super::super::compile::Core;
use super::super::glob::{Compare, Pattern, Subject};
use super::super::glob_table::GlobTable;
use super::super::model::{Effect, Tier};
use super::super::normalise::fold;
use super::super::risk::Weights;

/// A glob of a policy, and what it is written for.
pub(super) struct Named<'p> {
    pub(super) kind: ScopeKind,
    pub(super) glob: &'p Pattern,
}

type Globs = BTreeMap<(ScopeKind, bool), Vec<(String, u32)>>;

/// The globs of some policies, by kind.
pub(super) struct Marks<'p> {
    pub(super) globs: Vec<Named<'p>>,
    tables: Vec<(ScopeKind, Compare, GlobTable)>,
    /// Path globs that allow, with their owner: a folder is asked whether they lead into it.
    into: Vec<(u32, &'p Pattern)>,
    /// Owners whose denial hides the root.
    hides_root: Vec<u32>,
    /// Names of environments, which are names of namespaces.
    names: Vec<(String, u32)>,
    /// The policies that weigh risks: they tell names that speak of secrets.
    weights: Vec<&'p Weights>,
}

impl<'p> Marks<'p> {
    pub(super) fn of(policies: &[&'p Core]) -> Result<Self, globset::Error> {
        let mut marks =
            Self { globs: Vec::new(), tables: Vec::new(), into: Vec::new(), hides_root: Vec::new(), names: Vec::new(), weights: Vec::new() };
        let (mut globs, mut owner) = (Globs::new(), 0u32);
        for core in policies {
            marks.weights.extend(&core.risk);
            for rule in &core.rules {
                for (kind, list) in &rule.rule.when.scopes {
                    owner += 1;
                    list.iter().for_each(|glob| marks.add(&mut globs, *kind, &glob.value, rule.rule.effect, owner));
                }
            }
            for entry in &core.repositories {
                let source = &entry.source;
                owner += 1;
                marks.add(&mut globs, ScopeKind::Repo, &source.pattern.value, Effect::Deny, owner);
                owner += 1;
                marks.add(&mut globs, ScopeKind::Repo, &source.pattern.value, Effect::Allow, owner);
                for (kind, list) in [(ScopeKind::Path, &source.paths), (ScopeKind::Ref, &source.refs)] {
                    owner += 2;
                    list.deny.iter().for_each(|glob| marks.add(&mut globs, kind, glob, Effect::Deny, owner - 1));
                    list.allow.iter().flatten().for_each(|glob| marks.add(&mut globs, kind, glob, Effect::Allow, owner));
                }
            }
            for (namespace, _) in &core.namespaces {
                owner += 1;
                let effect = if namespace.tier == Tier::Approval { Effect::Allow } else { Effect::Deny };
                marks.add(&mut globs, ScopeKind::Namespace, &namespace.pattern, effect, owner);
            }
            for (environment, _) in &core.environments {
                owner += 1;
                for (kind, list) in &environment.targets {
                    list.iter().for_each(|glob| marks.add(&mut globs, *kind, glob, Effect::Deny, owner));
                }
                marks.names.extend(environment.aliases.iter().chain([&environment.name]).map(|name| (name.clone(), owner)));
            }
            for system in core.systems.values() {
                for (kind, list) in &system.listed {
                    owner += 1;
                    list.iter().for_each(|glob| marks.add(&mut globs, *kind, glob, Effect::Allow, owner));
                }
            }
        }
        for ((kind, folded), list) in globs {
            let compare = if folded { Compare::Folded } else { Compare::Exact };
            marks.tables.push((kind, compare, GlobTable::new(list, Subject::Scope(kind), compare)?));
        }
        Ok(marks)
    }

    fn add(&mut self, globs: &mut Globs, kind: ScopeKind, glob: &'p Pattern, effect: Effect, owner: u32) {
        self.globs.push(Named { kind, glob });
        let folded = effect == Effect::Deny;
        let mut put = |kind, texts: Vec<String>| globs.entry((kind, folded)).or_default().extend(texts.into_iter().map(|text| (text, owner)));
        match (kind, effect) {
            (ScopeKind::Path, Effect::Deny) => {
                put(ScopeKind::Path, glob.hides_files());
                put(ScopeKind::Tree, glob.hides_folders());
                if glob.is_everything() {
                    self.hides_root.push(owner);
                }
            }
            (ScopeKind::Path, Effect::Allow) => {
                put(ScopeKind::Path, vec![glob.text().to_owned()]);
                self.into.push((owner, glob));
            }
            _ => put(kind, vec![glob.text().to_owned()]),
        }
    }

    /// The names that environments give to namespaces.
    pub(super) fn environment_names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|(name, _)| name.as_str())
    }

    /// The marks of a value.
    pub(super) fn on(&self, kind: ScopeKind, value: &str) -> BTreeSet<(u32, u8)> {
        let folded = fold(value);
        let mut on = BTreeSet::new();
        let is_root = kind == ScopeKind::Tree && value == ".";
        for (_, compare, table) in self.tables.iter().filter(|(one, ..)| *one == kind && !is_root) {
            let value = if *compare == Compare::Folded { &folded } else { value };
            table.each_match(value, |owner| {
                on.insert((owner, u8::from(*compare == Compare::Folded)));
            });
        }
        if kind == ScopeKind::Tree {
            for (owner, glob) in &self.into {
                if glob.reaches_into(value) {
                    on.insert((*owner, 2));
                }
                if glob.covers_folder(value) {
                    on.insert((*owner, 3));
                }
            }
            on.extend(self.hides_root.iter().filter(|_| is_root).map(|owner| (*owner, 4)));
        }
        if kind == ScopeKind::Namespace {
            on.extend(self.names.iter().filter(|(name, _)| fold(name) == folded).map(|(_, owner)| (*owner, 5)));
        }
        on.extend(self.weights.iter().any(|weights| weights.is_secret(kind, &folded)).then_some((0, 6)));
        on
    }

    /// Whether some policy tells names that speak of secrets.
    pub(super) fn tell_secrets(&self) -> bool {
        !self.weights.is_empty()
    }
}
