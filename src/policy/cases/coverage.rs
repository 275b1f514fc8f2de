//! What of a policy decided no case: what a change could take away without a case that fails.

use std::collections::BTreeSet;

use opsgate_tools::tool::Class;

use super::super::compile::Core;
use super::super::decision::Requirement;
use super::super::explain::Explanation;
use super::super::model::Tier;

/// Everything in the policy that can decide and has a name, less what these answers name.
///
/// A rule is exercised where it is among those that permitted, is the one named as denying, or is a shadow that matched; an
/// environment where it asks for something, a closed namespace where it denies, `defaults.read` where it permits.
pub(super) fn unexercised<'a>(core: &Core, answers: impl Iterator<Item = &'a Explanation>) -> Vec<String> {
    let mut left: BTreeSet<String> = core.rules.iter().map(|rule| rule.rule.id.clone()).collect();
    left.extend(core.environments.iter().map(|(environment, _)| format!("environments.{}", environment.name)));
    let closed = core.namespaces.iter().filter(|(namespace, _)| namespace.tier != Tier::Approval);
    left.extend(closed.map(|(namespace, _)| format!("namespaces.{}", namespace.pattern.text())));
    if core.defaults.read && core.tools.iter().any(|tool| tool.class == Class::Read && core.systems.contains_key(&tool.system)) {
        left.insert("defaults.read".to_owned());
    }
    for answer in answers {
        let denied = answer.denial.iter().filter_map(|denial| denial.rule.as_deref());
        for name in answer.permitted_by.iter().map(String::as_str).chain(denied) {
            left.remove(name.strip_suffix(".hours").unwrap_or(name));
        }
        for rule in answer.rules.iter().filter(|rule| rule.shadow) {
            left.remove(&rule.id);
        }
        for environment in answer.requirement.iter().flat_map(|Requirement { environments, .. }| environments) {
            left.remove(&format!("environments.{environment}"));
        }
    }
    left.into_iter().collect()
}
