//! Which globs of a deny rule no case hit, though some case was decided by the rule.

use std::collections::{HashMap, HashSet};

use opsgate_tools::scope::{ScopeKind, Scopes};
use serde::Serialize;

use super::super::compile::Core;
use super::super::glob::{Compare, Pattern};
use super::super::glob_table::GlobTable;
use super::super::model::Effect;
use super::super::normalise::{fold, scope_spelling};

/// A glob of a deny rule that could go without a case that fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnhitGlob {
    /// The rule.
    pub rule: String,
    /// What it names.
    pub kind: ScopeKind,
    /// As it is written.
    pub glob: String,
}

/// The globs of those deny rules that decided a case, less those that match something a case that the rule decided touches.
/// `cases` are what each touched, and the names of what decided it.
pub(super) fn unhit<'a>(core: &Core, cases: impl Iterator<Item = (&'a Scopes, &'a [String])>) -> Vec<UnhitGlob> {
    let mut touched: HashMap<&str, HashSet<(ScopeKind, String)>> = HashMap::new();
    for (scopes, decided_by) in cases {
        for name in decided_by {
            let values = scopes.entries().iter().filter_map(|one| Some((one.kind, fold(&scope_spelling(one.kind, &one.value)?).into_owned())));
            touched.entry(name).or_default().extend(values);
        }
    }
    let mut left = Vec::new();
    for rule in core.rules.iter().map(|rule| &rule.rule).filter(|rule| rule.effect == Effect::Deny) {
        let Some(values) = touched.get(rule.id.as_str()) else { continue };
        for (kind, globs) in &rule.when.scopes {
            let unhit = globs.iter().map(|glob| &glob.value).filter(|glob| !is_hit(*kind, glob, values));
            left.extend(unhit.map(|glob| UnhitGlob { rule: rule.id.clone(), kind: *kind, glob: glob.text().to_owned() }));
        }
    }
    left
}

fn is_hit(kind: ScopeKind, glob: &Pattern, values: &HashSet<(ScopeKind, String)>) -> bool {
    let matches = |kind: ScopeKind, texts: Vec<String>| {
        let table = GlobTable::new(texts.into_iter().map(|text| (text, 0)), glob.subject(), Compare::Folded);
        table.is_ok_and(|table| values.iter().any(|(one, value)| *one == kind && table.is_match(value)))
    };
    if kind != ScopeKind::Path {
        return matches(kind, vec![glob.text().to_owned()]);
    }
    let hides_root = glob.is_everything() && values.contains(&(ScopeKind::Tree, ".".to_owned()));
    hides_root || matches(ScopeKind::Path, glob.hides_files()) || matches(ScopeKind::Tree, glob.hides_folders())
}
