//! Paths and references: one spelling, and what rules make of it.

use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization;

use super::super::glob::{Pattern, Subject};
use super::super::normalise::{fold, scope_spelling};
use super::*;
use ScopeKind::{Path, Ref, Repo, Tree};

#[test]
fn a_path_has_one_spelling_or_none() {
    use PathProblem::{Absolute, Backslash, Control, Empty, Parent, Percent, TooLong};
    for (path, spelt) in [
        ("a/b", Ok("a/b")),
        (".", Ok(".")),
        ("./", Ok(".")),
        ("./a//b/./c/", Ok("a/b/c")),
        (".env", Ok(".env")),
        ("...", Ok("...")),
        ("a b%20c", Ok("a b%20c")),
        ("100%", Ok("100%")),
        ("%C3%A9", Ok("%C3%A9")),
        ("cafe\u{301}", Ok("caf\u{e9}")),
        ("c:x", Ok("c:x")),
        ("", Err(Empty)),
        ("/etc/passwd", Err(Absolute)),
        ("//x", Err(Absolute)),
        ("c:/x", Err(Absolute)),
        ("./C:/x", Err(Absolute)),
        ("..", Err(Parent)),
        ("a/../b", Err(Parent)),
        ("a\\b", Err(Backslash)),
        ("a\0b", Err(Control)),
        ("a\nb", Err(Control)),
        ("a\u{202e}b", Err(Control)),
        ("a\u{200b}b", Err(Control)),
        ("%2e%2e/x", Err(Percent)),
        ("a%2Fb", Err(Percent)),
        ("a%5cb", Err(Percent)),
        ("a%00", Err(Percent)),
        ("%252e", Err(Percent)),
        ("x.%70em", Err(Percent)),
    ] {
        assert_eq!(normalise_path(path).as_deref(), spelt.as_ref().copied(), "{path:?}");
    }
    assert_eq!(normalise_path(&"a".repeat(5000)), Err(TooLong));
}

#[test]
fn a_reference_is_matched_by_its_name() {
    for (reference, name) in [
        ("main", Some("main")),
        ("refs/heads/main", Some("main")),
        ("refs/heads/refs/tags/v1", Some("v1")),
        ("refs/remotes/origin/main", Some("origin/main")),
        ("HEAD~2^{tree}", Some("HEAD")),
        ("HEAD^^2~3", Some("HEAD")),
        ("main@{yesterday}", Some("main")),
        ("main@{2 days ago}", Some("main")),
        ("@", Some("HEAD")),
        ("@{u}", Some("HEAD")),
        ("@~1", Some("HEAD")),
        ("feature/ä", Some("feature/ä")),
        ("", None),
        ("-x", None),
        ("--upload-pack=x", None),
        ("a..b", None),
        ("a...b", None),
        ("main:src/x", None),
        ("a b", None),
        ("a//b", None),
        ("/a", None),
        ("a/", None),
        (".a", None),
        ("a/.b", None),
        ("a.lock", None),
        ("a.", None),
        ("a\\b", None),
        ("a*", None),
        ("a\0", None),
        ("main^{/../x}", None),
        ("main~x", None),
        ("~1", None),
    ] {
        assert_eq!(normalise_ref(reference).ok().as_deref(), name, "{reference:?}");
    }
}

