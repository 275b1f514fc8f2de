//! pytest: its last line counts; failures have a section each and a line in the summary.

use std::collections::HashMap;

use super::{Failure, MOST_KEPT, Report};

pub(super) fn read(text: &str) -> Option<Report> {
    let (passed, failed, skipped) = text.lines().rev().find_map(counts)?;
    Some(Report::counted(passed, failed, skipped).with(failures(text)))
}

/// `===== 2 failed, 2 passed, 1 skipped, 1 xfailed, 1 error in 0.05s =====`, the bars only where it is not quiet.
pub(super) fn counts(line: &str) -> Option<(u64, u64, u64)> {
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
    let mut by_title: HashMap<&str, usize> = HashMap::new();
    for (at, (title, _)) in sections.iter().enumerate() {
        by_title.entry(of_what(title)).or_insert(at);
    }
    let mut failures = Vec::new();
    for line in text.lines() {
        let Some(rest) = line.strip_prefix("FAILED ").or_else(|| line.strip_prefix("ERROR ")) else { continue };
        let (name, message) = rest.split_once(" - ").unwrap_or((rest, ""));
        if !name.contains(".py") {
            continue; // a line of a log
        }
        if failures.len() == MOST_KEPT {
            break;
        }
        let titled = [title_of(name).as_str(), name].into_iter().find_map(|title| by_title.get(title));
        let details = titled.and_then(|at| sections.get(*at)).map(|(_, details)| details.trim().to_owned()).unwrap_or_default();
        failures.push(Failure { name: name.trim().to_owned(), message: message.trim().to_owned(), details });
    }
    if failures.is_empty() {
        failures = sections
            .into_iter()
            .take(MOST_KEPT)
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

/// The title of the section about the test with this id.
fn title_of(id: &str) -> String {
    id.split_once("::").map_or(id, |(_, test)| test).replace("::", ".")
}

/// What a section's title is about: a test, or a file where that could not be read.
fn of_what(title: &str) -> &str {
    ["ERROR at setup of ", "ERROR at teardown of ", "ERROR collecting "].iter().find_map(|mark| title.strip_prefix(mark)).unwrap_or(title)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_failures_the_first_are_kept_each_with_its_own_section() {
        const MANY: usize = 10 * MOST_KEPT;
        let mut text = "=== FAILURES ===\n".to_owned();
        (0..MANY).for_each(|n| text += &format!("____ Test.test_{n} ____\nE   said by {n}\n"));
        let sections_alone = failures(&text);
        text += "=== short test summary info ===\n";
        (0..MANY).for_each(|n| text += &format!("FAILED test_a.py::Test::test_{n} - why {n}\n"));
        let found = failures(&text);
        assert_eq!((found.len(), sections_alone.len()), (MOST_KEPT, MOST_KEPT));
        for (n, failure) in found.iter().enumerate() {
            assert_eq!((failure.message.as_str(), failure.details.as_str()), (&*format!("why {n}"), &*format!("E   said by {n}")));
        }
    }

    #[test]
    fn a_section_is_found_by_what_it_is_about() {
        for (title, id) in [
            ("test_it", "test_a.py::test_it"),
            ("Test.test_it[a-1]", "x/test_a.py::Test::test_it[a-1]"),
            ("ERROR at setup of test_it", "test_a.py::test_it"),
            ("ERROR at teardown of Test.test_it", "test_a.py::Test::test_it"),
            ("ERROR collecting test_a.py", "test_a.py"),
        ] {
            let text = format!("=== ERRORS ===\n____ other ____\nno\n____ {title} ____\nyes\n=== end ===\nERROR {id} - why\n");
            assert_eq!(failures(&text)[0].details, "yes", "{title}");
        }
    }
}
