//! The load: callers that each wait for their answer before they ask again, alike for both servers.

use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Child;

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"bench","version":"0"},"io.modelcontextprotocol/clientCapabilities":{}}"#;
const HELLO: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"bench","version":"0"}}}"#;

/// One call, over and over.
pub(crate) struct Call {
    tool: &'static str,
    args: &'static str,
}

impl Call {
    pub(crate) const fn new(tool: &'static str, args: &'static str) -> Self {
        Self { tool, args }
    }

    fn modern(&self, id: usize) -> String {
        format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{}","arguments":{},{META}}}}}"#, self.tool, self.args)
    }

    fn legacy(&self, id: usize) -> String {
        format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"tools/call\",\"params\":{{\"name\":\"{}\",\"arguments\":{}}}}}\n",
            self.tool, self.args
        )
    }
}

/// What came of one turn.
pub(crate) struct Load {
    took: Duration,
    cpu: Duration,
    waits: Vec<Duration>,
}

impl Load {
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    pub(crate) fn calls_a_second(&self) -> f64 {
        self.waits.len() as f64 / self.took.as_secs_f64()
    }

    pub(crate) fn p99_ms(&self) -> f64 {
        self.waits[(self.waits.len() * 99 / 100).min(self.waits.len() - 1)].as_secs_f64() * 1e3
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    pub(crate) fn cpu_us_a_call(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.waits.len() as f64
    }
}

/// CPU time of these processes so far.
fn cpu(pids: &[u32]) -> Duration {
    let ticks = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after = stat.rsplit(") ").next().unwrap_or_default().to_owned();
        let field = |n: usize| after.split(' ').nth(n).and_then(|t| t.parse::<u64>().ok()).unwrap_or(0);
        field(11) + field(12)
    };
    Duration::from_millis(pids.iter().map(ticks).sum::<u64>() * 1000 / rustix::param::clock_ticks_per_second())
}

/// Answers of one caller over HTTP.
pub(crate) struct Http {
    sender: http1::SendRequest<Full<Bytes>>,
    host: String,
    key: Option<String>,
}

impl Http {
    pub(crate) async fn connect(url: &str, key: Option<&str>) -> Self {
        let host = url.trim_start_matches("http://").trim_end_matches("/mcp").to_owned();
        let stream = tokio::net::TcpStream::connect(&host).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = http1::handshake(hyper_util::rt::TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self { sender, host, key: key.map(str::to_owned) }
    }

    pub(crate) async fn ask(&mut self, call: &Call, id: usize) -> Bytes {
        let mut request = hyper::Request::post("/mcp")
            .header("host", &self.host)
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "tools/call")
            .header("mcp-name", call.tool);
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let request = request.body(Full::new(Bytes::from(call.modern(id)))).unwrap();
        self.sender.ready().await.unwrap();
        self.sender.send_request(request).await.unwrap().into_body().collect().await.unwrap().to_bytes()
    }
}

pub(crate) async fn http(url: &str, key: Option<&str>, call: &Call, callers: usize, turn: Duration, pids: &[u32]) -> Load {
    let mut clients = Vec::new();
    for _ in 0..callers {
        let mut client = Http::connect(url, key).await;
        client.ask(call, 0).await;
        clients.push(client);
    }
    let (before, start) = (cpu(pids), Instant::now());
    let loops = clients.into_iter().map(|mut client| async move {
        let mut waits = Vec::new();
        while start.elapsed() < turn {
            let asked = Instant::now();
            let answer = client.ask(call, waits.len() + 1).await;
            waits.push(asked.elapsed());
            well(&answer);
        }
        waits
    });
    let waits = futures::future::join_all(loops).await.concat();
    load(start, before, pids, waits)
}

/// One pipe with this many calls in flight, as an editor that asks for much at once.
pub(crate) async fn stdio(child: &mut Child, call: &Call, callers: usize, turn: Duration, pids: &[u32]) -> Load {
    let (mut output, input) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let pids: Vec<u32> = pids.iter().copied().chain(child.id()).collect();
    let mut answers = BufReader::with_capacity(1 << 16, input).lines();
    output.write_all(format!("{HELLO}\n{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}}\n").as_bytes()).await.unwrap();
    answers.next_line().await.unwrap().unwrap();
    let (before, start) = (cpu(&pids), Instant::now());
    let (mut asked, mut waits) = (Vec::new(), Vec::new());
    for id in 0..callers {
        asked.push(Instant::now());
        output.write_all(call.legacy(id + 1).as_bytes()).await.unwrap();
    }
    while start.elapsed() < turn {
        let line = answers.next_line().await.unwrap().unwrap();
        well(line.as_bytes());
        let id: usize = line.split("\"id\":").nth(1).unwrap().split([',', '}']).next().unwrap().parse().unwrap();
        waits.push(asked[id - 1].elapsed());
        asked.push(Instant::now());
        output.write_all(call.legacy(asked.len()).as_bytes()).await.unwrap();
    }
    let load = load(start, before, &pids, waits);
    drop(output);
    child.kill().await.unwrap();
    load
}

fn load(start: Instant, before: Duration, pids: &[u32], mut waits: Vec<Duration>) -> Load {
    let took = start.elapsed();
    waits.sort_unstable();
    Load { took, cpu: cpu(pids).saturating_sub(before), waits }
}

/// A refusal would be fast and prove nothing.
fn well(answer: &[u8]) {
    let has = |what: &[u8]| answer.windows(what.len()).any(|part| part == what);
    let (head, tail) = (&answer[..answer.len().min(400)], &answer[answer.len().saturating_sub(400)..]);
    assert!(!answer.is_empty() && answer[0] == b'{' && (has_in(head, b"\"result\"") || has(b"\"result\"")), "{}", String::from_utf8_lossy(answer));
    assert!(!has_in(head, b"\"isError\":true") && !has_in(tail, b"\"isError\":true"), "{}", String::from_utf8_lossy(answer));
}

fn has_in(text: &[u8], what: &[u8]) -> bool {
    text.windows(what.len()).any(|part| part == what)
}
