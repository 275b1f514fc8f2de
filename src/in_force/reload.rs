//! A reload: read, judge, record, swap. Whatever goes wrong before the swap leaves the last good policy as it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use opsgate_audit::{AppendError, Appended, CanonicalJson, EventKind, Log};
use serde_json::{Value, json};

use super::{InForce, LoadError, name_of};
use crate::gateway::Gateway;
use crate::observe::log;
use crate::policy::PolicyErrors;

/// Contents of which it is remembered that they were refused.
const MOST_REFUSED: usize = 1024;
/// How much of a finding is recorded, in characters.
const LONGEST_FINDING: usize = 300;

/// What a policy is loaded for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Because {
    Start,
    File,
    Signal,
}

impl Because {
    fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::File => "file",
            Self::Signal => "signal",
        }
    }
}

/// How a reload ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Reload {
    Swapped,
    Unchanged,
    /// The last good policy stays.
    Rejected,
    /// The last good policy stays, for a reason that may pass without the file being touched: it is asked again.
    Again,
}

/// What was refused since the last good load, by content, reason and kind, so that each is told once and recorded once, and
/// whether it is recorded. Its lock makes one reload follow the other.
#[derive(Default)]
pub(crate) struct Refused(BTreeMap<(Option<String>, &'static str, String), bool>);

/// What came of reading and judging.
enum Judged {
    Unchanged,
    Good(Box<InForce>),
    Bad { file: String, hash: Option<String>, why: LoadError },
}

/// Records that a policy comes into force.
pub(crate) fn record(log: &Log, in_force: &InForce, replaces: Option<&str>, because: Because, write_mode_off: bool) -> Result<Appended, AppendError> {
    let mut data = json!({
        "because": because.name(),
        "file": in_force.file_name(),
        "hash": in_force.policy.hash(),
        "write_mode_off_by_environment": write_mode_off,
    });
    if let (Some(replaces), Some(data)) = (replaces, data.as_object_mut()) {
        data.insert("replaces".to_owned(), replaces.into());
    }
    event(log, EventKind::PolicyLoaded, &data)
}

/// These values are strings and flags: that they have a canonical form is certain.
fn event(log: &Log, kind: EventKind, data: &Value) -> Result<Appended, AppendError> {
    let data = CanonicalJson::of(data).map_err(|_| AppendError::Full { what: "the form of a policy's event" })?;
    log.event(kind, None, data)
}

impl Gateway {
    /// Reads the policy anew and brings it into force, where it is good and another than before.
    pub(crate) async fn reload(self: &Arc<Self>, because: Because) -> Reload {
        let mut refused = self.refused.lock().await;
        let gateway = self.clone();
        let Ok(judged) = tokio::task::spawn_blocking(move || gateway.judge_anew()).await else { return Reload::Again };
        match judged {
            Judged::Unchanged => {
                refused.0.clear();
                if because == Because::Signal {
                    log::info(log::Component::Policy, "the policy is unchanged").emit();
                }
                Reload::Unchanged
            }
            Judged::Good(next) => {
                let result = self.swap(*next, because).await;
                if result == Reload::Swapped {
                    refused.0.clear();
                }
                result
            }
            Judged::Bad { why: LoadError::Unsettled, .. } => {
                log::warn(log::Component::Policy, "the policy file changes while it is read; it is read again once it rests").emit();
                Reload::Again
            }
            Judged::Bad { file, hash, why } => {
                if refused.0.len() >= MOST_REFUSED {
                    refused.0.clear();
                }
                let again = why.may_pass();
                let known = (hash.clone(), why.reason(), why.kind());
                let recorded = refused.0.get(&known).copied();
                // What is looked at again and again is told once, unless somebody asks.
                let tell = recorded.is_none() || !again && recorded == Some(true) || because == Because::Signal;
                if tell {
                    self.metrics.policy_load("rejected");
                    self.say_refused(&why);
                }
                let result = match recorded {
                    Some(true) => Ok(()),
                    Some(false) | None => self.record_refused(because, &file, hash.as_deref(), &why).await,
                };
                refused.0.insert(known, result.is_ok());
                if let Err(error) = &result
                    && tell
                {
                    log::error(log::Component::Audit, "a refused policy could not be recorded")
                        .with("error", &self.scrubber.text(&error.to_string()).0)
                        .emit();
                }
                let full = matches!(result, Err(AppendError::Full { .. }));
                if again || full { Reload::Again } else { Reload::Rejected }
            }
        }
    }

    /// Blocks: for a thread that may.
    fn judge_anew(&self) -> Judged {
        let in_force = self.in_force();
        let text = match self.loader.read(Some(&in_force)) {
            Ok(text) => text,
            Err(why) => return Judged::Bad { file: name_of(self.loader.file(Some(&in_force)).as_deref()), hash: None, why },
        };
        if text.hash == in_force.policy.hash() {
            return Judged::Unchanged;
        }
        match self.loader.judge(&text, self.home(), self.standing()) {
            Ok(next) => Judged::Good(Box::new(next)),
            Err(why) => Judged::Bad { file: name_of(text.file.as_deref()), hash: Some(text.hash), why },
        }
    }

    /// INVARIANT: no call is decided under a policy before its `policy.loaded` is durable; what the log cannot take does not come
    /// into force (tests: tests/reload/load.rs, under_load_each_record_agrees_with_the_policy_it_names;
    /// call/tests/reload.rs, what_the_log_cannot_take_does_not_come_into_force).
    async fn swap(&self, next: InForce, because: Because) -> Reload {
        let before = self.in_force();
        let recorded = match record(&self.log, &next, Some(before.policy.hash()), because, self.write_mode_off) {
            Ok(appended) => appended.durable().await.map(drop),
            Err(error) => Err(error),
        };
        if let Err(error) = recorded {
            self.metrics.policy_load("rejected");
            log::error(log::Component::Policy, "the new policy could not be recorded; the last good policy stays in force")
                .with("error", &self.scrubber.text(&error.to_string()).0)
                .emit();
            return if matches!(error, AppendError::Full { .. }) { Reload::Again } else { Reload::Rejected };
        }
        self.loader.say_warnings(&next.policy, &self.scrubber);
        let (limits, hash) = (next.policy.limits().clone(), next.policy.hash().to_owned());
        self.put_in_force(next);
        self.rates.set(&limits);
        self.metrics.policy_load("loaded");
        log::info(log::Component::Policy, "a new policy is in force").with("hash", &self.scrubber.text(&hash).0).emit();
        Reload::Swapped
    }

    /// For the operator: the place and the first finding.
    fn say_refused(&self, why: &LoadError) {
        let text = match why {
            LoadError::Policy(errors) | LoadError::Unreadable(errors) => first(errors),
            other => other.to_string(),
        };
        log::error(log::Component::Policy, "the policy file is not taken; the last good policy stays in force")
            .with("why", &self.scrubber.text(&text).0)
            .emit();
    }

    async fn record_refused(&self, because: Because, file: &str, hash: Option<&str>, why: &LoadError) -> Result<(), AppendError> {
        let mut data = json!({
            "because": because.name(),
            "file": file,
            "in_force": self.policy().hash(),
            "reason": why.reason(),
        });
        if let Some(data) = data.as_object_mut() {
            if let Some(hash) = hash {
                data.insert("hash".to_owned(), hash.into());
            }
            if let LoadError::Policy(errors) | LoadError::Unreadable(errors) = why
                && let Some(finding) = errors.all().first()
            {
                // The words may repeat what somebody wrote into the file, and that may be a secret.
                let said: String = self.scrubber.untrusted_text(&finding.message).0.into_inner().chars().take(LONGEST_FINDING).collect();
                data.insert("finding".to_owned(), said.into());
            }
            if let LoadError::Policy(errors) = why
                && let Some(finding) = errors.all().first()
            {
                data.insert("line".to_owned(), finding.line.into());
                data.insert("column".to_owned(), finding.column.into());
                data.insert("findings".to_owned(), errors.all().len().into());
            }
        }
        event(&self.log, EventKind::PolicyRejected, &data)?.durable().await.map(drop)
    }
}

fn first(errors: &PolicyErrors) -> String {
    let Some(finding) = errors.all().first() else { return errors.to_string() };
    let more = match errors.all().len() {
        0 | 1 => String::new(),
        n => format!(" (and {} more)", n - 1),
    };
    let help = finding.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
    format!("{}:{}:{}: {}{help}{more}", finding.file, finding.line, finding.column, finding.message)
}
