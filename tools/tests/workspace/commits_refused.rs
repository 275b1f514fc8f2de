//! What is never committed by a tool, each with its sentence.

use std::process::Command;
use std::sync::Arc;

use opsgate_tools::error::ToolErrorKind::{self, HoldsSecret, InvalidArguments, NotFound, TooLarge, Unavailable};
use serde_json::{Value, json};

use crate::fixture::Fixture;
use crate::secret::{Marks, block, token};

const TOOL: &str = "workspace_commit";

fn paths(paths: &[&str]) -> Value {
    json!({"paths": paths, "message": "Change files"})
}

fn started() -> Fixture {
    let fixture = Fixture::new();
    fixture.write("a", "1\n").write("dir/x", "x\n").commit("one");
    fixture
}

async fn refused(fixture: &Fixture, path: &str, kind: ToolErrorKind, word: &str) {
    let before = fixture.git.head().ok().and_then(|head| head.target());
    let error = fixture.err(TOOL, paths(&[path])).await;
    assert!(error.kind == kind && error.client.contains(word), "{path}: {error:?}");
    let shown = fixture.preview(TOOL, paths(&[path])).await.unwrap_err();
    assert_eq!((shown.kind, &shown.client), (kind, &error.client));
    assert_eq!(fixture.git.head().ok().and_then(|head| head.target()), before);
    assert!(!fixture.path(".git/index.lock").exists());
}

#[tokio::test]
async fn files_that_are_none_to_commit() {
    let fixture = started();
    fixture.write("inner/.git/HEAD", "ref: refs/heads/main\n").write("inner/x", "x\n").write("fresh", "x\n");
    fixture.write("large", vec![b'x'; (4 << 20) + 1]).write("git~1/x", "x\n").write("a.git./x", "x\n");
    fixture.link("out", fixture.outside()).link("gone", "nowhere").link("folder", "dir").link("to_git", ".git/config");
    assert!(Command::new("mkfifo").arg(fixture.path("fifo")).status().unwrap().success());
    for (path, kind, word) in [
        ("dir", InvalidArguments, "folder"),
        ("inner/x", InvalidArguments, "another repository"),
        ("out", InvalidArguments, "link"),
        ("gone", InvalidArguments, "link"),
        ("to_git", InvalidArguments, "link"),
        ("folder/x", NotFound, "link"),
        ("absent", NotFound, "neither"),
        ("absent/x", NotFound, "neither"),
        ("a/x", InvalidArguments, "folder"),
        ("fifo", InvalidArguments, "regular"),
        ("large", TooLarge, "bytes"),
        ("git~1/x", InvalidArguments, "another system"),
        ("a", InvalidArguments, "nothing to commit"),
    ] {
        refused(&fixture, path, kind, word).await;
    }
    assert_eq!(fixture.err(TOOL, paths(&["fresh", "dir"])).await.kind, InvalidArguments, "one bad file refuses all");
    assert_eq!(fixture.git_says(&["status", "--porcelain", "fresh"]), "?? fresh\n");
}

#[tokio::test]
async fn a_file_for_a_folder_and_back_is_left_to_git() {
    let fixture = started();
    std::fs::remove_dir_all(fixture.path("dir")).unwrap();
    std::fs::remove_file(fixture.path("a")).unwrap();
    fixture.write("dir", "a file now\n").write("a/x", "in a folder now\n");
    for path in ["dir", "a/x"] {
        refused(&fixture, path, InvalidArguments, "would turn").await;
    }
    fixture.write("new/x", "x\n");
    fixture.git_says(&["add", "new/x"]);
    std::fs::remove_dir_all(fixture.path("new")).unwrap();
    refused(fixture.write("new", "a file now\n"), "new", InvalidArguments, "would turn").await;
}

#[tokio::test]
async fn ignored_files_are_refused_unless_they_are_tracked() {
    let fixture = started();
    fixture.write(".gitignore", "*.log\nbuild/\n").write("x.log", "x\n").write("build/x", "x\n").write("known.log", "x\n").write("staged.log", "x\n");
    refused(&fixture, "x.log", InvalidArguments, "ignored").await;
    refused(&fixture, "build/x", InvalidArguments, "ignored").await;
    fixture.git_says(&["add", "-f", "known.log"]);
    fixture.git_says(&["commit", "-qm", "two"]);
    fixture.git_says(&["add", "-f", "staged.log"]);
    fixture.write("known.log", "y\n");
    fixture.ok(TOOL, paths(&["known.log", "staged.log"])).await;
    assert_eq!(fixture.git_says(&["status", "--porcelain"]), "?? .gitignore\n");
}

