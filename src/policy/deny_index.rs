//! Deny rules, found by the value they name: what a decision looks up for each thing a call touches.

use opsgate_tools::scope::ScopeKind;

use super::compile::CompiledRule;
use super::glob::{Compare, Subject};
use super::glob_table::GlobTable;

/// Deny rules, by what makes them match.
#[derive(Default)]
pub(super) struct DenyIndex {
    /// Rules that name no scope: they match whatever is touched.
    pub(super) unscoped: Vec<u32>,
    /// Rules that name paths.
    pub(super) with_paths: Vec<u32>,
    /// Rules whose path globs hide the root folder itself.
    hides_root: Vec<u32>,
    tables: Vec<(ScopeKind, GlobTable)>,
}

impl DenyIndex {
    pub(super) fn new(members: &[u32], rules: &[CompiledRule]) -> Result<Self, globset::Error> {
        let mut index = Self::default();
        let mut globs: Vec<(ScopeKind, Vec<(String, u32)>)> = Vec::new();
        let mut add = |kind: ScopeKind, texts: Vec<String>, rule: u32| {
            let owned = texts.into_iter().map(|text| (text, rule));
            match globs.iter_mut().find(|(one, _)| *one == kind) {
                Some((_, list)) => list.extend(owned),
                None => globs.push((kind, owned.collect())),
            }
        };
        for member in members {
            let Some(rule) = rules.get(*member as usize) else { continue };
            if rule.kinds == 0 {
                index.unscoped.push(*member);
            }
            for (kind, patterns) in &rule.rule.when.scopes {
                if *kind == ScopeKind::Path {
                    index.with_paths.push(*member);
                    if patterns.iter().any(|pattern| pattern.value.is_everything()) {
                        index.hides_root.push(*member);
                    }
                }
                for pattern in patterns {
                    if *kind == ScopeKind::Path {
                        add(ScopeKind::Path, pattern.value.hides_files(), *member);
                        add(ScopeKind::Tree, pattern.value.hides_folders(), *member);
                    } else {
                        add(*kind, vec![pattern.value.text().to_owned()], *member);
                    }
                }
            }
        }
        for (kind, globs) in globs {
            index.tables.push((kind, GlobTable::new(globs, Subject::Scope(kind), Compare::Folded)?));
        }
        Ok(index)
    }

    /// Calls `found` with each rule that names this value. The value is folded.
    pub(super) fn each_rule(&self, kind: ScopeKind, folded: &str, mut found: impl FnMut(u32)) {
        if kind == ScopeKind::Tree && folded == "." {
            self.hides_root.iter().for_each(|rule| found(*rule));
            return;
        }
        if let Some((_, table)) = self.tables.iter().find(|(one, _)| *one == kind) {
            table.each_match(folded, found);
        }
    }
}
