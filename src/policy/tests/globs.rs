//! Globs: what is looked up matches as the glob does.

use proptest::prelude::*;

use super::super::glob::{Compare, Subject, compile};
use super::super::glob_table::GlobTable;
use super::super::normalise::fold;
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
    let part = prop_oneof![4 => name().prop_map(str::to_owned), 1 => prop::sample::select(vec!["*", "**", "*.b", "*.a.b", "?", "{a,b}", "[ab]", "!a", "a*"]).prop_map(str::to_owned)];
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
