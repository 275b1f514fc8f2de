//! What is wrong with a policy is said with its place and with the right name.

use super::*;

/// Line, column, a part of the message, a part of the help.
pub(super) type Told = (u32, u32, &'static str, &'static str);

/// Policies with their errors.
pub(super) const CASES: &[(&str, &[Told])] = &[
    ("write_mode: off\n", &[(1, 1, "does not say its `version`", "version: 1")]),
    ("version: 2\n", &[(1, 10, "no version that opsgate reads", "version: 1")]),
    ("version: '1'\n", &[(1, 10, "no version", "")]),
    ("- a\n", &[(1, 1, "a policy is a mapping", "")]),
    ("version: 1\nwrite_mod: off\n", &[(2, 1, "no key `write_mod`", "did you mean `write_mode`?")]),
    ("version: 1\nwrite_mode: of\n", &[(2, 13, "write_mode cannot be `of`", "did you mean `off`?")]),
    ("version: 1\nwrite_mode: true\n", &[(2, 13, "cannot be `true`", "`off`, `on`")]),
    ("version: 1\nwrite_mode:\n", &[(2, 11, "cannot be nothing", "")]),
    ("version: 1\nsame_user_writes: ture\n", &[(2, 19, "cannot be `ture`", "did you mean `true`?")]),
    ("version: 1\nversion: 1\n", &[(2, 1, "the key `version` stands twice", "keep one")]),
    ("version: 1\ndefaults: {read: allow, write: allow}\n", &[(2, 32, "a write cannot be allowed by default", "deny")]),
    ("version: 1\nsystems: {githb: {}}\n", &[(2, 11, "no system `githb`", "did you mean `github`?")]),
    ("version: 1\nsystems: {workspace: {mode: read-only}}\n", &[(2, 29, "cannot be `read-only`", "did you mean `read_only`?")]),
    ("version: 1\nsystems: {github: {roots: [/a]}}\n", &[(2, 20, "no key `roots`", "`mode`")]),
    ("version: 1\nsystems: {workspace: {roots: [src]}}\n", &[(2, 31, "not a whole path", "`/`")]),
    ("version: 1\nsystems: {workspace: {commands: {a: {network: on}}}}\n", &[(2, 34, "has no `argv`", "argv: [program")]),
    ("version: 1\nsystems: {workspace: {commands: {a: {argv: [\"{dependency}\"]}}}}\n", &[(2, 34, "would run what a caller names", "")]),
    (
        "version: 1\nsystems: {workspace: {commands: {a: {argv: [npm, \"x={dependency}\"]}}}}\n",
        &[(2, 34, "puts a dependency into an argument", "an argument of its own")],
    ),
    ("version: 1\nsystems: {workspace: {commands: {a: {argv: [a], timeout: 11m}}}}\n", &[(2, 58, "no call may take so long", "raise it")]),
    ("version: 1\nsystems: {workspace: {commands: {a: {argv: [a], memory: 1MiB}}}}\n", &[(2, 57, "so little memory", "16MiB")]),
    ("version: 1\nsystems: {workspace: {commands: {a: {argv: [a], writable: [\".\"]}}}}\n", &[(2, 60, "holds git's own files", "name the files")]),
    ("version: 1\nsystems: {workspace: {commands: {a: {argv: [a], writable: [\".GIT/hooks\"]}}}}\n", &[(2, 60, "holds git's own files", "")]),
    (
        "version: 1\nsystems: {workspace: {commands: {a: {argv: [a], writable: [\"../x\"]}}}}\n",
        &[(2, 60, "no path inside the workspace", "from the root")],
    ),
    ("version: 1\nsystems: {workspace: {commands: {a: {argv: [a], readable: [lib]}}}}\n", &[(2, 59, "no whole path", "`/`")]),
    ("version: 1\nsystems: {workspace: {commands: {a: {argv: [a], env: {\"A=B\": c}}}}}\n", &[(2, 55, "no name of a variable", "")]),
    ("version: 1\nsystems: {workspace: {commands: {a: {argv: [a], shell: on}}}}\n", &[(2, 49, "no key `shell`", "")]),
    ("version: 1\nsystems: {workspace: {author: ana}}\n", &[(2, 31, "`ana` is no author", "Name <email>")]),
    ("version: 1\ncallers: {\"*\": {}}\n", &[(2, 11, "does not begin with where its name comes from", "")]),
    ("version: 1\ncallers: {\"kye:a\": {}}\n", &[(2, 11, "does not begin", "did you mean `key`?")]),
    ("version: 1\ncallers: {\"jwt:*|svc\": {}}\n", &[(2, 11, "does not say which issuer", "without wildcards")]),
    ("version: 1\ncallers: {\"key:a\": {owner: ana}}\n", &[(2, 28, "no person or group `ana`", "")]),
    ("version: 1\npeople: {ana: {}}\ngroups: {a: [anna]}\n", &[(3, 14, "no person `anna`", "did you mean `ana`?")]),
    ("version: 1\npeople: {ana: {github: x}, ben: {github: x}}\n", &[(2, 28, "github `x` belongs to `ana` already", "")]),
    ("version: 1\nlimits: {timeout: 60}\n", &[(2, 19, "a time like `60s`", "`ms`")]),
    ("version: 1\nlimits: {timeout: 1h}\n", &[(2, 19, "longer than max_timeout", "")]),
    ("version: 1\nlimits: {per_ip_unauthenticated: 0/min}\n", &[(2, 34, "a rate like", "`min`")]),
    ("version: 1\nlimits: {output_bytes: 64KB}\n", &[(2, 24, "a size like `64KiB`", "")]),
    ("version: 1\nlimits: {per_caller: {over_then: often}}\n", &[(2, 34, "no rate for a time", "10/min for 5m")]),
    ("version: 1\nlanguage: eng\n", &[(2, 11, "cannot be `eng`", "did you mean `en`?")]),
    ("version: 1\nprofile: production\nsame_user_writes: true\n", &[(3, 19, "refuses `same_user_writes: true`", "")]),
    ("version: 1\nprofile: production\ncallers: {\"anonymous:*\": {}}\n", &[(3, 11, "refuses anonymous callers", "")]),
    ("version: 1\nenvironments: {a: {match: {paths: [x]}}}\n", &[(2, 28, "no key `paths`", "")]),
    ("version: 1\n\"a\\e[31mb\": 1\n", &[(2, 1, "no key `a\\u{1b}[31mb`", "")]),
    ("version: 1\nnamespaces: {\"a-*\": forbiden}\n", &[(2, 21, "cannot be `forbiden`", "did you mean `forbidden`?")]),
    ("version: 1\nenvironments: {a: {hours: \"9 to 5\"}}\n", &[(2, 27, "no span of time", "Mon-Fri")]),
    ("version: 1\nenvironments: {a: {}, b: {aliases: [a]}}\n", &[(2, 37, "names the environment `a` already", "")]),
    ("version: 1\nrepositories: {\"acme/*\": {write: yes}}\n", &[(2, 34, "cannot be `yes`", "")]),
    ("version: 1\nrepositories: {\"acme/*\": {paths: {deny: []}}}\n", &[(2, 41, "an empty list", "")]),
    ("version: 1\nrules:\n  - allow: {tools: [workspace_read_file]}\n", &[(3, 5, "a rule has no `id`", "")]),
    ("version: 1\nrules:\n  - id: a\n", &[(3, 5, "neither `allow` nor `deny`", "")]),
    ("version: 1\nrules:\n  - {id: a, deny: {paths: [\"**/x\"]}, allow: {paths: [y]}}\n", &[(3, 13, "not both", "")]),
    ("version: 1\nrules:\n  - {id: a b, deny: {paths: [\"**/x\"]}}\n", &[(3, 10, "no rule id", "letters")]),
    ("version: 1\nrules:\n  - {id: budgets.per_caller_day.calls, deny: {paths: [x]}}\n", &[(3, 10, "a name that opsgate uses itself", "another id")]),
    ("version: 1\nrules:\n  - {id: a, deny: {}}\n", &[(3, 19, "`deny` names nothing", "to deny everything")]),
    ("version: 1\nrules:\n  - {id: a, deny: {path: [x]}}\n", &[(3, 20, "no key `path`", "did you mean `paths`?")]),
    ("version: 1\nrules:\n  - {id: a, deny: {paths: []}}\n", &[(3, 27, "an empty list", "")]),
    ("version: 1\nrules:\n  - {id: a, deny: {paths: [\"\"]}}\n", &[(3, 28, "the glob is empty", "")]),
    ("version: 1\nrules:\n  - {id: a, deny: {paths: \"x\"}}\n", &[(3, 27, "is a list, and this is text", "brackets")]),
    ("version: 1\nrules:\n  - {id: a, deny: {paths: [\"a[\"]}}\n", &[(3, 28, "not well formed", "")]),
    ("version: 1\nrules:\n  - {id: a, deny: {paths: [\"/etc/x\"]}}\n", &[(3, 28, "begins with `/`", "`etc/x`")]),
    ("version: 1\nrules:\n  - {id: a, deny: {paths: [\"a/../b\"]}}\n", &[(3, 28, "`..`", "")]),
    ("version: 1\nrules:\n  - {id: a, deny: {paths: [secrets/]}}\n", &[(3, 28, "ends with `/`", "`secrets/**`")]),
    ("version: 1\nrules:\n  - {id: a, deny: {paths: [x, x]}}\n", &[(3, 31, "names `x` twice", "")]),
    ("version: 1\nrules:\n  - {id: a, deny: {refs: [1.0]}}\n", &[(3, 27, "a glob, and this is a number", "quotes")]),
    (
        "version: 1\nrules:\n  - {id: a, deny: {tools: [workspace-read-file]}}\n",
        &[(3, 28, "no tool `workspace-read-file`", "did you mean `workspace_read_file`?")],
    ),
    ("version: 1\nrules:\n  - {id: a, deny: {tools: [\"nothing_*\"]}}\n", &[(3, 28, "no tool matches `nothing_*`", "")]),
    ("version: 1\nrules:\n  - {id: a, allow: {tools: [delete_database]}}\n", &[(3, 29, "never runs", "a person")]),
    ("version: 1\nrules:\n  - {id: a, allow: {tools: [workspace_read_file], systems: [github]}}\n", &[(3, 29, "can never match", "")]),
    ("version: 1\nrules:\n  - {id: a, deny: {environments: [production]}}\n", &[(3, 35, "no environment `production`", "")]),
    ("version: 1\nrules:\n  - {id: a, deny: {paths: [x]}, approvals: 1}\n", &[(3, 44, "asks for no approvals", "")]),
    ("version: 1\nrules:\n  - {id: a, allow: {tools: [workspace_read_file]}, approvals: 1}\n", &[(3, 63, "approvals belong to writes", "")]),
    ("version: 1\nrules:\n  - {id: a, deny: {paths: [x]}}\n  - {id: a, deny: {paths: [y]}}\n", &[(4, 10, "stands in line 3 already", "own id")]),
    ("version: 1\nrules:\n  - {id: a, deny: {paths: [x, y]}}\n  - {id: b, deny: {paths: [y, x]}}\n", &[(4, 10, "says what `a` says already", "")]),
    ("version: 1\nrules:\n  - {id: a, allow: {tools: [github_create_issue], refs: [main]}}\n", &[(3, 10, "never touches a ref", "other tools")]),
    ("version: 1\ncallers: {\"key:*\": {}, \"key:**\": {}}\n", &[(2, 24, "never used: `key:*` is closer", "keep one")]),
    ("version: 1\napprovals: {fallback: oncall}\n", &[(2, 23, "no group `oncall`", "")]),
    ("version: 1\nrules:\n  - {id: a, deny: {callers: [\"*\"]}}\n", &[(3, 30, "does not begin with where", "`deny: {tools: [\"*\"]}`")]),
    (
        "version: 1\nrules:\n  - {id: a, allow: {tools: [github_create_issue]}, approvals: none}\n",
        &[(3, 63, "are a number or a list", "`approvals: 0`")],
    ),
    ("version: 1\napprovals: {default: {expires: 15}}\n", &[(2, 32, "a time like", "did you mean `15m`?")]),
    ("version: 1\nlimits: {timeout: 0s}\n", &[(2, 19, "a time from `1ms` to `30d`", "")]),
    ("version: 1\napprovals: {default: {expires: 999d}}\n", &[(2, 32, "a time from `1ms` to `30d`", "")]),
    ("version: 1\npeople: {ana: {}}\ngroups: {a: [ana, gone]}\n", &[(3, 19, "no person `gone`", "keeps its last policy")]),
    ("version: 1\nrules:\n  - {id: a, deny: {repos: [acme]}}\n", &[(3, 28, "can match nothing", "`acme/*`")]),
    ("version: 1\na: *x\n", &[(2, 4, "unknown", "quotes")]),
    ("version: 1\nrules: &r []\n", &[(2, 11, "anchors and aliases", "")]),
    ("version: 1\nrules: !x []\n", &[(2, 11, "unsupported tag", "")]),
    ("version: 1\nrules:\n\t- id: a\n", &[(3, 2, "tabs", "spaces, not tabs")]),
    ("version: 1\n---\nversion: 1\n", &[(2, 1, "more than one document", "")]),
    ("version: 1\nrules: [\n", &[(2, 8, "unclosed", "")]),
    // All at once, in the order of the file.
    (
        "version: 1\nwrite_mode: onn\nlanguage: xx\nrules:\n  - {id: a, deny: {pats: [x]}}\n",
        &[(2, 13, "`onn`", "`on`"), (3, 11, "`xx`", "`fr`"), (5, 20, "no key `pats`", "`paths`")],
    ),
];

