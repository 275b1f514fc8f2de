//! What is in the place of git's own folders and files: nothing is written through it, and nothing waits at it.

use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::Command;

use opsgate_tools::error::ToolErrorKind::Unavailable;
use serde_json::{Value, json};

use crate::fixture::Fixture;

/// A path in `.git`, and whether git has a folder there.
const PLACES: &[(&str, bool)] = &[
    ("logs", true),
    ("logs/HEAD", false),
    ("logs/refs", true),
    ("logs/refs/heads", true),
    ("logs/refs/heads/main", false),
    ("logs/refs/heads/fix", true),
    ("logs/refs/heads/fix/a", false),
    ("refs", true),
    ("refs/heads", true),
    ("refs/heads/main", false),
    ("refs/heads/fix", true),
    ("refs/heads/fix/a", false),
    ("refs/tags/any", false),
    ("objects", true),
    ("objects/pack", true),
    ("objects/XX", true),
    ("index", false),
];

fn started() -> Fixture {
    let fixture = Fixture::new();
    fixture.write("a", "1\n").commit("one");
    fixture.write("a", "2\n");
    fixture
}

/// Every two-letter folder that is missing is meant by `XX`: a write would make one of them.
fn places(fixture: &Fixture, place: &str) -> Vec<std::path::PathBuf> {
    let git = fixture.path(".git");
    match place.strip_suffix("XX") {
        None => vec![git.join(place)],
        Some(above) => (0..256).map(|n| git.join(format!("{above}{n:02x}"))).filter(|path| !path.exists()).collect(),
    }
}

fn removed(path: &Path) {
    let _ = std::fs::remove_file(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
}

fn calls() -> [(&'static str, Value); 2] {
    [("workspace_create_branch", json!({"name": "fix/a"})), ("workspace_commit", json!({"paths": ["a"], "message": "Count"}))]
}

/// Whether a place counts for a call: the files of the one branch do not for the other, unless all branches are listed.
fn counts(place: &str, tool: &str) -> bool {
    let is_log_of = |branch: &str| place.starts_with(&format!("logs/refs/heads/{branch}"));
    !(is_log_of("fix") && tool == "workspace_commit" || is_log_of("main") && tool == "workspace_create_branch")
}

#[tokio::test]
async fn links_in_gits_folder_are_not_written_through() {
    for (place, is_folder) in PLACES {
        let fixture = started();
        let outside = fixture.outside().join("theirs");
        for path in places(&fixture, place) {
            if path.is_dir() {
                assert!(Command::new("cp").arg("-a").args([&path, &outside]).status().unwrap().success());
                std::fs::remove_dir_all(&path).unwrap();
            } else if !outside.exists() {
                match path.exists() {
                    true => drop(std::fs::copy(&path, &outside).unwrap()),
                    false if *is_folder => std::fs::create_dir(&outside).unwrap(),
                    false => std::fs::write(&outside, "theirs\n").unwrap(),
                }
            }
            removed(&path);
            symlink(&outside, &path).unwrap();
        }
        let state = || Command::new("find").arg(&outside).args(["-printf", "%p %U %s %T@\n"]).output().unwrap().stdout;
        // As root it would be worth something to whom the repository belongs to.
        let chown = |path: &Path| drop(Command::new("chown").args(["-R", "4711:4712"]).arg(path).status());
        chown(&fixture.path(""));
        if matches!(*place, "objects" | "objects/pack") {
            chown(&outside); // another's are refused by their owner already
        }
        let before = (state(), outside.metadata().unwrap().uid());
        for (tool, args) in calls().into_iter().filter(|(tool, _)| counts(place, tool)) {
            let error = fixture.err(tool, args.clone()).await;
            assert_eq!(error.kind, Unavailable, "{place} {tool}: {error:?}");
            assert_eq!((state(), outside.metadata().unwrap().uid()), before, "{place} {tool}");
        }
    }
}

#[tokio::test]
async fn a_backup_is_not_written_through_a_link() {
    let fixture = started();
    let outside = fixture.outside().join("theirs");
    std::fs::create_dir(&outside).unwrap();
    for path in places(&fixture, "objects/XX") {
        symlink(&outside, path).unwrap();
    }
    let args = json!({"path": "a", "content": "new\n"});
    assert_eq!(fixture.preview("workspace_write_file", args.clone()).await.unwrap_err().kind, Unavailable);
    assert_eq!(fixture.err("workspace_write_file", args).await.kind, Unavailable);
    assert_eq!(std::fs::read_to_string(fixture.path("a")).unwrap(), "2\n");
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
}

/// It ends at all: at a pipe an open would wait for ever.
#[tokio::test]
async fn pipes_in_gits_folder_are_not_waited_at() {
    for (place, _) in PLACES.iter().filter(|(place, is_folder)| !is_folder && *place != "index") {
        let fixture = started();
        removed(&fixture.path(".git").join(place));
        assert!(Command::new("mkfifo").arg(fixture.path(".git").join(place)).status().unwrap().success());
        for (tool, args) in calls().into_iter().filter(|(tool, _)| counts(place, tool)) {
            assert_eq!(fixture.err(tool, args).await.kind, Unavailable, "{place} {tool}");
        }
    }
}
