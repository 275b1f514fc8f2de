//! Whether one glob or rule certainly covers another. `false` means only that it is not certain.

use std::borrow::Cow;
use std::cell::Cell;

use opsgate_tools::scope::ScopeKind;

use super::super::catalogue::Catalogue;
use super::super::decision::Trigger;
use super::super::diagnostics::At;
use super::super::glob::{Compare, Pattern};
use super::super::glob_table::WILD;
use super::super::model::{Effect, Rule};
use super::super::normalise::fold;

/// Compares globs and rules for as long as there is work left: what is written must not make a load slow.
pub(super) struct Covers {
    texts: Cell<u32>,
    matches: Cell<u32>,
}

/// Whether the first list of globs covers the second, both for values of this kind.
type ListCovers<'c> = dyn Fn(&[At<Pattern>], &[At<Pattern>], ScopeKind) -> bool + 'c;

/// Texts that are compared, and globs that are compiled to be matched with a name.
const MOST_WORK: (u32, u32) = (500_000, 2_000);

impl Covers {
    pub(super) fn new() -> Self {
        Self { texts: Cell::new(MOST_WORK.0), matches: Cell::new(MOST_WORK.1) }
    }

    /// Whether something was not looked at.
    pub(super) fn is_spent(&self) -> bool {
        self.texts.get() == 0 || self.matches.get() == 0
    }

    /// Whether no more globs are compared: nobody need ask on.
    pub(super) fn is_done(&self) -> bool {
        self.texts.get() == 0
    }

    /// Whether all that `inner` matches, `outer` matches too, both compared exactly. `beneath` is for paths of a denial,
    /// which also cover what is beneath what they match and ignore case.
    pub(super) fn glob(&self, outer: &Pattern, inner: &Pattern, beneath: bool) -> bool {
        if !take(&self.texts) {
            return false;
        }
        let spelt = |text| if beneath { fold(text) } else { Cow::Borrowed(text) };
        let (one, other) = (spelt(outer.text()), spelt(inner.text()));
        if one == other || one == "**" {
            return true;
        }
        let literal = |text: &str| !text.contains(WILD);
        let top = one.strip_suffix("/**").or(beneath.then_some(&*one));
        if top.is_some_and(|top| literal(top) && other.strip_prefix(top).is_some_and(|rest| rest.starts_with('/'))) {
            return true;
        }
        let fixed = one.split(WILD).next().unwrap_or_default();
        inner.is_literal()
            && !outer.is_literal()
            && other.starts_with(fixed)
            && take(&self.matches)
            && outer.matches_once(if beneath { Compare::Folded } else { Compare::Exact }, inner.text())
    }

    /// Whether every call that the allow rule covers, the deny rule refuses.
    pub(super) fn denies_all_of(&self, deny: &Rule, allow: &Rule, catalogue: &Catalogue) -> bool {
        if deny.effect != Effect::Deny || deny.shadow || allow.effect != Effect::Allow {
            return false;
        }
        let (no, yes) = (&deny.when, &allow.when);
        // The cheap questions first: there may be thousands of pairs.
        let scopes = |covers: &ListCovers<'_>| {
            no.scopes.iter().all(|(kind, outer)| yes.scopes.iter().any(|(one, inner)| one == kind && covers(outer, inner, *kind)))
        };
        if !scopes(&|_, _, _| true) {
            return false;
        }
        let names = |outer: &Option<Vec<At<String>>>, inner: &Option<Vec<At<String>>>| match (outer, inner) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(outer), Some(inner)) => inner.iter().all(|one| outer.iter().any(|other| other.value == one.value)),
        };
        let globs = |outer: &Option<Vec<At<Pattern>>>, inner: &Option<Vec<At<Pattern>>>| match (outer, inner) {
            (None, _) => true,
            (Some(outer), None) => outer.iter().any(|one| one.value.text() == "*"),
            (Some(outer), Some(inner)) => self.list(outer, inner, false, true),
        };
        let triggers = no.triggers.as_ref().is_none_or(|no| yes.triggers.as_deref().unwrap_or(&[Trigger::Client]).iter().all(|one| no.contains(one)));
        let systems = names(&no.systems, &yes.systems)
            || no.systems.as_ref().is_some_and(|systems| {
                let inside = |tool: &Pattern| {
                    let mut named = catalogue.tools().filter(|(name, _)| tool.matches_once(Compare::Exact, name)).peekable();
                    named.peek().is_some() && named.all(|(_, listed)| systems.iter().any(|system| system.value == listed.system))
                };
                yes.tools.as_ref().is_some_and(|tools| tools.iter().all(|tool| inside(&tool.value)))
            });
        triggers
            && names(&no.roles, &yes.roles)
            && names(&no.environments, &yes.environments)
            && systems
            && globs(&no.tools, &yes.tools)
            && globs(&no.callers, &yes.callers)
            && scopes(&|outer, inner, kind| self.list(outer, inner, kind == ScopeKind::Path, false))
    }

    fn list(&self, outer: &[At<Pattern>], inner: &[At<Pattern>], beneath: bool, star_is_all: bool) -> bool {
        let covered = |one: &Pattern| outer.iter().any(|other| self.glob(&other.value, one, beneath) || (star_is_all && other.value.text() == "*"));
        inner.iter().all(|one| covered(&one.value))
    }
}

fn take(left: &Cell<u32>) -> bool {
    let now = left.get();
    left.set(now.saturating_sub(1));
    now > 0
}
