//! The decision: pure, total, no I/O. Any denial wins, wherever it stands; without a permission there is a denial.

use std::borrow::Cow;
use std::sync::Arc;

use opsgate_tools::mode::Mode;
use opsgate_tools::scope::ScopeKind;
use opsgate_tools::tool::Class;

use super::catalogue::forbidden;
use super::compile::{CompiledRepository, CompiledRule, Core, Profile, ToolEntry, Who, bit, environment_bit};
use super::decision::{Decision, Denial, DenialCode, Facts, Granted, Permit, Quorum, Requirement, Trigger};
use super::filter::Seen;
use super::model::Tier;
use super::normalise::{fold, scope_spelling};

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
    pub(super) hits: Vec<(u32, u16)>,
    /// The entries of `repositories` that match a touched repository; one list for each repository.
    pub(super) repositories: Vec<Vec<u32>>,
}

impl Core {
    pub(super) fn decide(self: &Arc<Self>, facts: &Facts<'_>) -> Decision {
        let call = match Call::new(self, facts) {
            Ok(call) => call,
            Err(denial) => return Decision::Deny(denial),
        };
        let shadow = call.shadow();
        match call.verdict() {
            Ok((allowing, requirement)) => {
                let permit = call.permit(self, allowing, shadow);
                match requirement {
                    Some(requirement) => Decision::NeedsApproval(permit, requirement),
                    None => Decision::Permit(permit),
                }
            }
            Err(denial) => Decision::Deny(Denial { shadow, ..denial }),
        }
    }
}

/// The rules that allow, `None` where the defaults do; and what must be there before the call runs.
type Verdict = Result<(Option<Vec<u32>>, Option<Requirement>), Denial>;

