//! Refusals for rate are counted and sampled into the log, so that a flood cannot fill the disk.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::Code;

/// One record at most in this while, per kind.
const WINDOW: Duration = Duration::from_secs(10);
/// Kinds remembered at once.
const MOST_KINDS: usize = 10_000;

/// What to do with one more refusal for rate.
#[derive(Debug)]
pub enum Sampled {
    /// Record it, saying how many went unrecorded since the last record.
    Record {
        /// Refusals since the last record that have none of their own.
        unrecorded: u64,
    },
    /// It is in the count that the next record carries.
    Skip(Skipped),
}

/// The proof that a refusal is in the count of a later record ([`Flood::due`] sees to it); a reply without a record of its own needs it.
#[derive(Debug)]
pub struct Skipped(());

/// Whose refusals, with which code, of which tool, under which policy: what one count is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Kind {
    /// The caller's id.
    pub caller: Arc<str>,
    /// Why they were refused.
    pub code: Code,
    /// The tool, one of ours or `unknown`: a flood of names is one kind.
    pub tool: &'static str,
    /// The hash of the policy they were refused under.
    pub policy: Arc<str>,
}

/// Refusals for rate, by kind.
#[derive(Default)]
pub struct Flood {
    kinds: Mutex<HashMap<Kind, (Instant, u64)>>,
}

impl Flood {
    /// Counts a refusal and says whether it is recorded.
    pub fn sample(&self, kind: &Kind) -> Sampled {
        self.sample_at(kind, Instant::now())
    }

    fn sample_at(&self, kind: &Kind, now: Instant) -> Sampled {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((last, unrecorded)) = kinds.get_mut(kind) {
            if now.duration_since(*last) < WINDOW {
                *unrecorded += 1;
                return Sampled::Skip(Skipped(()));
            }
            *last = now;
            return Sampled::Record { unrecorded: std::mem::take(unrecorded) };
        }
        // Bounded: where too many are remembered, one more is recorded each time instead.
        if kinds.len() < MOST_KINDS {
            kinds.insert(kind.clone(), (now, 0));
        }
        Sampled::Record { unrecorded: 0 }
    }

    /// The counts that no record carries yet and whose window is over, or all of them. Each is due a record of its own.
    pub fn due(&self, all: bool) -> Vec<(Kind, u64)> {
        self.due_at(all, Instant::now())
    }

    fn due_at(&self, all: bool, now: Instant) -> Vec<(Kind, u64)> {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = Vec::new();
        kinds.retain(|kind, (last, unrecorded)| {
            if !all && now.duration_since(*last) < WINDOW {
                return true;
            }
            if *unrecorded > 0 {
                due.push((kind.clone(), *unrecorded));
            }
            false
        });
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(caller: &str) -> Kind {
        Kind { caller: caller.into(), code: Code::RateLimited, tool: "unknown", policy: "sha256:0".into() }
    }

    #[test]
    fn one_record_a_window_that_counts_the_rest() {
        let (flood, caller, start) = (Flood::default(), kind("key:a"), Instant::now());
        assert!(matches!(flood.sample_at(&caller, start), Sampled::Record { unrecorded: 0 }));
        for _ in 0..5 {
            assert!(matches!(flood.sample_at(&caller, start), Sampled::Skip(_)));
        }
        assert!(matches!(flood.sample_at(&kind("key:b"), start), Sampled::Record { unrecorded: 0 }));
        assert!(matches!(flood.sample_at(&caller, start + WINDOW), Sampled::Record { unrecorded: 5 }));
        assert!(matches!(flood.sample_at(&caller, start + WINDOW), Sampled::Skip(_)));
    }

    #[test]
    fn what_no_later_refusal_records_is_due_when_its_window_is_over() {
        let (flood, caller, start) = (Flood::default(), kind("key:a"), Instant::now());
        for _ in 0..4 {
            flood.sample_at(&caller, start);
        }
        assert!(flood.due_at(false, start).is_empty());
        assert_eq!(flood.due_at(false, start + WINDOW), [(caller.clone(), 3)]);
        flood.sample_at(&caller, start);
        flood.sample_at(&caller, start);
        assert_eq!(flood.due_at(true, start), [(caller, 1)]);
        assert!(flood.due_at(true, start).is_empty());
    }
}
