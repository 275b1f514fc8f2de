//! pytest: its last line counts; failures have a section each and a line in the summary.

use super::{Failure, Report};

pub(super) fn read(text: &str) -> Option<Report> {
    let (passed, failed, skipped) = text.lines().rev().find_map(counts)?;
    Some(Report::counted(passed, failed, skipped).with(failures(text)))
}

/// `===== 2 failed, 2 passed, 1 skipped, 1 xfailed, 1 error in 0.05s =====`, the bars only where it is not quiet.
fn counts(line: &str) -> Option<(u64, u64, u64)> {
    let (said, time) = line.trim_matches(['=', ' ']).rsplit_once(" in ")?;
    if !time.split(' ').next()?.strip_suffix('s')?.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let (mut passed, mut failed, mut skipped) = (0u64, 0u64, 0u64);
    if said == "no tests ran" {
        return Some((0, 0, 0));
    }
    for part in said.split(", ") {
        let (count, what) = part.split_once(' ')?;
        let count: u64 = count.parse().ok()?;
        match what {
            "passed" | "xpassed" => passed = passed.saturating_add(count),
            "failed" | "error" | "errors" => failed = failed.saturating_add(count),
            "skipped" | "xfailed" => skipped = skipped.saturating_add(count),
            "deselected" | "warning" | "warnings" | "rerun" => {}
            _ => return None,
        }
    }
    Some((passed, failed, skipped))
}

fn failures(text: &str) -> Vec<Failure> {
    let sections = sections(text);
    let mut failures = Vec::new();
    for line in text.lines() {
        let Some(rest) = line.strip_prefix("FAILED ").or_else(|| line.strip_prefix("ERROR ")) else { continue };
        let (name, message) = rest.split_once(" - ").unwrap_or((rest, ""));
        if !name.contains(".py") {
            continue; // a line of a log
        }
        let details = sections.iter().find(|(title, _)| is_of(title, name)).map(|(_, details)| details.trim().to_owned()).unwrap_or_default();
        failures.push(Failure { name: name.trim().to_owned(), message: message.trim().to_owned(), details });
    }
    if failures.is_empty() {
        failures = sections
            .into_iter()
            .map(|(name, details)| {
                let message = details.lines().find_map(|line| line.strip_prefix("E  ")).unwrap_or_default().trim().to_owned();
                Failure { name, message, details: details.trim().to_owned() }
            })
            .collect();
    }
    failures
}

/// `____ TestThing.test_it ____` and what follows, in the parts for failures and errors.
fn sections(text: &str) -> Vec<(String, String)> {
    let mut sections: Vec<(String, String)> = Vec::new();
    let (mut inside, mut open) = (false, false);
    for line in text.lines() {
        if let Some(title) = barred(line, '=') {
            inside = matches!(title, "FAILURES" | "ERRORS");
            open = false;
        } else if let (true, Some(title)) = (inside, barred(line, '_')) {
            sections.push((title.to_owned(), String::new()));
            open = true;
        } else if let (true, Some((_, details))) = (open, sections.last_mut()) {
            details.push_str(line);
            details.push('\n');
        }
    }
    sections
}

fn barred(line: &str, bar: char) -> Option<&str> {
    let title = line.strip_prefix(bar)?.strip_suffix(bar)?.trim_matches(bar);
    title.strip_prefix(' ')?.strip_suffix(' ').map(str::trim)
}

/// Whether a section's title is that of the test with this id.
fn is_of(title: &str, id: &str) -> bool {
    let test = id.split_once("::").map_or(id, |(_, test)| test).replace("::", ".");
    let title = title.strip_prefix("ERROR at setup of ").or_else(|| title.strip_prefix("ERROR at teardown of ")).unwrap_or(title);
    title == test || title == id || title.strip_prefix("ERROR collecting ") == Some(id)
}
