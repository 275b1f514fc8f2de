//! The git tools.

use git2::Signature;
use opsgate_tools::error::ToolErrorKind::{InvalidArguments, NotFound, Unavailable};
use opsgate_tools::scope::ScopeKind;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fixture::{Fixture, each};

const LOG: &str = "workspace_git_log";
const DIFF: &str = "workspace_git_diff";
const SHOW: &str = "workspace_git_show";
const BLAME: &str = "workspace_git_blame";
const STATUS: &str = "workspace_git_status";

#[tokio::test]
async fn an_empty_repository_answers() {
    let fixture = Fixture::new();
    fixture.write("new", "");
    for tool in [LOG, SHOW] {
        let error = fixture.err(tool, json!({})).await;
        assert_eq!((error.kind, error.client.as_str()), (NotFound, "the branch has no commit yet"), "{tool}");
    }
    assert_eq!(fixture.err(BLAME, json!({"path": "new"})).await.kind, NotFound);
    assert_eq!(fixture.ok(DIFF, json!({})).await["files"], json!([]));
    assert_eq!(fixture.ok(STATUS, json!({})).await, json!({"branch": "main", "staged": [], "unstaged": [], "untracked": ["new"]}));
    fixture.stage();
    let staged = fixture.ok(DIFF, json!({"staged": true})).await;
    assert_eq!((each(&staged, "files", "path"), each(&staged, "files", "status")), (vec!["new"], vec!["A"]));
}

#[tokio::test]
async fn a_log_is_filtered() {
    let fixture = Fixture::new();
    fixture.write("a/x", "1").commit("first\n\nWhy it was.");
    fixture.write("b", "1").commit("second");
    fixture.write("a/x", "2").commit("third");
    let log = fixture.ok(LOG, json!({"files": true})).await;
    assert_eq!(each(&log, "commits", "subject"), ["third", "second", "first"]);
    let first = &log["commits"][2];
    assert_eq!((&first["author"], &first["email"], &first["body"]), (&json!("Ada Example"), &json!("ada@example.org"), &json!("Why it was.")));
    assert_eq!((&first["date"], &first["files"]), (&json!("2023-11-15T00:13:20+02:00"), &json!(["A a/x"])));
    let table: &[(Value, &[&str])] = &[
        (json!({"path": "a"}), &["third", "first"]),
        (json!({"path": "a/x"}), &["third", "first"]),
        (json!({"path": "b"}), &["second"]),
        (json!({"path": "nowhere"}), &[]),
        (json!({"rev": "HEAD~1"}), &["second", "first"]),
        (json!({"since": "2023-11-14T23:13:20Z"}), &["third", "second"]),
        (json!({"until": "2023-11-14"}), &["second", "first"]),
        (json!({"since": "2023-11-15"}), &["third"]),
        (json!({"author": "ADA@"}), &["third", "second", "first"]),
        (json!({"author": "grace"}), &[]),
    ];
    for (args, subjects) in table {
        assert_eq!(each(&fixture.ok(LOG, args.clone()).await, "commits", "subject"), *subjects, "{args}");
    }
    for args in [json!({"since": "yesterday"}), json!({"until": "2023-13-01"})] {
        assert_eq!(fixture.err(LOG, args).await.kind, InvalidArguments);
    }
}

#[tokio::test]
async fn revisions_are_judged_as_named_and_by_their_branch() {
    let fixture = Fixture::new();
    fixture.write("x", "1").commit("one");
    fixture.write("x", "2").commit("two");
    let table: &[(&str, Value, &[&str])] = &[
        (LOG, json!({}), &["main"]),
        (LOG, json!({"rev": "HEAD~1"}), &["HEAD~1", "main"]),
        (SHOW, json!({"rev": "main"}), &["main"]),
        (DIFF, json!({"from": "main~1", "to": "HEAD"}), &["main~1", "main", "HEAD", "main"]),
        (DIFF, json!({}), &[]),
        (BLAME, json!({"path": "x"}), &["main"]),
        ("workspace_read_file", json!({"path": "x", "rev": "main"}), &["main"]),
    ];
    for (tool, args, refs) in table {
        let prepared = fixture.prepare(tool, args.clone()).await.unwrap();
        assert_eq!(prepared.scopes.values(ScopeKind::Ref).collect::<Vec<_>>(), *refs, "{tool} {args}");
    }
    fixture.git.tag_lightweight("main", &fixture.git.revparse_single("HEAD~1").unwrap(), true).unwrap();
    assert_eq!(each(&fixture.ok(LOG, json!({})).await, "commits", "subject"), ["two", "one"]);
}

