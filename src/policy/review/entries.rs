//! Rules and the other entries of two policies, compared as data: a sample can be missed, and a line of the file cannot.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::super::compile::Core;
use super::super::decision::Quorum;
use super::super::model::Effect;
use super::instances::instances;
use super::said::{Place, Policy, Said};
use super::weaker::fits;

/// What is compared entry by entry: the section, and the settings of an entry that belong here.
pub(in super::super) const LISTS: &[(&str, &str)] = &[
    ("rules", "rules.*.**"),
    ("repositories", "repositories.*.**"),
    ("callers", "callers.*.**"),
    ("namespaces", "namespaces.*.**"),
    ("environments", "environments.*.aliases"),
    ("environments", "environments.*.match.**"),
    ("systems", "systems.*.lists.**"),
];

/// What one entry of a section is called.
const ONE: &[(&str, &str)] = &[
    ("rules", "rule"),
    ("repositories", "repository"),
    ("callers", "caller"),
    ("namespaces", "namespace"),
    ("environments", "environment"),
    ("systems", "system"),
];

/// Whether the setting is one of an entry that is compared here.
pub(super) fn is_in_a_list(place: &Place) -> bool {
    LISTS.iter().any(|(_, pattern)| fits(pattern, place))
}

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Became {
    /// It came.
    Added,
    /// It went.
    Removed,
    /// It says something else.
    Changed,
}

/// A rule or another entry that differs, whether or not any call is decided otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// `rules`, `repositories`, `callers`, `namespaces`, `environments` or `systems`.
    pub section: &'static str,
    /// The rule's id, or the entry's glob or name.
    pub name: String,
    /// What became of it.
    pub became: Became,
    /// Whether more may be permitted by it than was. `false` is sure as far as this entry goes; `true` is not.
    pub may_be_wider: bool,
    /// What it says otherwise.
    pub keys: Vec<Key>,
}

/// One key of an entry that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Key {
    /// The key: `paths`, `refs.deny`.
    pub key: String,
    /// What the list had and has not.
    pub went: Vec<String>,
    /// What the list has and had not.
    pub came: Vec<String>,
    /// What it said, where it is no list.
    pub old: Option<String>,
    /// What it says, where it is no list.
    pub new: Option<String>,
    /// Where one policy does not have the key at all: `old` or `new`. A rule without a condition is about anything.
    pub missing_in: Option<&'static str>,
    /// Whether this may be what makes the entry wider.
    pub may_be_wider: bool,
}

/// What a rule or another entry says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Says {
    /// As in [`Entry`].
    pub section: &'static str,
    /// As in [`Entry`].
    pub name: String,
    /// What it says, by key; what is no list is one word.
    pub keys: BTreeMap<String, Vec<String>>,
}

/// Everything that the entries of a policy say.
pub(super) fn all(policy: &Policy) -> Vec<Says> {
    let words = |said: &Said| if let Said::Set(set) = said { set.iter().cloned().collect() } else { vec![said.text()] };
    let says = |((section, name), keys): ((usize, &str), Keys<'_>)| {
        let (section, _) = LISTS.get(section)?;
        Some(Says { section, name: name.to_owned(), keys: keys.into_iter().map(|(key, said)| (key, words(said))).collect() })
    };
    entries(policy).into_iter().filter_map(says).collect()
}

/// A list that is longer is one glob a line, where lines are compared.
const MOST_IN_A_LINE: usize = 6;

impl Says {
    /// In a line.
    #[must_use]
    pub fn sentence(&self) -> String {
        let said: Vec<String> = self.said().into_iter().map(|(key, words)| format!("{key}{}", words.join(", "))).collect();
        format!("{} `{}`: {}", one_of(self.section), self.name, said.join("; "))
    }

    /// As an item of a Markdown list; each glob of a long list is a line of its own, so that the one which differs is seen.
    #[must_use]
    pub fn item(&self) -> String {
        let (long, short): (Vec<_>, Vec<_>) = self.said().into_iter().partition(|(_, words)| words.len() > MOST_IN_A_LINE);
        let short: Vec<String> = short.into_iter().map(|(key, words)| format!("{key}{}", words.join(", "))).collect();
        let first = format!("- {} `{}`: {}", one_of(self.section), self.name, short.join("; "));
        let mut item = format!("{}\n", first.trim_end());
        for (key, words) in long {
            words.iter().for_each(|word| item += &format!("  - {key}{word}\n"));
        }
        item
    }

    /// What it does, what it is about, and why: each key as it begins, with its words.
    fn said(&self) -> Vec<(String, Vec<String>)> {
        let is_usual = |key: &str, words: &[String]| key == "mode" && words.iter().all(|word| word == "enforce");
        let mut keys: Vec<_> = self.keys.iter().filter(|(key, words)| !is_usual(key, words)).collect();
        keys.sort_by_key(|(key, _)| (*key != "effect", *key == "because"));
        let said = |(key, words): (&String, &Vec<String>)| match key.as_str() {
            "effect" => (String::new(), words.clone()),
            "because" => ("because ".to_owned(), words.clone()),
            _ if words.is_empty() => (format!("{key} none"), Vec::new()),
            _ => (format!("{key} "), words.iter().map(|word| format!("`{word}`")).collect()),
        };
        keys.into_iter().map(said).collect()
    }
}

