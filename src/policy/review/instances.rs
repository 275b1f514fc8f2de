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
                Some(excluded) => ('0'..='z').filter(char::is_ascii_alphanumeric).chain(OTHERS.chars()).find(|c| !is_in_class(excluded, *c)),
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

/// What is tried where a class excludes every letter and figure.
const OTHERS: &str = "_-.+@~=,é";

/// Whether a class, `a-z_`, has the character.
fn is_in_class(class: &str, c: char) -> bool {
    let members: Vec<char> = class.chars().collect();
    let is_in_range = |range: &[char]| matches!(range, [from, '-', to] if (*from..=*to).contains(&c));
    members.contains(&c) || members.windows(3).any(is_in_range)
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
            "[!a-z0-9A-Z]*",
            "[!!-~]*",
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
