//! The tools in mock mode: the same client and parsing, answers from this process.

use opsgate_tools::error::ToolErrorKind::{InvalidArguments, NotFound, TooLarge};
use serde_json::json;

use crate::fixture::{Fixture, numbers};

#[tokio::test]
async fn issues_are_listed_without_pull_requests() {
    let fixture = Fixture::mock();
    let open = fixture.ok("github_list_issues", json!({ "repo": "acme/app" })).await;
    assert_eq!(numbers(&open), [42, 39, 37, 33]);
    let first = &open["issues"][0];
    assert_eq!(first["labels"], json!(["bug", "checkout"]));
    assert_eq!((&first["author"], &first["comments"], &first["state"]), (&json!("ana-acme"), &json!(3), &json!("open")));
    assert_eq!(first["html_url"], "https://github.com/acme/app/issues/42");
    assert!(first["body"].as_str().unwrap().starts_with("Since 1.4.0") && open["issues"][3].get("body").is_none());
    let closed = fixture.ok("github_list_issues", json!({ "repo": "ACME/app", "state": "closed" })).await;
    assert_eq!(numbers(&closed), [30, 28]);
    let bugs = fixture.ok("github_list_issues", json!({ "repo": "acme/app", "state": "all", "labels": ["bug"] })).await;
    assert_eq!(numbers(&bugs), [42, 30]);
    let both = fixture.ok("github_list_issues", json!({ "repo": "acme/app", "labels": ["bug", "checkout"] })).await;
    assert_eq!(numbers(&both), [42]);
}

#[tokio::test]
async fn pages_cover_everything_once_whatever_cuts_them() {
    let all = [42, 39, 37, 33, 30, 28];
    for limit in [1, 2, 3, 100] {
        let fixture = Fixture::mock();
        let pages = fixture.pages("github_list_issues", json!({ "repo": "acme/app", "state": "all", "limit": limit })).await;
        assert_eq!(pages.iter().flat_map(numbers).collect::<Vec<_>>(), all, "{limit}");
        assert!(pages.iter().all(|page| !numbers(page).is_empty()), "a page of pull requests alone is passed over");
    }
    let fixture = Fixture::mock().of_bytes(500);
    let pages = fixture.pages("github_list_issues", json!({ "repo": "acme/app", "state": "all" })).await;
    assert!(pages.len() > 3);
    assert_eq!(pages.iter().flat_map(numbers).collect::<Vec<_>>(), all);
}

#[tokio::test]
async fn a_cursor_is_for_its_own_question_and_its_own_content() {
    let fixture = Fixture::mock().of_bytes(500);
    let args = json!({ "repo": "acme/app", "state": "all" });
    let cursor = fixture.ok("github_list_issues", args.clone()).await["next_cursor"].clone();
    for other in [json!({ "repo": "acme/docs", "state": "all", "cursor": cursor }), json!({ "repo": "acme/app", "cursor": cursor })] {
        assert_eq!(fixture.err("github_list_issues", other).await.kind, InvalidArguments);
    }
    fixture.ok("github_create_issue", json!({ "repo": "acme/app", "title": "newer" })).await;
    let error = fixture.err("github_list_issues", json!({ "repo": "acme/app", "state": "all", "cursor": cursor })).await;
    assert!(error.client.contains("stale"), "{error}");
}

#[tokio::test]
async fn a_file_is_text_by_lines_with_its_secrets_out() {
    let fixture = Fixture::mock();
    let readme = fixture.ok("github_get_file", json!({ "repo": "acme/app", "path": "README.md" })).await;
    assert!(readme["content"].as_str().unwrap().starts_with("# app\n"));
    assert_eq!((&readme["start_line"], &readme["total_lines"], &readme["encoding"]), (&json!(1), &json!(7), &json!("utf-8")));
    let config = fixture.ok("github_get_file", json!({ "repo": "acme/app", "path": "config/deploy.yaml", "ref": "v1.4.0" })).await;
    let content = config["content"].as_str().unwrap();
    assert!(content.contains("github_token: [REDACTED:github_token]\n") && !content.contains("ghp_"), "{content}");
}

