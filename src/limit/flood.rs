//! Refusals for rate are counted and sampled into the log, so that a flood cannot fill the disk.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One record at most in this while, per caller.
const WINDOW: Duration = Duration::from_secs(10);
/// Callers remembered at once.
const MOST_CALLERS: usize = 10_000;

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

/// Refusals for rate, by caller.
#[derive(Default)]
pub struct Flood {
    callers: Mutex<HashMap<Arc<str>, (Instant, u64)>>,
}

impl Flood {
    /// Counts a refusal and says whether it is recorded.
    pub fn sample(&self, caller: &Arc<str>) -> Sampled {
        self.sample_at(caller, Instant::now())
    }

    fn sample_at(&self, caller: &Arc<str>, now: Instant) -> Sampled {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((last, unrecorded)) = callers.get_mut(caller) {
            if now.duration_since(*last) < WINDOW {
                *unrecorded += 1;
                return Sampled::Skip(Skipped(()));
            }
            *last = now;
            return Sampled::Record { unrecorded: std::mem::take(unrecorded) };
        }
        // Bounded: where too many are remembered, one more is recorded each time instead.
        if callers.len() < MOST_CALLERS {
            callers.insert(caller.clone(), (now, 0));
        }
        Sampled::Record { unrecorded: 0 }
    }

    /// The counts that no record carries yet and whose window is over, or all of them. Each is due a record of its own.
    pub fn due(&self, all: bool) -> Vec<(Arc<str>, u64)> {
        self.due_at(all, Instant::now())
    }

    fn due_at(&self, all: bool, now: Instant) -> Vec<(Arc<str>, u64)> {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = Vec::new();
        callers.retain(|caller, (last, unrecorded)| {
            if !all && now.duration_since(*last) < WINDOW {
                return true;
            }
            if *unrecorded > 0 {
                due.push((caller.clone(), *unrecorded));
            }
            false
        });
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_record_a_window_that_counts_the_rest() {
        let (flood, caller, start) = (Flood::default(), "key:a".into(), Instant::now());
        assert!(matches!(flood.sample_at(&caller, start), Sampled::Record { unrecorded: 0 }));
        for _ in 0..5 {
            assert!(matches!(flood.sample_at(&caller, start), Sampled::Skip(_)));
        }
        assert!(matches!(flood.sample_at(&"key:b".into(), start), Sampled::Record { unrecorded: 0 }));
        assert!(matches!(flood.sample_at(&caller, start + WINDOW), Sampled::Record { unrecorded: 5 }));
        assert!(matches!(flood.sample_at(&caller, start + WINDOW), Sampled::Skip(_)));
    }

    #[test]
    fn what_no_later_refusal_records_is_due_when_its_window_is_over() {
        let (flood, caller, start) = (Flood::default(), "key:a".into(), Instant::now());
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
