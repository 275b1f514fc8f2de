//! `opsgate serve`

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Failure, exit, out};
use crate::gateway::Gateway;
use crate::home::{Settings, write_private};
use crate::identity::{Caller, KeyStore};
use crate::observe::log;
use crate::server::{HttpDoor, Idle, Started, serve_admin, serve_http, serve_socket, workspace_for};
use crate::trust::Trust;

/// Where HTTP listens unless told otherwise.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8787);

/// Runs the gateway.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Where HTTP listens [env: OPSGATE_LISTEN] [default: 127.0.0.1:8787]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Where /metrics, /healthz and /readyz listen; loopback only [env: OPSGATE_ADMIN_LISTEN] [default: nowhere]
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<SocketAddr>,
    /// The git repository that HTTP callers work on [default: none]
    #[arg(long, value_name = "DIR")]
    workspace: Option<PathBuf>,
    /// Only the home's socket, no HTTP
    #[arg(long)]
    socket_only: bool,
    /// Listen beyond loopback without TLS; what is sent can be read on the way
    #[arg(long)]
    insecure_bind: bool,
    /// End after this many seconds without a connection to the socket
    #[arg(long, value_name = "SECONDS", hide = true)]
    idle_exit: Option<u64>,
    /// Say on standard output, in one line of JSON, whether the gateway started
    #[arg(long, hide = true)]
    announce: bool,
}

pub(super) async fn run(mut settings: Settings, args: Args) -> Result<u8, Failure> {
    let announce = args.announce;
    settings.insecure_bind = args.insecure_bind;
    let result = serve(&settings, args).await;
    if let (true, Err(failure)) = (announce, &result) {
        say_started(&Started { error: Some(failure.message.clone()), exit: failure.exit });
    }
    result
}

async fn serve(settings: &Settings, args: Args) -> Result<u8, Failure> {
    let listen = args.listen.or(settings.listen).unwrap_or(DEFAULT_LISTEN);
    let admin = args.admin_listen.or(settings.admin_listen);
    if !args.socket_only && !listen.ip().is_loopback() && !args.insecure_bind {
        let message = format!("`{listen}` is beyond loopback and this version has no TLS; put a TLS proxy in front, or say --insecure-bind");
        return Err(Failure::new(exit::BAD_CONFIGURATION, message));
    }
    if let Some(admin) = admin.filter(|a| !a.ip().is_loopback()) {
        return Err(Failure::new(exit::BAD_CONFIGURATION, format!("`{admin}` is beyond loopback; operators' endpoints listen on loopback only")));
    }
    let (hangup, ended) = (hangups()?, signalled());
    let gateway = super::open_closed(settings)?;
    let follower = tokio::spawn(gateway.clone().follow_policy(hangup));
    let served = listen_everywhere(&gateway, &args, listen, admin, ended).await;
    gateway.close().await;
    follower.abort();
    served
}

async fn listen_everywhere(
    gateway: &Arc<Gateway>,
    args: &Args,
    listen: SocketAddr,
    admin: Option<SocketAddr>,
    ended: impl Future<Output = ()>,
) -> Result<u8, Failure> {
    let busy = |what: &str, error: std::io::Error| Failure::new(exit::BAD_CONFIGURATION, format!("cannot listen on `{what}`: {error}"));
    let (idle, socket) = serve_socket(gateway.clone()).map_err(|error| busy(&gateway.socket().display().to_string(), error))?;
    let mut doors = tokio::task::JoinSet::new();
    doors.spawn(socket);
    if !args.socket_only {
        let door = http_door(gateway, args)?;
        let (bound, http) = serve_http(door, listen).await.map_err(|error| busy(&listen.to_string(), error))?;
        doors.spawn(http);
        note("listening for MCP over HTTP", &format!("http://{bound}/mcp"), gateway);
    }
    if let Some(admin) = admin {
        let (bound, serve) = serve_admin(gateway.clone(), admin).await.map_err(|error| busy(&admin.to_string(), error))?;
        doors.spawn(serve);
        note("listening for operators", &format!("http://{bound}/metrics"), gateway);
    }
    note("listening for local clients", &gateway.socket().display().to_string(), gateway);
    say_trust(gateway);
    let sweeper = gateway.clone();
    doors.spawn(async move { sweeper.sweep().await });
    if args.announce {
        say_started(&Started { error: None, exit: exit::OK });
    }
    tokio::select! {
        () = ended => {}
        () = idle_for(idle, args.idle_exit) => {}
    }
    log::info(log::Component::Gateway, "stopping: running calls are drained").emit();
    gateway.drain().await;
    // Connections that do not close by themselves do not hold the log open: the gateway waited for calls, not for peers.
    let _ = tokio::time::timeout(Duration::from_secs(2), doors.join_all()).await;
    Ok(exit::OK)
}

fn http_door(gateway: &Arc<Gateway>, args: &Args) -> Result<HttpDoor, Failure> {
    let bad = |error: crate::identity::KeyError| Failure::new(exit::BAD_CONFIGURATION, error);
    let keys = KeyStore::open(&gateway.home().keys()).map_err(bad)?;
    if keys.list().map_err(bad)?.is_empty() {
        let issued = keys.issue("local").map_err(bad)?;
        write_private(&gateway.home().local_key(), format!("{}\n", issued.key.expose_secret()).as_bytes())?;
        note(
            "there was no API key: one for `local` was made and written to a private file",
            &gateway.home().local_key().display().to_string(),
            gateway,
        );
    }
    let workspace = match &args.workspace {
        Some(folder) => {
            Some(workspace_for(gateway, &Caller::of_this_process(), folder).map_err(|why| Failure::new(exit::BAD_CONFIGURATION, why.message))?)
        }
        None => None,
    };
    Ok(HttpDoor { gateway: gateway.clone(), keys, workspace })
}

/// Takes SIGHUP away from its default: from now on it does not end the process. A closed terminal is no reason to end either.
pub(super) fn hangups() -> Result<Signal, Failure> {
    signal(SignalKind::hangup()).map_err(|error| Failure::new(exit::BAD_CONFIGURATION, format!("SIGHUP cannot be listened for: {error}")))
}

/// Returns when the process is asked to end.
///
/// It is listened for from the moment of the call: a gateway that is told to end while it opens closes its log all the same.
pub(super) fn signalled() -> impl Future<Output = ()> {
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    async move {
        let (Ok(mut terminate), Ok(mut interrupt)) = signals else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}

async fn idle_for(mut connections: Idle, seconds: Option<u64>) {
    let Some(seconds) = seconds else { return std::future::pending().await };
    loop {
        if connections.wait_for(|open| *open == 0).await.is_err() {
            return;
        }
        let still = tokio::time::timeout(Duration::from_secs(seconds), connections.wait_for(|open| *open > 0)).await.is_err();
        if still {
            return;
        }
    }
}

fn say_trust(gateway: &Gateway) {
    let why = gateway.scrubber.text(&gateway.standing().why).0;
    match gateway.standing().trust {
        Trust::Separate => log::info(log::Component::Gateway, "trust: separate").with("why", &why).emit(),
        Trust::SameUser => {
            log::warn(
                log::Component::Gateway,
                "trust: same-user; whoever runs as this user can change policy and log (a guard rail, not a boundary)",
            )
            .with("why", &why)
            .emit();
        }
    }
}

fn note(message: &'static str, what: &str, gateway: &Gateway) {
    log::info(log::Component::Gateway, message).with("at", &gateway.scrubber.text(what).0).emit();
}

fn say_started(started: &Started) {
    out::say(serde_json::to_string(started).unwrap_or_default());
}
