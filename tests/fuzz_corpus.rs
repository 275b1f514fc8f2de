//! What `fuzz/` holds for any input, on the stable compiler: its corpus, and inputs that are made up on the way.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

use std::path::Path;

use fuzz::{policy_text, spelling, workspace_path};
use proptest::prelude::*;

/// Checks every file of a target's corpus; a finding is kept there for good.
fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty(), "{target} has no corpus");
    files.iter().for_each(|file| check(&std::fs::read(file).unwrap()));
}

#[test]
fn the_corpus_holds() {
    replay("policy_text", policy_text::check);
    replay("spelling", spelling::check);
}

#[test]
fn no_path_of_the_corpus_shows_or_changes_what_it_may_not() {
    workspace_path::what_may_be_read();
    replay("workspace_path", workspace_path::check);
    workspace_path::nothing_changed();
}

/// Pieces of policies, so that most of what is made up of them gets past the first line.
const PIECES: &[&str] = &[
    "version: 1\n",
    "write_mode: ",
    "on\n",
    "off\n",
    "rules:\n",
    "  - id: a\n",
    "  - {id: b, ",
    "    deny: ",
    "deny: {",
    "allow: {",
    "paths: [",
    "tools: [",
    "]}}\n",
    "]}\n",
    "\"**/*.pem\"",
    "\"a/{b,c}/[d-f]*\"",
    "workspace_read_file",
    ", ",
    "\"*\"",
    "systems: {workspace: {mode: ",
    "read_only",
    "}}\n",
    "callers:\n",
    "  \"local:*\": {roles: [a]}\n",
    "environments: {p: {hours: \"Mon-Fri 08:00-18:00 UTC\"}}\n",
    "limits: {timeout: 5s}\n",
    "\u{feff}",
    "\t",
    "\r\n",
    "&a ",
    "*a",
    "<<: ",
    "!!binary ",
    "---\n",
    "\0",
    "\u{2028}",
    "'",
    "\"",
    "#",
    "1e999",
    "0x7f",
    "~\n",
    "? ",
    "| ",
    ">\n",
    "%YAML 1.1\n",
    "é",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn any_text_is_a_policy_or_an_error(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..24), bytes in prop::collection::vec(any::<u8>(), 0..6)) {
        let mut text = pieces.concat().into_bytes();
        text.extend(bytes);
        policy_text::check(&text);
    }

    #[test]
    fn any_text_has_one_spelling_or_none(parts in prop::collection::vec(prop::sample::select(workspace_path::PARTS), 0..8), bytes in prop::collection::vec(any::<u8>(), 0..6)) {
        let mut text = parts.concat().into_bytes();
        text.extend(bytes);
        spelling::check(&text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    #[test]
    fn no_made_up_path_shows_or_changes_what_it_may_not(bytes in prop::collection::vec(prop_oneof![4 => 0..100u8, 1 => any::<u8>()], 1..10)) {
        workspace_path::check(&bytes);
    }
}
