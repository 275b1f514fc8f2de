//! Makes `audit/vectors/`: logs, good and tampered, and the table of what a validator must find in each.
//!
//! It builds lines, trees and signatures by itself and uses nothing of the crate, so that the vectors hold the format still.
//!
//!     cargo run -p opsgate-audit --example make_vectors -- audit/vectors
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "makes test data")]

mod log;

use std::path::Path;

use log::{Log, hex, key, named, note, root};

const ORIGIN: &str = "opsgate/vectors";
const SEGMENT: &str = "00000001.jsonl";
/// One line each of `expect.tsv`: folder, exit code, codes, options.
const TABLE_HEAD: &str = "# folder\texit\tcodes\toptions";

pub struct Vector {
    pub name: &'static str,
    pub codes: &'static [&'static str],
    pub options: String,
    pub files: Vec<(&'static str, Vec<u8>)>,
}

fn main() {
    let folder = std::env::args().nth(1).expect("the folder to write to");
    for (path, bytes) in files(&vectors()) {
        let path = Path::new(&folder).join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

/// All files, by their paths in the folder.
pub fn files(vectors: &[Vector]) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut table = vec![TABLE_HEAD.to_owned()];
    for vector in vectors {
        let exit = u8::from(!vector.codes.is_empty());
        table.push(format!("{}\t{exit}\t{}\t{}", vector.name, vector.codes.join(","), vector.options).trim_end().to_owned());
        files.extend(vector.files.iter().map(|(name, bytes)| (format!("{}/{name}", vector.name), bytes.clone())));
    }
    files.push(("expect.tsv".to_owned(), (table.join("\n") + "\n").into_bytes()));
    files
}

/// Ten entries of two runs under four checkpoints.
fn base() -> Log {
    Log::begun(ORIGIN, "key", "nonce")
        .entry("policy.loaded", None, r#"{"sha256":"5f"}"#)
        .call(1, "ok")
        .signed()
        .entry("call.refused", Some(2), r#"{"code":"policy_denied","reason":"no rule allows it","tool":"repo_delete"}"#)
        .call(3, "indeterminate")
        .signed()
        .restarted()
        .entry("policy.loaded", None, r#"{"sha256":"60"}"#)
        .call(4, "error")
        .signed()
}

/// The base and one more line that no checkpoint covers, as bytes before the hash.
fn with_line(change: impl Fn(String) -> Vec<u8>) -> Log {
    let mut log = base();
    let body = log.body(log.lines.len(), "policy.loaded", None, r#"{"a":"A","n":1}"#);
    log.push(change(body));
    log
}

fn with_data(data: &str) -> Log {
    with_line(|body| body.replace(r#"{"a":"A","n":1}"#, data).into_bytes())
}

fn vector(name: &'static str, codes: &'static [&'static str], log: &Log) -> Vector {
    Vector { name, codes, options: String::new(), files: log.files() }
}

fn edited(name: &'static str, codes: &'static [&'static str], edit: impl FnOnce(&mut Log)) -> Vector {
    let mut log = base();
    edit(&mut log);
    vector(name, codes, &log)
}

fn raw(name: &'static str, codes: &'static [&'static str], log: &Log, edit: impl FnOnce(&mut Vec<u8>)) -> Vector {
    let mut files = log.files();
    edit(&mut files[0].1);
    Vector { name, codes, options: String::new(), files }
}

fn flipped(name: &'static str, codes: &'static [&'static str], line: usize, before: &str) -> Vector {
    edited(name, codes, |log| {
        let at = String::from_utf8(log.lines[line].clone()).unwrap().find(before).unwrap() + before.len();
        log.lines[line][at] ^= 1;
    })
}

pub fn vectors() -> Vec<Vector> {
    [good(), changed(), rewritten(), checkpoints(), heads(), recovered(), shapes(), pairs()].into_iter().flatten().collect()
}

fn good() -> Vec<Vector> {
    // The emoji is two units from 0xd800 on in UTF-16 and so comes before U+FB33.
    let unusual = r#"{"":{},"\n":[[],null,true,false],"1":"\u000f\b\"\\","€":-9007199254740992,"😀":"\u001f","LAST":0}"#.replace("LAST", "\u{fb33}");
    let injected = r#"{"entry_hash":"00","prev_hash":"\",\"entry_hash\":\"00\"}\n{\"v\":1","seq":9}"#;
    let anchored = base();
    let mut files = anchored.files();
    files.push(("receipts", (anchored.receipt(3) + &anchored.receipt(9)).into_bytes()));
    vec![
        vector("good", &[], &base()),
        Vector { name: "good-known-key", codes: &[], options: format!("--key {}", base().public()), files: base().files() },
        Vector { name: "good-anchored", codes: &[], options: "--receipts {}/receipts --require-anchor".into(), files },
        vector("good-unusual-data", &[], &base().entry("clock.jump", None, &unusual).signed()),
        vector("good-approval", &[], &base().entry("approval.granted", Some(9), "{}").entry("log.recovered", None, "{}").signed()),
        vector("good-injected-text", &[], &base().entry("call.refused", Some(9), injected).signed()),
    ]
}

/// Attacks 1 to 5, 11, 12, 15, 16: whoever changes the file without making the hashes right.
fn changed() -> Vec<Vector> {
    let other = Log::begun("opsgate/other", "key", "nonce").call(1, "ok").call(2, "ok");
    let twin = Log::begun(ORIGIN, "key", "another nonce").entry("policy.loaded", None, r#"{"sha256":"5f"}"#).call(1, "ok").call(2, "ok");
    vec![
        flipped("flip-data", &["entry_hash", "checkpoint_root"], 4, r#""reason":"no"#),
        flipped("flip-hash", &["entry_hash", "prev_hash"], 4, r#""entry_hash":""#),
        flipped("flip-prev-hash", &["entry_hash", "prev_hash", "checkpoint_root"], 4, r#""prev_hash":""#),
        flipped("flip-time", &["entry_hash", "checkpoint_root"], 4, r#""ts":"2026-01-0"#),
        flipped("flip-punctuation", &["malformed", "checkpoint_root", "outcome_without_intent"], 5, r#""v":1"#),
        edited("delete-first", &["genesis", "checkpoint_root", "truncated"], |log| drop(log.lines.remove(0))),
        edited("delete-middle", &["seq", "prev_hash", "checkpoint_root", "truncated"], |log| drop(log.lines.remove(4))),
        edited("delete-last", &["truncated", "intent_without_outcome"], |log| drop(log.lines.pop())),
        edited("delete-all", &["truncated"], |log| log.lines.clear()),
        raw("truncate-in-line", &["torn_line", "truncated", "intent_without_outcome"], &base(), |bytes| bytes.truncate(bytes.len() - 1500)),
        raw("truncate-line-end", &["torn_line", "truncated", "intent_without_outcome"], &base(), |bytes| bytes.truncate(bytes.len() - 1)),
        edited("insert", &["seq", "prev_hash", "checkpoint_root", "uncovered"], |log| {
            let before = Log { lines: log.lines[..4].to_vec(), last: log.hashes[3], boot: 1, mono: 6_000_492, ..log.clone() };
            let inserted = before.entry("call.refused", Some(8), r#"{"tool":"never_asked"}"#).lines[4].clone();
            log.lines.insert(4, inserted);
        }),
        edited("reorder", &["seq", "prev_hash", "monotonic", "outcome_without_intent", "intent_without_outcome", "checkpoint_root"], |log| {
            log.lines.swap(5, 6)
        }),
        edited("duplicate", &["seq", "prev_hash", "checkpoint_root", "outcome_without_intent", "uncovered"], |log| {
            log.lines.insert(4, log.lines[3].clone())
        }),
        edited("fork", &["seq", "prev_hash", "uncovered"], |log| {
            let before = Log { lines: log.lines[..9].to_vec(), last: log.hashes[8], ..log.clone() };
            let second = before.entry("policy.loaded", None, r#"{"sha256":"61"}"#).lines[9].clone();
            log.lines.push(second);
        }),
        edited("splice-other-log", &["other_log", "prev_hash", "outcome_without_intent", "checkpoint_root"], |log| {
            log.lines[4].clone_from(&other.lines[4])
        }),
        edited("splice-same-name", &["prev_hash", "checkpoint_root"], |log| log.lines[1].clone_from(&twin.lines[1])),
        Vector {
            name: "segment-missing",
            codes: &["segment", "genesis", "checkpoint_root", "truncated"],
            options: String::new(),
            files: vec![
                ("00000002.jsonl", base().segment().split_inclusive(|byte| *byte == b'\n').skip(4).flatten().copied().collect()),
                ("checkpoints", base().notes.concat().into_bytes()),
            ],
        },
        Vector {
            name: "segment-misnamed",
            codes: &["segment", "truncated"],
            options: String::new(),
            files: vec![("log.jsonl", base().segment()), ("checkpoints", base().notes.concat().into_bytes())],
        },
        vector("clock-back", &["monotonic"], &{
            let mut log = base();
            log.mono = 5;
            log.entry("policy.loaded", None, "{}").signed()
        }),
        vector("run-reused", &["boot_reused"], &{
            let mut log = base();
            (log.boot, log.mono) = (1, 99_000_000);
            log.entry("policy.loaded", None, "{}").signed()
        }),
    ]
}

/// Attacks 6 to 8: whoever makes every hash right.
fn rewritten() -> Vec<Vector> {
    let honest = base();
    let softened = honest.rewritten(4, "no rule allows it", "no rule allowed it");
    let thief = key("attacker");
    let mut own = Log::begun(ORIGIN, "attacker", "nonce").entry("policy.loaded", None, r#"{"sha256":"5f"}"#).call(1, "ok").signed();
    own = own.entry("policy.loaded", None, "{}").signed();
    let anchored = |name, codes, log: &Log| {
        let mut files = log.files();
        files.push(("receipts", (honest.receipt(4) + &honest.receipt(9)).into_bytes()));
        Vector { name, codes, options: "--receipts {}/receipts".into(), files }
    };
    let rolled_back = Log { lines: honest.lines[..7].to_vec(), notes: honest.notes[..3].to_vec(), ..honest.clone() };
    vec![
        vector("rewrite-old-checkpoints", &["checkpoint_root"], &softened),
        vector("rewrite-other-key", &["checkpoint_key"], &softened.resigned(&thief)),
        vector("rewrite-own-key-unanchored", &[], &own),
        Vector { name: "rewrite-own-key", codes: &["key"], options: format!("--key {}", honest.public()), files: own.files() },
        vector("rewrite-stolen-key-unanchored", &[], &softened.resigned(&honest.key)),
        anchored("rewrite-stolen-key", &["receipt"], &softened.resigned(&honest.key)),
        anchored("rollback", &["truncated"], &rolled_back),
        vector(
            "genesis-key-swapped",
            &["genesis", "checkpoint_root"],
            &honest.rewritten(0, &honest.public(), &hex(&thief.verifying_key().to_bytes())),
        ),
    ]
}

/// Attacks 10, 13, 17: the checkpoints' file.
fn checkpoints() -> Vec<Vector> {
    let no_checkpoints =
        Vector { name: "checkpoints-deleted", codes: &["no_checkpoints"], options: String::new(), files: vec![(SEGMENT, base().segment())] };
    vec![
        no_checkpoints,
        edited("checkpoints-emptied", &["no_checkpoints"], |log| log.notes.clear()),
        edited("newest-checkpoint-deleted", &["uncovered"], |log| drop(log.notes.pop())),
        edited("checkpoint-fork", &["checkpoint_fork"], |log| log.notes.push(note(ORIGIN, 10, &named("another root"), &log.key))),
        edited("checkpoint-order", &["checkpoint_order"], |log| log.notes.swap(1, 2)),
        edited("checkpoint-beyond", &["truncated"], |log| log.notes.push(note(ORIGIN, 11, &named("another root"), &log.key))),
        edited("checkpoint-other-log", &["checkpoint_origin"], |log| log.notes[1] = note("opsgate/other", 4, &root(&log.hashes[..4]), &log.key)),
        edited("checkpoint-other-key", &["checkpoint_key"], |log| log.notes[1] = note(ORIGIN, 4, &root(&log.hashes[..4]), &key("attacker"))),
        edited("checkpoint-signature-forged", &["checkpoint_signature"], |log| {
            let other = note(ORIGIN, 4, &named("another root"), &log.key);
            let (text, _) = log.notes[1].split_once("\n\n").unwrap();
            log.notes[1] = format!("{text}\n\n{}", other.split_once("\n\n").unwrap().1);
        }),
        edited("checkpoint-signature-stripped", &["checkpoint_format", "uncovered"], |log| {
            log.notes[3] = log.notes[3].split_inclusive('\n').take(3).collect();
        }),
        edited("checkpoint-repeat", &["checkpoint_repeat"], |log| log.notes.insert(2, log.notes[1].clone())),
        edited("checkpoint-repeat-unsigned", &["checkpoint_repeat"], |log| {
            let (text, _) = log.notes[3].split_once("\n\n").unwrap();
            let forged = format!("{text}\n\n{}", log.notes[2].split_once("\n\n").unwrap().1);
            log.notes.extend([forged.clone(), forged]);
        }),
        edited("checkpoint-torn", &["checkpoint_format", "uncovered"], |log| log.notes[3].truncate(60)),
        edited("checkpoint-garbage", &["checkpoint_format", "uncovered"], |log| log.notes[1] = "a\nb\nc\nd\ne\n".to_owned()),
        edited("checkpoint-long-line", &["checkpoint_format", "uncovered"], |log| log.notes[1] = "x".repeat(2000) + "\n"),
    ]
}

/// Attacks 8, 13 without any key: cut back to an older checkpoint, which only something outside of the folder can tell.
fn heads() -> Vec<Vector> {
    let honest = base();
    let head = |name, codes, log: &Log, note: &str| {
        let mut files = log.files();
        files.push(("head", note.into()));
        Vector { name, codes, options: "--head {}/head".into(), files }
    };
    let newest = honest.notes[3].as_str();
    let cut = Log { lines: honest.lines[..7].to_vec(), notes: honest.notes[..3].to_vec(), ..honest.clone() };
    let (text, _) = newest.split_once("\n\n").unwrap();
    let forged = format!("{text}\n\n{}", honest.notes[2].split_once("\n\n").unwrap().1);
    let softened = honest.rewritten(4, "no rule allows it", "no rule allowed it").resigned(&honest.key);
    vec![
        head("good-head", &[], &honest, newest),
        head("good-head-older", &[], &honest, &honest.notes[1]),
        vector("cut-back-without-head", &[], &cut),
        head("cut-back", &["truncated"], &cut, newest),
        head("head-other-root", &["checkpoint_root"], &softened, newest),
        head("head-other-key", &["checkpoint_key"], &honest, &note(ORIGIN, 20, &named("another root"), &key("attacker"))),
        head("head-other-log", &["checkpoint_origin"], &honest, &note("opsgate/other", 20, &named("another root"), &honest.key)),
        head("head-signature-forged", &["checkpoint_signature"], &honest, &forged),
    ]
}

/// Entries that nothing had signed when their writer was killed.
fn recovered() -> Vec<Vector> {
    let restarted = |log: Log, data: &str| log.restarted().entry("log.recovered", None, data);
    let killed = || base().call(5, "ok").entry("policy.loaded", None, "{}");
    let once = restarted(killed(), r#"{"unsigned_from":10,"unsigned_to":12}"#);
    vec![
        vector("good-recovered", &[], &once.clone().signed()),
        vector("good-recovered-twice", &[], &restarted(once.clone().signed().call(6, "ok"), r#"{"unsigned_from":14,"unsigned_to":15}"#).signed()),
        // The first start was killed before it could sign what it announced, or the announcement is a forged one.
        vector("good-recovered-again", &[], &restarted(once.clone(), r#"{"unsigned_from":10,"unsigned_to":13}"#).signed()),
        vector("good-recovered-forged", &[], &{
            let forged = restarted(restarted(killed(), r#"{"unsigned_from":1,"unsigned_to":12}"#), r#"{"unsigned_from":13,"unsigned_to":13}"#);
            restarted(forged, r#"{"unsigned_from":10,"unsigned_to":14}"#).signed()
        }),
        vector("recovered-elsewhere", &["malformed"], &restarted(killed(), r#"{"unsigned_from":10,"unsigned_to":11}"#).signed()),
        vector("recovered-backwards", &["malformed"], &restarted(killed(), r#"{"unsigned_from":13,"unsigned_to":12}"#).signed()),
        vector("recovered-half", &["malformed"], &restarted(killed(), r#"{"unsigned_to":12}"#).signed()),
        vector("recovered-no-number", &["malformed"], &restarted(killed(), r#"{"unsigned_from":true,"unsigned_to":12}"#).signed()),
        vector("recovered-negative", &["malformed"], &restarted(killed(), r#"{"unsigned_from":-1,"unsigned_to":12}"#).signed()),
    ]
}

/// Attacks 18, 19: lines that two readers might read differently.
fn shapes() -> Vec<Vector> {
    let data = |name, codes, data: &str| vector(name, codes, &with_data(data));
    let line = |name, codes, from: &'static str, to: &'static str| vector(name, codes, &with_line(|body| body.replacen(from, to, 1).into_bytes()));
    vec![
        data("data-duplicate-key", &["duplicate_key"], r#"{"a":1,"a":1}"#),
        data("data-key-order", &["not_canonical"], r#"{"b":1,"a":1}"#),
        data("data-key-order-utf16", &["not_canonical"], "{\"\u{fb33}\":0,\"😀\":0}"),
        data("data-space", &["not_canonical"], r#"{"a": 1}"#),
        data("data-escape", &["not_canonical"], r#"{"a":"\u0041"}"#),
        data("data-escaped-slash", &["not_canonical"], r#"{"a":"\/"}"#),
        data("data-escape-upper-case", &["not_canonical"], r#"{"a":"\u001F"}"#),
        data("data-lone-surrogate", &["not_canonical"], r#"{"a":"\ud800"}"#),
        data("data-nan", &["number"], r#"{"a":NaN}"#),
        data("data-infinity", &["number"], r#"{"a":-Infinity}"#),
        data("data-minus-zero", &["number"], r#"{"a":-0}"#),
        data("data-1e400", &["number"], r#"{"a":1e400}"#),
        data("data-fraction", &["number"], r#"{"a":1.5}"#),
        data("data-too-large", &["number"], r#"{"a":9007199254740993}"#),
        data("data-leading-zero", &["malformed"], r#"{"a":01}"#),
        data("data-not-json", &["malformed"], r#"{"a":tru}"#),
        data("data-a-list", &["malformed"], "[]"),
        data("data-two", &["malformed"], "{}{}"),
        data("data-trailing-key", &["malformed"], r#"{},"extra":{}"#),
        data("data-deep", &["too_deep"], &format!("{{\"a\":{}{}}}", "[".repeat(64), "]".repeat(64))),
        data("data-very-deep", &["too_deep"], &format!("{{\"a\":{}", "[".repeat(2_000))),
        line("line-crlf", &["encoding"], r#","n":1}"#, ",\"n\":1}\r"),
        line("line-nul", &["encoding"], r#""A""#, "\"\0\""),
        line("line-bom", &["encoding"], r#"{"v""#, "\u{feff}{\"v\""),
        vector(
            "line-not-utf8",
            &["encoding"],
            &with_line(|body| body.into_bytes().into_iter().map(|byte| if byte == b'A' { 0xff } else { byte }).collect()),
        ),
        line("line-key-order", &["malformed"], r#"{"v":1,"log":"opsgate/vectors","seq":10"#, r#"{"v":1,"seq":10,"log":"opsgate/vectors""#),
        line("line-duplicate-key", &["malformed"], r#""seq":10"#, r#""seq":10,"seq":10"#),
        line("line-unknown-key", &["malformed"], r#","data""#, r#","extra":1,"data""#),
        line("line-version", &["malformed"], r#"{"v":1"#, r#"{"v":2"#),
        line("line-seq-leading-zero", &["malformed"], r#""seq":10"#, r#""seq":010"#),
        line("line-time-zone", &["malformed"], r#"Z","boot""#, r#"+","boot""#),
        line("line-no-such-day", &["malformed"], "2026-01-02", "2026-02-30"),
        line("line-upper-case-hash", &["malformed"], r#""prev_hash":""#, r#""prev_hash":"A"#),
        line("line-unknown-type", &["type"], "policy.loaded", "policy.unloaded"),
        line("line-call-without-ids", &["type"], "policy.loaded", "call.refused"),
        raw("line-empty", &["malformed"], &base(), |bytes| bytes.push(b'\n')),
        data("line-too-long", &["line_too_long"], &format!(r#"{{"a":"{}"}}"#, "x".repeat(65_536))),
    ]
}

/// Attack 20.
fn pairs() -> Vec<Vector> {
    let intent = |log: Log, call| log.entry("call.intent", Some(call), r#"{"args_digest":"00"}"#);
    let outcome = |log: Log, call| log.entry("call.outcome", Some(call), r#"{"outcome":"ok"}"#);
    vec![
        vector("outcome-without-intent", &["outcome_without_intent"], &outcome(base(), 9).signed()),
        vector("two-outcomes", &["outcome_without_intent"], &outcome(base().call(9, "ok"), 9).signed()),
        vector("intent-without-outcome", &["intent_without_outcome"], &intent(base(), 9).signed()),
        vector("intent-without-outcome-earlier-run", &["intent_without_outcome"], &intent(base(), 9).restarted().call(10, "ok").signed()),
        vector("two-intents", &["duplicate_intent"], &outcome(intent(intent(base(), 9), 9), 9).signed()),
        vector("second-genesis", &["genesis"], &base().entry("genesis", None, r#"{"nonce":"00","public_key":"00"}"#).signed()),
    ]
}
