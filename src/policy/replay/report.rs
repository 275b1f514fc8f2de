//! What a replay found: counts for all, and one group for all calls that changed alike.

use std::collections::{BTreeMap, BTreeSet};

use opsgate_audit::Code;
use opsgate_audit::verify::Report;
use serde::Serialize;

use super::record::{Judged, Outcome};

/// The most groups that are kept: a log with a caller for each call must not fill the memory.
const MOST_GROUPS: usize = 10_000;
/// The most absent policies that are named.
const MOST_ABSENT: usize = 100;

/// How recorded calls would be decided.
#[derive(Debug, Default, Serialize)]
pub struct ReplayReport {
    /// Records of calls: intents and refusals.
    pub records: u64,
    /// Decided alike: the same answer, the same approvals, and what runs as real as it was.
    pub same: u64,
    /// Of those, the ones that are now denied or permitted by another rule.
    pub other_grounds: u64,
    /// Decided otherwise.
    pub changed: u64,
    /// Of those, the ones that a wider permission gave.
    pub wider: u64,
    /// Permitted alike, where the answer would hide other paths.
    pub other_filters: OtherFilters,
    /// Why calls cannot be decided again.
    pub undecidable: BTreeMap<String, Tally>,
    /// Refusals that were made before policy was asked, by their code.
    pub not_judged: BTreeMap<String, Tally>,
    /// What changed: wider permissions first, then the most calls.
    pub changes: Vec<Redecided>,
    /// Changed calls beyond the groups that are kept.
    pub changes_left_out: u64,
    /// Tools that were hidden from a caller and would be listed.
    pub would_be_shown: Vec<Hidden>,
    /// The hashes of policies that are needed and not there, the first hundred.
    pub absent_policies: BTreeSet<String>,
    /// What was read.
    pub log: LogState,
    #[serde(skip)]
    groups: BTreeMap<Key, Tally>,
    #[serde(skip)]
    shown: BTreeMap<(String, String), Tally>,
}

/// Calls that are permitted as they were, and whose answers are filtered by other path globs.
#[derive(Debug, Default, Serialize)]
pub struct OtherFilters {
    /// Those that may show more: a denial's glob went, or a list of what may be shown has more.
    pub wider: BTreeMap<String, Tally>,
    /// The rest, by caller and tool as those.
    pub other: BTreeMap<String, Tally>,
    /// All of them.
    pub calls: u64,
}

/// How many, and the request id of one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// The first one's request id.
    pub example: String,
}

/// Calls of one caller and tool that changed alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Redecided {
    /// Whether more is permitted than was.
    pub wider: bool,
    /// Who called.
    pub caller: String,
    /// Which tool.
    pub tool: String,
    /// The recorded decision, its code and rules.
    pub was: String,
    /// What it would be.
    pub would_be: String,
    /// How many calls, and one of them.
    #[serde(flatten)]
    pub calls: Tally,
}

/// A tool that was hidden from a caller who asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hidden {
    /// Who called.
    pub caller: String,
    /// Which tool.
    pub tool: String,
    /// How many calls, and one of them.
    #[serde(flatten)]
    pub calls: Tally,
}

/// What was read of the log, and whether its chain holds.
#[derive(Debug, Default, Serialize)]
pub struct LogState {
    /// Entries read.
    pub entries: u64,
    /// Whether the log is whole, unchanged and in order, as far as it is here; a torn last line aside.
    pub verified: bool,
    /// Whether its last line has no end, as in a log that is being written.
    pub torn: bool,
    /// The public key that it was signed with, hex.
    pub public_key: Option<String>,
    /// Whether that is the home's own key, where both are known.
    pub of_this_home: Option<bool>,
    /// The first thing that is wrong with it.
    pub first_finding: Option<String>,
}

/// Narrower is `false`, so that wider ones come last in order and first in reverse.
type Key = (bool, String, String, String, String);

impl ReplayReport {
    /// Whether every call that policy decided could be decided again, came out as it was, and the log holds.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.changed == 0 && self.other_filters.calls == 0 && self.undecidable.is_empty() && self.log.verified
    }

    /// How many calls cannot be decided again.
    #[must_use]
    pub fn undecidable_calls(&self) -> u64 {
        self.undecidable.values().map(|tally| tally.count).sum()
    }

    pub(super) fn undecidable(&mut self, why: &str, id: &str) {
        self.undecidable.entry(why.to_owned()).or_default().add(id);
    }

    pub(super) fn not_judged(&mut self, code: &str, id: &str) {
        let code = if self.not_judged.len() < MOST_ABSENT || self.not_judged.contains_key(code) { code } else { "others" };
        self.not_judged.entry(code.to_owned()).or_default().add(id);
    }

    pub(super) fn absent(&mut self, hash: &str) {
        if self.absent_policies.len() < MOST_ABSENT {
            self.absent_policies.insert(hash.to_owned());
        }
    }

    pub(super) fn would_be_shown(&mut self, caller: &str, tool: &str, id: &str) {
        let key = (caller.to_owned(), tool.to_owned());
        if self.shown.len() < MOST_GROUPS || self.shown.contains_key(&key) {
            self.shown.entry(key).or_default().add(id);
        }
    }

    pub(super) fn changed(&mut self, judged: &Judged, would: &Outcome, id: &str) {
        let wider = would.is_wider_than(&judged.was);
        self.changed += 1;
        self.wider += u64::from(wider);
        let key = (wider, judged.asked.caller.clone(), judged.asked.tool.clone(), judged.was.in_words(), would.in_words());
        if self.groups.len() < MOST_GROUPS || self.groups.contains_key(&key) {
            self.groups.entry(key).or_default().add(id);
        } else {
            self.changes_left_out += 1;
        }
    }

    pub(super) fn other_filter(&mut self, judged: &Judged, wider: bool, id: &str) {
        let filters = &mut self.other_filters;
        filters.calls += 1;
        let groups = if wider { &mut filters.wider } else { &mut filters.other };
        let key = format!("{} {}", judged.asked.caller, judged.asked.tool);
        let key = if groups.len() < MOST_GROUPS || groups.contains_key(&key) { key } else { "others".to_owned() };
        groups.entry(key).or_default().add(id);
    }

    pub(super) fn finish(&mut self, checked: &Report, home_key: Option<&str>) {
        let groups = std::mem::take(&mut self.groups).into_iter();
        self.changes = groups.map(|((wider, caller, tool, was, would_be), calls)| Redecided { wider, caller, tool, was, would_be, calls }).collect();
        self.changes.sort_by_key(|change| (!change.wider, std::cmp::Reverse(change.calls.count)));
        let shown = std::mem::take(&mut self.shown).into_iter();
        self.would_be_shown = shown.map(|((caller, tool), calls)| Hidden { caller, tool, calls }).collect();
        let torn = checked.findings.iter().filter(|finding| finding.code == Code::TornLine).count() as u64;
        let wrong = checked.findings.iter().find(|finding| finding.code != Code::TornLine);
        self.log = LogState {
            entries: checked.entries,
            verified: checked.total_findings == torn,
            torn: torn > 0,
            public_key: checked.public_key.clone(),
            of_this_home: checked.public_key.as_deref().zip(home_key).map(|(key, own)| key == own),
            first_finding: wrong.map(|finding| format!("{} line {}: {}", finding.file, finding.line, finding.what)),
        };
    }
}

impl Tally {
    fn add(&mut self, id: &str) {
        if self.count == 0 {
            id.clone_into(&mut self.example);
        }
        self.count += 1;
    }
}
