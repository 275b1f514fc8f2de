//! `opsgate stdio`: a thin relay between a client's standard streams and the home's gateway.
//!
//! It reads only what it needs to keep a promise: if the gateway dies, each open request gets a clear error, and the
//! next message finds a working gateway, with the session's hand-shake said again.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::line::{Fault, Lines, NextLine};
use super::socket::Hello;
use super::start::{StartFailed, join_or_start};
use crate::home::Settings;

/// Relays until the client hangs up.
///
/// # Errors
/// Where the first gateway cannot be had. Later losses are told to the client, not here.
pub async fn relay<R, W>(settings: &Settings, hello: &Hello, input: R, output: W) -> Result<(), StartFailed>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut relay = Relay { settings, hello, output, upstream: None, open: HashSet::new(), initialize: None, initialized: None };
    relay.connect().await?;
    let mut client = Lines::new(input);
    loop {
        tokio::select! {
            line = client.next() => match line {
                NextLine::Line(line) if line.iter().all(u8::is_ascii_whitespace) => {}
                NextLine::Line(line) => relay.forward(line).await,
                NextLine::TooLong => relay.say(&Fault::TooLong.error(serde_json::Value::Null)).await,
                NextLine::End => return relay.finish().await,
            },
            line = next_of(&mut relay.upstream) => match line {
                NextLine::Line(line) => relay.back(line).await,
                NextLine::TooLong | NextLine::End => relay.lost().await,
            },
        }
    }
}

struct Relay<'a, W> {
    settings: &'a Settings,
    hello: &'a Hello,
    output: W,
    upstream: Option<(Lines<OwnedReadHalf>, OwnedWriteHalf)>,
    /// Ids of requests that have no reply yet, as written.
    open: HashSet<String>,
    /// The client's hand-shake, to be said again to the next gateway.
    initialize: Option<Vec<u8>>,
    initialized: Option<Vec<u8>>,
}

/// What the relay reads of a message.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: Option<std::borrow::Cow<'a, str>>,
}

impl<W: AsyncWrite + Unpin> Relay<'_, W> {
    async fn connect(&mut self) -> Result<(), StartFailed> {
        let (stream, reply) = join_or_start(self.settings, self.hello).await?;
        if let Some(message) = reply.error {
            return Err(StartFailed::Refused { message, exit: crate::cli::exit::BAD_CONFIGURATION });
        }
        let (read, write) = stream.into_split();
        self.upstream = Some((Lines::new(read), write));
        if let Some(initialize) = self.initialize.clone() {
            self.send(&initialize).await?;
            if let Some((lines, _)) = &mut self.upstream {
                lines.next().await; // the client had its reply from the gateway before
            }
            if let Some(initialized) = self.initialized.clone() {
                self.send(&initialized).await?;
            }
        }
        Ok(())
    }

    async fn forward(&mut self, line: Vec<u8>) {
        // What does not read as a message goes on as it is: the gateway answers it.
        let id = match serde_json::from_slice::<Envelope<'_>>(&line) {
            Ok(Envelope { id, method: Some(method) }) => {
                match &*method {
                    "initialize" => self.initialize = Some(line.clone()),
                    "notifications/initialized" => self.initialized = Some(line.clone()),
                    _ => {}
                }
                id.map(|id| id.get().to_owned())
            }
            _ => None,
        };
        // A hand-shake that is only now being made is forwarded below, not said again by `connect`.
        if self.upstream.is_none() {
            let (initialize, initialized) = (self.initialize.take(), self.initialized.take());
            let again = initialize.as_deref() != Some(&line);
            if again {
                (self.initialize, self.initialized) = (initialize.clone(), initialized.clone());
            }
            let connected = self.connect().await;
            (self.initialize, self.initialized) = (initialize, initialized);
            if let Err(error) = connected {
                if let Some(id) = id {
                    self.fail(&id, &format!("no gateway could be started: {error}")).await;
                }
                return;
            }
        }
        if let Some(id) = &id {
            self.open.insert(id.clone());
        }
        if self.send(&line).await.is_err() {
            self.lost().await;
        }
    }

    async fn back(&mut self, line: Vec<u8>) {
        if !self.open.is_empty()
            && let Ok(Envelope { id: Some(id), method: None }) = serde_json::from_slice::<Envelope<'_>>(&line)
        {
            self.open.remove(id.get());
        }
        self.write(line).await;
    }

    /// The gateway is gone: every open request hears it.
    async fn lost(&mut self) {
        self.upstream = None;
        for id in std::mem::take(&mut self.open) {
            self.fail(
                &id,
                "the gateway stopped while this request was open; the audit log tells whether it ran; the next request starts a new gateway",
            )
            .await;
        }
    }

    /// The client is done sending: what is open still gets its reply.
    async fn finish(&mut self) -> Result<(), StartFailed> {
        while !self.open.is_empty() {
            match next_of(&mut self.upstream).await {
                NextLine::Line(line) => self.back(line).await,
                NextLine::TooLong | NextLine::End => self.lost().await,
            }
        }
        Ok(())
    }

    async fn send(&mut self, line: &[u8]) -> std::io::Result<()> {
        let Some((_, write)) = &mut self.upstream else { return Err(std::io::ErrorKind::NotConnected.into()) };
        let mut framed = Vec::with_capacity(line.len() + 1);
        framed.extend_from_slice(line);
        framed.push(b'\n');
        write.write_all(&framed).await
    }

    async fn fail(&mut self, id: &str, message: &str) {
        let id = serde_json::from_str(id).unwrap_or(serde_json::Value::Null);
        let error =
            serde_json::json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32000, "message": message, "data": { "code": "gateway_lost" } } });
        self.say(&error).await;
    }

    async fn say(&mut self, message: &serde_json::Value) {
        self.write(message.to_string().into_bytes()).await;
    }

    async fn write(&mut self, mut line: Vec<u8>) {
        line.push(b'\n');
        // A client that no longer reads is about to hang up; its hang-up ends the relay.
        let _ = self.output.write_all(&line).await;
        let _ = self.output.flush().await;
    }
}

/// The gateway's next line; waits for ever where there is no gateway.
async fn next_of(upstream: &mut Option<(Lines<OwnedReadHalf>, OwnedWriteHalf)>) -> NextLine {
    match upstream {
        Some((lines, _)) => lines.next().await,
        None => std::future::pending().await,
    }
}
