//! Budgets: how many calls and bytes a caller has each day, kept across restarts.
//!
//! What is used is counted in memory; the file says what is *reserved*, which is always as much or more. A block is
//! reserved before anything of it is used, so a crash never gives budget back, and costs at most a block of each. A gateway that
//! closes writes the exact numbers. Bytes are reserved for the longest answer before a call runs and counted as they are returned.
//! A caller whose running calls could use up what is left waits for them: a budget of bytes is overshot by less than one longest
//! answer, however many calls run at once. A call that runs alone is admitted while anything is left.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::budget_file::{self, Damaged, Used};
use crate::error::{Code, Refusal};
use crate::policy::Budget;

/// A crash costs at most one part in so many of a budget.
const BLOCKS: u64 = 20;
/// The most that is reserved at once, where a budget is large or has no bound.
const MOST: Used = Used { calls: 256, bytes: 64 << 20 };

/// What each caller used today. Nothing is read or written before a policy with budgets asks.
pub struct Budgets {
    file: PathBuf,
    day: Mutex<Option<Day>>,
}

/// One day (UTC). It only goes forward: a clock that is put back gives no fresh one.
pub(super) struct Day {
    pub(super) date: Date,
    pub(super) callers: HashMap<Arc<str>, Account>,
}

/// What one caller used, what its running calls may still return, and what the file says.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Account {
    pub(super) used: Used,
    held: u64,
    pub(super) reserved: Used,
}

/// One admitted call's part of a budget. What it does not spend is given back when it is dropped.
pub struct Charge {
    budgets: Arc<Budgets>,
    caller: Arc<str>,
    date: Date,
    longest: u64,
}

impl Charge {
    /// Counts what is returned.
    pub fn spend(&self, bytes: usize) {
        self.settle(|account| account.used.bytes = account.used.bytes.saturating_add((bytes as u64).min(self.longest)));
    }

    /// A call counts for the day on which it was admitted.
    fn settle(&self, with: impl FnOnce(&mut Account)) {
        let mut day = self.budgets.lock();
        if let Some(account) = day.as_mut().filter(|day| day.date == self.date).and_then(|day| day.callers.get_mut(&self.caller)) {
            with(account);
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.settle(|account| account.held = account.held.saturating_sub(self.longest));
    }
}

impl Budgets {
    /// Budgets kept in this file.
    #[must_use]
    pub fn new(file: PathBuf) -> Arc<Self> {
        Arc::new(Self { file, day: Mutex::default() })
    }

    /// Counts one call that may return as many bytes as `longest`; `None` where the policy sets no budget.
    ///
    /// # Errors
    /// [`Code::BudgetExhausted`] with the time until midnight (UTC); [`Code::Busy`] where what is left may go to the answers of calls
    /// that run; [`Code::Unavailable`] where the file cannot be read or written.
    // INVARIANT: a crash gives no budget back (test: a_crash_never_gives_budget_back), and neither does a clock (test:
    // a_new_day_is_fresh_and_an_old_one_is_not). Calls at once use no more than calls one by one (test:
    // calls_at_once_do_not_overshoot_together).
    pub fn admit(self: &Arc<Self>, caller: &Arc<str>, budget: Option<&Budget>, longest: u64) -> Result<Option<Charge>, Refusal> {
        match budget.filter(|budget| budget.calls.is_some() || budget.bytes.is_some()) {
            None => Ok(None),
            Some(budget) => self.admit_at(caller, *budget, longest, Timestamp::now()).map(Some),
        }
    }

    fn admit_at(self: &Arc<Self>, caller: &Arc<str>, budget: Budget, longest: u64, now: Timestamp) -> Result<Charge, Refusal> {
        let today = now.to_zoned(TimeZone::UTC).date();
        let mut day = self.lock();
        let day = match &mut *day {
            Some(day) => day,
            none => none.insert(blocking(|| budget_file::read(&self.file, today)).map_err(unkept)?),
        };
        if today > day.date {
            *day = Day { date: today, callers: HashMap::new() };
        }
        let mut account = day.callers.get(caller).copied().unwrap_or_default();
        within(&account, budget, day.date, now)?;
        account.used.calls += 1;
        account.held += longest;
        let bytes = account.used.bytes + account.held;
        if account.reserved.calls < account.used.calls || account.reserved.bytes < bytes {
            let block = |limit: Option<u64>, most: u64| limit.map_or(most, |limit| (limit / BLOCKS).min(most));
            if account.reserved.calls < account.used.calls {
                account.reserved.calls = account.used.calls + block(budget.calls, MOST.calls).saturating_sub(1);
            }
            if account.reserved.bytes < bytes {
                account.reserved.bytes = bytes + block(budget.bytes, MOST.bytes);
            }
            let before = day.callers.insert(caller.clone(), account);
            if let Err(error) = blocking(|| budget_file::write(&self.file, day)) {
                // What is not on disk is not used.
                match before {
                    Some(before) => day.callers.insert(caller.clone(), before),
                    None => day.callers.remove(caller),
                };
                return Err(unkept(error));
            }
        } else {
            day.callers.insert(caller.clone(), account);
        }
        Ok(Charge { budgets: self.clone(), caller: caller.clone(), date: day.date, longest })
    }

