//! What whoever can write the log's folder, and has no key, can make of a writer that is stopped or killed.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of the support")]

mod support;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use opsgate_audit::verify::{Check, verify};
use opsgate_audit::{Code, Log, OpenError, Outcome, SigningKey, unseal};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use support::{Home, args, call, data, verify_by_python};

/// A call, whole.
fn record(log: &Log) {
    let (_, pending) = log.intent(&call(), args(), data("repo_read")).unwrap();
    let _ = pending.outcome(Outcome::Ok, data("repo_read")).unwrap();
}

/// Runs a gateway that records `calls` calls and closes.
fn run(home: &Home, calls: usize) {
    let (log, _) = home.open();
    (0..calls).for_each(|_| record(&log));
}

/// The log's files and its mark.
struct Copy(Vec<u8>, Vec<u8>, Vec<u8>);

impl Copy {
    fn of(home: &Home) -> Self {
        Self(fs::read(home.segment()).unwrap(), fs::read(home.checkpoints()).unwrap(), fs::read(home.head()).unwrap())
    }

    /// What an attacker can put back: not the mark.
    fn put_back(&self, home: &Home) {
        fs::write(home.segment(), &self.0).unwrap();
        fs::write(home.checkpoints(), &self.1).unwrap();
    }
}

/// The lines from `first` on with every `from` replaced, and every hash made right.
fn forged(segment: &[u8], first: usize, from: &str, to: &str) -> String {
    let mut last = String::new();
    let mut out = String::new();
    for (at, line) in std::str::from_utf8(segment).unwrap().lines().enumerate() {
        let (body, hash) = line.rsplit_once(",\"entry_hash\":\"").unwrap();
        if at < first {
            last = hash[..64].to_owned();
            out += &format!("{line}\n");
            continue;
        }
        let (before, after) = body.split_once("\"prev_hash\":\"").unwrap();
        let body = format!("{before}\"prev_hash\":\"{last}{}", after[64..].replace(from, to));
        let hash = Sha256::digest(format!("opsgate-audit/v1/entry\n{body}"));
        last = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        out += &format!("{body},\"entry_hash\":\"{last}\"}}\n");
    }
    out
}

/// Takes the checkpoints and the mark back to what they were: as if the writer had been killed before it signed again.
fn as_if_killed(home: &Home, then: &Copy) {
    fs::write(home.checkpoints(), &then.1).unwrap();
    fs::write(home.head(), &then.2).unwrap();
}

fn announced(home: &Home) -> Vec<Value> {
    let text = fs::read_to_string(home.segment()).unwrap();
    let entries = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    entries.filter(|entry| entry["type"] == "log.recovered").map(|entry| entry["data"].clone()).collect()
}

