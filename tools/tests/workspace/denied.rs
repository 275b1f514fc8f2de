//! Denied paths vanish from every answer, and are counted.

use opsgate_tools::scope::{ScopeKind, Scopes};
use serde_json::{Value, json};

use crate::fixture::{Fixture, each};

/// A word that only denied files hold.
const MARK: &str = "xyzzy";

fn with_history() -> Fixture {
    let fixture = Fixture::new().deny(&["secrets", "pub/private.txt"]);
    fixture.write("pub/x", "one\n").write(".gitignore", "ignored/\n").commit("visible first");
    fixture.write("secrets/key", MARK).write("secrets/deep/other", MARK).commit("only denied xyzzy");
    fixture.write("pub/x", "one\ntwo\n").write("secrets/key", format!("{MARK} again")).write("pub/private.txt", MARK).commit("both");
    fixture
}

fn assert_hidden(tool: &str, output: &Value) {
    let text = output.to_string();
    for trace in [MARK, "secrets", "private.txt"] {
        assert!(!text.contains(trace), "{tool} shows {trace}: {text}");
    }
    assert!(output["hidden"].as_u64().is_some_and(|hidden| hidden > 0), "{tool} counts nothing: {text}");
}

#[tokio::test]
async fn denied_paths_vanish_everywhere() {
    let fixture = with_history();
    fixture.write("secrets/key", "xyzzy unsaved\n").write("secrets/new", MARK).write("pub/x", "unsaved\n");
    let calls = [
        ("workspace_list_directory", json!({"depth": 5})),
        ("workspace_list_directory", json!({"path": "pub"})),
        ("workspace_search_code", json!({"pattern": "xyzzy|one"})),
        ("workspace_git_log", json!({})),
        ("workspace_git_log", json!({"files": true})),
        ("workspace_git_show", json!({})),
        ("workspace_git_diff", json!({})),
        ("workspace_git_diff", json!({"from": "HEAD~2"})),
        ("workspace_git_diff", json!({"from": "HEAD~2", "to": "HEAD"})),
        ("workspace_git_diff", json!({"from": "HEAD~1", "staged": true})),
        ("workspace_git_diff", json!({"from": "HEAD~2", "to": "HEAD", "stat": true})),
        ("workspace_git_status", json!({})),
    ];
    for (tool, args) in calls {
        assert_hidden(tool, &fixture.ok(tool, args).await);
    }
}

#[tokio::test]
async fn a_commit_of_denied_paths_alone_vanishes() {
    let fixture = with_history();
    let log = fixture.ok("workspace_git_log", json!({"files": true})).await;
    assert_eq!(each(&log, "commits", "subject"), ["both", "visible first"]);
    assert_eq!(log["commits"][0]["files"], json!(["M pub/x"]));
    let hidden = fixture.err("workspace_git_show", json!({"rev": "HEAD~1"})).await;
    let absent = fixture.err("workspace_git_show", json!({"rev": "HEAD~9"})).await;
    assert_eq!(hidden.client.replace("HEAD~1", "_"), absent.client.replace("HEAD~9", "_"));
}

#[tokio::test]
async fn a_folders_history_hides_commits_that_touch_only_what_is_denied_in_it() {
    let fixture = Fixture::new().deny(&["pub/private.txt"]);
    fixture.write("pub/x", "one\n").write("other", "").commit("first");
    fixture.write("pub/private.txt", MARK).write("other", "1").commit("second");
    assert_eq!(each(&fixture.ok("workspace_git_log", json!({})).await, "commits", "subject"), ["second", "first"]);
    let log = fixture.ok("workspace_git_log", json!({"path": "pub"})).await;
    assert_eq!((each(&log, "commits", "subject"), &log["hidden"]), (vec!["first"], &json!(1)));
}

#[tokio::test]
async fn a_rename_out_of_a_denied_folder_is_an_addition() {
    let fixture = Fixture::new().deny(&["secrets"]);
    let content = "line one\nline two\nline three\nline four\n";
    fixture.write("secrets/key", content).write("open", content.to_uppercase()).commit("one");
    std::fs::rename(fixture.path("secrets/key"), fixture.path("moved")).unwrap();
    std::fs::rename(fixture.path("open"), fixture.path("opened")).unwrap();
    fixture.commit("two");
    let files = fixture.ok("workspace_git_show", json!({})).await["files"].clone();
    let shape: Vec<(&Value, &Value, &Value)> =
        files.as_array().unwrap().iter().map(|file| (&file["path"], &file["status"], &file["old_path"])).collect();
    assert_eq!(shape, [(&json!("moved"), &json!("A"), &Value::Null), (&json!("opened"), &json!("R"), &json!("open"))]);
    std::fs::create_dir_all(fixture.path("secrets")).unwrap();
    std::fs::rename(fixture.path("opened"), fixture.path("secrets/gone")).unwrap();
    fixture.commit("three");
    let show = fixture.ok("workspace_git_show", json!({})).await;
    assert_eq!((show["files"][0]["status"].as_str(), show["hidden"].as_u64()), (Some("D"), Some(1)), "{show}");
}

#[tokio::test]
async fn blame_stops_at_a_denied_path() {
    let lines: String = (0..20).map(|number| format!("line {number}\n")).collect();
    for (deny, author) in [(&["elsewhere"] as &[&str], "before"), (&["secrets"], "moved")] {
        let fixture = Fixture::new().deny(deny);
        fixture.write("secrets/x", &lines).write("y", "y").commit("before");
        std::fs::create_dir(fixture.path("pub")).unwrap();
        std::fs::rename(fixture.path("secrets/x"), fixture.path("pub/x")).unwrap();
        fixture.write("y", "z").commit("moved");
        let blame = fixture.ok("workspace_git_blame", json!({"path": "pub/x"})).await;
        assert_eq!(each(&blame, "groups", "subject"), [author], "{deny:?}");
    }
}

