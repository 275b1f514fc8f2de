//! Paths that must never parse, links that must never lead out, and a link swapped in the middle.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use opsgate_tools::error::ToolErrorKind::{self, InvalidArguments, NotFound, OutOfBounds};
use opsgate_tools::scope::ScopeKind;
use opsgate_tools::workspace::Workspace;
use serde_json::json;

use crate::fixture::Fixture;

/// Every tool that takes a path, with what else it needs.
const TOOLS: &[&str] = &[
    "workspace_read_file",
    "workspace_list_directory",
    "workspace_search_code",
    "workspace_git_log",
    "workspace_git_diff",
    "workspace_git_show",
    "workspace_git_blame",
    "workspace_write_file",
    "workspace_commit",
];

fn args(tool: &str, path: &str) -> serde_json::Value {
    match tool {
        "workspace_search_code" => json!({"path": path, "pattern": "."}),
        "workspace_write_file" => json!({"path": path, "content": "x"}),
        "workspace_commit" => json!({"paths": [path], "message": "x"}),
        _ => json!({"path": path}),
    }
}

const NEVER: &[(&str, ToolErrorKind)] = &[
    ("", InvalidArguments),
    ("..", OutOfBounds),
    ("../x", OutOfBounds),
    ("a/../../x", OutOfBounds),
    ("a/../a/x", OutOfBounds),
    ("a/..", OutOfBounds),
    ("/etc/passwd", OutOfBounds),
    ("//etc/passwd", OutOfBounds),
    ("%2e%2e/x", InvalidArguments),
    ("a%2Fb", InvalidArguments),
    ("a%5cb", InvalidArguments),
    ("%252e%252e/x", InvalidArguments),
    ("a%00", InvalidArguments),
    ("a\0b", InvalidArguments),
    ("a\nb", InvalidArguments),
    ("a\u{1b}[2J", InvalidArguments),
    ("..\\x", InvalidArguments),
    ("a\\b", InvalidArguments),
    (".git", OutOfBounds),
    (".git/config", OutOfBounds),
    ("./.git//config", OutOfBounds),
    (".GIT/config", OutOfBounds),
    (".Git", OutOfBounds),
    ("vendor/.git/config", OutOfBounds),
    ("a/.gIt", OutOfBounds),
];

#[tokio::test]
async fn paths_that_never_parse() {
    let fixture = Fixture::new();
    fixture.write("a/x", "inside\n").commit("one");
    let long = "a/".repeat(2049);
    for (path, kind) in NEVER.iter().copied().chain([(long.as_str(), InvalidArguments)]) {
        for tool in TOOLS {
            let error = fixture.prepare(tool, args(tool, path)).await.err().unwrap_or_else(|| panic!("{tool} took {path:?}"));
            assert_eq!(error.kind, kind, "{tool} {path:?}: {error}");
            assert!(!error.client.contains(|c: char| c.is_control()), "{error:?}");
        }
    }
}

#[tokio::test]
async fn a_path_is_judged_in_its_normal_form() {
    let fixture = Fixture::new();
    fixture.write("a/b/x", "inside\n").commit("one");
    for path in ["a/b/x", "./a/b/x", "a//b/./x", "a/b/x/"] {
        let prepared = fixture.prepare("workspace_read_file", json!({"path": path})).await.unwrap();
        assert_eq!(prepared.scopes.values(ScopeKind::Path).collect::<Vec<_>>(), ["a/b/x"], "{path}");
        assert_eq!(prepared.scopes.values(ScopeKind::Repo).collect::<Vec<_>>(), [fixture.workspace().root_path()]);
    }
}

