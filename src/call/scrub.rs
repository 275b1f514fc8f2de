//! Scrub: what a tool returned, good or bad, becomes `Clean`. Nothing else goes on.

use serde_json::Value;

use super::stage::{Call, CleanRefusal, Executed, Scrubbed};
use crate::error::{Code, Refusal};
use crate::gateway::Gateway;
use crate::policy::{Language, Limits, OnExposure};
use crate::scrub::{Clean, Counts, Scrubber};

/// From here on, scrubbing takes long enough to be moved out of the others' way.
const LONG: usize = 64 * 1024;
/// The longest sentence of a refusal, in bytes: it may quote what the caller sent.
const LONGEST_MESSAGE: usize = 2048;
/// The longest name of what a write made, in bytes.
const LONGEST_REFERENCE: usize = 512;
/// Beyond the tools' own budget: names, positions, the JSON around the variable part.
const STRUCTURE_FACTOR: usize = 4;

/// The longest answer that may leave, in bytes.
pub(super) fn longest_answer(limits: &Limits) -> usize {
    limits.output_bytes.saturating_mul(STRUCTURE_FACTOR)
}

impl Gateway {
    pub(super) fn scrub(&self, call: Call<Executed>) -> Call<Scrubbed> {
        let bound = longest_answer(call.mark.in_force.policy.limits());
        let language = call.mark.in_force.policy.settings().language;
        let charge = call.mark.charge.clone();
        let withhold = call.mark.in_force.policy.settings().scrub.on_exposure == OnExposure::Withhold;
        call.map(|Executed { about, wrote, result, reference, hidden, redacted, pending, slot }| {
            let mut scrubbed = redacted;
            let result = match result {
                Ok(output) => {
                    let (structured, text, counts) = self.cleaned(output);
                    scrubbed.merge(&counts);
                    let held_back = if withhold && !scrubbed.is_empty() {
                        Some(Refusal::new(Code::ExposureWithheld, "the answer held a secret, and the policy withholds such answers"))
                    } else if text.len() > bound {
                        let message = format!("the answer has {} bytes, more than the {bound} that may leave", text.len());
                        Some(Refusal::new(Code::OutputTooLarge, message))
                    } else {
                        None
                    };
                    match held_back {
                        None => Ok((structured, text)),
                        // INVARIANT: a write that was made is never told as a refusal, or it would be repeated (test:
                        // a_write_whose_answer_is_withheld_is_told_as_done).
                        Some(refusal) if wrote => {
                            let answer = serde_json::json!({ "status": "done", "withheld": refusal.message });
                            let (structured, text, _) = self.cleaned(answer);
                            Ok((structured, text))
                        }
                        Some(refusal) => Err(CleanRefusal::of(&self.scrubber, refusal, language)),
                    }
                }
                Err(refusal) => Err(CleanRefusal::of(&self.scrubber, refusal, language)),
            };
            if let (Some(charge), Ok((_, text))) = (charge, &result) {
                charge.spend(text.len());
            }
            let reference = reference.map(|reference| self.scrubber.text(&reference).0.shortened(LONGEST_REFERENCE));
            if !scrubbed.is_empty() {
                self.metrics.exposed(&about.tool);
            }
            for (kind, count) in scrubbed.iter() {
                self.metrics.scrubbed(kind, count);
            }
            Scrubbed { about, wrote, result, reference, scrubbed, hidden, pending, slot }
        })
    }
}

impl Gateway {
    /// The answer without secrets and hidden characters, and the same as JSON text. A long one does not hold up other calls.
    fn cleaned(&self, output: Value) -> (Clean<Value>, Clean<String>, Counts) {
        let long = weight(&output) > LONG;
        let clean = || {
            let (structured, counts) = self.scrubber.untrusted_json(output);
            let text = structured.to_json_text();
            (structured, text, counts)
        };
        if long { tokio::task::block_in_place(clean) } else { clean() }
    }
}

/// About how many bytes of text a value holds; counting stops where it is long.
fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => sum(items.iter().map(weight)),
        Value::Object(fields) => sum(fields.iter().map(|(name, value)| name.len() + weight(value))),
        _ => 8,
    }
}

fn sum(mut weights: impl Iterator<Item = usize>) -> usize {
    weights.try_fold(0, |sum: usize, weight| if sum > LONG { Err(sum) } else { Ok(sum + weight) }).unwrap_or_else(|sum| sum)
}

impl CleanRefusal {
    /// Scrubs every word of a refusal; its detail goes to the log, scrubbed as well.
    pub(super) fn of(scrubber: &Scrubber, refusal: Refusal, language: Language) -> Self {
        // Scrubbed first and cut then: half a secret would not be known for one.
        let clean = |text: String| scrubber.untrusted_text(&text).0.shortened(LONGEST_MESSAGE);
        let (retry_after_s, maybe_done) = (refusal.retry_after_s(), refusal.maybe_done || matches!(refusal.code, Code::TimedOut | Code::Cancelled));
        let hint = refusal.hint.map_or_else(|| Clean::from_fixed(refusal.code.hint_in(language)), |hint| clean(hint.into()));
        Self {
            code: refusal.code,
            message: clean(refusal.message),
            told: refusal.told.map(|told| clean(told.into())),
            hint,
            rule: refusal.rule.map(|rule| clean(rule.into())),
            retry_after_s,
            maybe_done,
        }
    }
}
