//! JSON-RPC by lines: what stdio and the socket speak.
//!
//! A line that is not MCP gets a JSON-RPC error and is counted; it neither vanishes nor ends the connection.

use std::sync::Arc;
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::Transport;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::observe::Metrics;

/// The longest line that is read, in bytes. A longer one is skipped, never held.
pub const MOST_LINE_BYTES: usize = 4 * 1024 * 1024;
/// Replies that may wait for a slow reader before senders wait too.
const OUTBOX: usize = 256;
/// How long a closing connection waits for its reader.
const LAST_WRITES: Duration = Duration::from_secs(2);
/// Bytes that are gathered into one write.
const GATHER: usize = 256 * 1024;

/// Reads bounded lines. Cancel-safe: a line half read is kept for the next call.
pub struct Lines<R> {
    input: BufReader<R>,
    bound: usize,
    line: Vec<u8>,
    skipping: bool,
}

/// One line, or what stands for it.
#[derive(Debug, PartialEq, Eq)]
pub enum NextLine {
    /// Without its end. May be empty.
    Line(Vec<u8>),
    /// Longer than the bound; skipped to its end.
    TooLong,
    /// Nothing more comes.
    End,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// Lines of this input, of [`MOST_LINE_BYTES`] at most.
    pub fn new(input: R) -> Self {
        Self::with_bound(input, MOST_LINE_BYTES)
    }

    /// Lines of this input, of `bound` bytes at most.
    pub fn with_bound(input: R, bound: usize) -> Self {
        Self { input: BufReader::with_capacity(64 * 1024, input), bound, line: Vec::new(), skipping: false }
    }

    /// The next line. A last line without an end counts; an unreadable input has ended.
    pub async fn next(&mut self) -> NextLine {
        loop {
            let (taken, ended) = {
                let Ok(available) = self.input.fill_buf().await else { return NextLine::End };
                if available.is_empty() {
                    return match (std::mem::take(&mut self.skipping), std::mem::take(&mut self.line)) {
                        (true, _) => NextLine::TooLong,
                        (false, line) if line.is_empty() => NextLine::End,
                        (false, line) => NextLine::Line(line),
                    };
                }
                let end = memchr::memchr(b'\n', available);
                let part = available.get(..end.unwrap_or(available.len())).unwrap_or_default();
                if self.skipping || self.line.len() + part.len() > self.bound {
                    self.skipping = true;
                    self.line = Vec::new();
                } else {
                    self.line.extend_from_slice(part);
                }
                (part.len() + usize::from(end.is_some()), end.is_some())
            };
            self.input.consume(taken);
            if ended {
                let mut line = std::mem::take(&mut self.line);
                if std::mem::take(&mut self.skipping) {
                    return NextLine::TooLong;
                }
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return NextLine::Line(line);
            }
        }
    }
}

/// rmcp's transport over bounded lines.
pub struct LineTransport<R> {
    lines: Lines<R>,
    /// `None` once closed.
    outbox: Option<mpsc::Sender<Vec<u8>>>,
    writing: Option<JoinHandle<()>>,
    metrics: Arc<Metrics>,
}

/// The other side is gone.
#[derive(Debug, thiserror::Error)]
#[error("the connection is closed")]
pub struct Closed;

impl<R: AsyncRead + Unpin + Send + 'static> LineTransport<R> {
    /// A transport over these streams. Writing happens in a task of its own that gathers what is ready.
    pub fn new<W: AsyncWrite + Unpin + Send + 'static>(input: Lines<R>, output: W, metrics: Arc<Metrics>) -> Self {
        let (outbox, waiting) = mpsc::channel(OUTBOX);
        let writing = tokio::spawn(write_out(waiting, output));
        Self { lines: input, outbox: Some(outbox), writing: Some(writing), metrics }
    }

    async fn complain(&mut self, fault: Fault, id: Value) {
        self.metrics.malformed("line", fault.name());
        if let Some(outbox) = &self.outbox {
            let _ = outbox.send(line_of(&fault.error(id))).await; // a client that is gone needs no complaint
        }
    }
}

impl<R: AsyncRead + Unpin + Send + 'static> Transport<RoleServer> for LineTransport<R> {
    type Error = Closed;

    fn send(&mut self, message: ServerJsonRpcMessage) -> impl Future<Output = Result<(), Closed>> + Send + 'static {
        let outbox = self.outbox.clone();
        async move { outbox.ok_or(Closed)?.send(line_of(&message)).await.map_err(|_| Closed) }
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        loop {
            // A client that asks and does not read is not read either: replies that wait for it stay bounded.
            drop(self.outbox.as_ref()?.reserve().await.ok()?);
            let line = match self.lines.next().await {
                NextLine::End => return None,
                NextLine::TooLong => {
                    self.complain(Fault::TooLong, Value::Null).await;
                    continue;
                }
                NextLine::Line(line) if line.iter().all(u8::is_ascii_whitespace) => continue,
                NextLine::Line(line) => line,
            };
            match serde_json::from_slice::<ClientJsonRpcMessage>(&line) {
                Ok(message) => return Some(message),
                Err(_) => match Fault::of(&line) {
                    (Fault::UnknownNotification, _) => self.metrics.malformed("line", Fault::UnknownNotification.name()),
                    (fault, id) => self.complain(fault, id).await,
                },
            }
        }
    }

    async fn close(&mut self) -> Result<(), Closed> {
        self.outbox = None;
        if let Some(writing) = self.writing.take() {
            // What was replied is written, unless the client does not read it.
            let _ = tokio::time::timeout(LAST_WRITES, writing).await;
        }
        Ok(())
    }
}

