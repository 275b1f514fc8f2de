//! The share of covered lines, where a run prints one.

/// Percent; absent where several parts have one each and nothing sums them up.
pub(super) fn read(text: &str) -> Option<f64> {
    total(text).or_else(|| go(text))
}

/// The last line of a table: `TOTAL   4   1   75%`, `all files | 85.7 | …`, `total: (statements) 81.2%`.
fn total(text: &str) -> Option<f64> {
    text.lines().rev().find_map(|line| {
        let line = line.trim_start_matches(['#', 'ℹ', ' ']);
        let lower = line.to_ascii_lowercase();
        if lower.starts_with("all files") {
            return percent(line.split('|').nth(1)?);
        }
        if let Some(rest) = lower.strip_suffix("lines covered").filter(|rest| rest.contains("% coverage,")) {
            return percent(rest.split('%').next()?);
        }
        let rest = line.strip_prefix("TOTAL ").or_else(|| line.strip_prefix("total:"))?;
        let shares: Vec<f64> = rest.split_whitespace().filter_map(|word| percent(word.strip_suffix('%')?)).collect();
        // llvm-cov has regions, functions and then lines.
        shares.get(2).or_else(|| shares.first()).copied()
    })
}

/// `coverage: 66.7% of statements`, one for each package: only one of them is a whole.
fn go(text: &str) -> Option<f64> {
    let mut shares = text.match_indices("coverage: ").filter_map(|(at, mark)| {
        let rest = text.get(at + mark.len()..)?;
        rest.split_once("% of statements").and_then(|(share, _)| percent(share))
    });
    let share = shares.next()?;
    shares.next().is_none().then_some(share)
}

fn percent(word: &str) -> Option<f64> {
    word.trim().parse::<f64>().ok().filter(|share| (0.0..=100.0).contains(share))
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn the_common_tables_are_read() {
        let table = [
            ("TOTAL       4      1    75%\n", Some(75.0)),
            ("TOTAL    12   3   75.00%   4   1   75.00%   40   8   80.00%   0   0   -\n", Some(80.0)),
            ("File | % Stmts | % Branch\nAll files |   85.71 |   50 |\n", Some(85.71)),
            ("# all files  |  91.30 | 100.00 |\n", Some(91.3)),
            ("total:\t\t\t(statements)\t\t81.2%\n", Some(81.2)),
            ("75.00% coverage, 3/4 lines covered\n", Some(75.0)),
            ("ok  \ta\t0.1s\tcoverage: 50.0% of statements\n", Some(50.0)),
            ("coverage: 50.0% of statements\ncoverage: 60.0% of statements\n", None),
            ("TOTAL 400%\n", None),
            ("a total of 5\n", None),
        ];
        for (text, share) in table {
            assert_eq!(read(text), share, "{text}");
        }
    }
}
