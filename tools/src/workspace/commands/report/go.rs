//! `go test`, plain and `-json`.
//!
//! Go does not sum up. A test with tests in it is counted by those, not by itself.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Failure, Report, first_line};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Result {
    Passed,
    Failed,
    Skipped,
}

/// Tests in the order of their names, so that a test stands before those in it.
#[derive(Default)]
struct Tests {
    results: BTreeMap<String, Result>,
    said: BTreeMap<String, String>,
    /// Packages that failed without a test having failed.
    broken: Vec<(String, String)>,
}

impl Tests {
    fn say(&mut self, name: &str, line: &str) {
        self.said.entry(name.to_owned()).or_default().push_str(line);
    }

    fn has_inner(&self, name: &str) -> bool {
        let inner = format!("{name}/");
        self.results.range(inner.clone()..).next().is_some_and(|(other, _)| other.starts_with(&inner))
    }

    /// Whether one failed whose name begins so.
    fn any_failed_of(&self, package: &str) -> bool {
        let own = self.results.range(package.to_owned()..).take_while(|(name, _)| name.starts_with(package));
        own.into_iter().any(|(_, result)| *result == Result::Failed)
    }

    fn report(self, counts_all: bool) -> Report {
        let (mut passed, mut failed, mut skipped, mut failures) = (0, 0, 0, Vec::new());
        for (name, result) in &self.results {
            if self.has_inner(name) {
                continue;
            }
            match result {
                Result::Passed => passed += 1,
                Result::Skipped => skipped += 1,
                Result::Failed => {
                    failed += 1;
                    failures.push(failure(name, self.said.get(name).map(String::as_str).unwrap_or_default()));
                }
            }
        }
        failed += self.broken.len() as u64;
        failures.extend(self.broken.iter().map(|(package, said)| failure(package, said)));
        let report = Report::counted(passed, failed, skipped).with(failures);
        if counts_all { report } else { Report { passed: None, skipped: None, ..report } }
    }
}

fn failure(name: &str, said: &str) -> Failure {
    let details = said.trim_end();
    Failure { name: name.to_owned(), message: first_line(details).to_owned(), details: details.trim_start_matches('\n').to_owned() }
}

pub(super) fn plain(text: &str) -> Option<Report> {
    let (mut tests, mut seen, mut verbose) = (Tests::default(), false, false);
    let mut current: Option<String> = None;
    let mut building: Option<(String, String)> = None;
    for line in text.lines() {
        if let Some(name) = ["=== RUN ", "=== CONT ", "=== NAME "].iter().find_map(|mark| line.strip_prefix(mark)) {
            verbose = true;
            current = Some(name.trim().to_owned());
        } else if let Some((result, name)) = ended(line) {
            seen = true;
            tests.results.insert(name.to_owned(), result);
            current = Some(name.to_owned());
        } else if let Some(rest) = line.strip_prefix("FAIL\t") {
            seen = true;
            current = None;
            if let Some(package) = rest.strip_suffix(" [build failed]").or_else(|| rest.strip_suffix(" [setup failed]")) {
                let said = building.take().filter(|(of, _)| of == package).map(|(_, said)| said);
                tests.broken.push((package.to_owned(), said.unwrap_or_else(|| "build failed".to_owned())));
            }
        } else if line.starts_with("ok  \t") {
            seen = true;
            current = None;
        } else if let Some(package) = line.strip_prefix("# ") {
            building = Some((package.split(' ').next().unwrap_or_default().to_owned(), String::new()));
        } else if let (Some(name), true) = (&current, line.starts_with([' ', '\t'])) {
            let name = name.clone();
            tests.say(&name, &format!("{line}\n"));
        } else if let Some((_, said)) = &mut building {
            said.push_str(line);
            said.push('\n');
        }
    }
    seen.then(|| tests.report(verbose))
}

/// `    --- FAIL: TestTable/large (0.00s)`
pub(super) fn ended(line: &str) -> Option<(Result, &str)> {
    let rest = line.trim_start().strip_prefix("--- ")?;
    let (result, rest) = match rest.split_once(": ")? {
        ("PASS", rest) => (Result::Passed, rest),
        ("FAIL", rest) => (Result::Failed, rest),
        ("SKIP", rest) => (Result::Skipped, rest),
        _ => return None,
    };
    let (name, time) = rest.rsplit_once(" (")?;
    time.ends_with("s)").then_some((result, name))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Event {
    action: String,
    package: Option<String>,
    import_path: Option<String>,
    test: Option<String>,
    output: Option<String>,
    failed_build: Option<String>,
}

pub(super) fn json(text: &str) -> Option<Report> {
    let (mut tests, mut seen) = (Tests::default(), false);
    let mut built: BTreeMap<String, String> = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with('{')) {
        let Ok(event) = serde_json::from_str::<Event>(line) else { continue };
        let package = event.package.unwrap_or_default();
        let name = event.test.as_ref().map(|test| format!("{package} {test}"));
        match (event.action.as_str(), name) {
            ("output", Some(name)) => {
                let said = event.output.unwrap_or_default();
                if !said.starts_with("=== ") && ended(&said).is_none() {
                    tests.say(&name, &said);
                }
            }
            ("build-output", None) => built.entry(event.import_path.unwrap_or_default()).or_default().push_str(&event.output.unwrap_or_default()),
            ("pass", Some(name)) => drop(tests.results.insert(name, Result::Passed)),
            ("fail", Some(name)) => drop(tests.results.insert(name, Result::Failed)),
            ("skip", Some(name)) => drop(tests.results.insert(name, Result::Skipped)),
            ("fail", None) => {
                seen = true;
                let of_package = format!("{package} ");
                if let Some(build) = event.failed_build {
                    tests.broken.push((package, built.remove(&build).unwrap_or_default()));
                } else if !tests.any_failed_of(&of_package) {
                    tests.broken.push((package, "failed outside of its tests".to_owned()));
                }
            }
            ("pass" | "skip", None) if !package.is_empty() => seen = true,
            _ => {}
        }
    }
    (seen || !tests.results.is_empty()).then(|| tests.report(true))
}
