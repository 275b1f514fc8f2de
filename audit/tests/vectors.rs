//! Both validators over `audit/vectors/`: they find what the table says, and the same.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use opsgate_audit::verify::{Check, verify};
use serde_json::Value;

#[path = "../examples/make_vectors/main.rs"]
#[allow(dead_code, unreachable_pub, reason = "its main is not ours")]
mod make_vectors;

fn crate_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_opsgate-audit"));
    command.arg("verify");
    command
}

fn python() -> Command {
    let mut command = Command::new("python3");
    command.arg(crate_dir().join("verify.py"));
    command
}

/// Exit code and report.
fn run(mut command: Command, folder: &Path, options: &str) -> (i32, Value, Output) {
    let output = command
        .arg("--json")
        .args(options.split_whitespace().map(|option| option.replace("{}", folder.to_str().unwrap())))
        .arg(folder)
        .output()
        .unwrap();
    let report = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code().unwrap(), report, output)
}

#[test]
fn the_committed_vectors_are_those_that_the_generator_makes() {
    let made: BTreeMap<String, Vec<u8>> = make_vectors::files(&make_vectors::vectors()).into_iter().collect();
    let folder = crate_dir().join("vectors");
    let mut committed = BTreeSet::new();
    for entry in fs::read_dir(&folder).unwrap().flatten() {
        if entry.path().is_dir() {
            committed.extend(fs::read_dir(entry.path()).unwrap().flatten().map(|file| file.path()));
        } else {
            committed.insert(entry.path());
        }
    }
    let names: BTreeSet<String> = committed.iter().map(|path| path.strip_prefix(&folder).unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(names, made.keys().cloned().collect(), "run `cargo run -p opsgate-audit --example make_vectors -- audit/vectors`");
    for (name, bytes) in made {
        assert!(fs::read(folder.join(&name)).unwrap() == bytes, "{name} differs from what the generator makes");
    }
}

/// One Python for all of them: it calls the script's own `main`.
const DRIVER: &str = "
import contextlib, io, json, sys
sys.path.insert(0, sys.argv[1])
import verify
for line in sys.stdin:
    out = io.StringIO()
    sys.argv = ['verify.py', '--json', *json.loads(line)]
    with contextlib.redirect_stdout(out):
        code = verify.main()
    print(json.dumps([code, json.loads(out.getvalue())]))
";

fn python_for_all(arguments: &[Vec<String>]) -> Vec<(i64, Value)> {
    let mut python = Command::new("python3").args(["-c", DRIVER]).arg(crate_dir()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = python.stdin.take().unwrap();
    let lines: String = arguments.iter().map(|arguments| serde_json::to_string(arguments).unwrap() + "\n").collect();
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()).unwrap());
    let output = python.wait_with_output().unwrap();
    writer.join().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str::<(i64, Value)>(line).unwrap()).collect()
}

/// The library's report, as `--json` prints it.
fn rust_report(arguments: &[String]) -> Value {
    let option = |name: &str| arguments.iter().position(|argument| argument == name).map(|at| &arguments[at + 1]);
    let key = option("--key").map(|hex| *opsgate_audit::Digest::from_hex(hex.as_bytes()).unwrap().as_bytes());
    let [receipts, head] = ["--receipts", "--head"].map(|name| option(name).map(PathBuf::from));
    let check = Check { paths: vec![arguments.last().unwrap().into()], receipts, head, key };
    serde_json::to_value(verify(&check).unwrap()).unwrap()
}

