//! What each stage of the path costs in CPU: the gateway in this process, driven without any transport.

use std::sync::Arc;
use std::time::{Duration, Instant};

use opsgate::call::RawCall;
use opsgate::gateway::Gateway;
use opsgate::home::Settings;
use opsgate::identity::Caller;
use opsgate::policy::Trigger;
use opsgate_tools::progress::Progress;
use opsgate_tools::workspace::Workspace;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use crate::home::{POLICY, Place, repository};

const IN_FLIGHT: usize = 16;

pub(crate) fn print(turn: Duration) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let folder = Place::Memory.folder();
        let policy = folder.path().join("policy.yaml");
        std::fs::write(&policy, POLICY).unwrap();
        let settings = Settings { home: folder.path().join("home"), policy: Some(policy), ..Settings::default() };
        let workspace = Arc::new(Workspace::open(&repository(folder.path())).unwrap());
        let gateway = Gateway::open(&settings).unwrap();
        println!("\nCPU µs a call in each stage, without a transport; `rest` is the threads on which tools read, the writer of the log, the runtime and the driver\n");
        for (size, tool, args) in [("small", "policy_whoami", json!({})), ("16 KB", "workspace_read_file", json!({ "path": "sixteen.txt" }))] {
            line(&gateway, &workspace, size, tool, args, turn).await;
        }
        gateway.close().await;
    });
}

async fn line(gateway: &Arc<Gateway>, workspace: &Arc<Workspace>, size: &str, tool: &'static str, args: Value, turn: Duration) {
    let args: Map<String, Value> = serde_json::from_value(args).unwrap();
    gateway.stages().start();
    let (start, before) = (Instant::now(), process_cpu_us());
    let mut loops = tokio::task::JoinSet::new();
    for _ in 0..IN_FLIGHT {
        let (gateway, workspace, args) = (gateway.clone(), workspace.clone(), args.clone());
        loops.spawn(async move {
            let mut calls = 0u32;
            while start.elapsed() < turn {
                gateway.handle(raw(tool, args.clone(), workspace.clone())).await;
                calls += 1;
            }
            calls
        });
    }
    let calls: u32 = loops.join_all().await.into_iter().sum();
    let a_call = |us: f64| us / f64::from(calls);
    let whole = a_call(process_cpu_us() - before);
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let stages: Vec<(&str, f64)> = gateway.stages().sums().map(|(name, ns)| (name, a_call(ns as f64 / 1e3))).collect();
    let known: f64 = stages.iter().map(|(_, us)| us).sum();
    let text: Vec<String> = stages.iter().map(|(name, us)| format!("{name} {us:.1}")).collect();
    println!("{size:<6} {}  rest {:.1}  = {whole:.1}", text.join("  "), whole - known);
}

fn raw(tool: &str, args: Map<String, Value>, workspace: Arc<Workspace>) -> RawCall {
    RawCall {
        caller: Caller::of_this_process(),
        counted: None,
        tool: tool.to_owned(),
        args,
        workspace: Some(workspace),
        write_mode_off: false,
        trigger: Trigger::Client,
        trace: None,
        progress: Progress::default(),
        cancel: CancellationToken::new(),
    }
}

fn process_cpu_us() -> f64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let us = now.tv_sec as f64 * 1e6 + now.tv_nsec as f64 / 1e3;
    us
}