fn one_of(section: &'static str) -> &'static str {
    ONE.iter().find(|(many, _)| *many == section).map_or(section, |(_, one)| one)
}

/// One entry's settings, by key.
type Keys<'p> = BTreeMap<String, &'p Said>;

fn entries(policy: &Policy) -> BTreeMap<(usize, &str), Keys<'_>> {
    let mut all: BTreeMap<(usize, &str), Keys<'_>> = BTreeMap::new();
    for (place, said) in policy.iter().filter(|(place, _)| is_in_a_list(place)) {
        if let [section, name, rest @ ..] = place.as_slice() {
            let section = LISTS.iter().position(|(one, _)| one == section).unwrap_or(LISTS.len());
            all.entry((section, name)).or_default().insert(rest.join("."), said);
        }
    }
    all
}

/// The entries that differ: those that may be wider first, rules before the rest.
pub(super) fn changed(cores: [&Core; 2], said: [&Policy; 2]) -> Vec<Entry> {
    let [old, new] = said.map(entries);
    let names: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let none = Keys::new();
    let mut changed = Vec::new();
    for name in names {
        let (before, after) = (old.get(name), new.get(name));
        let became = match (before, after) {
            (None, _) => Became::Added,
            (_, None) => Became::Removed,
            _ => Became::Changed,
        };
        let (before, after) = (before.unwrap_or(&none), after.unwrap_or(&none));
        let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        let Some((section, _)) = LISTS.get(name.0) else { continue };
        let judge = Judge { section, name: name.1, became, cores, before, after };
        let keys: Vec<Key> = keys
            .into_iter()
            .filter(|key| before.get(*key) != after.get(*key))
            .map(|key| Key::of(key, before.get(key).copied(), after.get(key).copied(), judge.may_be_wider(key)))
            .collect();
        if keys.is_empty() {
            continue;
        }
        let may_be_wider = keys.iter().any(|key| key.may_be_wider);
        changed.push(Entry { section, name: name.1.to_owned(), became, may_be_wider, keys });
    }
    changed.sort_by_key(|entry| !entry.may_be_wider);
    changed
}

impl Key {
    fn of(key: &str, before: Option<&Said>, after: Option<&Said>, may_be_wider: bool) -> Self {
        let list = |said: Option<&Said>| if let Some(Said::Set(set)) = said { set.clone() } else { BTreeSet::new() };
        let (had, has) = (list(before), list(after));
        let word = |said: Option<&Said>| said.filter(|said| !matches!(said, Said::Set(_))).map(Said::text);
        let missing_in = match (before, after) {
            (None, _) => Some("old"),
            (_, None) => Some("new"),
            _ => None,
        };
        Self {
            key: key.to_owned(),
            went: had.difference(&has).cloned().collect(),
            came: has.difference(&had).cloned().collect(),
            old: word(before),
            new: word(after),
            missing_in,
            may_be_wider,
        }
    }

    fn sentence(&self, became: Became) -> String {
        let globs = |list: &[String]| list.iter().map(|one| format!("`{one}`")).collect::<Vec<_>>().join(", ");
        let key = &self.key;
        let said = match (&self.old, &self.new) {
            (Some(old), Some(new)) => return format!("{key} `{old}` -> `{new}`"),
            (Some(one), None) | (None, Some(one)) => format!("`{one}`"),
            (None, None) => match (self.went.as_slice(), self.came.as_slice()) {
                ([], []) => "none".to_owned(),
                (list, []) | ([], list) if became != Became::Changed || self.missing_in.is_some() => globs(list),
                (went, []) => format!("went {}", globs(went)),
                ([], came) => format!("came {}", globs(came)),
                (went, came) => format!("went {}, came {}", globs(went), globs(came)),
            },
        };
        match (became, self.missing_in) {
            (Became::Changed, Some("old")) => format!("{key} {said} (before: not said)"),
            (Became::Changed, Some(_)) => format!("{key} {said} (now: not said)"),
            _ => format!("{key} {said}"),
        }
    }
}

impl Entry {
    /// In a line.
    #[must_use]
    pub fn sentence(&self) -> String {
        let became = match self.became {
            Became::Added => "added",
            Became::Removed => "removed",
            Became::Changed => "changed",
        };
        let wider = if self.may_be_wider { ", may be wider" } else { "" };
        // An enforced rule is the usual one, and what it does is said first.
        let is_usual = |key: &&Key| {
            self.became == Became::Changed || !(key.key == "mode" && [&key.old, &key.new].into_iter().flatten().any(|mode| mode == "enforce"))
        };
        let mut keys: Vec<&Key> = self.keys.iter().filter(is_usual).collect();
        keys.sort_by_key(|key| (key.key != "effect", !key.may_be_wider, key.key == "because"));
        let keys: Vec<String> = keys.into_iter().map(|key| key.sentence(self.became)).collect();
        format!("{} `{}` {became}{wider}: {}", one_of(self.section), self.name, keys.join("; "))
    }
}