#[test]
fn deny_globs_hide_what_is_beneath_and_folders_that_are_hidden_whole() {
    for (glob, files, shown, folders, open) in [
        (
            "secrets/**",
            &["secrets/a", "SECRETS/a/b"][..],
            &["secrets2/a", "a/secrets/b"][..],
            &["secrets", "secrets/a", "Secrets"][..],
            &[".", "a"][..],
        ),
        ("**/*.pem", &["a.pem", "b/c.PEM", "b/d.pem/e"], &["a.pem2", "pem"], &["x.pem", "x.pem/y"], &[".", "src"]),
        ("**/.env*", &[".env", "a/.env.local", ".envs/x"], &["env", "a.env"], &[".envs"], &[".", "a"]),
        ("secrets", &["secrets", "secrets/a/b"], &["a/secrets"], &["secrets", "secrets/a"], &["."]),
        ("**/private/**", &["private/a", "a/private/b"], &["privately/a"], &["private", "a/private", "a/private/b"], &["."]),
        ("secret**", &["secrets", "secrets/x", "SECRET/x/y"], &["a/secrets"], &["secrets", "secret/x"], &["."]),
        ("**/.priv**", &["a/.private/x", ".priv"], &["priv"], &["a/.private"], &[".", "a"]),
        ("**", &["a", "a/b"], &[], &[".", "a"], &[]),
        ("*", &["a", "a/b"], &[], &[".", "a"], &[]),
        (".*", &[".a", ".a/b"], &["a", "a/.b"], &[".git"], &[".", "a"]),
        ("?", &["a"], &["ab"], &["a"], &[".", "ab"]),
        ("*.[pP]em", &["A.PEM"], &["a.pen"], &[], &["."]),
        ("K", &["\u{212a}", "k"], &[], &[], &[]), // the Kelvin sign folds to k
        ("stra\u{df}e/**", &["STRA\u{1e9e}E/x", "STRASSE/x", "stra\u{df}e/x"], &["strase/x"], &[], &["."]),
        ("caf\u{e9}", &["cafe\u{301}", "CAF\u{c9}"], &["cafe"], &[], &[]),
        ("stra\u{df}e", &["STRASSE", "STRA\u{1e9e}E", "strasse/a"], &["strase"], &[], &[]),
        ("\u{df}[0-9]", &["\u{df}1", "SS1", "\u{1e9e}1"], &["s1"], &[], &[]),
        ("?.txt", &["\u{e9}.txt", "\u{20ac}.TXT", "\u{1f600}.txt"], &["ab.txt", ".txt", "a/.txt"], &[], &[]),
        ("[!k-z]?", &["\u{e9}a", "AB", "a\u{e9}"], &["K\u{e9}", "\u{212a}a", "a/"], &[], &[]),
        ("{a?,[b]}c", &["aXc", "a\u{e9}c", "BC"], &["aXYc", "ac"], &[], &[]),
        ("*\u{3a3}.txt", &["\u{391}\u{3a3}.txt", "\u{3b1}\u{3c2}.txt"], &["\u{391}.txt"], &[], &[]), // a Σ that ends a word
    ] {
        let policy = policy(&format!(
            "version: 1\ndefaults: {{read: allow}}\ncallers: {{\"local:*\": {{}}}}\nsystems: {{workspace: {{}}}}\nrules:\n  - {{id: a, deny: {{paths: [\"{glob}\"]}}}}\n"
        ));
        let denied = |kind, path: &str| Ask::new("workspace_search_code", &[(Repo, "/r"), (kind, path)]).outcome(&policy) == "rule_denied";
        for (kind, paths, expected) in [(Path, files, true), (Path, shown, false), (Tree, folders, true), (Tree, open, false)] {
            for path in paths {
                assert_eq!(denied(kind, path), expected, "{glob} {kind} {path}");
            }
        }
    }
}

#[test]
fn every_character_folds_with_its_cases_and_once() {
    let mut wrong = Vec::new();
    let cased = |c: &char| !c.to_lowercase().eq([*c]) || !c.to_uppercase().eq([*c]);
    for c in ('\u{80}'..=char::MAX).filter(cased) {
        for text in [c.to_string(), format!("a{c}"), format!("{c}\u{301}\u{345}")] {
            let (folded, apart) = (fold(&text), text.nfd().collect::<String>());
            if fold(&folded) != folded || fold(&apart.to_uppercase()) != folded || fold(&apart.to_lowercase()) != folded {
                wrong.push(text.escape_unicode().to_string());
            }
        }
    }
    assert!(wrong.is_empty(), "{} as {wrong:?}", wrong.len());
}