#[tokio::test]
async fn a_detached_head_has_no_branch() {
    let fixture = Fixture::new();
    let first = fixture.write("x", "1").commit("one");
    fixture.write("x", "2").commit("two");
    fixture.git.set_head_detached(first).unwrap();
    let status = fixture.ok(STATUS, json!({})).await;
    assert_eq!((status.get("branch"), &status["head"]), (None, &json!(first.to_string())));
    let prepared = fixture.prepare(LOG, json!({})).await.unwrap();
    assert_eq!(prepared.scopes.values(ScopeKind::Ref).collect::<Vec<_>>(), ["HEAD"]);
    assert_eq!(each(&fixture.run(prepared).await.unwrap(), "commits", "subject"), ["one"]);
}

/// Path, status, hunks.
type Files = &'static [(&'static str, &'static str, &'static str)];

#[tokio::test]
async fn a_shallow_clone_ends_at_its_edge() {
    let fixture = Fixture::new();
    let first = fixture.write("x", "1\n").commit("first").to_string();
    let second = fixture.write("x", "1\n2\n").commit("second").to_string();
    fixture.write("x", "1\n2\n3\n").commit("third");
    std::fs::write(fixture.path(".git/shallow"), format!("{second}\n")).unwrap();
    std::fs::remove_file(fixture.path(&format!(".git/objects/{}/{}", &first[..2], &first[2..]))).unwrap();
    assert_eq!(each(&fixture.ok(LOG, json!({"files": true})).await, "commits", "subject"), ["third", "second"]);
    assert_eq!(fixture.ok(SHOW, json!({"rev": second})).await["files"][0]["additions"], 2);
    let blame = fixture.ok(BLAME, json!({"path": "x"})).await;
    assert_eq!(each(&blame, "groups", "subject"), ["second", "third"]);
}

#[tokio::test]
async fn diffs_of_every_pair() {
    let fixture = Fixture::new();
    fixture.write("x", "one\n").write("gone", "bye\n").commit("first");
    fixture.write("x", "two\n").commit("second");
    fixture.write("x", "three\n").write("added", "new\n");
    fixture.stage();
    fixture.write("x", "four\n");
    std::fs::remove_file(fixture.path("gone")).unwrap();
    let table: &[(Value, Files)] = &[
        (json!({}), &[("gone", "D", "@@ -1 +0,0 @@\n-bye\n"), ("x", "M", "@@ -1 +1 @@\n-three\n+four\n")]),
        (json!({"staged": true}), &[("added", "A", "@@ -0,0 +1 @@\n+new\n"), ("x", "M", "@@ -1 +1 @@\n-two\n+three\n")]),
        (json!({"from": "HEAD~1", "to": "HEAD"}), &[("x", "M", "@@ -1 +1 @@\n-one\n+two\n")]),
        (json!({"from": "HEAD~1", "path": "x"}), &[("x", "M", "@@ -1 +1 @@\n-one\n+four\n")]),
        (json!({"from": "HEAD~1", "staged": true, "path": "x"}), &[("x", "M", "@@ -1 +1 @@\n-one\n+three\n")]),
        (json!({"path": "added"}), &[]),
    ];
    for (args, expected) in table {
        let files = fixture.ok(DIFF, args.clone()).await["files"].clone();
        let shape: Vec<(&str, &str, &str)> = files
            .as_array()
            .unwrap()
            .iter()
            .map(|file| (file["path"].as_str().unwrap(), file["status"].as_str().unwrap(), file["hunks"].as_str().unwrap()))
            .collect();
        assert_eq!(shape, *expected, "{args}");
    }
    let stat = fixture.ok(DIFF, json!({"from": "HEAD~1", "to": "HEAD", "stat": true})).await;
    assert_eq!(stat["files"], json!([{"path": "x", "status": "M", "additions": 1, "deletions": 1}]));
    assert_eq!(fixture.err(DIFF, json!({"to": "HEAD"})).await.kind, InvalidArguments);
    assert_eq!(fixture.err(DIFF, json!({"from": "HEAD", "to": "HEAD", "staged": true})).await.kind, InvalidArguments);
}

