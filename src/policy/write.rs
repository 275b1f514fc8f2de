//! What a write needs besides that no rule denies it.

use opsgate_tools::mode::Mode;
use opsgate_tools::scope::ScopeKind;

use super::call::{Call, Touched};
use super::catalogue::is_local;
use super::compile::{CompiledRule, Core, bit};
use super::decide::{Verdict, no_rule};
use super::decision::{ChangePart, Denial, DenialCode, Quorum, Requirement};
use super::glob_table::GlobTable;
use super::model::Tier;
use super::risk::Risk;

impl Core {
    /// Whether a write of this system is refused because the caller could change the gateway. What is on this machine is the caller's
    /// anyway; in `mock` and `dry_run` nothing is written.
    // INVARIANT: no write to a real system where the caller is the gateway's user, unless the policy says so (test:
    // the_gateways_own_user_writes_to_no_real_system).
    pub(super) fn is_closed_to_same_user(&self, mode: Mode, system: &str, same_user: bool) -> bool {
        same_user && !self.settings.same_user_writes && mode == Mode::ApprovalRequiredWrite && !is_local(system)
    }

    /// Whether the entries of `repositories` say `write: true` of a repository, in the spelling of allow globs and in that of deny globs.
    pub(super) fn is_writable(&self, value: &str, folded: &str) -> bool {
        self.says_write(&self.repository_globs_exact, value) && self.says_write(&self.repository_globs, folded)
    }

    /// What the closest entry of `repositories` that matches and says anything about `write` says.
    pub(super) fn says_write(&self, globs: &GlobTable, repository: &str) -> bool {
        let mut entries = Vec::new();
        globs.each_match(repository, |entry| entries.push(entry));
        entries.sort_unstable();
        entries.iter().filter_map(|index| self.repositories.get(*index as usize)).find_map(|entry| entry.source.write).unwrap_or(false)
    }
}

impl Call<'_> {
    // INVARIANT: a write needs all six: write mode, whitelist, a system that writes, a rule of its own, no denial, its
    // approvals (test: a_write_needs_all_six).
    pub(super) fn write(&self, risk: Risk) -> Verdict {
        if !self.write_mode() {
            return Err(Denial::new(DenialCode::WriteOff, []).by("write_mode"));
        }
        if !self.mode.answers_writes() {
            let named = [("system", self.entry.system.clone()), ("mode", self.mode.to_string())];
            let name = format!("systems.{}.mode", self.entry.system);
            return Err(Denial::new(DenialCode::SystemReadOnly, named).by(&name));
        }
        if self.core.is_closed_to_same_user(self.mode, &self.entry.system, self.facts.same_user) {
            return Err(Denial::new(DenialCode::SameUser, []).by("same_user_writes"));
        }
        let allowing = self.allowing();
        if allowing.is_empty() {
            return Err(no_rule());
        }
        if !self.whitelisted(&allowing) {
            return Err(Denial::new(DenialCode::NotWhitelisted, []));
        }
        for environment in self.in_environments() {
            if let Some(hours) = environment.hours.as_ref().filter(|hours| !hours.contains(self.facts.now)) {
                let named = [("environment", environment.name.clone()), ("hours", hours.text().to_owned())];
                let name = format!("environments.{}.hours", environment.name);
                return Err(Denial::new(DenialCode::OutsideHours, named).by(&name));
            }
        }
        // In `dry_run` nothing runs, so nothing is asked of anybody.
        if !self.mode.writes() {
            return Ok((Some(allowing), None));
        }
        if let Some(denial) = self.denied_without_change() {
            return Err(denial);
        }
        let requirement = self.requirement(&allowing, risk);
        Ok((Some(allowing), requirement))
    }

    /// What a target's environments require of `change` and the caller did not fill in.
    // INVARIANT: it is the last of the denials, so that filling in `change` is never asked for in vain (test:
    // what_an_environment_requires_of_change_is_the_last_denial).
    fn denied_without_change(&self) -> Option<Denial> {
        let environment = self.in_environments().find(|one| one.require.iter().any(|part| !self.facts.change.contains(part)))?;
        let named = [("environment", environment.name.clone()), ("missing", self.missing_change().join(", "))];
        Some(Denial::new(DenialCode::ChangeIncomplete, named).by(&format!("environments.{}.require", environment.name)))
    }

    /// The required parts of `change` that are not filled in: `change.rollback_plan`.
    pub(super) fn missing_change(&self) -> Vec<String> {
        let required = |part: &ChangePart| self.in_environments().any(|one| one.require.contains(part));
        let missing = ChangePart::ALL.into_iter().filter(|(part, _)| required(part) && !self.facts.change.contains(part));
        missing.map(|(_, name)| format!("`change.{name}`")).collect()
    }

    pub(super) fn write_mode(&self) -> bool {
        self.core.write_mode && !self.facts.write_mode_env_off
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
        let writable = |one: &Touched<'_>| self.core.is_writable(&one.value, &one.folded);
        let open =
            |one: &Touched<'_>| self.core.namespaces.iter().any(|(namespace, glob)| namespace.tier == Tier::Approval && glob.is_match(&one.value));
        repositories.all(writable) && namespaces.all(open)
    }

    /// The approvals of all allowing rules and of the target's environments together: where they differ, the stricter.
    /// Nothing only where every rule says `approvals: 0` and neither an environment, a namespace nor the risk asks for more.
    fn requirement(&self, allowing: &[u32], risk: Risk) -> Option<Requirement> {
        let expires = self.core.approvals.expires;
        let mut requirement = Requirement { approvals: Vec::new(), people: 0, risk, expires, mfa: false, environments: Vec::new() };
        for rule in allowing.iter().filter_map(|index| self.core.rule(*index)) {
            rule.quorums.iter().for_each(|quorum| add(&mut requirement.approvals, quorum));
        }
        let mut asked = self.of(ScopeKind::Namespace).next().is_some();
        for environment in self.in_environments() {
            environment.approvals.iter().for_each(|quorum| add(&mut requirement.approvals, quorum));
            requirement.mfa |= environment.mfa;
            requirement.expires = environment.expires.map_or(requirement.expires, |expires| expires.min(requirement.expires));
            requirement.environments.push(environment.name.clone());
            asked |= environment.mfa || !environment.require.is_empty();
        }
        if requirement.approvals.is_empty() && asked {
            self.core.approvals.quorums.iter().for_each(|quorum| add(&mut requirement.approvals, quorum));
        }
        requirement.people = requirement.approvals.iter().map(|quorum| quorum.count).max().unwrap_or(0);
        self.raise(&mut requirement);
        (!requirement.approvals.is_empty()).then_some(requirement)
    }
}

fn add(quorums: &mut Vec<Quorum>, quorum: &Quorum) {
    match quorums.iter_mut().find(|one| one.group == quorum.group) {
        Some(one) => one.count = one.count.max(quorum.count),
        None => quorums.push(quorum.clone()),
    }
}
