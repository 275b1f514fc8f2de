//! What a policy can tell of a value: which of its globs match it. Two values with the same marks are decided alike, so
//! one of them is enough.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use opsgate_tools::scope::ScopeKind;

use super::super::compile::Core;
use super::super::glob::{Compare, Pattern, Subject, covers_everything};
use super::super::glob_table::GlobTable;
use super::super::model::{Effect, Tier};
use super::super::normalise::fold;
use super::super::read::said;
use super::super::risk::Weights;

/// A glob of a policy, and what it is written for.
pub(super) struct Named<'p> {
    pub(super) kind: ScopeKind,
    pub(super) glob: &'p Pattern,
}

/// The entries of the policies: which globs each has, and what it says.
#[derive(Default)]
struct Entries<'p> {
    ends: Vec<(usize, u64, Option<&'p str>)>,
}

impl<'p> Entries<'p> {
    /// An entry that has all globs since the last one.
    fn end(&mut self, globs: &[Named<'_>], rule: Option<&'p str>, says: &str) {
        let mut hasher = DefaultHasher::new();
        says.hash(&mut hasher);
        self.ends.push((globs.len(), hasher.finish(), rule));
    }

    /// Puts the globs of entries that some policy has not, or has otherwise, before the others: where there is too much, they are tried.
    fn changed_first(self, policies: usize, marks: &mut Marks<'p>) {
        let mut counts: HashMap<u64, usize> = HashMap::new();
        self.ends.iter().for_each(|(_, says, _)| *counts.entry(*says).or_default() += 1);
        let (mut changed, mut same) = (Vec::new(), Vec::new());
        let mut globs = std::mem::take(&mut marks.globs).into_iter();
        let mut start = 0;
        for (end, says, rule) in self.ends {
            let is_changed = counts.get(&says) != Some(&policies);
            if is_changed { &mut changed } else { &mut same }.extend(globs.by_ref().take(end - start));
            marks.changed_rules.extend(rule.filter(|_| is_changed));
            start = end;
        }
        marks.globs = changed.into_iter().chain(same).collect();
    }
}

type Globs = BTreeMap<(ScopeKind, bool), Vec<(String, u32)>>;

/// The globs of some policies, by kind.
pub(super) struct Marks<'p> {
    pub(super) globs: Vec<Named<'p>>,
    tables: Vec<(ScopeKind, Compare, GlobTable)>,
    /// The rules that are not the same in all of the policies.
    pub(super) changed_rules: BTreeSet<&'p str>,
    /// Owners of path globs that allow, by the fixed folders that the glob begins with: does it lead into a folder?
    into: BTreeMap<String, Vec<u32>>,
    /// The same globs: do they cover a folder?
    covers: GlobTable,
    covers_all: Vec<u32>,
    /// Owners whose denial hides the root.
    hides_root: Vec<u32>,
    /// Names of environments, which are names of namespaces.
    names: Vec<(String, u32)>,
    /// The policies that weigh risks: they tell names that speak of secrets.
    weights: Vec<&'p Weights>,
}

impl<'p> Marks<'p> {
    pub(super) fn of(policies: &[&'p Core]) -> Result<Self, globset::Error> {
        let mut marks = Self {
            globs: Vec::new(),
            tables: Vec::new(),
            changed_rules: BTreeSet::new(),
            into: BTreeMap::new(),
            covers: GlobTable::default(),
            covers_all: Vec::new(),
            hides_root: Vec::new(),
            names: Vec::new(),
            weights: Vec::new(),
        };
        let (mut globs, mut owner) = (Globs::new(), 0u32);
        let mut entries = Entries::default();
        for core in policies {
            marks.weights.extend(&core.risk);
            for rule in &core.rules {
                for (kind, list) in &rule.rule.when.scopes {
                    owner += 1;
                    list.iter().for_each(|glob| marks.add(&mut globs, *kind, &glob.value, rule.rule.effect, owner));
                }
                entries.end(&marks.globs, Some(&rule.rule.id), &said(&rule.rule));
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
                let said = (source.pattern.value.text(), source.write, &source.tools, &source.paths, &source.refs);
                entries.end(&marks.globs, None, &format!("repository {said:?}"));
            }
            for (namespace, _) in &core.namespaces {
                owner += 1;
                let effect = if namespace.tier == Tier::Approval { Effect::Allow } else { Effect::Deny };
                marks.add(&mut globs, ScopeKind::Namespace, &namespace.pattern, effect, owner);
                entries.end(&marks.globs, None, &format!("{namespace:?}"));
            }
            for (environment, _) in &core.environments {
                owner += 1;
                for (kind, list) in &environment.targets {
                    list.iter().for_each(|glob| marks.add(&mut globs, *kind, glob, Effect::Deny, owner));
                }
                marks.names.extend(environment.aliases.iter().chain([&environment.name]).map(|name| (name.clone(), owner)));
                entries.end(&marks.globs, None, &format!("{environment:?}"));
            }
            for system in core.systems.values() {
                for (kind, list) in &system.listed {
                    owner += 1;
                    list.iter().for_each(|glob| marks.add(&mut globs, *kind, glob, Effect::Allow, owner));
                    entries.end(&marks.globs, None, &format!("list {kind} {list:?}"));
                }
            }
        }
        if policies.len() > 1 {
            entries.changed_first(policies.len(), &mut marks);
        }
        for ((kind, folded), list) in globs {
            let compare = if folded { Compare::Folded } else { Compare::Exact };
            if (kind, compare) == (ScopeKind::Path, Compare::Exact) {
                marks.covers_all = list.iter().filter(|(text, _)| covers_everything(text)).map(|(_, owner)| *owner).collect();
                let tops = list.iter().filter_map(|(text, owner)| text.strip_suffix("/**").map(|top| [(top, *owner), (text, *owner)]));
                marks.covers = GlobTable::new(tops.flatten().filter(|(top, _)| !top.is_empty()), Subject::Scope(kind), compare)?;
            }
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
                self.into.entry(glob.fixed_folders().join("/")).or_default().push(owner);
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
            on.extend(self.leading_into(value).map(|owner| (owner, 2)));
            on.extend(self.covers_all.iter().map(|owner| (*owner, 3)));
            if !is_root {
                self.covers.each_match(value, |owner| {
                    on.insert((owner, 3));
                });
            }
            on.extend(self.hides_root.iter().filter(|_| is_root).map(|owner| (*owner, 4)));
        }
        if kind == ScopeKind::Namespace {
            on.extend(self.names.iter().filter(|(name, _)| fold(name) == folded).map(|(_, owner)| (*owner, 5)));
        }
        on.extend(self.weights.iter().any(|weights| weights.is_secret(kind, &folded)).then_some((0, 6)));
        on
    }

    /// Owners of path globs that allow and may match something in the folder ([`Pattern::reaches_into`]).
    fn leading_into(&self, folder: &str) -> impl Iterator<Item = u32> {
        let above = folder.match_indices('/').filter_map(|(end, _)| folder.get(..end)).chain([folder, ""]).filter(move |_| folder != ".");
        let above = above.filter_map(|folder| self.into.get(folder));
        let within = if folder == "." { String::new() } else { format!("{folder}/") };
        let beneath = self.into.range(within.clone()..).take_while(move |(fixed, _)| fixed.starts_with(&within)).map(|(_, owners)| owners);
        above.chain(beneath).flatten().copied()
    }

    /// Whether some policy tells names that speak of secrets.
    pub(super) fn tell_secrets(&self) -> bool {
        !self.weights.is_empty()
    }
}