#[test]
fn both_validators_find_what_the_table_says() {
    let folder = crate_dir().join("vectors");
    let table = fs::read_to_string(folder.join("expect.tsv")).unwrap();
    let rows: Vec<Vec<&str>> = table.lines().filter(|row| !row.starts_with('#')).map(|row| row.split('\t').collect()).collect();
    let arguments: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let path = folder.join(row[0]);
            let options = row.get(3).copied().unwrap_or("").split_whitespace().map(|option| option.replace("{}", path.to_str().unwrap()));
            options.chain([path.to_str().unwrap().to_owned()]).collect()
        })
        .collect();
    let by_python = python_for_all(&arguments);
    assert!(rows.len() > 60 && by_python.len() == rows.len(), "{} of {}", by_python.len(), rows.len());
    let mut wrong = Vec::new();
    for ((row, arguments), (python_exit, python)) in rows.iter().zip(&arguments).zip(by_python) {
        let (name, exit) = (row[0], row[1]);
        let expected: BTreeSet<&str> = row.get(2).copied().unwrap_or("").split(',').filter(|code| !code.is_empty()).collect();
        let rust = rust_report(arguments);
        for (program, report) in [("rust", &rust), ("python", &python)] {
            let found: BTreeSet<&str> = report["findings"].as_array().unwrap().iter().filter_map(|finding| finding["code"].as_str()).collect();
            if found != expected {
                wrong.push(format!("{name}: {program} finds {found:?}, the table says {expected:?}"));
            }
        }
        if python_exit.to_string() != exit {
            wrong.push(format!("{name}: python exits {python_exit}"));
        }
        if comparable(&rust) != comparable(&python) {
            wrong.push(format!("{name}: they disagree:\n  rust   {}\n  python {}", comparable(&rust), comparable(&python)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Random damage to a good log: both must find it, and say the same.
#[test]
fn both_validators_say_the_same_of_random_damage() {
    let source = crate_dir().join("vectors/good");
    let scratch = tempfile::tempdir().unwrap();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % below as u64).unwrap()
    };
    let mut arguments = Vec::new();
    for round in 0..200 {
        let folder = scratch.path().join(round.to_string());
        fs::create_dir(&folder).unwrap();
        for (file, damaged) in [("00000001.jsonl", round % 4 != 0), ("checkpoints", round % 4 == 0)] {
            let mut bytes = fs::read(source.join(file)).unwrap();
            if damaged {
                let at = next(bytes.len());
                match round % 5 {
                    0 | 1 => bytes[at] ^= 1 << next(8),
                    2 => bytes.truncate(at),
                    3 => drop(bytes.splice(at..at, *b"\"}")),
                    _ => drop(bytes.drain(at..(at + 1 + next(40)).min(bytes.len()))),
                }
            }
            fs::write(folder.join(file), bytes).unwrap();
        }
        arguments.push(vec![folder.to_str().unwrap().to_owned()]);
    }
    let by_python = python_for_all(&arguments);
    assert_eq!(by_python.len(), arguments.len());
    for (arguments, (_, python)) in arguments.iter().zip(by_python) {
        let rust = rust_report(arguments);
        assert_ne!(rust["total_findings"], 0, "{arguments:?}");
        assert_eq!(
            comparable(&rust),
            comparable(&python),
            "{}",
            String::from_utf8_lossy(&fs::read(format!("{}/00000001.jsonl", arguments[0])).unwrap())
        );
    }
}

/// A report without its sentences, which are each validator's own.
fn comparable(report: &Value) -> Value {
    let mut report = report.clone();
    for finding in report["findings"].as_array_mut().into_iter().flatten() {
        finding.as_object_mut().unwrap().remove("what");
    }
    report
}

#[test]
fn wrong_usage_exits_2_and_a_missing_anchor_1() {
    let good = crate_dir().join("vectors/good");
    let nowhere = crate_dir().join("vectors/no-such-folder");
    let empty = tempfile::tempdir().unwrap();
    for command in [rust as fn() -> Command, python] {
        assert_eq!(run(command(), &nowhere, "").0, 2);
        assert_eq!(run(command(), empty.path(), "").0, 2);
        assert_eq!(run(command(), &good, "--no-such-option").0, 2);
        assert_eq!(run(command(), &good, "--key 00").0, 2);
        assert_eq!(run(command(), &good, "--receipts {}/checkpoints").0, 2);
        assert_eq!(run(command(), &good, "--require-anchor").0, 1);
        assert_eq!(run(command(), &crate_dir().join("vectors/flip-data"), "").0, 1);
        assert_eq!(run(command(), &good, "").0, 0);
        assert_eq!(command().output().unwrap().status.code(), Some(2));
        let output = command().arg(&good).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let verdict = "VALID, but UNANCHORED: its end may be missing, and whoever holds the signing key could have rewritten all of it; \
                       give --receipts that a client kept\n";
        assert!(text.ends_with(&format!("\n{verdict}")), "{text}");
        assert_eq!(run(command(), &good, "--head {}/no-such-file").0, 2);
        assert_eq!(run(command(), &good, "--head {}/checkpoints").0, 2, "more than one note");
        assert_eq!(run(command(), &good, "--head {}").0, 2, "a folder");
        let anchored = crate_dir().join("vectors/good-anchored");
        let output = command().arg("--receipts").arg(anchored.join("receipts")).arg(&anchored).output().unwrap();
        assert!(String::from_utf8(output.stdout).unwrap().contains("OK, ANCHORED up to entry 9"));
    }
}

/// Standard output, and error output with neither a traceback nor the system's numbers.
fn told(mut command: Command) -> (i32, String) {
    let output = command.output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!error.contains("Traceback") && !error.contains("[Errno"), "{error}");
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap() + &error)
}

