//! Any path, for each workspace tool, over the whole path of a call on real files: no answer holds what is denied or outside, and no
//! write changes it.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::world::{ALLOWED, DENIED, OUTSIDE, READABLE, World};

static WORLD: LazyLock<World> = LazyLock::new(World::new);

/// What paths are made of: an input's bytes below the length of this list stand for these, others for themselves.
pub const PARTS: &[&str] = &[
    "/",
    ".",
    "..",
    "../",
    "./",
    "//",
    "%2e",
    "%2f",
    "%5c",
    "%00",
    "%",
    "\\",
    "\0",
    "\n",
    " ",
    ":",
    "@",
    "~",
    "^",
    "{",
    "}",
    "*",
    "**",
    "?",
    "[",
    "]",
    "secret",
    "Secret",
    "SECRET",
    "%73ecret",
    "ſecret",
    "file",
    "FILE",
    "deep",
    "private.txt",
    "PRIVATE.TXT",
    ".env",
    ".ENV",
    ".pem",
    "key",
    "Key.PEM",
    "clé.txt",
    "cle\u{301}.txt",
    "listed",
    "Listed",
    ".git",
    ".GIT",
    ".git/config",
    "git~1",
    "HEAD",
    "objects",
    "src",
    "plain.txt",
    "up",
    "to-plain",
    "to-src",
    "to-top",
    "to-denied",
    "to-denied-folder",
    "to-denied-case",
    "to-link",
    "loop",
    "to-git",
    "to-parent",
    "to-outside",
    "to-outside-file",
    "relative-outside",
    "chain",
    "absolute-inside",
    "absolute-denied",
    "proc",
    "outside",
    "repo",
    "home",
    "policy.yaml",
    "etc/passwd",
    "HEAD~1",
    "HEAD:",
    "main",
    "v1",
    "refs/heads/",
    "release/1",
    "@{1}",
    "\u{200b}",
    "\u{202e}",
    "\u{ff0f}",
    "\u{2024}",
    "\u{212a}ey1.bin",
    "changing",
    "latin",
    "back\\slash",
    "x",
];

/// Parts the first text of an input from the second.
const NEXT: u8 = 0xff;

/// The arguments that a path and a second text become.
type Arguments = fn(&str, &str) -> Value;

/// Each tool with its arguments; the second text stands where a caller has another say.
const TOOLS: &[(&str, Arguments)] = &[
    ("workspace_read_file", |path, _| json!({ "path": path })),
    ("workspace_read_file", |path, rev| json!({ "path": path, "rev": rev })),
    ("workspace_list_directory", |path, _| json!({ "path": path, "depth": 5, "ignored": true })),
    ("workspace_search_code", |path, _| json!({ "path": path, "pattern": "marked.as" })),
    ("workspace_search_code", |path, glob| json!({ "path": path, "pattern": "as-(denied|outside)", "glob": glob, "context": 2 })),
    ("workspace_git_show", |path, rev| json!({ "path": path, "rev": rev })),
    ("workspace_git_show", |rev, _| json!({ "rev": rev })),
    ("workspace_git_blame", |path, _| json!({ "path": path })),
    ("workspace_git_blame", |path, rev| json!({ "path": path, "rev": rev })),
    ("workspace_git_log", |path, _| json!({ "path": path, "files": true })),
    ("workspace_git_diff", |path, from| json!({ "path": path, "from": from, "to": "HEAD" })),
    ("workspace_git_diff", |from, to| json!({ "from": from, "to": to })),
    ("workspace_write_file", |path, _| json!({ "path": path, "content": "written\n" })),
];

/// Makes the call that the bytes stand for, and looks at the answer and at the files.
pub fn check(bytes: &[u8]) {
    let Some((choice, rest)) = bytes.split_first() else { return };
    let Some((tool, arguments)) = TOOLS.get(usize::from(*choice) % TOOLS.len()) else { return };
    let mut texts = rest.splitn(2, |byte| *byte == NEXT).map(text);
    let (first, second) = (texts.next().unwrap_or_default(), texts.next().unwrap_or_default());
    call(tool, arguments(&first, &second));
}

/// Makes a call and looks at what came of it.
pub fn call(tool: &str, arguments: Value) {
    let Value::Object(args) = arguments else { return };
    let (answered, said) = WORLD.call(tool, args.clone());
    for mark in [DENIED, OUTSIDE] {
        assert!(!said.contains(mark), "{tool} {args:?} shows what is {mark}: {said}");
    }
    if answered && tool == "workspace_write_file" {
        let wrong = WORLD.restore();
        assert!(wrong.is_none(), "{tool} {args:?}: {wrong:?}");
    }
    let plain = args.len() == 1 && args.get("path").and_then(Value::as_str).is_some_and(|path| READABLE.contains(&path));
    if plain && tool == "workspace_read_file" {
        assert!(answered && said.contains(ALLOWED), "{args:?} cannot be read: {said}");
    }
}

/// A refused write leaves nothing behind either.
pub fn nothing_changed() {
    assert_eq!(WORLD.restore(), None);
}

/// Reads every file that may be read.
pub fn what_may_be_read() {
    for path in READABLE {
        call("workspace_read_file", Value::Object(Map::from_iter([("path".to_owned(), (*path).into())])));
    }
}

fn text(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        match PARTS.get(usize::from(*byte)) {
            Some(part) => text.push_str(part),
            None => text.push(char::from(*byte)),
        }
    }
    text
}
