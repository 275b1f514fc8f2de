//! Whole files: created, replaced with a backup, refused, and never half.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;
use std::sync::Arc;

use opsgate_tools::error::ToolErrorKind::{self, HoldsSecret, InvalidArguments, Moved, NotFound, OutOfBounds, TooLarge};
use opsgate_tools::scope::ScopeKind;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::fixture::Fixture;
use crate::secret::{Marks, block, token};

const TOOL: &str = "workspace_write_file";

fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read(fixture: &Fixture, path: &str) -> String {
    std::fs::read_to_string(fixture.path(path)).unwrap()
}

/// Every name in the work tree but git's own.
fn names(fixture: &Fixture) -> Vec<String> {
    let output = Command::new("find").args([".", "-not", "-path", "./.git*", "-mindepth", "1"]).current_dir(fixture.path("")).output().unwrap();
    let mut names: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_file_is_created_with_its_folders_and_replaced_with_a_backup() {
    let fixture = Fixture::new();
    fixture.write("a", "x\n").commit("one");
    let done = fixture.done(TOOL, json!({"path": "src/deep/new.txt", "content": "one\ntwo\n"})).await;
    let expected = json!({"path": "src/deep/new.txt", "sha256": sha256(b"one\ntwo\n"), "size": 8, "created": true, "additions": 2, "deletions": 0});
    assert_eq!(done, expected);
    assert_eq!(read(&fixture, "src/deep/new.txt"), "one\ntwo\n");

    let args = json!({"path": "src/deep/new.txt", "content": "one\n2\n3\n", "expected_sha256": sha256(b"one\ntwo\n")});
    let done = fixture.done(TOOL, args).await;
    assert_eq!((&done["created"], &done["additions"], &done["deletions"]), (&json!(false), &json!(2), &json!(1)));
    assert_eq!(read(&fixture, "src/deep/new.txt"), "one\n2\n3\n");
    assert_eq!(fixture.git_says(&["cat-file", "-p", done["backup"].as_str().unwrap()]), "one\ntwo\n");
    assert_eq!(names(&fixture), ["./a", "./src", "./src/deep", "./src/deep/new.txt"]);
    assert_eq!(fixture.git_says(&["status", "--porcelain"]), "?? src/\n");
    fixture.git_says(&["fsck", "--strict"]);
}

#[tokio::test]
async fn mode_is_kept_and_a_new_file_is_plain() {
    let fixture = Fixture::new();
    for mode in [0o755, 0o600, 0o640, 0o444] {
        fixture.write("run.sh", "old\n");
        std::fs::set_permissions(fixture.path("run.sh"), std::fs::Permissions::from_mode(mode)).unwrap();
        fixture.done(TOOL, json!({"path": "run.sh", "content": "new\n"})).await;
        assert_eq!(fixture.path("run.sh").metadata().unwrap().mode() & 0o7777, mode);
        std::fs::remove_file(fixture.path("run.sh")).unwrap();
    }
    fixture.done(TOOL, json!({"path": "new", "content": ""})).await;
    assert_eq!(fixture.path("new").metadata().unwrap().mode() & 0o7133, 0, "neither executable nor writable by others");
}

#[tokio::test]
async fn a_file_of_several_links_is_replaced_under_one_name() {
    let fixture = Fixture::new();
    let outside = fixture.outside().join("shared");
    std::fs::write(&outside, "shared\n").unwrap();
    std::fs::hard_link(&outside, fixture.path("x")).unwrap();
    fixture.done(TOOL, json!({"path": "x", "content": "mine\n"})).await;
    assert_eq!(std::fs::read_to_string(&outside).unwrap(), "shared\n");
    assert_eq!(read(&fixture, "x"), "mine\n");
}

#[tokio::test]
async fn a_binary_file_is_replaced_and_kept() {
    let fixture = Fixture::new();
    fixture.write("x", b"\0\xff\xfe");
    let done = fixture.done(TOOL, json!({"path": "x", "content": "text\n"})).await;
    let kept = fixture.git.find_blob(done["backup"].as_str().unwrap().parse().unwrap()).unwrap();
    assert_eq!(kept.content(), b"\0\xff\xfe");
}

#[tokio::test]
async fn what_is_no_text_file_is_refused() {
    let fixture = Fixture::new();
    fixture.write("a/x", "inside\n").write("large", vec![b'x'; (8 << 20) + 1]).write("inner/.git", "gitdir: elsewhere\n").write("inner/x", "x\n");
    fixture.link("gone", "nowhere").link("out", fixture.outside()).link("lost", "nowhere/more").link("loop", "loop");
    assert!(Command::new("mkfifo").arg(fixture.path("fifo")).status().unwrap().success());
    let cases = [
        (".", InvalidArguments),
        ("a", InvalidArguments),
        ("a/x/y", NotFound),
        ("fifo", OutOfBounds),
        ("gone", NotFound),
        ("lost/x", NotFound),
        ("loop", NotFound),
        ("out/x", OutOfBounds),
        ("large", TooLarge),
        ("inner/x", OutOfBounds),
        ("inner/new/x", OutOfBounds),
    ];
    let before = names(&fixture);
    for (path, kind) in cases {
        let error = fixture.err(TOOL, json!({"path": path, "content": "x"})).await;
        assert_eq!(error.kind, kind, "{path}: {error:?}");
        let error = fixture.preview(TOOL, json!({"path": path, "content": "x"})).await.unwrap_err();
        assert_eq!(error.kind, kind, "{path}: {error:?}");
    }
    let deep = format!("{}x", "d/".repeat(130));
    assert_eq!(fixture.err(TOOL, json!({"path": deep, "content": "x"})).await.kind, TooLarge);
    assert_eq!(fixture.err(TOOL, json!({"path": "x", "content": "x".repeat((1 << 20) + 1)})).await.kind, InvalidArguments);
    assert_eq!(names(&fixture), before);
    assert!(std::fs::read_dir(fixture.outside()).unwrap().all(|entry| entry.unwrap().file_name() != "x"));
}

#[tokio::test]
async fn a_link_inside_is_written_through_and_judged_at_both_ends() {
    let fixture = Fixture::new().deny(&["secrets"]);
    fixture.write("real/x", "old\n").write("secrets/key", "hidden\n");
    fixture.link("alias", "real/x").link("folder", "real").link("way", "secrets");
    let prepared = fixture.prepare(TOOL, json!({"path": "alias", "content": "new\n"})).await.unwrap();
    assert_eq!(prepared.scopes.values(ScopeKind::Path).collect::<Vec<_>>(), ["alias", "real/x"]);
    assert_eq!(prepared.scopes.values(ScopeKind::Repo).collect::<Vec<_>>(), [fixture.workspace().root_path()]);
    assert_eq!(fixture.run(prepared).await.unwrap()["result"]["path"], "real/x");
    assert_eq!(read(&fixture, "real/x"), "new\n");
    assert!(fixture.path("alias").symlink_metadata().unwrap().is_symlink());
    fixture.done(TOOL, json!({"path": "folder/y", "content": "beside\n"})).await;
    assert_eq!(read(&fixture, "real/y"), "beside\n");
    for path in ["secrets/key", "secrets/absent", "way/key", "way/absent"] {
        assert_eq!(fixture.err(TOOL, json!({"path": path, "content": "x"})).await.client, "denied by policy", "{path}");
    }
}

#[tokio::test]
async fn a_name_that_is_free_is_judged_as_a_file_alone() {
    let fixture = Fixture::new();
    let prepared = fixture.prepare(TOOL, json!({"path": "a/new", "content": "x"})).await.unwrap();
    assert_eq!(prepared.scopes.values(ScopeKind::Path).collect::<Vec<_>>(), ["a/new"]);
    assert_eq!(prepared.scopes.values(ScopeKind::Tree).count(), 0);
}

#[tokio::test]
async fn what_it_replaces_must_be_what_was_expected() {
    let fixture = Fixture::new();
    fixture.write("x", "other\n");
    for path in ["x", "absent"] {
        let args = json!({"path": path, "content": "new\n", "expected_sha256": sha256(b"mine\n")});
        assert_eq!(fixture.err(TOOL, args.clone()).await.kind, Moved, "{path}");
        assert_eq!(fixture.preview(TOOL, args).await.unwrap_err().kind, Moved, "{path}");
    }
    for wrong in ["", "abc", &"A".repeat(64), &"g".repeat(64)] {
        let args = json!({"path": "x", "content": "new\n", "expected_sha256": wrong});
        assert_eq!(fixture.err(TOOL, args).await.kind, InvalidArguments, "{wrong}");
    }
    assert_eq!(read(&fixture, "x"), "other\n");
}

/// What another program does between the judgement and the write, and what must be there afterwards.
type Meanwhile = (&'static str, fn(&Fixture), &'static str, Option<&'static str>);

const MEANWHILE: &[Meanwhile] = &[
    ("x", |f| write(f, "x", "changed\n"), "x", Some("changed\n")),
    ("x", |f| std::fs::remove_file(f.path("x")).unwrap(), "x", None),
    // The same content in another file: it was not that one that was judged.
    ("x", |f| another(f, "x"), "x", Some("old\n")),
    ("x", |f| renamed_for_link(f, "x", "y"), "y", Some("old\n")),
    ("x", |f| folder_instead(f, "x"), "x/y", None),
    ("new", |f| write(f, "new", "another's\n"), "new", Some("another's\n")),
    ("new", |f| link(f, "new", "x"), "x", Some("old\n")),
    ("a/x", |f| another(f, "a"), "a/x", Some("old\n")),
    ("a/x", |f| renamed_for_link(f, "a", "b"), "b/x", Some("old\n")),
    ("a/new", |f| renamed_for_link(f, "a", f.outside().to_str().unwrap()), "a/new", None),
    ("a/b/new", |f| std::fs::create_dir(f.path("a/b")).unwrap(), "a/b/new", None),
    ("a/b/new", |f| link(f, "a/b", f.outside().to_str().unwrap()), "a/b/new", None),
    ("a/new", |f| std::fs::remove_dir_all(f.path("a")).unwrap(), "a/new", None),
];

fn write(fixture: &Fixture, path: &str, content: &str) {
    fixture.write(path, content);
}

fn link(fixture: &Fixture, path: &str, target: &str) {
    fixture.link(path, target);
}

/// A copy takes the place of a file or a folder.
fn another(fixture: &Fixture, path: &str) {
    assert!(Command::new("cp").arg("-a").args([fixture.path(path), fixture.path("copy")]).status().unwrap().success());
    std::fs::rename(fixture.path(path), fixture.path("moved")).unwrap();
    std::fs::rename(fixture.path("copy"), fixture.path(path)).unwrap();
}

/// A link to `target` takes the place of a file or a folder, which is `target` from then on where there is none.
fn renamed_for_link(fixture: &Fixture, path: &str, target: &str) {
    let away = if target.starts_with('/') { "away" } else { target };
    std::fs::rename(fixture.path(path), fixture.path(away)).unwrap();
    fixture.link(path, target);
}

fn folder_instead(fixture: &Fixture, path: &str) {
    std::fs::remove_file(fixture.path(path)).unwrap();
    std::fs::create_dir(fixture.path(path)).unwrap();
}

#[tokio::test]
async fn what_changed_after_it_was_judged_is_not_written() {
    for (nth, (path, meanwhile, there, content)) in MEANWHILE.iter().enumerate() {
        let fixture = Fixture::new();
        fixture.write("x", "old\n").write("a/x", "old\n");
        let prepared = fixture.prepare(TOOL, json!({"path": path, "content": "new\n"})).await.unwrap();
        meanwhile(&fixture);
        let before = names(&fixture);
        let error = fixture.run(prepared).await.unwrap_err();
        assert_eq!(error.kind, Moved, "case {nth}: {error:?}");
        assert_eq!(std::fs::read_to_string(fixture.path(there)).ok().as_deref(), *content, "case {nth}");
        assert_eq!(names(&fixture), before, "case {nth}");
        assert!(!fixture.outside().join("new").exists(), "case {nth}");
    }
}

/// A folder and a link out take turns at one name: whatever is written is never outside.
#[tokio::test]
async fn a_folder_that_became_a_link_is_not_written_through() {
    let fixture = Fixture::new();
    fixture.write("a/x", "inside\n");
    let outside = fixture.outside().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("x"), "theirs\n").unwrap();
    let (here, link) = (fixture.path("a"), fixture.path("c"));
    std::os::unix::fs::symlink(&outside, &link).unwrap();
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let swapper = std::thread::spawn({
        let done = done.clone();
        move || {
            use rustix::fs::{CWD, RenameFlags, renameat_with};
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                renameat_with(CWD, &here, CWD, &link, RenameFlags::EXCHANGE).unwrap();
            }
        }
    });
    let mut written = 0;
    for nth in 0..400 {
        for path in ["a/x".to_owned(), format!("a/new{nth}"), format!("a/d{nth}/new")] {
            written += usize::from(fixture.call(TOOL, json!({"path": path, "content": "mine\n"})).await.is_ok());
        }
    }
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    swapper.join().unwrap();
    assert!(written > 0, "no write got through: this test proves little");
    assert_eq!(std::fs::read_to_string(outside.join("x")).unwrap(), "theirs\n");
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1);
    assert!(!names(&fixture).iter().any(|name| name.ends_with(".tmp")), "{:?}", names(&fixture));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_writes_at_once_one_is_made() {
    let fixture = Fixture::new();
    for round in 0..200 {
        // Over a file that is there, and over none.
        let path = if round % 2 == 0 { "x".to_owned() } else { format!("d{}/x{round}", round % 3) };
        fixture.write("x", "old\n");
        let args = |content: &str| json!({"path": path, "content": content});
        let both = (fixture.prepare(TOOL, args("a\n")).await.unwrap(), fixture.prepare(TOOL, args("b\n")).await.unwrap());
        let results = futures::join!(fixture.run(both.0), fixture.run(both.1));
        let results = [results.0, results.1];
        let winner = results.iter().position(Result::is_ok).unwrap();
        assert!(results[1 - winner].as_ref().is_err_and(|error| error.kind == Moved), "{results:?}");
        assert_eq!(read(&fixture, &path), ["a\n", "b\n"][winner]);
    }
    assert!(!names(&fixture).iter().any(|name| name.ends_with(".tmp")), "{:?}", names(&fixture));
}

