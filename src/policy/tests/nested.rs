//! What of a repository within another one is shown, under generated policies.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;
use ScopeKind::{Method, Path, Ref, Repo, Tree};

const OUT: &str = "/x/out";
const SUB: &str = "/x/out/sub";
const DEEP: &str = "/x/out/sub/deep";

const REPOS: &[&str] = &["/x/**", "/x/out", "/x/out/**", "/x/out/sub", "/x/out/sub/*", "**"];
const PATHS: &[&str] = &["sub/**", "**/*.pem", "docs/**", "**", "f", "deep/**"];
const TOOLS: &[&str] = &["workspace_search_code", "workspace_commit", "workspace_*", "*"];

/// One `when`, or one entry of `repositories`, as it is written.
fn list(key: &'static str, from: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop_oneof![2 => Just(Vec::new()), 1 => subsequence(from, 1..=from.len().min(2))].prop_map(move |items| match items.as_slice() {
        [] => String::new(),
        items => format!("{key}: [{}], ", items.iter().map(|item| format!("\"{item}\"")).collect::<Vec<_>>().join(", ")),
    })
}

fn rule() -> impl Strategy<Value = String> {
    let when = (list("tools", TOOLS), list("repos", REPOS), list("paths", PATHS), list("refs", &["main", "**"]), list("environments", &["prod"]));
    (any::<bool>(), when).prop_map(|(deny, (tools, repos, paths, refs, environments))| {
        let when = [tools, repos, paths, refs, environments].concat();
        let when = if when.is_empty() { "tools: [\"*\"]".to_owned() } else { when };
        format!("{}: {{{when}}}", if deny { "deny" } else { "allow" })
    })
}

fn settings() -> impl Strategy<Value = String> {
    let lists = (
        prop_oneof![Just(""), Just("write: true, "), Just("write: true, "), Just("write: false, ")],
        prop_oneof![4 => Just(""), 1 => Just("tools: {deny: [workspace_commit]}, "), 1 => Just("tools: {allow: [workspace_search_code]}, ")],
        prop_oneof![4 => Just(""), 1 => Just("paths: {deny: [\"docs/**\"]}, "), 1 => Just("paths: {allow: [\"**/f\", \"f\", \"docs/**\"]}, ")],
        prop_oneof![4 => Just(""), 1 => Just("refs: {deny: [main]}, "), 1 => Just("refs: {allow: [\"m*\"]}, ")],
    );
    lists.prop_map(|(write, tools, paths, refs)| [write, tools, paths, refs].concat())
}

