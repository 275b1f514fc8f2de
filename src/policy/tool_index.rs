//! Rules sorted under the tools they can be about, so that a decision looks at few of them.

use std::collections::{BTreeMap, HashMap};

use opsgate_tools::scope::ScopeKind;
use opsgate_tools::tool::Class;

use super::catalogue::{Catalogue, Listed};
use super::compile::CompiledRule;
use super::deny_index::DenyIndex;
use super::glob::{Compare, Subject};
use super::glob_table::{GlobTable, MOST_SEARCHED, searched_bytes};
use super::model::Effect;
use super::risk::Risk;

/// A tool with the rules that can be about it.
pub(super) struct ToolEntry {
    pub(super) name: String,
    pub(super) system: String,
    pub(super) class: Class,
    pub(super) risk: Risk,
    pub(super) destructive: bool,
    pub(super) denies: DenyIndex,
    pub(super) allows: Vec<u32>,
    /// For each kind, the allow rules that a value of it can belong to: rules out most rules in one pass.
    pub(super) allow_tables: Vec<(ScopeKind, GlobTable)>,
}

/// The most that the globs of rules may cost, counted once for each tool that a rule is about.
const MOST_FOR_ALL_TOOLS: usize = 2 * MOST_SEARCHED;

/// Why a policy that reads well cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum CompileError {
    #[error("the globs of the policy cannot be compiled: {}", .0.kind())]
    Glob(#[from] globset::Error),
    #[error("with the rule `{rule}` the globs of the policy, for each tool that a rule names, are more to search for than a policy may have")]
    Searched { rule: String },
}

/// Every tool with the rules that can be about it.
pub(super) struct ToolIndex {
    pub(super) names: HashMap<String, u32>,
    pub(super) tools: Vec<ToolEntry>,
    /// The deny rules that name neither tool nor system.
    pub(super) common: DenyIndex,
}

impl ToolIndex {
    /// Sorts each rule under the tools it can be about; a deny rule that names neither tool nor system is common to all.
    pub(super) fn of(rules: &[CompiledRule], catalogue: &Catalogue) -> Result<Self, CompileError> {
        let listed: Vec<(&str, &str, &Listed)> = catalogue.tools().map(|(name, listed)| (name, listed.system.as_str(), listed)).collect();
        let names: HashMap<String, u32> = listed.iter().zip(0..).map(|((name, ..), index)| ((*name).to_owned(), index)).collect();
        let mut denies: Vec<Vec<u32>> = vec![Vec::new(); listed.len()];
        let mut allows = denies.clone();
        let mut common = Vec::new();
        let mut searched = 0;
        for (rule, index) in rules.iter().zip(0u32..) {
            let when = &rule.rule.when;
            let cost: usize = when.scopes.iter().flat_map(|(_, globs)| globs).map(|glob| searched_bytes(&glob.value)).sum();
            if rule.rule.effect == Effect::Deny && when.tools.is_none() && when.systems.is_none() {
                common.push(index);
                continue;
            }
            let into = if rule.rule.effect == Effect::Deny { &mut denies } else { &mut allows };
            let literal = when.tools.as_ref().filter(|tools| tools.iter().all(|tool| tool.value.is_literal()));
            let in_system = |system: &str| when.systems.as_ref().is_none_or(|systems| systems.iter().any(|one| one.value == system));
            let mut put = |tool: usize| {
                if let (Some((_, system, _)), Some(list)) = (listed.get(tool), into.get_mut(tool))
                    && in_system(system)
                    && list.last() != Some(&index)
                {
                    searched += cost;
                    list.push(index);
                }
            };
            if let Some(tools) = literal {
                // The common case must not look at every tool for every rule.
                tools.iter().filter_map(|tool| names.get(tool.value.text())).for_each(|tool| put(*tool as usize));
            } else {
                let table = when.tools.as_ref().map(|tools| GlobTable::of(tools.iter().map(|tool| &tool.value), Compare::Exact)).transpose()?;
                let named = listed.iter().enumerate().filter(|(_, (name, ..))| table.as_ref().is_none_or(|table| table.is_match(name)));
                named.for_each(|(tool, _)| put(tool));
            }
            if searched > MOST_FOR_ALL_TOOLS {
                return Err(CompileError::Searched { rule: rule.rule.id.clone() });
            }
        }
        let common = DenyIndex::new(&common, rules)?;
        let tools = listed.iter().zip(denies).zip(allows).map(|(((name, system, listed), denies), allows)| {
            let denies = DenyIndex::new(&denies, rules)?;
            let allow_tables = allow_tables(&allows, rules)?;
            let Listed { class, risk, destructive, .. } = **listed;
            Ok(ToolEntry { name: (*name).to_owned(), system: (*system).to_owned(), class, risk, destructive, denies, allows, allow_tables })
        });
        Ok(Self { names, tools: tools.collect::<Result<_, globset::Error>>()?, common })
    }
}

fn allow_tables(members: &[u32], rules: &[CompiledRule]) -> Result<Vec<(ScopeKind, GlobTable)>, globset::Error> {
    let mut globs: BTreeMap<ScopeKind, Vec<(String, u32)>> = BTreeMap::new();
    for (member, rule) in members.iter().filter_map(|member| rules.get(*member as usize).map(|rule| (*member, rule))) {
        for (kind, patterns) in &rule.rule.when.scopes {
            globs.entry(*kind).or_default().extend(patterns.iter().map(|pattern| (pattern.value.text().to_owned(), member)));
        }
    }
    globs.into_iter().map(|(kind, globs)| Ok((kind, GlobTable::new(globs, Subject::Scope(kind), Compare::Exact)?))).collect()
}