#[tokio::test]
async fn a_secret_is_not_written() {
    let mut fixture = Fixture::new();
    fixture.write("x", "old\n");
    fixture.redaction = Some(Arc::new(Marks));
    for content in [format!("a\nkey = {}\n", token()), block(3), "left: [REDACTED:token]\n".to_owned()] {
        let args = json!({"path": "x", "content": content});
        let error = fixture.err(TOOL, args.clone()).await;
        assert_eq!(error.kind, HoldsSecret);
        assert!(!error.client.contains(&content), "{error}");
        assert_eq!(fixture.preview(TOOL, args).await.unwrap_err().kind, HoldsSecret);
    }
    assert_eq!(read(&fixture, "x"), "old\n");
}

#[tokio::test]
async fn no_digest_of_a_hidden_secret_is_told() {
    let mut fixture = Fixture::new();
    fixture.redaction = Some(Arc::new(Marks));
    let hidden = format!("one\n{}\n", token());
    for (guess, content) in [(sha256(hidden.as_bytes()), "a"), (sha256(b"another"), "b")] {
        fixture.write("x", &hidden);
        let args = json!({"path": "x", "content": content, "expected_sha256": guess});
        let error = fixture.err(TOOL, args.clone()).await;
        assert!(error.kind == InvalidArguments && error.client.contains("not shown"), "{error:?}");
        assert_eq!(fixture.preview(TOOL, args).await.unwrap_err().client, error.client, "a right guess and a wrong one are answered alike");
    }
    let done = fixture.done(TOOL, json!({"path": "x", "content": "plain\n"})).await;
    assert_eq!(done.get("backup"), None);
    let id = git2::Oid::hash_object(git2::ObjectType::Blob, hidden.as_bytes()).unwrap();
    assert_eq!(fixture.git.find_blob(id).unwrap().content(), hidden.as_bytes(), "it is kept all the same");
    let done = fixture.done(TOOL, json!({"path": "x", "content": "new\n", "expected_sha256": sha256(b"plain\n")})).await;
    assert!(done["backup"].is_string());
}

