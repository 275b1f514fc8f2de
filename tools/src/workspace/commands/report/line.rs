//! A line that a test runner prints while it runs, in the forms that are read at its end.

use super::{go, nextest, pytest, tap};

/// A longer line is none.
const LONGEST: usize = 500;

/// What may be said of a line, where it is a runner's: what ran and how it ended, without why.
pub(super) fn of_a_runner(line: &str) -> Option<&str> {
    let line = line.trim_end();
    if line.len() > LONGEST {
        return None;
    }
    let trimmed = line.trim_start();
    let is_one = is_cargos(trimmed)
        || nextest::status(line).is_some()
        || trimmed.starts_with("Summary [") && trimmed.contains(" run: ")
        || pytest::counts(line).is_some()
        || is_pytests(line)
        || go::ended(line).is_some()
        || is_gos(line)
        || is_taps(trimmed)
        || is_nodes(trimmed);
    is_one.then_some(line)
}

/// `test NAME ... ok`, `test result: ok. 3 passed; …`, `running 3 tests`
fn is_cargos(line: &str) -> bool {
    if let Some(rest) = line.strip_prefix("test ") {
        let ended = rest.rsplit_once(" ... ").is_some_and(|(_, how)| matches!(how, "ok" | "FAILED" | "ignored"));
        return ended
            || ["result: ok. ", "result: FAILED. "].iter().any(|mark| rest.strip_prefix(mark).is_some_and(|rest| rest.contains(" passed; ")));
    }
    let count = line.strip_prefix("running ").and_then(|rest| rest.strip_suffix(" tests").or_else(|| rest.strip_suffix(" test")));
    count.is_some_and(is_number)
}

/// `tests/test_a.py::test_it PASSED   [ 33%]`
fn is_pytests(line: &str) -> bool {
    const HOW: &[&str] = &["PASSED", "FAILED", "ERROR", "SKIPPED", "XFAIL", "XPASS"];
    let line =
        line.strip_suffix(']').and_then(|line| line.rsplit_once('[')).filter(|(_, share)| share.trim().strip_suffix('%').is_some_and(is_number));
    let Some((said, _)) = line else { return false };
    said.trim_end().rsplit_once(' ').is_some_and(|(id, how)| HOW.contains(&how) && id.contains(".py::") && !id.starts_with(' '))
}

/// `ok  \texample.com/a\t0.1s`, `FAIL\texample.com/a\t0.1s`
fn is_gos(line: &str) -> bool {
    let mut parts = line.split('\t');
    matches!(parts.next(), Some("ok  " | "FAIL"))
        && parts.next().is_some_and(|package| !package.is_empty() && !package.contains(' '))
        && parts.next().is_some_and(|time| {
            time == "(cached)" || time.strip_suffix('s').is_some_and(|time| time.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'))
        })
}

/// `not ok 2 - closes`, `# pass 3`
fn is_taps(line: &str) -> bool {
    if let Some((what, count)) = line.strip_prefix("# ").and_then(|rest| rest.split_once(' ')) {
        return is_count(what, count);
    }
    let number = line.strip_prefix("not ").unwrap_or(line).strip_prefix("ok ").map(|rest| rest.split(' ').next().unwrap_or_default());
    number.is_some_and(is_number) && tap::point(line).is_some()
}

/// `✔ opens (0.4ms)`, `ℹ pass 3`
fn is_nodes(line: &str) -> bool {
    if let Some((what, count)) = line.strip_prefix("ℹ ").and_then(|rest| rest.split_once(' ')) {
        return is_count(what, count);
    }
    let time = ["✔ ", "✖ "].iter().find_map(|mark| line.strip_prefix(mark)?.strip_suffix("ms)")?.rsplit_once(" (")).map(|(_, time)| time);
    time.is_some_and(|time| !time.is_empty() && time.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'))
}

fn is_count(what: &str, count: &str) -> bool {
    ["tests", "suites", "pass", "fail", "cancelled", "skipped", "todo"].contains(&what) && is_number(count)
}

fn is_number(text: &str) -> bool {
    let text = text.trim();
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::of_a_runner;

    #[test]
    fn what_runners_print_is_said_and_nothing_else() {
        let said = [
            "running 12 tests",
            "test tests::adds ... ok",
            "test src/lib.rs - add (line 3) ... FAILED",
            "test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "        PASS [   0.013s] (1/5) sums tests::adds",
            "     Summary [   0.020s] 5 tests run: 3 passed, 2 failed, 1 skipped",
            "tests/test_a.py::TestIt::test_it[2] PASSED                    [ 33%]",
            "===== 2 failed, 2 passed, 1 skipped in 0.05s =====",
            "--- PASS: TestAdds (0.00s)",
            "    --- FAIL: TestTable/large (0.00s)",
            "ok  \texample.com/sums\t0.004s",
            "FAIL\texample.com/sums\t0.004s",
            "ok 1 - opens",
            "    not ok 2 - closes # TODO later",
            "# pass 3",
            "✔ opens (0.4ms)",
            "ℹ fail 1",
        ];
        for line in said {
            assert_eq!(of_a_runner(line), Some(line));
        }
        let long = format!("test {} ... ok", "x".repeat(600));
        let held = [
            "",
            "kind: Secret",
            "data:",
            "  password: aHVudGVy",
            "{\"password\": \"x\"}",
            "aHVudGVyMg==",
            "ok then",
            "ok",
            "okay 1 - no",
            "test the password is x",
            "testing ... ok then",
            "running with password x",
            "# password 3",
            "# pass word",
            "ℹ token x",
            "✖ failing tests:",
            "FAILED test_a.py::test_fails - AssertionError: the password is x",
            "E   assert 'x' == 'y'",
            "thread 'tests::fails' panicked at src/lib.rs:3:4:",
            "PASSED",
            "--- a/file",
            "FAIL\tthe password\tis x",
            &long,
        ];
        for line in held {
            assert_eq!(of_a_runner(line), None, "{line}");
        }
    }
}
