//! What everything costs: the gateway with all it does beside a bare rmcp server of one tool, in one run, by turns.
//!
//! Both give the same answers to the same driver, over HTTP and stdio, to 1, 16 and 64 callers; ratios are what counts. Then what each
//! stage of the path costs in CPU, and what the log costs on a disk. `cargo bench --bench gateway`; with `-- --quick` in a fifth of the time,
//! with `-- --stages` the stages alone.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout, reason = "a benchmark")]

mod bare;
mod drive;
mod home;
mod stages;

use std::time::Duration;

use drive::{Call, Load};
use home::{Bare, Opsgate, Place};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TURNS: usize = 3;
const CALLERS: [usize; 3] = [1, 16, 64];

fn main() {
    let args: Vec<String> = std::env::args().collect();
    match args.get(1).map(String::as_str) {
        Some("bare-http") => return bare::http(&args[2], &args[3]),
        Some("bare-stdio") => return bare::stdio(&args[2]),
        _ => {}
    }
    let quick = args.iter().any(|arg| arg == "--quick");
    let turn = Duration::from_millis(if quick { 400 } else { 2000 });
    // The driver has one thread, so that it takes as little as possible of what it measures.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    if args.iter().any(|arg| arg == "--stages") {
        return stages::print(turn);
    }
    runtime.block_on(compare(turn));
    stages::print(turn);
    runtime.block_on(on_a_disk(turn));
}

/// The two kinds of answer: small, and 16 KB of a file that is read, redacted and scrubbed.
fn calls() -> [(&'static str, Call); 2] {
    [("small", Call::new("policy_whoami", "{}")), ("16 KB", Call::new("workspace_read_file", r#"{"path":"sixteen.txt"}"#))]
}

async fn compare(turn: Duration) {
    println!("the log in memory; ratios to bare rmcp, the median of {TURNS} turns; CPU is the server's, a call\n");
    println!("transport  answer  callers   calls/s    bare      ratio   p99 ms  bare    ratio   CPU µs  bare");
    let opsgate = Opsgate::start(Place::Memory);
    for (size, call) in calls() {
        let answer = opsgate.answer(&call).await;
        let bare = Bare::http(&answer);
        for callers in CALLERS {
            let mut turns = Vec::new();
            for _ in 0..TURNS {
                let theirs = drive::http(&bare.url(), None, &call, callers, turn, &[bare.pid()]).await;
                turns.push((drive::http(&opsgate.url(), Some(&opsgate.key), &call, callers, turn, &[opsgate.pid()]).await, theirs));
            }
            row("http", size, callers, turns);
        }
        for callers in CALLERS {
            let mut turns = Vec::new();
            for _ in 0..TURNS {
                let theirs = drive::stdio(&mut Bare::stdio(&answer), &call, callers, turn, &[]).await;
                turns.push((drive::stdio(&mut opsgate.stdio(), &call, callers, turn, &[opsgate.pid()]).await, theirs));
            }
            row("stdio", size, callers, turns);
        }
    }
}

async fn on_a_disk(turn: Duration) {
    let place = Place::Disk;
    println!(
        "\nthe log on the disk of the target folder; one fdatasync of 4 KiB there takes {:.2} ms (median)\n",
        place.sync_time().as_secs_f64() * 1e3
    );
    println!("answer  callers   calls/s   p99 ms   in memory: calls/s   p99 ms");
    let (disk, memory) = (Opsgate::start(place), Opsgate::start(Place::Memory));
    for (size, call) in calls() {
        for callers in CALLERS {
            let slow = drive::http(&disk.url(), Some(&disk.key), &call, callers, turn, &[]).await;
            let fast = drive::http(&memory.url(), Some(&memory.key), &call, callers, turn, &[]).await;
            println!(
                "{size:<7} {callers:>6} {:>10.0} {:>8.2} {:>20.0} {:>8.2}",
                slow.calls_a_second(),
                slow.p99_ms(),
                fast.calls_a_second(),
                fast.p99_ms()
            );
        }
    }
}

fn row(transport: &str, size: &str, callers: usize, mut turns: Vec<(Load, Load)>) {
    turns.sort_by(|a, b| (a.0.calls_a_second() / a.1.calls_a_second()).total_cmp(&(b.0.calls_a_second() / b.1.calls_a_second())));
    let (ours, bare) = &turns[turns.len() / 2];
    println!(
        "{transport:<10} {size:<7} {callers:>6} {:>10.0} {:>8.0} {:>8.2} {:>9.2} {:>7.2} {:>7.2} {:>8.0} {:>6.0}",
        ours.calls_a_second(),
        bare.calls_a_second(),
        ours.calls_a_second() / bare.calls_a_second(),
        ours.p99_ms(),
        bare.p99_ms(),
        ours.p99_ms() / bare.p99_ms(),
        ours.cpu_us_a_call(),
        bare.cpu_us_a_call(),
    );
}
