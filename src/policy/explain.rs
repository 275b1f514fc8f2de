//! Why a decision came out as it did, for people.

use std::fmt;
use std::sync::{Arc, OnceLock};

use opsgate_tools::scope::{Scope, ScopeKind};
use opsgate_tools::tool::Class;
use serde::Serialize;

use super::call::Call;
use super::compile::{CompiledRule, Core, Who, bit};
use super::decision::{Decision, Denial, Facts, Requirement};
use super::diagnostics::At;
use super::glob::{Compare, Pattern, Subject};
use super::glob_table::GlobTable;
use super::model::{Effect, Rule};
use super::risk::Risk;

/// A decision with its grounds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// `permit`, `needs_approval` or `deny`.
    pub decision: String,
    /// Who asked.
    pub caller: String,
    /// The entry of `callers` that matched, where one did.
    pub matched: Option<String>,
    /// The caller's roles.
    pub roles: Vec<String>,
    /// For which tool.
    pub tool: String,
    /// The mode of the tool's system, where the policy lists it.
    pub mode: Option<String>,
    /// What the call touches.
    pub touches: Vec<Scope>,
    /// How risky it is, where the policy knows caller and tool.
    pub risk: Option<Risk>,
    /// What permitted: ids of rules, or `defaults.read`.
    pub permitted_by: Vec<String>,
    /// Why not, where the answer is no.
    pub denial: Option<Denial>,
    /// What must be there first, where the answer is yes with approval.
    pub requirement: Option<Requirement>,
    /// Every rule whose conditions hold, allowing or denying, in force or in shadow.
    pub rules: Vec<MatchedRule>,
    /// What would have to be different or to be there for the call to run.
    pub needed: Vec<String>,
    /// Under which policy.
    pub policy_hash: String,
}

/// A rule whose conditions hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MatchedRule {
    /// Its id.
    pub id: String,
    /// Whether it allows or denies.
    pub effect: Effect,
    /// Whether it is only recorded.
    pub shadow: bool,
    /// Its reason.
    pub because: Option<String>,
    /// Its line in the policy file.
    pub line: u32,
}

impl Core {
    pub(super) fn explain(self: &Arc<Self>, facts: &Facts<'_>) -> Explanation {
        let decision = self.decide(facts);
        let profile = self.profile(facts.caller);
        let call = Call::new(self, facts).ok();
        let rules = call.as_ref().map(|call| self.matching(call)).unwrap_or_default();
        let needed = match &decision {
            Decision::Permit(_) => Vec::new(),
            Decision::NeedsApproval(_, requirement) => vec![requirement.to_string()],
            Decision::Deny(denial) => needed(denial, call.as_ref()),
        };
        let name = decision.name().to_owned();
        let (permitted_by, denial, requirement) = match decision {
            Decision::Permit(permit) => (permit.rules().to_vec(), None, None),
            Decision::NeedsApproval(permit, requirement) => (permit.rules().to_vec(), None, Some(requirement)),
            Decision::Deny(denial) => (Vec::new(), Some(denial), None),
        };
        Explanation {
            decision: name,
            caller: facts.caller.to_owned(),
            matched: profile.map(|profile| profile.matched.clone()),
            roles: profile.map(|profile| profile.roles.clone()).unwrap_or_default(),
            tool: facts.tool.to_owned(),
            mode: self.systems.get(facts.system).map(|system| system.mode.name().to_owned()),
            touches: facts.scopes.entries().to_vec(),
            risk: call.as_ref().map(Call::risk),
            permitted_by,
            denial,
            requirement,
            rules,
            needed,
            policy_hash: self.hash.clone(),
        }
    }

    /// Every rule, asked one by one and without the index that `decide` uses: each checks the other (test:
    /// `the_index_and_the_plain_reading_agree`).
    pub(super) fn matching(&self, call: &Call<'_>) -> Vec<MatchedRule> {
        let who = Who { id: call.facts.caller, profile: call.profile, trigger: call.facts.trigger, environments: call.environments };
        let mut matched = Vec::new();
        for compiled in &self.rules {
            let rule = &compiled.rule;
            let about = || compiled.is_about(&who, self.defaults.automation) && names_tool(compiled, call);
            let holds = || match rule.effect {
                Effect::Deny => rule.when.scopes.iter().all(|(kind, _)| denies_kind(compiled, *kind, call)),
                Effect::Allow => (call.entry.class == Class::Read || rule.when.tools.is_some()) && call.covered_by(compiled),
            };
            if about() && holds() {
                let because = rule.because.clone();
                matched.push(MatchedRule { id: rule.id.clone(), effect: rule.effect, shadow: rule.shadow, because, line: rule.at.line });
            }
        }
        matched
    }
}

/// What a rule matches, compiled for it alone when it is first asked by itself: of thousands of rules few ever are.
#[derive(Default)]
pub(super) struct Plain {
    tools: OnceLock<Box<GlobTable>>,
    scopes: OnceLock<Vec<(ScopeKind, GlobTable)>>,
}

impl Plain {
    pub(super) fn names(&self, tools: &[At<Pattern>], name: &str) -> bool {
        let globs = || tools.iter().map(|tool| &tool.value).filter(|tool| !tool.is_literal());
        tools.iter().any(|tool| tool.value.text() == name)
            || (globs().next().is_some()
                && self.tools.get_or_init(|| Box::new(GlobTable::of(globs(), Compare::Exact).unwrap_or_default())).is_match(name))
    }

