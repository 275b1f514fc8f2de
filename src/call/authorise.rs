//! Authorise: one pure question to the policy. What it permits carries the filter for what comes back.

use opsgate_tools::change::Change;
use opsgate_tools::scope::Scopes;
use opsgate_tools::tool::Spec;

use super::stage::{About, Authorised, Call, Judged, Mark, Prepared, Refused};
use crate::gateway::Gateway;
use crate::policy::{ChangePart, Decision, Facts};

impl Gateway {
    pub(super) fn authorise(&self, call: Call<Prepared>) -> Result<Call<Authorised>, Box<Refused>> {
        let Call { mark, stage: prepared } = call;
        let (decision, judged) = self.judge(&mark, &prepared.spec, &prepared.scopes, &prepared.change);
        match decision {
            Decision::Permit(permit) => Ok(Call { mark, stage: Authorised { prepared, permit, requirement: None, judged } }),
            Decision::NeedsApproval(permit, requirement) => {
                Ok(Call { mark, stage: Authorised { prepared, permit, requirement: Some(requirement), judged } })
            }
            Decision::Deny(denial) => Err(mark.refuse(About::judged(&prepared, judged), denial)),
        }
    }

    /// Asks the policy, counts the rules in shadow that the call meets, and keeps what the record needs to ask again.
    pub(super) fn judge(&self, mark: &Mark, spec: &Spec, scopes: &Scopes, change: &Change) -> (Decision, Judged) {
        let (at, change) = (jiff::Timestamp::now(), ChangePart::given(change));
        let Spec { card, class, .. } = spec;
        let decision = mark.in_force.policy.decide(&Facts {
            caller: mark.caller.id(),
            tool: card.name,
            system: card.system,
            class: *class,
            scopes,
            trigger: mark.trigger,
            write_mode_env_off: mark.write_mode_off,
            same_user: mark.same_user,
            change: &change,
            now: at,
        });
        let (denial, risk, shadow) = match &decision {
            Decision::Permit(permit) | Decision::NeedsApproval(permit, _) => (None, Some(permit.risk()), permit.shadow()),
            Decision::Deny(denial) => (Some(denial.code), None, denial.shadow.as_slice()),
        };
        let required = if let Decision::NeedsApproval(_, requirement) = &decision { Some(requirement.into()) } else { None };
        shadow.iter().for_each(|rule| self.metrics.shadowed(rule));
        let judged = Judged { at, class: *class, change, decision: decision.name(), denial, required, risk, shadow: shadow.to_vec() };
        (decision, judged)
    }
}
