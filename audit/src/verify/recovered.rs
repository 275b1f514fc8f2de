//! Entries that nothing had signed when their writer ended, as the next run's `log.recovered` announces them.

use serde::Deserialize;

use crate::entry::Entry;

use super::Report;

/// Ranges that a report names; all are counted.
const KEPT: usize = 1000;

/// What `log.recovered` says of them.
#[derive(Debug, Deserialize)]
struct Announced {
    unsigned_from: Option<u64>,
    unsigned_to: Option<u64>,
}

#[derive(Debug, Default)]
pub(super) struct Recovered {
    /// First and last entry of each range, in order and apart from each other.
    ranges: Vec<(u64, u64)>,
}

impl Recovered {
    /// Follows one entry.
    pub(super) fn entry(&mut self, entry: &Entry<'_>, found: &mut dyn FnMut(String)) {
        if entry.kind != "log.recovered" {
            return;
        }
        match serde_json::from_str(entry.data) {
            Ok(Announced { unsigned_from: None, unsigned_to: None }) => {}
            // It is the first entry of its run: they end right before it.
            Ok(Announced { unsigned_from: Some(from), unsigned_to: Some(to) }) if from <= to && to.checked_add(1) == Some(entry.seq) => {
                self.add(from, to);
            }
            _ => found("`unsigned_from` and `unsigned_to` are not the entries right before this one".to_owned()),
        }
    }

    /// A tail that nothing had signed may itself hold an announcement, a true one or a forged one: what overlaps counts once.
    fn add(&mut self, mut from: u64, to: u64) {
        while let Some((first, _)) = self.ranges.pop_if(|(_, last)| *last >= from) {
            from = from.min(first);
        }
        self.ranges.push((from, to));
    }

    pub(super) fn finish(mut self, report: &mut Report) {
        report.unsigned = self.ranges.iter().fold(0_u64, |sum, (from, to)| sum.saturating_add(to - from + 1));
        self.ranges.truncate(KEPT);
        report.unsigned_ranges = self.ranges;
    }
}
