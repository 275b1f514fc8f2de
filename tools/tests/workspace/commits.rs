//! Commits of listed files: what is in them, who made them, and what they leave alone.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use opsgate_tools::error::ToolErrorKind::{self, Moved};
use opsgate_tools::scope::ScopeKind;
use opsgate_tools::workspace::{Author, ServiceSources, Settings, Workspace};
use serde_json::{Value, json};

use crate::fixture::Fixture;
use crate::secret::{Marks, token};

const TOOL: &str = "workspace_commit";

fn paths(paths: &[&str]) -> Value {
    json!({"paths": paths, "message": "Change files"})
}

fn started() -> Fixture {
    let settings = Settings { author: Author { name: "Opsgate Agent".to_owned(), email: "agent@example.invalid".to_owned() }, ..Settings::default() };
    let fixture = Fixture::with(&settings, ServiceSources::default());
    fixture.write("a", "1\n2\n3\n").write("b", "b\n").write("src/deep/c", "c\n").write("keep", "k\n").commit("one");
    fixture
}

fn is_sound(fixture: &Fixture) {
    assert_eq!(fixture.git_says(&["fsck", "--strict", "--no-dangling"]), "");
    assert!(!fixture.path(".git/index.lock").exists());
}

#[tokio::test]
async fn listed_files_are_committed() {
    let fixture = started();
    let parent = fixture.git.head().unwrap().target().unwrap().to_string();
    fixture.write("a", "1\nzwei\n3\n4\n").write("new/x", "x\n").write("keep", "not listed\n");
    std::fs::remove_file(fixture.path("src/deep/c")).unwrap();
    let args = json!({"paths": ["a", "new/x", "src/deep/c", "./a"], "message": "Change a\n\nFor a reason.\n"});
    let done = fixture.done(TOOL, args).await;
    let commit = fixture.git_says(&["rev-parse", "main"]).trim().to_owned();
    assert_eq!(done, json!({"commit": commit, "branch": "main", "files_changed": 3, "insertions": 3, "deletions": 2}));

    assert_eq!(fixture.git_says(&["log", "-1", "--format=%an|%ae|%cn|%ce|%P|%s"]).trim(), {
        format!("Opsgate Agent|agent@example.invalid|Opsgate Agent|agent@example.invalid|{parent}|Change a")
    });
    let trailer = fixture.git_says(&["log", "-1", "--format=%(trailers:key=Opsgate-Record,valueonly)"]);
    let (seq, hash) = trailer.trim().split_once(' ').unwrap();
    assert!(seq.parse::<u64>().is_ok() && hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()), "{trailer}");
    assert_eq!(fixture.git_says(&["log", "-1", "--format=%B"]).trim_end(), format!("Change a\n\nFor a reason.\n\nOpsgate-Record: {seq} {hash}"));
    assert_eq!(fixture.git_says(&["show", "--name-status", "--format="]), "M\ta\nA\tnew/x\nD\tsrc/deep/c\n");
    assert_eq!(fixture.git_says(&["show", "--shortstat", "--format="]).trim(), "3 files changed, 3 insertions(+), 2 deletions(-)");
    assert_eq!(fixture.git_says(&["show", "main:a"]), "1\nzwei\n3\n4\n");
    assert_eq!(fixture.git_says(&["status", "--porcelain"]), " M keep\n");
    assert!(fixture.git_says(&["reflog", "-1", "--format=%gs %gn"]).starts_with("commit: Change a Opsgate Agent"));
    is_sound(&fixture);
}