#[tokio::test]
async fn a_preview_shows_the_change_without_secrets_and_changes_nothing() {
    let mut fixture = Fixture::new();
    let secret = token();
    fixture.write("x", format!("one\n{secret}\nthree\n")).commit("one");
    fixture.redaction = Some(Arc::new(Marks));
    let preview = fixture.preview(TOOL, json!({"path": "x", "content": "one\n2\nthree\n"})).await.unwrap();
    let expected = "@@ -1,3 +1,3 @@\n one\n-[REDACTED:token]\n+2\n three\n";
    assert_eq!(preview.change, json!({"path": "x", "created": false, "additions": 1, "deletions": 1, "diff": expected}));
    assert!(preview.summary.contains("`x`"), "{}", preview.summary);
    let preview = fixture.preview(TOOL, json!({"path": "new", "content": "a\n"})).await.unwrap();
    assert_eq!(preview.change["created"], true);
    assert_eq!(preview.change["diff"], "@@ -0,0 +1 @@\n+a\n");
    fixture.bytes = 60;
    let preview = fixture.preview(TOOL, json!({"path": "new", "content": "long\n".repeat(100)})).await.unwrap();
    assert_eq!(preview.change["cut"], true);
    assert!(preview.change["diff"].as_str().unwrap().len() <= 60);
    assert_eq!(fixture.git_says(&["status", "--porcelain"]), "");
}

