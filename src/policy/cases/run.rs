//! Cases under a policy: what came out, and what was expected instead.

use opsgate_tools::scope::Scope;
use serde::Serialize;

use super::super::Policy;
use super::super::decision::Quorum;
use super::super::explain::Explanation;
use super::super::model::Effect;
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
    /// What came out, with its grounds.
    pub explanation: Explanation,
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
        let unexercised = coverage::unexercised(&policy.core, cases.iter().map(|case| &case.explanation));
        CaseReport { policy_hash: policy.hash().to_owned(), cases, unexercised }
    }
}

impl Case {
    fn run(&self, policy: &Policy) -> CaseResult {
        let explanation = policy.explain(&self.asked.facts());
        CaseResult {
            name: self.name.clone(),
            line: self.line,
            passed: self.expected.is_met(&explanation),
            expected: self.expected.in_words(),
            came_out: in_words(&explanation),
            explanation,
        }
    }
}

impl Expected {
    fn is_met(&self, answer: &Explanation) -> bool {
        let denied_by = answer.denial.as_ref().and_then(|denial| denial.rule.as_ref());
        let rule = self.rule.as_ref().is_none_or(|rule| answer.permitted_by.contains(rule) || denied_by == Some(rule));
        let code = self.code.is_none_or(|code| answer.denial.as_ref().is_some_and(|denial| denial.code == code));
        let approvals = self.approvals.as_ref().is_none_or(|expected| {
            let asked = answer.requirement.as_ref().map(|requirement| requirement.approvals.as_slice()).unwrap_or_default();
            expected.len() == asked.len() && expected.iter().all(|one| asked.contains(one))
        });
        let shadow = self.shadow.as_ref().is_none_or(|expected| {
            let found = shadows(answer);
            expected.len() == found.len() && expected.iter().all(|id| found.contains(&id.as_str()))
        });
        answer.decision == self.decision && rule && code && approvals && shadow
    }

    fn in_words(&self) -> String {
        let code = self.code.map(|code| format!(" ({})", code.name())).unwrap_or_default();
        let rule = self.rule.as_ref().map(|rule| format!(" by `{rule}`")).unwrap_or_default();
        let approvals = self.approvals.as_deref().map(|quorums| format!(" with {}", told(quorums))).unwrap_or_default();
        let shadow = self.shadow.as_ref().map(|ids| format!(" in the shadow of [{}]", ids.join(", "))).unwrap_or_default();
        format!("{}{code}{rule}{approvals}{shadow}", self.decision)
    }
}

/// One line: decision, code, rule, reason, what it needs, what it touched.
fn in_words(answer: &Explanation) -> String {
    let mut words = answer.decision.clone();
    if let Some(denial) = &answer.denial {
        words += &format!(" ({})", denial.code.name());
        words += &denial.rule.as_ref().map(|rule| format!(" by `{rule}`")).unwrap_or_default();
        words += &format!(": {}", denial.because);
    }
    if !answer.permitted_by.is_empty() {
        words += &format!(" by `{}`", answer.permitted_by.join("`, `"));
    }
    if let Some(requirement) = &answer.requirement {
        words += &format!(" with {}", told(&requirement.approvals));
    }
    let shadow = shadows(answer);
    if !shadow.is_empty() {
        words += &format!(" in the shadow of [{}]", shadow.join(", "));
    }
    let touched: Vec<String> = answer.touches.iter().map(|Scope { kind, value }| format!("{kind} {}", value.escape_debug())).collect();
    if touched.is_empty() { words } else { format!("{words} (touches {})", touched.join(", ")) }
}

fn shadows(answer: &Explanation) -> Vec<&str> {
    answer.rules.iter().filter(|rule| rule.shadow && rule.effect == Effect::Deny).map(|rule| rule.id.as_str()).collect()
}

fn told(quorums: &[Quorum]) -> String {
    let one = |quorum: &Quorum| format!("{} of {}", quorum.count, quorum.group.as_deref().unwrap_or("any approvers"));
    quorums.iter().map(one).collect::<Vec<_>>().join(" and ")
}
