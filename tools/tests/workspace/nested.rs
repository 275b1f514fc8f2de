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