#[tokio::test]
async fn what_else_is_staged_stays_staged() {
    let fixture = started();
    fixture.write("b", "staged\n").write("new", "staged\n").write("a", "staged\n");
    fixture.git_says(&["rm", "-q", "--cached", "keep"]);
    fixture.git_says(&["add", "a", "b", "new"]);
    fixture.git_says(&["update-index", "--chmod=+x", "b"]);
    fixture.write("a", "in the work tree\n").write("b", "later\n");
    let before = fixture.git_says(&["ls-files", "--stage", "b", "new", "keep", "src"]);
    fixture.done(TOOL, paths(&["a"])).await;
    assert_eq!(fixture.git_says(&["show", "--name-status", "--format="]), "M\ta\n");
    assert_eq!(fixture.git_says(&["show", "main:a"]), "in the work tree\n");
    assert_eq!(fixture.git_says(&["ls-files", "--stage", "b", "new", "keep", "src"]), before);
    assert_eq!(fixture.git_says(&["status", "--porcelain"]), "MM b\nD  keep\nA  new\n?? keep\n");
    is_sound(&fixture);
}

/// A change of the same size in the moment in which the index was written must not be lost from sight.
#[tokio::test]
async fn a_change_of_the_same_moment_is_still_seen() {
    let fixture = started();
    fixture.write("b", "B\n").write("a", "x\n");
    // What `stat` says of the changed file is what the index has of it: only its content tells.
    let moment = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
    let date = |path: &str| std::fs::File::options().write(true).open(fixture.path(path)).unwrap().set_modified(moment).unwrap();
    date("b");
    fixture.git_says(&["add", "b"]);
    fixture.write("b", "C\n");
    date("b");
    date(".git/index");
    fixture.git_says(&["config", "core.trustctime", "false"]);
    fixture.done(TOOL, paths(&["a"])).await;
    assert_eq!(fixture.git_says(&["status", "--porcelain"]), "MM b\n");
}

#[tokio::test]
async fn a_first_commit_makes_the_branch() {
    let fixture = Fixture::new();
    fixture.write("src/a", "1\n").write("b", "2\n");
    let done = fixture.done(TOOL, paths(&["src/a"])).await;
    assert_eq!((&done["branch"], &done["files_changed"], &done["insertions"]), (&json!("main"), &json!(1), &json!(1)));
    assert_eq!(fixture.git_says(&["log", "--format=%s %an %P"]), "Change files opsgate \n");
    assert_eq!(fixture.git_says(&["status", "--porcelain"]), "?? b\n");
    assert!(fixture.git_says(&["reflog", "-1", "--format=%gs"]).starts_with("commit (initial)"));
    is_sound(&fixture);
}

#[tokio::test]
async fn executable_bits_and_links_inside_are_kept() {
    let fixture = started();
    std::fs::set_permissions(fixture.path("a"), std::fs::Permissions::from_mode(0o755)).unwrap();
    fixture.write("tool", "#!/bin/sh\n").link("link", "src/deep/c").link("src/up", "../b");
    std::fs::set_permissions(fixture.path("tool"), std::fs::Permissions::from_mode(0o700)).unwrap();
    let done = fixture.done(TOOL, paths(&["a", "tool", "link", "src/up"])).await;
    assert_eq!((&done["files_changed"], &done["insertions"]), (&json!(4), &json!(3)));
    let listed = fixture.git_says(&["ls-tree", "-r", "--format=%(objectmode) %(path)", "main"]);
    assert_eq!(listed, "100755 a\n100644 b\n100644 keep\n120000 link\n100644 src/deep/c\n120000 src/up\n100755 tool\n");
    assert_eq!(fixture.git_says(&["show", "main:src/up"]), "../b");
    assert_eq!(fixture.git_says(&["status", "--porcelain"]), "");
    is_sound(&fixture);
    // Where git is told not to trust the bit, the committed one stays.
    fixture.git.config().unwrap().set_bool("core.filemode", false).unwrap();
    std::fs::set_permissions(fixture.path("tool"), std::fs::Permissions::from_mode(0o644)).unwrap();
    fixture.write("tool", "#!/bin/bash\n");
    fixture.done(TOOL, paths(&["tool"])).await;
    assert!(fixture.git_says(&["ls-tree", "main", "tool"]).starts_with("100755"));
}

