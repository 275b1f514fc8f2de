//! `opsgate stdio`: a thin relay between a client's standard streams and the home's gateway.
//!
//! It reads only what it needs to keep a promise: if the gateway dies, each open request gets a clear error, and the
//! next message finds a working gateway, with the session's hand-shake said again.
//!
//! Each direction has a task of its own, so that neither waits for the other: the client's lines go to the gateway here,
//! the gateway's come back in [`back`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::line::{Fault, Lines, NextLine, write_out};
use super::socket::Hello;
use super::start::{StartFailed, join_or_start};
use crate::home::Settings;

/// Lines that may wait for the client to read them.
const OUTBOX: usize = 256;
/// The longest line that a gateway sends: the bound on output, twice over and escaped.
const MOST_REPLY_BYTES: usize = 256 << 20;
/// How long a client that closed its input still gets the replies to what it asked.
const LAST_REPLIES: Duration = Duration::from_secs(60);
/// How long a gateway may take to answer the hand-shake that is said again.
const HAND_SHAKE: Duration = Duration::from_secs(10);
/// What the client hears of a request that was open when the gateway died.
const LOST: &str = "the gateway stopped while this request was open; the audit log tells whether it ran; the next request starts a new gateway";
/// What the client hears where no gateway could be started; the reason goes to standard error.
const NO_GATEWAY: &str = "no gateway could be started; `opsgate serve` shows why";

/// Relays until the client hangs up. `complain` gets what a person should read on standard error.
///
/// # Errors
/// Where the first gateway cannot be had. Later losses are told to the client.
pub async fn relay<R, W>(settings: &Settings, hello: &Hello, input: R, output: W, complain: impl Fn(&str)) -> Result<(), StartFailed>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let (outbox, waiting) = mpsc::channel(OUTBOX);
    let writing = tokio::spawn(write_out(waiting, output));
    let mut relay = Relay { settings, hello, outbox, open: Arc::default(), upstream: None, initialize: None, initialized: None, complain };
    relay.connect(false).await?;
    let mut client = Lines::new(input);
    loop {
        match client.next().await {
            NextLine::Line(line) if line.iter().all(u8::is_ascii_whitespace) => {}
            NextLine::Line(line) => relay.forward(line).await,
            NextLine::TooLong => relay.say(&Fault::TooLong.error(serde_json::Value::Null)).await,
            NextLine::End => break,
        }
    }
    relay.finish().await;
    let _ = writing.await; // a client that no longer reads gets nothing more
    Ok(())
}

struct Relay<'a, C> {
    settings: &'a Settings,
    hello: &'a Hello,
    outbox: mpsc::Sender<Vec<u8>>,
    open: Arc<Open>,
    upstream: Option<Upstream>,
    /// The client's hand-shake, to be said again to the next gateway.
    initialize: Option<Vec<u8>>,
    initialized: Option<Vec<u8>>,
    complain: C,
}

/// The way to one gateway.
struct Upstream {
    write: OwnedWriteHalf,
    /// Fires when its lines end.
    gone: CancellationToken,
}

/// Ids of requests that have no reply yet, as written, and whether one comes by itself: a subscription only ends.
#[derive(Default)]
struct Open {
    ids: Mutex<HashMap<String, bool>>,
    fewer: Notify,
}

/// What the relay reads of a message.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: Option<std::borrow::Cow<'a, str>>,
}

