//! Cases under a policy: what came out, and what was expected instead.

use opsgate_tools::scope::{Scope, Scopes};
use serde::Serialize;

use super::super::Policy;
use super::super::decision::{Decision, Denial, Permit, Requirement};
use super::super::explain::Explanation;
use super::super::required::in_words;
use super::unhit::{UnhitGlob, unhit};
use super::{Case, CaseFile, Expected, coverage};

/// How the cases of one file went.
#[derive(Debug, Serialize)]
pub struct CaseReport {
    /// The hash of the policy they ran under.
    pub policy_hash: String,
    /// Each case, in the order of the file.
    pub cases: Vec<CaseResult>,
    /// Rules and settings that decided no case.
    pub unexercised: Vec<String>,
    /// Of the deny rules that decided a case, the globs that none of these cases hit.
    pub unhit_globs: Vec<UnhitGlob>,
}

/// How one case went.
#[derive(Debug, Serialize)]
pub struct CaseResult {
    /// Its name, with the values of `each`.
    pub name: String,
    /// The line of the file it begins in.
    pub line: u32,
    /// Whether all that it expects came out.
    pub passed: bool,
    /// What it expects, in words.
    pub expected: String,
    /// What came out, in words.
    pub came_out: String,
    /// Why, where something else came out than was expected.
    pub explanation: Option<Explanation>,
    /// What decided: rules, settings, environments.
    #[serde(skip)]
    pub(super) decided_by: Vec<String>,
}

impl CaseReport {
    /// The cases that did not come out as expected.
    pub fn failed(&self) -> impl Iterator<Item = &CaseResult> {
        self.cases.iter().filter(|case| !case.passed)
    }
}

impl CaseFile {
    /// Decides every case under this policy, and compares.
    #[must_use]
    pub fn run(&self, policy: &Policy) -> CaseReport {
        let cases: Vec<CaseResult> = self.cases.iter().map(|case| case.run(policy)).collect();
        let unexercised = coverage::unexercised(&policy.core, cases.iter().flat_map(|case| &case.decided_by));
        let touched = self.cases.iter().map(|case| &case.asked.scopes).zip(cases.iter().map(|case| case.decided_by.as_slice()));
        let unhit_globs = unhit(&policy.core, touched);
        CaseReport { policy_hash: policy.hash().to_owned(), cases, unexercised, unhit_globs }
    }
}

impl Case {
    fn run(&self, policy: &Policy) -> CaseResult {
        let facts = self.asked.facts();
        let answer = Answer::of(&policy.decide(&facts));
        let passed = self.expected.is_met(&answer);
        CaseResult {
            name: self.name.clone(),
            line: self.line,
            passed,
            expected: self.expected.in_words(),
            came_out: answer.in_words(&self.asked.scopes),
            // It asks every rule one by one, which takes longer than the decision.
            explanation: (!passed).then(|| policy.explain(&facts)),
            decided_by: answer.decided_by(),
        }
    }
}

/// What of a decision a case can speak of.
struct Answer {
    decision: &'static str,
    permitted_by: Vec<String>,
    denial: Option<Denial>,
    requirement: Option<Requirement>,
    shadow: Vec<String>,
}

impl Answer {
    fn of(decision: &Decision) -> Self {
        let name = decision.name();
        let permitted = |permit: &Permit, requirement| Self {
            decision: name,
            permitted_by: permit.rules().to_vec(),
            denial: None,
            requirement,
            shadow: permit.shadow().to_vec(),
        };
        match decision {
            Decision::Permit(permit) => permitted(permit, None),
            Decision::NeedsApproval(permit, requirement) => permitted(permit, Some(requirement.clone())),
            Decision::Deny(denial) => {
                Self { decision: name, permitted_by: Vec::new(), denial: Some(denial.clone()), requirement: None, shadow: denial.shadow.clone() }
            }
        }
    }

    fn decided_by(&self) -> Vec<String> {
        let environments = self.requirement.iter().flat_map(|requirement| &requirement.environments).map(|name| format!("environments.{name}"));
        let denied = self.denial.iter().filter_map(|denial| denial.rule.clone());
        self.permitted_by.iter().cloned().chain(denied).chain(self.shadow.iter().cloned()).chain(environments).collect()
    }

    /// One line: decision, code, rule, reason, what it needs, what it touched.
    fn in_words(&self, touched: &Scopes) -> String {
        let mut words = self.decision.to_owned();
        if let Some(denial) = &self.denial {
            words += &format!(" ({})", denial.code.name());
            words += &denial.rule.as_ref().map(|rule| format!(" by `{rule}`")).unwrap_or_default();
            words += &format!(": {}", denial.because);
        }
        if !self.permitted_by.is_empty() {
            words += &format!(" by `{}`", self.permitted_by.join("`, `"));
        }
        if let Some(requirement) = &self.requirement {
            words += &format!(" with {requirement}");
        }
        if !self.shadow.is_empty() {
            words += &format!(" in the shadow of [{}]", self.shadow.join(", "));
        }
        let touched: Vec<String> = touched.entries().iter().map(|Scope { kind, value }| format!("{kind} {}", value.escape_debug())).collect();
        if touched.is_empty() { words } else { format!("{words} (touches {})", touched.join(", ")) }
    }
}

impl Expected {
    fn is_met(&self, answer: &Answer) -> bool {
        let denied_by = answer.denial.as_ref().and_then(|denial| denial.rule.as_ref());
        let rule = self.rule.as_ref().is_none_or(|rule| answer.permitted_by.contains(rule) || denied_by == Some(rule));
        let code = self.code.is_none_or(|code| answer.denial.as_ref().is_some_and(|denial| denial.code == code));
        let approvals = self.approvals.as_ref().is_none_or(|expected| {
            let asked = answer.requirement.as_ref().map(|requirement| requirement.approvals.as_slice()).unwrap_or_default();
            expected.len() == asked.len() && expected.iter().all(|one| asked.contains(one))
        });
        let shadow =
            self.shadow.as_ref().is_none_or(|expected| expected.len() == answer.shadow.len() && expected.iter().all(|id| answer.shadow.contains(id)));
        answer.decision == self.decision && rule && code && approvals && shadow
    }

    fn in_words(&self) -> String {
        let code = self.code.map(|code| format!(" ({})", code.name())).unwrap_or_default();
        let rule = self.rule.as_ref().map(|rule| format!(" by `{rule}`")).unwrap_or_default();
        let approvals = self.approvals.as_deref().map(|quorums| format!(" with {}", in_words(quorums))).unwrap_or_default();
        let shadow = self.shadow.as_ref().map(|ids| format!(" in the shadow of [{}]", ids.join(", "))).unwrap_or_default();
        format!("{}{code}{rule}{approvals}{shadow}", self.decision)
    }
}