#[tokio::test]
async fn a_diff_reads_no_file_through_a_link() {
    let fixture = Fixture::new();
    std::fs::write(fixture.outside().join("x"), "not for you\n").unwrap();
    fixture.write("a/x", "one\n").write("b", "two\n").commit("first");
    std::fs::remove_dir_all(fixture.path("a")).unwrap();
    std::fs::remove_file(fixture.path("b")).unwrap();
    fixture.link("a", fixture.outside()).link("b", fixture.outside().join("x"));
    for args in [json!({}), json!({"from": "HEAD"}), json!({"path": "b"})] {
        let diff = fixture.ok(DIFF, args.clone()).await.to_string();
        assert!(!diff.contains("not for you"), "{args} {diff}");
    }
    let status = fixture.ok(STATUS, json!({})).await;
    assert_eq!((&status["unstaged"], &status["untracked"]), (&json!(["D a/x", "T b"]), &json!(["a"])));
}

#[tokio::test]
async fn what_has_no_text_is_noted() {
    let fixture = Fixture::new();
    fixture.write("bin", b"\0a").write("big", "x".repeat(5 << 20)).write("run", "#!/bin/sh\n").commit("first");
    fixture.write("bin", b"\0b").write("big", "y".repeat(5 << 20));
    std::fs::set_permissions(fixture.path("run"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    for args in [json!({}), json!({"from": "HEAD"})] {
        let diff = fixture.ok(DIFF, args).await;
        assert_eq!(each(&diff, "files", "note"), ["too large", "binary", "mode 100644 to 100755"]);
    }
    fixture.commit("second");
    assert_eq!(each(&fixture.ok(SHOW, json!({})).await, "files", "note"), ["too large", "binary", "mode 100644 to 100755"]);
}

#[tokio::test]
async fn a_commit_is_shown_with_its_diff() {
    let fixture = Fixture::new();
    let first = fixture.write("a/x", "one\n").write("y", "y\n").commit("first");
    let second = fixture.write("a/x", "two\n").write("y", "z\n").commit("second\n\nWhy.");
    let author = Signature::now("Ada Example", "ada@example.org").unwrap();
    fixture.git.tag("v1", fixture.git.find_commit(second).unwrap().as_object(), &author, "the first release", false).unwrap();
    let show = fixture.ok(SHOW, json!({"rev": "v1", "path": "a"})).await;
    assert_eq!((&show["id"], &show["parents"]), (&json!(second.to_string()), &json!([first.to_string()])));
    assert_eq!((&show["tag_message"], &show["body"]), (&json!("the first release"), &json!("Why.")));
    assert_eq!(show["files"], json!([{"path": "a/x", "status": "M", "additions": 1, "deletions": 1, "hunks": "@@ -1 +1 @@\n-one\n+two\n"}]));
    assert_eq!(each(&fixture.ok(SHOW, json!({"rev": first.to_string()[..10]})).await, "files", "status"), ["A", "A"]);
}

#[tokio::test]
async fn a_status_tells_all_three_places() {
    let fixture = Fixture::new();
    fixture.write("x", "1").write("y", "1").write(".gitignore", "ignored\n").commit("first");
    let first = fixture.git.head().unwrap().target().unwrap();
    fixture.write("z", "1").commit("second");
    let git = &fixture.git;
    git.remote("origin", "https://example.org/x.git").unwrap();
    git.reference("refs/remotes/origin/main", first, true, "test").unwrap();
    git.find_branch("main", git2::BranchType::Local).unwrap().set_upstream(Some("origin/main")).unwrap();
    fixture.write("x", "2");
    fixture.stage();
    fixture.write("x", "3").write("new", "").write("folder/new", "").write("ignored", "");
    std::fs::remove_file(fixture.path("y")).unwrap();
    let expected = json!({
        "branch": "main", "head": git.head().unwrap().target().unwrap().to_string(), "upstream": "origin/main", "ahead": 1, "behind": 0,
        "staged": ["M x"], "unstaged": ["M x", "D y"], "untracked": ["folder/", "new"],
    });
    assert_eq!(fixture.ok(STATUS, json!({})).await, expected);
}

#[tokio::test]
async fn a_submodule_is_named_and_not_entered() {
    let fixture = Fixture::new();
    let inner = git2::Repository::init(fixture.path("sub")).unwrap();
    fixture.write("sub/x", "inner needle\n");
    let author = Signature::now("Ada Example", "ada@example.org").unwrap();
    let mut index = inner.index().unwrap();
    index.add_path("x".as_ref()).unwrap();
    let tree = inner.find_tree(index.write_tree().unwrap()).unwrap();
    let commit = inner.commit(Some("HEAD"), &author, &author, "inner", &tree, &[]).unwrap();
    let mut index = fixture.git.index().unwrap();
    let entry = index_entry("sub", commit);
    index.add(&entry).unwrap();
    index.write().unwrap();
    let tree = fixture.git.find_tree(index.write_tree().unwrap()).unwrap();
    fixture.git.commit(Some("HEAD"), &author, &author, "outer", &tree, &[]).unwrap();
    let show = fixture.ok(SHOW, json!({})).await;
    assert_eq!(show["files"], json!([{"path": "sub", "status": "A", "additions": 0, "deletions": 0, "note": "submodule"}]));
    fixture.write("sub/x", "changed\n");
    let status = fixture.ok(STATUS, json!({})).await;
    assert_eq!((&status["unstaged"], &status["untracked"]), (&json!([]), &json!([])));
    assert_eq!(fixture.ok(DIFF, json!({})).await["files"], json!([]));
    assert_eq!(fixture.err("workspace_read_file", json!({"path": "sub/x", "rev": "HEAD"})).await.kind, NotFound);
    assert_eq!(fixture.err(BLAME, json!({"path": "sub"})).await.kind, NotFound);
    assert_eq!(fixture.ok("workspace_read_file", json!({"path": "sub/x"})).await["content"], "changed\n");
}

fn index_entry(path: &str, commit: git2::Oid) -> git2::IndexEntry {
    let zero = git2::IndexTime::new(0, 0);
    git2::IndexEntry {
        ctime: zero,
        mtime: zero,
        dev: 0,
        ino: 0,
        mode: 0o160_000,
        uid: 0,
        gid: 0,
        file_size: 0,
        id: commit,
        flags: 0,
        flags_extended: 0,
        path: path.as_bytes().to_vec(),
    }
}

#[tokio::test]
async fn a_linked_work_tree_has_its_own_head() {
    let fixture = Fixture::new();
    fixture.write("x", "1\n").commit("first");
    let linked = fixture.outside().join("linked");
    fixture.git.worktree("linked", &linked, None).unwrap();
    let workspace = std::sync::Arc::new(opsgate_tools::workspace::Workspace::open(&linked).unwrap());
    fixture.write("x", "2\n").commit("second");
    let cx = opsgate_tools::tool::CallContext { workspace: Some(workspace), ..fixture.context() };
    let status = fixture.call_in(&cx, STATUS, json!({})).await.unwrap();
    assert_eq!((&status["branch"], &status["unstaged"]), (&json!("linked"), &json!([])), "{status}");
    assert_eq!(each(&fixture.call_in(&cx, LOG, json!({})).await.unwrap(), "commits", "subject"), ["first"]);
    assert_eq!(
        fixture.call_in(&cx, "workspace_list_directory", json!({})).await.unwrap()["entries"],
        json!([{"path": "x", "kind": "file", "size": 2}])
    );
}

#[tokio::test]
async fn blame_groups_lines_by_commit() {
    let fixture = Fixture::new();
    let first = fixture.write("x", "one\ntwo\nthree\n").commit("first");
    let second = fixture.write("x", "zero\none\ntwo\nchanged\n").commit("second");
    let blame = fixture.ok(BLAME, json!({"path": "x"})).await;
    assert_eq!(each(&blame, "groups", "commit"), [second.to_string(), first.to_string(), second.to_string()]);
    assert_eq!(blame["groups"][1]["lines"], json!(["one", "two"]));
    let part = fixture.ok(BLAME, json!({"path": "x", "start_line": 2, "lines": 1})).await;
    assert_eq!((part["groups"].as_array().unwrap().len(), &part["groups"][0]["lines"]), (1, &json!(["one"])));
    assert_eq!(fixture.err(BLAME, json!({"path": "x", "start_line": 9})).await.kind, InvalidArguments);
    assert_eq!(fixture.err(BLAME, json!({"path": "absent"})).await.kind, NotFound);
}

#[tokio::test]
async fn line_ends_do_not_drown_a_change() {
    let fixture = Fixture::new();
    fixture.write("x", "one\ntwo\nthree\n").commit("first");
    fixture.write("x", "one\r\n2\r\nthree\r\n");
    let file = fixture.ok(DIFF, json!({})).await["files"][0].clone();
    assert_eq!((&file["additions"], &file["note"]), (&json!(1), &json!("line ends differ: CRLF now")));
    fixture.write("x", "one\r\n2\nthree\r\n");
    assert_eq!(fixture.ok(DIFF, json!({})).await["files"][0]["additions"], 3);
}

/// A repository's own configuration and attributes can name programs; none of them runs.
#[tokio::test]
async fn nothing_in_a_repository_runs() {
    let fixture = Fixture::new();
    let witness = fixture.outside().join("ran");
    let program = format!("touch {}", witness.display());
    fixture.write("x", "one\n").write("x.bin", "one\n").commit("first");
    fixture.write(".gitattributes", "* filter=run diff=run text eol=crlf\n");
    let mut config = fixture.git.config().unwrap();
    let keys = [
        "filter.run.clean",
        "filter.run.smudge",
        "filter.run.process",
        "diff.run.command",
        "diff.run.textconv",
        "diff.external",
        "core.fsmonitor",
        "core.pager",
        "core.sshCommand",
        "core.editor",
    ];
    for key in keys {
        config.set_str(key, &program).unwrap();
    }
    config.set_bool("filter.run.required", true).unwrap();
    let hooks = fixture.path(".git/hooks");
    std::fs::create_dir_all(&hooks).unwrap();
    for hook in ["post-index-change", "fsmonitor-watchman", "post-checkout", "pre-commit", "reference-transaction"] {
        std::fs::write(hooks.join(hook), format!("#!/bin/sh\n{program}\n")).unwrap();
        std::fs::set_permissions(hooks.join(hook), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    fixture.write("x", "two\n").write("new", "");
    for (tool, args) in [
        (STATUS, json!({})),
        (DIFF, json!({})),
        (DIFF, json!({"from": "HEAD"})),
        (DIFF, json!({"staged": true})),
        (SHOW, json!({})),
        (LOG, json!({"files": true})),
        (BLAME, json!({"path": "x"})),
        ("workspace_read_file", json!({"path": "x"})),
        ("workspace_search_code", json!({"pattern": "two"})),
    ] {
        fixture.ok(tool, args).await;
        assert!(!witness.exists(), "{tool} ran a program");
    }
}

#[tokio::test]
async fn what_is_long_is_clipped() {
    let mut fixture = Fixture::new();
    fixture.bytes = 10_000;
    fixture.write("x", "µ".repeat(1 << 20)).commit(&format!("{}\n\n{}", "s".repeat(100_000), "b".repeat(1 << 20)));
    for (tool, args) in [(LOG, json!({})), (SHOW, json!({})), (BLAME, json!({"path": "x"})), ("workspace_search_code", json!({"pattern": "µ"}))] {
        let size = fixture.ok(tool, args).await.to_string().len();
        assert!(size < 20_000, "{tool} {size}");
    }
}

#[tokio::test]
async fn objects_of_another_user_are_not_borrowed() {
    let fixture = Fixture::new();
    fixture.write("x", "1\n").commit("first");
    let borrowed = fixture.outside().join("objects");
    std::fs::create_dir(&borrowed).unwrap();
    std::fs::write(fixture.path(".git/objects/info/alternates"), format!("{}\n", borrowed.display())).unwrap();
    fixture.ok(LOG, json!({})).await;
    // Only root can give a folder away; elsewhere there is nothing to try.
    if std::os::unix::fs::chown(&borrowed, Some(12_345), None).is_ok() {
        assert!(opsgate_tools::workspace::Workspace::open(&fixture.path("")).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    /// Each version is the one before with some lines replaced by new ones: libgit2's own blame is the oracle.
    #[test]
    fn blame_agrees_with_libgit2(edits in proptest::collection::vec((0_usize..12, 0_usize..4, 0_usize..4), 1..10)) {
        let fixture = Fixture::new();
        let mut lines: Vec<String> = (0..12).map(|number| format!("start {number}")).collect();
        for (version, (at, removed, added)) in edits.into_iter().enumerate() {
            fixture.write("x", lines.iter().map(|line| format!("{line}\n")).collect::<String>()).write("version", version.to_string()).commit("edit");
            let at = at.min(lines.len());
            let end = (at + removed).min(lines.len());
            lines.splice(at..end, (0..added).map(|number| format!("version {version} line {number}")));
        }
        fixture.write("x", lines.iter().map(|line| format!("{line}\n")).collect::<String>()).commit("last");
        let oracle = fixture.git.blame_file("x".as_ref(), None).unwrap();
        let expected: Vec<String> = (1..=lines.len()).map(|line| oracle.get_line(line).unwrap().final_commit_id().to_string()).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let blame = runtime.block_on(fixture.ok(BLAME, json!({"path": "x"})));
        let found: Vec<String> = blame["groups"].as_array().unwrap().iter()
            .flat_map(|group| group["lines"].as_array().unwrap().iter().map(|_| group["commit"].as_str().unwrap().to_owned()))
            .collect();
        prop_assert_eq!(found, expected);
    }
}

#[tokio::test]
async fn nothing_waits_at_a_pipe_in_place_of_gits_files() {
    for (path, hidden_by_itself) in [(".gitignore", false), ("src/.gitignore", true), ("src/.gitattributes", false), ("new/.gitignore", false)] {
        let fixture = Fixture::new();
        fixture.write("src/x", "1\n").commit("first");
        fixture.write("src/y", "2\n").write("new/z", "3\n");
        if hidden_by_itself {
            fixture.write(".gitignore", ".gitignore\n");
        }
        assert!(std::process::Command::new("mkfifo").arg(fixture.path(path)).status().unwrap().success());
        assert_eq!(fixture.err(STATUS, json!({})).await.kind, Unavailable, "{path}");
    }
    for path in [".git/config", ".git/HEAD", ".git/packed-refs", ".git/info/exclude"] {
        let fixture = Fixture::new();
        fixture.write("x", "1\n").commit("first");
        let workspace = fixture.workspace();
        let _ = std::fs::remove_file(fixture.path(path));
        assert!(std::process::Command::new("mkfifo").arg(fixture.path(path)).status().unwrap().success());
        let cx = opsgate_tools::tool::CallContext { workspace: Some(workspace), ..fixture.context_without_workspace() };
        for tool in [STATUS, LOG] {
            assert_eq!(fixture.call_in(&cx, tool, json!({})).await.unwrap_err().kind, Unavailable, "{tool} {path}");
        }
    }
}

#[tokio::test]
async fn a_branch_is_judged_under_any_name() {
    use opsgate_tools::scope::ScopeKind;
    let fixture = Fixture::new();
    fixture.write("x", "1\n").commit("first");
    let head = fixture.git.head().unwrap().peel_to_commit().unwrap();
    fixture.git.branch("agent/base", &head, false).unwrap().set_upstream(Some("main")).unwrap();
    fixture.git.reference_symbolic("refs/heads/agent/sym", "refs/heads/main", false, "test").unwrap();
    for rev in [
        "main",
        "HEAD",
        "@",
        "heads/main",
        "refs/heads/main",
        "agent/base@{u}",
        "agent/base@{upstream}",
        "agent/sym",
        "agent/sym~0",
        "agent/sym^{commit}",
    ] {
        for tool in [LOG, "workspace_git_show"] {
            let prepared = fixture.prepare(tool, json!({ "rev": rev })).await.unwrap();
            let refs: Vec<_> = prepared.scopes.values(ScopeKind::Ref).collect();
            assert!(refs.iter().any(|name| name.trim_start_matches("refs/").trim_start_matches("heads/") == "main"), "{tool} {rev}: {refs:?}");
        }
    }
    let prepared = fixture.prepare(LOG, json!({ "rev": "agent/base" })).await.unwrap();
    assert_eq!(prepared.scopes.values(ScopeKind::Ref).collect::<Vec<_>>(), ["agent/base"]);
}

#[tokio::test]
async fn a_remotes_branch_is_judged_by_its_own_name_too() {
    use opsgate_tools::scope::ScopeKind;
    let fixture = Fixture::new();
    fixture.write("x", "1\n").commit("first");
    let head = fixture.git.head().unwrap().target().unwrap();
    fixture.git.remote("origin", "https://example.invalid/x").unwrap();
    fixture.git.remote("team/fork", "https://example.invalid/y").unwrap();
    fixture.git.remote_with_fetch("odd", "https://example.invalid/z", "+refs/heads/*:refs/odd/of/*").unwrap();
    for name in ["remotes/origin/release/1", "remotes/team/fork/release/1", "remotes/unknown/release/1", "odd/of/release/1"] {
        fixture.git.reference(&format!("refs/{name}"), head, false, "test").unwrap();
    }
    fixture.git.reference_symbolic("refs/remotes/origin/HEAD", "refs/remotes/origin/release/1", false, "test").unwrap();
    let commit = fixture.git.find_commit(head).unwrap();
    fixture.git.branch("agent/x", &commit, false).unwrap().set_upstream(Some("origin/release/1")).unwrap();
    fixture.git.set_head("refs/heads/agent/x").unwrap();
    for rev in [
        "origin/release/1",
        "remotes/origin/release/1",
        "refs/remotes/origin/release/1~0",
        "origin",
        "origin/HEAD",
        "@{u}",
        "@{upstream}",
        "team/fork/release/1",
        "unknown/release/1",
        "refs/odd/of/release/1",
    ] {
        for (tool, key) in [(LOG, "rev"), ("workspace_create_branch", "from")] {
            let prepared =
                fixture.prepare(tool, json!({ key: rev, "name": "agent/y" }).as_object().map(|args| without_name(args, tool)).unwrap()).await;
            let scopes = prepared.unwrap_or_else(|error| panic!("{rev}: {error}")).scopes;
            assert!(scopes.values(ScopeKind::Ref).any(|name| name == "release/1"), "{tool} {rev}: {scopes:?}");
        }
    }
}

fn without_name(args: &serde_json::Map<String, serde_json::Value>, tool: &str) -> serde_json::Value {
    args.iter().filter(|(key, _)| *key != "name" || tool != LOG).map(|(key, value)| (key.clone(), value.clone())).collect()
}

#[tokio::test]
async fn entries_of_a_reflog_are_refused() {
    let fixture = Fixture::new();
    fixture.write("x", "1\n").commit("first");
    fixture.write("x", "2\n").commit("second");
    fixture.git_says(&["checkout", "-q", "-b", "agent/x"]);
    for rev in ["HEAD@{1}", "@{1}", "main@{0}", "@{-1}", "HEAD@{yesterday}", "@{-1}@{u}", "main@{1}~0", "stash@{0}", "main@{U}", "@{}", "@{"] {
        for tool in [LOG, "workspace_git_show"] {
            assert_eq!(fixture.err(tool, json!({ "rev": rev })).await.kind, InvalidArguments, "{rev}");
        }
    }
}

#[tokio::test]
async fn links_in_gits_folder_show_nothing_of_others() {
    let other = Fixture::new();
    other.write("secret", "theirs\n").commit("first");
    let theirs = |path: &str| other.path(".git").join(path);
    for path in ["refs/heads", "refs/heads/main", "objects", "index", "HEAD", "info", "packed-refs"] {
        let fixture = Fixture::new();
        fixture.write("x", "1\n").commit("first");
        let ours = fixture.path(".git").join(path);
        let _ = std::fs::remove_file(&ours);
        let _ = std::fs::remove_dir_all(&ours);
        std::os::unix::fs::symlink(theirs(path), &ours).unwrap();
        refuses(&fixture, path).await;
    }
    // One object, one folder of objects.
    let fixture = Fixture::new();
    fixture.write("x", "1\n").commit("first");
    let id = other.git.head().unwrap().target().unwrap().to_string();
    let (fan, rest) = id.split_at(2);
    std::fs::create_dir_all(fixture.path(".git/objects").join(fan)).unwrap();
    std::os::unix::fs::symlink(theirs("objects").join(fan).join(rest), fixture.path(".git/objects").join(fan).join(rest)).unwrap();
    refuses(&fixture, "an object").await;
    let fixture = Fixture::new();
    fixture.write("x", "1\n").commit("first");
    if !fixture.path(".git/objects").join(fan).exists() {
        std::os::unix::fs::symlink(theirs("objects").join(fan), fixture.path(".git/objects").join(fan)).unwrap();
        refuses(&fixture, "a folder of objects").await;
    }
}

async fn refuses(fixture: &Fixture, what: &str) {
    let opened = opsgate_tools::workspace::Workspace::open(&fixture.path("."));
    assert!(opened.is_err(), "{what} is a link, and the repository is opened");
}