impl<C: Fn(&str)> Relay<'_, C> {
    /// Joins or starts a gateway. `again` says the client's hand-shake to it.
    async fn connect(&mut self, again: bool) -> Result<(), StartFailed> {
        let (stream, reply) = join_or_start(self.settings, self.hello).await?;
        if let Some(message) = reply.error {
            return Err(StartFailed::Refused { message, exit: crate::cli::exit::BAD_CONFIGURATION });
        }
        if let (Some(why), false) = (reply.without_workspace, again) {
            (self.complain)(&format!("no workspace: {why}"));
        }
        let (read, mut write) = stream.into_split();
        let mut lines = Lines::with_bound(read, MOST_REPLY_BYTES);
        if let (Some(initialize), true) = (&self.initialize, again) {
            send(&mut write, initialize).await?;
            // The client had its reply from the gateway before.
            tokio::time::timeout(HAND_SHAKE, lines.next()).await.map_err(|_| StartFailed::TooLate)?;
            if let Some(initialized) = &self.initialized {
                send(&mut write, initialized).await?;
                // The gateway before may have ended under another policy than this one starts under.
                self.say(&serde_json::json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" })).await;
            }
        }
        let gone = CancellationToken::new();
        tokio::spawn(back(lines, self.outbox.clone(), self.open.clone(), gone.clone()));
        self.upstream = Some(Upstream { write, gone });
        Ok(())
    }

    async fn forward(&mut self, line: Vec<u8>) {
        // What does not read as a message goes on as it is: the gateway answers it.
        let (id, method) = match serde_json::from_slice::<Envelope<'_>>(&line) {
            Ok(Envelope { id, method: Some(method) }) => (id.map(|id| id.get().to_owned()), method.into_owned()),
            _ => (None, String::new()),
        };
        if self.upstream.as_ref().is_none_or(|upstream| upstream.gone.is_cancelled()) {
            self.upstream = None;
            // A hand-shake that the client makes anew is not said twice.
            if let Err(error) = self.connect(method != "initialize").await {
                (self.complain)(&error.to_string());
                if let Some(id) = id {
                    self.say(&failure(&id, NO_GATEWAY)).await;
                }
                return;
            }
        }
        match method.as_str() {
            "initialize" => self.initialize = Some(line.clone()),
            "notifications/initialized" => self.initialized = Some(line.clone()),
            // The gateway sends no reply to what was cancelled.
            "notifications/cancelled" => self.open.forget_cancelled(&line),
            _ => {}
        }
        if let Some(id) = id {
            self.open.add(id, method != "subscriptions/listen");
        }
        let sent = match &mut self.upstream {
            Some(upstream) => send(&mut upstream.write, &line).await,
            None => return,
        };
        if sent.is_err() {
            self.open.fail_all(&self.outbox).await;
            self.upstream = None;
        }
    }

    /// The client is done sending: what is open still gets its reply, for a while.
    async fn finish(mut self) {
        let Some(Upstream { mut write, gone }) = self.upstream.take() else { return };
        let open = self.open.clone();
        let answered = async {
            while open.is_waited_for() {
                open.fewer.notified().await;
            }
        };
        tokio::select! {
            () = answered => {}
            () = gone.cancelled() => {}
            () = tokio::time::sleep(LAST_REPLIES) => {}
        }
        let _ = write.shutdown().await; // the gateway closes its end, and with it the way back
        let _ = tokio::time::timeout(HAND_SHAKE, gone.cancelled()).await;
    }

    async fn say(&self, message: &serde_json::Value) {
        let _ = self.outbox.send(line_of(message)).await; // a client that no longer reads is about to hang up
    }
}

/// The gateway's lines, to the client, until they end; then every open request hears that.
async fn back(mut lines: Lines<OwnedReadHalf>, outbox: mpsc::Sender<Vec<u8>>, open: Arc<Open>, gone: CancellationToken) {
    while let NextLine::Line(mut line) = lines.next().await {
        let answered = match serde_json::from_slice::<Envelope<'_>>(&line) {
            Ok(Envelope { id: Some(id), method: None }) => Some(id.get().to_owned()),
            _ => None,
        };
        line.push(b'\n');
        if outbox.send(line).await.is_err() {
            break;
        }
        if let Some(id) = answered {
            open.remove(&id);
        }
    }
    gone.cancel();
    open.fail_all(&outbox).await;
}

impl Open {
    fn add(&self, id: String, answered: bool) {
        self.ids().insert(id, answered);
    }

    fn remove(&self, id: &str) {
        self.ids().remove(id);
        self.fewer.notify_one();
    }

    fn is_waited_for(&self) -> bool {
        self.ids().values().any(|answered| *answered)
    }

    fn forget_cancelled(&self, line: &[u8]) {
        #[derive(Deserialize)]
        struct Params<'a> {
            #[serde(borrow, rename = "requestId")]
            request_id: Option<&'a RawValue>,
        }
        #[derive(Deserialize)]
        struct Cancelled<'a> {
            #[serde(borrow)]
            params: Option<Params<'a>>,
        }
        if let Ok(Cancelled { params: Some(Params { request_id: Some(id) }) }) = serde_json::from_slice(line) {
            self.remove(id.get());
        }
    }

    async fn fail_all(&self, outbox: &mpsc::Sender<Vec<u8>>) {
        let lost = std::mem::take(&mut *self.ids());
        for id in lost.into_keys() {
            let _ = outbox.send(line_of(&failure(&id, LOST))).await; // see `say`
        }
        self.fewer.notify_one();
    }

    fn ids(&self) -> std::sync::MutexGuard<'_, HashMap<String, bool>> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failure(id: &str, message: &str) -> serde_json::Value {
    let id: serde_json::Value = serde_json::from_str(id).unwrap_or_default();
    serde_json::json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32000, "message": message, "data": { "code": "gateway_lost" } } })
}

fn line_of(message: &serde_json::Value) -> Vec<u8> {
    let mut line = message.to_string().into_bytes();
    line.push(b'\n');
    line
}

async fn send(write: &mut OwnedWriteHalf, line: &[u8]) -> std::io::Result<()> {
    let mut framed = Vec::with_capacity(line.len() + 1);
    framed.extend_from_slice(line);
    framed.push(b'\n');
    write.write_all(&framed).await
}
