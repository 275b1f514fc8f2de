//! Serving MCP on a stream whose peer is known: a joined socket, or this process's own standard streams.

use std::path::Path;
use std::sync::Arc;

use opsgate_tools::workspace::Workspace;
use rmcp::ServiceExt;
use tokio::io::{AsyncRead, AsyncWrite};

use super::handler::{Connection, Door};
use super::line::{LineTransport, Lines};
use crate::error::{Code, Refusal};
use crate::gateway::Gateway;
use crate::identity::Caller;

/// Serves MCP until the peer hangs up or the gateway has stopped and drained its calls.
pub async fn serve_stream<R, W>(gateway: Arc<Gateway>, connection: Connection, input: Lines<R>, output: W)
where
    R: AsyncRead + Unpin + Send + 'static,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let drained = gateway.drained().child_token();
    let transport = LineTransport::new(input, output, gateway.metrics.clone());
    // An error here is a peer that left before or spoke no MCP; it was answered on the wire already.
    if let Ok(service) = Door::for_peer(gateway, connection).serve_with_ct(transport, drained).await {
        let _ = service.waiting().await;
    }
}

/// Opens the repository a connection names, where policy lets this caller work on it.
///
/// # Errors
/// Where it is no repository, or policy's `workspace.roots` do not hold it.
pub fn workspace_for(gateway: &Gateway, caller: &Caller, folder: &Path) -> Result<Arc<Workspace>, Refusal> {
    let workspace = Workspace::open(folder).map_err(|error| {
        let refusal = Refusal::from(error);
        Refusal { message: format!("`{}`: {}", folder.display(), refusal.message), ..refusal }
    })?;
    // A caller over HTTP has no uid here: the folder was named by whoever runs the gateway.
    let uid = caller.uid().unwrap_or_else(|| rustix::process::geteuid().as_raw());
    let same_user = uid == rustix::process::geteuid().as_raw();
    let home = std::env::var("HOME").ok().filter(|_| same_user);
    if gateway.policy().workspace_root_allowed(workspace.root_path(), home.as_deref(), workspace.owner_uid() == uid) {
        Ok(Arc::new(workspace))
    } else {
        let message = format!("policy does not allow the repository `{}` as a workspace; add it to `systems.workspace.roots`", workspace.root_path());
        Err(Refusal::new(Code::PolicyDenied, message))
    }
}
