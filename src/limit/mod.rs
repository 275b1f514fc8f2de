//! How much a caller may ask for: rates by address and by caller, calls at once, and budgets by the day.
//!
//! Refusing is cheap and happens before any argument is parsed.

mod budget;
mod budget_file;
mod flood;
mod listeners;
mod penalty;
mod slots;

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::error::{Code, Refusal};
use crate::policy::{Limits, OverThen, Rate};

pub use budget::{Budgets, Charge};
pub use flood::{Flood, Kind, Sampled, Skipped};
pub use listeners::{Listeners, Listening};
pub use slots::{Slot, Slots};

use penalty::Penalty;

/// The proof that a caller's rate was counted for this call. Made by [`Rates::count`] alone, spent by one call.
#[derive(Debug)]
pub struct Counted(());

/// The limits in force, with their state. What a new policy leaves as it is keeps its state.
pub struct Rates {
    allowances: ArcSwap<Allowances>,
    blocked: std::sync::Mutex<std::collections::HashMap<IpAddr, std::time::Instant>>,
    clock: DefaultClock,
    /// Calls at once.
    pub slots: Slots,
}

/// What callers and addresses have spent of which rate. Each part is shared with the one before, where it did not change.
struct Allowances {
    callers: Arc<Allowance<Arc<str>>>,
    addresses: Arc<Allowance<IpAddr>>,
    penalty: Option<Arc<Penalty>>,
}

/// One rate and what is spent of it, by key.
struct Allowance<K: std::hash::Hash + Eq + Clone> {
    rate: Rate,
    burst: NonZeroU32,
    spent: DefaultKeyedRateLimiter<K>,
}

impl<K: std::hash::Hash + Eq + Clone> Allowance<K> {
    /// The one before, or, where the rate is another, a full one.
    fn of(rate: Rate, burst: NonZeroU32, before: Option<&Arc<Self>>) -> Arc<Self> {
        match before.filter(|before| (before.rate, before.burst) == (rate, burst)) {
            Some(same) => same.clone(),
            None => Arc::new(Self { rate, burst, spent: RateLimiter::keyed(quota(rate.count, rate.per, burst)) }),
        }
    }
}

impl Allowances {
    fn of(limits: &Limits, before: Option<&Self>) -> Self {
        let address = limits.per_ip_unauthenticated;
        let boxed = |over: OverThen| match before.and_then(|before| before.penalty.as_ref()) {
            Some(penalty) => penalty.with(over),
            None => Arc::new(Penalty::new(over)),
        };
        Self {
            callers: Allowance::of(limits.per_caller.rate, limits.per_caller.burst, before.map(|before| &before.callers)),
            addresses: Allowance::of(address, address.count, before.map(|before| &before.addresses)),
            penalty: limits.per_caller.over_then.map(boxed),
        }
    }
}

impl Rates {
    /// Fresh state for these limits.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self {
            allowances: ArcSwap::from_pointee(Allowances::of(limits, None)),
            blocked: std::sync::Mutex::default(),
            clock: DefaultClock::default(),
            slots: Slots::new(limits.concurrency.get() as usize),
        }
    }

    /// Puts new limits in force. What callers have spent of a rate that stays the same is not given back, who is in the penalty
    /// box stays there, and calls that run keep their places.
    pub fn set(&self, limits: &Limits) {
        self.allowances.store(Arc::new(Allowances::of(limits, Some(&self.allowances.load()))));
        self.slots.set(limits.concurrency.get() as usize);
    }

    /// Counts one request of this caller.
    ///
    /// # Errors
    /// [`Code::RateLimited`] with the time to wait.
    pub fn count(&self, caller: &Arc<str>) -> Result<Counted, Refusal> {
        let now = std::time::Instant::now();
        let allowances = self.allowances.load();
        if let Some(boxed) = allowances.penalty.as_ref().and_then(|penalty| penalty.check(caller, now)) {
            return boxed.map(|()| Counted(())).map_err(|wait| {
                Refusal::new(Code::RateLimited, "after too many calls in a short time a lower rate holds for a while").retry_after(wait)
            });
        }
        allowances.callers.spent.check_key(caller).map(|()| Counted(())).map_err(|until| {
            if let Some(penalty) = &allowances.penalty {
                penalty.put(caller, now);
            }
            Refusal::new(Code::RateLimited, "too many calls in a short time").retry_after(until.wait_time_from(self.clock.now()))
        })
    }

    /// Whether this address may try a credential at all. An address that failed too often waits.
    ///
    /// # Errors
    /// [`Code::RateLimited`] with the time to wait.
    pub fn may_try(&self, address: IpAddr) -> Result<(), Refusal> {
        let mut blocked = self.blocked.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Some(until) = blocked.get(&address) else { return Ok(()) };
        match until.checked_duration_since(std::time::Instant::now()) {
            Some(wait) => Err(Refusal::new(Code::RateLimited, "too many requests without a valid credential from this address").retry_after(wait)),
            None => {
                blocked.remove(&address);
                Ok(())
            }
        }
    }

    /// Counts a failed credential of this address.
    pub fn failed(&self, address: IpAddr) {
        if let Err(until) = self.allowances.load().addresses.spent.check_key(&address) {
            let wait = until.wait_time_from(self.clock.now());
            let mut blocked = self.blocked.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            // Bounded: an attacker with many addresses costs at most this map; the oldest entries have run out anyway.
            if blocked.len() >= MOST_BLOCKED {
                let now = std::time::Instant::now();
                blocked.retain(|_, until| *until > now);
            }
            if blocked.len() < MOST_BLOCKED {
                blocked.insert(address, std::time::Instant::now() + wait);
            }
        }
    }

    /// Forgets callers and addresses whose allowances are full again. Called now and then.
    pub fn sweep(&self) {
        let allowances = self.allowances.load();
        allowances.callers.spent.retain_recent();
        allowances.addresses.spent.retain_recent();
        self.slots.sweep();
        if let Some(penalty) = &allowances.penalty {
            penalty.sweep(std::time::Instant::now());
        }
    }
}

