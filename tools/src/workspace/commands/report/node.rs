//! `node --test` for people (its `spec` form). Its TAP form is read as TAP.

use super::{Failure, Report, first_line};

pub(super) fn read(text: &str) -> Option<Report> {
    let count = |what: &str| text.lines().rev().find_map(|line| line.strip_prefix("ℹ ")?.strip_prefix(what)?.strip_prefix(' ')?.parse::<u64>().ok());
    let (passed, failed) = (count("pass")?, count("fail")?);
    let failed = failed.saturating_add(count("cancelled").unwrap_or(0));
    let skipped = count("skipped").unwrap_or(0).saturating_add(count("todo").unwrap_or(0));
    Some(Report::counted(passed, failed, skipped).with(failures(text)))
}

/// After `✖ failing tests:`, each with a mark of its own.
fn failures(text: &str) -> Vec<Failure> {
    let mut failures: Vec<Failure> = Vec::new();
    for line in text.lines().skip_while(|line| *line != "✖ failing tests:").skip(1) {
        if let Some(name) = line.strip_prefix("✖ ") {
            let name = name.rsplit_once(" (").map_or(name, |(name, _)| name);
            failures.push(Failure { name: name.to_owned(), ..Failure::default() });
        } else if line.starts_with("test at ") {
            // where the next one is; its own lines say it too
        } else if let Some(failure) = failures.last_mut() {
            failure.details.push_str(line);
            failure.details.push('\n');
        }
    }
    for failure in &mut failures {
        failure.message = first_line(&failure.details).to_owned();
        failure.details = failure.details.trim().to_owned();
    }
    failures
}
