//! What everything costs: calls a second through the whole gateway beside bare rmcp, in one run, by turns.
//!
//! Both serve the same line protocol over memory, with 64 calls in flight; the log is on the fastest file system there is, so
//! this is what the code costs and not the disk. `cargo bench --bench gateway`

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a benchmark")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use opsgate::gateway::Gateway;
use opsgate::home::Settings;
use opsgate::identity::Caller;
use opsgate::observe::Metrics;
use opsgate::server::{Connection, LineTransport, Lines, serve_stream};
use rmcp::ServiceExt;
use rmcp::handler::server::ServerHandler;
use rmcp::model::{CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData, ServerCapabilities, ServerConfig};
use rmcp::service::{RequestContext, RoleServer};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream};

const IN_FLIGHT: usize = 64;
const TURN: Duration = Duration::from_secs(3);
const TURNS: usize = 4;
const POLICY: &str = "version: 1\ndefaults: {read: allow}\ncallers: {\"local:*\": {roles: [developer]}}\nsystems: {policy: {mode: read_only}}\n\
    limits: {per_caller: {rate: 1000000/s, burst: 1000000}, concurrency: 100}\n";

/// The same protocol and no gateway: answers with what a caller's own record would be.
#[derive(Clone)]
struct Bare;

impl ServerHandler for Bare {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn call_tool(&self, _: CallToolRequestParams, _: RequestContext<RoleServer>) -> Result<CallToolResponse, ErrorData> {
        Ok(CallToolResult::success(vec![ContentBlock::text("{\"caller\":\"local:uid=1000\",\"roles\":[\"developer\"]}")]).into())
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let folder =
            tempfile::Builder::new().prefix("og").tempdir_in(if std::path::Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" }).unwrap();
        let policy = folder.path().join("bench.yaml");
        std::fs::write(&policy, POLICY).unwrap();
        let settings = Settings { home: folder.path().join("home"), policy: Some(policy), ..Settings::default() };
        let gateway = Gateway::open(&settings).unwrap();
        let mut ratios = Vec::new();
        for turn in 1..=TURNS {
            let bare = rate(bare()).await;
            let whole = rate(whole(gateway.clone())).await;
            ratios.push(whole / bare);
            println!("turn {turn}: bare rmcp {bare:>9.0} calls/s   opsgate {whole:>9.0} calls/s   ratio {:.2}", whole / bare);
        }
        ratios.sort_by(f64::total_cmp);
        println!("median ratio to bare rmcp: {:.2}", ratios.get(TURNS / 2).unwrap());
        gateway.close().await;
    });
}

fn bare() -> DuplexStream {
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let (input, output) = tokio::io::split(theirs);
    tokio::spawn(async move {
        let transport = LineTransport::new(Lines::new(input), output, Arc::new(Metrics::new().unwrap()));
        if let Ok(service) = Bare.serve(transport).await {
            let _ = service.waiting().await;
        }
    });
    ours
}

fn whole(gateway: Arc<Gateway>) -> DuplexStream {
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let (input, output) = tokio::io::split(theirs);
    tokio::spawn(serve_stream(gateway, Connection::new(Caller::of_this_process(), None), Lines::new(input), output));
    ours
}

/// Calls a second with [`IN_FLIGHT`] calls in flight.
async fn rate(stream: DuplexStream) -> f64 {
    let (input, mut output) = tokio::io::split(stream);
    let mut replies = BufReader::new(input).lines();
    let hello = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"bench","version":"0"}}}"#;
    output.write_all(format!("{hello}\n").as_bytes()).await.unwrap();
    replies.next_line().await.unwrap().unwrap();
    output.write_all(b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n").await.unwrap();
    let call = |id: usize| {
        format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"tools/call\",\"params\":{{\"name\":\"policy_whoami\",\"arguments\":{{}}}}}}\n")
    };
    for id in 1..=IN_FLIGHT {
        output.write_all(call(id).as_bytes()).await.unwrap();
    }
    let (start, mut done) = (Instant::now(), 0usize);
    while start.elapsed() < TURN {
        let reply = replies.next_line().await.unwrap().unwrap();
        assert!(reply.contains("developer"), "{reply}");
        done += 1;
        output.write_all(call(IN_FLIGHT + done).as_bytes()).await.unwrap();
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let calls = done as f64;
    calls / start.elapsed().as_secs_f64()
}
