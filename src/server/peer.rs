//! Serving MCP on a stream whose peer is known: a joined socket, or this process's own standard streams.

use std::path::Path;
use std::sync::Arc;

use opsgate_tools::workspace::Workspace;
use rmcp::ServiceExt;
use tokio::io::{AsyncRead, AsyncWrite};

use super::handler::{Connection, Door};
use super::line::{LineTransport, Lines};
use crate::call::within_roots;
use crate::error::Refusal;
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
    within_roots(&gateway.policy(), caller, &workspace)?;
    Ok(Arc::new(workspace))
}
