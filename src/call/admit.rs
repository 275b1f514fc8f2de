//! Admit: the caller's rate and its budget, then a place among the running. Nothing of the arguments is read before.

use std::sync::Arc;

use super::scrub::longest_answer;
use super::stage::{About, Admitted, Call, Identified, Refused};
use crate::error::{Code, Refusal};
use crate::gateway::Gateway;

impl Gateway {
    pub(super) async fn admit(&self, call: Call<Identified>) -> Result<Call<Admitted>, Box<Refused>> {
        let Call { mut mark, stage } = call;
        let about = |tool: &str| About { tool: tool.to_owned(), ..About::default() };
        if self.stopping.is_cancelled() {
            return Err(mark.refuse(about(&stage.tool), stopping()));
        }
        let counted = match stage.counted {
            Some(counted) => Ok(counted),
            None => self.rates.count(mark.caller.id()),
        };
        if let Err(refusal) = counted {
            return Err(mark.refuse(about(&stage.tool), refusal));
        }
        // A caller that the policy does not know is refused anyway, and has no account.
        if mark.profile.is_some() {
            let policy = &mark.in_force.policy;
            let longest = longest_answer(policy.limits()) as u64;
            match self.budgets.admit(mark.caller.id(), policy.settings().budgets.as_ref(), longest) {
                Ok(charge) => mark.charge = charge.map(Arc::new),
                Err(refusal) => return Err(mark.refuse(about(&stage.tool), refusal)),
            }
        }
        let taken = tokio::select! {
            biased;
            () = mark.cancel.cancelled() => Err(Refusal::new(Code::Cancelled, "the call was cancelled before it ran")),
            taken = self.rates.slots.take(mark.caller.id()) => taken,
        };
        match taken {
            // While it waited the gateway may have begun to stop, and the policy may have changed.
            Ok(_) if self.stopping.is_cancelled() => Err(mark.refuse(about(&stage.tool), stopping())),
            // INVARIANT: a call is decided under the policy that is in force when it gets its place, not when it came (test:
            // a_call_that_waited_is_decided_under_the_policy_in_force).
            Ok(slot) => {
                mark.under(self.in_force());
                Ok(Call { mark, stage: Admitted { tool: stage.tool, args: stage.args, workspace: stage.workspace, progress: stage.progress, slot } })
            }
            Err(refusal) => Err(mark.refuse(about(&stage.tool), refusal)),
        }
    }
}

fn stopping() -> Refusal {
    Refusal::new(Code::ShuttingDown, "the gateway is stopping")
}
