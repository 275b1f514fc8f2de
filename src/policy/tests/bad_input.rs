//! Input that is meant to hurt: each is refused with a clear error, or read for what it is, in bounded space and time.

use super::*;

/// A text, and what its first error says; nothing where it is read.
type Hostile = (&'static str, String, Option<&'static str>);

fn in_a_rule(globs: &str) -> String {
    format!("version: 1\nrules:\n  - {{id: a, deny: {{paths: [{globs}]}}}}\n")
}

fn quoted(globs: impl Iterator<Item = String>) -> String {
    globs.map(|glob| format!("\"{glob}\"")).collect::<Vec<_>>().join(",")
}

/// Three letters, a different three for each number.
fn letters(n: usize) -> String {
    [n % 26, n / 26 % 26, n / 676 % 26].into_iter().filter_map(|place| "abcdefghijklmnopqrstuvwxyz".chars().nth(place)).collect()
}

fn numbered(name: &str, count: usize) -> String {
    (0..count).map(|n| format!("{name}{n},")).collect()
}

fn mapped(name: &str, count: usize) -> String {
    (0..count).map(|n| format!("{name}{n}: {{}},")).collect()
}

fn table() -> Vec<Hostile> {
    let nested = |n: usize| format!("{}x{}", "{a,".repeat(n), "}".repeat(n));
    let searched = |count: usize| quoted((0..count).map(|n| format!("**/*{}*b*c*", letters(n))));
    vec![
        (
            "aliases that double",
            (1..20).fold("version: 1\na0: &a0 [x]\n".to_owned(), |text, n| format!("{text}a{n}: &a{n} [*a{}, *a{}]\n", n - 1, n - 1)),
            Some("anchors and aliases"),
        ),
        ("lists in lists", format!("version: 1\nrules: {}{}\n", "[".repeat(10_000), "]".repeat(10_000)), Some("nest")),
        (
            "mappings in mappings",
            format!("version: 1\nrules:\n{}", (1..1_000).map(|n| format!("{}a:\n", " ".repeat(n))).collect::<String>()),
            Some("nest"),
        ),
        ("two megabytes", format!("version: 1\nlanguage: {}\n", "x".repeat(2 << 20)), Some("larger than 1024 KiB")),
        ("many values", format!("version: 1\nrules: [{}]\n", "a,".repeat(500_000)), Some("more parts than a policy may have")),
        ("many wrong keys", format!("version: 1\n{}", (0..20_000).map(|n| format!("k{n}: 1\n")).collect::<String>()), Some("no key `k0`")),
        ("many roles of one caller", format!("version: 1\ncallers: {{\"key:a\": {{roles: [{}]}}}}\n", numbered("r", 40_000)), Some("more than 100")),
        ("many aliases", format!("version: 1\nenvironments: {{a: {{aliases: [{}]}}}}\n", numbered("x", 40_000)), Some("more than 100")),
        (
            "many strangers in a group",
            format!("version: 1\npeople: {{{}}}\ngroups: {{g: [{}]}}\n", mapped("p", 10_000), numbered("q", 10_000)),
            Some("no person `q0`"),
        ),
        (
            "many roles that nobody has",
            format!(
                "version: 1\ncallers: {{\"key:a\": {{roles: [{}]}}}}\nrules:\n{}",
                numbered("known", 100),
                (0..5_000).map(|n| format!("  - {{id: a{n}, deny: {{roles: [nobody{n}]}}}}\n")).collect::<String>()
            ),
            None,
        ),
        (
            "one person of many groups for many callers",
            format!(
                "version: 1\npeople: {{p: {{}}}}\ngroups: {{{}}}\ncallers: {{{}}}\n",
                (0..10_000).map(|n| format!("g{n}: [p],")).collect::<String>(),
                (0..10_000).map(|n| format!("\"key:{n}\": {{owner: p}},")).collect::<String>()
            ),
            None,
        ),
        ("a key twice", "version: 1\nversion: 1\n".into(), Some("stands twice")),
        (
            "a key twice among many",
            format!("version: 1\ncallers:\n{}  \"key:a7\": {{}}\n", (0..500).map(|n| format!("  \"key:a{n}\": {{}}\n")).collect::<String>()),
            Some("stands twice"),
        ),
        ("tabs", "version: 1\nrules:\n\t- id: a\n".into(), Some("tabs")),
        ("a mark of byte order", "\u{feff}version: 1\nwrite_mode: off\n".into(), None),
        ("lines of another system", "version: 1\r\nwrite_mode: off\r\n".into(), None),
        ("NUL", "version: 1\nlanguage: e\0n\n".into(), Some("")),
        ("NUL in quotes", "version: 1\nlanguage: \"e\\0n\"\n".into(), Some("cannot be `e\\u{0}n`")),
        ("half a character", "version: 1\nlanguage: \"\\ud800\"\n".into(), Some("")),
        ("a line's end of Unicode", "version: 1\nlanguage: e\u{2028}write_mode: on\n".into(), Some("mapping values are not allowed")),
        ("a huge number", format!("version: {}\n", "9".repeat(5000)), Some("value `9999")),
        (
            "a number too large by little",
            "version: 1\nrules:\n  - {id: a, allow: {tools: [workspace_commit]}, approvals: 4294967297}\n".into(),
            Some("a whole number"),
        ),
        ("a date", "version: 2026-01-01\n".into(), Some("no version that opsgate reads")),
        ("bytes", "version: 1\nlanguage: !!binary aGk=\n".into(), Some("")),
        ("a tag of one's own", "version: 1\nlanguage: !python/object:os.system x\n".into(), Some("tag")),
        ("a merge", "version: 1\nsystems: {<<: {workspace: {}}}\n".into(), Some("merge keys")),
        ("two documents", "version: 1\n---\nversion: 1\nwrite_mode: on\n".into(), Some("more than one document")),
        ("a directive", "%YAML 9.9\n---\nversion: 1\n".into(), Some("")),
        ("a list as a key", "version: 1\n? [a]\n: b\n".into(), Some("")),
        ("one glob of a megabyte", in_a_rule(&format!("\"{}\"", "a".repeat(1_000_000))), Some("longer than 512 bytes")),
        ("thousands of names", in_a_rule(&quoted((0..10_000).map(|n| format!("d{n}")))), None),
        ("a megabyte of searches", in_a_rule(&searched(17_000)), Some("more to search for")),
        ("many searches", in_a_rule(&searched(10_000)), Some("more to search for")),
        (
            "searches for every tool by its name",
            format!("version: 1\nrules:\n  - {{id: a, deny: {{tools: [\"workspace_*\", \"github_*\"], paths: [{}]}}}}\n", searched(1_150)),
            Some("more to search for"),
        ),
        ("braces in braces", in_a_rule(&format!("\"{}\"", nested(100))), Some("nests or repeats `{`")),
        ("braces as deep as they may be", in_a_rule(&format!("\"{}\"", nested(8))), None),
        ("braces that multiply", in_a_rule(&format!("\"{}\"", "{a,b,c,d,e,f,g,h}".repeat(8))), None),
        ("classes", in_a_rule(&format!("\"{}\"", "[!a-z]".repeat(80))), None),
        (
            "classes of all characters",
            in_a_rule(&quoted((0..320).map(|n| format!("{}{}", "[!x]".repeat(20), letters(n))))),
            Some("more to search for"),
        ),
        ("a class beyond ASCII", in_a_rule("\"**/[Éé]tat\""), Some("beyond ASCII in `[Éé]`")),
        ("any characters", in_a_rule(&format!("\"{}\"", "?".repeat(500))), None),
        ("many of any characters", in_a_rule(&quoted((0..10).map(|n| format!("{}{}", "?".repeat(500), letters(n))))), Some("more to search for")),
        ("stars", in_a_rule(&format!("\"{}b\"", "*a".repeat(250))), None),
        ("stars in stars", in_a_rule(&format!("\"{}**\"", "**/".repeat(160))), None),
        ("an open class", in_a_rule("\"[a\""), Some("not well formed")),
        ("an open brace", in_a_rule("\"{a\""), Some("not well formed")),
    ]
}

