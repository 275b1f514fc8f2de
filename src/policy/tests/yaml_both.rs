//! A policy's text is read in two ways: what the fast one takes, the careful one takes too, and reads the same.

use proptest::prelude::*;

use super::super::diagnostics::Source;
use super::super::{yaml, yaml_events};
use super::*;

/// Whether the fast way took it.
fn same(text: &str) -> bool {
    let Some(fast) = yaml_events::tree(text) else { return false };
    let careful =
        yaml::carefully(Source { name: "p.yaml", text }).unwrap_or_else(|finding| panic!("{text:?} is read and should not be: {finding:?}"));
    assert_eq!(format!("{fast:?}"), format!("{careful:?}"), "{text:?}");
    true
}

const SCALARS: &[&str] = &[
    "a",
    "\"off\"",
    "off",
    "yes",
    "true",
    "True",
    "TRUE",
    "false",
    "null",
    "Null",
    "~",
    "~/src",
    "~a",
    "0",
    "1",
    "-1",
    "+1",
    "007",
    "0x1F",
    "0o17",
    "0b1",
    "1_000",
    "1.5",
    "1.",
    ".5",
    "1e3",
    "-1.5e-3",
    ".inf",
    "-.inf",
    "+.INF",
    ".nan",
    "nan",
    "NaN",
    "inf",
    "Infinity",
    "15m",
    "64KiB",
    "10/min for 5m",
    "2026-01-01",
    "12:30:45",
    "99999999999999999999",
    "340282366920938463463374607431768211456",
    "é",
    "/tmp/**",
    "**",
    "'a b'",
    "'it''s'",
    "\"a\\nb\"",
    "\"\\u00e9\"",
    "a: b",
    "- a",
    "#",
    "a #b",
    "[",
    "]",
    "{",
    "}",
    ",",
    "a,b",
    "&a b",
    "*a",
    "!!str 1",
    "|",
    ">",
    "%a",
    "@a",
    "`a",
    "<<",
    "=",
    "?",
    ":",
    "-",
    "--",
    "---",
    "...",
    "a:b",
    ":a",
    "?a",
    "-a",
    ".a",
    ".env",
    "_a",
    "$a",
    "(a)",
    "\u{a0}",
    "\u{2028}",
    "\u{85}x",
    "",
];

#[test]
fn both_ways_read_each_scalar_the_same() {
    let mut taken = 0;
    for scalar in SCALARS {
        for text in [
            format!("k: {scalar}\n"),
            format!("- {scalar}\n"),
            format!("{{k: {scalar}}}\n"),
            format!("[{scalar}, {scalar}]\n"),
            format!("{scalar}: v\n"),
            format!("{scalar}\n"),
        ] {
            taken += usize::from(same(&text));
        }
    }
    assert!(taken > SCALARS.len() * 2, "{taken} texts were taken");
}

#[test]
fn policies_take_the_fast_way() {
    let many: String = (0..40).map(|n| format!("  k{n}: {n}\n")).collect();
    for text in [
        Policy::shipped(),
        "version: 1\nrules:\n  - {id: a, deny: {paths: [\"**/x\", y]}} # why\n  - id: b\n    because: >\n      a long\n      reason\n    allow:\n      tools:\n      - a\n",
        &format!("a:\n{many}b:\n- c\n"),
    ] {
        assert!(same(text), "{text}");
    }
    for text in [format!("a:\n{many}  k7: 1\n"), "a: 1\na: 2\n".to_owned(), "a: {b: 1, b: 2}\n".to_owned(), "<<: {a: 1}\n".to_owned()] {
        assert!(yaml_events::tree(&text).is_none(), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]
    #[test]
    fn both_ways_read_the_same(pieces in prop::collection::vec(prop_oneof![
        2 => prop::sample::select(SCALARS),
        3 => prop::sample::select(vec!["\n", "\n  ", "\n- ", "\n  - ", "k: ", "{", "}", "[", "]", ", ", ": ", "\n    ", "a: ", "b:\n", "\t", "\r\n", " # c\n", "\u{feff}", "|\n  x\n", "? "]),
    ], 0..14)) {
        same(&pieces.concat());
    }
}
