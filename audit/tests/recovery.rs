//! What a start makes of what a crash left, and of what no crash can leave.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of the support")]

mod support;

use std::fs;
use std::sync::Arc;

use opsgate_audit::{EventKind, Log, OpenError, Outcome};
use support::{EIO, Home, NoSync, Op, args, call, data, faulty};

/// A home whose log has a checkpoint over its genesis and then, unsigned as after a kill, a call, an open intent and an event.
/// Returns where the signed part ends.
fn killed() -> (Home, usize) {
    let home = Home::on(Arc::new(NoSync));
    let (log, _) = home.open();
    let (signed, head) = (fs::read(home.checkpoints()).unwrap(), fs::read(home.head()).unwrap());
    let covered = fs::read(home.segment()).unwrap().len();
    let (_, pending) = log.intent(&call(), args(), data("repo_read")).unwrap();
    let _ = pending.outcome(Outcome::Ok, data("repo_read")).unwrap();
    let (_, open) = log.intent(&call(), args(), data("repo_write")).unwrap();
    let _ = log.event(EventKind::PolicyLoaded, None, data("x")).unwrap();
    std::mem::forget(open);
    drop(log);
    fs::write(home.checkpoints(), signed).unwrap();
    fs::write(home.head(), head).unwrap();
    (home, covered)
}

