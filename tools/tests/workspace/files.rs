//! `workspace_read_file`.

use opsgate_tools::error::ToolErrorKind::{Cancelled, InvalidArguments, NotFound, TooLarge};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::fixture::Fixture;

const READ: &str = "workspace_read_file";

#[tokio::test]
async fn a_file_says_what_it_is() {
    let fixture = Fixture::new();
    fixture.write("src/main.rs", "fn main() {}\n\n// end").commit("one");
    let file = fixture.ok(READ, json!({"path": "src/main.rs"})).await;
    let expected = json!({
        "path": "src/main.rs", "language": "rust", "size": 20, "total_lines": 3, "encoding": "utf-8", "start_line": 1,
        "content": "fn main() {}\n\n// end", "sha256": sum(b"fn main() {}\n\n// end"),
    });
    assert_eq!(file, expected);
    // A part has none: it would be of what is not shown.
    assert!(fixture.ok(READ, json!({"path": "src/main.rs", "lines": 1})).await.get("sha256").is_none());
}

fn sum(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn languages_come_from_name_or_first_line() {
    let fixture = Fixture::new();
    let table = [
        ("Dockerfile", "", "dockerfile"),
        ("a.YML", "", "yaml"),
        ("run", "#!/usr/bin/env -S python3.12 -u\n", "python"),
        ("go", "#!/bin/sh -e\n", "shell"),
    ];
    for (path, content, language) in table {
        fixture.write(path, content);
        assert_eq!(fixture.ok(READ, json!({"path": path})).await["language"], language, "{path}");
    }
    fixture.write("plain", "text\n");
    assert!(fixture.ok(READ, json!({"path": "plain"})).await.get("language").is_none());
}

#[tokio::test]
async fn a_range_of_lines() {
    let fixture = Fixture::new();
    fixture.write("x", "one\ntwo\nthree\nfour\n");
    for (start, lines, content) in [(1, 1, "one\n"), (2, 2, "two\nthree\n"), (4, 9, "four\n"), (2, u64::MAX, "two\nthree\nfour\n")] {
        let file = fixture.ok(READ, json!({"path": "x", "start_line": start, "lines": lines})).await;
        assert_eq!((&file["content"], &file["start_line"]), (&json!(content), &json!(start)));
        assert!(file.get("cut").is_none());
    }
    assert_eq!(fixture.err(READ, json!({"path": "x", "start_line": 5})).await.kind, InvalidArguments);
    assert_eq!(fixture.err(READ, json!({"path": "x", "start_line": 0})).await.kind, InvalidArguments);
    fixture.write("empty", "");
    assert_eq!(fixture.ok(READ, json!({"path": "empty"})).await["content"], "");
}

#[tokio::test]
async fn binary_content_is_only_described() {
    let fixture = Fixture::new();
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    fixture.write("image", &bytes).commit("one");
    let sum = sum(&bytes);
    for args in [json!({"path": "image"}), json!({"path": "image", "rev": "main"})] {
        let file = fixture.ok(READ, args).await;
        assert_eq!(file, json!({"path": "image", "size": 100_000, "encoding": "binary", "sha256": sum}));
    }
}

#[tokio::test]
async fn bytes_that_are_no_utf8_are_marked() {
    let fixture = Fixture::new();
    fixture.write("latin", b"caf\xe9\n");
    let file = fixture.ok(READ, json!({"path": "latin"})).await;
    assert_eq!((&file["encoding"], &file["content"]), (&json!("utf-8-lossy"), &json!("caf\u{fffd}\n")));
}

#[tokio::test]
async fn an_older_revision_is_read_from_the_commit() {
    let fixture = Fixture::new();
    let first = fixture.write("x", "old\n").commit("one");
    fixture.write("x", "new\n").commit("two");
    fixture.write("x", "unsaved\n");
    for (rev, content) in [(first.to_string(), "old\n"), ("main~1".into(), "old\n"), ("HEAD".into(), "new\n")] {
        assert_eq!(fixture.ok(READ, json!({"path": "x", "rev": rev})).await["content"], content);
    }
    assert_eq!(fixture.ok(READ, json!({"path": "x"})).await["content"], "unsaved\n");
    assert_eq!(fixture.err(READ, json!({"path": "y", "rev": "HEAD"})).await.kind, NotFound);
    assert_eq!(fixture.err(READ, json!({"path": "x", "rev": "nowhere"})).await.kind, NotFound);
    for rev in ["HEAD:x", "a..b", "-x", "", ":/message", "HEAD^{/one}", "a b", "x\0"] {
        assert_eq!(fixture.err(READ, json!({"path": "x", "rev": rev})).await.kind, InvalidArguments, "{rev:?}");
    }
}

#[tokio::test]
async fn a_huge_file_is_read_in_parts_and_searched_past() {
    let fixture = Fixture::new();
    let huge = std::fs::File::create(fixture.path("huge")).unwrap();
    fixture.write("small", "needle\n");
    std::os::unix::fs::FileExt::write_all_at(&huge, b"needle\n".repeat(2000).as_slice(), 0).unwrap();
    huge.set_len(300 << 20).unwrap();
    let file = fixture.ok(READ, json!({"path": "huge", "lines": 1})).await;
    assert_eq!((&file["content"], file.get("total_lines")), (&json!("needle\n"), None));
    assert_eq!(fixture.err(READ, json!({"path": "huge", "start_line": 1_000_000})).await.kind, TooLarge);
    let found = fixture.ok("workspace_search_code", json!({"pattern": "needle"})).await;
    assert_eq!(crate::fixture::each(&found, "matches", "path"), ["small"]);
}

#[tokio::test]
async fn a_cancelled_call_stops() {
    let fixture = Fixture::new();
    fixture.write("x", "a\nb\n").commit("one");
    let calls = [
        (READ, json!({"path": "x", "start_line": 2})),
        ("workspace_list_directory", json!({})),
        ("workspace_search_code", json!({"pattern": "."})),
        ("workspace_git_log", json!({})),
        ("workspace_git_show", json!({})),
        ("workspace_git_blame", json!({"path": "x"})),
        ("workspace_git_diff", json!({"from": "HEAD", "to": "HEAD"})),
        ("workspace_service_status", json!({})),
    ];
    for (tool, args) in &calls {
        fixture.ok(tool, args.clone()).await;
    }
    fixture.cancel.cancel();
    for (tool, args) in calls {
        assert_eq!(fixture.err(tool, args).await.kind, Cancelled, "{tool}");
    }
}
