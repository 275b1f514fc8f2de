//! A writer that is killed at any point: whatever it acknowledged is there.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of the support")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use opsgate_audit::{Log, Options, Outcome, SigningKey};
use support::{Home, args, call, data};

const HOME: &str = "OPSGATE_AUDIT_TEST_HOME";

#[test]
fn what_was_acknowledged_before_a_kill_is_there() {
    let home = Home::new();
    for round in 1..=6 {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_writer_to_be_killed", "--nocapture"])
            .env(HOME, home.dir.path())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.unwrap();
        let mut acknowledged = Vec::new();
        let mut killed = false;
        // What it had printed when it was killed counts too, so the pipe is read to its end.
        for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
            // The last line may be half a line.
            acknowledged.extend(line.strip_prefix("acknowledged ").filter(|hash| hash.len() == 64).map(str::to_owned));
            if !killed && acknowledged.len() >= round * 9 {
                child.kill().unwrap();
                killed = true;
            }
        }
        child.wait().unwrap();
        assert!(killed, "the writer ended by itself");
        let (log, opened) = home.open();
        assert!(!opened.created);
        drop(log);
        let report = home.assert_valid();
        assert_eq!(report.open, 0);
        let text = fs::read_to_string(home.segment()).unwrap();
        for hash in acknowledged {
            assert!(text.contains(&format!("\"entry_hash\":\"{hash}\"")), "round {round}: {hash} is missing");
        }
    }
}

/// Not a test of its own: the writer that the test above starts and kills. Started by nobody, it ends at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_to_be_killed() {
    let Some(home) = std::env::var_os(HOME).map(PathBuf::from) else { return };
    let key = SigningKey::load_or_create(&home.join("signing.key")).unwrap();
    let (log, _) = Log::open(Options::new(home.join("audit"), home.join("sealed"), "opsgate/test".into(), key)).unwrap();
    let mut callers = Vec::new();
    for caller in 0..8 {
        let log = log.clone();
        callers.push(tokio::spawn(async move {
            loop {
                let (receipt, pending) = log.intent(&call(), args(), data("repo_read")).unwrap();
                if caller % 2 == 0 {
                    acknowledge(&log.durable(receipt).await.unwrap().entry_hash().to_string());
                }
                acknowledge(&pending.outcome(Outcome::Ok, data("repo_read")).unwrap().durable().await.unwrap().entry_hash().to_string());
            }
        }));
    }
    for caller in callers {
        let _: Result<(), _> = caller.await;
    }
}

fn acknowledge(hash: &str) {
    let mut out = std::io::stdout().lock();
    // The parent that kills us also closes the pipe.
    let _ = out.write_all(format!("acknowledged {hash}\n").as_bytes()).and_then(|()| out.flush());
}
