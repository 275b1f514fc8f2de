//! What a test run says of its tests, in the forms of the common runners.

use std::time::SystemTime;

use schemars::JsonSchema;
use serde::Serialize;

use super::root::Workspace;
use crate::scope::OutputFilter;

/// A test that failed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct Failure {
    pub(super) name: String,
    pub(super) message: String,
    pub(super) details: String,
}

/// What is known of a run. What a form does not tell is absent.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Report {
    pub(super) passed: Option<u64>,
    pub(super) failed: Option<u64>,
    pub(super) skipped: Option<u64>,
    /// Percent.
    pub(super) coverage: Option<f64>,
    pub(super) failures: Vec<Failure>,
}

pub(super) fn file(_workspace: &Workspace, _path: &str, _begun: SystemTime, _filter: &OutputFilter) -> Option<Report> {
    None
}

pub(super) fn printed(_text: &str) -> Report {
    Report::default()
}
