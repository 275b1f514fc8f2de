//! Progress of a call, to a client that asked for it with a token.

use opsgate_tools::progress::Progress;
use rmcp::model::ProgressNotificationParam;
use rmcp::service::{RequestContext, RoleServer};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Lines that wait for a slow client; what comes beyond is left out, since the reply has it all.
const WAITING: usize = 64;

/// Brings lines to the client until it is stopped.
pub(super) struct Forwarder(Option<JoinHandle<()>>);

/// Where a call says how far it is; nowhere if the client sent no progress token.
pub(super) fn of(context: &RequestContext<RoleServer>) -> (Progress, Forwarder) {
    let Some(token) = context.meta.get_progress_token() else { return (Progress::default(), Forwarder(None)) };
    let (lines, mut waiting) = mpsc::channel::<String>(WAITING);
    let peer = context.peer.clone();
    let forwarder = tokio::spawn(async move {
        let mut said = 0.0;
        while let Some(line) = waiting.recv().await {
            said += 1.0; // a count that grows: how much there is to come, nobody knows
            let progress = ProgressNotificationParam::new(token.clone(), said).with_message(line);
            if peer.notify_progress(progress).await.is_err() {
                return;
            }
        }
    });
    let progress = Progress::to(move |line| drop(lines.try_send(line.to_owned())));
    (progress, Forwarder(Some(forwarder)))
}

impl Forwarder {
    /// Nothing is sent any more: what comes next is the reply.
    pub(super) async fn stop(self) {
        if let Some(task) = self.0 {
            task.abort();
            let _ = task.await; // aborted
        }
    }
}
