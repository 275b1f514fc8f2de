//! New branches: where they begin, what they may be called, and that none is ever moved.

use opsgate_tools::error::ToolErrorKind::{InvalidArguments, Moved, NotFound};
use opsgate_tools::scope::ScopeKind;
use serde_json::json;

use crate::fixture::Fixture;

const TOOL: &str = "workspace_create_branch";

#[tokio::test]
async fn a_branch_is_created_where_it_was_asked_for() {
    let fixture = Fixture::new();
    let one = fixture.write("x", "1\n").commit("one").to_string();
    let two = fixture.write("x", "2\n").commit("two").to_string();
    fixture.git.reference("refs/heads/release/1", one.parse().unwrap(), false, "").unwrap();
    for (name, from, base) in [
        ("fix", None, &two),
        ("feature/a", Some("HEAD~1"), &one),
        ("feature/b", Some("release/1"), &one),
        ("from-id", Some(&one[..12]), &one),
        ("ümlaut", None, &two),
    ] {
        let done = fixture.done(TOOL, json!({"name": name, "from": from})).await;
        assert_eq!(done, json!({"branch": name, "base_commit": base}));
        assert_eq!(fixture.git_says(&["rev-parse", &format!("refs/heads/{name}")]).trim(), base, "{name}");
    }
    assert_eq!(fixture.git_says(&["reflog", "-1", "--format=%gn %gs", "fix"]), "opsgate branch: Created from main\n");
    assert_eq!(fixture.git_says(&["branch", "--show-current"]), "main\n");
    assert_eq!(fixture.git_says(&["status", "--porcelain"]), "");
    fixture.git_says(&["fsck", "--strict"]);
}

#[tokio::test]
async fn both_names_are_judged() {
    let fixture = Fixture::new();
    fixture.write("x", "1\n").commit("one");
    for (args, refs) in [
        (json!({"name": "fix"}), &["fix", "main"][..]),
        (json!({"name": "fix", "from": "HEAD"}), &["fix", "HEAD", "main"]),
        (json!({"name": "fix", "from": "nowhere"}), &["fix", "nowhere"]),
    ] {
        let prepared = fixture.prepare(TOOL, args).await.unwrap();
        assert_eq!(prepared.scopes.values(ScopeKind::Ref).collect::<Vec<_>>(), refs);
        assert_eq!(prepared.scopes.values(ScopeKind::Repo).collect::<Vec<_>>(), [fixture.workspace().root_path()]);
    }
}

const NO_NAMES: &[&str] = &[
    "",
    "-d",
    "--force",
    "HEAD",
    "@",
    "a..b",
    "a b",
    "a~1",
    "a^",
    "a:b",
    "a?",
    "a*",
    "a[b",
    "a\\b",
    "/a",
    "a/",
    "a//b",
    ".a",
    "a/.b",
    "a.lock",
    "a.lock/b",
    "a.",
    "a@{b",
    "a\u{7f}",
    "a\nb",
    "a\0b",
    "refs/heads/a",
];

#[tokio::test]
async fn a_branch_name_is_one_to_git_too() {
    let fixture = Fixture::new();
    let id = fixture.write("x", "1\n").commit("one").to_string();
    let long = "x".repeat(201);
    for name in NO_NAMES.iter().copied().chain([id.as_str(), long.as_str()]) {
        let error = fixture.prepare(TOOL, json!({"name": name})).await.err().unwrap_or_else(|| panic!("took {name:?}"));
        assert_eq!(error.kind, InvalidArguments, "{name:?}");
        assert!(!error.client.contains(|c: char| c.is_control()), "{error:?}");
    }
    for name in ["a", "a/b-c", "a.b", "a@b", "x-1.2", "a#b", "ä/ö"] {
        assert!(fixture.git_command(&["check-ref-format", "--branch", name]).status.success(), "{name}");
        assert!(fixture.prepare(TOOL, json!({"name": name})).await.is_ok(), "{name}");
    }
    // What git refuses, opsgate refuses.
    for name in NO_NAMES.iter().filter(|name| !name.contains('\0')) {
        if !fixture.git_command(&["check-ref-format", "--branch", name]).status.success() {
            assert!(fixture.prepare(TOOL, json!({"name": name})).await.is_err(), "{name}");
        }
    }
}