fn refused(home: &Home, words: &str) {
    match (Log::open(home.options()), unseal(home.options())) {
        (Err(OpenError::Tampered { what, .. }), Err(OpenError::Tampered { .. })) => assert!(what.contains(words), "{what}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_tail_that_was_forged_after_a_kill_is_announced() {
    let home = Home::new();
    run(&home, 1);
    let signed = Copy::of(&home);
    run(&home, 2);
    as_if_killed(&home, &signed);
    let tail = forged(&fs::read(home.segment()).unwrap(), 3, "repo_read", "repo_reap");
    assert!(tail.contains("repo_reap"));
    fs::write(home.segment(), &tail).unwrap();
    let (log, opened) = home.open();
    assert!(opened.recovered && opened.entries == 7, "a crash may leave just this, so it is taken");
    drop(log);
    assert_eq!(announced(&home).len(), 1);
    assert_eq!((&announced(&home)[0]["unsigned_from"], &announced(&home)[0]["unsigned_to"]), (&json!(3), &json!(6)));
    let report = home.assert_valid();
    assert_eq!((report.unsigned, report.unsigned_ranges.as_slice()), (4, &[(3, 6)][..]));
    assert!(report.to_string().contains("recovered   4 entries (3–6) were not yet signed when the writer ended; only receipts vouch for them\n"));
    let python = verify_by_python(&home.audit(), &[]);
    assert_eq!((&python["total_findings"], &python["unsigned"], &python["unsigned_ranges"]), (&json!(0), &json!(4), &json!([[3, 6]])));

    // The start that announces it is killed before it can sign: the next one announces all of it again.
    as_if_killed(&home, &signed);
    run(&home, 1);
    assert_eq!(announced(&home)[1]["unsigned_to"], 7);
    assert_eq!(home.assert_valid().unsigned, 5, "each entry counts once");
    // After a clean close there is nothing to announce.
    run(&home, 1);
    assert_eq!((announced(&home).len(), home.assert_valid().unsigned), (2, 5));
}

#[test]
fn a_recovery_without_unsigned_entries_announces_none() {
    let home = Home::new();
    run(&home, 1);
    let mut torn = fs::read(home.segment()).unwrap();
    torn.extend(b"{\"v\":1");
    fs::write(home.segment(), torn).unwrap();
    run(&home, 0);
    let announced = announced(&home);
    assert_eq!(announced.len(), 1);
    assert!(announced[0].get("unsigned_from").is_none() && announced[0].get("unsigned_to").is_none());
    assert_eq!(home.assert_valid().unsigned, 0);
}

#[test]
fn the_high_water_mark_is_the_newest_checkpoint() {
    let home = Home::new();
    for _ in 0..3 {
        run(&home, 1);
        let notes = fs::read_to_string(home.checkpoints()).unwrap();
        let newest: Vec<&str> = notes.split_inclusive('\n').collect();
        assert_eq!(fs::read_to_string(home.head()).unwrap(), newest[newest.len() - 5..].concat());
        assert_eq!(fs::metadata(home.head()).unwrap().mode() & 0o777, 0o600);
        let mut names: Vec<_> = fs::read_dir(home.dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["audit", "head", "signing.key"]);
    }
}

#[test]
fn a_log_cut_back_to_an_older_checkpoint_is_refused() {
    let home = Home::new();
    run(&home, 1);
    let older = Copy::of(&home);
    run(&home, 2);
    let newer = Copy::of(&home);
    older.put_back(&home);
    assert!(home.verify().is_valid(), "the folder alone cannot tell");
    refused(&home, "the log ends at entry 2, but 7 entries were signed: its end is missing");
    fs::write(home.mark(), "sealed by hand").unwrap();
    assert!(unseal(home.options()).is_err());
    assert!(home.mark().exists(), "the seal stays");
    fs::remove_file(home.mark()).unwrap();
    let report = verify(&Check { paths: vec![home.audit()], head: Some(home.head()), ..Check::default() }).unwrap();
    assert_eq!(report.findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), [Code::Truncated]);
    let python = verify_by_python(&home.audit(), &["--head".as_ref(), home.head().as_os_str()]);
    assert_eq!((&python["total_findings"], &python["findings"][0]["code"]), (&json!(1), &json!("truncated")));
    // All of it gone.
    fs::write(home.segment(), "").unwrap();
    fs::remove_file(home.checkpoints()).unwrap();
    refused(&home, "the log has no entry, but 7 entries were signed");
    newer.put_back(&home);
    run(&home, 0);
    let report = verify(&Check { paths: vec![home.audit()], head: Some(home.head()), ..Check::default() }).unwrap();
    assert!(report.is_valid(), "{report}");
}

#[test]
fn a_log_that_went_another_way_since_the_mark_is_refused() {
    let home = Home::new();
    run(&home, 1);
    let older = Copy::of(&home);
    run(&home, 1);
    let mark = fs::read(home.head()).unwrap();
    older.put_back(&home);
    fs::remove_file(home.head()).unwrap();
    run(&home, 3);
    fs::write(home.head(), mark).unwrap();
    refused(&home, "do not have the root that was signed");
}

#[test]
fn a_mark_that_is_damaged_or_foreign_is_refused_and_a_missing_one_is_no_hindrance() {
    let home = Home::new();
    run(&home, 1);
    let longer = Home::new();
    run(&longer, 9);
    let foreign = fs::read(longer.head()).unwrap();
    let own = fs::read(home.head()).unwrap();
    let forged = String::from_utf8(own.clone()).unwrap().replacen("\n3\n", "\n9\n", 1).into_bytes();
    for mark in [Vec::new(), b"no mark\n".to_vec(), own[..40].to_vec(), foreign, forged] {
        fs::write(home.head(), mark).unwrap();
        refused(&home, "not a signed checkpoint of this log");
    }
    fs::remove_file(home.head()).unwrap();
    run(&home, 0);
    home.assert_valid();
}

/// Newest checkpoints that were deleted: the mark still vouches for what they covered.
#[test]
fn what_the_mark_covers_is_not_announced_as_unsigned() {
    let home = Home::new();
    run(&home, 1);
    let older = Copy::of(&home);
    run(&home, 2);
    fs::write(home.checkpoints(), &older.1).unwrap();
    let (log, opened) = home.open();
    assert!(opened.recovered);
    drop(log);
    assert_eq!(home.assert_valid().unsigned, 0);
}

fn fifo(path: &Path) {
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR, 0).unwrap();
}

