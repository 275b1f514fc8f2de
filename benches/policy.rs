//! What a policy costs as it grows: the time of one `decide` beside that of a policy of ten rules in the same run, and the time to load it.
//! Times are the processor's, so that what else runs matters less. `cargo bench --bench policy [-- PART OF A NAME]`. It prints what it found beside the targets and asserts nothing.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Duration;

use opsgate::policy::{Catalogue, Decision, Facts, Policy, Trigger};
use opsgate_tools::scope::{ScopeKind, Scopes};
use opsgate_tools::tool::Class;

/// The binary's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const READ: &str = "workspace_read_file";
const WRITE: &str = "workspace_write_file";
/// As many tools as a whole installation has; rules are dealt out over them, the asked ones among them.
const TOOLS: usize = 60;
const SIZES: [usize; 4] = [10, 100, 1_000, 10_000];
/// How long one figure is measured; the best of several rounds is shown, since others use the machine too.
const ROUND: Duration = Duration::from_millis(60);
const ROUNDS: usize = 7;

/// µs a decision may take under a thousand rules.
const DECIDE_AT_1000: f64 = 2.0;
/// How much longer it may take under ten thousand than under ten, where rules name their tools.
const GROWTH: f64 = 3.0;
/// Milliseconds that loading ten thousand rules may take.
const LOAD: f64 = 100.0;

/// A family of policies: what it is called, what its n-th entry says, where entries go, and what is asked.
struct Family {
    name: &'static str,
    entry: fn(usize) -> String,
    section: &'static str,
    ask: &'static str,
    /// Whether the target for growth is said of it.
    names_tools: bool,
}

const FAMILIES: [Family; 8] = [
    Family { name: "deny rules that name tools", entry: deny_named, section: "rules", ask: READ, names_tools: true },
    Family { name: "deny rules for every tool", entry: deny_common, section: "rules", ask: READ, names_tools: false },
    Family { name: "deny rules for every tool, hard globs", entry: deny_hard, section: "rules", ask: READ, names_tools: false },
    Family { name: "deny rules for one folder", entry: deny_one_folder, section: "rules", ask: READ, names_tools: false },
    Family { name: "allow rules that name tools", entry: allow_read, section: "rules", ask: READ, names_tools: true },
    Family { name: "a write among allow rules", entry: allow_write, section: "rules", ask: WRITE, names_tools: true },
    Family { name: "callers", entry: caller, section: "callers", ask: READ, names_tools: false },
    Family { name: "repositories", entry: repository, section: "repositories", ask: WRITE, names_tools: false },
];

fn main() {
    let only = std::env::args().skip(1).find(|word| !word.starts_with('-')).unwrap_or_default();
    for family in FAMILIES.iter().filter(|family| family.name.contains(&only)) {
        let mut ten = None;
        for size in SIZES {
            let (policy, load) = match loaded(family, size) {
                Ok(loaded) => loaded,
                Err((why, time)) => {
                    println!("{:<38} {size:>6}: refused after {:.1} ms: {why}", family.name, time * 1e3);
                    continue;
                }
            };
            let decide = decide(&policy, family.ask);
            let ratio = decide / *ten.get_or_insert(decide);
            let mut line =
                format!("{:<38} {size:>6}: decide {:>8.2} µs, {ratio:>7.2} × that of ten; load {:>8.1} ms", family.name, decide * 1e6, load * 1e3);
            let mut against = |what: &str, found: f64, target: f64| {
                let word = if found <= target { "within" } else { "MISSED" };
                write!(line, "  [{what} {target}: {word}]").unwrap();
            };
            if size == 1_000 {
                against("µs", decide * 1e6, DECIDE_AT_1000);
            }
            if size == 10_000 && family.names_tools {
                against("×", ratio, GROWTH);
            }
            if size == 10_000 {
                against("load ms", load * 1e3, LOAD);
            }
            println!("{line}");
        }
    }
    for size in [1_000, 10_000].into_iter().filter(|_| "matrix and diff".contains(&only)) {
        reviewed(size);
    }
}

/// What a reviewer waits for: the matrix of a policy of many rules of all sorts, callers and repositories, and what one more rule changes.
fn reviewed(size: usize) {
    let entries = [allow_read, allow_write, deny_named, deny_common];
    let rules: String = (0..size).zip(entries.iter().cycle()).map(|(n, entry)| entry(n)).collect();
    let (callers, repositories): (String, String) = ((0..size / 20).map(caller).collect(), (0..size / 20).map(repository).collect());
    let of = |more: &str| {
        let text = text("deny", &callers, &repositories, &format!("{rules}{more}"));
        Policy::parse(&text, "bench.yaml", &catalogue()).unwrap()
    };
    let (old, new) = (of(""), of(&format!("  - {{id: one-more, deny: {{tools: [{READ}], paths: [src/secrets/**]}}}}\n")));
    let start = worked();
    let matrix = old.matrix(&[]).unwrap();
    let after_matrix = worked();
    let diff = old.diff(&new).unwrap();
    let (of_matrix, of_diff) = (after_matrix - start, worked() - after_matrix);
    println!(
        "rules of all sorts                     {size:>6}: matrix {:.1} s (partial: {}), diff {:.1} s (partial: {}, changes told: {})",
        of_matrix.as_secs_f64(),
        matrix.partial,
        of_diff.as_secs_f64(),
        diff.partial,
        diff.changes.len()
    );
}

