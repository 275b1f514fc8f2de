//! Cuts and cursors: together the pages are the whole answer, once; a cursor that does not fit is told.

use opsgate_tools::error::ToolErrorKind::InvalidArguments;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fixture::Fixture;

const BUDGETS: &[usize] = &[0, 1, 7, 50, 300, 2000, 1_000_000];

fn busy() -> Fixture {
    let fixture = Fixture::new().deny(&["denied"]);
    for number in 0..12 {
        let lines: String = (0..number + 3).map(|line| format!("fn item_{line}() {{}} // µ{number}\n")).collect();
        fixture.write(&format!("src/part_{number:02}.rs"), lines).write(&format!("denied/{number}"), "item_\n").write("long", "item_ ".repeat(200));
        fixture.commit(&format!("change {number}\n\nBody of {number}."));
    }
    for number in 0..9 {
        fixture
            .write(&format!("src/part_{number:02}.rs"), format!("fn item_{number}() {{}}\nno newline at the end"))
            .write(&format!("new_{number}"), "");
    }
    fixture
}

/// What a page holds, in an order that does not depend on where pages end.
fn content(pages: &[Value]) -> Vec<(String, String)> {
    let mut whole: Vec<(String, String)> = Vec::new();
    let mut add = |key: String, text: &str, join: bool| match whole.last_mut().filter(|last| join && last.0 == key) {
        Some(last) => last.1.push_str(text),
        None => whole.push((key, text.to_owned())),
    };
    for page in pages {
        if let Some(text) = page["content"].as_str() {
            add("content".into(), text, true);
        }
        for file in page["files"].as_array().into_iter().flatten() {
            add(format!("{} {} {}", file["path"], file["status"], file["additions"]), file["hunks"].as_str().unwrap_or_default(), true);
        }
        for group in page["groups"].as_array().into_iter().flatten() {
            for (at, line) in group["lines"].as_array().unwrap().iter().enumerate() {
                add(format!("{} {}", group["commit"], group["start_line"].as_u64().unwrap() + at as u64), line.as_str().unwrap(), false);
            }
        }
        for list in ["entries", "matches", "commits", "staged", "unstaged", "untracked"] {
            for item in page[list].as_array().into_iter().flatten() {
                add(list.into(), &item.to_string(), false);
            }
        }
    }
    // A status is three lists that each page has a part of.
    whole.sort_by(|a, b| if a.0 == b.0 { std::cmp::Ordering::Equal } else { key(&a.0).cmp(&key(&b.0)) });
    whole
}

fn key(list: &str) -> usize {
    ["staged", "unstaged", "untracked"].iter().position(|name| *name == list).unwrap_or(0)
}

#[tokio::test]
async fn pages_cover_everything_once() {
    let mut fixture = busy();
    let calls = [
        ("workspace_read_file", json!({"path": "src/part_11.rs"})),
        ("workspace_read_file", json!({"path": "src/part_11.rs", "start_line": 3, "lines": 6})),
        ("workspace_read_file", json!({"path": "long", "rev": "HEAD"})),
        ("workspace_list_directory", json!({"depth": 3})),
        ("workspace_search_code", json!({"pattern": "item_[0-9]*"})),
        ("workspace_search_code", json!({"pattern": "item_", "context": 2, "glob": "*.rs"})),
        ("workspace_git_log", json!({"files": true})),
        ("workspace_git_show", json!({"rev": "HEAD~3"})),
        ("workspace_git_diff", json!({})),
        ("workspace_git_diff", json!({"from": "HEAD~5", "to": "HEAD"})),
        ("workspace_git_diff", json!({"from": "HEAD~5", "to": "HEAD", "stat": true})),
        ("workspace_git_blame", json!({"path": "src/part_11.rs"})),
        ("workspace_git_status", json!({})),
    ];
    for (tool, args) in calls {
        fixture.bytes = 1_000_000;
        let whole = content(&fixture.pages(tool, args.clone()).await);
        assert!(!whole.is_empty(), "{tool} {args}");
        for bytes in BUDGETS {
            fixture.bytes = *bytes;
            assert_eq!(content(&fixture.pages(tool, args.clone()).await), whole, "{tool} {args} with {bytes} bytes");
        }
        let takes_limit = !matches!(tool, "workspace_read_file" | "workspace_git_show" | "workspace_git_diff" | "workspace_git_blame");
        for limit in [1, 2, 5].into_iter().filter(|_| takes_limit) {
            fixture.bytes = 1_000_000;
            let mut args = args.clone();
            args["limit"] = json!(limit);
            assert_eq!(content(&fixture.pages(tool, args.clone()).await), whole, "{tool} {args}");
        }
    }
}

