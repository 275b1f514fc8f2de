//! `profile: production`: what a policy may say on a person's machine, and not where others rely on it.
//!
//! These are errors and not warnings: whoever writes `production` asks to be held to it. What is unsafe of the process that
//! enforces the policy is in [`crate::production`].

use opsgate_tools::mode::Mode;
use opsgate_tools::tool::Class;

use super::super::catalogue::{Catalogue, is_local};
use super::super::diagnostics::Pos;
use super::super::glob::{Compare, Pattern};
use super::super::model::{CallerEntry, Deployment, Effect, File, Rule, RuleApprovals};
use super::super::yaml::Value;
use super::Reader;
use super::value::Fields;

/// What a check finds, its sentence (`{}` is the name of what it found), and what to do.
pub(in super::super) type Check = (fn(&Written<'_>) -> Vec<(Pos, String)>, &'static str, &'static str);

/// What is unsafe in production.
pub(in super::super) const CHECKS: [Check; 5] = [
    (same_user_writes, "refuses `same_user_writes: true`", "run the gateway under its own user (`opsgate setup`)"),
    (anonymous, "refuses anonymous callers", "give each caller a key (`opsgate keys new`)"),
    (mocked, "refuses the mode `mock` of `{}`: what is invented would be believed", "write `read_only`, or leave the system out"),
    (unapproved, "refuses `approvals: 0` for writes to a real system, as the rule `{}` has it", "let at least one person approve them"),
    (everybody, "refuses that `{}`, which is everybody who comes that way, may write", "name the callers that may, each with its role"),
];

/// A policy as it was read, with the places of its keys.
pub(in super::super) struct Written<'a> {
    fields: &'a Fields<'a>,
    file: &'a File,
    catalogue: &'a Catalogue,
}

impl Reader<'_> {
    pub(super) fn production(&mut self, fields: &Fields<'_>, file: &File) {
        if file.settings.deployment != Deployment::Production {
            return;
        }
        let written = Written { fields, file, catalogue: self.catalogue };
        for (finds, sentence, help) in CHECKS {
            for (at, name) in finds(&written) {
                self.error(at, format!("`profile: production` {}", sentence.replace("{}", &name)), help.to_owned());
            }
        }
    }
}

impl Written<'_> {
    /// The entries of a mapping at the top, with their places.
    fn names(&self, key: &str) -> impl Iterator<Item = (Pos, String)> {
        let entries = match self.fields.get(key).map(|node| &node.value) {
            Some(Value::Map(entries)) => entries.as_slice(),
            _ => &[],
        };
        entries.iter().map(|(name, _)| (name.at, name.value.clone()))
    }

    /// The systems that a rule lets write.
    fn writes_to<'r>(&'r self, rule: &'r Rule) -> impl Iterator<Item = &'r str> {
        let allows = rule.effect == Effect::Allow && !rule.shadow && self.file.write_mode;
        let names = move |tool: &str| rule.when.tools.iter().flatten().any(|glob| glob.value.matches_once(Compare::Exact, tool));
        let named = self.catalogue.tools().filter(move |(name, listed)| allows && listed.class == Class::Write && names(name));
        let within = |system: &str| rule.when.systems.as_ref().is_none_or(|systems| systems.iter().any(|one| one.value == system));
        named.map(|(_, listed)| listed.system.as_str()).filter(move |system| within(system))
    }

    /// Whether a rule lets all whom this entry is about write.
    fn may_write(&self, caller: &CallerEntry) -> bool {
        let entry = &caller.pattern.value;
        let covers = |glob: &Pattern| {
            let one_in_the_other = |a: &Pattern, b: &Pattern| a.matches_once(Compare::Exact, b.text());
            is_everybody(glob.text()) && (one_in_the_other(glob, entry) || one_in_the_other(entry, glob))
        };
        let has = |role: &str| caller.roles.iter().any(|one| one.value == role);
        self.file.rules.iter().any(|rule| {
            let about = rule.when.roles.as_ref().is_none_or(|roles| roles.iter().any(|role| has(&role.value)));
            let whole = rule.when.callers.as_ref().is_none_or(|globs| globs.iter().any(|glob| covers(&glob.value)));
            about && whole && self.writes_to(rule).next().is_some()
        })
    }
}

fn same_user_writes(written: &Written<'_>) -> Vec<(Pos, String)> {
    let node = written.fields.get("same_user_writes").filter(|_| written.file.settings.same_user_writes);
    node.map(|node| (node.at, String::new())).into_iter().collect()
}

fn anonymous(written: &Written<'_>) -> Vec<(Pos, String)> {
    written.names("callers").filter(|(_, name)| name.starts_with("anonymous:")).collect()
}

fn mocked(written: &Written<'_>) -> Vec<(Pos, String)> {
    let mock = |name: &String| written.file.systems.get(name).is_some_and(|system| system.mode == Mode::Mock);
    written.names("systems").filter(|(_, name)| mock(name)).collect()
}

fn unapproved(written: &Written<'_>) -> Vec<(Pos, String)> {
    let real = |system: &str| !is_local(system) && written.file.systems.get(system).is_some_and(|system| system.mode == Mode::ApprovalRequiredWrite);
    let rules = written.file.rules.iter().filter(|rule| rule.approvals == Some(RuleApprovals::Count(0)));
    rules.filter(|rule| written.writes_to(rule).any(real)).map(|rule| (rule.at, rule.id.clone())).collect()
}

fn everybody(written: &Written<'_>) -> Vec<(Pos, String)> {
    let all = written.file.callers.iter().filter(|caller| is_everybody(caller.pattern.value.text()) && written.may_write(caller));
    all.map(|caller| (caller.pattern.at, caller.pattern.value.text().to_owned())).collect()
}

/// Whether a glob for callers is about all of an issuer: nothing but wildcards follows it.
fn is_everybody(text: &str) -> bool {
    let name = text.split_once(':').map_or(text, |(_, name)| name.rsplit_once('|').map_or(name, |(_, subject)| subject));
    let name = name.trim_start_matches("uid=");
    !name.is_empty() && name.chars().all(|c| matches!(c, '*' | '?'))
}
