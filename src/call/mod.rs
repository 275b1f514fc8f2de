//! The path of one call, whole, on this screen.
//!
//! Each stage consumes the one before it and lives in the file of its name; none can be skipped, because the next one
//! does not compile without it. A refusal at any stage travels to the same log. `identify` happens at the door
//! ([`crate::identity`]): a [`RawCall`] cannot be made without a [`Caller`].

mod admit;
mod approve;
mod authorise;
mod entry;
mod execute;
mod intend;
mod prepare;
mod record;
mod refuse;
mod reply;
mod roots;
mod scrub;
mod stage;
#[cfg(test)]
mod tests;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;

use crate::error::Refusal;
use crate::gateway::Gateway;
use crate::identity::Caller;
use crate::observe::Stage::{Admit, Approve, Authorise, Execute, Intend, Prepare, Record, Scrub};

pub use reply::{Body, Reply, ReplyReceipt};
pub use roots::{ROOTS, within_roots};
pub use stage::{Call, RawCall, Refused};

impl Gateway {
    /// Answers one call. The work is detached from the caller: one that hangs up loses no record.
    pub async fn handle(self: &Arc<Self>, raw: RawCall) -> Reply {
        let (gateway, call) = (self.clone(), Call::begin(self, raw));
        let (mark, about) = call.mark();
        let detached = async move {
            match AssertUnwindSafe(gateway.answer(call)).catch_unwind().await {
                Ok(reply) => reply,
                Err(_panicked) => gateway.refuse(mark.died(about)).await,
            }
        };
        match self.running.spawn(detached).await {
            Ok(reply) => reply,
            Err(_) => Reply::lost(), // the runtime itself is going down
        }
    }

    /// Records a refusal that a door made before MCP was read.
    pub async fn refuse_at_door(&self, caller: Caller, tool: &str, refusal: Refusal) -> Reply {
        self.refuse(Refused::at_door(self, caller, tool, refusal)).await
    }

    async fn answer(&self, call: Call<stage::Identified>) -> Reply {
        match self.path(call).await {
            Ok(reply) => reply,
            Err(refused) => self.refuse(*refused).await,
        }
    }

    async fn path(&self, call: Call<stage::Identified>) -> Result<Reply, Box<Refused>> {
        let cpu = &self.stages;
        let call = cpu.of(Admit, self.admit(call)).await?; //                  rates, then a place among the running
        let call = cpu.of(Prepare, self.prepare(call)).await?; //              arguments parsed and resolved, once
        let call = cpu.of(Authorise, async { self.authorise(call) }).await?; //  policy: pure, deny wins
        let call = cpu.of(Approve, async { self.approve(call) }).await?; //      people, where the policy asks for them
        let call = cpu.of(Intend, self.intend(call)).await?; //                into the chain: only this makes a receipt
        let call = cpu.of(Execute, self.execute(call)).await; //               the tool takes the receipt by value
        let call = cpu.of(Scrub, async { self.scrub(call) }).await; //           only clean text goes on
        let call = cpu.of(Record, self.record(call)).await?; //                the outcome, durable
        Ok(call.reply()) //                                                    a reply has no other source
    }
}
