//! What the writer must do and survive.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of the support")]

mod support;

use std::fs;
use std::sync::atomic::Ordering;

use opsgate_audit::{AppendError, CallRef, CanonicalJson, Code, EventKind, Log, OpenError, Outcome, unseal};
use serde_json::{Value, json};
use support::{EIO, ENOSPC, Home, Op, args, call, data, faulty};

fn entries(home: &Home) -> Vec<Value> {
    fs::read_to_string(home.segment()).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn read(log: &Log) -> u64 {
    let (receipt, pending) = log.intent(&call(), args(), data("repo_read")).unwrap();
    assert_eq!(receipt.args(), args());
    pending.outcome(Outcome::Ok, data("repo_read")).unwrap().durable().await.unwrap().seq()
}

#[tokio::test]
async fn a_log_begins_with_its_genesis_and_goes_on_after_a_restart() {
    let home = Home::new();
    let (log, opened) = home.open();
    assert!(opened.created && !opened.recovered);
    let _ = log.event(EventKind::PolicyLoaded, None, CanonicalJson::of(&json!({"sha256": "00"})).unwrap()).unwrap().durable().await.unwrap();
    assert_eq!(read(&log).await, 3);
    log.close().await.unwrap();
    let report = home.assert_valid();
    assert_eq!((report.entries, report.checkpointed, report.anchored_to), (4, 4, None));
    let (log, opened) = home.open();
    assert!(!opened.created && !opened.recovered && opened.quarantined.is_empty());
    assert_eq!(opened.entries, 4);
    assert_eq!(log.head().seq, 3);
    assert_eq!(read(&log).await, 5);
    drop(log);
    let entries = entries(&home);
    assert_eq!(home.assert_valid().entries, 6);
    assert_eq!(entries[2]["data"]["args_digest"], args().to_string());
    assert_eq!(entries[3]["data"]["outcome"], "ok");
    assert_ne!(entries[3]["boot"], entries[4]["boot"]);
}

#[tokio::test]
async fn durable_means_synced() {
    let (faults, home) = faulty();
    let (log, _) = home.open();
    let before = faults.syncs.load(Ordering::SeqCst);
    let (receipt, pending) = log.intent(&call(), args(), data("repo_write")).unwrap();
    let receipt = log.durable(receipt).await.unwrap();
    assert!(faults.syncs.load(Ordering::SeqCst) > before);
    assert!(fs::read_to_string(home.segment()).unwrap().contains(&receipt.entry_hash().to_string()));
    let recorded = pending.outcome(Outcome::Error, data("repo_write")).unwrap().durable().await.unwrap();
    assert!(fs::read_to_string(home.segment()).unwrap().contains(&recorded.entry_hash().to_string()));
    assert_eq!(recorded.origin(), "opsgate/test");
}

#[tokio::test]
async fn a_synced_intent_is_on_disk_and_keeps_its_receipt() {
    let (faults, home) = faulty();
    let (log, _) = home.open();
    let before = faults.syncs.load(Ordering::SeqCst);
    let (receipt, pending) = log.intent(&call(), args(), data("repo_read")).unwrap();
    log.sync(&receipt).await.unwrap();
    let hash = receipt.entry_hash().to_string();
    assert!(fs::read_to_string(home.segment()).unwrap().contains(&hash));
    assert!(faults.syncs.load(Ordering::SeqCst) > before);
    // A second time has nothing to wait for.
    log.sync(&receipt).await.unwrap();
    let durable = log.durable(receipt).await.unwrap();
    assert_eq!((durable.seq(), durable.entry_hash().to_string()), (1, hash));
    let _ = pending.outcome(Outcome::Ok, data("repo_read")).unwrap().durable().await.unwrap();
    drop(log);
    home.assert_valid();

    let (log, _) = home.open();
    let (receipt, _pending) = log.intent(&call(), args(), data("repo_read")).unwrap();
    faults.fail(Op::Sync, "00000001.jsonl", EIO);
    assert!(matches!(log.sync(&receipt).await, Err(AppendError::Sealed { .. })));
    assert!(matches!(log.sync(&receipt).await, Err(AppendError::Sealed { .. })), "and it stays so");
}

#[tokio::test]
async fn a_dropped_call_is_indeterminate() {
    let home = Home::new();
    let (log, _) = home.open();
    let (_, pending) = log.intent(&call(), args(), data("repo_read")).unwrap();
    drop(pending);
    let (_, pending) = log.intent(&call(), args(), data("repo_read")).unwrap();
    let large = CanonicalJson::of(&json!({"text": "x".repeat(70_000)})).unwrap();
    assert!(matches!(pending.outcome(Outcome::Ok, large), Err(AppendError::TooLarge { .. })));
    log.close().await.unwrap();
    let report = home.assert_valid();
    assert_eq!((report.intents, report.indeterminate, report.open), (2, 2, 0));
}

#[tokio::test]
async fn a_refused_append_leaves_the_chain_as_it_was() {
    let home = Home::new();
    let (log, _) = home.open();
    let head = log.head();
    let large = || CanonicalJson::of(&json!({"text": "x".repeat(65_536)})).unwrap();
    assert!(matches!(log.intent(&call(), args(), large()), Err(AppendError::TooLarge { .. })));
    assert!(matches!(log.refused(&call(), large()), Err(AppendError::TooLarge { .. })));
    let reserved = CanonicalJson::of(&json!({"args_digest": "mine"})).unwrap();
    assert!(matches!(log.intent(&call(), args(), reserved), Err(AppendError::Reserved { key: "args_digest" })));
    let v4 = CallRef { request_id: uuid::Uuid::new_v4(), correlation_id: [1; 16] };
    assert!(matches!(log.refused(&v4, data("x")), Err(AppendError::RequestId { .. })));
    assert_eq!(log.head().entry_hash, head.entry_hash);
    read(&log).await;
    drop(log);
    assert_eq!(home.assert_valid().entries, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everything_acknowledged_from_many_callers_is_there() {
    let home = Home::new();
    let (log, _) = home.open();
    let mut callers = Vec::new();
    for caller in 0..64 {
        let log = log.clone();
        callers.push(tokio::spawn(async move {
            let mut acknowledged = Vec::new();
            for _ in 0..25 {
                let (receipt, pending) = log.intent(&call(), args(), data("repo_read")).unwrap();
                if caller % 2 == 0 {
                    let receipt = log.durable(receipt).await.unwrap();
                    acknowledged.push((receipt.seq(), receipt.entry_hash().to_string()));
                }
                let recorded = pending.outcome(Outcome::Ok, data("repo_read")).unwrap().durable().await.unwrap();
                acknowledged.push((recorded.seq(), recorded.entry_hash().to_string()));
            }
            acknowledged
        }));
    }
    let mut acknowledged = Vec::new();
    for caller in callers {
        acknowledged.extend(caller.await.unwrap());
    }
    let stats = log.stats();
    assert_eq!(stats.appends, 1 + 64 * 25 * 2);
    assert_eq!(stats.open_intents, 0);
    assert!(stats.syncs < stats.appends, "{stats:?}");
    assert_eq!(stats.durable_after.iter().sum::<u64>(), stats.durable_entries);
    log.close().await.unwrap();
    let entries = entries(&home);
    assert_eq!(acknowledged.len(), 64 * 25 + 32 * 25);
    for (seq, hash) in acknowledged {
        assert_eq!(entries[usize::try_from(seq).unwrap()]["entry_hash"], hash.as_str());
    }
    home.assert_valid();
}

#[tokio::test]
async fn a_second_writer_is_refused_and_writes_nothing() {
    let home = Home::new();
    let (log, _) = home.open();
    read(&log).await;
    let before = fs::read(home.segment()).unwrap();
    assert!(matches!(Log::open(home.options()), Err(OpenError::Locked)));
    assert!(matches!(unseal(home.options()), Err(OpenError::Locked)));
    assert_eq!(fs::read(home.segment()).unwrap(), before);
    log.close().await.unwrap();
    let (second, _) = home.open();
    read(&second).await;
    assert!(matches!(log.refused(&call(), data("x")), Err(AppendError::Closed)), "a closed log writes nothing more");
    drop(second);
    home.assert_valid();
}

#[tokio::test]
async fn a_log_of_another_name_or_key_is_refused() {
    let home = Home::new();
    drop(home.open());
    let renamed = opsgate_audit::Options { origin: "opsgate/other".into(), ..home.options() };
    assert!(matches!(Log::open(renamed), Err(OpenError::OtherLog { .. })));
    let rekeyed = opsgate_audit::Options { key: Home::new().key, ..home.options() };
    assert!(matches!(Log::open(rekeyed), Err(OpenError::OtherKey { .. })));
    for origin in ["", "a b", "a+b", "a\"b", "a\nb", "ä"] {
        let bad = opsgate_audit::Options { origin: origin.into(), ..home.options() };
        assert!(matches!(Log::open(bad), Err(OpenError::Origin(_))), "{origin}");
    }
}

#[tokio::test]
async fn a_failing_sync_seals_for_good() {
    for (op, file) in [(Op::Sync, "00000001.jsonl"), (Op::Write, "00000001.jsonl")] {
        let (faults, home) = faulty();
        let (log, _) = home.open();
        read(&log).await;
        let (receipt, running) = log.intent(&call(), args(), data("repo_write")).unwrap();
        faults.fail(op, file, EIO);
        assert!(matches!(log.durable(receipt).await, Err(AppendError::Sealed { .. })));
        let syncs = faults.syncs.load(Ordering::SeqCst);
        // The disk works again: a sealed log does not care.
        faults.mend();
        assert!(matches!(running.outcome(Outcome::Ok, data("repo_write")), Err(AppendError::Sealed { .. })));
        assert!(matches!(log.intent(&call(), args(), data("repo_read")), Err(AppendError::Sealed { .. })));
        assert!(log.close().await.is_err());
        assert!(log.head().sealed.is_some());
        // The mark has a sync of its own; the log's file has none.
        assert!(faults.syncs.load(Ordering::SeqCst) <= syncs + 1);
        drop(log);
        assert!(home.mark().exists());
        assert!(matches!(Log::open(home.options()), Err(OpenError::Sealed { .. })));
        assert!(matches!(Log::open(home.options()), Err(OpenError::Sealed { .. })), "opening does not unseal");

        let unsealed = unseal(home.options()).unwrap();
        assert!(unsealed.why.unwrap().contains("failed"));
        assert!(!home.mark().exists());
        let (log, _) = home.open();
        read(&log).await;
        drop(log);
        let report = home.assert_valid();
        assert_eq!(report.open, 0);
        assert!(entries(&home).iter().any(|entry| entry["type"] == "log.recovered" && entry["data"]["unsealed"].is_string()));
    }
}

#[tokio::test]
async fn a_checkpoint_that_cannot_be_written_seals() {
    let (faults, home) = faulty();
    let (log, _) = home.open();
    read(&log).await;
    faults.fail(Op::Write, "checkpoints", EIO);
    assert!(matches!(log.close().await, Err(AppendError::Sealed { .. })));
    drop(log);
    assert!(home.mark().exists());
    faults.mend();
    assert!(unseal(home.options()).is_ok());
    home.assert_valid();
}

#[tokio::test]
async fn a_seal_lets_running_calls_end_and_nothing_begin() {
    let home = Home::new();
    let (log, _) = home.open();
    let (_, running) = log.intent(&call(), args(), data("repo_write")).unwrap();
    log.seal("executed, audit failed");
    assert!(matches!(log.intent(&call(), args(), data("repo_read")), Err(AppendError::Sealed { .. })));
    assert!(matches!(log.refused(&call(), data("repo_read")), Err(AppendError::Sealed { .. })));
    running.outcome(Outcome::Ok, data("repo_write")).unwrap().durable().await.unwrap();
    drop(log);
    match Log::open(home.options()) {
        Err(OpenError::Sealed { why }) => assert_eq!(why, "executed, audit failed"),
        other => panic!("{other:?}"),
    }
    let unsealed = unseal(home.options()).unwrap();
    assert_eq!(unsealed.why.as_deref(), Some("executed, audit failed"));
    assert_eq!(unseal(home.options()).unwrap().why, None);
    home.assert_valid();
}

#[tokio::test]
async fn a_full_disk_refuses_new_calls_and_keeps_the_outcomes_of_running_ones() {
    let (faults, home) = faulty();
    // Room for a few calls' lines, and no more.
    *faults.space.lock().unwrap() = Some(500_000);
    let (log, _) = home.open();
    let mut running = Vec::new();
    let refused = loop {
        match log.intent(&call(), args(), data("repo_write")) {
            Ok((_, pending)) => running.push(pending),
            Err(error) => break error,
        }
        assert!(running.len() < 100);
    };
    assert!(matches!(refused, AppendError::Full { .. }), "{refused}");
    assert!(running.len() >= 2);
    assert!(log.stats().full > 0);
    let largest = CanonicalJson::of(&json!({"text": "x".repeat(60_000)})).unwrap();
    for pending in running {
        pending.outcome(Outcome::Ok, largest.clone()).unwrap().durable().await.unwrap();
    }
    assert!(log.head().sealed.is_none());
    *faults.space.lock().unwrap() = None;
    read(&log).await;
    drop(log);
    home.assert_valid();
}

#[tokio::test]
async fn a_disk_that_cannot_reserve_and_is_full_seals() {
    let (faults, home) = faulty();
    faults.fail(Op::Reserve, "00000001.jsonl", 95);
    let (log, _) = home.open();
    read(&log).await;
    faults.fail(Op::Write, "00000001.jsonl", ENOSPC);
    let (receipt, _pending) = log.intent(&call(), args(), data("repo_write")).unwrap();
    assert!(matches!(log.durable(receipt).await, Err(AppendError::Sealed { .. })));
}

#[tokio::test]
async fn opening_on_a_disk_that_fails_leaves_a_log_that_opens_later() {
    for (op, file) in [
        (Op::Open, "00000001.jsonl"),
        (Op::Open, "checkpoints"),
        (Op::SyncDir, "audit"),
        (Op::Sync, "00000001.jsonl"),
        (Op::Write, "checkpoints"),
        (Op::Sync, "checkpoints"),
    ] {
        let (faults, home) = faulty();
        faults.fail(op, file, EIO);
        assert!(Log::open(home.options()).is_err(), "{op:?} {file}");
        faults.mend();
        let opened = unseal(home.options());
        assert!(opened.is_ok(), "{op:?} {file}: {opened:?}");
        let (log, _) = home.open();
        read(&log).await;
        drop(log);
        home.assert_valid();
    }
}

#[tokio::test]
async fn short_writes_make_whole_lines() {
    let (faults, home) = faulty();
    faults.short.store(7, Ordering::Relaxed);
    let (log, _) = home.open();
    read(&log).await;
    drop(log);
    home.assert_valid();
}

#[tokio::test]
async fn a_file_replaced_underneath_seals() {
    let home = Home::new();
    let (log, _) = home.open();
    read(&log).await;
    let copy = home.audit().join("copy");
    fs::copy(home.segment(), &copy).unwrap();
    fs::rename(&copy, home.segment()).unwrap();
    read(&log).await;
    assert!(matches!(log.close().await, Err(AppendError::Sealed { .. })));
}

#[tokio::test]
async fn text_cannot_forge_chain_fields() {
    let home = Home::new();
    let (log, _) = home.open();
    let evil = "\",\"entry_hash\":\"00\"}\n{\"v\":1,\"log\":\"x\",\"seq\":9\u{0}\r\u{feff}\u{2028}\\";
    let text = CanonicalJson::of(&json!({"entry_hash": evil, "prev_hash": evil, evil: evil, "seq": 9})).unwrap();
    let _ = log.refused(&call(), text).unwrap().durable().await.unwrap();
    drop(log);
    assert_eq!(home.assert_valid().entries, 2);
    let entries = entries(&home);
    assert_eq!((&entries[1]["seq"], &entries[1]["data"]["prev_hash"]), (&json!(1), &json!(evil)));
}

#[tokio::test]
async fn names_and_permissions() {
    use std::os::unix::fs::MetadataExt;
    let home = Home::new();
    let (log, _) = home.open();
    read(&log).await;
    drop(log);
    for (path, mode) in [(home.audit(), 0o700), (home.segment(), 0o600), (home.checkpoints(), 0o600), (home.audit().join("lock"), 0o600)] {
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, mode, "{}", path.display());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_can_be_checked_while_it_is_written() {
    let home = Home::new();
    let (log, _) = home.open();
    let writing = tokio::spawn(async move {
        for _ in 0..150 {
            read(&log).await;
        }
        log.close().await.unwrap();
    });
    while !writing.is_finished() {
        let report = home.verify();
        // The reader may come in the middle of a write; that is all it may see.
        assert!(report.findings.iter().all(|finding| finding.code == Code::TornLine), "{report}");
    }
    writing.await.unwrap();
    assert_eq!(home.assert_valid().entries, 301);
}