#[tokio::test]
async fn a_submodule_is_refused() {
    let fixture = started();
    let other = Fixture::new();
    let commit = other.write("x", "theirs\n").commit("theirs").to_string();
    fixture.git_says(&["update-index", "--add", "--cacheinfo", &format!("160000,{commit},sub")]);
    fixture.write("sub/x", "x\n");
    for path in ["sub/x", "sub"] {
        let error = fixture.err(TOOL, paths(&[path])).await;
        assert_eq!(error.kind, InvalidArguments, "{path}: {error:?}");
    }
    fixture.git_says(&["commit", "-qm", "two"]);
    refused(&fixture, "sub/x", InvalidArguments, "submodule").await;
    refused(&fixture, "sub", InvalidArguments, "submodule").await;
}

#[tokio::test]
async fn a_sparse_checkout_deletes_nothing() {
    let fixture = started();
    fixture.git_says(&["sparse-checkout", "set", "--no-cone", "/a"]);
    assert!(!fixture.path("dir/x").exists());
    refused(&fixture, "dir/x", InvalidArguments, "sparse").await;
}

#[tokio::test]
async fn a_split_index_is_left_to_git() {
    let fixture = started();
    fixture.write("a", "2\n");
    fixture.git_says(&["update-index", "--split-index"]);
    refused(&fixture, "a", Unavailable, "split").await;
}

#[tokio::test]
async fn a_sparse_index_is_left_to_git() {
    let fixture = started();
    fixture.git_says(&["sparse-checkout", "set", "--cone", "--sparse-index", "elsewhere"]);
    fixture.write("a", "2\n");
    refused(&fixture, "a", Unavailable, "sparse").await;
}

/// libgit2 would wait at it for somebody to write.
#[tokio::test]
async fn rules_that_are_no_file_are_not_read() {
    for name in [".gitattributes", ".gitignore", "dir/.gitattributes"] {
        let fixture = started();
        fixture.write("dir/x", "2\n");
        assert!(Command::new("mkfifo").arg(fixture.path(name)).status().unwrap().success());
        refused(&fixture, "dir/x", InvalidArguments, "no regular file").await;
        std::fs::remove_file(fixture.path(name)).unwrap();
        fixture.link(name, "/dev/zero");
        refused(&fixture, "dir/x", InvalidArguments, "no regular file").await;
    }
}

#[tokio::test]
async fn nothing_is_committed_in_the_middle_of_something() {
    for (file, content) in [("MERGE_HEAD", ""), ("CHERRY_PICK_HEAD", ""), ("REVERT_HEAD", ""), ("BISECT_LOG", ""), ("rebase-merge/interactive", "")] {
        let fixture = started();
        fixture.write("a", "2\n").write(&format!(".git/{file}"), content);
        refused(&fixture, "a", InvalidArguments, "in the middle").await;
    }
    let fixture = started();
    fixture.git_says(&["checkout", "-qb", "side"]);
    fixture.write("a", "side\n");
    fixture.git_says(&["stash", "-q"]);
    fixture.write("a", "other\n");
    fixture.git_says(&["commit", "-qam", "other"]);
    assert!(!fixture.git_command(&["stash", "pop", "-q"]).status.success());
    refused(&fixture, "a", InvalidArguments, "in the middle").await;
}

#[tokio::test]
async fn only_the_branch_that_is_checked_out() {
    let fixture = started();
    fixture.write("a", "2\n");
    let on = |branch: &str| json!({"paths": ["a"], "message": "x", "branch": branch});
    let prepared = fixture.prepare(TOOL, on("other")).await.unwrap();
    let refs: Vec<_> = prepared.scopes.values(opsgate_tools::scope::ScopeKind::Ref).collect();
    assert_eq!(refs, ["other", "main"]);
    let error = fixture.run(prepared).await.unwrap_err();
    assert!(error.kind == InvalidArguments && error.client.contains("`main`"), "{error:?}");
    fixture.ok(TOOL, on("main")).await;
    fixture.write("a", "3\n");
    fixture.git_says(&["checkout", "-q", "--detach"]);
    refused(&fixture, "a", InvalidArguments, "detached").await;
    fixture.git_says(&["checkout", "-q", "main"]);
    fixture.git_says(&["symbolic-ref", "refs/heads/alias", "refs/heads/main"]);
    fixture.git_says(&["symbolic-ref", "HEAD", "refs/heads/alias"]);
    refused(&fixture, "a", InvalidArguments, "another name").await;
}

