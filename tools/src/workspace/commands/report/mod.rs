//! What a test run says of its tests, in the forms of the common runners. Which form it is, its content tells.

mod cargo;
mod coverage;
mod go;
mod junit;
mod line;
mod nextest;
mod node;
mod pytest;
mod tap;

use serde::Serialize;

use crate::scope::OutputFilter;
use crate::workspace::open::Found;
use crate::workspace::path::RepoPath;
use crate::workspace::root::Workspace;

/// A longer report is not read.
const LARGEST: u64 = 32 << 20;
/// More failures are counted and not kept.
const MOST_KEPT: usize = 200;

/// A test that failed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Failure {
    pub(super) name: String,
    pub(super) message: String,
    pub(super) details: String,
}

/// What is known of a run. What a form does not tell is absent.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Report {
    pub(super) passed: Option<u64>,
    pub(super) failed: Option<u64>,
    pub(super) skipped: Option<u64>,
    /// Percent.
    pub(super) coverage: Option<f64>,
    pub(super) failures: Vec<Failure>,
}

impl Report {
    fn counted(passed: u64, failed: u64, skipped: u64) -> Self {
        Self { passed: Some(passed), failed: Some(failed), skipped: Some(skipped), ..Self::default() }
    }

    fn with(mut self, failures: Vec<Failure>) -> Self {
        self.failures = failures;
        self.failures.truncate(MOST_KEPT);
        self
    }
}

/// Each with the form it reads; the first that finds its own form has it. Those come first whose output has another's in it.
const FORMS: &[fn(&str) -> Option<Report>] = &[go::json, nextest::read, cargo::read, pytest::read, go::plain, tap::read, node::read];

/// What may be said at once of a line of the output, where a test runner printed it.
pub(super) fn of_a_runner(line: &str) -> Option<&str> {
    line::of_a_runner(line)
}

/// What the output says.
pub(super) fn printed(text: &str) -> Report {
    let report = FORMS.iter().find_map(|read| read(text)).unwrap_or_default();
    Report { coverage: coverage::read(text), ..report }
}

/// What tells the content of the file at this path from another one, before a run that may write it.
pub(super) fn stamp(workspace: &Workspace, path: &str) -> Option<[u64; 4]> {
    match crate::workspace::open::exactly(workspace.dir(), &RepoPath::parse(path).ok()?) {
        Ok(Found::File(file)) => Some(file.stamp()),
        _ => None,
    }
}

/// What the JUnit file at this path of the workspace says, where the run wrote it. Read like any file: policy may hide it.
pub(super) fn file(workspace: &Workspace, path: &str, before: Option<[u64; 4]>, filter: &OutputFilter) -> Option<Report> {
    let path = RepoPath::parse(path).ok()?;
    if !crate::workspace::nested::shows_file(workspace, path.as_str(), filter) {
        return None;
    }
    let Ok(Found::File(file)) = crate::workspace::open::exactly(workspace.dir(), &path) else { return None };
    if file.size() > LARGEST || before == Some(file.stamp()) {
        return None;
    }
    let bytes = file.read_at(0, usize::try_from(file.size()).ok()?).ok()?;
    junit::read(&filter.redacted(String::from_utf8_lossy(&bytes).into_owned()))
}

