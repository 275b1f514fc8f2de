//! A client's first word on the gateway's socket, and the answer to it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::handler::Connection;
use super::line::{Lines, NextLine};
use super::peer::{serve_stream, workspace_for};
use crate::error::Code;
use crate::gateway::Gateway;
use crate::home::Settings;
use crate::identity::Caller;
use crate::observe::log;
use crate::trust::{NotItsHost, hosts};

/// How long a joined client may take to say its first word.
const FIRST_WORD: Duration = Duration::from_secs(5);

/// The first line a client sends.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    /// The version of this hand-shake: 1.
    pub opsgate: u32,
    /// The folder the connection works on.
    pub workspace: Option<PathBuf>,
    /// Whether a person named that folder: if so, one that cannot be used ends the connection.
    pub explicit: bool,
    /// `WRITE_MODE=off` in the client's environment holds for its connection.
    pub write_mode_off: bool,
    /// The policy that the client's environment names; a gateway under another one says so.
    pub policy: Option<PathBuf>,
}

impl Hello {
    /// The first word of a client with these settings.
    ///
    /// # Errors
    /// Where a path has no absolute form.
    pub fn new(settings: &Settings, workspace: Option<PathBuf>, explicit: bool) -> std::io::Result<Self> {
        let policy = settings.policy.as_deref().map(std::path::absolute).transpose()?;
        Ok(Self { opsgate: 1, workspace, explicit, write_mode_off: settings.write_mode_off, policy })
    }
}

/// The gateway's answer.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct HelloReply {
    /// Why the connection ends, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The repository the connection works on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// Why there is none, where a folder was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub without_workspace: Option<String>,
    /// What this caller may know of the gateway; not where the connection ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<About>,
    /// The policy's hash, for root, who reads the policy anyway and need not be a caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
}

/// What a gateway tells a caller that its policy knows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct About {
    /// Whether this caller could change the gateway: `same-user` or `separate`.
    pub trust: String,
    /// Why, as for any caller.
    pub why: String,
    /// The policy's hash.
    pub policy: String,
    /// `development` or `production`.
    pub profile: String,
    /// Whether writes are possible at all.
    pub write_mode: bool,
    /// The systems that the policy lists, each with its mode.
    pub systems: BTreeMap<String, String>,
}

/// Serves one client, from its first word to its last.
pub(super) async fn welcome(gateway: Arc<Gateway>, stream: UnixStream) {
    let caller = match Caller::of_peer(&stream) {
        Ok(caller) => caller,
        Err(error) => {
            log::warn(log::Component::Server, "a peer could not be identified").with("error", &gateway.scrubber.text(&error.to_string()).0).emit();
            return;
        }
    };
    let (input, mut output) = stream.into_split();
    let mut lines = Lines::new(input);
    let Ok(NextLine::Line(first)) = tokio::time::timeout(FIRST_WORD, lines.next()).await else { return };
    let mut write_mode_off = false;
    let (reply, workspace) = match serde_json::from_slice::<Hello>(&first) {
        // INVARIANT: whom the policy does not know is not told which one it is (test: tests/setup.rs, a_stranger_learns_nothing).
        Ok(Hello { opsgate: 1, policy: Some(policy), .. }) if knows(&gateway, &caller) && gateway.policy_file() != Some(&policy) => {
            (refusal("the gateway that runs enforces another policy than OPSGATE_POLICY names; stop it, or unset OPSGATE_POLICY".to_owned()), None)
        }
        Ok(Hello { opsgate: 1, workspace, explicit, write_mode_off: off, .. }) => {
            write_mode_off = off;
            let (reply, workspace) = greet(&gateway, &caller, workspace, explicit).await;
            let about = reply.error.is_none().then(|| about(&gateway, &caller)).flatten();
            let policy = (caller.uid() == Some(0)).then(|| gateway.policy().hash().to_owned());
            (HelloReply { about, policy, ..reply }, workspace)
        }
        _ => (refusal("this gateway speaks another version of opsgate; stop it with SIGTERM and try again".into()), None),
    };
    let ends = reply.error.is_some();
    if send(&mut output, &reply).await.is_err() || ends {
        return;
    }
    let connection = Connection { write_mode_off, ..Connection::new(caller, workspace) };
    serve_stream(gateway, connection, lines, output).await;
}