#[tokio::test]
async fn a_link_is_judged_at_both_ends() {
    let fixture = started();
    fixture.link("link", "src/deep/c");
    let prepared = fixture.prepare(TOOL, paths(&["link", "a", "gone"])).await.unwrap();
    assert_eq!(prepared.scopes.values(ScopeKind::Path).collect::<Vec<_>>(), ["a", "gone", "link", "src/deep/c"]);
    assert_eq!(prepared.scopes.values(ScopeKind::Ref).collect::<Vec<_>>(), ["main"]);
    assert_eq!(prepared.scopes.values(ScopeKind::Repo).collect::<Vec<_>>(), [fixture.workspace().root_path()]);
}

#[tokio::test]
async fn hooks_never_run() {
    let fixture = started();
    let proof = fixture.outside().join("a hook ran");
    for hook in ["pre-commit", "prepare-commit-msg", "commit-msg", "post-commit", "reference-transaction", "post-index-change", "post-rewrite"] {
        let path = fixture.path(".git/hooks").join(hook);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, format!("#!/bin/sh\ntouch '{}'\n", proof.display())).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    fixture.git.config().unwrap().set_str("core.fsmonitor", ".git/hooks/pre-commit").unwrap();
    fixture.git.config().unwrap().set_bool("commit.gpgsign", true).unwrap();
    fixture.git.config().unwrap().set_str("gpg.program", fixture.path(".git/hooks/pre-commit").to_str().unwrap()).unwrap();
    fixture.done("workspace_write_file", json!({"path": "a", "content": "new\n"})).await;
    fixture.done("workspace_create_branch", json!({"name": "fix"})).await;
    fixture.done(TOOL, paths(&["a"])).await;
    assert!(!proof.exists());
    // The proof would be there if git itself had committed.
    fixture.write("a", "newer\n");
    fixture.git_command(&["commit", "-qam", "by git"]);
    assert!(proof.exists());
}

#[tokio::test]
async fn filters_never_run() {
    let fixture = started();
    let proof = fixture.outside().join("a filter ran");
    let command = format!("touch '{}' && cat", proof.display());
    fixture.git.config().unwrap().set_str("filter.x.clean", &command).unwrap();
    fixture.git.config().unwrap().set_str("filter.x.smudge", &command).unwrap();
    fixture.git.config().unwrap().set_bool("filter.x.required", true).unwrap();
    fixture.write(".gitattributes", "*.bin filter=x\n").write("y.bin", "1\n").write("a", "new\n");
    let error = fixture.err(TOOL, paths(&["y.bin"])).await;
    assert!(error.kind == ToolErrorKind::InvalidArguments && error.client.contains("filter"), "{error:?}");
    fixture.done(TOOL, paths(&["a", ".gitattributes"])).await;
    assert!(!proof.exists());
}

#[tokio::test]
async fn a_linked_work_tree_commits_to_its_own_branch() {
    let fixture = started();
    let linked = fixture.outside().join("linked");
    fixture.git_says(&["worktree", "add", "-q", "-b", "side", linked.to_str().unwrap()]);
    std::fs::write(linked.join("a"), "side\n").unwrap();
    let mut cx = fixture.context();
    cx.workspace = Some(Arc::new(Workspace::open(&linked).unwrap()));
    let answer = fixture.call_in(&cx, TOOL, paths(&["a"])).await.unwrap();
    assert_eq!(answer["result"]["branch"], "side");
    assert_eq!(fixture.git_says(&["show", "side:a"]), "side\n");
    assert_eq!(fixture.git_says(&["show", "main:a"]), "1\n2\n3\n");
    assert_eq!(fixture.git_says(&["-C", linked.to_str().unwrap(), "status", "--porcelain"]), "");
    assert_eq!(fixture.git_says(&["status", "--porcelain"]), "");
    is_sound(&fixture);
}