#[test]
fn what_is_no_regular_file_is_not_opened() {
    let home = Home::new();
    run(&home, 1);
    let aside = home.dir.path().join("aside");
    for path in [home.segment(), home.checkpoints(), home.head()] {
        fs::rename(&path, &aside).unwrap();
        fifo(&path);
        assert!(Log::open(home.options()).is_err(), "{}", path.display());
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&aside, &path).unwrap();
        let error = Log::open(home.options()).unwrap_err().to_string();
        assert!(error.contains("not a regular file"), "{error}");
        fs::remove_file(&path).unwrap();
        fs::rename(&aside, &path).unwrap();
    }
    run(&home, 1);
    home.assert_valid();
}

/// Nothing is closed here: the writer signs by itself once nothing more comes.
#[tokio::test]
async fn a_log_that_falls_idle_is_signed() {
    let home = Home::new();
    let (log, _) = home.open();
    let (_, pending) = log.intent(&call(), args(), data("repo_read")).unwrap();
    pending.outcome(Outcome::Ok, data("repo_read")).unwrap().durable().await.unwrap();
    let begun = std::time::Instant::now();
    while home.verify().checkpointed < 3 {
        assert!(begun.elapsed().as_secs() < 60, "nothing was signed: waiting for ever would tell nobody");
        tokio::task::yield_now().await;
    }
    drop(log);
}

#[tokio::test]
async fn another_key_begins_anew_once_the_old_mark_is_moved_away() {
    let home = Home::new();
    run(&home, 4);
    fs::remove_dir_all(home.audit()).unwrap();
    fs::remove_file(home.dir.path().join("signing.key")).unwrap();
    let key = SigningKey::load_or_create(&home.dir.path().join("signing.key")).unwrap();
    let home = Home { dir: home.dir, key, files: home.files };
    refused(&home, "not a signed checkpoint of this log");
    fs::remove_file(home.head()).unwrap();
    assert!(home.open().1.created);
}

/// As fast as the writer signs, one entry after the other: never two checkpoints within a second, but for the one at the opening.
#[tokio::test]
async fn no_two_checkpoints_are_signed_within_a_second() {
    let home = Home::new();
    let begun = std::time::Instant::now();
    let (log, _) = home.open();
    for _ in 0..3 {
        let signed = log.stats().checkpoints;
        let (_, pending) = log.intent(&call(), args(), data("repo_read")).unwrap();
        pending.outcome(Outcome::Ok, data("repo_read")).unwrap().durable().await.unwrap();
        while log.stats().checkpoints == signed {
            assert!(begun.elapsed().as_secs() < 60, "nothing was signed: waiting for ever would tell nobody");
        }
        assert!(log.stats().checkpoints <= begun.elapsed().as_secs() + 1, "{} after {:?}", log.stats().checkpoints, begun.elapsed());
    }
}