/// What is known about an entry when one of its keys is judged.
struct Judge<'p> {
    section: &'static str,
    name: &'p str,
    became: Became,
    cores: [&'p Core; 2],
    before: &'p Keys<'p>,
    after: &'p Keys<'p>,
}

/// What the lists of two policies are to each other.
struct Lists {
    came: bool,
    went: bool,
    opened: bool,
    closed: bool,
}

impl Judge<'_> {
    /// Whether that key may permit more than it did. Where it is not known, it may.
    fn may_be_wider(&self, key: &str) -> bool {
        let lists = self.lists(key);
        match (self.section, key) {
            ("rules", _) => self.rule(key, &lists),
            ("repositories", "write") => self.word(self.after, key) != "false",
            // The closest entry's list counts, so one that comes may stand for a shorter one.
            ("repositories", _) if key.ends_with(".allow") => lists.came || lists.opened || lists.closed,
            ("repositories", _) => lists.went || lists.opened,
            // Whom an entry stops naming may be named by another.
            ("callers", _) if self.became == Became::Removed => {
                let [_, new] = self.cores;
                instances(self.name).iter().any(|id| new.profile(id).is_some())
            }
            ("callers", "roles") => self.became == Became::Added || lists.came || (lists.went && self.denied_by_role()),
            ("namespaces", _) => {
                let tier = |keys| ["forbidden", "read_only", "approval"].iter().position(|tier| *tier == self.word(keys, key));
                match self.became {
                    Became::Removed => tier(self.before) < Some(2),
                    _ => tier(self.after) > tier(self.before).or(Some(0)),
                }
            }
            ("environments", _) => lists.went || (lists.came && self.allowed_by_environment()),
            ("systems", _) => lists.came || lists.opened,
            _ => true,
        }
    }

    fn rule(&self, key: &str, lists: &Lists) -> bool {
        let did = |keys: &Keys<'_>, effect: &str| self.word(keys, "effect") == effect && self.word(keys, "mode") == "enforce";
        let (denied, denies) = (did(self.before, "deny"), did(self.after, "deny"));
        let (allowed, allows) = (did(self.before, "allow"), did(self.after, "allow"));
        match key {
            "because" => false,
            "effect" | "mode" => (denied && !denies) || (allows && !allowed),
            _ if self.became != Became::Changed => false,
            "approvals" => allows && allowed && self.fewer_approvals(),
            _ if key.starts_with("approvals.") => allows && allowed && self.fewer_approvals(),
            _ => (allows && allowed && (lists.came || lists.opened)) || (denied && denies && (lists.went || lists.closed)),
        }
    }

    fn lists(&self, key: &str) -> Lists {
        let set = |keys: &Keys<'_>| match keys.get(key) {
            Some(Said::Set(set)) => Some(set.clone()),
            _ => None,
        };
        let (before, after) = (set(self.before), set(self.after));
        let (opened, closed) = (before.is_some() && after.is_none(), before.is_none() && after.is_some());
        let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
        let (came, went) = (!after.is_subset(&before), !before.is_subset(&after));
        // A condition of a rule that is not there at all holds for everything: a list that comes takes away from that.
        let is_condition = self.section == "rules";
        Lists { came: came && !(is_condition && closed), went: went && !(is_condition && opened), opened, closed }
    }

    fn word(&self, keys: &Keys<'_>, key: &str) -> String {
        keys.get(key).map(|said| said.text()).unwrap_or_default()
    }

    fn fewer_approvals(&self) -> bool {
        let asked =
            self.cores.map(|core| core.rules.iter().find(|rule| rule.rule.id == self.name).map(|rule| rule.quorums.as_slice()).unwrap_or_default());
        let [before, after] = asked;
        before.iter().any(|old| !after.iter().any(|new| is_as_strict(new, old)))
    }

    fn denied_by_role(&self) -> bool {
        let [_, new] = self.cores;
        new.rules.iter().any(|rule| rule.rule.effect == Effect::Deny && rule.rule.when.roles.is_some())
    }

    fn allowed_by_environment(&self) -> bool {
        let [_, new] = self.cores;
        new.rules.iter().any(|rule| rule.rule.effect == Effect::Allow && rule.rule.when.environments.is_some())
    }
}

/// Whether so many approvals are at least as many.
fn is_as_strict(new: &Quorum, old: &Quorum) -> bool {
    new.count >= old.count && (old.group.is_none() || new.group == old.group)
}
