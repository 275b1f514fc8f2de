//! Counters of the writer, for metrics.

use std::time::Duration;

/// Upper bounds of the buckets of [`Stats::durable_after`], in microseconds; one more bucket holds what took longer.
pub const LATENCY_BOUNDS_MICROS: [u64; 14] =
    [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000];

/// What the writer did since it was opened.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    /// Entries appended.
    pub appends: u64,
    /// Appends refused for want of room.
    pub full: u64,
    /// Calls whose intent has no outcome yet.
    pub open_intents: u64,
    /// Bytes that wait to be written.
    pub waiting_bytes: u64,
    /// Bytes written and synced.
    pub durable_bytes: u64,
    /// Entries on disk.
    pub durable_entries: u64,
    /// Batches, each one write and one sync.
    pub syncs: u64,
    /// Time spent in write and sync together, in total.
    pub sync_time: Duration,
    /// The same for the last batch.
    pub last_sync: Duration,
    /// Entries in the last batch.
    pub last_batch: u64,
    /// Entries in the largest batch.
    pub largest_batch: u64,
    /// Checkpoints signed.
    pub checkpoints: u64,
    /// Entries by the time from append to durable: one count for each of [`LATENCY_BOUNDS_MICROS`] and one for what took longer.
    pub durable_after: [u64; 15],
    /// The sum of those times.
    pub durable_after_sum: Duration,
}

impl Stats {
    pub(crate) fn observe(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = LATENCY_BOUNDS_MICROS.iter().position(|bound| micros <= *bound).unwrap_or(LATENCY_BOUNDS_MICROS.len());
        if let Some(count) = self.durable_after.get_mut(bucket) {
            *count += 1;
        }
        self.durable_after_sum += took;
    }
}
