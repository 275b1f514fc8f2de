//! Tree → model. Goes on after an error, so that a writer sees all of them at once.

mod cases;
pub(super) mod commands;
pub(super) mod keys;
mod people;
mod places;
pub(super) mod production;
pub(super) mod quantity;
mod rules;
pub(super) mod settings;
mod value;

pub(super) use rules::said;

use super::catalogue::Catalogue;
use std::collections::BTreeSet;

use super::diagnostics::{Finding, MOST, Pos, Source, Warning, did_you_mean};
use super::model::{File, Pii};
use super::yaml::{Node, Value};

/// The keys of a policy file.
pub(super) const KEYS: &[&str] = &[
    "version",
    "write_mode",
    "automation",
    "defaults",
    "people",
    "groups",
    "callers",
    "systems",
    "repositories",
    "same_user_writes",
    "namespaces",
    "environments",
    "rules",
    "approvals",
    "risk",
    "limits",
    "budgets",
    "scrub",
    "audit",
    "language",
    "profile",
];

/// A key, whether a file says there what this version does not act on, and the warning that it then gets.
type NotYet = (&'static str, fn(&File, &Catalogue) -> bool, &'static str);

/// What this version reads and does not act on yet, so that nobody relies on it. A line goes when its room is built.
const NOT_YET: &[NotYet] = &[
    ("scrub", |file, _| file.settings.scrub.pii == Pii::Redact, "`pii: redact` is read, but this version does not look for personal data"),
    (
        "environments",
        |file, _| file.environments.iter().any(|one| one.mfa),
        "`mfa` is asked of the approval, and this version cannot give one: such writes are refused",
    ),
    (
        "rules",
        super::review::asks_for_approvals,
        "a rule asks for approvals, and this version cannot collect any: such writes are refused; `approvals: 0` asks for none",
    ),
];

/// Reads the tree of a policy, gathering what is wrong with it.
pub(super) struct Reader<'a> {
    source: Source<'a>,
    pub(super) catalogue: &'a Catalogue,
    /// What searching for the globs read so far costs.
    searched: usize,
    /// The roles that callers have.
    roles: BTreeSet<String>,
    pub(super) errors: Vec<Finding>,
    pub(super) warnings: Vec<Warning>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(source: Source<'a>, catalogue: &'a Catalogue) -> Self {
        Self { source, catalogue, searched: 0, roles: BTreeSet::new(), errors: Vec::new(), warnings: Vec::new() }
    }

    pub(super) fn error(&mut self, at: Pos, message: impl Into<String>, help: impl Into<Option<String>>) {
        if self.errors.len() < MOST {
            let finding = Finding::new(self.source, at, message, help.into());
            // `each` reads one place many times.
            if self.errors.last() != Some(&finding) {
                self.errors.push(finding);
            }
        }
    }

    /// The help that goes with a wrong name; none where no more errors are told, since looking is work.
    fn did_you_mean<'n>(&self, wrong: &str, names: impl IntoIterator<Item = &'n str> + Clone) -> Option<String> {
        if self.errors.len() < MOST { did_you_mean(wrong, names) } else { None }
    }

    pub(super) fn warn(&mut self, at: Pos, message: impl Into<String>, help: impl Into<Option<String>>) {
        if self.warnings.len() < MOST {
            self.warnings.push(Warning::new(Finding::new(self.source, at, message, help.into())));
        }
    }

    /// The whole file. What is wrong is in `errors`, and the model is then not to be used.
    pub(super) fn file(&mut self, root: &Node) -> File {
        let mut file = File::default();
        match &root.value {
            Value::Null => return self.nothing(root, file),
            Value::Map(entries) if entries.is_empty() => return self.nothing(root, file),
            Value::Map(_) => {}
            other => {
                self.error(root.at, format!("a policy is a mapping, and this is {}", other.kind()), "begin with `version: 1`".to_owned());
                return file;
            }
        }
        let fields = self.fields(root, "a policy", KEYS);
        match fields.get("version").map(|node| (node.at, &node.value)) {
            Some((_, Value::Int(1))) => {}
            Some((at, _)) => self.error(at, "this is no version that opsgate reads", "write `version: 1`".to_owned()),
            None => self.error(
                Pos { line: 1, column: 1, length: 1 },
                "the policy does not say its `version`",
                "write `version: 1` on its first line".to_owned(),
            ),
        }
        file.write_mode = fields.get("write_mode").is_some_and(|node| self.switch(node, "write_mode"));
        file.automation = fields.get("automation").is_some_and(|node| self.switch(node, "automation"));
        file.defaults = fields.get("defaults").map(|node| self.defaults(node)).unwrap_or_default();
        file.people = fields.get("people").map(|node| self.people(node)).unwrap_or_default();
        file.groups = fields.get("groups").map(|node| self.groups(node, &file.people)).unwrap_or_default();
        file.callers = fields.get("callers").map(|node| self.callers(node, &file)).unwrap_or_default();
        file.limits = fields.get("limits").map(|node| self.limits(node)).unwrap_or_default();
        file.systems = fields.get("systems").map(|node| self.systems(node, file.limits.max_timeout)).unwrap_or_default();
        file.repositories = fields.get("repositories").map(|node| self.repositories(node)).unwrap_or_default();
        file.namespaces = fields.get("namespaces").map(|node| self.namespaces(node)).unwrap_or_default();
        file.environments = fields.get("environments").map(|node| self.environments(node, &file.groups)).unwrap_or_default();
        file.approvals = fields.get("approvals").map(|node| self.approvals(node, &file.groups)).unwrap_or_default();
        file.rules = fields.get("rules").map(|node| self.rules(node, &file)).unwrap_or_default();
        file.settings = self.settings(&fields, &mut file);
        self.production(&fields, &file);
        for (key, says, sentence) in NOT_YET {
            if let Some(key) = fields.key(key).filter(|_| says(&file, self.catalogue)) {
                self.warn(key.at, *sentence, None);
            }
        }
        if self.errors.is_empty() {
            super::review::review(self, root, &file);
        }
        file
    }

    fn nothing(&mut self, root: &Node, file: File) -> File {
        self.warn(root.at, "the policy says nothing, so it refuses everything", None);
        file
    }
}