impl<'a> Call<'a> {
    /// Finds the caller, the tool, the system, and one spelling for each value.
    pub(super) fn new(core: &'a Core, facts: &'a Facts<'a>) -> Result<Self, Denial> {
        let profile = core.profile(facts.caller).ok_or_else(|| {
            deny(DenialCode::UnknownCaller, "the policy does not know this caller", "ask whoever keeps the policy to list it under `callers`")
        })?;
        let Some((tool, entry)) = core.tool(facts.tool) else {
            return Err(match forbidden(facts.tool) {
                Some(entry) => deny(DenialCode::Forbidden, entry.because, "this is for a person to do"),
                None => deny(DenialCode::UnknownTool, "there is no such tool", "list the tools to see what there is"),
            });
        };
        // INVARIANT: facts that contradict the catalogue are never judged (test: contradicting_facts_are_refused).
        if entry.system != facts.system || entry.class != facts.class {
            return Err(deny(DenialCode::UnknownTool, "the call does not describe its tool rightly", "list the tools to see what there is"));
        }
        let system = core.systems.get(&entry.system).ok_or_else(|| {
            let because = format!("the policy does not list the system `{}`", entry.system);
            deny(DenialCode::SystemNotListed, because, "ask whoever keeps the policy to list it under `systems`")
        })?;
        if system.mode == Mode::Blocked {
            let because = format!("the system `{}` is blocked", entry.system);
            return Err(Denial { rule: Some(format!("systems.{}.mode", entry.system)), ..deny(DenialCode::SystemBlocked, because, "nothing of this system runs at present") });
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
            hits: Vec::new(),
            repositories: Vec::new(),
        };
        for scope in facts.scopes.entries() {
            let value = scope_spelling(scope.kind, &scope.value).ok_or_else(|| {
                let because = format!("the {} of this call has no spelling that rules can match", scope.kind);
                deny(DenialCode::Unnormalisable, because, "write it without `..`, `%`, backslashes and control characters")
            })?;
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
        let hits = &mut self.hits;
        let mut note = |rule: u32| match hits.iter_mut().find(|(one, _)| *one == rule) {
            Some((_, kinds)) => *kinds |= bit(*kind),
            None => hits.push((rule, bit(*kind))),
        };
        self.core.common.each_rule(*kind, folded, &mut note);
        self.entry.denies.each_rule(*kind, folded, &mut note);
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

    fn verdict(&self) -> Verdict {
        if let Some(denial) = self.denied_by_rule().or_else(|| self.denied_by_repository()).or_else(|| self.denied_by_namespace()).or_else(|| self.off_the_lists()) {
            return Err(denial);
        }
        if self.facts.trigger != Trigger::Client && !self.core.automation {
            return Err(setting(DenialCode::AutomationOff, "automation", "automation is off", "a client can ask for it"));
        }
        match self.entry.class {
            Class::Read => self.read(),
            Class::Write => self.write(),
        }
    }

    fn read(&self) -> Verdict {
        if self.core.defaults.read && (self.facts.trigger == Trigger::Client || self.core.defaults.automation) {
            return Ok((None, None));
        }
        let allowing = self.allowing();
        if allowing.is_empty() { Err(no_rule()) } else { Ok((Some(allowing), None)) }
    }

    // INVARIANT: a write needs all six: write mode, whitelist, a system that writes, a rule of its own, no denial, its
    // approvals (test: a_write_needs_all_six).
    fn write(&self) -> Verdict {
        if !self.write_mode() {
            return Err(setting(DenialCode::WriteOff, "write_mode", "write mode is off", "nothing is written while it is off"));
        }
        if !self.mode.writes() {
            let because = format!("the system `{}` is in mode `{}`, which does not write", self.entry.system, self.mode);
            return Err(Denial { because, ..setting(DenialCode::SystemReadOnly, &format!("systems.{}.mode", self.entry.system), "", "only reading is possible here") });
        }
        let allowing = self.allowing();
        if allowing.is_empty() {
            return Err(no_rule());
        }
        if !self.whitelisted(&allowing) {
            return Err(deny(DenialCode::NotWhitelisted, "the target of this write is not on the list of what may be written to", "ask whoever keeps the policy"));
        }
        for (environment, _) in self.in_environments() {
            if let Some(hours) = environment.hours.as_ref().filter(|hours| !hours.contains(self.facts.now)) {
                let because = format!("writes to `{}` are for {}", environment.name, hours.text());
                let name = format!("environments.{}.hours", environment.name);
                return Err(Denial { because, ..setting(DenialCode::OutsideHours, &name, "", "try again within these hours") });
            }
        }
        let requirement = self.requirement(&allowing);
        Ok((Some(allowing), requirement))
    }

    pub(super) fn write_mode(&self) -> bool {
        self.core.write_mode && !self.facts.write_mode_env_off
    }

    fn in_environments(&self) -> impl Iterator<Item = &(super::model::Environment, Vec<(ScopeKind, super::glob::GlobTable)>)> {
        self.core.environments.iter().zip(0..).filter(|(_, place)| environment_bit(*place) & self.environments != 0).map(|(one, _)| one)
    }

    /// The deny rules that match, in the order of their ids, shadowed ones too.
    pub(super) fn denying(&self) -> Vec<u32> {
        let who = self.who();
        let rule = |index: &u32| self.core.rule(*index).is_some_and(|rule| rule.is_about(&who, self.core.defaults.automation));
        let unscoped = self.core.common.unscoped.iter().chain(&self.entry.denies.unscoped).copied();
        let named = self.hits.iter().filter(|(index, kinds)| self.core.rule(*index).is_some_and(|rule| rule.kinds & kinds == rule.kinds)).map(|(index, _)| *index);
        let mut found: Vec<u32> = unscoped.chain(named).filter(rule).collect();
        found.sort_unstable();
        found
    }

    fn denied_by_rule(&self) -> Option<Denial> {
        let denying = self.denying();
        let rule = denying.iter().filter_map(|index| self.core.rule(*index)).find(|rule| !rule.rule.shadow)?;
        let because = rule.rule.because.clone().unwrap_or_else(|| "a rule of the policy denies it".to_owned());
        Some(Denial { rule: Some(rule.rule.id.clone()), ..deny(DenialCode::RuleDenied, because, "no argument and no approval changes this; choose another target") })
    }

    fn shadow(&self) -> Vec<String> {
        if !self.core.rules.iter().any(|rule| rule.rule.shadow) {
            return Vec::new();
        }
        self.denying().iter().filter_map(|index| self.core.rule(*index)).filter(|rule| rule.rule.shadow).map(|rule| rule.rule.id.clone()).collect()
    }

    /// The settings of each touched repository: denials of every entry that matches, and for each kind of list the one
    /// of the closest entry that has it.
    fn denied_by_repository(&self) -> Option<Denial> {
        for matched in &self.repositories {
            let entries = || matched.iter().filter_map(|index| self.core.repositories.get(*index as usize));
            for entry in entries() {
                if entry.tools_deny.is_match(&self.entry.name) {
                    return Some(repository(entry, "tools.deny"));
                }
                if self.of(ScopeKind::Ref).any(|one| entry.refs_deny.is_match(&one.folded)) {
                    return Some(repository(entry, "refs.deny"));
                }
                if self.of(ScopeKind::Path).any(|one| entry.hides_files.is_match(&one.folded)) || self.of(ScopeKind::Tree).any(|one| entry.hides_folder(&one.folded)) {
                    return Some(repository(entry, "paths.deny"));
                }
            }
            if let Some((entry, list)) = entries().find_map(|entry| entry.tools_allow.as_ref().map(|list| (entry, list)))
                && !list.is_match(&self.entry.name)
            {
                return Some(repository(entry, "tools.allow"));
            }
            if let Some((entry, list)) = entries().find_map(|entry| entry.refs_allow.as_ref().map(|list| (entry, list)))
                && !self.of(ScopeKind::Ref).all(|one| list.is_match(&one.value))
            {
                return Some(repository(entry, "refs.allow"));
            }
            if let Some(entry) = entries().find(|entry| entry.paths_allow.is_some()) {
                let files = self.of(ScopeKind::Path).all(|one| entry.paths_allow.as_ref().is_some_and(|list| list.is_match(&one.value)));
                let folder = |folder: &str| entry.source.paths.allow.iter().flatten().any(|glob| self.lets_into(glob, folder));
                if !files || !self.of(ScopeKind::Tree).all(|one| folder(&one.value)) {
                    return Some(repository(entry, "paths.allow"));
                }
            }
        }
        None
    }

    /// Whether an allow glob for paths lets a call into a folder: a read where something in it may be allowed, since
    /// its entries are filtered; a write only where everything in it is.
    fn lets_into(&self, glob: &super::glob::Pattern, folder: &str) -> bool {
        match self.entry.class {
            Class::Read => glob.reaches_into(folder),
            Class::Write => glob.covers_folder(folder),
        }
    }

    fn denied_by_namespace(&self) -> Option<Denial> {
        let closed = |tier: Tier| tier == Tier::Forbidden || (tier == Tier::ReadOnly && self.entry.class == Class::Write);
        for one in self.of(ScopeKind::Namespace) {
            if let Some((namespace, _)) = self.core.namespaces.iter().find(|(namespace, glob)| closed(namespace.tier) && glob.is_match(&one.folded)) {
                let because = if namespace.tier == Tier::Forbidden { "this namespace is not for agents" } else { "this namespace is only read" };
                return Some(setting(DenialCode::NamespaceDenied, &format!("namespaces.{}", namespace.pattern.text()), because, "choose another namespace"));
            }
        }
        None
    }

    fn off_the_lists(&self) -> Option<Denial> {
        let system = self.core.systems.get(&self.entry.system)?;
        let (kind, _) = system.lists.iter().find(|(kind, list)| !self.of(*kind).all(|one| list.is_match(&one.value)))?;
        let because = format!("this {kind} is not on the policy's list for `{}`", self.entry.system);
        Some(deny(DenialCode::NotListed, because, "ask whoever keeps the policy"))
    }

    /// The allow rules that cover the whole call, in the order of their ids.
    pub(super) fn allowing(&self) -> Vec<u32> {
        let who = self.who();
        let covers = |index: &&u32| {
            self.core.rule(**index).is_some_and(|rule| {
                !rule.rule.shadow
                    // A write needs a rule that names its tool.
                    && (self.entry.class == Class::Read || rule.rule.when.tools.is_some())
                    && rule.is_about(&who, self.core.defaults.automation)
                    && self.covered_by(rule)
            })
        };
        self.entry.allows.iter().filter(covers).copied().collect()
    }

    /// Whether every touched value of each kind that the rule names is one it names, and there is one.
    pub(super) fn covered_by(&self, rule: &CompiledRule) -> bool {
        rule.covers.iter().all(|(kind, table)| {
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

    /// Every repository that is touched says `write: true`, every namespace is of tier `approval`, and a target that is
    /// neither is named by the allowing rule itself.
    pub(super) fn whitelisted(&self, allowing: &[u32]) -> bool {
        let mut repositories = self.of(ScopeKind::Repo).peekable();
        let mut namespaces = self.of(ScopeKind::Namespace).peekable();
        if repositories.peek().is_none() && namespaces.peek().is_none() {
            let named = |rule: &CompiledRule| {
                let literal = rule.rule.when.tools.iter().flatten().any(|tool| tool.value.text() == self.entry.name);
                literal && self.touched.iter().all(|one| rule.kinds & bit(one.kind) != 0)
            };
            return allowing.iter().filter_map(|index| self.core.rule(*index)).any(named);
        }
        let writable = |one: &Touched<'_>| {
            let mut exact = Vec::new();
            self.core.repository_globs_exact.each_match(&one.value, |entry| exact.push(entry));
            let mut folded = Vec::new();
            self.core.repository_globs.each_match(&one.folded, |entry| folded.push(entry));
            self.says_write(exact) && self.says_write(folded)
        };
        let open = |one: &Touched<'_>| self.core.namespaces.iter().any(|(namespace, glob)| namespace.tier == Tier::Approval && glob.is_match(&one.value));
        repositories.all(writable) && namespaces.all(open)
    }

    /// What the closest of these entries that says anything about `write` says.
    fn says_write(&self, mut entries: Vec<u32>) -> bool {
        entries.sort_unstable();
        entries.iter().filter_map(|index| self.core.repositories.get(*index as usize)).find_map(|entry| entry.source.write).unwrap_or(false)
    }

    /// The approvals of all allowing rules and of the target's environments together: where they differ, the stricter.
    /// Nothing only where every rule says `approvals: 0` and no environment or namespace asks for more.
    fn requirement(&self, allowing: &[u32]) -> Option<Requirement> {
        let mut requirement =
            Requirement { approvals: Vec::new(), expires: self.core.approvals.expires, mfa: false, require: Vec::new(), environments: Vec::new() };
        for rule in allowing.iter().filter_map(|index| self.core.rule(*index)) {
            rule.quorums.iter().for_each(|quorum| add(&mut requirement.approvals, quorum));
        }
        let mut asked = self.of(ScopeKind::Namespace).next().is_some();
        for (environment, _) in self.in_environments() {
            environment.approvals.iter().for_each(|quorum| add(&mut requirement.approvals, quorum));
            requirement.mfa |= environment.mfa;
            requirement.require.extend(environment.require.iter().filter(|part| !requirement.require.contains(part)).copied().collect::<Vec<_>>());
            requirement.expires = environment.expires.map_or(requirement.expires, |expires| expires.min(requirement.expires));
            requirement.environments.push(environment.name.clone());
            asked |= environment.mfa || !environment.require.is_empty();
        }
        if requirement.approvals.is_empty() && asked {
            self.core.approvals.quorums.iter().for_each(|quorum| add(&mut requirement.approvals, quorum));
        }
        (!requirement.approvals.is_empty()).then_some(requirement)
    }

    pub(super) fn of(&self, kind: ScopeKind) -> impl Iterator<Item = &Touched<'a>> {
        self.touched.iter().filter(move |one| one.kind == kind)
    }

    fn permit(self, core: &Arc<Core>, allowing: Option<Vec<u32>>, shadow: Vec<String>) -> Permit {
        let granted = match &allowing {
            None => Granted::ByDefault,
            Some(rules) => Granted::ByRules(rules.iter().filter_map(|index| core.rule(*index)).map(|rule| rule.rule.id.clone()).collect()),
        };
        let seen = Seen {
            core: Arc::clone(core),
            profile: Arc::clone(self.profile),
            caller: self.facts.caller.to_owned(),
            trigger: self.facts.trigger,
            tool: self.tool,
            environments: self.environments,
            hits: self.hits,
            repositories: self.repositories,
            allowing,
        };
        Permit { granted, shadow, mode: self.mode, seen }
    }
}

impl CompiledRepository {
    /// Whether the folder (folded) is hidden, and so all that is in it.
    pub(super) fn hides_folder(&self, folded: &str) -> bool {
        if folded == "." { self.hides_root } else { self.hides_folders.is_match(folded) }
    }
}

fn add(quorums: &mut Vec<Quorum>, quorum: &Quorum) {
    match quorums.iter_mut().find(|one| one.group == quorum.group) {
        Some(one) => one.count = one.count.max(quorum.count),
        None => quorums.push(quorum.clone()),
    }
}

fn deny(code: DenialCode, because: impl Into<String>, hint: &str) -> Denial {
    Denial { code, rule: None, because: because.into(), hint: hint.to_owned(), shadow: Vec::new() }
}

fn setting(code: DenialCode, name: &str, because: &str, hint: &str) -> Denial {
    Denial { rule: Some(name.to_owned()), ..deny(code, because, hint) }
}

fn repository(entry: &CompiledRepository, list: &str) -> Denial {
    let name = format!("repositories.{}.{list}", entry.source.pattern.value.text());
    setting(DenialCode::RepositoryDenied, &name, "the policy's settings for this repository deny it", "choose another target in it")
}

fn no_rule() -> Denial {
    deny(DenialCode::DefaultDeny, "no rule allows it", "ask whoever keeps the policy for a rule")
}