fn compiled(read: bool, production: bool, rules: &[String], settings: &[(&'static str, String)]) -> Option<Policy> {
    let mut text = format!(
        "version: 1\nwrite_mode: on\ndefaults: {{read: {}}}\ncallers: {{\"local:*\": {{}}}}\nsystems: {{workspace: {{mode: approval_required_write}}}}\nenvironments: {{prod: {{match: {{repos: [\"{}\"]}}}}}}\nrepositories:\n",
        if read { "allow" } else { "deny" },
        if production { DEEP } else { "/elsewhere" },
    );
    for (name, said) in settings {
        text += &format!("  \"{name}\": {{{said}}}\n");
    }
    text += "rules:\n";
    for (nth, rule) in rules.iter().enumerate() {
        text += &format!("  - {{id: r{nth}, {rule}}}\n");
    }
    text += "  - {id: zeroed, allow: {tools: [workspace_commit], repos: [\"/x/**\"]}, approvals: 0}\n";
    Policy::parse(&text, "p.yaml", &catalogue())
        .inspect_err(|errors| {
            let expected = |one: &Finding| ["says what", "can never match"].iter().any(|part| one.message.contains(part));
            assert!(errors.all().iter().all(expected), "{text}{errors}");
        })
        .ok()
}

/// A path in the innermost of these repositories, by its name in each.
fn named(depth: usize, path: &'static str) -> Vec<String> {
    let from = ["", "sub/", "sub/deep/"];
    (0..=depth).map(|skipped| format!("{}{path}", from[depth].strip_prefix(from[skipped]).unwrap())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn what_is_shown_of_nested_repositories_decide_permits(
        read in any::<bool>(),
        production in any::<bool>(),
        tool in select(vec!["workspace_search_code", "workspace_commit"]),
        rules in prop::collection::vec(rule(), 0..4),
        entries in prop::collection::vec(settings(), 3),
        named_at in subsequence(REPOS, 0..=3),
        reference in prop::option::of(select(vec!["main", "agent/x"])),
    ) {
        let settings: Vec<_> = named_at.into_iter().zip(entries).collect();
        let Some(policy) = compiled(read, production, &rules, &settings) else { return Ok(()) };
        let first = if tool == "workspace_commit" { (Method, "test") } else { (Tree, ".") };
        let base: Vec<(ScopeKind, &str)> = [(Repo, OUT), first].into_iter().chain(reference.map(|one| (Ref, one))).collect();
        let Decision::Permit(permit) = Ask::new(tool, &base).of(&policy) else { return Ok(()) };
        let filter = permit.output_filter();
        for chain in [&[SUB][..], &[SUB, DEEP]] {
            if !chain.iter().all(|one| filter.shows_repository(one)) {
                continue;
            }
            for path in ["f", "x.pem", "docs/f", "src/f"] {
                let names = named(chain.len(), path);
                let shown = names.iter().all(|name| filter.shows_file(name));
                let mut scopes = base.clone();
                scopes.extend(names.iter().map(|name| (Path, name.as_str())));
                // A path may bring a rule for a write that asks for people, nested or not.
                let without = Ask::new(tool, &scopes).outcome(&policy);
                scopes.extend(chain.iter().map(|one| (Repo, *one)));
                let permitted = match Ask::new(tool, &scopes).outcome(&policy).as_str() {
                    "permit" => true,
                    "needs_approval" => without == "needs_approval",
                    _ => false,
                };
                prop_assert!(permitted || !shown, "{names:?} in {chain:?} is shown");
            }
        }
    }
}

#[test]
fn a_nested_repository_is_hidden_only_for_a_reason() {
    let shown = |rules: &str, repositories: &str| {
        let text = format!(
            "version: 1\ndefaults: {{read: allow}}\ncallers: {{\"local:*\": {{}}}}\nsystems: {{workspace: {{mode: read_only}}}}\nrepositories: {{{repositories}}}\nrules: [{rules}]\n"
        );
        match Ask::new("workspace_search_code", &[(Repo, OUT), (Tree, ".")]).of(&policy(&text)) {
            Decision::Permit(permit) => permit.output_filter().shows_repository(SUB),
            other => panic!("{other:?}"),
        }
    };
    for (rules, repositories, expected) in [
        ("", "", true),
        ("{id: a, deny: {repos: [\"/x/out/sub\"]}}", "", false),
        ("{id: a, deny: {repos: [\"/X/OUT/*\"]}}", "", false),
        ("{id: a, deny: {repos: [\"/x/out/sub\"], paths: [\"docs/**\"]}}", "", false),
        ("{id: a, deny: {repos: [\"/x/out/sub\"], refs: [main]}}", "", true),
        ("{id: a, deny: {repos: [\"/x/out/sub\"], tools: [workspace_read_file]}}", "", true),
        ("{id: a, mode: shadow, deny: {repos: [\"/x/out/sub\"]}}", "", true),
        ("{id: a, deny: {repos: [\"/x/other\"], paths: [\"docs/**\"]}}", "", true),
        ("{id: a, deny: {paths: [\"docs/**\"]}}", "", true),
        ("", "\"/x/out/sub\": {tools: {deny: [workspace_search_code]}}", false),
        ("", "\"/x/out/sub\": {tools: {allow: [workspace_read_file]}}", false),
        ("", "\"/x/out/sub\": {paths: {deny: [\"docs/**\"]}}", false),
        ("", "\"/x/out/sub\": {paths: {allow: [\"docs/**\"]}}", false),
        ("", "\"/x/**\": {paths: {deny: [\"docs/**\"]}}", true),
        ("", "\"/x/**\": {paths: {allow: [\"docs/**\"]}}", true),
        ("", "\"/x/out/sub\": {refs: {deny: [main]}, write: false}", true),
    ] {
        assert_eq!(shown(rules, repositories), expected, "{rules} {repositories}");
    }
}