fn names(home: &Home) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(home.audit()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_tail_torn_at_any_offset_is_put_aside_and_the_log_goes_on() {
    let (home, covered) = killed();
    let (segment, checkpoints) = (fs::read(home.segment()).unwrap(), fs::read(home.checkpoints()).unwrap());
    let head = fs::read(home.head()).unwrap();
    let last = segment[..segment.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap();
    let near_a_line_end = |length: &usize| segment[length - 2..segment.len().min(length + 2)].contains(&b'\n');
    for length in (covered..=segment.len()).filter(|length| *length >= last || length % 17 == 0 || near_a_line_end(length)) {
        for name in names(&home).iter().filter(|name| name.contains("torn")) {
            fs::remove_file(home.audit().join(name)).unwrap();
        }
        fs::write(home.segment(), &segment[..length]).unwrap();
        fs::write(home.checkpoints(), &checkpoints).unwrap();
        fs::write(home.head(), &head).unwrap();
        let whole = segment[..length].iter().filter(|byte| **byte == b'\n').count();
        let end = segment[..length].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let (log, opened) = home.open();
        assert_eq!(opened.entries, whole as u64, "{length}");
        assert_eq!(opened.recovered, length > covered, "{length}");
        assert_eq!(opened.dangling, u64::from(whole == 2 || whole >= 4), "{length}");
        assert_eq!(opened.quarantined.len(), usize::from(end < length), "{length}");
        for torn in &opened.quarantined {
            assert_eq!(fs::read(home.audit().join(&torn.file)).unwrap(), &segment[end..length], "nothing is lost");
        }
        drop(log);
        let report = home.assert_valid();
        assert_eq!(report.open, 0);
        assert!(fs::read(home.segment()).unwrap().starts_with(&segment[..end]));
    }
}

#[test]
fn a_torn_checkpoint_is_put_aside() {
    let (home, _) = killed();
    let (log, _) = home.open();
    drop(log);
    let checkpoints = fs::read(home.checkpoints()).unwrap();
    let whole: usize = checkpoints.split_inclusive(|byte| *byte == b'\n').take(5).map(<[u8]>::len).sum();
    let (segment, head) = (fs::read(home.segment()).unwrap(), fs::read(home.head()).unwrap());
    for length in whole..checkpoints.len() {
        fs::write(home.head(), &head).unwrap();
        fs::write(home.segment(), &segment).unwrap();
        fs::write(home.checkpoints(), &checkpoints[..length]).unwrap();
        let (log, opened) = home.open();
        assert!(opened.recovered);
        assert_eq!(opened.quarantined.len(), usize::from(length > whole));
        drop(log);
        home.assert_valid();
    }
}

#[test]
fn holes_of_a_power_cut_are_put_aside() {
    let (home, covered) = killed();
    let mut segment = fs::read(home.segment()).unwrap();
    let hole = covered + 300..segment.len().min(covered + 700);
    segment[hole].fill(0);
    fs::write(home.segment(), &segment).unwrap();
    let (log, opened) = home.open();
    assert_eq!((opened.entries, opened.quarantined.len()), (1, 1));
    assert_eq!(opened.quarantined[0].bytes, (segment.len() - covered) as u64);
    drop(log);
    home.assert_valid();
}

#[test]
fn a_tail_that_is_signed_is_not_given_up() {
    let (home, _) = killed();
    drop(home.open());
    let (segment, checkpoints) = (fs::read(home.segment()).unwrap(), fs::read(home.checkpoints()).unwrap());
    for length in (0..segment.len()).step_by(37).chain([segment.len() - 1]) {
        fs::write(home.segment(), &segment[..length]).unwrap();
        let before = names(&home);
        match Log::open(home.options()) {
            Err(OpenError::Tampered { .. }) => {}
            other => panic!("{length}: {other:?}"),
        }
        assert!(opsgate_audit::unseal(home.options()).is_err(), "{length}");
        assert_eq!(fs::read(home.segment()).unwrap(), &segment[..length], "nothing is touched");
        assert_eq!(names(&home), before);
    }
    fs::write(home.segment(), &segment).unwrap();
    let changed = String::from_utf8(segment.clone()).unwrap().replacen("repo_read", "repo_reap", 1);
    fs::write(home.segment(), changed).unwrap();
    assert!(matches!(Log::open(home.options()), Err(OpenError::Tampered { .. })));
    fs::remove_file(home.segment()).unwrap();
    assert!(matches!(Log::open(home.options()), Err(OpenError::Tampered { .. })));
    fs::write(home.segment(), &segment).unwrap();
    fs::remove_file(home.checkpoints()).unwrap();
    assert!(matches!(Log::open(home.options()), Err(OpenError::Tampered { .. })));
    fs::write(home.checkpoints(), &checkpoints).unwrap();
    drop(home.open());
    home.assert_valid();
}

#[test]
fn a_checkpoint_signed_by_another_is_refused() {
    let home = Home::new();
    drop(home.open());
    let note = fs::read_to_string(home.checkpoints()).unwrap();
    let twin = Home::new();
    drop(twin.open());
    let other = fs::read_to_string(twin.checkpoints()).unwrap();
    let (text, _) = note.split_once("\n\n").unwrap();
    let (_, signature) = other.split_once("\n\n").unwrap();
    fs::write(home.checkpoints(), format!("{text}\n\n{signature}")).unwrap();
    assert!(matches!(Log::open(home.options()), Err(OpenError::Tampered { .. })));
    // One that claims nothing must not keep those after it from being compared.
    fs::write(home.checkpoints(), format!("{}\n\n{signature}{note}", text.replacen("\n1\n", "\n0\n", 1))).unwrap();
    assert!(matches!(Log::open(home.options()), Err(OpenError::Tampered { .. })));
    fs::write(home.checkpoints(), note).unwrap();
    drop(home.open());
}

#[test]
fn a_start_that_died_before_its_first_checkpoint_begins_again() {
    for keep in [0, 10, 200] {
        let home = Home::new();
        drop(home.open());
        let segment = fs::read(home.segment()).unwrap();
        fs::write(home.segment(), &segment[..keep]).unwrap();
        fs::remove_file(home.checkpoints()).unwrap();
        fs::remove_file(home.head()).unwrap();
        let (log, opened) = home.open();
        assert!(opened.created && !opened.recovered, "{keep}");
        assert_eq!(opened.quarantined.len(), usize::from(keep > 0));
        drop(log);
        home.assert_valid();
    }
    let home = Home::new();
    drop(home.open());
    fs::write(home.checkpoints(), "").unwrap();
    let (log, opened) = home.open();
    assert_eq!((opened.created, opened.entries), (false, 1));
    drop(log);
    home.assert_valid();
}

#[test]
fn dangling_intents_are_marked_once() {
    let (home, _) = killed();
    let (log, opened) = home.open();
    assert_eq!((opened.dangling, opened.recovered), (1, true));
    drop(log);
    let (log, opened) = home.open();
    assert_eq!((opened.dangling, opened.recovered), (0, false));
    drop(log);
    let report = home.assert_valid();
    assert_eq!((report.indeterminate, report.open), (1, 0));
}

#[test]
fn a_recovery_that_fails_anywhere_loses_nothing_and_can_be_tried_again() {
    for (op, file) in [
        (Op::Open, "TORN"),
        (Op::Write, "TORN"),
        (Op::Sync, "TORN"),
        (Op::SyncDir, "audit"),
        (Op::Open, "00000001.jsonl"),
        (Op::Sync, "00000001.jsonl"),
    ] {
        let (killed, covered) = killed();
        let file = file.replace("TORN", &format!("00000001.torn-{covered}-1"));
        let (faults, home) = faulty();
        let home = Home { dir: killed.dir, key: killed.key, files: home.files };
        let mut segment = fs::read(home.segment()).unwrap();
        segment[covered + 5] = 0; // a hole, as lost pages leave
        fs::write(home.segment(), &segment).unwrap();
        faults.fail(op, &file, EIO);
        assert!(Log::open(home.options()).is_err(), "{op:?} {file}");
        let aside = names(&home).into_iter().filter(|name| name.contains("torn")).map(|name| fs::read(home.audit().join(name)).unwrap());
        let kept = fs::read(home.segment()).unwrap() == segment || aside.into_iter().any(|aside| aside == segment[covered..]);
        assert!(kept, "{op:?} {file}");
        faults.mend();
        opsgate_audit::unseal(home.options()).unwrap();
        let (log, opened) = home.open();
        assert!(opened.entries >= 1 && opened.quarantined.is_empty());
        drop(log);
        home.assert_valid();
    }
}

/// A crash tears a line or leaves holes. A whole line that is wrong was changed by somebody: it is not put aside in silence.
#[test]
fn a_changed_line_that_nothing_signed_is_not_taken_for_a_crash() {
    let (home, covered) = killed();
    let segment = fs::read(home.segment()).unwrap();
    for at in [covered + 5, covered + 200] {
        let mut changed = segment.clone();
        changed[at] ^= 1;
        fs::write(home.segment(), &changed).unwrap();
        let error = Log::open(home.options()).unwrap_err();
        assert!(matches!(error, OpenError::Tampered { line: 2, .. }), "{error}");
        assert!(!names(&home).iter().any(|name| name.contains("torn")), "it was put aside");
    }
    fs::write(home.segment(), &segment).unwrap();
    assert!(home.open().1.recovered);
}
