//! Names that a glob matches, made from its text.

/// The most spellings of one glob's `{a,b}`.
const MOST_CHOICES: usize = 32;

/// Names that the glob's text describes; whoever uses one asks the glob whether it matches.
pub(super) fn instances(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for choice in choices(text) {
        for deep in ["", "x/", "x/x/"] {
            let name = filled(&choice, deep);
            if !name.is_empty() && !found.contains(&name) {
                found.push(name);
            }
        }
    }
    found
}

/// The text before the first wildcard and after the last one.
pub(super) fn fixed_ends(text: &str) -> (&str, &str) {
    let wild = ['*', '?', '[', '{', ']', '}'];
    let prefix = text.split(wild).next().unwrap_or_default();
    (prefix, text.rsplit(wild).next().unwrap_or_default())
}

/// The glob with each `{…}` chosen, in every way.
fn choices(text: &str) -> Vec<String> {
    let Some(open) = text.find('{') else { return vec![text.to_owned()] };
    let (before, rest) = text.split_at(open);
    let (mut depth, mut start, mut parts, mut end) = (0usize, 1usize, Vec::new(), rest.len());
    for (at, c) in rest.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if (c == ',' && depth == 1) || (c == '}' && depth == 0) {
            parts.extend(rest.get(start..at));
            start = at + 1;
        }
        if depth == 0 {
            end = at + 1;
            break;
        }
    }
    let after = rest.get(end..).unwrap_or_default();
    let all = parts.iter().flat_map(|part| choices(&format!("{before}{part}{after}")));
    all.take(MOST_CHOICES).collect()
}

/// Each wildcard filled in: `**` with so many folders, the others with one character or a member of the class.
fn filled(glob: &str, deep: &str) -> String {
    let mut name = String::new();
    let mut rest = glob;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("**/") {
            name += deep;
            rest = after;
        } else if let Some(after) = rest.strip_prefix("**") {
            name += &format!("{deep}x");
            rest = after;
        } else if let (true, Some((class, after))) = (c == '[', rest.strip_prefix('[').and_then(|inside| inside.split_once(']'))) {
            let excluded = class.strip_prefix(['!', '^']);
            let member = match excluded {
                Some(excluded) => ('0'..='z').find(|c| c.is_ascii_alphanumeric() && !excluded.contains(*c)),
                None => class.chars().next(),
            };
            name.extend(member);
            rest = after;
        } else {
            name.push(if matches!(c, '*' | '?') { 'x' } else { c });
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use opsgate_tools::scope::ScopeKind;

    use super::super::super::glob::{Compare, Pattern, Subject};
    use super::*;

    #[test]
    fn every_glob_has_a_name_that_it_matches() {
        for text in [
            "**",
            "*",
            "a",
            "a/**",
            "**/*.pem",
            "**/.env*",
            "**/id_{rsa,dsa}*",
            "[a-d]*/**",
            "[!a-z]x",
            "x?",
            "{a,{b,c}/**}",
            "**/.ssh/**",
            "*/*",
            "a/**/b",
        ] {
            let glob = Pattern::parse(text, Subject::Scope(ScopeKind::Path)).unwrap();
            let names = instances(text);
            assert!(names.iter().any(|name| glob.matches_once(Compare::Exact, name)), "{text}: {names:?}");
        }
        assert_eq!(instances("{a,{b,c}}"), ["a", "b", "c"]);
    }
}
