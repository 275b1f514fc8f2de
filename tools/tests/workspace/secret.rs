//! Made-up secrets, and what stands in for the gateway's scrubber.

use std::hash::{BuildHasher, Hasher, RandomState};

use opsgate_tools::scope::Redaction;

/// A word that no other run has.
pub(crate) fn word() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

/// A secret of one line.
pub(crate) fn token() -> String {
    format!("tok~{}", word())
}

/// A secret of several lines, of which each between the first and the last looks like nothing.
pub(crate) fn block(lines: usize) -> String {
    let inner: String = (0..lines).map(|_| format!("{}\n", word())).collect();
    format!("~~~open~~~\n{inner}~~~close~~~\n")
}

/// Marks tokens, and every line of a block that is there from its first line to its last.
pub(crate) struct Marks;

impl Redaction for Marks {
    fn by_line(&self, whole: &str) -> Option<String> {
        let lines: Vec<&str> = whole.split('\n').collect();
        let mut marked: Vec<String> = lines.iter().map(|line| token_marked(line)).collect();
        let mut open = None;
        for (at, line) in lines.iter().enumerate() {
            match line.trim_end() {
                "~~~open~~~" => open = Some(at),
                "~~~close~~~" => marked[open.take().unwrap_or(at)..=at].fill("[REDACTED:block]".to_owned()),
                _ => {}
            }
        }
        Some(marked.join("\n")).filter(|text| text != whole)
    }
}

fn token_marked(line: &str) -> String {
    let (mut marked, mut rest) = (String::new(), line);
    while let Some((before, after)) = rest.split_once("tok~") {
        let end = after.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(after.len());
        marked.push_str(before);
        marked.push_str(if end == 16 { "[REDACTED:token]" } else { "tok~" });
        rest = if end == 16 { &after[16..] } else { after };
    }
    marked + rest
}

/// As a file is shown.
pub(crate) fn shown(whole: &str) -> String {
    Marks.by_line(whole).unwrap_or_else(|| whole.to_owned())
}

/// Loses a line.
pub(crate) struct Miscounting;

impl Redaction for Miscounting {
    fn by_line(&self, whole: &str) -> Option<String> {
        whole.split_once('\n').map(|(_, rest)| rest.to_owned())
    }
}
