//! Which repositories a call is judged as a call on: those that keep a work tree's branches, and those within it.

use std::path::Path;
use std::sync::Arc;

use opsgate_tools::error::ToolErrorKind::Moved;
use opsgate_tools::scope::{ScopeKind, Scopes};
use opsgate_tools::tool::CallContext;
use opsgate_tools::workspace::Workspace;
use serde_json::{Value, json};

use crate::fixture::Fixture;

/// Every tool that a workspace without declared commands has.
fn calls() -> Vec<(&'static str, Value)> {
    vec![
        ("workspace_git_blame", json!({"path": "x"})),
        ("workspace_git_diff", json!({})),
        ("workspace_git_log", json!({})),
        ("workspace_git_show", json!({})),
        ("workspace_git_status", json!({})),
        ("workspace_list_directory", json!({})),
        ("workspace_read_file", json!({"path": "x"})),
        ("workspace_read_file", json!({"path": "x", "rev": "HEAD"})),
        ("workspace_search_code", json!({"pattern": "x"})),
        ("workspace_service_status", json!({})),
        ("workspace_commit", json!({"paths": ["x"], "message": "m"})),
        ("workspace_create_branch", json!({"name": "agent/x"})),
        ("workspace_write_file", json!({"path": "y", "content": "y"})),
    ]
}

fn repositories(scopes: &Scopes) -> Vec<String> {
    scopes.values(ScopeKind::Repo).map(str::to_owned).collect()
}

fn at(fixture: &Fixture, folder: &Path) -> CallContext {
    CallContext { workspace: Some(Arc::new(Workspace::open(folder).unwrap())), ..fixture.context_without_workspace() }
}

fn name(folder: &Path) -> String {
    folder.canonicalize().unwrap().to_str().unwrap().to_owned()
}

