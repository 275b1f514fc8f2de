//! Recorded calls, decided again: under the policy that decided them, or under one that is to be deployed.
//!
//! A decision depends on the policy and [`Facts`](super::Facts) alone, and the log keeps the facts, so that asking again gives the same
//! answer (test: `a_replay_agrees_with_every_decision_of_a_real_gateway`). What the log does not tell is undecidable, and never guessed.

mod archive;
mod record;
mod report;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use opsgate_audit::verify::{Check, CheckError, Record, verify_each};
use opsgate_tools::tool::Spec;

use super::decision::Decision;
use super::review::touches::is_filtered_by_path;
use super::{Catalogue, Policy};
use record::{Judged, Outcome, Read, read};

pub use archive::Archive;
pub use report::{Hidden, LogState, OtherFilters, Redecided, ReplayReport, Tally};

/// Under which policy the calls are decided again.
#[derive(Debug)]
pub enum Under {
    /// Each under the one that decided it: the log and the gateway must agree.
    Recorded,
    /// All under this one, with every tool there is.
    New(Arc<Policy>, Vec<Spec>),
}

/// A replay of one log.
#[derive(Debug)]
pub struct Replay<'a> {
    /// The tools of this build.
    pub catalogue: &'a Catalogue,
    /// The policies that were in force.
    pub archive: Archive,
    /// Which policy is asked.
    pub under: Under,
    /// The public key of the home that the archive is of, hex, where it is known.
    pub home_key: Option<String>,
}

impl Replay<'_> {
    /// Decides every recorded call of the log again, and checks the log's chain on the way. Reads line by line.
    ///
    /// # Errors
    /// [`CheckError`] where there is no log or it cannot be read.
    pub fn run(mut self, log: Vec<PathBuf>) -> Result<ReplayReport, CheckError> {
        let mut report = ReplayReport::default();
        let head = head_beside(&log);
        let check = Check { paths: log, head, ..Check::default() };
        let checked = verify_each(&check, &mut |record| self.record(&record, &mut report))?;
        report.finish(&checked, self.home_key.as_deref());
        Ok(report)
    }

    fn record(&mut self, record: &Record<'_>, report: &mut ReplayReport) {
        if !matches!(record.kind, "call.intent" | "call.refused") {
            return;
        }
        report.records += 1;
        let id = record.request_id.map(|id| uuid::Uuid::from_bytes(id).to_string()).unwrap_or_default();
        match read(record, self.catalogue) {
            Read::Judged(judged) => self.judged(&judged, &id, report),
            Read::NotJudged { code, caller, tool, policy } => {
                report.not_judged(&code, &id);
                if code == "tool_unavailable" && self.would_show(&caller, &tool, &policy) {
                    report.would_be_shown(&caller, &tool, &id);
                }
            }
            Read::Undecidable(why) => report.undecidable(why, &id),
        }
    }

    fn judged(&mut self, judged: &Judged, id: &str, report: &mut ReplayReport) {
        let policy = match &self.under {
            Under::New(policy, _) => policy.clone(),
            Under::Recorded => match self.archive.policy(&judged.policy, self.catalogue) {
                Ok(policy) => policy,
                Err(why) => {
                    report.absent(&judged.policy);
                    report.undecidable(why, id);
                    return;
                }
            },
        };
        let decision = policy.decide(&judged.asked.facts());
        let would = Outcome::of(&decision, judged.asked.class);
        let grounds = judged.was.grounds_agree(&would) && judged.shadow == shadows(&decision);
        let Some(alike) = judged.was.is_alike(&would) else {
            report.undecidable("an older version recorded it without the approvals that it needed", id);
            return;
        };
        if alike && let Some(result) = self.filters(judged, &policy, &decision) {
            match result {
                Ok(Some(wider)) => return report.other_filter(judged, wider, id),
                Ok(None) => {}
                Err(why) => return report.undecidable(why, id),
            }
        }
        match (alike, grounds, &self.under) {
            (true, true, _) => report.same += 1,
            (true, false, Under::New(..)) => {
                report.same += 1;
                report.other_grounds += 1;
            }
            _ => report.changed(judged, &would, id),
        }
    }

    /// For a permitted call whose answer is filtered by path: whether the filter is another under the new policy, and then whether it may
    /// show more; or why that cannot be told.
    // INVARIANT: a call is alike only where its answer hides the same (test: an_answer_that_is_filtered_otherwise_is_not_alike).
    fn filters(&mut self, judged: &Judged, new: &Policy, would: &Decision) -> Option<Result<Option<bool>, &'static str>> {
        let Decision::Permit(would) = would else { return None };
        if new.hash() == judged.policy || !is_filtered_by_path(&judged.asked.tool) {
            return None;
        }
        let old = match self.archive.policy(&judged.policy, self.catalogue) {
            Ok(old) => old,
            Err(why) => return Some(Err(why)),
        };
        let Decision::Permit(was) = old.decide(&judged.asked.facts()) else {
            return Some(Err("its policy does not decide it as it was recorded, so what its answer hid is not known"));
        };
        let (now, was) = (would.filter_globs(), was.filter_globs());
        Some(Ok((now != was).then(|| now.is_wider_than(&was))))
    }

    /// Whether a tool that was hidden would be listed. Where the policy of the time would have listed it too, something else hid it.
    fn would_show(&mut self, caller: &str, tool: &str, policy: &str) -> bool {
        let Under::New(new, specs) = &self.under else { return false };
        let Some(spec) = specs.iter().find(|spec| spec.card.name == tool) else { return false };
        let shown_then = self.archive.policy(policy, self.catalogue).is_ok_and(|old| old.could_permit(caller, false, spec));
        !shown_then && new.could_permit(caller, false, spec)
    }
}

/// The newest signed checkpoint, where the log is a home's: a log that was rolled back is shorter than it says, and one that another key
/// signed has another. An `audit` folder that was copied without its home has none.
fn head_beside(log: &[PathBuf]) -> Option<PathBuf> {
    let [folder] = log else { return None };
    let folder = folder.canonicalize().ok().filter(|folder| folder.is_dir() && folder.ends_with("audit"))?;
    Some(folder.with_file_name("head")).filter(|head| head.symlink_metadata().is_ok())
}

fn shadows(decision: &Decision) -> &[String] {
    match decision {
        Decision::Permit(permit) | Decision::NeedsApproval(permit, _) => permit.shadow(),
        Decision::Deny(denial) => &denial.shadow,
    }
}