/// A connection is closed with these words before it has said any.
pub(super) async fn turn_away(mut stream: UnixStream, why: &str) {
    let _ = tokio::time::timeout(FIRST_WORD, send(&mut stream, &refusal(why.to_owned()))).await; // it is turned away either way
}

fn knows(gateway: &Gateway, caller: &Caller) -> bool {
    gateway.policy().caller(caller.id()).is_some()
}

/// What a caller that the policy knows is told.
fn about(gateway: &Gateway, caller: &Caller) -> Option<About> {
    let policy = gateway.policy();
    policy.caller(caller.id())?;
    Some(About {
        trust: gateway.trust_of(caller).to_string(),
        why: gateway.standing().why.clone(),
        policy: policy.hash().to_owned(),
        profile: word(policy.settings().deployment),
        write_mode: policy.write_mode() && !gateway.write_mode_off,
        systems: policy.systems().map(|(name, mode)| (name.to_owned(), word(mode))).collect(),
    })
}

/// A value that is one word on the wire.
pub(crate) fn word(value: impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

type Greeted = (HelloReply, Option<Arc<opsgate_tools::workspace::Workspace>>);

async fn greet(gateway: &Arc<Gateway>, caller: &Caller, folder: Option<PathBuf>, explicit: bool) -> Greeted {
    let Some(folder) = folder else { return (HelloReply::default(), None) };
    // INVARIANT: nothing is opened for whom the policy does not know (test: tests/setup.rs, a_stranger_learns_nothing).
    if !knows(gateway, caller) {
        let why = format!("the policy does not know `{}`; ask whoever keeps it to list it under `callers`", caller.id());
        return if explicit { (refusal(why), None) } else { (HelloReply { without_workspace: Some(why), ..HelloReply::default() }, None) };
    }
    let (opener, who) = (gateway.clone(), caller.clone());
    let opened = tokio::task::spawn_blocking(move || workspace_for(&opener, &who, &folder)).await;
    match opened {
        Ok(Ok(workspace)) => {
            let reply = HelloReply { workspace: Some(workspace.root_path().to_owned()), ..HelloReply::default() };
            (reply, Some(workspace))
        }
        Ok(Err(why)) if why.code == Code::PolicyDenied => {
            gateway.refuse_at_door(caller.clone(), "", why.clone()).await;
            let why = gateway.scrubber.text_owned(why.message).0.into_inner();
            if explicit { (refusal(why), None) } else { (HelloReply { without_workspace: Some(why), ..HelloReply::default() }, None) }
        }
        Ok(Err(why)) if explicit => (refusal(gateway.scrubber.text_owned(why.message).0.into_inner()), None),
        Ok(Err(why)) => {
            let why = gateway.scrubber.text_owned(why.message).0.into_inner();
            (HelloReply { without_workspace: Some(why), ..HelloReply::default() }, None)
        }
        Err(_) => (refusal("the workspace could not be opened; the gateway's log has the detail".into()), None),
    }
}

fn refusal(error: String) -> HelloReply {
    HelloReply { error: Some(error), ..HelloReply::default() }
}

async fn send<T: Serialize>(output: &mut (impl AsyncWriteExt + Unpin), message: &T) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    output.write_all(&line).await
}

/// Why a gateway was not joined.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// None listens, or it hung up.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// What listens could be anybody's.
    #[error(transparent)]
    NotItsHost(#[from] NotItsHost),
}

/// A client's end: joins the gateway at this socket and says its first word.
///
/// # Errors
/// Where no gateway listens, it hangs up, or another user's process answers. The gateway's own refusal is in the reply.
// INVARIANT: nothing is said to a process of another user than the gateway's (test: tests/setup.rs, a_planted_gateway_is_told_nothing).
pub async fn join(socket: &Path, hello: &Hello) -> Result<(UnixStream, HelloReply), JoinError> {
    let hosts = hosts(socket)?;
    hosts.lies()?;
    let mut stream = UnixStream::connect(socket).await?;
    hosts.peer(stream.peer_cred()?.uid())?;
    send(&mut stream, hello).await?;
    // Byte by byte up to the line's end, so that nothing of what follows is swallowed; the reply is short.
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        let mut byte = [0u8; 1];
        if stream.read(&mut byte).await? == 0 {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
        line.extend_from_slice(&byte);
    }
    Ok((stream, serde_json::from_slice(&line).map_err(std::io::Error::from)?))
}
