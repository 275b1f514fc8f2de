//! `docs/policy.md`: its tables are what `decide` answers.

use super::*;
use ScopeKind::{Namespace, Path, Ref, Repo};

const PAGE: &str = include_str!("../../../docs/policy.md");

/// The rows of a table of the page, without its head, each cell without its quotes.
fn table(name: &str) -> Vec<Vec<String>> {
    let (_, rest) = PAGE.split_once(&format!("<!-- table: {name} -->\n")).unwrap_or_else(|| panic!("no table `{name}`"));
    let rows = rest.lines().take_while(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect()).collect()
}

/// Every combination of these values; the last counts fastest.
fn combinations(columns: &[&[&'static str]]) -> Vec<Vec<&'static str>> {
    columns.iter().fold(vec![Vec::new()], |all, values| {
        all.iter().flat_map(|one| values.iter().map(|value| one.iter().copied().chain([*value]).collect())).collect()
    })
}

/// The first row that fits says what `decide` answers, for every combination; and each row is the first for some.
fn holds(name: &str, columns: &[&[&'static str]], decided: impl Fn(&[&str]) -> String) {
    let rows = table(name);
    for row in &rows {
        for (cell, values) in row.iter().zip(columns) {
            assert!(cell == "any" || values.contains(&cell.as_str()), "`{cell}` in the table `{name}` is no value of its column");
        }
    }
    let mut used = vec![false; rows.len()];
    for values in combinations(columns) {
        let fits = |row: &Vec<String>| row.iter().zip(&values).all(|(cell, value)| cell == "any" || cell == value);
        let place = rows.iter().position(fits).unwrap_or_else(|| panic!("the table `{name}` says nothing of {values:?}"));
        used[place] = true;
        assert_eq!(&decided(&values), rows[place].last().unwrap(), "{name}: {values:?}");
    }
    for (used, row) in used.iter().zip(&rows) {
        assert!(used, "a row of the table `{name}` decides nothing: {row:?}");
    }
}

#[test]
fn the_table_of_writes_is_true() {
    let columns: [&[&str]; 6] = [
        &["not listed", "blocked", "read_only", "mock", "dry_run", "approval_required_write"],
        &["no", "shadow", "yes"],
        &["on", "off", "WRITE_MODE=off"],
        &["no", "without the tool", "yes"],
        &["no", "yes"],
        &["0", "1"],
    ];
    holds("writes", &columns, |values| {
        let [mode, deny, write_mode, allow, whitelisted, approvals] = values else { panic!() };
        let systems = if *mode == "not listed" { "workspace: {}".to_owned() } else { format!("github: {{mode: {mode}}}") };
        let deny = match *deny {
            "yes" => "  - {id: d, deny: {repos: [\"acme/*\"], refs: [main]}}\n",
            "shadow" => "  - {id: d, deny: {repos: [\"acme/*\"], refs: [main]}, mode: shadow}\n",
            _ => "",
        };
        let allow = match *allow {
            "yes" => format!("  - {{id: a, allow: {{tools: [github_create_issue]}}, approvals: {approvals}}}\n"),
            "without the tool" => "  - {id: a, allow: {repos: [\"acme/app\"]}}\n".to_owned(),
            _ => String::new(),
        };
        let switch = if *write_mode == "off" { "off" } else { "on" };
        let write = *whitelisted == "yes";
        let policy = policy(&format!(
            "version: 1\nwrite_mode: {switch}\ndefaults: {{read: allow}}\ncallers: {{\"local:*\": {{}}}}\nsystems: {{{systems}}}\n\
             repositories: {{\"acme/app\": {{write: {write}}}}}\nrules:\n{deny}{allow}"
        ));
        let mut ask = Ask::new("github_create_issue", &[(Repo, "acme/app"), (Ref, "main")]);
        ask.env_off = *write_mode == "WRITE_MODE=off";
        ask.outcome(&policy)
    });
}

#[test]
fn the_table_of_reads_is_true() {
    let columns: [&[&str]; 5] = [
        &["no", "shadow", "yes"],
        &["none", "path denied", "path not on its list"],
        &["none", "forbidden", "read_only", "approval"],
        &["allow", "deny"],
        &["no", "covers a part", "covers all"],
    ];
    holds("reads", &columns, |values| {
        let [deny, repository, tier, default, allow] = values else { panic!() };
        let deny = match *deny {
            "yes" => "  - {id: d, deny: {paths: [src/a], namespaces: [\"squad-*\"]}}\n",
            "shadow" => "  - {id: d, deny: {paths: [src/a], namespaces: [\"squad-*\"]}, mode: shadow}\n",
            _ => "",
        };
        let repository = match *repository {
            "path denied" => "repositories: {\"acme/*\": {paths: {deny: [src/b]}}, \"acme/app\": {paths: {allow: [\"**\"]}}}\n",
            "path not on its list" => "repositories: {\"acme/*\": {paths: {allow: [\"**\"]}}, \"acme/app\": {paths: {allow: [src/a]}}}\n",
            _ => "",
        };
        let tier = if *tier == "none" { String::new() } else { format!("namespaces: {{\"squad-*\": {tier}}}\n") };
        let allow = match *allow {
            "covers all" => "  - {id: a, allow: {paths: [\"src/**\"], repos: [\"acme/app\"]}}\n",
            "covers a part" => "  - {id: a, allow: {paths: [src/a], repos: [\"acme/app\"]}}\n",
            _ => "",
        };
        let policy = policy(&format!(
            "version: 1\ndefaults: {{read: {default}}}\ncallers: {{\"local:*\": {{}}}}\nsystems: {{kubernetes: {{}}}}\n{repository}{tier}rules:\n{deny}{allow}"
        ));
        Ask::new("kubernetes_list", &[(Repo, "acme/app"), (Path, "src/a"), (Path, "src/b"), (Namespace, "squad-a")]).outcome(&policy)
    });
}

#[test]
fn the_closer_line_is_the_one_that_counts() {
    let rows = table("closest");
    assert!(rows.len() >= 5);
    for row in rows {
        for (closer, outcome) in [(true, "permit"), (false, "not_whitelisted")] {
            // In both orders of the file.
            let lines = [(&row[0], closer), (&row[1], !closer)].map(|(glob, write)| format!("  \"{glob}\": {{write: {write}}}\n"));
            for lines in [lines.concat(), lines.iter().rev().cloned().collect()] {
                let policy = policy(
                    &format!(
                        "version: 1\nwrite_mode: on\ncallers: {{\"local:*\": {{}}}}\nsystems: {{github: {{}}}}\nrepositories:\n{lines}\
                     rules: [{{id: a, allow: {{tools: [github_create_issue]}}, approvals: 0}}]\n"
                    )
                    .replace("github: {}", "github: {mode: mock}"),
                );
                assert_eq!(Ask::new("github_create_issue", &[(Repo, "acme/app")]).outcome(&policy), outcome, "{row:?}");
            }
        }
    }
}

#[test]
fn every_denial_has_its_step() {
    let steps: Vec<&str> = PAGE.lines().filter(|line| line.starts_with('|')).collect();
    for code in DenialCode::ALL {
        let name = format!("| `{}` |", code.name());
        assert!(steps.iter().any(|line| line.ends_with(&name)), "no step gives `{}`", code.name());
    }
    assert!(PAGE.lines().count() <= 200);
}