#[tokio::test]
async fn a_merge_of_denied_changes_alone_vanishes() {
    let fixture = Fixture::new().deny(&["secrets"]);
    let base = fixture.write("pub/x", "one\n").commit("base");
    fixture.write("secrets/key", MARK).commit("side");
    let (git, side) = (&fixture.git, fixture.git.head().unwrap().peel_to_commit().unwrap());
    let base = git.find_commit(base).unwrap();
    let author = side.author();
    let merge = git.commit(None, &author, &author, "merge xyzzy", &side.tree().unwrap(), &[&base, &side]).unwrap();
    git.reference("refs/heads/merged", merge, true, "test").unwrap();
    let log = fixture.ok("workspace_git_log", json!({"rev": "merged"})).await;
    assert_eq!(each(&log, "commits", "subject"), ["base"]);
}

/// A policy of folders and files apart, as a rule `**/.aws/**` or `**/*.key` makes them.
fn refused(scopes: &Scopes, trees: &[&str], files: &[&str]) -> bool {
    scopes.values(ScopeKind::Tree).any(|tree| trees.contains(&tree)) || scopes.values(ScopeKind::Path).any(|path| files.contains(&path))
}

#[tokio::test]
async fn a_denied_folder_is_refused_whether_it_is_there_or_not() {
    let fixture = Fixture::new();
    fixture.write("here/.aws/x", MARK).write("a.key", MARK).write("way/x", "").commit("one");
    fixture.link("way/to", "../here/.aws").link("way/nowhere", "../there/.aws");
    let (trees, files) = (["here/.aws", "there/.aws"], ["a.key", "b.key"]);
    let tools = ["workspace_read_file", "workspace_list_directory", "workspace_search_code", "workspace_git_blame", "workspace_git_log"];
    for path in ["here/.aws", "there/.aws", "a.key", "b.key", "way/to", "way/nowhere"] {
        for rev in [None, Some("HEAD"), Some("absent")] {
            for tool in tools {
                let in_tree_alone = matches!(tool, "workspace_list_directory" | "workspace_search_code");
                if in_tree_alone && rev.is_some() || path.starts_with("way") && (rev.is_some() || tool.contains("git")) {
                    continue;
                }
                let mut args = json!({"path": path});
                if let Some(rev) = rev {
                    args["rev"] = json!(rev);
                }
                if tool == "workspace_search_code" {
                    args["pattern"] = json!(".");
                }
                let prepared = fixture.prepare(tool, args.clone()).await.unwrap();
                assert!(refused(&prepared.scopes, &trees, &files), "{tool} {args} {:?}", prepared.scopes);
            }
        }
    }
    for (path, trees) in [("here", vec!["here"]), ("absent", vec!["absent"]), ("here/.aws/x", vec![])] {
        for args in [json!({"path": path}), json!({"path": path, "rev": "HEAD"})] {
            let scopes = fixture.prepare("workspace_read_file", args.clone()).await.unwrap().scopes;
            assert_eq!((scopes.values(ScopeKind::Path).collect(), scopes.values(ScopeKind::Tree).collect()), (vec![path], trees.clone()), "{args}");
        }
    }
}

#[tokio::test]
async fn a_path_of_denied_files_alone_is_as_absent() {
    let fixture = Fixture::new().deny(&["sub/key"]);
    fixture.write("sub/key", MARK).write("pub/x", "1\n").commit("first");
    fixture.write("sub/key", "changed").write("pub/x", "2\n").commit("second");
    fixture.write("sub/key", "unsaved").write("pub/x", "3\n");
    for (tool, args) in [
        ("workspace_git_log", json!({"files": true})),
        ("workspace_git_show", json!({})),
        ("workspace_git_diff", json!({})),
        ("workspace_git_diff", json!({"from": "HEAD~1", "to": "HEAD"})),
    ] {
        let (mut sub, mut absent) = (args.clone(), args.clone());
        (sub["path"], absent["path"]) = (json!("sub"), json!("absent"));
        let (sub, absent) = (fixture.ok(tool, sub).await, fixture.ok(tool, absent).await);
        assert_eq!(sub, absent, "{tool}");
        assert!(sub.get("hidden").is_none(), "{tool} {sub}");
        assert!(fixture.ok(tool, args).await["hidden"].as_u64() > Some(0), "{tool}");
    }
}

#[tokio::test]
async fn what_is_hidden_elsewhere_is_not_counted() {
    let fixture = Fixture::new().deny(&["secrets"]);
    fixture.write("pub/x", "1\n").write("pub/y", "1\n").write("secrets/key", MARK).commit("first");
    std::fs::rename(fixture.path("pub/x"), fixture.path("pub/z")).unwrap();
    fixture.write("secrets/key", "changed").commit("second");
    fixture.write("pub/z", "2\n").write("secrets/key", "unsaved");
    for (tool, args) in [
        ("workspace_git_log", json!({"path": "pub", "files": true})),
        ("workspace_git_show", json!({"path": "pub"})),
        ("workspace_git_show", json!({"path": "pub/y"})),
        ("workspace_git_show", json!({"path": "absent"})),
        ("workspace_git_diff", json!({"path": "pub"})),
        ("workspace_git_blame", json!({"path": "pub/z"})),
        ("workspace_list_directory", json!({"path": "pub"})),
        ("workspace_search_code", json!({"path": "pub", "pattern": "."})),
    ] {
        let reply = fixture.ok(tool, args.clone()).await;
        assert!(reply.get("hidden").is_none(), "{tool} {args} {reply}");
    }
}
