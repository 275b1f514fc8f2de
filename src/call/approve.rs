//! Approve: a permit that asks for people goes no further until they said yes.
//!
//! The room that collects approvals is not built yet: what asks for one is refused with `approvals_unavailable`. What
//! passes is a read, or a write whose rule says `approvals: 0`.

use super::stage::{About, Approved, Authorised, Call, Refused};
use crate::error::{Code, Refusal};
use crate::gateway::Gateway;

impl Gateway {
    #[expect(clippy::unused_self, reason = "the stage's shape: the store of grants is the gateway's")]
    pub(super) fn approve(&self, call: Call<Authorised>) -> Result<Call<Approved>, Box<Refused>> {
        let Call { mark, stage: Authorised { prepared, permit, requirement, judged } } = call;
        match requirement {
            None => Ok(Call { mark, stage: Approved { prepared, permit, judged } }),
            Some(requirement) => {
                let message = format!("`{}` needs {requirement} here, and this version cannot collect one", prepared.spec.card.name);
                Err(mark.refuse(About::judged(&prepared, judged), Refusal::new(Code::ApprovalsUnavailable, message)))
            }
        }
    }
}
