//! TAP 13 and 14, with subtests. A test point with subtests before it is counted by those.

use super::{Failure, Report};

/// Deeper subtests are taken for this deep.
const DEEPEST: usize = 32;

pub(super) fn read(text: &str) -> Option<Report> {
    let is_tap = text.lines().any(|line| line.starts_with("TAP version 1") || is_plan(line));
    let (mut passed, mut failed, mut skipped, mut seen) = (0, 0, 0, false);
    let mut failures: Vec<Failure> = Vec::new();
    // How many points each depth had since the last point of the depth above.
    let mut points = [0usize; DEEPEST + 1];
    // Where the diagnostics that come next belong, and whether they have begun.
    let (mut failing, mut in_diagnostics) = (false, false);
    for line in text.lines() {
        let trimmed = line.trim_start();
        if in_diagnostics {
            in_diagnostics = trimmed != "...";
            if let (true, true, Some(failure)) = (in_diagnostics, failing, failures.last_mut()) {
                diagnosed(failure, line);
            }
            continue;
        }
        if trimmed == "---" {
            in_diagnostics = true;
            continue;
        }
        if let Some(reason) = trimmed.strip_prefix("Bail out!") {
            failed += 1;
            failures.push(Failure { name: "the run".to_owned(), message: format!("bailed out:{reason}"), details: String::new() });
            continue;
        }
        let Some((ok, rest)) = point(trimmed) else { continue };
        let depth = ((line.len() - trimmed.len()) / 4).min(DEEPEST - 1);
        let had_inner = points.get(depth + 1).is_some_and(|count| *count > 0);
        points.iter_mut().skip(depth + 1).for_each(|count| *count = 0);
        if let Some(count) = points.get_mut(depth) {
            *count += 1;
        }
        seen = true;
        let (name, directive) = rest.rsplit_once(" # ").or_else(|| rest.strip_prefix("# ").map(|directive| ("", directive))).unwrap_or((rest, ""));
        let directive = directive.to_ascii_uppercase();
        let set_aside = directive.starts_with("SKIP") || directive.starts_with("TODO");
        failing = !ok && !set_aside && !had_inner;
        match (had_inner, set_aside, ok) {
            (true, ..) => {}
            (false, true, _) => skipped += 1,
            (false, false, true) => passed += 1,
            (false, false, false) => {
                failed += 1;
                failures.push(Failure { name: named(name, failed), ..Failure::default() });
            }
        }
    }
    (is_tap && seen).then(|| Report::counted(passed, failed, skipped).with(failures))
}

/// `1..5`
fn is_plan(line: &str) -> bool {
    line.strip_prefix("1..")
        .is_some_and(|count| count.split(' ').next().is_some_and(|count| !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit())))
}

/// `not ok 2 - closes`: whether it is ok, and what follows the number.
pub(super) fn point(line: &str) -> Option<(bool, &str)> {
    let (ok, rest) = match line.strip_prefix("not ok") {
        Some(rest) => (false, rest),
        None => (true, line.strip_prefix("ok")?),
    };
    if !rest.is_empty() && !rest.starts_with(' ') {
        return None;
    }
    let rest = rest.trim_start().trim_start_matches(|char: char| char.is_ascii_digit()).trim_start();
    Some((ok, rest.strip_prefix("- ").unwrap_or(rest)))
}

fn named(name: &str, number: u64) -> String {
    if name.trim().is_empty() { format!("failure {number}") } else { name.trim().to_owned() }
}

fn diagnosed(failure: &mut Failure, line: &str) {
    let trimmed = line.trim();
    let said = ["message:", "error:"].iter().find_map(|key| trimmed.strip_prefix(key));
    if let (Some(said), true) = (said, failure.message.is_empty()) {
        failure.message = said.trim().trim_matches(['\'', '"']).to_owned();
    }
    failure.details.push_str(line);
    failure.details.push('\n');
}