#[test]
fn both_validators_say_which_entries_were_not_signed() {
    for (vector, said) in [
        ("good-recovered", "recovered   3 entries (10–12) were not yet signed when the writer ended; only receipts vouch for them\n"),
        ("good-recovered-twice", "recovered   5 entries (10–12, 14–15) were not yet signed when the writer ended; only receipts vouch for them\n"),
        ("good-recovered-again", "recovered   4 entries (10–13) were"),
        ("good-recovered-forged", "recovered   14 entries (1–14) were"),
    ] {
        for mut command in [rust(), python()] {
            command.arg(crate_dir().join("vectors").join(vector));
            let (code, text) = told(command);
            assert!(code == 0 && text.contains(said), "{vector}: {text}");
        }
    }
    for mut command in [rust(), python()] {
        command.arg(crate_dir().join("vectors/good"));
        assert!(!told(command).1.contains("recovered"));
    }
}

#[test]
fn one_finding_is_one() {
    for mut command in [rust(), python()] {
        command.arg(crate_dir().join("vectors/clock-back"));
        assert!(told(command).1.ends_with("FAILED: 1 finding\n"));
    }
}

#[test]
fn what_is_no_regular_file_neither_hangs_nor_fools() {
    let good = crate_dir().join("vectors/good");
    for (name, make) in
        [("00000001.jsonl", "fifo"), ("checkpoints", "fifo"), ("00000001.jsonl", "link"), ("checkpoints", "link"), ("checkpoints", "dangling")]
            .into_iter()
            .chain([("checkpoints", "device"), ("00000001.jsonl", "folder")])
    {
        let folder = tempfile::tempdir().unwrap();
        for file in ["00000001.jsonl", "checkpoints"] {
            fs::copy(good.join(file), folder.path().join(file)).unwrap();
        }
        let path = folder.path().join(name);
        fs::remove_file(&path).unwrap();
        match make {
            "fifo" => {
                rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR, 0).unwrap()
            }
            "link" => std::os::unix::fs::symlink(good.join(name), &path).unwrap(),
            "dangling" => std::os::unix::fs::symlink(good.join("nothing"), &path).unwrap(),
            "device" => std::os::unix::fs::symlink("/dev/zero", &path).unwrap(),
            _ => fs::create_dir(&path).unwrap(),
        }
        for mut command in [rust(), python()] {
            command.arg(folder.path());
            let (code, text) = told(command);
            assert!(code == 2 && text.contains("not a regular file") && text.contains(name), "{name} {make}: {text}");
        }
    }
}

