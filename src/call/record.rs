//! Record: the outcome goes into the chain and is durable before anything leaves.

use opsgate_audit::{AppendError, Outcome};

use super::entry;
use super::stage::{Call, Recorded, Refused, Scrubbed};
use crate::error::{Code, Refusal};
use crate::gateway::Gateway;
use crate::observe::{Fate, log};

impl Gateway {
    pub(super) async fn record(&self, call: Call<Scrubbed>) -> Result<Call<Recorded>, Box<Refused>> {
        let Call { mark, stage: Scrubbed { about, wrote, result, reference, scrubbed, hidden, pending, slot } } = call;
        let outcome = match &result {
            Ok(_) => Outcome::Ok,
            // A write that ran out of time, or failed after its effect, may or may not have happened.
            Err(refusal) if wrote && refusal.maybe_done => Outcome::Indeterminate,
            Err(_) => Outcome::Error,
        };
        let took = mark.started.elapsed();
        let appended = match entry::outcome(mark.in_force.policy.settings().audit.level, &result, reference.as_ref(), &scrubbed, hidden, took) {
            Ok(data) => pending.outcome(outcome, data),
            Err(_) => {
                drop(pending); // which records `indeterminate`
                Err(AppendError::Full { what: "the outcome's record" })
            }
        };
        let proof = match appended {
            Ok(appended) => appended.durable().await,
            Err(error) => Err(error),
        };
        drop(slot);
        match proof {
            Ok(proof) => {
                self.metrics.called(&about.tool, Fate::Allowed, took);
                if log::shows_debug() {
                    let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
                    log::debug(log::Component::Call, "a call ended")
                        .of_call(&mark.re)
                        .with("tool", &self.scrubber.text(&about.tool).0)
                        .count("duration_us", took)
                        .emit();
                }
                Ok(Call { mark, stage: Recorded { result, proof } })
            }
            Err(error) => {
                // INVARIANT: no reply without a durable outcome (test: an_answer_that_cannot_be_recorded_is_withheld).
                // A log that is closed is whole: the next start closes the intent as indeterminate.
                if !matches!(error, AppendError::Closed) {
                    let (log, why) = (self.log.clone(), format!("the outcome of {} could not be recorded: {error}", mark.re.request_id));
                    let _ = tokio::task::spawn_blocking(move || log.seal(&why)).await; // it writes and syncs the mark
                }
                let refusal = if wrote {
                    Refusal {
                        detail: Some(error.to_string()),
                        ..Refusal::new(Code::ExecutedAuditFailed, "executed, audit failed: the result is withheld")
                    }
                } else {
                    error.into()
                };
                Err(mark.refuse(about, refusal))
            }
        }
    }
}