#[tokio::test]
async fn a_root_that_was_moved_away_is_not_written_in() {
    let fixture = Fixture::new();
    let prepared = fixture.prepare(TOOL, json!({"path": "new", "content": "new\n"})).await.unwrap();
    let away = fixture.outside().join("away");
    std::fs::rename(fixture.path(""), &away).unwrap();
    std::fs::create_dir(fixture.path("")).unwrap();
    assert_eq!(fixture.run(prepared).await.unwrap_err().kind, Moved);
    assert!(!away.join("new").exists() && !fixture.path("new").exists());
}

#[tokio::test]
async fn a_cancelled_write_writes_nothing() {
    let fixture = Fixture::new();
    let prepared = fixture.prepare(TOOL, json!({"path": "a/x", "content": "new\n"})).await.unwrap();
    fixture.cancel.cancel();
    assert_eq!(fixture.run(prepared).await.unwrap_err().kind, ToolErrorKind::Cancelled);
    assert_eq!(names(&fixture), [] as [&str; 0]);
}

/// A file system without room for the new content.
struct Full<'f>(&'f Fixture);

impl<'f> Full<'f> {
    fn mounted(fixture: &'f Fixture) -> Option<Self> {
        std::fs::create_dir_all(fixture.path("full")).unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(fixture.path("full")).output();
        mount.is_ok_and(|output| output.status.success()).then_some(Self(fixture))
    }
}

