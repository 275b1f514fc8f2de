//! CPU time of each stage of the call path: what `cargo bench --bench gateway` prints. Off in a gateway that serves.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::time::{ClockId, clock_gettime};

/// The stages whose work happens on the calling task, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Rates and places.
    Admit,
    /// Arguments parsed, scrubbed for the record, resolved.
    Prepare,
    /// The policy's decision.
    Authorise,
    /// People, where the policy asks for them.
    Approve,
    /// The intent's entry.
    Intend,
    /// The tool itself.
    Execute,
    /// The answer made clean.
    Scrub,
    /// The outcome's entry, and the wait for the disk.
    Record,
}

impl Stage {
    /// Every stage with its name.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::Admit, "admit"),
        (Self::Prepare, "prepare"),
        (Self::Authorise, "authorise"),
        (Self::Approve, "approve"),
        (Self::Intend, "intend"),
        (Self::Execute, "execute"),
        (Self::Scrub, "scrub"),
        (Self::Record, "record"),
    ];
}

/// Sums of CPU time, in nanoseconds.
#[derive(Debug, Default)]
pub struct Stages {
    on: AtomicBool,
    sums: [AtomicU64; Stage::ALL.len()],
}

impl Stages {
    /// Begins to measure, from zero.
    pub fn start(&self) {
        self.sums.iter().for_each(|sum| sum.store(0, Ordering::Relaxed));
        self.on.store(true, Ordering::Relaxed);
    }

    /// CPU nanoseconds of each stage since the start.
    pub fn sums(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Stage::ALL.iter().zip(&self.sums).map(|((_, name), sum)| (*name, sum.load(Ordering::Relaxed)))
    }

    /// Runs a stage's work, counting the CPU time of each of its polls where that was asked for.
    pub(crate) async fn of<F: Future>(&self, stage: Stage, work: F) -> F::Output {
        if !self.on.load(Ordering::Relaxed) {
            return work.await;
        }
        let mut work = pin!(work);
        poll_fn(|cx| {
            let before = thread_cpu();
            let polled = work.as_mut().poll(cx);
            if let Some((_, sum)) = Stage::ALL.iter().zip(&self.sums).find(|((one, _), _)| *one == stage) {
                sum.fetch_add(thread_cpu().saturating_sub(before), Ordering::Relaxed);
            }
            polled
        })
        .await
    }
}

/// CPU time of this thread, in nanoseconds.
fn thread_cpu() -> u64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    u64::try_from(now.tv_sec).unwrap_or(0).saturating_mul(1_000_000_000).saturating_add(u64::try_from(now.tv_nsec).unwrap_or(0))
}
