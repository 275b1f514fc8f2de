//! Names that a glob matches, made from its text.

/// The most spellings of one glob's `{a,b}`.
const MOST_CHOICES: usize = 32;

/// Names that the glob's text describes; whoever uses one asks the glob whether it matches.
pub(super) fn instances(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for name in instances_by_choice(text).flat_map(|(_, names)| names) {
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

/// The same for each way to choose from the glob's braces, of which these are the first: the glob without them, and its names.
pub(in super::super) fn instances_by_choice(text: &str) -> impl Iterator<Item = (String, Vec<String>)> {
    choices(text).into_iter().map(|choice| {
        let depths: &[&str] = if choice.contains("**") { &["", "x/", "x/x/"] } else { &[""] };
        let names = depths.iter().filter_map(|deep| filled(&choice, deep)).filter(|name| !name.is_empty()).collect();
        (choice, names)
    })
}

/// The text before the first wildcard and after the last one.
pub(super) fn fixed_ends(text: &str) -> (&str, &str) {
    let wild = ['*', '?', '[', '{', ']', '}'];
    let prefix = text.split(wild).next().unwrap_or_default();
    (prefix, text.rsplit(wild).next().unwrap_or_default())
}

/// The glob with each `{…}` chosen, in every way.
fn choices(text: &str) -> Vec<String> {
    let Some(open) = outside_of_classes(text).find(|(_, c)| *c == '{').map(|(at, _)| at) else { return vec![text.to_owned()] };
    let (before, rest) = text.split_at(open);
    let (mut depth, mut start, mut parts, mut end) = (0usize, 1usize, Vec::new(), rest.len());
    for (at, c) in outside_of_classes(rest) {
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

/// The characters of a glob with their places, without what stands between `[` and `]`.
fn outside_of_classes(text: &str) -> impl Iterator<Item = (usize, char)> {
    let mut resume = 0;
    text.char_indices().filter(move |(at, c)| {
        if *at < resume {
            return false;
        }
        if let (true, Some((_, after))) = (*c == '[', text.get(at + 1..).and_then(Class::read)) {
            resume = text.len() - after.len();
        }
        true
    })
}

/// The characters that a `[…]` matches.
pub(in super::super) struct Class {
    negated: bool,
    ranges: Vec<(char, char)>,
}

impl Class {
    /// Reads what follows `[`, as the matcher does, and returns what follows its `]`.
    pub(in super::super) fn read(text: &str) -> Option<(Self, &str)> {
        let inside = text.strip_prefix(['!', '^']).unwrap_or(text);
        let negated = inside.len() < text.len();
        let (mut ranges, mut is_range): (Vec<(char, char)>, bool) = (Vec::new(), false);
        for (at, c) in inside.char_indices() {
            match c {
                ']' if at > 0 => {
                    ranges.extend(is_range.then_some(('-', '-')));
                    return Some((Self { negated, ranges }, inside.get(at + 1..)?));
                }
                '-' if at > 0 && !is_range => is_range = true,
                _ => match ranges.last_mut().filter(|_| is_range) {
                    Some(last) => {
                        last.1 = c;
                        is_range = false;
                    }
                    None => ranges.push((c, c)),
                },
            }
        }
        None
    }

    /// A character that it matches, a plain one where there is one.
    fn member(&self) -> Option<char> {
        if !self.negated {
            return self.ranges.first().map(|(first, _)| *first);
        }
        let named = |c: &char| self.ranges.iter().any(|(first, last)| [*c, c.to_ascii_uppercase()].iter().any(|c| first <= c && c <= last));
        ('a'..='z').rev().chain('0'..='9').chain('!'..='~').find(|c| *c != '/' && !named(c))
    }
}

/// Each wildcard filled in: `**` with so many folders, the others with one character or a member of the class.
fn filled(glob: &str, deep: &str) -> Option<String> {
    let mut name = String::new();
    let mut rest = glob;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("**/") {
            name += deep;
            rest = after;
        } else if let Some(after) = rest.strip_prefix("**") {
            name += &format!("{deep}x");
            rest = after;
        } else if let (true, Some((class, after))) = (c == '[', rest.strip_prefix('[').and_then(Class::read)) {
            name.push(class.member()?);
            rest = after;
        } else {
            name.push(if matches!(c, '*' | '?') { 'x' } else { c });
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
    }
    Some(name)
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
            "x?",
            "{a,{b,c}/**}",
            "**/.ssh/**",
            "*/*",
            "a/**/b",
            "**/.env{,.*}",
            "[!0-9a-w]x",
            "[]a]",
            "[{,]{a,[,}]}",
        ] {
            let glob = Pattern::parse(text, Subject::Scope(ScopeKind::Path)).unwrap();
            let names = instances(text);
            assert!(names.iter().any(|name| glob.matches_once(Compare::Exact, name)), "{text}: {names:?}");
        }
        assert_eq!(instances("{a,{b,c}}"), ["a", "b", "c"]);
        assert_eq!(instances(".env{,.x}"), [".env", ".env.x"]);
    }
}