#[tokio::test]
async fn a_page_keeps_to_its_budget() {
    let mut fixture = busy();
    fixture.bytes = 200;
    for page in fixture.pages("workspace_read_file", json!({"path": "long"})).await {
        assert!(page["content"].as_str().unwrap().len() <= 200);
    }
    for page in fixture.pages("workspace_git_diff", json!({"from": "HEAD~5", "to": "HEAD"})).await {
        let hunks: usize = page["files"].as_array().unwrap().iter().filter_map(|file| file["hunks"].as_str()).map(str::len).sum();
        assert!(hunks <= 200, "{hunks}");
    }
}

#[tokio::test]
async fn a_page_is_cut_at_a_line() {
    let mut fixture = Fixture::new();
    fixture.write("x", "first line\nsecond line\nthird line\n");
    fixture.bytes = 25;
    let page = fixture.ok("workspace_read_file", json!({"path": "x"})).await;
    assert_eq!((&page["content"], &page["cut"]), (&json!("first line\nsecond line\n"), &json!(true)));
    let page = fixture.ok("workspace_read_file", json!({"path": "x", "cursor": page["next_cursor"]})).await;
    assert_eq!((&page["content"], &page["start_line"]), (&json!("third line\n"), &json!(3)));
}

#[tokio::test]
async fn a_cursor_that_does_not_fit_is_told() {
    let mut fixture = busy();
    fixture.bytes = 60;
    let calls = [
        ("workspace_read_file", json!({"path": "src/part_11.rs"}), json!({"path": "src/part_10.rs"})),
        ("workspace_list_directory", json!({"path": "src"}), json!({"path": "."})),
        ("workspace_search_code", json!({"pattern": "item"}), json!({"pattern": "other"})),
        ("workspace_git_log", json!({}), json!({"rev": "HEAD~1"})),
        ("workspace_git_show", json!({"rev": "HEAD"}), json!({"rev": "HEAD~1"})),
        ("workspace_git_diff", json!({}), json!({"staged": true})),
        ("workspace_git_blame", json!({"path": "src/part_11.rs"}), json!({"path": "src/part_10.rs"})),
    ];
    let mut cursors: Vec<Value> = Vec::new();
    for (tool, args, _) in &calls {
        cursors.push(fixture.ok(tool, args.clone()).await["next_cursor"].clone());
    }
    let junk = [json!(""), json!("x"), json!("AAAA"), json!("!".repeat(43)), json!("A".repeat(43)), json!("A".repeat(5000))];
    for (at, (tool, args, other)) in calls.iter().enumerate() {
        let foreign = cursors.iter().enumerate().filter(|(from, _)| *from != at).map(|(_, cursor)| cursor);
        for cursor in foreign.chain(&junk) {
            let mut args = args.clone();
            args["cursor"] = cursor.clone();
            assert_eq!(fixture.err(tool, args.clone()).await.kind, InvalidArguments, "{tool} {args}");
        }
        let mut other = other.clone();
        other["cursor"] = cursors[at].clone();
        assert_eq!(fixture.err(tool, other.clone()).await.kind, InvalidArguments, "{tool} {other}");
    }
}

#[tokio::test]
async fn a_cursor_from_before_a_change_is_stale() {
    let mut fixture = busy();
    fixture.bytes = 20;
    let calls = [
        ("workspace_read_file", json!({"path": "src/part_00.rs"})),
        ("workspace_list_directory", json!({"path": "src"})),
        ("workspace_search_code", json!({"pattern": "item"})),
        ("workspace_git_diff", json!({})),
        ("workspace_git_status", json!({})),
    ];
    let mut cursors = Vec::new();
    for (tool, args) in &calls {
        cursors.push(fixture.ok(tool, args.clone()).await["next_cursor"].clone());
    }
    fixture.write("src/part_00.rs", "fn another() {}\n").write("src/a", "item\n").write("a", "item\n");
    std::fs::remove_file(fixture.path("src/part_01.rs")).unwrap();
    for ((tool, mut args), cursor) in calls.into_iter().zip(cursors) {
        args["cursor"] = cursor;
        let error = fixture.err(tool, args).await;
        assert!(error.client.contains("stale"), "{tool}: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_whole(text in "([a-zé\u{10348}\r ]{0,30}\n?){0,20}", bytes in 0_usize..90) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut fixture = Fixture::new();
            fixture.bytes = bytes;
            fixture.write("x", &text);
            let (mut whole, mut line) = (String::new(), 1);
            for page in fixture.pages("workspace_read_file", json!({"path": "x"})).await {
                let content = page["content"].as_str().unwrap();
                assert!(content.len() <= bytes.max(4), "{content:?}");
                assert_eq!(page["start_line"], json!(line));
                line += content.matches('\n').count();
                whole.push_str(content);
            }
            assert_eq!(whole, text);
        });
    }
}
