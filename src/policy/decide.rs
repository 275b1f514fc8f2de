//! The decision: pure, total, no I/O. Any denial wins, wherever it stands; without a permission there is a denial.

use std::sync::Arc;

use opsgate_tools::scope::ScopeKind;
use opsgate_tools::tool::Class;

use super::call::Call;
use super::compile::{CompiledRepository, Core};
use super::decision::{Decision, Denial, DenialCode, Facts, Granted, Permit, Requirement, Trigger};
use super::filter::Seen;
use super::model::Tier;
use super::risk::Risk;

impl Core {
    pub(super) fn decide(self: &Arc<Self>, facts: &Facts<'_>) -> Decision {
        let call = match Call::new(self, facts) {
            Ok(call) => call,
            Err(denial) => return Decision::Deny(denial.in_language(self.settings.language)),
        };
        let mut shadow = call.shadow();
        let risk = call.risk();
        match call.verdict(risk) {
            Ok((allowing, requirement)) => {
                let permit = call.permit(self, allowing, shadow, risk);
                match requirement {
                    Some(requirement) => Decision::NeedsApproval(permit, requirement),
                    None => Decision::Permit(permit),
                }
            }
            Err(denial) => {
                if denial.code == DenialCode::DefaultDeny {
                    shadow.extend(call.shadow_allowing());
                }
                Decision::Deny(Denial { shadow, ..denial.in_language(self.settings.language) })
            }
        }
    }
}

/// The rules that allow, `None` where the defaults do; and what must be there before the call runs.
pub(super) type Verdict = Result<(Option<Vec<u32>>, Option<Requirement>), Denial>;

impl Call<'_> {
    fn verdict(&self, risk: Risk) -> Verdict {
        if let Some(denial) =
            self.denied_by_rule().or_else(|| self.denied_by_repository()).or_else(|| self.denied_by_namespace()).or_else(|| self.off_the_lists())
        {
            return Err(denial);
        }
        if self.facts.trigger != Trigger::Client && !self.core.automation {
            return Err(Denial::new(DenialCode::AutomationOff, []).by("automation"));
        }
        match self.entry.class {
            Class::Read => self.read(),
            Class::Write => self.write(risk),
        }
    }

    fn read(&self) -> Verdict {
        if self.core.defaults.read && (self.facts.trigger == Trigger::Client || self.core.defaults.automation) {
            return Ok((None, None));
        }
        let allowing = self.allowing();
        if allowing.is_empty() { Err(no_rule()) } else { Ok((Some(allowing), None)) }
    }

    fn denied_by_rule(&self) -> Option<Denial> {
        let denying = self.denying();
        let rule = denying.iter().filter_map(|index| self.core.rule(*index)).find(|rule| !rule.rule.shadow)?;
        Some(Denial::new(DenialCode::RuleDenied, []).because_of(rule.rule.because.as_ref()).by(&rule.rule.id))
    }

    fn shadow(&self) -> Vec<String> {
        if !self.core.any_shadow {
            return Vec::new();
        }
        self.denying().iter().filter_map(|index| self.core.rule(*index)).filter(|rule| rule.rule.shadow).map(|rule| rule.rule.id.clone()).collect()
    }

    /// The allow rules in shadow that would have covered a call which no other rule allows. They permit nothing.
    fn shadow_allowing(&self) -> Vec<String> {
        if !self.core.any_shadow {
            return Vec::new();
        }
        self.covering(true).iter().filter_map(|index| self.core.rule(*index)).map(|rule| rule.rule.id.clone()).collect()
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
                if self.of(ScopeKind::Path).any(|one| entry.hides_files.is_match(&one.folded))
                    || self.of(ScopeKind::Tree).any(|one| entry.hides_folder(&one.folded))
                {
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

    fn denied_by_namespace(&self) -> Option<Denial> {
        let closed = |tier: Tier| tier == Tier::Forbidden || (tier == Tier::ReadOnly && self.entry.class == Class::Write);
        for one in self.of(ScopeKind::Namespace) {
            if let Some((namespace, _)) = self.core.namespaces.iter().find(|(namespace, glob)| closed(namespace.tier) && glob.is_match(&one.folded)) {
                let tier = Tier::ALL.iter().find(|(tier, _)| *tier == namespace.tier).map_or("", |(_, name)| name);
                let name = format!("namespaces.{}", namespace.pattern.text());
                return Some(Denial::new(DenialCode::NamespaceDenied, [("tier", tier.to_owned())]).by(&name));
            }
        }
        None
    }

    fn off_the_lists(&self) -> Option<Denial> {
        let system = self.core.systems.get(&self.entry.system)?;
        let (kind, _) = system.lists.iter().find(|(kind, list)| !self.of(*kind).all(|one| list.is_match(&one.value)))?;
        Some(Denial::new(DenialCode::NotListed, [("kind", kind.to_string()), ("system", self.entry.system.clone())]))
    }

    fn permit(self, core: &Arc<Core>, allowing: Option<Vec<u32>>, shadow: Vec<String>, risk: Risk) -> Permit {
        let granted = match &allowing {
            None => Granted::ByDefault,
            Some(rules) => Granted::ByRules(rules.iter().filter_map(|index| core.rule(*index)).map(|rule| rule.rule.id.clone()).collect()),
        };
        let touched = self.of(ScopeKind::Repo).map(|one| one.value.clone().into_owned()).collect();
        let touches_refs = self.of(ScopeKind::Ref).next().is_some();
        let seen = Arc::new(Seen {
            core: Arc::clone(core),
            profile: Arc::clone(self.profile),
            caller: self.facts.caller.to_owned(),
            trigger: self.facts.trigger,
            tool: self.tool,
            environments: self.environments,
            hits: self.hits,
            touched,
            touches_refs,
            repositories: self.repositories,
            allowing,
        });
        Permit { granted, shadow, mode: self.mode, risk, seen }
    }
}

fn repository(entry: &CompiledRepository, list: &str) -> Denial {
    let name = format!("repositories.{}.{list}", entry.source.pattern.value.text());
    Denial::new(DenialCode::RepositoryDenied, []).by(&name)
}

pub(super) fn no_rule() -> Denial {
    Denial::new(DenialCode::DefaultDeny, [])
}
