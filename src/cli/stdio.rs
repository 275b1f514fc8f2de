//! `opsgate stdio`

use std::path::Path;
use std::sync::Arc;

use super::{Failure, WorkspaceArg, exit, out};
use crate::gateway::Gateway;
use crate::home::Settings;
use crate::identity::Caller;
use crate::server::{Connection, Hello, Lines, relay, serve_stream, standard_streams, workspace_for};

/// Speaks MCP for one client.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    workspace: WorkspaceArg,
    /// Be the gateway instead of joining the home's; takes the home's lock
    #[arg(long)]
    in_process: bool,
}

pub(super) async fn run(settings: &Settings, args: Args) -> Result<u8, Failure> {
    let explicit = args.workspace.workspace.is_some();
    let folder = match args.workspace.workspace {
        Some(folder) => {
            std::path::absolute(&folder).map_err(|error| Failure::new(exit::BAD_CONFIGURATION, format!("`{}`: {error}", folder.display())))?
        }
        None => std::env::current_dir().map_err(|error| Failure::new(exit::BAD_CONFIGURATION, format!("the current folder: {error}")))?,
    };
    let (input, output) = standard_streams();
    // A relay has no policy: to it the signal means nothing. It ends with its input, as it would with a closed terminal.
    let hangup = super::serve::hangups()?;
    if args.in_process {
        let ended = super::serve::signalled();
        let gateway = super::open_closed(settings)?;
        let connection = connection_here(&gateway, &folder, explicit).await?;
        let follower = tokio::spawn(gateway.clone().follow_policy(hangup));
        let stopped = gateway.clone();
        tokio::spawn(async move {
            ended.await;
            stopped.drain().await; // what runs is answered; then the stream ends, whether or not the client closes it
        });
        serve_stream(gateway.clone(), connection, Lines::new(input), output).await;
        gateway.close().await;
        follower.abort();
        return Ok(exit::OK);
    }
    let hello = Hello::new(settings, Some(folder), explicit).map_err(|error| Failure::new(exit::BAD_CONFIGURATION, error))?;
    relay(settings, &hello, input, output, |text| out::complain(text)).await?;
    Ok(exit::OK)
}

/// This process as a connection to its own gateway. A folder that nobody named may be no repository; where one that was named is none,
/// the gateway, which has recorded its policy by now, is closed.
pub(super) async fn connection_here(gateway: &Arc<Gateway>, folder: &Path, explicit: bool) -> Result<Connection, Failure> {
    let caller = Caller::of_this_process();
    let workspace = match workspace_for(gateway, &caller, folder) {
        Ok(workspace) => Some(workspace),
        Err(why) if explicit => {
            gateway.close().await;
            return Err(Failure::new(exit::BAD_CONFIGURATION, why.message));
        }
        Err(why) => {
            out::complain(format!("no workspace: {}", why.message));
            None
        }
    };
    Ok(Connection::new(caller, workspace))
}
