//! Writing to a workspace as a client sees it: with all six conditions it happens and is recorded; without any one it is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod harness;

use std::process::Command;

use harness::repository::Repository;
use harness::stdio::Client;
use harness::{Home, assert_safe, fresh_secret};
use opsgate::catalogue;
use opsgate::policy::Policy;
use serde_json::{Value, json};

const POLICY: &str = r#"version: 1
write_mode: on
defaults: {read: allow}
callers: {"local:*": {roles: [developer]}}
systems: {workspace: {mode: approval_required_write, author: "Opsgate Agent <agent@example.invalid>"}, policy: {mode: read_only}}
repositories: {"/tmp/**": {write: true, paths: {deny: ["secrets/**"]}, refs: {deny: ["release/*"]}}}
rules: [{id: writes, allow: {tools: [workspace_write_file, workspace_create_branch, workspace_commit]}, approvals: 0}]
"#;

fn repository() -> Repository {
    let repository = Repository::with(&[("a.txt", "one\ntwo\n"), ("b.txt", "b\n")]);
    git(&repository, &["branch", "-M", "main"]);
    repository
}

fn git(repository: &Repository, args: &[&str]) -> String {
    let output = Command::new("git").args(args).current_dir(repository.path()).env("GIT_CONFIG_NOSYSTEM", "1").output().unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn client(home: &Home, repository: &Repository) -> Client {
    Client::legacy(home, &["--in-process", "--workspace", repository.arg()])
}

/// One call of each write, in an order in which each has something to do.
fn calls() -> [(&'static str, Value); 3] {
    [
        ("workspace_write_file", json!({ "path": "a.txt", "content": "one\n2\nthree\n", "change": { "reasoning": "a test" } })),
        ("workspace_create_branch", json!({ "name": "fix/a" })),
        ("workspace_commit", json!({ "paths": ["a.txt"], "message": "Count further" })),
    ]
}

/// All that a write could have changed.
fn state(repository: &Repository) -> String {
    git(repository, &["for-each-ref"]) + &git(repository, &["status", "--porcelain"]) + &git(repository, &["ls-files", "--stage"])
}

#[test]
fn a_file_is_written_and_a_branch_made_and_both_are_recorded_and_committed() {
    let (home, repository) = (Home::with_policy(POLICY), repository());
    let mut client = client(&home, &repository);
    for (tool, _) in calls() {
        assert!(client.tools().contains(&tool.to_owned()), "{tool}");
    }
    let base = git(&repository, &["rev-parse", "main"]).trim().to_owned();
    let mut replies = Vec::new();
    for (tool, args) in calls() {
        let reply = client.call(tool, args);
        let answer = &reply["result"]["structuredContent"];
        assert_eq!(answer["status"], "done", "{tool}: {reply}");
        fits(tool, answer);
        assert_safe(&reply.to_string(), &home.path());
        replies.push(reply);
    }
    let result = |nth: usize| &replies[nth]["result"]["structuredContent"]["result"];
    assert_eq!((&result(0)["created"], &result(0)["additions"], &result(0)["deletions"]), (&json!(false), &json!(2), &json!(1)));
    assert_eq!(git(&repository, &["cat-file", "-p", result(0)["backup"].as_str().unwrap()]), "one\ntwo\n");
    assert_eq!(*result(1), json!({ "branch": "fix/a", "base_commit": base }));
    assert_eq!(git(&repository, &["rev-parse", "fix/a"]).trim(), base);
    let commit = git(&repository, &["rev-parse", "main"]).trim().to_owned();
    assert_eq!(*result(2), json!({ "commit": commit, "branch": "main", "files_changed": 1, "insertions": 2, "deletions": 1 }));
    assert_eq!(
        git(&repository, &["log", "-1", "--format=%an <%ae> %P %s"]).trim(),
        format!("Opsgate Agent <agent@example.invalid> {base} Count further")
    );
    assert_eq!(git(&repository, &["status", "--porcelain"]), "");
    assert_eq!(git(&repository, &["fsck", "--strict", "--no-dangling"]), "");

    let trailer = git(&repository, &["log", "-1", "--format=%(trailers:key=Opsgate-Record,valueonly)"]);
    assert!(client.close().success());
    let intents = home.entries_of("call.intent");
    let outcomes = home.entries_of("call.outcome");
    assert_eq!((intents.len(), outcomes.len()), (3, 3));
    assert_eq!(trailer.split_whitespace().next().unwrap(), intents[2]["seq"].to_string(), "the trailer names the intent's record");
    for ((tool, _), intent) in calls().iter().zip(&intents) {
        assert!(intent.to_string().contains(tool), "{intent}");
    }
    assert!(outcomes.iter().all(|outcome| outcome.to_string().contains("\"ok\"")), "{outcomes:?}");
    let made: Vec<_> = outcomes.iter().map(|outcome| outcome["data"]["reference"].as_str().unwrap()).collect();
    let sha256 = result(0)["sha256"].as_str().unwrap();
    assert_eq!(made, [format!("sha256:{sha256}"), format!("branch fix/a at {base}"), format!("commit {commit}")], "what was made is recorded");
    let text = std::fs::read_dir(home.audit()).unwrap().filter_map(|e| std::fs::read_to_string(e.unwrap().path()).ok()).collect::<String>();
    let hash = trailer.split_whitespace().nth(1).unwrap();
    assert!(text.contains(hash), "the next record chains to the hash that the trailer names");
}

/// Holds an answer against the schema that was promised.
fn fits(tool: &str, answer: &Value) {
    let known = catalogue::catalogue().unwrap();
    let policy = std::sync::Arc::new(Policy::parse(POLICY, "policy.yaml", &known).unwrap());
    let settings = opsgate::home::Settings::default();
    let specs = catalogue::specs(&catalogue::registry(&policy, &settings, &catalogue::standing(&settings)).unwrap());
    let schema = &specs.iter().find(|spec| spec.card.name == tool).unwrap().output_schema;
    let validator = jsonschema::validator_for(&Value::Object((**schema).clone())).unwrap();
    let errors: Vec<_> = validator.iter_errors(answer).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{tool}: {errors:?} in {answer}");
}

/// What is missing, the policy without it, and the code that every write is refused with.
fn conditions() -> Vec<(&'static str, String, &'static str)> {
    let without = |from: &str, to: &str| {
        assert!(POLICY.contains(from), "{from}");
        POLICY.replace(from, to)
    };
    vec![
        ("write mode", without("write_mode: on", "write_mode: off"), "tool_unavailable"),
        ("a system that writes", without("mode: approval_required_write", "mode: read_only"), "tool_unavailable"),
        ("a rule", without("rules: [{id", "rules: [] #"), "tool_unavailable"),
        ("`write: true`", without("write: true, ", ""), "policy_denied"),
        ("a repository that is listed", without("\"/tmp/**\"", "\"/srv/**\""), "policy_denied"),
        ("no denial", without("rules: [", "rules: [{id: no, deny: {repos: [\"/tmp/**\"]}}, "), "policy_denied"),
        ("its approvals", without("approvals: 0", "approvals: 1"), "approvals_unavailable"),
    ]
}

#[test]
fn a_write_needs_each_condition() {
    for (missing, policy, code) in conditions() {
        let (home, repository) = (Home::with_policy(&policy), repository());
        std::fs::write(repository.path().join("a.txt"), "changed\n").unwrap();
        let before = state(&repository);
        let mut client = client(&home, &repository);
        for (tool, args) in calls() {
            assert_eq!(client.refusal(tool, args), code, "{tool} without {missing}");
            assert_eq!(client.tools().contains(&tool.to_owned()), code != "tool_unavailable", "{tool} without {missing}");
        }
        assert!(client.close().success());
        assert_eq!(state(&repository), before, "without {missing}");
        assert!(home.entries_of("call.intent").is_empty(), "without {missing}");
        assert_eq!(home.entries_of("call.refused").len(), 3, "without {missing}");
    }
}

#[test]
fn write_mode_off_where_the_client_runs_wins() {
    let (home, repository) = (Home::with_policy(POLICY), repository());
    let before = state(&repository);
    let mut command = home.opsgate(&["stdio", "--in-process", "--workspace", repository.arg()]);
    let mut client = Client::started(command.env("WRITE_MODE", "off")).greeted();
    for (tool, args) in calls() {
        assert_eq!(client.refusal(tool, args), "tool_unavailable", "{tool}");
    }
    assert!(client.close().success());
    assert_eq!(state(&repository), before);
}

#[test]
fn a_denied_path_or_branch_is_refused_by_name() {
    let (home, repository) = (Home::with_policy(POLICY), repository());
    std::fs::create_dir(repository.path().join("secrets")).unwrap();
    std::fs::write(repository.path().join("secrets/key"), "x\n").unwrap();
    std::os::unix::fs::symlink("secrets/key", repository.path().join("way")).unwrap();
    git(&repository, &["branch", "release/1"]);
    let before = state(&repository);
    let mut client = client(&home, &repository);
    for (tool, args) in [
        ("workspace_write_file", json!({ "path": "secrets/key", "content": "y" })),
        ("workspace_write_file", json!({ "path": "secrets/absent", "content": "y" })),
        ("workspace_write_file", json!({ "path": "way", "content": "y" })),
        ("workspace_commit", json!({ "paths": ["a.txt", "secrets/key"], "message": "x" })),
        ("workspace_commit", json!({ "paths": ["way"], "message": "x" })),
        ("workspace_create_branch", json!({ "name": "release/2" })),
        ("workspace_create_branch", json!({ "name": "fix", "from": "release/1" })),
    ] {
        assert_eq!(client.refusal(tool, args.clone()), "policy_denied", "{tool} {args}");
    }
    git(&repository, &["checkout", "-q", "release/1"]);
    std::fs::write(repository.path().join("a.txt"), "changed\n").unwrap();
    assert_eq!(client.refusal("workspace_commit", json!({ "paths": ["a.txt"], "message": "x" })), "policy_denied");
    std::fs::write(repository.path().join("a.txt"), "one\ntwo\n").unwrap();
    assert_eq!(state(&repository), before);
}

#[test]
fn a_dry_run_shows_the_change_and_makes_none() {
    let (home, repository) = (Home::with_policy(&POLICY.replace("mode: approval_required_write", "mode: dry_run")), repository());
    std::fs::write(repository.path().join("b.txt"), "c\n").unwrap();
    let before = state(&repository);
    let objects = git(&repository, &["count-objects"]);
    let mut client = client(&home, &repository);
    for (tool, args, word) in [
        ("workspace_write_file", json!({ "path": "a.txt", "content": "one\n2\n" }), "-two\n+2\n"),
        ("workspace_create_branch", json!({ "name": "fix" }), "fix"),
        ("workspace_commit", json!({ "paths": ["b.txt"], "message": "Change b" }), "-b\n+c\n"),
    ] {
        let answer = client.answer(tool, args);
        assert_eq!(answer["status"], "dry_run", "{answer}");
        assert!(answer["preview"]["change"].to_string().contains(&json!(word).to_string()[1..json!(word).to_string().len() - 1]), "{answer}");
        fits(tool, &answer);
    }
    assert_eq!(state(&repository), before);
    assert_eq!(git(&repository, &["count-objects"]), objects);
    assert_eq!(std::fs::read_to_string(repository.path().join("a.txt")).unwrap(), "one\ntwo\n");
}

#[test]
fn a_secret_is_neither_written_nor_committed() {
    let (home, repository) = (Home::with_policy(POLICY), repository());
    let secret = fresh_secret();
    let mut client = client(&home, &repository);
    let refused = client.refusal("workspace_write_file", json!({ "path": "a.txt", "content": format!("token: {secret}\n") }));
    assert_eq!(refused, "holds_secret");
    std::fs::write(repository.path().join("b.txt"), format!("token: {secret}\n")).unwrap();
    let reply = client.call("workspace_commit", json!({ "paths": ["b.txt"], "message": "x" }));
    assert_eq!(reply["result"]["_meta"]["opsgate/refusal"]["code"], "holds_secret", "{reply}");
    assert!(reply.to_string().contains("b.txt") && !reply.to_string().contains(&secret), "{reply}");
    assert!(client.close().success());
    assert!(!home.entries().iter().any(|entry| entry.to_string().contains(&secret)));
    assert_eq!(git(&repository, &["log", "--format=%s"]).trim(), "first");
}

/// The policy for one developer, for the folder that the tests' repositories are in.
fn example() -> String {
    let changes = [("/home/ana/src/**", "/tmp/**"), ("~/src/**", "/tmp/**"), ("local:uid=1000", "local:*")];
    changes.iter().fold(include_str!("../docs/policies/solo-developer.yaml").to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    })
}

#[test]
fn the_policy_for_one_developer_lets_an_agent_work_on_its_branch_alone() {
    let (home, repository) = (Home::with_policy(&example()), repository());
    let mut client = client(&home, &repository);
    let commit = || json!({ "paths": ["a.txt"], "message": "Count further" });
    assert_eq!(client.refusal("workspace_create_branch", json!({ "name": "feature" })), "policy_denied");
    assert_eq!(client.answer("workspace_create_branch", json!({ "name": "agent/x" }))["status"], "done");
    assert_eq!(client.answer("workspace_write_file", json!({ "path": "a.txt", "content": "one\n2\n" }))["status"], "done");
    assert_eq!(client.refusal("workspace_commit", commit()), "policy_denied", "main is checked out");
    git(&repository, &["checkout", "-q", "agent/x"]);
    assert_eq!(client.answer("workspace_commit", commit())["result"]["branch"], "agent/x");
    assert_eq!(git(&repository, &["show", "agent/x:a.txt"]), "one\n2\n");
    assert_eq!(git(&repository, &["show", "main:a.txt"]), "one\ntwo\n");
    assert_eq!(client.answer("workspace_create_branch", json!({ "name": "agent/y" }))["status"], "done");
    git(&repository, &["checkout", "-q", "-b", "release/1"]);
    for args in [json!({ "name": "agent/z" }), json!({ "name": "agent/z", "from": "release/1" })] {
        assert_eq!(client.refusal("workspace_create_branch", args), "policy_denied");
    }
    assert!(client.close().success());
}

#[test]
fn a_secret_in_a_line_that_stays_withholds_no_answer() {
    let secret = fresh_secret();
    let lines = |last: &str| format!("# {secret}\n{}{last}\n", "\n".repeat(9));
    for (mode, status) in [("dry_run", "dry_run"), ("approval_required_write", "done")] {
        let policy = POLICY.replace("mode: approval_required_write", &format!("mode: {mode}"));
        let (home, repository) = (Home::with_policy(&format!("{policy}scrub: {{on_exposure: withhold}}\n")), repository());
        repository.commit(&[("a.txt", &lines("two"))], "by a person");
        std::fs::write(repository.path().join("a.txt"), lines("2")).unwrap();
        let mut client = client(&home, &repository);
        let reply = client.call("workspace_commit", json!({ "paths": ["a.txt"], "message": "Count" }));
        assert_eq!(reply["result"]["structuredContent"]["status"], status, "{reply}");
        if mode == "dry_run" {
            let shown = client.refusal("workspace_write_file", json!({ "path": "a.txt", "content": "2\n" }));
            assert_eq!(shown, "exposure_withheld", "the diff would show a mark");
        } else {
            let reply = client.call("workspace_write_file", json!({ "path": "a.txt", "content": "2\n" }));
            assert_eq!(reply["result"]["structuredContent"]["status"], status, "{reply}");
        }
        assert!(client.close().success());
    }
}