/// A message whose values are not looked into.
#[derive(serde::Deserialize)]
struct Skimmed {
    id: Value,
}

/// What can be wrong with a message before it is MCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    TooLong,
    TooDeep,
    NotJson,
    Batch,
    NotARequest,
    UnknownNotification,
}

impl Fault {
    /// The fault of bytes that are not an MCP message, and the id they name.
    pub(super) fn of(bytes: &[u8]) -> (Self, Value) {
        match serde_json::from_slice::<Value>(bytes) {
            // Skimming has no bound on depth: a message that only nests too deep is answered under its own id.
            Err(_) => match serde_json::from_slice::<Skimmed>(bytes) {
                Ok(Skimmed { id }) if id.is_string() || id.is_number() => (Self::TooDeep, id),
                _ => (Self::NotJson, Value::Null),
            },
            Ok(Value::Array(_)) => (Self::Batch, Value::Null),
            Ok(Value::Object(object)) => match object.get("id") {
                Some(id) if id.is_string() || id.is_number() => (Self::NotARequest, id.clone()),
                Some(_) => (Self::NotARequest, Value::Null),
                None if object.get("method").is_some_and(Value::is_string) => (Self::UnknownNotification, Value::Null),
                None => (Self::NotARequest, Value::Null),
            },
            Ok(_) => (Self::NotARequest, Value::Null),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::TooDeep => "too_deep",
            Self::NotJson => "not_json",
            Self::Batch => "batch",
            Self::NotARequest => "not_a_request",
            Self::UnknownNotification => "unknown_notification",
        }
    }

    /// The JSON-RPC error that answers it.
    pub(super) fn error(self, id: Value) -> Value {
        let (code, message) = match self {
            Self::TooLong => (-32600, format!("the message is longer than {MOST_LINE_BYTES} bytes; send less")),
            Self::TooDeep => (-32600, "the message nests too deep; 128 levels are read".into()),
            Self::NotJson => (-32700, "the message is not JSON; send one JSON-RPC object a message".into()),
            Self::Batch => (-32600, "batches are not taken; send one JSON-RPC object a message".into()),
            Self::NotARequest | Self::UnknownNotification => (-32600, "the message is not a JSON-RPC 2.0 request of MCP".into()),
        };
        serde_json::json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
    }
}

fn line_of(message: &impl serde::Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(message).unwrap_or_default();
    line.push(b'\n');
    line
}

/// Writes lines out, gathering those that are ready, until nobody can send any more or the reader is gone.
pub(super) async fn write_out<W: AsyncWrite + Unpin>(mut waiting: mpsc::Receiver<Vec<u8>>, mut output: W) {
    while let Some(mut lines) = waiting.recv().await {
        while lines.len() < GATHER
            && let Ok(next) = waiting.try_recv()
        {
            lines.extend_from_slice(&next);
        }
        if output.write_all(&lines).await.is_err() || output.flush().await.is_err() {
            return; // the reader is gone; senders learn it when the channel closes
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(input: &[u8]) -> Vec<NextLine> {
        let mut lines = Lines::new(input);
        let mut all = Vec::new();
        loop {
            match lines.next().await {
                NextLine::End => return all,
                line => all.push(line),
            }
        }
    }

    #[tokio::test]
    async fn lines_end_at_newlines_and_at_the_end() {
        let line = |s: &str| NextLine::Line(s.into());
        assert_eq!(lines(b"a\r\n\nb").await, [line("a"), line(""), line("b")]);
    }

    #[tokio::test]
    async fn a_line_too_long_is_skipped_and_the_next_is_read() {
        let mut input = vec![b'x'; MOST_LINE_BYTES + 1];
        input.extend_from_slice(b"\nnext\n");
        assert_eq!(lines(&input).await, [NextLine::TooLong, NextLine::Line(b"next".to_vec())]);
        assert_eq!(lines(&input[..=MOST_LINE_BYTES]).await, [NextLine::TooLong]);
    }

    #[test]
    fn each_fault_is_told_apart() {
        let deep = "[".repeat(10_000);
        let deep_request = format!("{{\"id\":9,\"params\":{deep}{}}}", "]".repeat(10_000));
        for (bytes, fault, id) in [
            ("{", Fault::NotJson, Value::Null),
            (deep.as_str(), Fault::NotJson, Value::Null),
            (deep_request.as_str(), Fault::TooDeep, 9.into()),
            ("[{}]", Fault::Batch, Value::Null),
            ("3", Fault::NotARequest, Value::Null),
            (r#"{"id":7}"#, Fault::NotARequest, 7.into()),
            (r#"{"id":true,"method":"x"}"#, Fault::NotARequest, Value::Null),
            (r#"{"method":"x"}"#, Fault::UnknownNotification, Value::Null),
        ] {
            assert_eq!(Fault::of(bytes.as_bytes()), (fault, id), "{bytes:.40}");
        }
    }
}
