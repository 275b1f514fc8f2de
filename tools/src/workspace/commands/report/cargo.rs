//! `cargo test`: one summary for each test binary, and one for doc tests.

use super::{Failure, Report, first_line};

pub(super) fn read(text: &str) -> Option<Report> {
    let (mut passed, mut failed, mut skipped, mut seen) = (0u64, 0u64, 0u64, false);
    for line in text.lines().filter_map(|line| line.strip_prefix("test result: ")) {
        seen = true;
        for (count, what) in line.split(['.', ';']).filter_map(|part| part.trim().split_once(' ')) {
            let count: u64 = count.parse().unwrap_or(0);
            match what {
                "passed" => passed = passed.saturating_add(count),
                "failed" => failed = failed.saturating_add(count),
                "ignored" => skipped = skipped.saturating_add(count),
                _ => {}
            }
        }
    }
    seen.then(|| Report::counted(passed, failed, skipped).with(failures(text)))
}

/// What stands under `---- NAME stdout ----`, up to the next or to the list of names.
fn failures(text: &str) -> Vec<Failure> {
    let mut failures: Vec<Failure> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if let Some(name) =
            line.strip_prefix("---- ").and_then(|line| line.strip_suffix(" stdout ----").or_else(|| line.strip_suffix(" stderr ----")))
        {
            failures.push(Failure { name: name.to_owned(), ..Failure::default() });
            inside = true;
        } else if line == "failures:" || line.starts_with("test result: ") {
            inside = false;
        } else if let (true, Some(failure)) = (inside, failures.last_mut()) {
            failure.details.push_str(line);
            failure.details.push('\n');
        }
    }
    for failure in &mut failures {
        failure.details = failure.details.trim().to_owned();
        failure.message = message(&failure.details).to_owned();
    }
    failures
}

/// What a panic says, else the first line.
pub(super) fn message(details: &str) -> &str {
    let mut lines = details.lines();
    match lines.find(|line| line.contains("panicked at ")) {
        Some(_) => lines.map(str::trim).find(|line| !line.is_empty()).unwrap_or_default(),
        None => first_line(details),
    }
}