#[test]
fn the_closer_glob_comes_first() {
    let mut globs: Vec<Pattern> = ["**", "*/*", "acme/**", "acme/*", "acme/a*", "acme/app", "acme/a*p", "*/app"]
        .iter()
        .map(|glob| Pattern::parse(glob, Subject::Scope(Repo)).unwrap())
        .collect();
    globs.sort_by(Pattern::closest_first);
    let order: Vec<&str> = globs.iter().map(Pattern::text).collect();
    assert_eq!(order, ["acme/app", "acme/a*p", "acme/a*", "acme/*", "acme/**", "*/app", "*/*", "**"]);
}

proptest! {
    #[test]
    fn a_spelling_is_clean_and_stays(path in "(?s)([a-zA-Z0-9._%/~ e\u{301}\u{212a}-]|\\.\\./|%2[eEfF]|\\\\|\\PC|.){0,24}") {
        if let Ok(spelt) = normalise_path(&path) {
            prop_assert!(!spelt.starts_with('/') && !spelt.is_empty());
            prop_assert!(spelt.split('/').all(|part| part != ".."));
            prop_assert!(spelt == "." || spelt.split('/').all(|part| !part.is_empty() && part != "."));
            let lower = spelt.to_ascii_lowercase();
            prop_assert!(!spelt.contains(['\0', '\\']) && !lower.contains("%2e") && !lower.contains("%2f") && !lower.contains("%5c"));
            prop_assert_eq!(normalise_path(&spelt), Ok(spelt.clone()));
            prop_assert_eq!(fold(&fold(&spelt)).into_owned(), fold(&spelt).into_owned());
        }
    }

    #[test]
    fn folding_twice_is_folding_once(text in "(?s)([\\u{300}-\\u{370}a-zßẞſKΣςİıǰΐ]|.){0,24}") {
        let folded = fold(&text).into_owned();
        prop_assert_eq!(fold(&folded).into_owned(), folded.clone());
        prop_assert_eq!(fold(&text.nfd().collect::<String>().to_uppercase()).into_owned(), folded);
    }

    #[test]
    fn a_reference_s_name_stays(reference in "(refs/heads/|refs/tags/|[a-z@~^{}/.:0-9-]|\\PC){0,12}") {
        if let Ok(name) = normalise_ref(&reference) {
            prop_assert!(!name.contains("..") && !name.contains([' ', '~', '^', ':', '?', '*', '[', '\\', '\0']) && !name.starts_with(['/', '-']));
            prop_assert_eq!(normalise_ref(&name), Ok(name.clone()));
        }
    }

    #[test]
    fn any_value_of_any_kind_is_spelt_once(kind in prop::sample::select(&ScopeKind::ALL[..]), value in "(?s).{0,16}") {
        if let Some(spelt) = scope_spelling(kind, &value) {
            prop_assert_eq!(scope_spelling(kind, &spelt).map(std::borrow::Cow::into_owned), Some(spelt.clone().into_owned()));
        }
    }

    #[test]
    fn no_glob_makes_the_loader_panic(glob in "[a-c*?\\[\\]{},!/.^\\\\-]{0,24}") {
        let text = format!("version: 1\nrules:\n  - {{id: a, deny: {{paths: ['{glob}']}}}}\n");
        let _ = Policy::parse(&text, "p.yaml", &catalogue());
    }

    #[test]
    fn no_text_makes_the_loader_panic(text in "(version: 1\n|rules:|  - |id: |[{}\\[\\]:,\"'&*#|>\n -]|deny|paths|\\PC){0,30}") {
        let _ = Policy::parse(&text, "p.yaml", &catalogue());
    }
}

#[test]
fn references_are_folded_and_stripped_before_a_denial_is_asked() {
    let policy = policy(
        "version: 1\ndefaults: {read: allow}\ncallers: {\"local:*\": {}}\nsystems: {github: {}}\nrules:\n  - {id: a, deny: {refs: [main, \"release/*\"]}}\n",
    );
    for (reference, outcome) in [
        ("main", "rule_denied"),
        ("refs/heads/MAIN~1", "rule_denied"),
        ("release/1^{commit}", "rule_denied"),
        ("dev", "permit"),
        ("a..main", "unnormalisable"),
    ] {
        assert_eq!(Ask::new("github_get_file", &[(Ref, reference)]).outcome(&policy), outcome, "{reference}");
    }
}
