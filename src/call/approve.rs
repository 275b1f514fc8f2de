//! Approve: a permit that asks for people goes no further until they said yes.
//!
//! The room that collects approvals is not built yet: what asks for one is refused with `approvals_unavailable`. What
//! passes is a read, or a write whose rule says `approvals: 0`.

use super::stage::{About, Approved, Authorised, Call, Refused};
use crate::error::{Code, Refusal};
use crate::gateway::Gateway;
use crate::policy::{Quorum, Requirement};

impl Gateway {
    #[expect(clippy::unused_self, reason = "the stage's shape: the store of grants is the gateway's")]
    pub(super) fn approve(&self, call: Call<Authorised>) -> Result<Call<Approved>, Box<Refused>> {
        let Call { mark, stage: Authorised { prepared, permit, requirement, judged } } = call;
        match requirement {
            None => Ok(Call { mark, stage: Approved { prepared, permit, judged } }),
            Some(requirement) => {
                let message =
                    format!("`{}` needs an approval here ({}), and this version cannot collect one", prepared.spec.card.name, quorums(&requirement));
                Err(mark.refuse(About::judged(&prepared, judged), Refusal::new(Code::ApprovalsUnavailable, message)))
            }
        }
    }
}

/// `1 of oncall and 2 of security`
fn quorums(requirement: &Requirement) -> String {
    let quorum = |q: &Quorum| match &q.group {
        Some(group) => format!("{} of {group}", q.count),
        None => format!("{} of anyone", q.count),
    };
    requirement.approvals.iter().map(quorum).collect::<Vec<_>>().join(" and ")
}
