//! The home: missing, open to others, read-only, full, sealed. Nothing runs where nothing can be recorded.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod harness;

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use harness::stdio::Client;
use harness::{Home, assert_safe, text};
use serde_json::json;

#[test]
fn a_missing_home_is_made_private() {
    let home = Home::new();
    std::fs::remove_dir(home.path()).unwrap();
    assert!(home.run(&["call", "policy_whoami", "--in-process"]).status.success());
    assert_eq!(home.path().metadata().unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_home_that_others_can_write_is_refused() {
    let home = Home::new();
    std::fs::set_permissions(home.path(), PermissionsExt::from_mode(0o770)).unwrap();
    for command in [&["serve"][..], &["stdio"], &["call", "policy_whoami"], &["keys", "list"], &["unseal"]] {
        let output = home.run(command);
        assert_eq!(output.status.code(), Some(64), "{command:?}");
        assert!(text(&output.stderr).contains("chmod 700"), "{}", text(&output.stderr));
    }
    std::fs::set_permissions(home.path(), PermissionsExt::from_mode(0o700)).unwrap();
}

#[test]
fn no_home_at_all_is_told() {
    let output = Command::new(env!("CARGO_BIN_EXE_opsgate")).args(["call", "policy_whoami"]).env_clear().output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("OPSGATE_HOME"));
}

#[test]
fn a_home_that_lost_its_policy_does_not_start() {
    let home = Home::with_policy("version: 1\ncallers: {\"local:*\": {}}\nsystems: {policy: {}}\ndefaults: {read: allow}\n");
    let whoami = || home.run(&["call", "policy_whoami"]);
    assert!(home.serve(&["--socket-only"]).terminate().success());
    std::fs::remove_file(home.path().join("policy.yaml")).unwrap();
    let refused = whoami();
    assert_eq!(refused.status.code(), Some(64), "{}", text(&refused.stderr));
    assert!(text(&refused.stderr).contains("cannot be read") && text(&refused.stderr).contains("`policies`"), "{}", text(&refused.stderr));
    std::fs::remove_file(home.path().join("policies/of-this-home")).unwrap();
    assert_eq!(whoami().status.code(), Some(0), "the shipped policy");
}

#[test]
fn an_unknown_variable_is_told_with_the_right_one() {
    let home = Home::new();
    let output = home.opsgate(&["tools"]).env("OPSGATE_POLCY", "x").output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("`OPSGATE_POLICY`"));
}

/// Root writes through permission bits, so a read-only home is one on a read-only mount; where this user may not mount,
/// permission bits do.
#[test]
fn a_read_only_home_refuses_to_start() {
    let home = Home::new();
    let root = std::fs::metadata("/proc/self").map(|m| std::os::unix::fs::MetadataExt::uid(&m)).unwrap() == 0;
    let mounted = root && mount(&["-t", "tmpfs", "-o", "ro,mode=0700", "tmpfs"], &home.path());
    if root && !mounted {
        eprintln!("SKIPPED: root without the right to mount cannot have a read-only folder");
        return;
    }
    if !root {
        std::fs::set_permissions(home.path(), PermissionsExt::from_mode(0o500)).unwrap();
    }
    let output = home.run(&["call", "policy_whoami", "--in-process"]);
    if mounted {
        unmount(&home.path());
    } else {
        std::fs::set_permissions(home.path(), PermissionsExt::from_mode(0o700)).unwrap();
    }
    assert_eq!(output.status.code(), Some(64), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("OPSGATE_HOME"), "{}", text(&output.stderr));
}

#[test]
fn a_full_disk_refuses_calls_and_loses_no_record() {
    let home = Home::new();
    if !mount(&["-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs"], &home.path()) {
        eprintln!("SKIPPED: this user may not mount a small file system; the writer's own tests fill one by fault injection");
        return;
    }
    let done = std::panic::catch_unwind(|| {
        std::fs::write(home.path().join("policy.yaml"), include_str!("policies/slow.yaml")).unwrap();
        let mut client = Client::legacy(&home, &["--in-process"]);
        client.answer("policy_whoami", json!({}));
        let filler = home.path().join("filler");
        while std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&filler)
            .and_then(|mut f| std::io::Write::write_all(&mut f, &[0; 4096]))
            .is_ok()
        {}
        let mut refused = None;
        for _ in 0..20_000 {
            let reply = client.call("policy_whoami", json!({}));
            if reply["result"]["isError"] == true {
                assert_safe(&reply.to_string(), &home.path());
                refused = Some(reply["result"]["_meta"]["opsgate/refusal"]["code"].as_str().unwrap().to_owned());
                break;
            }
        }
        assert_eq!(refused.as_deref(), Some("audit_unavailable"));
        std::fs::remove_file(filler).unwrap();
        client.close();
        let entries = home.entries();
        let count = |kind: &str| entries.iter().filter(|e| e["type"] == kind).count();
        assert_eq!(count("call.intent"), count("call.outcome"));
        let output = validator(&home);
        assert!(output.status.success(), "{}", text(&output.stdout));
    });
    unmount(&home.path());
    done.unwrap();
}

#[test]
fn a_sealed_home_refuses_everything_across_restarts_until_it_is_unsealed() {
    let home = Home::new();
    assert!(home.run(&["call", "policy_whoami", "--in-process"]).status.success());
    // The mark as the log leaves it when a sync fails; the log's own tests make it fail.
    std::fs::write(home.path().join("sealed"), "syncing the log: input/output error\n").unwrap();
    for command in [&["call", "policy_whoami", "--in-process"][..], &["call", "policy_whoami"], &["stdio"], &["serve", "--listen", "127.0.0.1:0"]] {
        let output = home.run(command);
        assert_eq!(output.status.code(), Some(70), "{command:?}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains("opsgate unseal"), "{}", text(&output.stderr));
    }
    let unsealed = home.run(&["unseal", "--json"]);
    assert!(unsealed.status.success(), "{}", text(&unsealed.stderr));
    assert!(text(&unsealed.stdout).contains("input/output error"));
    assert!(home.run(&["call", "policy_whoami", "--in-process"]).status.success());
    assert!(validator(&home).status.success());
}

#[test]
fn a_log_that_was_tampered_with_is_not_continued() {
    let home = Home::new();
    for _ in 0..3 {
        assert!(home.run(&["call", "policy_whoami", "--in-process"]).status.success());
    }
    let segment = std::fs::read_dir(home.audit()).unwrap().map(|e| e.unwrap().path()).find(|p| p.extension().is_some_and(|e| e == "jsonl")).unwrap();
    let text_of = std::fs::read_to_string(&segment).unwrap();
    let last = text_of.trim_end().rfind('\n').unwrap();
    std::fs::write(&segment, &text_of[..=last]).unwrap();
    let output = home.run(&["call", "policy_whoami", "--in-process"]);
    std::fs::write(home.path().join("unverifiable"), "").unwrap();
    assert_eq!(output.status.code(), Some(64), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("opsgate-audit verify"), "{}", text(&output.stderr));
}

fn validator(home: &Home) -> std::process::Output {
    Command::new("python3").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/audit/verify.py")).arg(home.audit()).output().unwrap()
}

fn mount(args: &[&str], at: &std::path::Path) -> bool {
    Command::new("mount").args(args).arg(at).output().is_ok_and(|o| o.status.success())
}

fn unmount(at: &std::path::Path) {
    assert!(Command::new("umount").arg("-l").arg(at).status().unwrap().success());
}