#[tokio::test]
async fn line_ends_that_git_would_change_are_refused() {
    for (attributes, autocrlf, refused_here) in [
        ("", "false", false),
        ("", "true", true),
        ("", "input", true),
        ("* text=auto\n", "false", true),
        ("* text\n", "false", true),
        ("* eol=lf\n", "false", true),
        ("* eol=crlf\n", "false", true),
        ("* crlf\n", "false", true),
        ("* -text\n", "true", false),
        ("* binary\n", "true", false),
        ("* ident\n", "false", true),
        ("* working-tree-encoding=UTF-16\n", "false", true),
    ] {
        let fixture = started();
        fixture.git.config().unwrap().set_str("core.autocrlf", autocrlf).unwrap();
        fixture.write(".gitattributes", attributes).write("a", "one\r\ntwo\r\n").write("unix", "one\n");
        if refused_here {
            assert_eq!(fixture.err(TOOL, paths(&["a"])).await.kind, InvalidArguments, "{attributes:?} {autocrlf}");
        } else {
            fixture.ok(TOOL, paths(&["a"])).await;
            assert_eq!(fixture.git_says(&["show", "main:a"]), "one\r\ntwo\r\n");
            assert_eq!(fixture.git_says(&["status", "--porcelain", "a"]), "", "{attributes:?} {autocrlf}");
        }
        if !attributes.contains("ident") && !attributes.contains("encoding") {
            fixture.ok(TOOL, paths(&["unix"])).await;
        }
    }
}

#[tokio::test]
async fn a_secret_is_not_committed() {
    let mut fixture = Fixture::new();
    let (old, inside) = (token(), block(3));
    fixture.write("old", format!("{old}\nx\n")).write("bin", b"\0\x01\n").write("pem", inside.replacen("~~~close~~~\n", "", 1)).commit("one");
    fixture.redaction = Some(Arc::new(Marks));
    let secret = token();
    for (path, content) in [
        ("new", format!("a\nkey = {secret}\n").into_bytes()),
        ("old", format!("{old}\nx\n{secret}\n").into_bytes()),
        ("new", b"left [REDACTED:token]\n".to_vec()),
        ("bin", [b"\0\xff\n", secret.as_bytes(), b"\n"].concat()),
        // The new line is the last of a block whose other lines were there.
        ("pem", inside.clone().into_bytes()),
    ] {
        fixture.write(path, content);
        let error = fixture.err(TOOL, paths(&[path])).await;
        assert_eq!(error.kind, HoldsSecret, "{path}: {error:?}");
        assert!(error.client.contains(path) && !error.client.contains(&secret), "{error:?}");
        assert_eq!(fixture.preview(TOOL, paths(&[path])).await.unwrap_err().kind, HoldsSecret);
        assert_eq!(fixture.git_says(&["log", "--format=%s"]), "one\n");
    }
    // A blob of it would be in the repository for whoever looks.
    let objects = fixture.git_command(&["cat-file", "--batch-all-objects", "--batch", "--buffer"]).stdout;
    assert!(!objects.is_empty() && !String::from_utf8_lossy(&objects).contains(&secret));
    let link = format!("x-{secret}");
    fixture.write(&link, "x\n").link("link", &link);
    assert_eq!(fixture.err(TOOL, paths(&["link"])).await.kind, HoldsSecret);
    let message = json!({"paths": ["old"], "message": format!("Use {secret}")});
    assert_eq!(fixture.err(TOOL, message).await.kind, HoldsSecret);
    fixture.write("old", format!("{old}\ny\n")).write("bin", b"\0\xff\n");
    fixture.ok(TOOL, paths(&["old", "bin"])).await;
    std::fs::remove_file(fixture.path("old")).unwrap();
    fixture.ok(TOOL, paths(&["old"])).await;
}

#[tokio::test]
async fn arguments_that_make_no_commit() {
    let fixture = started();
    fixture.write("a", "2\n");
    let many: Vec<String> = (0..201).map(|nth| format!("f{nth}")).collect();
    for args in [
        json!({"paths": [], "message": "x"}),
        json!({"paths": ["a", "."], "message": "x"}),
        json!({"paths": many, "message": "x"}),
        json!({"paths": ["a"], "message": ""}),
        json!({"paths": ["a"], "message": " \n\u{1b}\n"}),
        json!({"paths": ["a"], "message": "x".repeat((16 << 10) + 1)}),
        json!({"paths": ["a"], "message": "x\n\nOpsgate-Record: 1 00"}),
        json!({"paths": ["a"], "message": "x\n\nopsgate-record : 1 00"}),
    ] {
        let error = fixture.prepare(TOOL, args).await.err().unwrap();
        assert_eq!(error.kind, InvalidArguments, "{error:?}");
    }
}

#[tokio::test]
async fn a_denied_file_is_refused_whether_it_is_there_or_not() {
    let fixture = started().deny(&["secrets"]);
    fixture.write("secrets/key", "hidden\n").link("way", "secrets/key");
    for path in ["secrets/key", "secrets/absent", "way", "secrets"] {
        assert_eq!(fixture.err(TOOL, paths(&["a", path])).await.client, "denied by policy", "{path}");
    }
}