const MOST_BLOCKED: usize = 65_536;

fn quota(count: NonZeroU32, per: Duration, burst: NonZeroU32) -> Quota {
    let cell = per / count.get();
    Quota::with_period(cell).unwrap_or_else(|| Quota::per_second(NonZeroU32::MAX)).allow_burst(burst)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(burst: u32) -> Limits {
        let mut limits = Limits::default();
        limits.per_caller.burst = NonZeroU32::new(burst).unwrap();
        limits.per_ip_unauthenticated.count = NonZeroU32::new(burst).unwrap();
        limits
    }

    #[test]
    fn a_caller_over_its_burst_waits_and_others_do_not() {
        let rates = Rates::new(&limits(3));
        let (a, b): (Arc<str>, Arc<str>) = ("key:a".into(), "key:b".into());
        for _ in 0..3 {
            rates.count(&a).unwrap();
        }
        let refusal = rates.count(&a).unwrap_err();
        assert_eq!(refusal.code, Code::RateLimited);
        assert!(refusal.retry_after_s().unwrap() >= 1);
        rates.count(&b).unwrap();
    }

    #[test]
    fn new_limits_hold_at_once_and_give_back_nothing_where_they_are_the_same() {
        let (rates, a): (_, Arc<str>) = (Rates::new(&limits(3)), "key:a".into());
        for _ in 0..3 {
            rates.count(&a).unwrap();
        }
        let mut other = limits(3);
        other.concurrency = NonZeroU32::MIN;
        rates.set(&other);
        rates.count(&a).expect_err("what was spent was given back");
        rates.set(&limits(1));
        rates.count(&a).unwrap();
        rates.count(&a).expect_err("the old burst holds");
    }

    #[test]
    fn who_is_in_the_penalty_box_stays_there_under_another_one() {
        let over = |count| OverThen {
            rate: Rate { count: NonZeroU32::new(count).unwrap(), per: Duration::from_secs(3600) },
            lasts: Duration::from_secs(60),
        };
        let mut before = limits(1);
        before.per_caller.over_then = Some(over(1));
        let (rates, a): (_, Arc<str>) = (Rates::new(&before), "key:a".into());
        rates.count(&a).unwrap();
        rates.count(&a).expect_err("over its burst");
        let mut after = limits(50);
        after.per_caller.over_then = Some(over(2));
        rates.set(&after);
        rates.count(&a).expect("the box's own rate is a new one");
        rates.count(&a).expect_err("the box was left");
    }

    #[test]
    fn an_address_that_fails_too_often_waits() {
        let rates = Rates::new(&limits(2));
        let address = IpAddr::from([127, 0, 0, 9]);
        rates.failed(address);
        rates.failed(address);
        rates.may_try(address).unwrap();
        rates.failed(address);
        assert_eq!(rates.may_try(address).unwrap_err().code, Code::RateLimited);
        rates.may_try(IpAddr::from([127, 0, 0, 10])).unwrap();
    }
}
