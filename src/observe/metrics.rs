//! Counters and durations, in Prometheus' text format.

use std::time::Duration;

use opsgate_audit::{LATENCY_BOUNDS_MICROS, Log, Stats};
use prometheus::{Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};

use crate::error::Code;

/// How a call ended, as metrics tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It ran.
    Allowed,
    /// It was refused.
    Denied,
    /// It waits for people, or would have to.
    Escalated,
}

impl Fate {
    /// The fate of a call that was refused with this code.
    #[must_use]
    pub fn of(code: Code) -> Self {
        if code == Code::ApprovalsUnavailable { Self::Escalated } else { Self::Denied }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Escalated => "escalated",
        }
    }
}

/// Seconds: fine below 50 ms, where healthy calls live, then the operator's usual steps.
const BUCKETS: [f64; 17] = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0];
const LAST_BUCKET: f64 = 60.0;

/// The gateway's metrics.
pub struct Metrics {
    registry: Registry,
    calls: IntCounterVec,
    durations: HistogramVec,
    scrubbed: IntCounterVec,
    shadow: IntCounterVec,
    exposures: IntCounterVec,
    malformed: IntCounterVec,
    policy_loads: IntCounterVec,
    unauthenticated: IntCounterVec,
    audit_seq: IntGauge,
    audit_sealed: IntGauge,
    audit_syncs: IntGauge,
    audit_sync_seconds: prometheus::Gauge,
}

impl Metrics {
    /// Fresh metrics.
    ///
    /// # Errors
    /// Where two metrics share a name: a defect, told at start.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let buckets = BUCKETS.into_iter().chain([LAST_BUCKET]).collect();
        let durations = HistogramVec::new(
            HistogramOpts::new("opsgate_call_duration_seconds", "time from a call's arrival to its durable record").buckets(buckets),
            &["tool"],
        )?;
        registry.register(Box::new(durations.clone()))?;
        let audit_sync_seconds = prometheus::Gauge::new("opsgate_audit_sync_seconds_total", "time spent making the log durable")?;
        registry.register(Box::new(audit_sync_seconds.clone()))?;
        Ok(Self {
            calls: counter("opsgate_calls_total", "calls by tool and outcome", &["tool", "outcome"])?,
            scrubbed: counter("opsgate_secrets_scrubbed_total", "secrets removed from what left, by kind", &["kind"])?,
            shadow: counter("opsgate_policy_shadow_total", "calls that a rule in mode shadow would have decided otherwise, by rule", &["rule"])?,
            exposures: counter("opsgate_secret_exposure_detected_total", "answers of tools that held a secret, by tool", &["tool"])?,
            malformed: counter("opsgate_malformed_messages_total", "messages that were not MCP, by transport and fault", &["transport", "fault"])?,
            policy_loads: counter("opsgate_policy_loads_total", "policies that came into force, and files that did not", &["result"])?,
            unauthenticated: counter("opsgate_unauthenticated_total", "requests without a valid credential, by reason", &["reason"])?,
            audit_seq: gauge("opsgate_audit_head_seq", "number of the newest entry of the log")?,
            audit_sealed: gauge("opsgate_audit_sealed", "1 where the log is sealed and everything is refused")?,
            audit_syncs: gauge("opsgate_audit_syncs_total", "times the log was made durable")?,
            audit_sync_seconds,
            durations,
            registry,
        })
    }

    /// One call ended.
    pub fn called(&self, tool: &str, fate: Fate, took: Duration) {
        self.calls.with_label_values(&[tool, fate.name()]).inc();
        self.durations.with_label_values(&[tool]).observe(took.as_secs_f64());
    }

    /// Secrets of this kind were removed.
    pub fn scrubbed(&self, kind: &str, count: u64) {
        self.scrubbed.with_label_values(&[kind]).inc_by(count);
    }

    /// A call met this rule, which is in shadow. The ids are the policy's own, so that no caller can make one up.
    pub fn shadowed(&self, rule: &str) {
        self.shadow.with_label_values(&[rule]).inc();
    }

    /// A tool's answer held a secret.
    pub fn exposed(&self, tool: &str) {
        self.exposures.with_label_values(&[tool]).inc();
    }

    /// A message was not MCP.
    pub fn malformed(&self, transport: &str, fault: &str) {
        self.malformed.with_label_values(&[transport, fault]).inc();
    }

    /// A policy was `loaded`, or its file `rejected`.
    pub fn policy_load(&self, result: &str) {
        self.policy_loads.with_label_values(&[result]).inc();
    }

    /// A request came without a valid credential.
    pub fn unauthenticated(&self, reason: &str) {
        self.unauthenticated.with_label_values(&[reason]).inc();
    }

    /// Everything, in Prometheus' text format.
    ///
    /// # Errors
    /// Where the encoder fails.
    pub fn render(&self, log: &Log) -> Result<String, prometheus::Error> {
        let (head, stats) = (log.head(), log.stats());
        self.audit_seq.set(i64::try_from(head.seq).unwrap_or(i64::MAX));
        self.audit_sealed.set(i64::from(head.sealed.is_some()));
        self.audit_syncs.set(i64::try_from(stats.syncs).unwrap_or(i64::MAX));
        self.audit_sync_seconds.set(stats.sync_time.as_secs_f64());
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        let text = String::from_utf8(text).map_err(|error| prometheus::Error::Msg(error.to_string()))?;
        Ok(text + &append_times(&stats))
    }
}

/// The writer keeps this histogram itself, under the lock it holds anyway; here it is only written out.
fn append_times(stats: &Stats) -> String {
    const NAME: &str = "opsgate_audit_append_seconds";
    let mut text = format!("# HELP {NAME} time from an entry's append until it was durable\n# TYPE {NAME} histogram\n");
    let bounds = LATENCY_BOUNDS_MICROS.iter().map(|micros| Duration::from_micros(*micros).as_secs_f64().to_string());
    let mut below = 0;
    for (bound, count) in bounds.chain(["+Inf".to_owned()]).zip(stats.durable_after) {
        below += count;
        text += &format!("{NAME}_bucket{{le=\"{bound}\"}} {below}\n");
    }
    text + &format!("{NAME}_sum {}\n{NAME}_count {below}\n", stats.durable_after_sum.as_secs_f64())
}