fn git(folder: &Path, args: &[&str]) {
    let who = ["-c", "user.name=Bo", "-c", "user.email=bo@example.invalid", "-c", "protocol.file.allow=always"];
    let mut command = std::process::Command::new("git");
    command.args(who).args(args).current_dir(folder).env("HOME", folder).env("GIT_CONFIG_NOSYSTEM", "1");
    let output = command.output().unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn a_linked_work_tree_is_judged_as_its_main_one() {
    let fixture = Fixture::new();
    fixture.write("x", "1\n").commit("first");
    let linked = fixture.outside().join("linked");
    fixture.git_says(&["worktree", "add", "-q", linked.to_str().unwrap()]);
    let (cx, main) = (at(&fixture, &linked), name(&fixture.path(".")));
    std::fs::write(linked.join("x"), "2\n").unwrap();
    for (tool, args) in calls() {
        let prepared = fixture.prepare_in(&cx, tool, args).await.unwrap();
        assert_eq!(repositories(&prepared.scopes), [name(&linked), main.clone()], "{tool}");
    }
    let here = fixture.prepare("workspace_git_log", json!({})).await.unwrap();
    assert_eq!(repositories(&here.scopes), [main]);
}

#[tokio::test]
async fn a_work_tree_is_judged_as_whatever_keeps_its_branches() {
    let fixture = Fixture::new();
    fixture.write("x", "1\n").commit("first");
    let top = fixture.outside().join("work");
    std::fs::create_dir(&top).unwrap();
    let source = name(&fixture.path("."));
    git(&top, &["clone", "-q", "--bare", &source, "bare.git"]);
    git(&top.join("bare.git"), &["worktree", "add", "-q", "../of-bare"]);
    git(&top, &["clone", "-q", "--separate-git-dir", "kept", &source, "separate"]);
    git(&top.join("separate"), &["worktree", "add", "-q", "../of-separate"]);
    git(&top.join("separate"), &["config", "core.worktree", &name(&top.join("separate"))]);
    git(&top, &["clone", "-q", &source, "super"]);
    git(&top.join("super"), &["submodule", "add", "-q", &source, "sub"]);
    git(&top.join("super/sub"), &["worktree", "add", "-q", "../../of-sub"]);
    git(&top, &["clone", "-q", "-s", &source, "borrows"]);
    let within = |path: &str| name(&top.join(path));
    for (work_tree, mains) in [
        ("of-bare", vec![within("bare.git")]),
        ("separate", vec![within("kept")]),
        ("of-separate", vec![within("kept"), within("separate")]),
        ("super", vec![]),
        ("super/sub", vec![within("super")]),
        ("of-sub", vec![within("super"), within("super/sub")]),
        ("borrows", vec![source.clone()]),
    ] {
        let prepared = fixture.prepare_in(&at(&fixture, &top.join(work_tree)), "workspace_git_log", json!({})).await.unwrap();
        let mut expected = vec![within(work_tree)];
        expected.extend(mains);
        assert_eq!(repositories(&prepared.scopes), expected, "{work_tree}");
        let args = json!({"name": format!("agent/{work_tree}")});
        let branch = fixture.call_in(&at(&fixture, &top.join(work_tree)), "workspace_create_branch", args).await.unwrap();
        assert_eq!(branch["status"], "done", "{work_tree}");
    }
}

#[tokio::test]
async fn a_work_tree_that_changes_hands_is_refused() {
    let fixture = Fixture::new();
    fixture.write("x", "1\n").commit("first");
    let linked = fixture.outside().join("linked");
    git(fixture.outside(), &["clone", "-q", fixture.path(".").to_str().unwrap(), "linked"]);
    let cx = at(&fixture, &linked);
    assert!(fixture.prepare_in(&cx, "workspace_git_log", json!({})).await.is_ok());
    let own = fixture.outside().join("own");
    std::fs::rename(linked.join(".git"), &own).unwrap();
    fixture.git_says(&["worktree", "add", "-q", fixture.outside().join("other").to_str().unwrap()]);
    std::fs::rename(fixture.outside().join("other/.git"), linked.join(".git")).unwrap();
    fixture.git_says(&["worktree", "repair", linked.to_str().unwrap()]);
    for (tool, args) in calls() {
        assert_eq!(fixture.prepare_in(&cx, tool, args).await.err().map(|error| error.kind), Some(Moved), "{tool}");
    }
    std::fs::remove_file(linked.join(".git")).unwrap();
    std::fs::rename(&own, linked.join(".git")).unwrap();
    std::fs::write(linked.join(".git/objects/info/alternates"), fixture.path(".git/objects").to_str().unwrap()).unwrap();
    for (tool, args) in calls() {
        assert_eq!(fixture.prepare_in(&cx, tool, args).await.err().map(|error| error.kind), Some(Moved), "{tool}");
    }
}

/// A repository with another one in `sub`, which is itself a linked work tree of a third, and one in `sub/deep`.
fn with_nested(denied: &[&'static str]) -> Fixture {
    let fixture = Fixture::new().deny(denied);
    fixture.write("x", "needle\n").write("plain/y", "needle\n").commit("first");
    let third = fixture.outside().join("third");
    std::fs::create_dir(&third).unwrap();
    git(&third, &["init", "-q", "-b", "main"]);
    std::fs::write(third.join("f"), "needle in sub\n").unwrap();
    git(&third, &["add", "."]);
    git(&third, &["commit", "-q", "-m", "third"]);
    git(&third, &["worktree", "add", "-q", fixture.path("sub").to_str().unwrap()]);
    fixture.write("sub/deep/g", "needle in deep\n").write("sub/docs/h", "needle in docs\n");
    git2::Repository::init(fixture.path("sub/deep")).unwrap();
    fixture.link("into", "sub/deep");
    fixture
}

#[tokio::test]
async fn a_path_in_a_nested_repository_is_judged_as_its_own_too() {
    let fixture = with_nested(&[]);
    let (top, sub, deep) = (name(&fixture.path(".")), name(&fixture.path("sub")), name(&fixture.path("sub/deep")));
    let third = name(&fixture.outside().join("third"));
    for (path, expected, own) in [
        ("x", vec![&top], vec!["x"]),
        ("plain/y", vec![&top], vec!["plain/y"]),
        ("sub/f", vec![&top, &sub, &third], vec!["sub/f", "f"]),
        ("sub/gone/f", vec![&top, &sub, &third], vec!["sub/gone/f", "gone/f"]),
        ("sub/deep/g", vec![&top, &sub, &third, &deep], vec!["sub/deep/g", "deep/g", "g"]),
        ("into/g", vec![&top, &sub, &third, &deep], vec!["into/g", "sub/deep/g", "deep/g", "g"]),
    ] {
        for (tool, args) in [
            ("workspace_read_file", json!({"path": path})),
            ("workspace_search_code", json!({"pattern": "x", "path": path})),
            ("workspace_list_directory", json!({"path": path})),
            ("workspace_write_file", json!({"path": path, "content": "x"})),
        ] {
            let scopes = fixture.prepare(tool, args).await.unwrap().scopes;
            assert_eq!(repositories(&scopes), expected.iter().map(|one| (*one).clone()).collect::<Vec<_>>(), "{tool} {path}");
            assert_eq!(scopes.values(ScopeKind::Path).collect::<Vec<_>>(), own, "{tool} {path}");
        }
    }
    let scopes = fixture.prepare("workspace_list_directory", json!({"path": "sub/deep"})).await.unwrap().scopes;
    assert_eq!(scopes.values(ScopeKind::Tree).collect::<Vec<_>>(), ["sub/deep", "deep", "."]);
}

#[tokio::test]
async fn a_denied_repository_within_vanishes() {
    // By its own folder, by that of its main repository, or one in it alone.
    for (denied, sub, deep) in [(&[][..], true, true), (&["sub"], false, false), (&["third"], false, false), (&["deep"], true, false)] {
        let fixture = with_nested(denied);
        let listed = fixture.ok("workspace_list_directory", json!({"depth": 5})).await;
        let found = fixture.ok("workspace_search_code", json!({"pattern": "needle"})).await;
        let status = fixture.ok("workspace_git_status", json!({})).await;
        for (answer, is_sub, is_deep) in [(&listed, sub, deep), (&found, sub, deep), (&status, sub, sub)] {
            let text = answer.to_string();
            assert_eq!((text.contains("sub"), text.contains("deep") || answer == &status && sub), (is_sub, is_deep), "{denied:?}: {text}");
            assert!(text.contains("plain") || answer == &status, "{text}");
        }
        let shallow = fixture.ok("workspace_list_directory", json!({"depth": 1})).await;
        assert_eq!(shallow.to_string().contains("sub"), sub, "{denied:?}");
        assert_eq!(fixture.call("workspace_read_file", json!({"path": "sub/f"})).await.is_ok(), sub, "{denied:?}");
        assert_eq!(fixture.call("workspace_list_directory", json!({"path": "sub/deep"})).await.is_ok(), deep, "{denied:?}");
        assert_eq!(fixture.call("workspace_list_directory", json!({"path": "into"})).await.is_ok(), deep, "{denied:?}");
        if sub {
            let inner = fixture.ok("workspace_list_directory", json!({"path": "sub"})).await;
            assert_eq!(inner.to_string().contains("deep"), deep, "{denied:?}");
        }
    }
}

#[tokio::test]
async fn the_paths_of_a_nested_repository_are_filtered_by_its_own_names() {
    let fixture = with_nested(&["docs"]);
    let found = fixture.ok("workspace_search_code", json!({"pattern": "needle"})).await.to_string();
    assert!(found.contains("sub/f") && !found.contains("docs"), "{found}");
}

#[tokio::test]
async fn what_a_repository_tracks_in_another_one_is_not_compared_where_that_is_denied() {
    let fixture = Fixture::new().deny(&["sub"]);
    fixture.write("sub/f", "old\n").write("x", "old\n");
    let shown = Fixture::new();
    shown.write("sub/f", "old\n").write("x", "old\n");
    for (fixture, expected) in [(&fixture, false), (&shown, true)] {
        fixture.commit("first");
        fixture.write("sub/f", "new\n").write("x", "new\n");
        std::fs::create_dir(fixture.path("sub/.git")).unwrap();
        let diff = fixture.ok("workspace_git_diff", json!({})).await.to_string();
        assert_eq!((diff.contains("sub/f"), diff.contains("new")), (expected, true), "{diff}");
    }
}
