//! The rest: defaults, approvals, limits, and what other rooms read.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;

use super::super::decision::Quorum;
use super::super::limits::{CallerRate, Limits, OverThen};
use super::super::model::{
    Approvals, AuditLevel, AuditReads, AuditSettings, Budget, Defaults, Deployment, Environment, File, Language, OnExposure, Pii, RiskSettings,
    RuleApprovals, ScrubSettings, Settings,
};
use super::super::risk::Circumstance;
use super::super::yaml::{Node, Value};
use super::quantity;
use super::value::Fields;
use super::{Reader, keys};

/// Of one reply.
pub(in super::super) const OUTPUT_BYTES: RangeInclusive<u64> = 1024..=16 * 1024 * 1024;
/// The most approvals a policy can ask for.
pub(in super::super) const MOST_APPROVALS: u32 = 20;

impl Reader<'_> {
    pub(super) fn defaults(&mut self, node: &Node) -> Defaults {
        let fields = self.fields(node, "`defaults`", keys::DEFAULTS);
        if let Some(write) = fields.get("write")
            && self.word(write, "write", keys::DEFAULT) == Some(true)
        {
            self.error(write.at, "a write cannot be allowed by default", "write `deny`, and a rule for each tool that may write".to_owned());
        }
        let mut allowed = |key| fields.get(key).and_then(|node| self.word(node, key, keys::DEFAULT)).unwrap_or(false);
        Defaults { read: allowed("read"), automation: allowed("automation") }
    }

    pub(super) fn approvals(&mut self, node: &Node, groups: &BTreeMap<String, Vec<String>>) -> Approvals {
        let mut approvals = Approvals::default();
        let fields = self.fields(node, "`approvals`", keys::APPROVALS);
        if let Some(node) = fields.get("default") {
            let default = self.fields(node, "approvals.default", keys::APPROVALS_DEFAULT);
            if let Some(node) = default.get("approvals") {
                approvals.quorums = self.quorums(node, groups);
            }
            if let Some(expires) = default.get("expires").and_then(|node| self.duration(node, "expires")) {
                approvals.expires = expires;
            }
        }
        if let Some(node) = fields.get("override") {
            let inner = self.fields(node, "approvals.override", keys::OVERRIDE);
            approvals.override_group = inner.get("group").and_then(|node| self.group(node, groups));
        }
        approvals.fallback = fields.get("fallback").and_then(|node| self.group(node, groups));
        approvals
    }

    /// A list of `{group, count}`.
    pub(super) fn quorums(&mut self, node: &Node, groups: &BTreeMap<String, Vec<String>>) -> Vec<Quorum> {
        let mut quorums = Vec::new();
        for item in self.items(node, "approvals") {
            let fields = self.fields(item, "an approval", keys::QUORUM);
            let group = fields.get("group").and_then(|node| self.group(node, groups));
            if fields.get("group").is_none() {
                self.error(item.at, "an approval does not say its `group`", "write `{group: oncall, count: 1}`".to_owned());
            }
            let count = fields.get("count").map_or(Some(1), |node| self.count(node, "count", 1..=MOST_APPROVALS));
            let members = group.as_ref().and_then(|group| groups.get(group)).map_or(0, Vec::len);
            if let (Some(group), Some(count)) = (&group, count)
                && (members as u64) < u64::from(count)
            {
                let message = format!("the group `{group}` has {members} people, so nobody can give {count} approvals");
                self.warn(item.at, message, None);
            }
            quorums.push(Quorum { group, count: count.unwrap_or(MOST_APPROVALS) });
        }
        quorums
    }

    fn group(&mut self, node: &Node, groups: &BTreeMap<String, Vec<String>>) -> Option<String> {
        let name = self.text(node, "group")?;
        if !groups.contains_key(&name.value) {
            self.error(name.at, format!("there is no group `{}`", name.value), self.did_you_mean(&name.value, groups.keys().map(String::as_str)));
        }
        Some(name.value)
    }

    /// The `approvals` of a rule: a number in place of the default's, or a list of its own.
    pub(super) fn rule_approvals(&mut self, node: &Node, file: &File) -> Option<RuleApprovals> {
        if let Value::List(_) = &node.value {
            return Some(RuleApprovals::Quorums(self.quorums(node, &file.groups)));
        }
        if matches!(&node.value, Value::Null) || matches!(&node.value, Value::Text(text) if matches!(text.as_str(), "none" | "no" | "off" | "never"))
        {
            self.error(node.at, "approvals are a number or a list", "write `approvals: 0` for none".to_owned());
            return None;
        }
        let count = self.count(node, "approvals", 0..=MOST_APPROVALS)?;
        if count > 0 && file.approvals.quorums.len() > 1 {
            self.error(
                node.at,
                "`approvals.default` names several groups, so a number does not say whose approvals these are",
                "write `[{group: …, count: …}]`".to_owned(),
            );
        }
        Some(RuleApprovals::Count(count))
    }

    pub(super) fn limits(&mut self, node: &Node) -> Limits {
        let mut limits = Limits::default();
        let fields = self.fields(node, "`limits`", keys::LIMITS);
        if let Some(rate) = fields.get("per_ip_unauthenticated").and_then(|node| self.rate(node, "per_ip_unauthenticated")) {
            limits.per_ip_unauthenticated = rate;
        }
        if let Some(node) = fields.get("per_caller") {
            limits.per_caller = self.caller_rate(node, limits.per_caller);
        }
        if let Some(count) = fields.get("concurrency").and_then(|node| self.count(node, "concurrency", 1..=10_000)).and_then(NonZeroU32::new) {
            limits.concurrency = count;
        }
        if let Some(node) = fields.get("output_bytes")
            && let Some(bytes) = self.bytes(node, "output_bytes")
        {
            match usize::try_from(bytes).ok().filter(|_| OUTPUT_BYTES.contains(&bytes)) {
                Some(bytes) => limits.output_bytes = bytes,
                None => self.error(node.at, "output_bytes is a size from `1KiB` to `16MiB`", None),
            }
        }
        if let Some(timeout) = fields.get("timeout").and_then(|node| self.duration(node, "timeout")) {
            limits.timeout = timeout;
        }
        if let Some(timeout) = fields.get("max_timeout").and_then(|node| self.duration(node, "max_timeout")) {
            limits.max_timeout = timeout;
        }
        if limits.timeout > limits.max_timeout {
            self.error(fields.get("timeout").unwrap_or(node).at, "timeout is longer than max_timeout", None);
        }
        limits
    }

    fn caller_rate(&mut self, node: &Node, default: CallerRate) -> CallerRate {
        let fields = self.fields(node, "per_caller", keys::PER_CALLER);
        let rate = fields.get("rate").and_then(|node| self.rate(node, "rate")).unwrap_or(default.rate);
        let burst = fields.get("burst").and_then(|node| self.count(node, "burst", 1..=u32::MAX)).and_then(NonZeroU32::new);
        let over_then = fields.get("over_then").and_then(|node| {
            let text = self.text(node, "over_then")?;
            let found = text
                .value
                .split_once(" for ")
                .and_then(|(rate, lasts)| Some(OverThen { rate: quantity::rate(rate)?, lasts: quantity::duration(lasts)? }));
            if found.is_none() {
                self.error(text.at, format!("`{}` is no rate for a time", text.value), "write `10/min for 5m`".to_owned());
            }
            found
        });
        CallerRate { rate, burst: burst.unwrap_or(default.burst), over_then }
    }

    pub(super) fn settings(&mut self, fields: &Fields<'_>, file: &mut File) -> Settings {
        let mut settings = Settings::default();
        if let Some(node) = fields.get("scrub") {
            let scrub = self.fields(node, "`scrub`", keys::SCRUB);
            settings.scrub = ScrubSettings {
                pii: scrub.get("pii").and_then(|node| self.word(node, "pii", &Pii::ALL)).unwrap_or_default(),
                on_exposure: scrub.get("on_exposure").and_then(|node| self.word(node, "on_exposure", &OnExposure::ALL)).unwrap_or_default(),
            };
        }
        if let Some(node) = fields.get("audit") {
            let audit = self.fields(node, "`audit`", keys::AUDIT);
            settings.audit = AuditSettings {
                level: audit.get("level").and_then(|node| self.word(node, "level", &AuditLevel::ALL)).unwrap_or_default(),
                reads: audit.get("reads").and_then(|node| self.word(node, "reads", &AuditReads::ALL)).unwrap_or_default(),
            };
        }
        settings.language = fields.get("language").and_then(|node| self.word(node, "language", &Language::ALL)).unwrap_or_default();
        settings.deployment = fields.get("profile").and_then(|node| self.word(node, "profile", &Deployment::ALL)).unwrap_or_default();
        settings.risk = fields.get("risk").map(|node| self.risk(node, file));
        settings.budgets = fields.get("budgets").map(|node| self.budgets(node));
        if let Some(node) = fields.get("same_user_writes") {
            settings.same_user_writes = self.boolean(node, "same_user_writes").unwrap_or(false);
        }
        settings
    }

    fn risk(&mut self, node: &Node, file: &mut File) -> RiskSettings {
        let fields = self.fields(node, "`risk`", keys::RISK);
        let two_approvals_from = fields.get("two_approvals_from").and_then(|node| self.fraction(node, "two_approvals_from"));
        file.risk_hours = fields.get("hours").and_then(|node| self.hours(node));
        let mut modifiers = BTreeMap::new();
        if let Some(node) = fields.get("modifiers") {
            let inner = self.fields(node, "modifiers", &Circumstance::ALL.map(|(_, name)| name));
            for (circumstance, name) in Circumstance::ALL {
                let Some(value) = inner.get(name).and_then(|node| self.fraction(node, name)) else { continue };
                modifiers.insert(circumstance, value);
                if let (Some(key), Some((what, help))) = (inner.key(name), without_effect(circumstance, file)) {
                    self.warn(key.at, format!("`{name}` has no effect: {what}"), help.to_owned());
                }
            }
        }
        if let (Some(node), [Quorum { group: Some(group), .. }]) = (fields.get("two_approvals_from"), file.approvals.quorums.as_slice())
            && file.groups.get(group).is_some_and(|members| members.len() < 2)
        {
            let message = format!("the group `{group}` has fewer than 2 people, so nobody can approve what is that risky");
            self.warn(node.at, message, "add people to it".to_owned());
        }
        RiskSettings { two_approvals_from, modifiers, hours: file.risk_hours.as_ref().map(|hours| hours.text().to_owned()) }
    }

    fn budgets(&mut self, node: &Node) -> Budget {
        let fields = self.fields(node, "`budgets`", keys::BUDGETS);
        let Some(node) = fields.get("per_caller_day") else { return Budget { calls: None, bytes: None } };
        let inner = self.fields(node, "per_caller_day", keys::PER_CALLER_DAY);
        Budget {
            calls: inner.get("calls").and_then(|node| self.count(node, "calls", 1..=u32::MAX)).map(u64::from),
            bytes: inner.get("bytes").and_then(|node| self.bytes(node, "bytes")),
        }
    }
}

/// What a modifier needs of the policy and does not find there, and how to mend that.
fn without_effect(circumstance: Circumstance, file: &File) -> Option<(&'static str, &'static str)> {
    match circumstance {
        Circumstance::Production if !file.environments.iter().any(Environment::is_production) => {
            Some(("no environment is `production`", "name one so under `environments`, or give one this alias"))
        }
        Circumstance::OffHours if file.risk_hours.is_none() && file.environments.iter().all(|one| one.hours.is_none()) => {
            Some(("the policy has no hours", "write `hours: \"Mon-Fri 08:00-18:00 UTC\"` under `risk`"))
        }
        _ => None,
    }
}