    /// Writes the exact numbers, where any were counted.
    ///
    /// # Errors
    /// Where the file cannot be written; it then says more than was used.
    pub fn close(&self) -> Result<(), Damaged> {
        let mut day = self.lock();
        let Some(day) = &mut *day else { return Ok(()) };
        for account in day.callers.values_mut() {
            account.reserved = Used { calls: account.used.calls, bytes: account.used.bytes + account.held };
        }
        budget_file::write(&self.file, day)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Day>> {
        self.day.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Account {
    /// An account of which only the file is known.
    pub(super) fn of(reserved: Used) -> Self {
        Self { used: reserved, held: 0, reserved }
    }
}

fn within(account: &Account, budget: Budget, date: Date, now: Timestamp) -> Result<(), Refusal> {
    let used_up = [("calls", account.used.calls, budget.calls), ("bytes", account.used.bytes, budget.bytes)];
    let Some((what, _, Some(limit))) = used_up.into_iter().find(|(_, used, limit)| limit.is_some_and(|limit| *used >= limit)) else {
        return room(account, budget);
    };
    let tomorrow = date.tomorrow().ok().and_then(|tomorrow| tomorrow.to_zoned(TimeZone::UTC).ok());
    let wait = tomorrow.and_then(|tomorrow| Duration::try_from(tomorrow.timestamp().duration_since(now)).ok()).unwrap_or(Duration::from_secs(86_400));
    let refusal = Refusal::new(Code::BudgetExhausted, format!("the `{limit}` {what} that you have each day are used up")).retry_after(wait);
    Err(Refusal { rule: Some(format!("budgets.per_caller_day.{what}").into()), ..refusal })
}

/// Whether anything is left besides what running calls may return. Where none runs, that is so.
fn room(account: &Account, budget: Budget) -> Result<(), Refusal> {
    let Some(limit) = budget.bytes.filter(|limit| account.used.bytes.saturating_add(account.held) >= *limit) else { return Ok(()) };
    let message = format!("the calls that you have running may use up what is left of the `{limit}` bytes that you have each day");
    let refusal = Refusal::new(Code::Busy, message).retry_after(Duration::from_secs(1));
    Err(Refusal { rule: Some("budgets.per_caller_day.bytes".into()), ..refusal })
}

/// INVARIANT: a budget that cannot be kept refuses (test: a_file_that_is_damaged_or_cannot_be_written_refuses).
fn unkept(error: Damaged) -> Refusal {
    let hint = "an operator must look at `budgets.json` in the gateway's home; taken away, it begins the day anew";
    let message = format!("the policy sets budgets, and they cannot be kept: {}", error.client());
    Refusal { detail: Some(error.to_string()), hint: Some(hint.into()), ..Refusal::new(Code::Unavailable, message) }
}

/// Rare work on a disk. Calls without a budget go on meanwhile; those with one wait for it, since nothing may be counted past what is
/// written down: once for each block, which is a twentieth of a budget or [`MOST`].
fn blocking<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LONGEST: u64 = 1000;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn budget(calls: u64, bytes: u64) -> Budget {
        Budget { calls: Some(calls), bytes: Some(bytes) }
    }

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("budgets.json");
        (folder, file)
    }

    /// One call that returns so many bytes.
    fn call(budgets: &Arc<Budgets>, caller: &str, budget: Budget, bytes: usize, now: &str) -> Result<(), Refusal> {
        budgets.admit_at(&caller.into(), budget, LONGEST, at(now)).map(|charge| charge.spend(bytes))
    }

    const NOON: &str = "2026-11-20T12:00:00Z";

    #[test]
    fn a_budget_is_used_up_by_calls_or_by_bytes() {
        let (_folder, file) = folder();
        let budgets = Budgets::new(file);
        for _ in 0..3 {
            call(&budgets, "key:a", budget(3, 10_000), 1, NOON).unwrap();
        }
        let refusal = call(&budgets, "key:a", budget(3, 10_000), 1, NOON).unwrap_err();
        assert_eq!((refusal.code, refusal.retry_after_s()), (Code::BudgetExhausted, Some(12 * 3600)));
        assert_eq!(refusal.rule.as_deref(), Some("budgets.per_caller_day.calls"));
        call(&budgets, "key:a", budget(4, 10_000), 1, NOON).unwrap(); // the limit is the policy's at the time
        call(&budgets, "key:b", budget(3, 10), 10, NOON).unwrap();
        assert_eq!(call(&budgets, "key:b", budget(3, 10), 1, NOON).unwrap_err().rule.as_deref(), Some("budgets.per_caller_day.bytes"));
    }

    #[test]
    fn calls_at_once_do_not_overshoot_together() {
        let (_folder, file) = folder();
        let (budgets, small) = (Budgets::new(file), budget(100, 2 * LONGEST));
        let admit = |caller: &str| budgets.admit_at(&caller.into(), small, LONGEST, at(NOON));
        let mut running = vec![admit("key:a").unwrap(), admit("key:a").unwrap()];
        let refusal = admit("key:a").err().unwrap();
        assert_eq!((refusal.code, refusal.rule.as_deref()), (Code::Busy, Some("budgets.per_caller_day.bytes")));
        admit("key:b").unwrap();
        // What a call does not return is there again for the next one.
        drop(running.pop());
        running.push(admit("key:a").unwrap());
        running.iter().for_each(|charge| charge.spend(LONGEST as usize));
        drop(running);
        assert_eq!(admit("key:a").err().unwrap().code, Code::BudgetExhausted);
        // A call that runs alone is admitted while anything is left, however long its answer may be.
        drop(budgets.admit_at(&"key:c".into(), budget(100, 1), LONGEST, at(NOON)).unwrap());
        budgets.admit_at(&"key:c".into(), budget(100, 1), LONGEST, at(NOON)).unwrap();
    }

    #[test]
    fn a_new_day_is_fresh_and_an_old_one_is_not() {
        let (_folder, file) = folder();
        let budgets = Budgets::new(file.clone());
        let one = budget(1, 1000);
        call(&budgets, "key:a", one, 1, NOON).unwrap();
        assert!(call(&budgets, "key:a", one, 1, "2026-11-20T23:59:59Z").is_err());
        call(&budgets, "key:a", one, 1, "2026-11-21T00:00:00Z").unwrap();
        for budgets in [budgets, Budgets::new(file)] {
            let refusal = call(&budgets, "key:a", one, 1, NOON).unwrap_err();
            assert_eq!((refusal.code, refusal.retry_after_s()), (Code::BudgetExhausted, Some(36 * 3600)), "the clock was put back");
        }
    }

    #[test]
    fn nothing_is_touched_without_a_budget() {
        let (_folder, file) = folder();
        let budgets = Budgets::new(file.clone());
        for none in [None, Some(&Budget { calls: None, bytes: None })] {
            assert!(budgets.admit(&"key:a".into(), none, LONGEST).unwrap().is_none());
        }
        budgets.close().unwrap();
        assert!(!file.exists());
    }

    #[test]
    fn a_file_that_is_damaged_or_cannot_be_written_refuses() {
        let (folder, file) = folder();
        let whole = r#"{"version":1,"day":"2026-11-20","callers":{"key:a":{"calls":1,"bytes":1}}}"#;
        for damaged in
            ["", "{", &whole[..whole.len() - 1], &whole.replace("1,\"day", "2,\"day"), &whole.replace("2026", "x"), &whole.replace(":1,", ":-1,")]
        {
            std::fs::write(&file, damaged).unwrap();
            let budgets = Budgets::new(file.clone());
            let refusal = call(&budgets, "key:a", budget(9, 9000), 1, NOON).unwrap_err();
            assert!(refusal.code == Code::Unavailable && refusal.message.contains("damaged"), "{damaged}: {refusal:?}");
            assert!(!refusal.message.contains(folder.path().to_str().unwrap()), "{refusal:?}");
            // Once it is mended, the same gateway goes on.
            std::fs::write(&file, whole).unwrap();
            call(&budgets, "key:a", budget(9, 9000), 1, NOON).unwrap();
        }
        let budgets = Budgets::new(folder.path().join("missing/budgets.json"));
        let refusal = call(&budgets, "key:a", budget(9, 9000), 1, NOON).unwrap_err();
        assert!(refusal.message.contains("cannot be written"), "{refusal:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn a_crash_never_gives_budget_back(calls in prop::collection::vec((0..1500usize, prop::option::weighted(0.2, any::<bool>())), 1..60), limit in 1..200u64) {
            let (_folder, file) = folder();
            let (mut budgets, budget) = (Budgets::new(file.clone()), budget(limit, limit * 500));
            let (mut made, mut crashes, mut returned) = (0, 0, 0);
            for (bytes, ends) in calls {
                if call(&budgets, "key:a", budget, bytes, NOON).is_ok() {
                    made += 1;
                    returned += (bytes as u64).min(LONGEST);
                }
                if let Some(clean) = ends {
                    if clean { budgets.close().unwrap() } else { crashes += 1 }
                    budgets = Budgets::new(file.clone());
                    let kept = budget_file::read(&file, at(NOON).to_zoned(TimeZone::UTC).date()).unwrap();
                    let used = kept.callers.get("key:a").map(|account| account.used).unwrap_or_default();
                    let block = Used { calls: limit / BLOCKS, bytes: limit * 500 / BLOCKS + LONGEST };
                    prop_assert!(made <= used.calls && used.calls <= made + crashes * block.calls, "{made} calls, the file says {}", used.calls);
                    prop_assert!(returned <= used.bytes && used.bytes <= returned + crashes * block.bytes, "{returned} bytes, {}", used.bytes);
                }
            }
            prop_assert!(made <= limit);
        }
    }
}
