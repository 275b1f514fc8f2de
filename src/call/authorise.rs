//! Authorise: one pure question to the policy. What it permits carries the filter for what comes back.

use opsgate_tools::tool::Spec;

use super::stage::{About, Authorised, Call, Prepared, Refused};
use crate::gateway::Gateway;
use crate::policy::{Decision, Facts};

impl Gateway {
    pub(super) fn authorise(&self, call: Call<Prepared>) -> Result<Call<Authorised>, Box<Refused>> {
        let Call { mark, stage: prepared } = call;
        let now = jiff::Timestamp::now();
        let Spec { card, class, .. } = prepared.spec;
        let facts = Facts {
            caller: mark.caller.id(),
            tool: card.name,
            system: card.system,
            class,
            scopes: &prepared.scopes,
            trigger: mark.trigger,
            write_mode_env_off: mark.write_mode_off,
            same_user: mark.same_user,
            now,
        };
        match mark.policy.decide(&facts) {
            Decision::Permit(permit) => Ok(Call { mark, stage: Authorised { prepared, permit, requirement: None, now } }),
            Decision::NeedsApproval(permit, requirement) => {
                Ok(Call { mark, stage: Authorised { prepared, permit, requirement: Some(requirement), now } })
            }
            Decision::Deny(denial) => Err(mark.refuse(About::of(&prepared), denial)),
        }
    }
}