#[tokio::test]
async fn links_never_lead_out() {
    let fixture = Fixture::new();
    let outside = fixture.outside().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("private"), "not for you\n").unwrap();
    fixture.write("a/x", "inside\n").commit("one");
    fixture
        .link("absolute", outside.join("private"))
        .link("folder", &outside)
        .link("up", "../../../../../../../../etc/passwd")
        .link("a/up", "../../x")
        .link("a/proc", "/proc/self/root/etc/passwd")
        .link("dotgit", ".git")
        .link("config", "a/../.git/config")
        .link("mixed", ".GIT/config")
        .link("to_folder", "folder");
    for path in ["absolute", "folder", "folder/private", "up", "a/up", "a/proc", "dotgit", "dotgit/config", "config", "mixed", "to_folder/private"] {
        for tool in ["workspace_read_file", "workspace_list_directory", "workspace_search_code"] {
            let error = fixture.err(tool, args(tool, path)).await;
            assert_eq!(error.kind, OutOfBounds, "{tool} {path}: {error:?}");
        }
    }
    let found = fixture.ok("workspace_search_code", json!({"pattern": "not for you|root:|repositoryformatversion", "limit": 10})).await;
    assert_eq!(found["matches"], json!([]));
    let listed = fixture.ok("workspace_list_directory", json!({"depth": 5})).await.to_string();
    assert!(!listed.contains("private") && !listed.contains(".git"), "{listed}");
    let status = fixture.ok("workspace_git_status", json!({})).await.to_string();
    assert!(!status.contains("private"), "{status}");
}

#[tokio::test]
async fn a_loop_of_links_ends() {
    let fixture = Fixture::new();
    fixture.write("x", "inside\n").commit("one");
    fixture.link("self", "self").link("ping", "pong").link("pong", "ping");
    for path in ["self", "ping", "ping/x"] {
        assert_eq!(fixture.err("workspace_read_file", json!({"path": path})).await.kind, NotFound, "{path}");
    }
}

#[tokio::test]
async fn depth_is_bounded() {
    let fixture = Fixture::new();
    let (fits, deep) = ("d/".repeat(90), "d/".repeat(130));
    fixture.write(&format!("{fits}x"), "inside\n").write(&format!("{deep}x"), "inside\n");
    assert_eq!(fixture.ok("workspace_read_file", json!({"path": format!("{fits}x")})).await["content"], "inside\n");
    assert_eq!(fixture.err("workspace_read_file", json!({"path": format!("{deep}x")})).await.kind, ToolErrorKind::TooLarge);
    fixture.ok("workspace_search_code", json!({"pattern": "."})).await;
}

#[tokio::test]
async fn a_link_inside_is_judged_at_both_ends() {
    let fixture = Fixture::new().deny(&["secrets"]);
    fixture.write("secrets/key", "hidden\n").write("pub/x", "inside\n").commit("one");
    fixture.link("alias", "pub/x").link("way", "secrets").link("pub/deep", "../way/key");
    let prepared = fixture.prepare("workspace_read_file", json!({"path": "alias"})).await.unwrap();
    assert_eq!(prepared.scopes.values(ScopeKind::Path).collect::<Vec<_>>(), ["alias", "pub/x"]);
    assert_eq!(fixture.run(prepared).await.unwrap()["content"], "inside\n");
    for path in ["way/key", "pub/deep", "way/absent"] {
        let prepared = fixture.prepare("workspace_read_file", json!({"path": path})).await.unwrap();
        assert!(fixture.denied.refuses(&prepared.scopes), "{path}: {:?}", prepared.scopes);
    }
    let prepared = fixture.prepare("workspace_list_directory", json!({"path": "way"})).await.unwrap();
    assert_eq!(prepared.scopes.values(ScopeKind::Tree).collect::<Vec<_>>(), ["way", "secrets"]);
}

#[tokio::test]
async fn what_is_denied_is_refused_before_it_is_known_to_be_there() {
    let fixture = Fixture::new().deny(&["secrets"]);
    fixture.write("secrets/key", "hidden\n").write("x", "").commit("one");
    for path in ["secrets/key", "secrets/absent"] {
        for tool in TOOLS {
            assert_eq!(fixture.err(tool, args(tool, path)).await.client, "denied by policy", "{tool} {path}");
        }
        let at = fixture.err("workspace_read_file", json!({"path": path, "rev": "HEAD"})).await;
        assert_eq!(at.client, "denied by policy");
    }
}