#[tokio::test]
async fn what_root_writes_is_the_owners() {
    let fixture = started();
    let chown = |user: &str| std::process::Command::new("chown").args(["-R", user]).arg(fixture.path("")).status().unwrap().success();
    if !chown("4711:4712") {
        println!("skipped: giving files away takes root");
        return;
    }
    fixture.done("workspace_write_file", json!({"path": "a", "content": "new\n"})).await;
    fixture.done("workspace_write_file", json!({"path": "fresh/deep/x", "content": "new\n"})).await;
    fixture.done("workspace_create_branch", json!({"name": "fix/deep/a"})).await;
    fixture.done(TOOL, paths(&["a", "fresh/deep/x"])).await;
    let strays = std::process::Command::new("find").arg(fixture.path("")).args(["-not", "-user", "4711", "-o", "-not", "-group", "4712"]).output();
    assert_eq!(String::from_utf8(strays.unwrap().stdout).unwrap(), "");
}

/// What another program does between the judgement and the commit.
const MEANWHILE: &[fn(&Fixture)] = &[
    |f| write(f, "a", "another\n"),
    |f| std::fs::remove_file(f.path("a")).unwrap(),
    |f| std::fs::set_permissions(f.path("a"), std::fs::Permissions::from_mode(0o755)).unwrap(),
    |f| {
        std::fs::rename(f.path("a"), f.path("real")).unwrap();
        f.link("a", "real");
    },
    |f| drop(f.git_says(&["commit", "-q", "--allow-empty", "-m", "by another"])),
    |f| drop(f.git_says(&["checkout", "-q", "-b", "other"])),
    |f| drop(f.git_says(&["checkout", "-q", "--detach"])),
    |f| drop(f.git_says(&["update-ref", "-d", "refs/heads/main"])),
    |f| write(f, ".git/MERGE_HEAD", ""),
    |f| write(f, ".git/index.lock", ""),
    |f| write(f, ".gitattributes", "a filter=x\n"),
];

fn write(fixture: &Fixture, path: &str, content: &str) {
    fixture.write(path, content);
}

#[tokio::test]
async fn what_changed_after_it_was_judged_is_not_committed() {
    for (nth, meanwhile) in MEANWHILE.iter().enumerate() {
        let fixture = started();
        fixture.write("a", "judged\n");
        let prepared = fixture.prepare(TOOL, paths(&["a"])).await.unwrap();
        meanwhile(&fixture);
        let state = || ["refs/heads/main", "refs/heads/other"].map(|name| fixture.git.refname_to_id(name).ok());
        let before = state();
        let error = fixture.run(prepared).await.unwrap_err();
        assert_eq!(error.kind, Moved, "case {nth}: {error:?}");
        assert_eq!(state(), before, "case {nth}");
    }
}

