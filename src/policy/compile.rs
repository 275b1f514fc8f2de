//! Model → what `decide` reads: every glob compiled, every rule indexed by the tools it can be about.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use opsgate_tools::mode::Mode;
use opsgate_tools::scope::ScopeKind;
use opsgate_tools::workspace::{Author, Command};
use serde::{Serialize, Serializer};

use super::catalogue::Catalogue;
use super::decision::{Quorum, Trigger};
use super::deny_index::DenyIndex;
use super::explain::Plain;
use super::glob::{Compare, Pattern, Subject};
use super::glob_table::GlobTable;
use super::limits::Limits;
use super::model::{Approvals, Defaults, Effect, Environment, File, Namespace, Person, Repository, Rule, RuleApprovals, Settings};
use super::risk::Weights;
use super::roots::Roots;
use super::tool_index::{CompileError, ToolEntry, ToolIndex};

/// A caller as the policy knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Profile {
    /// The entry of `callers` that matched.
    pub matched: String,
    /// The caller's roles.
    pub roles: Vec<String>,
    /// The person or group that answers for it.
    pub owner: Option<String>,
    /// The groups its owner is in, or the group that owns it.
    #[serde(serialize_with = "each")]
    pub groups: Arc<[String]>,
}

fn each<S: Serializer>(names: &Arc<[String]>, serializer: S) -> Result<S::Ok, S::Error> {
    names.serialize(serializer)
}

/// The groups of each person, and each group as its own. Shared, since one person may answer for thousands of callers.
fn groups_of(groups: &BTreeMap<String, Vec<String>>) -> HashMap<&str, Arc<[String]>> {
    let mut found: HashMap<&str, Vec<String>> = HashMap::new();
    for (group, members) in groups {
        for member in members.iter().filter(|member| !groups.contains_key(*member)).chain([group]) {
            found.entry(member).or_default().push(group.clone());
        }
    }
    found.into_iter().map(|(name, groups)| (name, groups.into())).collect()
}

/// A compiled policy.
pub(super) struct Core {
    pub(super) hash: String,
    pub(super) by_default: Vec<String>,
    pub(super) write_mode: bool,
    pub(super) automation: bool,
    /// Whether any rule is in shadow.
    pub(super) any_shadow: bool,
    pub(super) defaults: Defaults,
    pub(super) limits: Limits,
    pub(super) settings: Settings,
    pub(super) risk: Option<Weights>,
    pub(super) people: BTreeMap<String, Person>,
    pub(super) groups: BTreeMap<String, Vec<String>>,
    pub(super) approvals: Approvals,
    exact_callers: HashMap<String, Arc<Profile>>,
    /// The closest glob first.
    globbed_callers: Vec<Arc<Profile>>,
    caller_globs: GlobTable,
    pub(super) systems: HashMap<String, CompiledSystem>,
    tool_names: HashMap<String, u32>,
    pub(super) tools: Vec<ToolEntry>,
    /// Deny rules that can be about any tool.
    pub(super) common: DenyIndex,
    /// In the order of their ids, so that the order of the file changes nothing, not even which rule is named.
    pub(super) rules: Vec<CompiledRule>,
    /// The closest glob first.
    pub(super) repositories: Vec<CompiledRepository>,
    pub(super) repository_globs: GlobTable,
    pub(super) repository_globs_exact: GlobTable,
    pub(super) namespaces: Vec<(Namespace, GlobTable)>,
    pub(super) environments: Vec<(Environment, Vec<(ScopeKind, GlobTable)>)>,
}

pub(super) struct CompiledSystem {
    pub(super) mode: Mode,
    pub(super) root_globs: Option<Roots>,
    /// `root_globs` as they were written.
    pub(super) roots: Option<Vec<Pattern>>,
    pub(super) commands: BTreeMap<String, Command>,
    pub(super) author: Option<Author>,
    pub(super) lists: Vec<(ScopeKind, GlobTable)>,
    /// `lists` as they were written.
    pub(super) listed: Vec<(ScopeKind, Vec<Pattern>)>,
}

pub(super) struct CompiledRule {
    pub(super) rule: Rule,
    callers: Option<Box<GlobTable>>,
    triggers: Option<u8>,
    pub(super) environments: Option<u32>,
    /// One bit for each kind of scope that the rule names.
    pub(super) kinds: u16,
    pub(super) quorums: Vec<Quorum>,
    pub(super) plain: Plain,
}

pub(super) struct CompiledRepository {
    pub(super) source: Repository,
    pub(super) tools_allow: Option<GlobTable>,
    pub(super) tools_deny: GlobTable,
    pub(super) refs_allow: Option<GlobTable>,
    pub(super) refs_deny: GlobTable,
    pub(super) paths_allow: Option<GlobTable>,
    pub(super) hides_files: GlobTable,
    pub(super) hides_folders: GlobTable,
    pub(super) hides_root: bool,
}

