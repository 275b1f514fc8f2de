//! The penalty box: a caller that went over its rate gets a lower one for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::DefaultKeyedRateLimiter;
use governor::clock::{Clock, DefaultClock};

use crate::policy::OverThen;

/// Callers in the box, and the rate that holds there.
pub(super) struct Penalty {
    over: OverThen,
    rate: DefaultKeyedRateLimiter<Arc<str>>,
    until: Mutex<HashMap<Arc<str>, Instant>>,
}

impl Penalty {
    pub(super) fn new(over: OverThen) -> Self {
        let rate = governor::RateLimiter::keyed(super::quota(over.rate.count, over.rate.per, std::num::NonZeroU32::MIN));
        Self { over, rate, until: Mutex::default() }
    }

    /// This box, or, where the new one is another, a box with the same callers in it for as long as they had.
    pub(super) fn with(self: &Arc<Self>, over: OverThen) -> Arc<Self> {
        if self.over == over {
            return self.clone();
        }
        let until = self.until.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Arc::new(Self { until: Mutex::new(until), ..Self::new(over) })
    }

    /// Puts a caller in, or keeps it in.
    pub(super) fn put(&self, caller: &Arc<str>, now: Instant) {
        self.until.lock().unwrap_or_else(PoisonError::into_inner).insert(caller.clone(), now + self.over.lasts);
    }

    /// `None` where the caller is not in the box; else whether the box's rate has room, or how long to wait.
    pub(super) fn check(&self, caller: &Arc<str>, now: Instant) -> Option<Result<(), Duration>> {
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        if *until.get(caller)? <= now {
            until.remove(caller);
            return None;
        }
        drop(until);
        Some(self.rate.check_key(caller).map_err(|until| until.wait_time_from(DefaultClock::default().now())))
    }

    pub(super) fn sweep(&self, now: Instant) {
        self.until.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, until| *until > now);
        self.rate.retain_recent();
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::policy::Rate;

    #[test]
    fn a_caller_in_the_box_has_the_lower_rate_until_its_time_is_over() {
        let lasts = Duration::from_secs(300);
        let penalty = Penalty::new(OverThen { rate: Rate { count: NonZeroU32::new(10).unwrap(), per: Duration::from_secs(60) }, lasts });
        let (caller, start): (Arc<str>, _) = ("key:a".into(), Instant::now());
        assert!(penalty.check(&caller, start).is_none());
        penalty.put(&caller, start);
        assert!(penalty.check(&caller, start).unwrap().is_ok());
        assert!(penalty.check(&caller, start).unwrap().unwrap_err() > Duration::from_secs(1));
        assert!(penalty.check(&"key:b".into(), start).is_none());
        assert!(penalty.check(&caller, start + lasts).is_none());
    }
}
