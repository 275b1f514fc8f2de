//! What an operator sees: structured logs on standard error, and metrics.

pub mod log;
mod metrics;
mod stages;

pub use metrics::{Fate, Metrics};
pub use stages::{Stage, Stages};
