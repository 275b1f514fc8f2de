//! Lines, matches and hunks come out of redacted whole texts, however they are cut.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use git2::{Signature, Time};
use opsgate_tools::error::ToolErrorKind::{Cancelled, Internal, InvalidArguments, TooLarge};
use opsgate_tools::scope::Redaction;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fixture::{Fixture, each};
use crate::secret::{Marks, Miscounting, block, shown, token, word};

const READ: &str = "workspace_read_file";
const SEARCH: &str = "workspace_search_code";
const DIFF: &str = "workspace_git_diff";
const SHOW: &str = "workspace_git_show";
const LOG: &str = "workspace_git_log";
const BLAME: &str = "workspace_git_blame";

fn fixture() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.redaction = Some(Arc::new(Marks));
    fixture
}

/// The pages of a file, put together.
async fn read(fixture: &Fixture, args: Value) -> String {
    fixture.pages(READ, args).await.iter().map(|page| page["content"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn any_range_of_a_secret_is_marks() {
    let mut fixture = fixture();
    let text = format!("one\n{}two {} µ\n{}", block(6), token(), block(3));
    let expected = shown(&text);
    let lines: Vec<&str> = expected.split_inclusive('\n').collect();
    fixture.write("key", &text).commit("one");
    for rev in [None, Some("HEAD")] {
        for start in 1..=lines.len() {
            for count in 1..=lines.len() {
                let mut args = json!({"path": "key", "start_line": start, "lines": count});
                if let Some(rev) = rev {
                    args["rev"] = json!(rev);
                }
                fixture.bytes = [5, 40, 100_000][count % 3];
                let end = (start - 1 + count).min(lines.len());
                assert_eq!(read(&fixture, args.clone()).await, lines[start - 1..end].concat(), "{args} {}", fixture.bytes);
            }
        }
    }
    let all = fixture.ok(READ, json!({"path": "key"})).await;
    assert_eq!((&all["total_lines"], &all["size"]), (&json!(lines.len()), &json!(text.len())));
}

#[tokio::test]
async fn a_long_line_is_redacted_before_it_is_cut() {
    let mut fixture = fixture();
    let text = format!("{}{} {}{}", "x".repeat(995), token(), token(), "y".repeat(5000));
    fixture.write("long", &text).write("latin", [b"caf\xe9 ".as_slice(), text.as_bytes()].concat());
    for bytes in [1, 7, 997, 1003, 100_000] {
        fixture.bytes = bytes;
        assert_eq!(read(&fixture, json!({"path": "long"})).await, shown(&text), "{bytes}");
        assert_eq!(read(&fixture, json!({"path": "latin"})).await, format!("caf\u{fffd} {}", shown(&text)), "{bytes}");
    }
    let found = fixture.ok(SEARCH, json!({"pattern": "xx"})).await;
    assert!(!found.to_string().contains("tok~"), "{found}");
}

/// A file too large to be redacted whole for each page, with secrets that reach over any place a page could end.
#[tokio::test]
async fn a_large_file_is_redacted_with_what_stands_around() {
    let mut fixture = fixture();
    let filler: String = (0..40_000).map(|line| format!("line {line} of nothing much, to fill it up\n")).collect();
    let text = format!("{filler}{}{filler}{}{filler}{} end", block(20_000), block(3000), token());
    assert!(text.len() > 5 << 20);
    let expected = shown(&text);
    let lines: Vec<&str> = expected.split_inclusive('\n').collect();
    fixture.write("large", &text).commit("one");
    fixture.bytes = 700_000;
    for args in [json!({"path": "large"}), json!({"path": "large", "rev": "HEAD"})] {
        assert!(read(&fixture, args).await == expected);
    }
    fixture.bytes = 30_000;
    for start in [40_002, 41_000, 50_000, 60_001, 60_002, 60_003, 100_003, 103_000, 143_005] {
        let page = fixture.ok(READ, json!({"path": "large", "start_line": start, "lines": 20})).await;
        assert_eq!(page["content"], lines[start - 1..(start + 19).min(lines.len())].concat(), "{start}");
    }
    fixture.bytes = 1000;
    let page = fixture.ok(READ, json!({"path": "large", "start_line": 41_000})).await;
    let cursor = URL_SAFE_NO_PAD.decode(page["next_cursor"].as_str().unwrap()).unwrap();
    for shift in [1, 9, 1000] {
        let mut forged = cursor.clone();
        let at = u64::from_be_bytes(forged[8..16].try_into().unwrap()) + shift;
        forged[8..16].copy_from_slice(&at.to_be_bytes());
        let args = json!({"path": "large", "start_line": 41_000, "cursor": URL_SAFE_NO_PAD.encode(forged)});
        assert_eq!(fixture.err(READ, args).await.kind, InvalidArguments, "{shift}");
    }
}

#[tokio::test]
async fn a_large_file_of_one_line_is_redacted_whole_or_not_shown() {
    let mut fixture = fixture();
    let text = format!("{}{}{}", "x".repeat(3 << 20), token(), "y".repeat(3 << 20));
    fixture.write("line", &text).write("longer", format!("first\n{}", "z".repeat(17 << 20)));
    fixture.bytes = 3 << 20;
    assert!(read(&fixture, json!({"path": "line"})).await == shown(&text));
    let page = fixture.ok(READ, json!({"path": "longer", "lines": 1})).await;
    assert_eq!((&page["content"], page.get("cut")), (&json!("first\n"), None));
    assert_eq!(fixture.err(READ, json!({"path": "longer", "start_line": 2})).await.kind, TooLarge);
}

#[tokio::test]
async fn a_search_answers_nothing_about_a_secret() {
    let fixture = fixture();
    let (secret, inner) = (token(), block(4));
    let line = inner.lines().nth(2).unwrap();
    fixture.write("app.env", format!("password = {secret}\nport = 80\n")).write("key", format!("before\n{inner}after\n"));
    for (right, wrong) in [(secret.as_str(), token()), (&secret[4..9], "0g0g0".into()), (line, word()), (&line[3..7], "zzzz".into())] {
        for frame in ["_", "REDACTED|_", "(?i)block|_", "^password = (_|.R)", "(_)?$", "port|_", "80|_"] {
            let ask = |guess: &str| json!({"pattern": frame.replace('_', guess), "context": 2});
            let (right, wrong) = (fixture.ok(SEARCH, ask(right)).await, fixture.ok(SEARCH, ask(&wrong)).await);
            assert_eq!(right, wrong, "{frame}");
        }
        assert_eq!(fixture.ok(SEARCH, json!({"pattern": right, "literal": true})).await["matches"], json!([]));
    }
    let found = fixture.ok(SEARCH, json!({"pattern": "password"})).await;
    assert_eq!(found["matches"], json!([{"path": "app.env", "line": 1, "text": "password = [REDACTED:token]"}]));
    let found = fixture.ok(SEARCH, json!({"pattern": "after", "context": 2})).await;
    assert_eq!(found["matches"], json!([{"path": "key", "line": 8, "text": "after", "before": ["[REDACTED:block]", "[REDACTED:block]"]}]));
}

#[tokio::test]
async fn a_mark_is_no_witness_of_a_guess() {
    let fixture = fixture();
    fixture.write("x", format!("{}\n", token()));
    // A word that only the mark has is not there as plain text; as an expression it is a question about the shown text.
    for pattern in ["REDACTED", "token", "k", "t"] {
        assert_eq!(fixture.ok(SEARCH, json!({"pattern": pattern})).await["matches"], json!([]), "{pattern}");
    }
    let found = fixture.ok(SEARCH, json!({"pattern": "R.DACTED"})).await;
    assert_eq!(each(&found, "matches", "text"), ["[REDACTED:token]"]);
}

#[tokio::test]
async fn secrets_in_a_diff_are_marks() {
    let mut fixture = fixture();
    let (first, second) = (token(), token());
    let head = format!("fn with_{}() {{\n", token());
    let (old, new) = (block(5), block(5));
    let filler = "  same\n".repeat(5);
    let file = |token: &str, block: &str| format!("{head}{filler}  key {token}\n{filler}{block}");
    fixture.write("x", file(&first, &old)).commit("first");
    fixture.write("x", file(&second, &new)).commit("second");
    fixture.write("x", file(&first, "gone\n"));
    let expected = "@@ -4,16 +4,16 @@ fn with_[REDACTED:token]() {\n   same\n   same\n   same\n-  key [REDACTED:token]\n+  key [REDACTED:token]\n";
    for (tool, args) in [(SHOW, json!({})), (DIFF, json!({"from": "HEAD~1", "to": "HEAD"}))] {
        let reply = fixture.ok(tool, args).await;
        let hunks = reply["files"][0]["hunks"].as_str().unwrap();
        assert!(hunks.starts_with(expected), "{hunks}");
        assert_eq!(hunks.matches("\n-[REDACTED:block]").count(), hunks.matches("\n+[REDACTED:block]").count());
        assert_eq!((&reply["files"][0]["additions"], &reply["files"][0]["deletions"]), (&json!(6), &json!(6)));
    }
    let words: Vec<String> = [&first, &second, &old, &new].iter().flat_map(|text| text.lines()).map(|line| line.replace("tok~", "")).collect();
    for bytes in [1, 30, 200, 100_000] {
        fixture.bytes = bytes;
        for (tool, args) in [(SHOW, json!({})), (SHOW, json!({"rev": "HEAD~1"})), (DIFF, json!({})), (DIFF, json!({"from": "HEAD~1"}))] {
            let pages = Value::from(fixture.pages(tool, args.clone()).await).to_string();
            assert!(words.iter().all(|word| !pages.contains(word.as_str())), "{tool} {args} {bytes}: {pages}");
        }
    }
    fixture.write("x", file(&second, &new).replace('\n', "\r\n").replace("key", "value"));
    let file = fixture.ok(DIFF, json!({})).await["files"][0].clone();
    assert!(file["hunks"].as_str().unwrap().contains("+  value [REDACTED:token]\n") && !file.to_string().contains(&second[4..]), "{file}");
}

#[tokio::test]
async fn blame_shows_marks() {
    let mut fixture = fixture();
    let secret = block(5);
    let text = format!("one\n{secret}{}{}\n", "x".repeat(990), token());
    fixture.write("x", &text).commit("first");
    fixture.write("x", text.replace("one", "1")).commit("second");
    fixture.bytes = 20;
    let pages = fixture.pages(BLAME, json!({"path": "x"})).await;
    let lines: Vec<&str> = pages
        .iter()
        .flat_map(|page| page["groups"].as_array().unwrap())
        .flat_map(|group| group["lines"].as_array().unwrap())
        .map(|line| line.as_str().unwrap())
        .collect();
    assert_eq!(
        lines[..8],
        [
            "1",
            "[REDACTED:block]",
            "[REDACTED:block]",
            "[REDACTED:block]",
            "[REDACTED:block]",
            "[REDACTED:block]",
            "[REDACTED:block]",
            "[REDACTED:block]"
        ]
    );
    assert!(!lines[8].contains("tok~"));
    let part = fixture.ok(BLAME, json!({"path": "x", "start_line": 4, "lines": 1})).await;
    assert_eq!(part["groups"][0]["lines"], json!(["[REDACTED:block]"]));
}

#[tokio::test]
async fn what_people_wrote_of_a_commit_is_redacted() {
    let fixture = fixture();
    let (subject, secret, name) = (token(), block(700), token());
    fixture.write("x", "1\n");
    fixture.stage();
    let tree = fixture.git.find_tree(fixture.git.index().unwrap().write_tree().unwrap()).unwrap();
    let author = Signature::new(&format!("Ada {name}"), &format!("{name}@example.org"), &Time::new(1_700_000_000, 0)).unwrap();
    let message = format!("{}{subject} \nmore\n\nBody:\n{secret}", "s".repeat(290));
    let id = fixture.git.commit(Some("HEAD"), &author, &author, &message, &tree, &[]).unwrap();
    fixture.git.tag("v1", fixture.git.find_commit(id).unwrap().as_object(), &author, &secret, false).unwrap();
    let traces: Vec<&str> = secret.lines().chain([&subject[4..], &name[4..]]).collect();
    for (tool, args) in [(LOG, json!({})), (SHOW, json!({"rev": "v1"})), (BLAME, json!({"path": "x"}))] {
        let reply = fixture.ok(tool, args).await.to_string();
        assert!(traces.iter().all(|trace| !reply.contains(&trace[..trace.len().min(8)])), "{tool} {reply}");
        assert!(reply.contains("Ada [REDACTED:token]") && reply.contains("sss[REDACTED"), "{tool} {reply}");
    }
    for (author, count) in [("ada", 1), (&name[..6], 0), (&name[4..], 0), (&name, 0)] {
        assert_eq!(fixture.ok(LOG, json!({"author": author})).await["commits"].as_array().unwrap().len(), count, "{author}");
    }
}

#[tokio::test]
async fn cursors_walk_what_is_redacted_once() {
    let mut fixture = fixture();
    let text = format!("key {}\n{}key one\nno\nkey {} key\n", token(), block(4), token());
    fixture.write("a", &text).write("b", &text).commit("one");
    let joined = |pages: &[Value], list: &str, field: &str| -> String {
        let items = pages.iter().flat_map(|page| page[list].as_array().unwrap());
        items.map(|item| item[field].as_str().map_or_else(|| item[field].to_string(), str::to_owned)).collect()
    };
    for (tool, args, list, field) in [
        (SEARCH, json!({"pattern": "key"}), "matches", "text"),
        (SEARCH, json!({"pattern": "k.y|block", "context": 1}), "matches", "text"),
        (SHOW, json!({}), "files", "hunks"),
    ] {
        fixture.bytes = 100_000;
        let whole = joined(&fixture.pages(tool, args.clone()).await, list, field);
        assert!(whole.contains("[REDACTED:token]") && !whole.contains("tok~"), "{tool} {args} {whole}");
        for bytes in [0, 9, 60, 150] {
            fixture.bytes = bytes;
            assert_eq!(joined(&fixture.pages(tool, args.clone()).await, list, field), whole, "{tool} {args} {bytes}");
        }
    }
}

#[tokio::test]
async fn a_redaction_that_loses_count_shows_nothing() {
    let mut fixture = Fixture::new();
    fixture.write("x", "one\ntwo\n").commit("one");
    fixture.write("x", "one\nthree\n");
    fixture.redaction = Some(Arc::new(Miscounting));
    let calls =
        [(READ, json!({"path": "x"})), (SEARCH, json!({"pattern": "one"})), (DIFF, json!({})), (SHOW, json!({})), (BLAME, json!({"path": "x"}))];
    for (tool, args) in calls {
        assert_eq!(fixture.err(tool, args).await.kind, Internal, "{tool}");
    }
}

/// Cancels the call that asks it.
struct Cancelling(tokio_util::sync::CancellationToken);

impl Redaction for Cancelling {
    fn by_line(&self, _: &str) -> Option<String> {
        self.0.cancel();
        None
    }
}

#[tokio::test]
async fn a_call_that_is_cancelled_while_it_redacts_stops() {
    let calls = [(READ, json!({"path": "x"})), (SEARCH, json!({"pattern": "on."})), (DIFF, json!({})), (BLAME, json!({"path": "x"}))];
    for (tool, args) in calls {
        let mut fixture = Fixture::new();
        fixture.write("x", "one\ntwo\n").commit("one");
        fixture.write("x", "one\nthree\n");
        fixture.redaction = Some(Arc::new(Cancelling(fixture.cancel.clone())));
        assert_eq!(fixture.err(tool, args).await.kind, Cancelled, "{tool}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every line at its number, and all of it once, for any mixture of text and secrets and any budget.
    #[test]
    fn pages_of_a_redacted_file_are_the_redacted_file(kinds in proptest::collection::vec(0_usize..5, 0..12), bytes in 0_usize..80, ended: bool) {
        let part = |kind: &usize| match kind {
            0 => "plain µ\n".to_owned(),
            1 => format!("a {} b\n", token()),
            2 => block(3),
            3 => "\r\n".to_owned(),
            _ => "~~~open~~~\n".to_owned(),
        };
        let mut text: String = kinds.iter().map(part).collect();
        if !ended {
            text.push_str(&token());
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut fixture = fixture();
            fixture.bytes = bytes;
            fixture.write("x", &text);
            let (mut whole, mut line) = (String::new(), 1);
            for page in fixture.pages(READ, json!({"path": "x"})).await {
                let content = page["content"].as_str().unwrap();
                assert_eq!(page["start_line"], json!(line));
                line += content.matches('\n').count();
                whole.push_str(content);
            }
            assert_eq!(whole, shown(&text));
            assert_eq!(line - 1, text.matches('\n').count());
        });
    }
}