#[tokio::test]
async fn a_long_file_comes_in_pages() {
    let whole = Fixture::mock().ok("github_get_file", json!({ "repo": "acme/app", "path": "src/checkout.rs" })).await;
    let fixture = Fixture::mock().of_bytes(40);
    let pages = fixture.pages("github_get_file", json!({ "repo": "acme/app", "path": "src/checkout.rs" })).await;
    assert!(pages.len() > 3);
    let mut line = 1;
    let mut content = String::new();
    for page in &pages {
        assert_eq!(page["start_line"], line);
        let text = page["content"].as_str().unwrap();
        line += text.matches('\n').count();
        content += text;
    }
    assert_eq!(content, whole["content"]);
}

#[tokio::test]
async fn what_is_no_text_file_is_told() {
    let fixture = Fixture::mock();
    let file = |path: &str| json!({ "repo": "acme/app", "path": path });
    let logo = fixture.ok("github_get_file", file("docs/logo.png")).await;
    assert_eq!((&logo["encoding"], logo["sha"].as_str().unwrap().len()), (&json!("binary"), 40));
    assert!(logo.get("content").is_none() && logo["size"].as_u64().unwrap() > 0);
    for (path, kind, word) in [("src", InvalidArguments, "folder"), ("data/orders.sql", TooLarge, "4718592"), ("none.md", NotFound, "may not see it")]
    {
        let error = fixture.err("github_get_file", file(path)).await;
        assert_eq!(error.kind, kind, "{path}");
        assert!(error.client.contains(word), "{error}");
    }
    let at = |name: &str| json!({ "repo": "acme/app", "path": "README.md", "ref": name });
    assert_eq!(fixture.err("github_get_file", at("no-such-branch")).await.kind, NotFound);
    assert_eq!(fixture.err("github_list_issues", json!({ "repo": "acme/none" })).await.kind, NotFound);
}

#[tokio::test]
async fn a_link_to_a_denied_file_is_as_absent() {
    let fixture = Fixture::mock().denying(".env");
    let error = fixture.err("github_get_file", json!({ "repo": "acme/app", "path": "config/current" })).await;
    assert_eq!(error.kind, NotFound);
    let about = fixture.ok("github_get_file", json!({ "repo": "acme/app", "path": "docs/ABOUT" })).await;
    assert_eq!(about["path"], "README.md", "a link tells what it leads to");
}

#[tokio::test]
async fn an_opened_issue_is_listed_for_who_opened_it() {
    let fixture = Fixture::mock();
    let args = json!({ "repo": "acme/app", "title": " A title ", "body": "Words", "labels": ["bug", "new label"] });
    let created = fixture.ok("github_create_issue", args).await;
    assert_eq!(created["status"], "done");
    let number = created["result"]["number"].as_u64().unwrap();
    assert_eq!(created["result"]["title"], "A title");
    assert_eq!(created["result"]["labels"], json!(["bug", "new label"]));
    assert_eq!(created["result"]["html_url"], format!("https://github.com/acme/app/issues/{number}"));
    assert_eq!(number, 43);
    assert_eq!(numbers(&fixture.ok("github_list_issues", json!({ "repo": "acme/app", "limit": 3 })).await), [43, 42]);
    let other = fixture.call_by("b", "github_list_issues", json!({ "repo": "acme/app" })).await.unwrap();
    assert_eq!(numbers(&other), [42, 39, 37, 33]);
    assert_eq!(numbers(&fixture.ok("github_list_issues", json!({ "repo": "acme/docs" })).await), [12, 9]);
}

#[tokio::test]
async fn a_preview_is_what_would_be_sent() {
    let fixture = Fixture::mock();
    let preview = fixture.preview("github_create_issue", json!({ "repo": "acme/app", "title": "T", "labels": ["bug"] })).await;
    assert_eq!(preview.change, json!({ "method": "POST", "path": "/repos/acme/app/issues", "body": { "title": "T", "labels": ["bug"] } }));
    assert!(preview.summary.contains("acme/app"));
    assert_eq!(numbers(&fixture.ok("github_list_issues", json!({ "repo": "acme/app" })).await), [42, 39, 37, 33]);
}
