//! Read-only cannot be mistyped: what a person mistypes starts nothing, and is told with the right name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod harness;

use harness::mistyped::{ENVIRONMENTS, policies};
use harness::{Home, assert_safe, text};

/// What starts a gateway or asks one.
const COMMANDS: [&[&str]; 3] = [&["serve"], &["stdio"], &["call", "policy_whoami"]];

fn told(what: &str, output: &std::process::Output, words: &[&str], home: &Home) -> Option<String> {
    let said = text(&output.stderr);
    assert_safe(&said.replace(home.path().to_str().unwrap(), "HOME"), &home.path());
    let missing: Vec<_> = words.iter().filter(|word| !said.contains(*word)).collect();
    (output.status.code() != Some(64) || !missing.is_empty())
        .then(|| format!("{what}: exit {:?}, without {missing:?}: {said}\n", output.status.code()))
}

#[test]
fn a_mistyped_policy_starts_nothing_and_the_right_name_is_told() {
    let mut wrong = String::new();
    for (what, policy, words) in policies() {
        let home = Home::with_policy(&policy);
        for command in COMMANDS {
            wrong.extend(told(what, &home.run(command), words, &home));
        }
        assert!(!home.audit().exists(), "{what}: a log was begun");
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_mistyped_environment_starts_nothing_and_the_right_name_is_told() {
    let mut wrong = String::new();
    for (name, value, words) in ENVIRONMENTS {
        let home = Home::new();
        for command in COMMANDS {
            let output = home.opsgate(command).env(name, value).stdin(std::process::Stdio::null()).output().unwrap();
            wrong.extend(told(&format!("{name}={value}"), &output, words, &home));
        }
        assert!(!home.audit().exists(), "{name}={value}: a log was begun");
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Quotes around a word of the language change nothing: it is the word that is meant.
#[test]
fn a_quoted_off_is_off() {
    for (word, on) in [("off", false), ("\"off\"", false), ("'off'", false), ("\"on\"", true)] {
        let home = Home::with_policy(&format!("version: 1\nwrite_mode: {word}\n"));
        assert!(home.run(&["policy", "check"]).status.success(), "{word}");
        let known = opsgate::catalogue::catalogue().unwrap();
        let policy = opsgate::policy::Policy::load(&home.path().join("policy.yaml"), &known).unwrap();
        assert_eq!(policy.write_mode(), on, "{word}");
    }
}

#[test]
fn others_variables_are_no_business_of_ours() {
    for (name, value) in [("GITHUB_ACTIONS", "true"), ("CARGO_MODE", "x"), ("WRITE", "1"), ("REWRITE_MODELS", "x"), ("OPSGATES", "x")] {
        let home = Home::new();
        assert!(home.opsgate(&["tools"]).env(name, value).output().unwrap().status.success(), "{name}");
    }
}
