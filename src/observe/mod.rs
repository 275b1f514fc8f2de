//! What an operator sees: structured logs on standard error, and metrics.

pub mod log;
mod metrics;

pub use metrics::{Fate, Metrics};
