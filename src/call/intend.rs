//! Intend: the intent goes into the chain. Only this makes a receipt, and only a receipt runs a tool.

use opsgate_tools::erased::Action;

use super::entry;
use super::stage::{About, Approved, Call, Intended, Licensed, Prepared, Refused};
use crate::gateway::Gateway;
use crate::policy::AuditReads;
use opsgate_tools::mode::Mode;

impl Gateway {
    pub(super) async fn intend(&self, call: Call<Approved>) -> Result<Call<Intended>, Box<Refused>> {
        let Call { mark, stage: Approved { prepared, permit, judged } } = call;
        let about = About::judged(&prepared, judged);
        if let Some(refusal) = mark.given_up() {
            return Err(mark.refuse(about, refusal));
        }
        let data = match entry::intent(&self.scrubber, &mark, &prepared, &permit, &about) {
            Ok(data) => data,
            Err(refusal) => return Err(mark.refuse(about, refusal)),
        };
        let Prepared { action, digest, slot, .. } = prepared;
        let (receipt, pending) = match self.log.intent(&mark.re, digest, data) {
            Ok(written) => written,
            Err(error) => return Err(mark.refuse(about, error)),
        };
        let work = match action {
            // INVARIANT: a read's intent and outcome may share one sync; nothing is revealed before both are durable.
            Action::Read(read) => {
                if mark.in_force.policy.settings().audit.reads == AuditReads::Strict
                    && let Err(error) = self.log.sync(&receipt).await
                {
                    return Err(mark.refuse(about, error));
                }
                Licensed::Read(read, receipt)
            }
            Action::Write(write) if permit.mode() == Mode::DryRun => Licensed::Rehearsal(write, receipt),
            // INVARIANT: no external effect without a durable intent (test: a_write_runs_only_after_its_intent_is_durable).
            Action::Write(write) => match self.log.durable(receipt).await {
                Ok(durable) => Licensed::Write(write, durable),
                Err(error) => return Err(mark.refuse(about, error)),
            },
        };
        Ok(Call { mark, stage: Intended { about, work, permit, pending, slot } })
    }
}