#[test]
fn both_validators_read_receipts_strictly() {
    let good = crate_dir().join("vectors/good-anchored");
    let receipt = fs::read_to_string(good.join("receipts")).unwrap().lines().next().unwrap().to_owned();
    let with = |from: &str, to: &str| receipt.replacen(from, to, 1).into_bytes();
    let utf16: Vec<u8> = receipt.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let accepted = [receipt.clone().into_bytes(), with("{", " { ").to_vec(), [receipt.as_bytes(), b"\r\n\n"].concat()];
    let refused = [
        with("{", "\u{feff}{"),
        utf16,
        with("}", r#","seq":3}"#),
        with("}", r#","\u0073eq":3}"#),
        with("}", r#","more":NaN}"#),
        with("}", r#","more":1e999}"#),
        with("}", r#","more":"x"}"#),
        with(r#""seq":3"#, r#""seq":NaN"#),
        with(r#""seq":3"#, r#""seq":1e999"#),
        with(r#""seq":3"#, r#""seq":3.0"#),
        with(r#""seq":3"#, r#""seq":-0"#),
        with(r#""seq":3"#, r#""seq":03"#),
        with(r#""seq":3"#, r#""seq":"3""#),
        with(r#""seq":3"#, r#""seq":true"#),
        with(r#""seq":3"#, r#""seq":18446744073709551616"#),
        with(r#""seq":3"#, &format!(r#""seq":{}"#, "9".repeat(3500))),
        with(r#""seq":3"#, &format!(r#""seq":{}"#, "[".repeat(3500))),
        with(r#""seq":3"#, &format!(r#""seq":{}3{}"#, r#"{"a":"#.repeat(600), "}".repeat(600))),
        with("opsgate", "\\ud800opsgate"),
        with("opsgate", "\u{1}opsgate"),
        receipt.replacen("opsgate", "?", 1).into_bytes().iter().map(|byte| if *byte == b'?' { 0xff } else { *byte }).collect(),
        with("}", "}{}"),
        with("{", &format!("{{{}", " ".repeat(4096))),
        format!(
            "[{}]",
            receipt.split(['{', '}']).nth(1).unwrap().split(',').map(|part| part.split_once(':').unwrap().1).collect::<Vec<_>>().join(",")
        )
        .into(),
        b"[]".to_vec(),
        b"   ".to_vec(),
    ];
    let file = tempfile::NamedTempFile::new().unwrap();
    let check = |line: &[u8], expected: i32| {
        fs::write(file.path(), line).unwrap();
        for mut command in [rust(), python()] {
            command.arg("--receipts").arg(file.path()).arg(&good);
            let (code, text) = told(command);
            assert_eq!(code, expected, "{}: {text}", String::from_utf8_lossy(line));
            assert_eq!(code == 2, text.contains("line 1: this is not a receipt"), "{text}");
        }
    };
    accepted.iter().for_each(|line| check(line, 0));
    refused.iter().for_each(|line| check(line, 2));
    for mut command in [rust(), python()] {
        command.arg("--receipts").arg(good.join("nothing")).arg(&good);
        let (code, text) = told(command);
        assert!(code == 2 && text.contains("nothing` cannot be read: No such file or directory"), "{text}");
    }
}

/// A file full of checkpoints that no key is needed for: each is told or counted, none is looked at for long.
#[test]
fn a_flood_of_checkpoints_costs_little() {
    let good = crate_dir().join("vectors/good");
    let folder = tempfile::tempdir().unwrap();
    fs::copy(good.join("00000001.jsonl"), folder.path().join("00000001.jsonl")).unwrap();
    let notes = fs::read_to_string(good.join("checkpoints")).unwrap();
    let newest: String = notes.split_inclusive('\n').skip(15).collect();
    for (flood, findings) in [(newest.clone(), 20_000), (newest.replacen("\n10\n", "\n11\n", 1), 20_001)] {
        fs::write(folder.path().join("checkpoints"), notes.clone() + &flood.repeat(20_000)).unwrap();
        let reports = [rust(), python()].map(|command| run(command, folder.path(), "").1);
        assert_eq!(comparable(&reports[0]), comparable(&reports[1]));
        assert_eq!(reports[0]["total_findings"], findings);
        assert!(reports[0]["checkpoints"].as_u64().unwrap() <= 5, "a repeat is no other checkpoint");
    }
}

#[test]
fn single_files_are_read_too() {
    let good = crate_dir().join("vectors/good/00000001.jsonl");
    let torso = tempfile::tempdir().unwrap();
    let later = torso.path().join("00000002.jsonl");
    fs::write(&later, fs::read_to_string(&good).unwrap().split_inclusive('\n').skip(4).collect::<String>()).unwrap();
    for command in [rust as fn() -> Command, python] {
        let (code, report, _) = run(command(), &good, "");
        assert_eq!((code, &report["partial"], &report["checkpoints"]), (0, &Value::Bool(false), &Value::from(4)));
        let (code, report, _) = run(command(), &later, "");
        assert_eq!((code, &report["partial"], &report["entries"]), (0, &Value::Bool(true), &Value::from(6)), "{report}");
    }
}