/// Who asks, as rules see it.
pub(super) struct Who<'a> {
    pub(super) id: &'a str,
    pub(super) profile: &'a Profile,
    pub(super) trigger: Trigger,
    pub(super) environments: u32,
}

/// One bit for each kind; files and folders share one, since `paths` names both.
pub(super) fn bit(kind: ScopeKind) -> u16 {
    let kind = if kind == ScopeKind::Tree { ScopeKind::Path } else { kind };
    ScopeKind::ALL.iter().position(|one| *one == kind).map_or(0, |place| 1 << place)
}

fn trigger_bit(trigger: Trigger) -> u8 {
    Trigger::ALL.iter().position(|(one, _)| *one == trigger).map_or(0, |place| 1 << place)
}

impl Core {
    pub(super) fn new(file: File, hash: String, catalogue: &Catalogue) -> Result<Self, CompileError> {
        let mut rules = file.rules;
        rules.sort_by(|a, b| a.id.cmp(&b.id));
        let rules = rules.into_iter().map(|rule| CompiledRule::new(rule, &file.environments, &file.approvals)).collect::<Result<Vec<_>, _>>()?;
        let by_default = if file.defaults.automation {
            vec!["defaults.read".to_owned(), "defaults.automation".to_owned()]
        } else {
            vec!["defaults.read".to_owned()]
        };

        let mut repositories = file.repositories;
        repositories.sort_by(|a, b| a.pattern.value.closest_first(&b.pattern.value));
        let globs = |_: ()| repositories.iter().zip(0u32..).map(|(one, index)| (one.pattern.value.text().to_owned(), index)).collect::<Vec<_>>();
        let subject = Subject::Scope(ScopeKind::Repo);
        let repository_globs = GlobTable::new(globs(()), subject, Compare::Folded)?;
        let repository_globs_exact = GlobTable::new(globs(()), subject, Compare::Exact)?;
        let repositories = repositories.into_iter().map(CompiledRepository::new).collect::<Result<Vec<_>, _>>()?;

        let mut callers = file.callers;
        callers.sort_by(|a, b| a.pattern.value.closest_first(&b.pattern.value));
        let groups_of = groups_of(&file.groups);
        let (mut exact_callers, mut globbed_callers) = (HashMap::new(), Vec::new());
        for entry in callers {
            let owner = entry.owner.map(|owner| owner.value);
            let groups = owner.as_ref().and_then(|owner| groups_of.get(owner.as_str())).cloned().unwrap_or_default();
            let matched = entry.pattern.value.text().to_owned();
            let profile =
                Arc::new(Profile { matched: matched.clone(), roles: entry.roles.into_iter().map(|role| role.value).collect(), owner, groups });
            if entry.pattern.value.is_literal() {
                exact_callers.insert(matched, profile);
            } else {
                globbed_callers.push(profile);
            }
        }
        let globs = globbed_callers.iter().zip(0u32..).map(|(profile, place)| (profile.matched.as_str(), place));
        let caller_globs = GlobTable::new(globs, Subject::Caller, Compare::Exact)?;

        let mut systems = HashMap::new();
        for (name, system) in file.systems {
            let lists = system
                .lists
                .iter()
                .map(|(kind, list)| Ok((*kind, GlobTable::of(list, Compare::Exact)?)))
                .collect::<Result<Vec<_>, globset::Error>>()?;
            systems.insert(
                name,
                CompiledSystem {
                    mode: system.mode,
                    root_globs: system.roots.as_deref().map(Roots::of).transpose()?,
                    roots: system.roots,
                    commands: system.commands,
                    author: system.author,
                    lists,
                    listed: system.lists,
                },
            );
        }
        let namespaces = file.namespaces.into_iter().map(|one| {
            // `approval` opens a namespace to writes, the other tiers close it.
            let compare = if one.tier == super::model::Tier::Approval { Compare::Exact } else { Compare::Folded };
            let table = GlobTable::of([&one.pattern], compare)?;
            Ok((one, table))
        });
        let namespaces = namespaces.collect::<Result<Vec<_>, globset::Error>>()?;
        let environments = file.environments.into_iter().map(|one| {
            let tables = one
                .targets
                .iter()
                .map(|(kind, list)| Ok((*kind, GlobTable::of(list, Compare::Folded)?)))
                .collect::<Result<Vec<_>, globset::Error>>()?;
            Ok((one, tables))
        });
        let environments = environments.collect::<Result<Vec<_>, globset::Error>>()?;

        let risk = file.settings.risk.as_ref().map(|risk| Weights::new(risk, file.risk_hours)).transpose()?;
        let index = ToolIndex::of(&rules, catalogue)?;
        Ok(Self {
            hash,
            by_default,
            write_mode: file.write_mode,
            automation: file.automation,
            any_shadow: rules.iter().any(|rule| rule.rule.shadow),
            defaults: file.defaults,
            limits: file.limits,
            settings: file.settings,
            risk,
            people: file.people,
            groups: file.groups,
            approvals: file.approvals,
            exact_callers,
            globbed_callers,
            caller_globs,
            systems,
            tool_names: index.names,
            tools: index.tools,
            common: index.common,
            rules,
            repositories,
            repository_globs,
            repository_globs_exact,
            namespaces,
            environments,
        })
    }

