//! How much anyone may ask, typed. Every value has a default, so a policy that says nothing is still limited.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::Serialize;

/// So many in so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Rate {
    /// How many.
    pub count: NonZeroU32,
    /// In how long.
    pub per: Duration,
}

impl Rate {
    /// `count` each minute.
    pub(super) const fn per_minute(count: NonZeroU32) -> Self {
        Self { count, per: Duration::from_secs(60) }
    }
}

/// What a caller that went over its rate has left, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct OverThen {
    /// The rate it falls to.
    pub rate: Rate,
    /// For how long.
    pub lasts: Duration,
}

/// The limit of one caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CallerRate {
    /// The steady rate.
    pub rate: Rate,
    /// How many calls may come at once.
    pub burst: NonZeroU32,
    /// What is left to a caller that went over.
    pub over_then: Option<OverThen>,
}

/// `limits` of the policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Per source address, before a credential was accepted.
    pub per_ip_unauthenticated: Rate,
    /// Per caller.
    pub per_caller: CallerRate,
    /// Calls of one caller that run at once.
    pub concurrency: NonZeroU32,
    /// Bytes of variable output in one reply.
    pub output_bytes: usize,
    /// How long a call may take where it names no time.
    pub timeout: Duration,
    /// The longest time a call may name.
    pub max_timeout: Duration,
}

const fn count(value: u32) -> NonZeroU32 {
    match NonZeroU32::new(value) {
        Some(value) => value,
        None => NonZeroU32::MIN,
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            per_ip_unauthenticated: Rate::per_minute(count(60)),
            per_caller: CallerRate { rate: Rate::per_minute(count(100)), burst: count(200), over_then: None },
            concurrency: count(20),
            output_bytes: 64 * 1024,
            timeout: Duration::from_secs(60),
            max_timeout: Duration::from_secs(600),
        }
    }
}
