//! The validator over a fresh, real log: whatever is changed is found.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of the support")]

mod support;

use std::fs;
use std::path::Path;

use opsgate_audit::verify::Report;
use opsgate_audit::{Code, EventKind, Outcome};
use support::{Home, args, call, data, verify_folder};
use tempfile::TempDir;

/// A closed log of five entries: its lines and its checkpoints.
fn small_log() -> (Vec<u8>, Vec<u8>) {
    let home = Home::new();
    let (log, _) = home.open();
    let (_, pending) = log.intent(&call(), args(), data("repo_read")).unwrap();
    let _ = pending.outcome(Outcome::Ok, data("repo_read")).unwrap();
    let _ = log.refused(&call(), data("repo_delete")).unwrap();
    let _ = log.event(EventKind::PolicyLoaded, None, data("é€😀\n")).unwrap();
    drop(log);
    home.assert_valid();
    (fs::read(home.segment()).unwrap(), fs::read(home.checkpoints()).unwrap())
}

struct Scratch(TempDir);

impl Scratch {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn verify(&self, segment: &[u8], checkpoints: &[u8]) -> Report {
        let path = |name: &str| Path::new(self.0.path()).join(name);
        fs::write(path("00000001.jsonl"), segment).unwrap();
        fs::write(path("checkpoints"), checkpoints).unwrap();
        verify_folder(self.0.path())
    }
}

fn lines(segment: &[u8]) -> Vec<Vec<u8>> {
    segment.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

/// Without checkpoints: what the chain alone must find.
fn chain_finds(scratch: &Scratch, segment: &[u8]) -> Vec<&'static str> {
    let path = scratch.0.path().join("00000001.jsonl");
    fs::write(path, segment).unwrap();
    let findings = verify_folder(scratch.0.path()).findings;
    findings.iter().map(|finding| finding.code.name()).filter(|code| *code != "no_checkpoints").collect()
}

#[test]
fn every_bit_flip_is_found_by_the_chain_alone() {
    let (segment, _) = small_log();
    let scratch = Scratch::new();
    assert!(chain_finds(&scratch, &segment).is_empty());
    for at in 0..segment.len() {
        for bit in 0..8 {
            let mut changed = segment.clone();
            changed[at] ^= 1 << bit;
            assert!(!chain_finds(&scratch, &changed).is_empty(), "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn every_byte_of_a_checkpoint_counts() {
    let (segment, checkpoints) = small_log();
    let checkpoints = lines(&checkpoints)[5..].concat();
    let scratch = Scratch::new();
    assert!(scratch.verify(&segment, &checkpoints).is_valid(), "the last checkpoint alone covers the log");
    for at in 0..checkpoints.len() {
        let mut changed = checkpoints.clone();
        changed[at] ^= 1 << (at % 8);
        assert!(!scratch.verify(&segment, &changed).is_valid(), "byte {at}");
    }
}

#[test]
fn every_truncation_is_found() {
    let (segment, checkpoints) = small_log();
    let scratch = Scratch::new();
    for length in 0..segment.len() {
        if length == 0 || segment[length - 1] == b'\n' {
            continue;
        }
        assert_eq!(chain_finds(&scratch, &segment[..length])[0], "torn_line", "{length}");
    }
    // Between two lines the chain looks whole: only what was signed tells.
    for length in (0..segment.len()).filter(|length| *length == 0 || segment[length - 1] == b'\n') {
        let report = scratch.verify(&segment[..length], &checkpoints);
        assert!(report.findings.iter().any(|finding| finding.code == Code::Truncated), "{length}: {report}");
    }
}

#[test]
fn every_deletion_insertion_swap_and_copy_of_a_line_is_found() {
    let (segment, checkpoints) = small_log();
    let (other, _) = small_log();
    let (lines, other) = (lines(&segment), lines(&other));
    let scratch = Scratch::new();
    let check = |changed: &[Vec<u8>], what: String| assert!(!scratch.verify(&changed.concat(), &checkpoints).is_valid(), "{what}");
    assert!(scratch.verify(&lines.concat(), &checkpoints).is_valid());
    for at in 0..lines.len() {
        let mut changed = lines.clone();
        changed.remove(at);
        check(&changed, format!("without line {at}"));
        let mut changed = lines.clone();
        changed[at].clone_from(&other[at]);
        check(&changed, format!("line {at} of another log"));
        for to in 0..=lines.len() {
            let mut changed = lines.clone();
            changed.insert(to, lines[at].clone());
            check(&changed, format!("line {at} again at {to}"));
            let mut changed = lines.clone();
            changed.insert(to, other[at].clone());
            check(&changed, format!("line {at} of another log put in at {to}"));
        }
        for to in (0..lines.len()).filter(|to| *to != at) {
            let mut changed = lines.clone();
            changed.swap(at, to);
            check(&changed, format!("lines {at} and {to} swapped"));
        }
    }
}

#[test]
fn a_report_names_file_line_and_byte() {
    let (segment, checkpoints) = small_log();
    let mut changed = lines(&segment);
    let offset: usize = changed[..2].iter().map(Vec::len).sum();
    let at = String::from_utf8(changed[2].clone()).unwrap().find("repo_read").unwrap();
    changed[2][at] = b'x';
    let report = Scratch::new().verify(&changed.concat(), &checkpoints);
    let finding = &report.findings[0];
    assert_eq!((finding.code.name(), finding.file.as_str(), finding.line, finding.offset), ("entry_hash", "00000001.jsonl", 3, offset as u64));
    assert!(report.to_string().contains(&format!("00000001.jsonl:3 (byte {offset}): entry_hash:")), "{report}");
}