/// Even ones read, odd ones write.
fn tool(n: usize) -> String {
    match n % TOOLS {
        0 => READ.to_owned(),
        1 => WRITE.to_owned(),
        n => format!("workspace_tool_{n}"),
    }
}

fn deny_named(n: usize) -> String {
    format!("  - {{id: r{n}, deny: {{tools: [{}], paths: [\"d{n}/**\", \"**/f{n}.txt\"]}}}}\n", tool(n))
}

fn deny_common(n: usize) -> String {
    format!("  - {{id: r{n}, deny: {{paths: [\"d{n}/**\", \"**/*.x{n}\"]}}}}\n")
}

/// All of them name the path that is asked for, each with a repository of its own: a decision looks at every one.
fn deny_one_folder(n: usize) -> String {
    format!("  - {{id: r{n}, deny: {{tools: [{READ}], repos: [\"acme/r{n}\"], paths: [\"src/**\"]}}}}\n")
}

/// Globs that only a regular expression can match.
fn deny_hard(n: usize) -> String {
    format!("  - {{id: r{n}, deny: {{paths: [\"**/a{n}*b/c?d*.txt\"]}}}}\n")
}

fn allow_read(n: usize) -> String {
    format!("  - {{id: r{n}, allow: {{roles: [a], tools: [{}], paths: [\"d{n}/**\"]}}}}\n", tool(2 * n))
}

fn allow_write(n: usize) -> String {
    format!("  - {{id: r{n}, allow: {{roles: [a], tools: [{}], paths: [\"d{n}/**\"]}}, approvals: 1}}\n", tool(2 * n + 1))
}

fn caller(n: usize) -> String {
    format!("  \"key:team-{n}-*\": {{roles: [a]}}\n")
}

fn repository(n: usize) -> String {
    format!("  \"acme-{n}/*\": {{write: true}}\n")
}

fn catalogue() -> Catalogue {
    let class = |n: usize| if n.is_multiple_of(2) { Class::Read } else { Class::Write };
    let names: Vec<String> = (0..TOOLS).map(tool).collect();
    Catalogue::of(names.iter().enumerate().map(|(n, name)| (name.as_str(), "workspace", class(n))))
}

fn text(read: &str, callers: &str, repositories: &str, rules: &str) -> String {
    format!(
        "version: 1\nwrite_mode: on\ndefaults: {{read: {read}}}\nsystems: {{workspace: {{mode: approval_required_write}}}}\n\
         callers:\n  \"local:*\": {{roles: [a]}}\n{callers}repositories:\n  \"/home/**\": {{write: true}}\n{repositories}\
         rules:\n  - {{id: base-r, allow: {{tools: [{READ}], paths: [\"src/**\"]}}}}\n\
         \x20 - {{id: base-w, allow: {{tools: [{WRITE}], paths: [\"src/**\"]}}, approvals: 1}}\n{rules}"
    )
}

/// The policy with so many entries, and the seconds that loading it takes.
fn loaded(family: &Family, size: usize) -> Result<(Policy, f64), (String, f64)> {
    let known = catalogue();
    let entries: String = (0..size).map(family.entry).collect();
    let of = |section: &str| if section == family.section { entries.as_str() } else { "" };
    let read = if family.name.starts_with("allow") { "deny" } else { "allow" };
    let text = text(read, of("callers"), of("repositories"), of("rules"));
    let mut best = f64::MAX;
    let mut policy = None;
    for _ in 0..if size < 10_000 { 2 } else { 5 } {
        let start = worked();
        let loaded = Policy::parse(&text, "bench.yaml", &known);
        let time = (worked() - start).as_secs_f64();
        policy = Some(loaded.map_err(|errors| (errors.all().iter().map(|error| error.message.as_str()).collect(), time))?);
        best = best.min(time);
    }
    Ok((policy.unwrap(), best))
}

/// The processor's time of this thread: what others do on the machine is not in it.
fn worked() -> Duration {
    rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime).try_into().unwrap()
}

/// Seconds that a decision takes.
fn decide(policy: &Policy, tool: &str) -> f64 {
    let scopes = Scopes::of(ScopeKind::Repo, "/home/ana/src/app").and(ScopeKind::Path, "src/policy/mod.rs");
    let class = if tool == READ { Class::Read } else { Class::Write };
    let facts = Facts {
        caller: "local:uid=1000",
        tool,
        system: "workspace",
        class,
        scopes: &scopes,
        trigger: Trigger::Client,
        write_mode_env_off: false,
        same_user: false,
        change: &[],
        now: jiff::Timestamp::UNIX_EPOCH,
    };
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let (start, mut count) = (worked(), 0u32);
        while worked() - start < ROUND {
            for _ in 0..100 {
                assert!(!matches!(black_box(policy.decide(black_box(&facts))), Decision::Deny(_)));
            }
            count += 100;
        }
        best = best.min((worked() - start).as_secs_f64() / f64::from(count));
    }
    best
}