    /// The caller's entry: a literal one, else the closest glob.
    pub(super) fn profile(&self, caller: &str) -> Option<&Arc<Profile>> {
        self.exact_callers.get(caller).or_else(|| {
            let mut closest = u32::MAX;
            self.caller_globs.each_match(caller, |place| closest = closest.min(place));
            self.globbed_callers.get(closest as usize)
        })
    }

    /// The entries of `callers`.
    pub(super) fn callers(&self) -> impl Iterator<Item = &Arc<Profile>> {
        self.exact_callers.values().chain(&self.globbed_callers)
    }

    pub(super) fn tool(&self, name: &str) -> Option<(u32, &ToolEntry)> {
        let index = *self.tool_names.get(name)?;
        Some((index, self.tools.get(index as usize)?))
    }

    pub(super) fn rule(&self, index: u32) -> Option<&CompiledRule> {
        self.rules.get(index as usize)
    }
}

impl CompiledRule {
    fn new(rule: Rule, environments: &[Environment], approvals: &Approvals) -> Result<Self, globset::Error> {
        let compare = if rule.effect == Effect::Deny { Compare::Folded } else { Compare::Exact };
        let callers =
            rule.when.callers.as_ref().map(|callers| GlobTable::of(callers.iter().map(|one| &one.value), compare).map(Box::new)).transpose()?;
        let triggers = rule.when.triggers.as_ref().map(|list| list.iter().fold(0, |bits, trigger| bits | trigger_bit(*trigger)));
        let named = rule.when.environments.as_ref().map(|names| {
            let is_named = |one: &Environment| names.iter().any(|name| name.value == one.name || one.aliases.contains(&name.value));
            environments.iter().zip(0u32..).filter(|(one, _)| is_named(one)).fold(0, |bits, (_, place)| bits | environment_bit(place))
        });
        let kinds = rule.when.scopes.iter().fold(0, |bits, (kind, _)| bits | bit(*kind));
        let quorums = RuleApprovals::quorums(rule.approvals.as_ref(), approvals);
        Ok(Self { rule, callers, triggers, environments: named, kinds, quorums, plain: Plain::default() })
    }

    /// Whether all that the rule says of the asker holds: role, caller, trigger, environment.
    pub(super) fn is_about(&self, who: &Who<'_>, automation_by_default: bool) -> bool {
        let when = &self.rule.when;
        let trigger = match self.triggers {
            Some(bits) => bits & trigger_bit(who.trigger) != 0,
            // Without a word about it, a denial holds for all, and a permission for clients; for automation only where
            // `defaults.automation` says so.
            None => self.rule.effect == Effect::Deny || who.trigger == Trigger::Client || automation_by_default,
        };
        trigger
            && when.roles.as_ref().is_none_or(|roles| roles.iter().any(|role| who.profile.roles.contains(&role.value)))
            && self.environments.is_none_or(|bits| bits & who.environments != 0)
            && self.callers.as_ref().is_none_or(|callers| {
                if self.rule.effect == Effect::Deny { callers.is_match(&super::normalise::fold(who.id)) } else { callers.is_match(who.id) }
            })
    }
}

/// One bit for each environment; the reader refuses more than there are bits.
pub(super) fn environment_bit(place: u32) -> u32 {
    1u32.checked_shl(place).unwrap_or(0)
}

impl CompiledRepository {
    fn new(source: Repository) -> Result<Self, globset::Error> {
        let exact = |list: &Option<Vec<Pattern>>| list.as_ref().map(|list| GlobTable::of(list, Compare::Exact)).transpose();
        let path = Subject::Scope(ScopeKind::Path);
        let hides = |globs: fn(&Pattern) -> Vec<String>| {
            let globs = source.paths.deny.iter().flat_map(|pattern| globs(pattern).into_iter().map(|text| (text, 0)));
            GlobTable::new(globs, path, Compare::Folded)
        };
        Ok(Self {
            tools_allow: exact(&source.tools.allow)?,
            tools_deny: GlobTable::of(&source.tools.deny, Compare::Folded)?,
            refs_allow: exact(&source.refs.allow)?,
            refs_deny: GlobTable::of(&source.refs.deny, Compare::Folded)?,
            paths_allow: exact(&source.paths.allow)?,
            hides_files: hides(Pattern::hides_files)?,
            hides_folders: hides(Pattern::hides_folders)?,
            hides_root: source.paths.deny.iter().any(Pattern::is_everything),
            source,
        })
    }

    /// Whether the folder (folded) is hidden, and so all that is in it.
    pub(super) fn hides_folder(&self, folded: &str) -> bool {
        if folded == "." { self.hides_root } else { self.hides_folders.is_match(folded) }
    }
}