    /// For an allow rule: what covers a value of each kind. The globs are known to be well formed; one that were not would cover nothing.
    pub(super) fn covers(&self, rule: &Rule) -> &[(ScopeKind, GlobTable)] {
        let table = |globs: &[At<Pattern>]| GlobTable::of(globs.iter().map(|glob| &glob.value), Compare::Exact).unwrap_or_default();
        self.scopes.get_or_init(|| rule.when.scopes.iter().map(|(kind, globs)| (*kind, table(globs))).collect())
    }

    /// For a deny rule: what matches a value of each kind.
    pub(super) fn denies(&self, rule: &Rule) -> &[(ScopeKind, GlobTable)] {
        let table = |kind: ScopeKind, globs: &[At<Pattern>], texts: &dyn Fn(&Pattern) -> Vec<String>| {
            let texts = globs.iter().flat_map(|glob| texts(&glob.value)).map(|text| (text, 0));
            (kind, GlobTable::new(texts, Subject::Scope(kind), Compare::Folded).unwrap_or_default())
        };
        self.scopes.get_or_init(|| {
            let tables = rule.when.scopes.iter().flat_map(|(kind, globs)| match kind {
                ScopeKind::Path => vec![table(*kind, globs, &Pattern::hides_files), table(ScopeKind::Tree, globs, &Pattern::hides_folders)],
                _ => vec![table(*kind, globs, &|glob| vec![glob.text().to_owned()])],
            });
            tables.collect()
        })
    }
}

fn names_tool(rule: &CompiledRule, call: &Call<'_>) -> bool {
    let when = &rule.rule.when;
    when.tools.as_ref().is_none_or(|tools| rule.plain.names(tools, &call.entry.name))
        && when.systems.as_ref().is_none_or(|systems| systems.iter().any(|system| system.value == call.entry.system))
}

fn denies_kind(rule: &CompiledRule, kind: ScopeKind, call: &Call<'_>) -> bool {
    let globs = || rule.rule.when.scopes.iter().filter(|(one, _)| *one == kind).flat_map(|(_, globs)| globs);
    call.touched.iter().filter(|one| bit(one.kind) == bit(kind)).any(|one| {
        if one.kind == ScopeKind::Tree && one.value == "." {
            return globs().any(|glob| glob.value.is_everything());
        }
        rule.plain.denies(&rule.rule).iter().any(|(table_kind, table)| *table_kind == one.kind && table.is_match(&one.folded))
    })
}

fn needed(denial: &Denial, call: Option<&Call<'_>>) -> Vec<String> {
    let Some(call) = call else { return vec![denial.hint.clone()] };
    let mut needed = Vec::new();
    for rule in call.denying().iter().filter_map(|index| call.core.rule(*index)).filter(|rule| !rule.rule.shadow) {
        needed.push(format!("a target that the rule `{}` does not deny", rule.rule.id));
    }
    if call.entry.class == Class::Write {
        let allowing = call.allowing();
        if !call.core.write_mode {
            needed.push("`write_mode: on` in the policy".to_owned());
        }
        if call.facts.write_mode_env_off {
            needed.push("`WRITE_MODE=off` taken out of the gateway's environment".to_owned());
        }
        if call.core.is_closed_to_same_user(call.mode, &call.entry.system, call.facts.same_user) {
            needed.push("a gateway under its own user (`opsgate setup`), or `same_user_writes: true`".to_owned());
        }
        if !call.mode.answers_writes() {
            needed.push(format!("a mode of the system `{}` that writes", call.entry.system));
        }
        if allowing.is_empty() {
            needed.push(format!("an allow rule that names `{}` and covers this caller and target", call.entry.name));
        }
        if !call.whitelisted(&allowing) {
            needed.push("the target whitelisted: `write: true` for its repository, tier `approval` for its namespace".to_owned());
        }
        let missing = call.missing_change();
        if !missing.is_empty() {
            needed.push(missing.join(", "));
        }
    } else if needed.is_empty() {
        needed.push(denial.hint.clone());
    }
    needed
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decision = match self.decision.as_str() {
            "permit" => "permitted",
            "needs_approval" => "needs approval",
            _ => "denied",
        };
        writeln!(f, "{decision}: `{}` for `{}`", self.tool, self.caller)?;
        if let Some(denial) = &self.denial {
            writeln!(f, "  because: {}", denial.because)?;
            if let Some(rule) = &denial.rule {
                writeln!(f, "  by: {rule}")?;
            }
        }
        if !self.permitted_by.is_empty() {
            writeln!(f, "  by: {}", self.permitted_by.join(", "))?;
        }
        match &self.matched {
            Some(matched) if self.roles.is_empty() => writeln!(f, "  caller: `{matched}`, no roles")?,
            Some(matched) => writeln!(f, "  caller: `{matched}`, roles {}", self.roles.join(", "))?,
            None => writeln!(f, "  caller: not in the policy")?,
        }
        writeln!(f, "  mode: {}", self.mode.as_deref().unwrap_or("the system is not listed"))?;
        if let Some(risk) = self.risk {
            writeln!(f, "  risk: {risk}")?;
        }
        for scope in &self.touches {
            writeln!(f, "  touches: {} {}", scope.kind, scope.value.escape_debug())?;
        }
        for rule in &self.rules {
            let effect = if rule.effect == Effect::Allow { "allows" } else { "denies" };
            let shadow = if rule.shadow { " (shadow: recorded, not enforced)" } else { "" };
            let because = rule.because.as_ref().map(|because| format!(": {because}")).unwrap_or_default();
            writeln!(f, "  rule `{}` (line {}) {effect}{shadow}{because}", rule.id, rule.line)?;
        }
        if !self.needed.is_empty() {
            writeln!(f, "  needed:")?;
            for one in &self.needed {
                writeln!(f, "    - {one}")?;
            }
        }
        write!(f, "  policy: {}", self.policy_hash)
    }
}