#[test]
fn what_is_meant_to_hurt_is_refused_clearly() {
    let mut wrong = String::new();
    for (name, text, expected) in table() {
        match (Policy::parse(&text, "p.yaml", &catalogue()), expected) {
            (Ok(_), None) => {}
            (Ok(_), Some(_)) => wrong += &format!("{name}: is read\n"),
            (Err(errors), None) => wrong += &format!("{name}: {errors}\n"),
            (Err(errors), Some(part)) => {
                let (first, told) = (&errors.all()[0], errors.to_string());
                let clear = first.message.contains(part) && !first.message.is_empty() && errors.all().len() <= 100 && told.len() < 100_000;
                if !clear || told.contains('\0') || told.contains("panicked") {
                    wrong += &format!("{name}: {first:?}, {} errors in {} bytes\n", errors.all().len(), told.len());
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_star_among_stars_is_matched_in_one_pass() {
    let policy = policy(&format!(
        "version: 1\ndefaults: {{read: allow}}\ncallers: {{\"local:*\": {{}}}}\nsystems: {{workspace: {{}}}}\nrules:\n  - {{id: a, deny: {{paths: [\"{}b\"]}}}}\n",
        "*a".repeat(250)
    ));
    let path = "a".repeat(4000);
    assert_eq!(Ask::new("workspace_read_file", &[(ScopeKind::Path, &path)]).outcome(&policy), "permit");
    assert_eq!(Ask::new("workspace_read_file", &[(ScopeKind::Path, &format!("{path}b"))]).outcome(&policy), "rule_denied");
    assert_eq!(Ask::new("workspace_read_file", &[(ScopeKind::Path, &"a/".repeat(2000))]).outcome(&policy), "permit");
}

/// Prints what each costs: `cargo test --lib what_hostile_input_costs -- --ignored --nocapture`.
#[test]
#[ignore = "measures, and asserts nothing"]
#[allow(clippy::print_stdout, reason = "that is what it is for")]
fn what_hostile_input_costs() {
    for (name, text, _) in table() {
        let start = std::time::Instant::now();
        let read = Policy::parse(&text, "p.yaml", &catalogue()).is_ok();
        let peak = std::fs::read_to_string("/proc/self/status").unwrap().lines().find(|line| line.starts_with("VmHWM")).unwrap_or("").to_owned();
        println!("{name:<40} {:>8.1} ms  {}  {}", start.elapsed().as_secs_f64() * 1e3, if read { "read" } else { "refused" }, peak);
        // The peak of the next one alone.
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
    }
}
