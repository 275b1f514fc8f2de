//! Globs: what is looked up matches as the glob does.

use proptest::prelude::*;

use super::super::glob::{Compare, Pattern, Subject, compile};
use super::super::glob_table::GlobTable;
use super::super::normalise::fold;
use super::super::review::instances::instances_by_choice;
use super::*;

const SUBJECTS: [Subject; 4] = [Subject::Scope(ScopeKind::Path), Subject::Scope(ScopeKind::Metric), Subject::Caller, Subject::Tool];

/// Names that meet each other: endings, dots alone, upper case, what folds to ASCII.
fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "ab", "a.b", ".b", "b.", "A", "a.B", "ſ", "s", "é", ""])
}

fn value() -> impl Strategy<Value = String> {
    prop::collection::vec(name(), 1..5).prop_map(|parts| parts.join("/"))
}

fn glob() -> impl Strategy<Value = String> {
    let part = prop_oneof![4 => name().prop_map(str::to_owned), 1 => prop::sample::select(vec!["*", "**", "*.b", "*.a.b", "?", "{a,b}", "a{,.b}", "{,a}", "{b,}.b", "[ab]", "[!a-y]", "[]a]", "!a", "a*"]).prop_map(str::to_owned)];
    let middle = prop::collection::vec(part, 1..4).prop_map(|parts| parts.join("/"));
    (prop::sample::select(vec!["", "**/", "**/*.", "/"]), middle, prop::sample::select(vec!["", "/**", "/*", "/*/**"]))
        .prop_map(|(before, middle, after)| format!("{before}{middle}{after}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn looking_up_is_matching(
        globs in prop::collection::vec(glob(), 1..4),
        values in prop::collection::vec(value(), 12),
        subject in prop::sample::select(SUBJECTS.to_vec()),
        compare in prop::sample::select(vec![Compare::Exact, Compare::Folded]),
    ) {
        let matchers: Vec<_> = globs.iter().zip(0..).filter_map(|(glob, owner)| Some((glob, owner, compile(glob, subject, compare).ok()?.compile_matcher()))).collect();
        let matchers: Vec<_> = matchers.into_iter().filter(|(glob, ..)| !glob.is_empty()).collect();
        let table = GlobTable::new(matchers.iter().map(|(glob, owner, _)| (glob, *owner)), subject, compare).unwrap();
        for value in values {
            let value = if compare == Compare::Folded { fold(&value).into_owned() } else { value };
            let expected: Vec<u32> = matchers.iter().filter(|(.., matcher)| matcher.is_match(&value)).map(|(_, owner, _)| *owner).collect();
            let mut found = Vec::new();
            table.each_match(&value, |owner| found.push(owner));
            found.sort_unstable();
            found.dedup();
            prop_assert_eq!(&found, &expected, "{:?} against `{}`", globs, value);
            prop_assert_eq!(table.is_match(&value), !expected.is_empty());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn every_glob_matches_the_names_made_from_it(text in glob()) {
        for subject in SUBJECTS.into_iter().filter(|subject| *subject != Subject::Caller) {
            let Ok(glob) = Pattern::parse(&text, subject) else { continue };
            for (_, names) in instances_by_choice(&text) {
                for compare in [Compare::Exact, Compare::Folded] {
                    prop_assert!(names.iter().any(|name| glob.matches_once(compare, name)), "{text}: {names:?} {compare:?}");
                }
            }
        }
    }
}

/// Globs that are taken, with what each matches and what it does not, as a denial and as a permission.
const MEANT: &[(&str, &[&str], &[&str])] = &[
    ("**/.env{,.*}", &[".env", "a/.env", ".env.local"], &[".envrc", "env"]),
    ("**/id_rsa{,.pub}", &["id_rsa", "a/id_rsa.pub"], &["id_rsa.pu"]),
    ("a{,/**}", &["a", "a/b/c"], &["b", "ab"]),
    ("{src/,}x", &["src/x", "x"], &["srcx"]),
    ("**/[0-9]{a,b}[,]", &["1a,", "x/2b,"], &["a,", "1a"]),
    ("É[a-c]*", &["Éa", "Éax"], &["É", "Éd"]),
    ("**/{é,ü}*", &["é", "x/üx"], &["e"]),
    ("a [!b] c", &["a x c"], &["a b c"]),
];

#[test]
fn every_glob_that_is_taken_matches_what_it_says() {
    for (text, yes, no) in MEANT {
        let glob = Pattern::parse(text, Subject::Scope(ScopeKind::Path)).unwrap_or_else(|(message, _)| panic!("{message}"));
        for compare in [Compare::Exact, Compare::Folded] {
            let matched = |name: &&&str| glob.matches_once(compare, name);
            assert!(yes.iter().all(|name| matched(&name)) && !no.iter().any(|name| matched(&name)), "{text} {compare:?}");
        }
        let denial = policy(&format!(
            "version: 1\ncallers: {{\"local:*\": {{}}}}\nsystems: {{workspace: {{}}}}\ndefaults: {{read: allow}}\nrules:\n  - {{id: a, deny: {{paths: [\"{text}\"]}}}}\n"
        ));
        for (name, outcome) in yes.iter().map(|name| (name, "rule_denied")).chain(no.iter().map(|name| (name, "permit"))) {
            let asked = Ask::new("workspace_read_file", &[(ScopeKind::Path, name)]);
            assert_eq!(asked.outcome(&denial), outcome, "{text} {name}");
        }
        for name in *yes {
            assert_eq!(Ask::new("workspace_read_file", &[(ScopeKind::Path, &name.to_uppercase())]).outcome(&denial), "rule_denied", "{text} {name}");
        }
    }
}

const PATH: Subject = Subject::Scope(ScopeKind::Path);
const REPO: Subject = Subject::Scope(ScopeKind::Repo);
const REF: Subject = Subject::Scope(ScopeKind::Ref);

/// What nobody can mean in a glob, a part of the message, and a part of the help.
const SLIPS: &[(Subject, &str, &str, &str)] = &[
    (PATH, "a[[:digit:]]", "`[:…:]`", "`[0-9]`"),
    (PATH, "a{}", "nothing to choose", "drop"),
    (PATH, "a{,}", "nothing to choose", "drop"),
    (PATH, "**/*.{yml, yaml}", "a space", "`{yml,yaml}`"),
    (PATH, "**/*.{yml ,yaml}", "a space", "`{yml,yaml}`"),
    (PATH, "**/*.{ yml}", "a space", ""),
    (PATH, "**/.env,**/x", "a comma", "two globs"),
    (PATH, "a|b", "a `|`", "`{a,b}`"),
    (Subject::Tool, "workspace_read_file|policy_whoami", "a `|`", "`{a,b}`"),
    (PATH, "!src/**", "begins with `!`", "apart"),
    (PATH, "~/.ssh/**", "begins with `~/`", "root"),
    (PATH, "%2eenv", "can match nothing", "behind `%`"),
    (PATH, "**/%2e%2e/x", "can match nothing", "behind `%`"),
    (PATH, "C:/x", "can match nothing", "absolute"),
    (PATH, "{src,}/x", "chosen as `/x`", ""),
    (PATH, "[é-ü]", "beyond ASCII in `[é-ü]`", "in braces"),
    (PATH, "x\u{200b}y", "an invisible one", ""),
    (REPO, "acme/a%2fb", "can match nothing", "behind `%`"),
    (REPO, "acme", "can match nothing", "`acme/*`"),
    (REPO, "*", "can match nothing", "`**`"),
    (REPO, "{acme/app,acme}", "chosen as `acme`", "`acme/*`"),
    (REPO, "github.com/acme/app", "can match nothing", "write `acme/app`"),
    (REPO, "https://github.com/acme/app", "is an address", "`owner/name`"),
    (REPO, "git@github.com:acme/app.git", "is an address", "`owner/name`"),
    (REPO, "acme/app.git", "can match nothing", "write `acme/app`"),
    (REPO, "acme/app/**", "can match nothing", "`owner/name`"),
    (REPO, "srv/src/app", "can match nothing", "`/srv/src/app`"),
    (REF, "refs/heads/main", "can match nothing", "write `main`"),
    (REF, "refs/heads/**", "can match nothing", "write `**`"),
    (REF, "{x,refs/tags/v*}", "chosen as `refs/tags/v*`", "write `v*`"),
    (REF, "refs/{heads,tags}/main", "chosen as `refs/heads/main`", "write `main`"),
    (REF, "refs/remotes/origin/main", "can match nothing", "write `origin/main`"),
    (REF, "refs/*/main", "by their folder", "write `main`"),
    (REF, "refs/**", "by their folder", "`**`"),
    (REF, "HEAD~1", "can match nothing", "write `HEAD`"),
    (REF, "main^{commit}", "can match nothing", "write `main`"),
    (REF, "@", "can match nothing", "write `HEAD`"),
    (REF, "a b", "can match nothing", "not a name that git allows"),
    (REF, "x/*.lock", "can match nothing", "not a name that git allows"),
];

#[test]
fn what_nobody_can_mean_in_a_glob_is_refused() {
    for (subject, text, part, advice) in SLIPS {
        let (message, help) = Pattern::parse(text, *subject).expect_err(text);
        assert!(message.contains(part) && help.is_some_and(|help| help.contains(advice)), "{text}: {message}");
    }
    for (subject, text) in [(REF, "origin/main"), (REF, "refs/pull/**"), (REF, "**"), (REF, "release-[0-9]*"), (REF, "{main,release/*}")] {
        assert!(Pattern::parse(text, subject).is_ok(), "{text}");
    }
    for text in
        ["acme/app", "acme/*", "**", "*/*", "**/app", "/srv/app", "/srv/x.git", "/srv/**", "acme/**", "acme/**/app", "*/app", "{acme,/srv}/app"]
    {
        assert!(Pattern::parse(text, REPO).is_ok(), "{text}");
    }
    assert!(Pattern::parse("jwt:https://id.example|CN=a,O=b", Subject::Caller).is_ok());
}
