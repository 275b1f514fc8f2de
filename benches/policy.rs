//! What a decision costs as a policy grows: the time of one `decide`, beside that of a policy of ten rules in the same run.
//! `cargo bench --bench policy`

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::hint::black_box;
use std::time::Instant;

use opsgate::policy::{Catalogue, Decision, Facts, Policy, Trigger};
use opsgate_tools::scope::{ScopeKind, Scopes};
use opsgate_tools::tool::Class;

const TOOLS: [&str; 5] = ["workspace_git_log", "workspace_git_show", "workspace_search_code", "workspace_list_directory", "workspace_git_blame"];
const READ: &str = "workspace_read_file";
const ROUNDS: u32 = 50_000;

fn main() {
    for (name, rule) in [("deny rules that name tools", named as fn(usize) -> String), ("deny rules for every tool", common)] {
        let ten = decide(10, rule);
        for rules in [10, 100, 1_000] {
            let time = decide(rules, rule);
            println!("{name}: {rules:>5} rules: {:>6.2} µs a decision, {:>5.2} × that of ten", time * 1e6, time / ten);
        }
    }
}

fn named(n: usize) -> String {
    format!("  - {{id: r{n}, deny: {{tools: [{}], paths: [\"d{n}/**\", \"**/f{n}.txt\"]}}}}\n", TOOLS.get(n % 5).unwrap())
}

fn common(n: usize) -> String {
    format!("  - {{id: r{n}, deny: {{paths: [\"d{n}/**\", \"**/*.x{n}\"]}}}}\n")
}

/// Seconds a decision takes under this many rules.
fn decide(count: usize, rule: fn(usize) -> String) -> f64 {
    let known = Catalogue::of(TOOLS.into_iter().chain([READ]).map(|tool| (tool, "workspace", Class::Read)));
    let rules: String = (0..count).map(rule).collect();
    let text =
        format!("version: 1\ndefaults: {{read: allow}}\ncallers: {{\"local:*\": {{roles: [a]}}}}\nsystems: {{workspace: {{}}}}\nrules:\n{rules}");
    let policy = Policy::parse(&text, "bench.yaml", &known).unwrap();
    let scopes = Scopes::of(ScopeKind::Repo, "/home/ana/src/app").and(ScopeKind::Path, "src/policy/mod.rs");
    let facts = Facts {
        caller: "local:uid=1000",
        tool: READ,
        system: "workspace",
        class: Class::Read,
        scopes: &scopes,
        trigger: Trigger::Client,
        write_mode_env_off: false,
        same_user: false,
        change: &[],
        now: jiff::Timestamp::UNIX_EPOCH,
    };
    let start = Instant::now();
    for _ in 0..ROUNDS {
        assert!(matches!(black_box(policy.decide(black_box(&facts))), Decision::Permit(_)));
    }
    start.elapsed().as_secs_f64() / f64::from(ROUNDS)
}
