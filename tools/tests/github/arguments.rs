//! Arguments that are refused before anything is asked, and what the tools cost a client's context.

use opsgate_tools::error::ToolErrorKind::{InvalidArguments, OutOfBounds, Unavailable};
use opsgate_tools::github::{Access, every_tool};
use opsgate_tools::scope::ScopeKind;
use opsgate_tools::tool::Class;
use serde_json::{Value, json};

use crate::fixture::Fixture;

#[test]
fn each_tool_costs_little_context() {
    for tool in every_tool() {
        let spec = tool.spec();
        let (input, output) = (serde_json::to_string(&*spec.input_schema).unwrap(), serde_json::to_string(&*spec.output_schema).unwrap());
        let size = spec.card.name.len() + spec.card.description.len() + input.len() + output.len();
        println!("{} {size} = {} + {}\n{input}\n{output}", spec.card.name, input.len(), output.len());
        assert!(size <= 900, "{} costs {size} bytes", spec.card.name);
        assert_eq!(spec.class == Class::Write, spec.input_schema["properties"].get("change").is_some(), "{}", spec.card.name);
        assert_eq!(spec.input_schema["additionalProperties"], false, "{}", spec.card.name);
        assert!(spec.card.open_world);
    }
}

#[tokio::test]
async fn arguments_that_do_not_parse() {
    let fixture = Fixture::mock();
    let with = |path: &str| json!({ "repo": "acme/app", "path": path });
    let cases = [
        ("github_get_file", json!({ "repo": "acme", "path": "a" }), InvalidArguments),
        ("github_get_file", json!({ "repo": "acme/../app", "path": "a" }), InvalidArguments),
        ("github_get_file", json!({ "repo": "acme/..", "path": "a" }), InvalidArguments),
        ("github_get_file", json!({ "repo": "acme/app.git", "path": "a" }), InvalidArguments),
        ("github_get_file", json!({ "repo": "acme/app" }), InvalidArguments),
        ("github_get_file", json!({ "repo": "acme/app", "path": "a", "nope": 1 }), InvalidArguments),
        ("github_get_file", json!({ "repo": "acme/app", "path": "a", "ref": "main~1" }), InvalidArguments),
        ("github_get_file", json!({ "repo": "acme/app", "path": "a", "ref": "a&path=b c" }), InvalidArguments),
        ("github_get_file", with("."), InvalidArguments),
        ("github_get_file", with(""), InvalidArguments),
        ("github_get_file", with("a%2e"), InvalidArguments),
        ("github_get_file", with("../a"), OutOfBounds),
        ("github_get_file", with("/a"), OutOfBounds),
        ("github_get_file", with(".git/config"), OutOfBounds),
        ("github_list_issues", json!({ "repo": "acme/app", "state": "some" }), InvalidArguments),
        ("github_list_issues", json!({ "repo": "acme/app", "labels": ["a,b"] }), InvalidArguments),
        ("github_list_issues", json!({ "repo": "acme/app", "labels": ["a\n"] }), InvalidArguments),
        ("github_list_issues", json!({ "repo": "acme/app", "cursor": "x" }), InvalidArguments),
        ("github_create_issue", json!({ "repo": "acme/app", "title": " " }), InvalidArguments),
        ("github_create_issue", json!({ "repo": "acme/app", "title": "a\nb" }), InvalidArguments),
        ("github_create_issue", json!({ "repo": "acme/app", "title": "x".repeat(257) }), InvalidArguments),
        ("github_create_issue", json!({ "repo": "acme/app", "title": "x", "body": "x".repeat(65_537) }), InvalidArguments),
        ("github_create_issue", json!({ "repo": "acme/app", "title": "x", "labels": vec!["l"; 21] }), InvalidArguments),
    ];
    for (tool, args, kind) in cases {
        let shown = format!("{args:.200}");
        assert_eq!(fixture.err(tool, args).await.kind, kind, "{tool} {shown}");
    }
}

#[tokio::test]
async fn what_a_call_touches_is_what_it_names() {
    let fixture = Fixture::mock();
    let scopes = async |tool: &str, args: Value| -> Vec<(ScopeKind, String)> {
        let prepared = fixture.prepare("a", tool, args).await.unwrap();
        prepared.scopes.entries().iter().map(|one| (one.kind, one.value.clone())).collect()
    };
    let repo = || (ScopeKind::Repo, "Acme/App".to_owned());
    let path = || (ScopeKind::Path, "src/main.rs".to_owned());
    let at = |name: &str| (ScopeKind::Ref, name.to_owned());
    assert_eq!(scopes("github_list_issues", json!({ "repo": "Acme/App" })).await, [repo()]);
    assert_eq!(scopes("github_create_issue", json!({ "repo": "Acme/App", "title": "t" })).await, [repo()]);
    let file = json!({ "repo": "Acme/App", "path": "./src//main.rs" });
    assert_eq!(scopes("github_get_file", file.clone()).await, [repo(), path(), at("HEAD")]);
    let mut long = file;
    long["ref"] = json!("heads/main");
    assert_eq!(scopes("github_get_file", long).await, [repo(), path(), at("heads/main"), at("main")]);
}

#[tokio::test]
async fn where_a_key_is_missing_the_scopes_are_still_told_to_policy() {
    let fixture = Fixture::with(Access::Closed { why: "no key".to_owned() }, String::new());
    for (tool, args) in [
        ("github_list_issues", json!({ "repo": "acme/app" })),
        ("github_get_file", json!({ "repo": "acme/app", "path": "a" })),
        ("github_create_issue", json!({ "repo": "acme/app", "title": "t" })),
    ] {
        let error = fixture.err(tool, args).await;
        assert_eq!((error.kind, error.client.as_str()), (Unavailable, "no key"));
        assert_eq!(error.scopes.unwrap().values(ScopeKind::Repo).next(), Some("acme/app"));
    }
}