#[test]
fn each_error_has_its_place_and_its_help() {
    let mut wrong = String::new();
    for (text, expected) in CASES {
        let Err(errors) = Policy::parse(text, "p.yaml", &catalogue()) else {
            wrong += &format!("loads: {text}\n");
            continue;
        };
        let fits = |(told, (line, column, message, help)): (&Finding, &Told)| {
            (told.line, told.column) == (*line, *column) && told.message.contains(message) && told.help.as_deref().unwrap_or("").contains(help)
        };
        if errors.all().len() != expected.len() || !errors.all().iter().zip(*expected).all(fits) {
            wrong += &format!("{text}{errors}\nwanted {expected:?}\n\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn an_error_shows_the_line_with_a_caret() {
    let errors = Policy::parse("version: 1\nwrite_mod: off\n", "policy.yaml", &catalogue()).unwrap_err();
    let expected = "the policy has 1 error; it is not used\n  x a policy has no key `write_mod`\n   ,-[policy.yaml:2:1]\n 2 | write_mod: off\n   : ^^^^^^^^^\n   `----\n  help: did you mean `write_mode`?";
    assert_eq!(errors.to_string(), expected);
}

/// Whatever stands in the line: the drawing has no character that a terminal acts on, and the mark is under what is meant.
#[test]
fn nothing_breaks_the_drawing() {
    let long = format!("version: 1\nlanguage: \"{}\"\n", "x".repeat(5000));
    let far = format!("version: 1\nrules: [{}{{id: a, deny: {{pats: [x]}}}}]\n", "{id: b, deny: {paths: [x]}}, ".repeat(300));
    let wide = "version: 1\n漢字漢字: {a: b}\n";
    for text in [
        "version: 1\n\"a\u{1b}[31m\u{202e}b\": 1\n",
        "\u{feff}versio: 1\n",
        "version: 1\r\nlanguage: xx\r\n",
        "version: 1\rlanguage: xx\r",
        "version: 1\nrules:\n\t- id: a\n",
        "version: 1\nlanguage: |\n  a\n  b\n",
        "version: 1\n\u{85}\u{2028}a: 1\n",
        "version: 1\nrules: [",
        wide,
        &long,
        &far,
    ] {
        let Err(errors) = Policy::parse(text, "a\u{1b}[2J.yaml", &catalogue()) else { panic!("loads: {text:?}") };
        let plain = errors.to_string();
        assert!(!plain.chars().any(|c| c != '\n' && c.is_control() || c == '\u{202e}'), "{plain:?}");
        assert!(plain.lines().all(|line| line.chars().count() < 800), "{plain}");
        assert!(plain.contains('^') && plain.contains(".yaml:"), "{plain}");
        assert!(errors.drawn(Look::Terminal).contains('╭'));
    }
    let drawn = policy_error(wide);
    let (line, mark) = drawn.lines().zip(drawn.lines().skip(1)).find(|(_, mark)| mark.contains('^')).unwrap();
    assert!(line.contains("漢字漢字") && mark.ends_with(&format!(": {}", "^".repeat(8))), "{drawn}");
}

fn policy_error(text: &str) -> String {
    Policy::parse(text, "p.yaml", &catalogue()).unwrap_err().to_string()
}

#[test]
fn files_that_are_no_policy_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let missing = Policy::load(&folder.path().join("none.yaml"), &catalogue()).unwrap_err();
    assert!(missing.to_string().contains("cannot be read"), "{missing}");
    let latin = Policy::load(&write("latin.yaml", b"version: 1\nlanguage: \xe9\n"), &catalogue()).unwrap_err();
    assert_eq!((latin.all()[0].line, latin.all()[0].column), (2, 11), "{latin}");
    let large = Policy::load(&write("large.yaml", &vec![b'#'; yaml::MAX_BYTES + 1]), &catalogue()).unwrap_err();
    assert!(large.to_string().contains("larger than"), "{large}");
    for strange in [folder.path(), std::path::Path::new("/dev/zero"), std::path::Path::new("/dev/null"), &fifo(folder.path())] {
        let error = Policy::load(strange, &catalogue()).unwrap_err();
        assert!(error.to_string().contains("no regular file"), "{}: {error}", strange.display());
    }
    let marked = Policy::load(&write("marked.yaml", "\u{feff}version: 1\r\nwrite_mode: off\r\n".as_bytes()), &catalogue());
    assert!(marked.is_ok(), "{}", marked.unwrap_err());
}

const OWNED: &str = "version: 1\npeople: {ana: {github: ana}, ben: {}}\ngroups: {a: [ana], b: [ben]}\ncallers: {\"key:*\": {owner: ana}}\nrules:\n";
const WRITE: &str = "- {id: w, allow: {tools: [github_create_issue]}";
/// A pipe that nobody writes into: opening it to read waits for ever.
fn fifo(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    path
}

#[test]
fn what_has_no_effect_is_a_warning() {
    for (text, part) in [
        ("", "refuses everything"),
        ("version: 1\nrules:\n  - {id: a, deny: {roles: [nobody], paths: [x]}}\n", "no caller has the role `nobody`"),
        ("version: 1\nrules:\n  - {id: a, deny: {paths: [\"*.pem\"]}}\n", "only at the repository's root"),
        ("version: 1\nrules:\n  - {id: a, allow: {tools: [\"*\"]}}\n", "allows writes that it does not name"),
        ("version: 1\nrules:\n  - {id: a, deny: {tools: [cloudwatch_describe_alarms]}}\n", "no tools of `cloudwatch` yet"),
        ("version: 1\nrepositories: {\"**\": {write: true}}\n", "every repository may be written to"),
        (
            "version: 1\npeople: {ana: {}}\ngroups: {a: [ana]}\napprovals: {default: {approvals: [{group: a, count: 2}]}}\n",
            "nobody can give 2 approvals",
        ),
        (&format!("{OWNED}  {WRITE}, approvals: [{{group: a, count: 1}}]}}\n"), "without `ana` the group `a` cannot give 1"),
        (&format!("{OWNED}  {WRITE}, approvals: [{{group: b, count: 1}}]}}\n"), "only 0 of its people have an identity"),
        (&format!("{OWNED}  {WRITE}, approvals: [{{group: b, count: 1}}]}}\n"), "`ben` is asked for approvals and has no identity"),
        (
            "version: 1\ncallers: {\"key:*\": {roles: [ops-eu]}}\nrules:\n  - {id: a, deny: {roles: [ops-us], paths: [x]}}\n",
            "no caller has the role `ops-us`; did you mean `ops-eu`?",
        ),
        ("version: 1\npeople: {ana: {keys: []}}\ngroups: {a: []}\n", "the group `a` has nobody"),
        (
            "version: 1\nrules:\n  - {id: a, mode: shadow, allow: {tools: [workspace_read_file]}}\n",
            "`a` permits nothing: what allows in `mode: shadow`",
        ),
        ("version: 1\nsystems: {github: {}}\n", "`github` says no `mode`, so it is `mock`"),
        (
            "version: 1\nwrite_mode: on\nsystems: {github: {mode: approval_required_write}}\nrules:\n  - {id: a, allow: {tools: [github_create_issue]}}\n",
            "a rule asks for approvals, and this version cannot collect any",
        ),
        ("version: 1\ncallers: {\"key:*\": {roles: [r]}, \"key:a\": {}}\n", "`key:a` has no roles, and `key:*` has some"),
        ("version: 1\ncallers: {\"key:*\": {roles: [r]}, \"key:a-*\": {}}\n", "`key:a-*` has no roles, and `key:*` has some"),
        (
            "version: 1\nsystems: {workspace: {commands: {unit: {argv: [a]}, lint: {argv: [a]}}}}\nrules:\n  - {id: a, deny: {systems: [workspace], methods: [unti]}}\n",
            "no command `unti`; did you mean `unit`?",
        ),
        ("version: 1\nrules:\n  - {id: a, deny: {systems: [workspace], methods: [\"d*\"]}}\n", "no command `d*`; declare it under"),
        (OWNED, "nothing names the group `b`"),
        (
            "version: 1\nwrite_mode: on\nsystems: {github: {mode: read_only}}\nrules:\n  - {id: a, allow: {tools: [github_create_issue]}}\n",
            "permits nothing",
        ),
        ("version: 1\nrules:\n  - {id: a, deny: {paths: [\"src/**\", src/a]}}\n", "`src/**` covers `src/a` already"),
        ("version: 1\nnamespaces: {\"kube-*\": forbidden, kube-a: approval}\n", "`kube-a` has no effect"),
        ("version: 1\nrepositories: {\"a/b\": {}}\n", "has no settings"),
        // Whoever denies something in a hurry must not be left with the policy that permits it.
        ("version: 1\nrules:\n  - {id: a, deny: {paths: [x]}}\n  - {id: b, allow: {paths: [x]}}\n", "`b` has no effect: `a` denies"),
        (
            "version: 1\nrules:\n  - {id: a, deny: {paths: [\"src/**\", \"**/x.pem\"]}}\n  - {id: b, allow: {roles: [r], tools: [workspace_read_file], paths: [\"SRC/a/*\", a/x.pem]}}\n",
            "`b` has no effect: `a` denies",
        ),
    ] {
        let policy = policy(text);
        let told: Vec<String> = policy.warnings().iter().map(ToString::to_string).collect();
        assert!(told.iter().any(|warning| warning.contains(part)), "{text}\n{told:?}");
    }
}

#[test]
fn the_first_byte_that_is_not_utf_8_is_told_by_line_and_column() {
    for (bytes, line, column) in
        [(&b"\xff"[..], 1, 1), (b"version: 1\n# \xc3\xa9\xff\xff", 2, 4), (b"a\r\xffb", 2, 1), (b"a\r\n\xff", 2, 1), (b"a\rb\rc\xe2\x82", 3, 2)]
    {
        let errors = Policy::of_bytes(bytes, "p.yaml", &catalogue()).unwrap_err();
        let first = &errors.all()[0];
        assert_eq!((first.line, first.column), (line, column), "{bytes:?}");
    }
}

#[test]
fn no_rule_allows_what_never_runs_and_any_may_deny_it() {
    let known = crate::catalogue::catalogue().unwrap();
    for forbidden in opsgate_tools::registry::FORBIDDEN {
        let rule = |effect: &str| format!("version: 1\nrules:\n  - {{id: a, {effect}: {{tools: [{}]}}}}\n", forbidden.name);
        let error = Policy::parse(&rule("allow"), "p", &known).unwrap_err().to_string();
        assert!(error.contains("never runs") && error.contains(forbidden.because), "{error}");
        assert!(Policy::parse(&rule("deny"), "p", &known).unwrap().warnings().is_empty(), "{}", forbidden.name);
    }
}

#[test]
fn what_is_said_on_purpose_is_no_warning() {
    for text in [
        "version: 1\ncallers: {\"key:*\": {roles: [r]}, \"key:a\": {roles: []}, \"local:*\": {}}\n",
        "version: 1\nsystems: {github: {mode: mock}, workspace: {commands: {unit: {argv: [a]}}}}\nrules:\n  - {id: a, deny: {systems: [workspace], methods: [UNIT]}}\n",
        "version: 1\nwrite_mode: on\nsystems: {github: {mode: dry_run}}\nrules:\n  - {id: a, allow: {tools: [github_create_issue]}}\n",
        "version: 1\nwrite_mode: on\nsystems: {github: {mode: approval_required_write}}\nrules:\n  - {id: a, allow: {tools: [github_create_issue]}, approvals: 0}\n",
    ] {
        assert!(policy(text).warnings().is_empty(), "{text}: {:?}", policy(text).warnings());
    }
    // To list what is denied would open it.
    let denied = policy("version: 1\nrules:\n  - {id: a, deny: {systems: [github]}}\n");
    assert!(denied.warnings().iter().all(|warning| warning.finding().help.is_none()), "{:?}", denied.warnings());
}

#[test]
fn each_known_name_is_told_once() {
    let errors = policy_error("version: 1\nsystems: {workspace: {commands: {a: {argv: [x]}}}}\ncallers: {\"zzzzzz:a\": {}}\n");
    assert_eq!(errors.matches("`key`").count(), 1, "{errors}");
    assert_eq!(super::super::diagnostics::did_you_mean("zzzzzz", ["a", "b", "a"]).unwrap(), "known: `a`, `b`");
}