#[tokio::test]
async fn a_branch_that_is_there_stays() {
    let fixture = Fixture::new();
    let one = fixture.write("x", "1\n").commit("one");
    fixture.git.reference("refs/heads/old", one, false, "").unwrap();
    fixture.write("x", "2\n").commit("two");
    let late = fixture.prepare(TOOL, json!({"name": "late"})).await.unwrap();
    fixture.git.reference("refs/heads/late", one, false, "").unwrap();
    assert_eq!(fixture.run(late).await.unwrap_err().kind, Moved);
    for packed in [false, true] {
        for name in ["old", "late", "main"] {
            let error = fixture.err(TOOL, json!({"name": name})).await;
            assert_eq!(error.kind, Moved, "{name}: {error:?}");
            assert_eq!(fixture.preview(TOOL, json!({"name": name})).await.unwrap_err().kind, Moved, "{name}");
        }
        if !packed {
            fixture.git_says(&["pack-refs", "--all"]);
        }
    }
    assert_eq!(fixture.git.refname_to_id("refs/heads/old").unwrap(), one);
    assert_eq!(fixture.git.refname_to_id("refs/heads/late").unwrap(), one);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_branches_of_one_name_one_is_made() {
    let fixture = Fixture::new();
    fixture.write("x", "1\n").commit("one");
    fixture.write("x", "2\n").commit("two");
    for round in 0..50 {
        let args = |from: &str| json!({"name": format!("fix{round}"), "from": from});
        let both = (fixture.prepare(TOOL, args("main")).await.unwrap(), fixture.prepare(TOOL, args("main~1")).await.unwrap());
        let results = futures::join!(fixture.run(both.0), fixture.run(both.1));
        let results = [results.0, results.1];
        let winner = results.iter().position(Result::is_ok).unwrap();
        assert!(results[1 - winner].as_ref().is_err_and(|error| error.kind == Moved), "{results:?}");
        let base = &results[winner].as_ref().unwrap()["result"]["base_commit"];
        assert_eq!(fixture.git_says(&["rev-parse", &format!("fix{round}")]).trim(), base.as_str().unwrap());
    }
}

#[tokio::test]
async fn names_that_collide_are_told() {
    let fixture = Fixture::new();
    let one = fixture.write("x", "1\n").commit("one");
    fixture.git.reference("refs/heads/a/b", one, false, "").unwrap();
    fixture.git.reference("refs/heads/c", one, false, "").unwrap();
    for packed in [false, true] {
        for name in ["a", "c/d", "c/d/e", "a/b/c"] {
            let error = fixture.err(TOOL, json!({"name": name})).await;
            assert!(error.kind == InvalidArguments && error.client.contains("collides"), "{name} {packed}: {error:?}");
        }
        if !packed {
            fixture.git_says(&["pack-refs", "--all", "--prune"]);
        }
    }
    fixture.done(TOOL, json!({"name": "A/b"})).await;
    fixture.git.config().unwrap().set_bool("core.ignorecase", true).unwrap();
    assert_eq!(fixture.err(TOOL, json!({"name": "C"})).await.kind, InvalidArguments);
}

#[tokio::test]
async fn the_commit_that_was_judged_is_where_it_begins() {
    let fixture = Fixture::new();
    fixture.write("x", "1\n").commit("one");
    let prepared = fixture.prepare(TOOL, json!({"name": "fix"})).await.unwrap();
    fixture.write("x", "2\n").commit("two");
    assert_eq!(fixture.run(prepared).await.unwrap_err().kind, Moved);
    assert!(fixture.git.refname_to_id("refs/heads/fix").is_err());
}

#[tokio::test]
async fn a_branch_needs_a_commit_that_is_there() {
    let fixture = Fixture::new();
    let error = fixture.err(TOOL, json!({"name": "fix"})).await;
    assert!(error.kind == NotFound && error.client.contains("no commit yet"), "{error:?}");
    fixture.write("x", "1\n").commit("one");
    assert_eq!(fixture.err(TOOL, json!({"name": "fix", "from": "nowhere"})).await.kind, NotFound);
    assert_eq!(fixture.err(TOOL, json!({"name": "fix", "from": "HEAD:x"})).await.kind, InvalidArguments);
    let preview = fixture.preview(TOOL, json!({"name": "fix"})).await.unwrap();
    assert_eq!(preview.change["branch"], "fix");
    assert!(fixture.git.refname_to_id("refs/heads/fix").is_err());
}
