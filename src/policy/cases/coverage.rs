//! What of a policy decided no case: what a change could take away without a case that fails.

use std::collections::BTreeSet;

use opsgate_tools::tool::Class;

use super::super::compile::Core;
use super::super::model::{Effect, Repository, Tier};

/// Everything in the policy that can decide and has a name, less these names of what decided.
///
/// A rule decides where it is among those that permitted, is the one named as denying, or is a denial in shadow that matched; an
/// environment where it asks for something or refuses, a list of a repository and a closed namespace where they deny, `defaults.read`
/// where it permits.
pub(super) fn unexercised<'a>(core: &Core, decided_by: impl Iterator<Item = &'a String>) -> Vec<String> {
    // A permission in shadow decides nothing.
    let rules = core.rules.iter().filter(|rule| !(rule.rule.shadow && rule.rule.effect == Effect::Allow));
    let mut left: BTreeSet<String> = rules.map(|rule| rule.rule.id.clone()).collect();
    left.extend(core.environments.iter().map(|(environment, _)| format!("environments.{}", environment.name)));
    for entry in &core.repositories {
        let Repository { pattern, tools, refs, paths, .. } = &entry.source;
        for (name, list) in [("tools", tools), ("refs", refs), ("paths", paths)] {
            let named = |what: &str| format!("repositories.{}.{name}.{what}", pattern.value.text());
            left.extend((!list.deny.is_empty()).then(|| named("deny")));
            left.extend(list.allow.as_ref().map(|_| named("allow")));
        }
    }
    let closed = core.namespaces.iter().filter(|(namespace, _)| namespace.tier != Tier::Approval);
    left.extend(closed.map(|(namespace, _)| format!("namespaces.{}", namespace.pattern.text())));
    if core.defaults.read && core.tools.iter().any(|tool| tool.class == Class::Read && core.systems.contains_key(&tool.system)) {
        left.insert("defaults.read".to_owned());
    }
    for name in decided_by {
        left.remove(name);
        if name.starts_with("environments.") {
            for part in [".hours", ".require"] {
                left.remove(name.strip_suffix(part).unwrap_or_default());
            }
        }
    }
    left.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::tests::policy;

    #[test]
    fn a_rule_that_decided_covers_no_other_rule() {
        let policy = policy("version: 1\nrules: [{id: a, deny: {paths: [x]}}, {id: a.hours, deny: {paths: [y]}}]\n");
        assert_eq!(unexercised(&policy.core, ["a.hours".to_owned()].iter()), ["a"]);
    }
}