impl Drop for Full<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path("full")).status();
    }
}

#[tokio::test]
async fn a_write_that_fails_leaves_what_was_there() {
    let fixture = Fixture::new();
    let Some(_full) = Full::mounted(&fixture) else {
        println!("skipped: mounting takes root");
        return;
    };
    fixture.write("full/x", "old\n");
    let before = names(&fixture);
    for path in ["full/x", "full/new", "full/a/b/new"] {
        let error = fixture.err(TOOL, json!({"path": path, "content": "x".repeat(256 << 10)})).await;
        assert_eq!(error.kind, ToolErrorKind::Upstream, "{path}: {error:?}");
        assert_eq!(names(&fixture), before, "{path}");
    }
    assert_eq!(read(&fixture, "full/x"), "old\n");
}

#[tokio::test]
async fn no_folder_is_made_a_repository() {
    let fixture = Fixture::new();
    fixture.write("x", "1\n").commit("first");
    for path in ["deep/evil/HEAD", "deep/evil/config", "deep/evil/objects/x"] {
        fixture.ok("workspace_write_file", json!({"path": path, "content": "x\n"})).await;
    }
    let error = fixture.err("workspace_write_file", json!({"path": "deep/evil/refs/heads/x", "content": "x\n"})).await;
    assert!(error.client.contains("a git repository of its own"), "{error:?}");
    fixture.ok("workspace_write_file", json!({"path": "deep/refs/x", "content": "x\n"})).await;
}