/// The first line that says something.
fn first_line(text: &str) -> &str {
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Output, passed, failed, skipped, coverage, and the first failure's name and message.
    type Row = (&'static str, [Option<u64>; 3], Option<f64>, Option<(&'static str, &'static str)>);

    const TABLE: &[Row] = &[
        (include_str!("fixtures/cargo.txt"), [Some(3), Some(4), Some(1)], None, Some(("tests::answers", "Error: \"no answer\""))),
        (include_str!("fixtures/nextest.txt"), [Some(2), Some(3), Some(1)], None, Some(("sums tests::answers", "Error: \"no answer\""))),
        (
            include_str!("fixtures/pytest.txt"),
            [Some(2), Some(3), Some(2)],
            Some(75.0),
            Some(("test_a.py::test_fails", "AssertionError: two is not three")),
        ),
        (include_str!("fixtures/pytest_quiet.txt"), [Some(1), Some(0), Some(0)], None, None),
        (include_str!("fixtures/go.txt"), [Some(2), Some(3), Some(1)], Some(66.7), Some(("TestFails", "add_test.go:12: one and two make 3, not 4"))),
        (include_str!("fixtures/go_quiet.txt"), [None, Some(1), None], None, Some(("TestFails", "add_test.go:12: one and two make 3, not 4"))),
        (
            include_str!("fixtures/go.json"),
            [Some(1), Some(2), Some(1)],
            Some(66.7),
            Some(("example.com/sums TestTable/large", "add_test.go:20: got 7, want 8")),
        ),
        (include_str!("fixtures/node.tap"), [Some(2), Some(2), Some(2)], None, Some(("fails", "2 == 3"))),
        (include_str!("fixtures/plain.tap"), [Some(2), Some(1), Some(2)], None, Some(("closes", "still open"))),
        (include_str!("fixtures/node_spec.txt"), [Some(2), Some(2), Some(2)], None, Some(("fails", "AssertionError [ERR_ASSERTION]: 2 == 3"))),
        ("anything else\nok then\n", [None; 3], None, None),
        ("", [None; 3], None, None),
    ];

    #[test]
    fn real_outputs_are_understood() {
        for (text, counts, coverage, first) in TABLE {
            let report = printed(text);
            let label: String = text.chars().take(60).collect();
            assert_eq!([report.passed, report.failed, report.skipped], *counts, "{label}\n{report:#?}");
            assert_eq!(report.coverage, *coverage, "{label}");
            assert_eq!(report.failures.first().map(|failure| (failure.name.as_str(), failure.message.as_str())), *first, "{label}\n{report:#?}");
            assert_eq!(report.failures.len() as u64, report.failed.unwrap_or(0), "{label}\n{report:#?}");
        }
    }

    #[test]
    fn details_say_where_it_broke() {
        for (text, name, details) in [
            (include_str!("fixtures/cargo.txt"), "tests::fails", "panicked at src/lib.rs:13:51"),
            (include_str!("fixtures/cargo.txt"), "src/lib.rs - add (line 6)", "left: 2"),
            (include_str!("fixtures/nextest.txt"), "sums tests::fails", "panicked at src/lib.rs:13:51"),
            (include_str!("fixtures/pytest.txt"), "test_a.py::test_many[2]", "test_a.py:15: AssertionError"),
            (include_str!("fixtures/pytest.txt"), "test_a.py::test_errors", "RuntimeError: no fixture"),
            (include_str!("fixtures/go.txt"), "TestTable/large", "got 7, want 8"),
            (include_str!("fixtures/go.txt"), "example.com/sums/broken", "undefined: nothing"),
            (include_str!("fixtures/go.json"), "example.com/sums/broken", "undefined: nothing"),
            (include_str!("fixtures/node.tap"), "inner fails", "a.test.js:4:82"),
            (include_str!("fixtures/node_spec.txt"), "inner fails", "a.test.js:4:82"),
        ] {
            let report = printed(text);
            let failure = report.failures.iter().find(|failure| failure.name == name).unwrap_or_else(|| panic!("{name}: {report:#?}"));
            assert!(failure.details.contains(details), "{name}: {failure:#?}");
        }
    }

    /// Pieces that the forms look for, in any order.
    fn pieces() -> impl Strategy<Value = String> {
        let words: Vec<String> = TABLE.iter().flat_map(|row| row.0.lines()).map(|line| format!("{line}\n")).collect();
        proptest::collection::vec(prop_oneof![proptest::sample::select(words), ".{0,20}", "[-=_ #.:<>/&;]{1,12}\n?"], 0..40)
            .prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn no_output_makes_them_panic(text in pieces()) {
            for read in FORMS {
                let report = read(&text);
                prop_assert!(report.is_none_or(|report| report.failures.len() <= MOST_KEPT));
            }
            let _ = (coverage::read(&text), junit::read(&text));
        }

        #[test]
        fn no_cut_makes_them_panic(row in 0..TABLE.len(), cut in 0.0..1.0f64) {
            let text = TABLE[row].0;
            let at = text.floor_char_boundary((text.len() as f64 * cut) as usize);
            let _ = (printed(&text[at..]), printed(&text[..at]));
        }
    }
}
