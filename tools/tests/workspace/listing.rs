//! `workspace_list_directory` and `workspace_search_code`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use opsgate_tools::error::ToolErrorKind::{InvalidArguments, NotFound, TooLarge};
use opsgate_tools::scope::ScopeKind;
use serde_json::{Value, json};

use crate::fixture::{Fixture, each};

const LIST: &str = "workspace_list_directory";
const SEARCH: &str = "workspace_search_code";

#[tokio::test]
async fn a_folder_lists_its_entries_by_name() {
    let fixture = Fixture::new();
    fixture.write("b/deep/er/x", "").write("a", "four").link("c", "a");
    let listed = fixture.ok(LIST, json!({})).await;
    let expected = json!([{"path": "a", "kind": "file", "size": 4}, {"path": "b", "kind": "folder"}, {"path": "c", "kind": "link"}]);
    assert_eq!(listed, json!({"entries": expected}));
    for (depth, paths) in [(1, vec!["b/deep"]), (2, vec!["b/deep", "b/deep/er"]), (5, vec!["b/deep", "b/deep/er", "b/deep/er/x"])] {
        assert_eq!(each(&fixture.ok(LIST, json!({"path": "b", "depth": depth})).await, "entries", "path"), paths);
    }
    assert_eq!(fixture.err(LIST, json!({"depth": 6})).await.kind, InvalidArguments);
    assert_eq!(fixture.err(LIST, json!({"path": "a"})).await.kind, InvalidArguments);
    assert_eq!(fixture.err(LIST, json!({"path": "z"})).await.kind, NotFound);
}

#[tokio::test]
async fn gitignore_is_minded_as_git_does() {
    let fixture = Fixture::new();
    fixture.write(".gitignore", "*.log\n/target/\n!keep.log\n").write("sub/.gitignore", "local\n!other.log\n");
    for path in ["a.log", "keep.log", "target/x", "sub/target/x", "sub/local", "local", "sub/other.log", "sub/deep/local"] {
        fixture.write(path, "needle\n");
    }
    std::fs::write(fixture.path(".git/info/exclude"), "excluded\n").unwrap();
    fixture.write("excluded", "needle\n");
    let listed = fixture.ok(LIST, json!({"depth": 5})).await;
    let files: Vec<&str> =
        listed["entries"].as_array().unwrap().iter().filter(|e| e["kind"] == "file").map(|e| e["path"].as_str().unwrap()).collect();
    assert_eq!(files, [".gitignore", "keep.log", "local", "sub/.gitignore", "sub/other.log", "sub/target/x"]);
    let found = fixture.ok(SEARCH, json!({"pattern": "needle"})).await;
    assert_eq!(each(&found, "matches", "path"), ["keep.log", "local", "sub/other.log", "sub/target/x"]);
    let all = fixture.ok(LIST, json!({"path": "sub", "ignored": true})).await;
    assert!(each(&all, "entries", "path").contains(&"sub/local"));
    assert!(!each(&fixture.ok(LIST, json!({"path": "sub"})).await, "entries", "path").contains(&"sub/local"));
}

#[tokio::test]
async fn nested_repositories_keep_their_internals() {
    let fixture = Fixture::new();
    fixture
        .write("vendor/lib/.git/config", "needle")
        .write("vendor/lib/x", "needle\n")
        .write("linked/.git", "gitdir: needle")
        .write("odd/.GIT/x", "needle");
    let listed = fixture.ok(LIST, json!({"depth": 5, "ignored": true})).await;
    assert_eq!(each(&listed, "entries", "path"), ["linked", "odd", "vendor", "vendor/lib", "vendor/lib/x"]);
    assert_eq!(each(&fixture.ok(SEARCH, json!({"pattern": "needle"})).await, "matches", "path"), ["vendor/lib/x"]);
}

#[tokio::test]
async fn a_name_that_is_no_utf8_is_shown_and_does_no_harm() {
    let fixture = Fixture::new().deny(&["denied"]);
    let name = OsStr::from_bytes(b"caf\xe9.txt");
    std::fs::write(fixture.path("").join(name), "needle\n").unwrap();
    std::fs::create_dir(fixture.path("denied")).unwrap();
    std::fs::write(fixture.path("denied").join(name), "needle\n").unwrap();
    fixture.commit("one");
    std::fs::write(fixture.path("").join(name), "needle\nmore\n").unwrap();
    std::fs::write(fixture.path("").join(OsStr::from_bytes(b"n\xe9w")), "").unwrap();
    let shown = "caf\u{fffd}.txt";
    assert_eq!(fixture.ok("workspace_git_status", json!({})).await["untracked"], json!(["n\u{fffd}w"]));
    std::fs::remove_file(fixture.path("").join(OsStr::from_bytes(b"n\xe9w"))).unwrap();
    assert_eq!(each(&fixture.ok(LIST, json!({})).await, "entries", "path"), [shown]);
    assert_eq!(each(&fixture.ok(SEARCH, json!({"pattern": "more"})).await, "matches", "path"), [shown]);
    assert_eq!(fixture.ok("workspace_git_status", json!({})).await["unstaged"], json!([format!("M {shown}")]));
    assert_eq!(each(&fixture.ok("workspace_git_show", json!({})).await, "files", "path"), [shown]);
    assert_eq!(each(&fixture.ok("workspace_git_diff", json!({})).await, "files", "path"), [shown]);
}

