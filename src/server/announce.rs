//! Telling clients that a new policy may show them other tools: `notifications/tools/list_changed`.
//!
//! Who said `initialize` is told without having asked, on its stream, its socket, or the stream that its HTTP session opened
//! with `GET`. From revision 2026-07-28 on a client asks with `subscriptions/listen`, over HTTP too, where each request stands
//! alone; whoever does neither reads in each list that it may be kept for no time at all (`ttlMs: 0`).

use std::sync::{Arc, OnceLock};

use rmcp::model::ErrorData;
use rmcp::service::{Peer, RoleServer, SubscriptionContext};
use tokio_util::task::AbortOnDropHandle;

use crate::gateway::Gateway;

/// Tells one connection, for as long as its door is there.
#[derive(Default)]
pub(super) struct Announcer(OnceLock<AbortOnDropHandle<()>>);

impl Announcer {
    /// From now on this peer is told of each swap. A second start changes nothing.
    pub(super) fn start(&self, gateway: &Gateway, peer: Peer<RoleServer>) {
        self.0.get_or_init(|| {
            let mut swaps = gateway.swaps();
            AbortOnDropHandle::new(tokio::spawn(
                async move { while swaps.changed().await.is_ok() && peer.notify_tool_list_changed().await.is_ok() {} },
            ))
        });
    }
}

/// Tells one subscription of each swap, until the client ends it or the gateway stops.
pub(super) async fn listen(gateway: &Arc<Gateway>, caller: &Arc<str>, context: &SubscriptionContext) -> Result<(), ErrorData> {
    let Some(_listening) = gateway.listeners.join(caller) else {
        let message = "too many subscriptions wait to be told of changes; end one, or ask for the list of tools when you need it";
        return Err(ErrorData::internal_error(message, None));
    };
    let mut swaps = gateway.swaps();
    loop {
        tokio::select! {
            () = context.cancelled() => return Ok(()),
            () = gateway.stopping().cancelled() => return Ok(()),
            swapped = swaps.changed() => {
                if swapped.is_err() || context.sink().notify_tool_list_changed().await.is_err() {
                    return Ok(());
                }
            }
        }
    }
}
