use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use opsgate::policy::Policy;
use serde_json::json;

use super::harness::mistyped;
use super::harness::repository::Repository;
use super::harness::stdio::Client;
use super::harness::{Home, fresh_secret};
use super::{entries, hangup, in_force, put, until, without};

type Spoil = fn(&Home, &Path);

/// What happens to the file, the reason that is recorded, and whether there are bytes whose hash is.
const SPOILT: [(&str, Spoil, &str, bool); 9] = [
    ("a misspelt key", |home, _| put(home, without("a").replace("rules:", "ruels:")), "not_a_policy", true),
    ("the first half", |home, _| put(home, &without("a")[..60]), "not_a_policy", true),
    ("not UTF-8", |home, _| put(home, b"version: 1\n# \xff\n"), "not_a_policy", true),
    ("too long", |home, _| put(home, "#".repeat(2 << 20)), "unreadable", false),
    ("gone", |_, file| std::fs::remove_file(file).unwrap(), "unreadable", false),
    (
        "a folder",
        |_, file| {
            std::fs::remove_file(file).unwrap();
            std::fs::create_dir(file).unwrap();
        },
        "unreadable",
        false,
    ),
    (
        "a pipe",
        |_, file| {
            let pipe = file.with_extension("pipe");
            assert!(std::process::Command::new("mkfifo").args(["-m", "600"]).arg(&pipe).status().unwrap().success());
            std::fs::rename(&pipe, file).unwrap(); // at no moment is it gone, which would be another refusal
        },
        "unreadable",
        false,
    ),
    (
        "a link that leads nowhere",
        |_, file| {
            let link = file.with_extension("link");
            std::os::unix::fs::symlink("nowhere", &link).unwrap();
            std::fs::rename(&link, file).unwrap();
        },
        "unreadable",
        false,
    ),
    (
        "writable for everybody",
        |home, file| {
            put(home, without("b"));
            std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o666)).unwrap();
        },
        "exposed",
        false,
    ),
];

#[test]
fn what_is_no_policy_changes_nothing() {
    let good = without("a");
    let (home, repository) = (Home::with_policy(&good), Repository::with(&[("a.txt", "a\n"), ("b.txt", "b\n")]));
    let file = home.path().join("policy.yaml");
    let served = home.serve(&[]);
    let mut client = Client::legacy(&home, &["--workspace", repository.arg()]);
    let told = |message: &str| served.log().matches(message).count();
    for (nth, (what, spoil, reason, has_hash)) in SPOILT.into_iter().enumerate() {
        spoil(&home, &file);
        let before = told("is not taken");
        // Whether it is the signal or a look that finds it: what is told again is not recorded again.
        for more in 1..=2 {
            hangup(served.child.id());
            until(what, || (told("is not taken") >= before + more).then_some(()));
        }
        let rejected = entries(&home, "policy.rejected", nth + 1);
        assert_eq!(rejected.len(), nth + 1, "{what}: {rejected:?}");
        let last = rejected.last().unwrap();
        assert_eq!((&last["reason"], &last["in_force"]), (&json!(reason), &json!(Policy::hash_of(good.as_bytes()))), "{what}");
        assert_eq!(last["hash"].is_string(), has_hash, "{what}: {last}");
        assert!(!last.to_string().contains(home.path().to_str().unwrap()), "{what}: {last}");
        assert_eq!(client.refusal("workspace_read_file", json!({ "path": "a.txt" })), "policy_denied", "{what}");
        client.answer("workspace_read_file", json!({ "path": "b.txt" }));
        // Back to what is in force: nothing to record, and the same fault would be new again.
        let unchanged = told("the policy is unchanged");
        let _ = std::fs::remove_dir(&file); // where it was made one
        put(&home, &good);
        hangup(served.child.id());
        until("the good file", || (told("the policy is unchanged") > unchanged).then_some(()));
    }
    assert_eq!(in_force(&served), Policy::hash_of(good.as_bytes()));
    assert_eq!(entries(&home, "policy.loaded", 1).len(), 1);
    assert!(served.metrics().contains("opsgate_policy_loads_total{result=\"rejected\"}"));
}

/// What starts no gateway replaces no policy of one that runs.
#[test]
fn what_a_person_mistypes_changes_nothing() {
    let good = without("a");
    let home = Home::with_policy(&good);
    let served = home.serve(&[]);
    for ((what, policy, words), nth) in mistyped::policies().into_iter().zip(1..) {
        put(&home, &policy);
        hangup(served.child.id());
        let rejected = entries(&home, "policy.rejected", nth);
        assert_eq!((rejected.len(), &rejected[nth - 1]["hash"]), (nth, &json!(Policy::hash_of(policy.as_bytes()))), "{what}");
        assert_eq!(in_force(&served), Policy::hash_of(good.as_bytes()), "{what}");
        // The operator's line has the right name.
        let line = |word: &&&str| served.log().lines().any(|line| line.contains("is not taken") && line.contains(**word));
        until(what, || words.iter().all(|word| line(&word)).then_some(()));
    }
}

#[test]
fn a_refusal_names_the_place_and_no_secret() {
    let home = Home::with_policy(&without("a"));
    let served = home.serve(&["--socket-only"]);
    let secret = fresh_secret();
    put(&home, format!("version: 1\n{secret}: x\n"));
    hangup(served.child.id());
    let rejected = entries(&home, "policy.rejected", 1);
    assert_eq!((&rejected[0]["line"], &rejected[0]["findings"]), (&json!(2), &json!(1)), "{rejected:?}");
    until("the line", || served.log().contains("is not taken").then_some(()));
    assert!(served.log().contains("policy.yaml:2:1: "), "{}", served.log());
    assert!(!rejected[0].to_string().contains(&secret) && !served.log().contains(&secret));
}

#[test]
fn a_bad_file_is_seen_without_a_signal_and_recorded_once() {
    let home = Home::with_policy(&without("a"));
    let served = home.serve(&["--socket-only"]);
    let file = home.path().join("policy.yaml");
    std::fs::write(&file, "version: 2\n").unwrap();
    entries(&home, "policy.rejected", 1);
    // The same bytes in a file that was touched are looked at again, and told again, and recorded no more.
    let told = served.log().matches("is not taken").count();
    std::fs::write(&file, "version: 2\n").unwrap();
    until("the second look", || (served.log().matches("is not taken").count() > told).then_some(()));
    // A record follows its line: it is there, or never, once the gateway has ended.
    assert!(served.terminate().success());
    assert_eq!(home.entries_of("policy.rejected").len(), 1);
}