#[tokio::test]
async fn a_swapped_link_shows_what_was_judged() {
    let fixture = Fixture::new();
    let outside = fixture.outside().join("private");
    std::fs::write(&outside, "not for you\n").unwrap();
    fixture.write("a/x", "judged\n").write("b/x", "another\n").commit("one");

    let file = fixture.prepare("workspace_read_file", json!({"path": "a/x"})).await.unwrap();
    let folder = fixture.prepare("workspace_list_directory", json!({"path": "a"})).await.unwrap();
    let search = fixture.prepare("workspace_search_code", json!({"path": "a", "pattern": "."})).await.unwrap();
    std::fs::rename(fixture.path("a"), fixture.path("moved")).unwrap();
    fixture.link("a", fixture.outside());
    std::fs::remove_file(fixture.path("moved/x")).unwrap();
    fixture.link("moved/x", &outside);

    assert_eq!(fixture.run(file).await.unwrap()["content"], "judged\n");
    let listed = fixture.run(folder).await.unwrap();
    assert_eq!(listed["entries"], json!([{"path": "a/x", "kind": "link"}]));
    assert_eq!(fixture.run(search).await.unwrap()["matches"], json!([]));
}

#[tokio::test]
async fn only_regular_files_are_read() {
    let fixture = Fixture::new();
    fixture.write("x", "inside\n").commit("one");
    assert!(Command::new("mkfifo").arg(fixture.path("fifo")).status().unwrap().success());
    let _socket = std::os::unix::net::UnixListener::bind(fixture.path("socket")).unwrap();
    for path in ["fifo", "socket"] {
        assert_eq!(fixture.err("workspace_read_file", json!({"path": path})).await.kind, OutOfBounds, "{path}");
    }
    assert_eq!(fixture.err("workspace_read_file", json!({"path": "."})).await.kind, InvalidArguments);
    assert_eq!(fixture.err("workspace_read_file", json!({"path": "x/y"})).await.kind, NotFound);
    let found = fixture.ok("workspace_search_code", json!({"pattern": "inside"})).await;
    assert_eq!(found["matches"].as_array().unwrap().len(), 1);
}

#[test]
fn a_workspace_is_a_work_tree() {
    let fixture = Fixture::new();
    fixture.write("a/b/x", "inside\n").commit("one");
    let top = fixture.workspace();
    assert_eq!(Workspace::open(&fixture.path("a/b")).unwrap().root_path(), top.root_path());
    assert_eq!(top.owner_uid(), own_uid());
    let bare = fixture.outside().join("bare");
    git2::Repository::init_bare(&bare).unwrap();
    for folder in [fixture.outside(), &bare, &fixture.path(".git"), &fixture.path(".git/refs"), &fixture.path("absent")] {
        let error = Workspace::open(folder).unwrap_err();
        assert_eq!(error.kind, ToolErrorKind::Unavailable, "{folder:?}");
        assert!(!error.client.contains(fixture.outside().to_str().unwrap()));
    }
}

fn own_uid() -> u32 {
    rustix::process::getuid().as_raw()
}

