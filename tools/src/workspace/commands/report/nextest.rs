//! `cargo nextest run`: one summary; what failed is said where it failed, and again at the end.

use std::collections::HashMap;

use super::{Failure, MOST_KEPT, Report, cargo};

pub(super) fn read(text: &str) -> Option<Report> {
    let summary = text.lines().rev().find(|line| line.trim_start().starts_with("Summary [") && line.contains(" run: "))?;
    let (mut passed, mut failed, mut skipped) = (0u64, 0u64, 0u64);
    for (count, what) in summary.split_once(" run: ")?.1.split(", ").filter_map(|part| part.trim().split_once(' ')) {
        let count: u64 = count.parse().unwrap_or(0);
        // `2 passed (1 slow)`
        match what.split(' ').next().unwrap_or_default() {
            "passed" => passed = passed.saturating_add(count),
            "failed" | "timed" | "exec" => failed = failed.saturating_add(count),
            "skipped" => skipped = skipped.saturating_add(count),
            _ => {}
        }
    }
    Some(Report::counted(passed, failed, skipped).with(failures(text)))
}

fn failures(text: &str) -> Vec<Failure> {
    let mut failures: Vec<Failure> = Vec::new();
    let mut by_name: HashMap<&str, usize> = HashMap::new();
    let mut at: Option<usize> = None;
    for line in text.lines() {
        if let Some((what, name)) = status(line) {
            at = by_name.get(name).copied();
            if !["FAIL", "TIMEOUT", "SIGABRT", "SIGSEGV", "SIGKILL"].contains(&what) {
                at = None;
            } else if at.is_none() && failures.len() < MOST_KEPT {
                at = Some(failures.len());
                by_name.insert(name, failures.len());
                failures.push(Failure { name: name.to_owned(), ..Failure::default() });
            }
        } else if line.starts_with('─') || line.starts_with("error:") {
            at = None;
        } else if let Some(failure) = at.and_then(|at| failures.get_mut(at)) {
            failure.details.push_str(line.strip_prefix("    ").unwrap_or(line));
            failure.details.push('\n');
        }
    }
    for failure in &mut failures {
        let said = failure.details.split_once("stderr ───").map(|(_, said)| said).filter(|said| !said.trim().is_empty());
        failure.message = cargo::message(said.unwrap_or(&failure.details).trim()).to_owned();
        failure.details = failure.details.trim().to_owned();
    }
    failures
}

/// `        FAIL [   0.013s] (4/5) sums tests::fails`
pub(super) fn status(line: &str) -> Option<(&str, &str)> {
    let (what, rest) = line.trim_start().split_once(" [")?;
    let (time, name) = rest.split_once("] ")?;
    let is_status = !what.is_empty() && what.chars().all(|char| char.is_ascii_uppercase()) && time.trim_start_matches(['>', ' ']).ends_with('s');
    let name = name.trim_start();
    let name = name.strip_prefix('(').and_then(|rest| Some(rest.split_once(") ")?.1)).unwrap_or(name);
    is_status.then_some((what, name.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_failures_the_first_are_kept_and_what_is_said_twice_is_one() {
        let line = |n: usize| format!("        FAIL [   0.013s] sums t{n}\n    said by {n}\n");
        let text: String = (0..10 * MOST_KEPT).chain(0..1).map(line).collect();
        let found = failures(&text);
        assert_eq!(found.len(), MOST_KEPT);
        for (n, failure) in found.iter().enumerate() {
            let said = format!("said by {n}");
            let details = if n == 0 { format!("{said}\n{said}") } else { said };
            assert_eq!((&failure.name, &failure.details), (&format!("sums t{n}"), &details));
        }
    }
}