#[tokio::test]
async fn matches_come_with_their_lines() {
    let fixture = Fixture::new();
    fixture.write("a.rs", "one\ntwo\nthree\nfour\nfive\n").write("b.txt", "Three\r\n").write("c.bin", b"three\0\n");
    let found = fixture.ok(SEARCH, json!({"pattern": "t(hree|wo)", "context": 1})).await;
    let expected = json!([
        {"path": "a.rs", "line": 2, "text": "two", "before": ["one"]},
        {"path": "a.rs", "line": 3, "text": "three", "after": ["four"]},
    ]);
    assert_eq!(found["matches"], expected);
    let table: &[(Value, &[&str])] = &[
        (json!({"pattern": "three", "ignore_case": true}), &["a.rs", "b.txt"]),
        (json!({"pattern": "three", "ignore_case": true, "glob": "*.txt"}), &["b.txt"]),
        (json!({"pattern": "t.o", "literal": true}), &[]),
        (json!({"pattern": "^five$"}), &["a.rs"]),
        (json!({"pattern": "three", "path": "a.rs"}), &["a.rs"]),
        (json!({"pattern": "three", "limit": 1}), &["a.rs"]),
    ];
    for (args, paths) in table {
        assert_eq!(each(&fixture.ok(SEARCH, args.clone()).await, "matches", "path"), *paths, "{args}");
    }
}

#[tokio::test]
async fn patterns_are_bounded() {
    let fixture = Fixture::new();
    for pattern in ["", "(", "a\\nb", "((a{1000}){1000}){1000}", &"(".repeat(900), &"x".repeat(1001)] {
        assert_eq!(fixture.err(SEARCH, json!({"pattern": pattern})).await.kind, InvalidArguments, "{pattern}");
    }
    assert_eq!(fixture.err(SEARCH, json!({"pattern": "x", "glob": "{a"})).await.kind, InvalidArguments);
    assert_eq!(fixture.err(SEARCH, json!({"pattern": "x", "context": 11})).await.kind, InvalidArguments);
    fixture.write("evil", format!("{}b\n", "a".repeat(100_000)));
    assert_eq!(fixture.ok(SEARCH, json!({"pattern": "(a+)+$"})).await["matches"], json!([]));
}

#[tokio::test]
async fn a_searched_file_is_judged_as_one() {
    let fixture = Fixture::new();
    fixture.write("a/x", "y\n");
    for (path, kind) in [("a/x", ScopeKind::Path), ("a", ScopeKind::Tree)] {
        let prepared = fixture.prepare(SEARCH, json!({"pattern": "y", "path": path})).await.unwrap();
        assert_eq!(prepared.scopes.values(kind).collect::<Vec<_>>(), [path]);
    }
}

#[tokio::test]
async fn files_too_large_to_search_are_told() {
    let fixture = Fixture::new().deny(&["denied"]);
    for path in ["a1", "a2", "a3", "b/4", "c5", "c6", "denied/7"] {
        fixture.write(path, "");
        std::fs::OpenOptions::new().write(true).open(fixture.path(path)).unwrap().set_len((16 << 20) + 1).unwrap();
    }
    fixture.write("b/x", "needle\n").write("d", "needle\n");
    let found = fixture.ok(SEARCH, json!({"pattern": "needle"})).await;
    assert_eq!((&found["skipped"], &found["skipped_files"]), (&json!(6), &json!(["a1", "a2", "a3", "b/4", "c5"])), "{found}");
    assert_eq!(fixture.ok(SEARCH, json!({"pattern": "needle", "glob": "c*"})).await["skipped_files"], json!(["c5", "c6"]));
    assert!(fixture.ok(SEARCH, json!({"pattern": "needle", "path": "d"})).await.get("skipped").is_none());
    let pages = fixture.pages(SEARCH, json!({"pattern": "needle", "limit": 1})).await;
    assert_eq!(pages.iter().filter_map(|page| page["skipped"].as_u64()).sum::<u64>(), 6);
    let error = fixture.err(SEARCH, json!({"pattern": "needle", "path": "b/4"})).await;
    assert!(error.kind == TooLarge && error.client.contains("`b/4`"), "{error}");
}

#[tokio::test]
async fn a_byte_order_mark_is_no_part_of_a_line() {
    let fixture = Fixture::new();
    fixture.write("x", "\u{feff}needle\n");
    let found = fixture.ok(SEARCH, json!({"pattern": "^needle"})).await;
    assert_eq!(each(&found, "matches", "text"), ["needle"]);
}