/// A folder and a link out take turns at one name while it is read: nothing from outside is ever shown.
#[tokio::test]
async fn a_race_of_links_shows_nothing_from_outside() {
    let fixture = Fixture::new();
    fixture.write("a/x", "inside\n").commit("one");
    fixture.write("a/x", "inside, changed\n");
    let outside = fixture.outside().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("x"), "not for you\n").unwrap();
    std::fs::write(outside.join("unlisted"), "not for you\n").unwrap();
    let (here, away, link) = (fixture.path("a"), fixture.path("b"), fixture.path("c"));
    std::os::unix::fs::symlink(&outside, &link).unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let swapper = std::thread::spawn({
        let done = done.clone();
        move || {
            while !done.load(Ordering::Relaxed) {
                std::fs::rename(&here, &away).unwrap();
                std::fs::rename(&link, &here).unwrap();
                std::fs::rename(&here, &link).unwrap();
                std::fs::rename(&away, &here).unwrap();
            }
        }
    });
    let calls = [
        ("workspace_read_file", json!({"path": "a/x"})),
        ("workspace_list_directory", json!({"path": "a"})),
        ("workspace_list_directory", json!({"depth": 3})),
        ("workspace_search_code", json!({"pattern": "not"})),
        ("workspace_search_code", json!({"pattern": "not", "path": "a"})),
        ("workspace_git_diff", json!({})),
        ("workspace_git_diff", json!({"from": "HEAD"})),
        ("workspace_git_status", json!({})),
    ];
    for _ in 0..60 {
        for (tool, args) in &calls {
            if let Ok(output) = fixture.call(tool, args.clone()).await {
                let text = output.to_string();
                assert!(!text.contains("not for you") && !text.contains("unlisted"), "{tool} {args}: {text}");
            }
        }
    }
    done.store(true, Ordering::Relaxed);
    swapper.join().unwrap();
}

#[test]
fn a_git_directory_elsewhere_must_be_its_own() {
    let (fixture, victim) = (Fixture::new(), Fixture::new());
    victim.write("x", "theirs\n").commit("theirs");
    fixture.write("x", "mine\n").commit("mine");
    let refused = || Workspace::open(&fixture.path("")).unwrap_err().kind == ToolErrorKind::Unavailable;
    let common = fixture.path(".git/commondir");
    std::fs::write(&common, format!("{}\n", victim.path(".git").display())).unwrap();
    assert!(refused(), "borrowed by commondir");
    std::fs::remove_file(&common).unwrap();
    fixture.workspace();
    std::fs::rename(fixture.path(".git"), fixture.path("internals")).unwrap();
    std::fs::write(fixture.path(".git"), "gitdir: internals\n").unwrap();
    std::fs::write(fixture.path("internals/gitdir"), format!("{}\n", fixture.path(".git").display())).unwrap();
    assert!(refused(), "kept among the files");
}

#[test]
fn a_borrowed_git_directory_is_refused() {
    let (fixture, victim) = (Fixture::new(), Fixture::new());
    victim.write("x", "theirs\n").commit("theirs");
    let thief = fixture.outside().join("thief");
    std::fs::create_dir(&thief).unwrap();
    std::fs::write(thief.join(".git"), format!("gitdir: {}\n", victim.path(".git").display())).unwrap();
    assert_eq!(Workspace::open(&thief).unwrap_err().kind, ToolErrorKind::Unavailable);
    std::fs::remove_file(thief.join(".git")).unwrap();
    std::os::unix::fs::symlink(victim.path(".git"), thief.join(".git")).unwrap();
    assert_eq!(Workspace::open(&thief).unwrap_err().kind, ToolErrorKind::Unavailable);
}

#[tokio::test]
async fn core_worktree_leads_nowhere() {
    let fixture = Fixture::new();
    std::fs::write(fixture.outside().join("private"), "not for you\n").unwrap();
    fixture.write("x", "inside\n").commit("one");
    fixture.git.config().unwrap().set_str("core.worktree", fixture.outside().to_str().unwrap()).unwrap();
    let status = fixture.ok("workspace_git_status", json!({})).await;
    assert_eq!((&status["unstaged"], &status["untracked"]), (&json!([]), &json!([])), "{status}");
}

#[tokio::test]
async fn a_linked_work_tree_is_a_workspace() {
    let fixture = Fixture::new();
    fixture.write("x", "inside\n").commit("one");
    let linked = fixture.outside().join("linked");
    fixture.git.worktree("linked", &linked, None).unwrap();
    let workspace = Workspace::open(&linked).unwrap();
    assert!(workspace.root_path().ends_with("/linked"));
    assert!(format!("{workspace:?}").contains("linked"));
}