#[tokio::test]
async fn a_branch_moved_by_another_at_the_last_moment_stays() {
    let fixture = started();
    fixture.write("a", "judged\n");
    let prepared = fixture.prepare(TOOL, paths(&["a"])).await.unwrap();
    // Another process holds the branch, not the index: what `git update-ref` does.
    fixture.write(".git/refs/heads/main.lock", "");
    assert_eq!(fixture.run(prepared).await.unwrap_err().kind, Moved);
    std::fs::remove_file(fixture.path(".git/refs/heads/main.lock")).unwrap();
    assert_eq!(fixture.git_says(&["status", "--porcelain"]), " M a\n");
    is_sound(&fixture);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_commits_at_once_one_is_made() {
    let fixture = started();
    for round in 0..20 {
        fixture.write("a", format!("a{round}\n")).write("b", format!("b{round}\n"));
        let both = (fixture.prepare(TOOL, paths(&["a"])).await.unwrap(), fixture.prepare(TOOL, paths(&["b"])).await.unwrap());
        let results = futures::join!(fixture.run(both.0), fixture.run(both.1));
        let results = [results.0, results.1];
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
        assert_eq!(results.iter().find_map(|result| result.as_ref().err()).unwrap().kind, Moved);
    }
    assert_eq!(fixture.git_says(&["rev-list", "--count", "main"]), "21\n");
    is_sound(&fixture);
}

/// Another program commits to the branch without git's index, at every moment of a commit of ours: neither is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_commit_of_another_is_lost() {
    let fixture = started();
    let (mut mine, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..60_u64 {
        fixture.write("a", format!("a{round}\n"));
        let prepared = fixture.prepare(TOOL, paths(&["a"])).await.unwrap();
        let path = fixture.path("");
        let another = std::thread::spawn(move || {
            let git = git2::Repository::open(path).unwrap();
            let tip = git.head().unwrap().peel_to_commit().unwrap();
            let who = git2::Signature::now("Bo", "bo@example.invalid").unwrap();
            for _ in 0..round * 40_000 {
                std::hint::spin_loop();
            }
            git.commit(Some("refs/heads/main"), &who, &who, "theirs", &tip.tree().unwrap(), &[&tip]).ok()
        });
        match fixture.run(prepared).await {
            Ok(done) => mine.push(done["result"]["commit"].as_str().unwrap().to_owned()),
            Err(error) => assert_eq!(error.kind, Moved, "{error:?}"),
        }
        theirs.extend(another.join().unwrap().map(|id| id.to_string()));
    }
    let history = fixture.git_says(&["rev-list", "main"]);
    for id in mine.iter().chain(&theirs) {
        assert!(history.contains(id), "{id} is lost; {} of ours and {} of theirs were made", mine.len(), theirs.len());
    }
    assert!(!mine.is_empty() && !theirs.is_empty(), "one side never got through: this test proves little");
    is_sound(&fixture);
}

#[tokio::test]
async fn a_preview_shows_the_commit_without_secrets_and_makes_none() {
    let mut fixture = started();
    let secret = token();
    fixture.write("secret", format!("{secret}\nold\n")).commit("two");
    fixture.redaction = Some(Arc::new(Marks));
    fixture.write("secret", format!("{secret}\nnew\n")).write("new", "n\n");
    std::fs::remove_file(fixture.path("b")).unwrap();
    let before = fixture.git_says(&["rev-parse", "main"]);
    let preview = fixture.preview(TOOL, paths(&["secret", "new", "b"])).await.unwrap();
    let change = &preview.change;
    assert_eq!((&change["branch"], &change["message"], &change["cut"]), (&json!("main"), &json!("Change files"), &json!(false)));
    assert_eq!(change["parent"], before.trim());
    let files: Vec<_> = change["files"].as_array().unwrap().iter().map(|f| (f["path"].as_str().unwrap(), f["status"].as_str().unwrap())).collect();
    assert_eq!(files, [("b", "D"), ("new", "A"), ("secret", "M")]);
    assert_eq!(change["files"][2]["diff"], "@@ -1,2 +1,2 @@\n [REDACTED:token]\n-old\n+new\n");
    assert!(!serde_json::to_string(&preview).unwrap().contains(&secret));
    fixture.bytes = 30;
    let preview = fixture.preview(TOOL, paths(&["secret", "new", "b"])).await.unwrap();
    assert_eq!(preview.change["cut"], true);
    assert_eq!(fixture.git_says(&["rev-parse", "main"]), before);
    assert!(!fixture.path(".git/index.lock").exists());
}

#[tokio::test]
async fn a_cancelled_commit_commits_nothing() {
    let fixture = started();
    fixture.write("a", "new\n");
    let prepared = fixture.prepare(TOOL, paths(&["a"])).await.unwrap();
    fixture.cancel.cancel();
    assert_eq!(fixture.run(prepared).await.unwrap_err().kind, ToolErrorKind::Cancelled);
    assert_eq!(fixture.git_says(&["rev-list", "--count", "main"]), "1\n");
    is_sound(&fixture);
}
