//! The small language that a rule's shape is written in, and its matcher.
//!
//! A shape is literal text with counted classes: `ghp_{a36-255}` is `ghp_` and then 36 to 255
//! letters or digits. Matching is greedy, goes forward only and never back, so it is linear.
//!
//! | class | bytes | class | bytes |
//! | --- | --- | --- | --- |
//! | `a` | `A-Z a-z 0-9` | `h` | `0-9 a-f` |
//! | `w` | `a` and `_ -` | `H` | `h` and `A-F` |
//! | `v` | `a` and `_` | `d` | `0-9` |
//! | `u` | `A-Z 0-9` | `l` | `a-z 0-9` |
//! | `b` | `a` and `+ / =` | `B` | `b` and `_ -` |
//! | `t` | `w` and `. ~ =` | `5` | `A-Z 2-7` |
//! | `e` | any of `w` and `%` | `n` | `l` and `-` |

/// Longest body of a class without an upper bound; longer ones are no credential.
const OPEN: usize = 8192;

/// A parsed shape.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Literal(Vec<u8>),
    Class { class: u8, min: usize, max: usize },
}

/// Whether `byte` belongs to the class named `class`.
pub(super) const fn in_class(class: u8, byte: u8) -> bool {
    match class {
        b'a' => byte.is_ascii_alphanumeric(),
        b'w' => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'),
        b'v' => byte.is_ascii_alphanumeric() || byte == b'_',
        b'u' => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
        b'l' => byte.is_ascii_lowercase() || byte.is_ascii_digit(),
        b'n' => byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-',
        b's' => byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'),
        b'L' => byte.is_ascii_lowercase(),
        b'h' => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        b'H' => byte.is_ascii_hexdigit(),
        b'd' => byte.is_ascii_digit(),
        b'b' => byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='),
        b'B' => byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'_' | b'-'),
        b't' => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'~' | b'='),
        b'e' => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'%'),
        b'5' => matches!(byte, b'A'..=b'Z' | b'2'..=b'7'),
        _ => false,
    }
}

impl Shape {
    /// Reads a shape; a brace that opens no class is literal text.
    pub(super) fn parse(source: &str) -> Self {
        let mut parts = Vec::new();
        let mut literal = Vec::new();
        let mut rest = source;
        while let Some(first) = rest.bytes().next() {
            if let Some((part, after)) = parse_class(rest) {
                if !literal.is_empty() {
                    parts.push(Part::Literal(std::mem::take(&mut literal)));
                }
                parts.push(part);
                rest = after;
            } else {
                literal.push(first);
                rest = rest.get(1..).unwrap_or_default();
            }
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Self { parts }
    }

    /// The end of the match that begins at `start`, where the text after it does not go on.
    pub(super) fn match_at(&self, text: &[u8], start: usize, ends: &mut RunEnds) -> Option<usize> {
        let mut at = start;
        let mut last = b'a';
        for part in &self.parts {
            match part {
                Part::Literal(literal) => {
                    if !text.get(at..)?.starts_with(literal) {
                        return None;
                    }
                    at += literal.len();
                    last = b'a';
                }
                Part::Class { class, min, max } => {
                    let body = (ends.end(text, at, *class) - at).min(*max);
                    if body < *min {
                        return None;
                    }
                    at += body;
                    last = *class;
                }
            }
        }
        // The end of a sentence, or the next part of a path.
        let ends = match text.get(at) {
            Some(b'.') => !text.get(at + 1).is_some_and(u8::is_ascii_alphanumeric),
            Some(b'/') => true,
            _ => false,
        };
        let goes_on = !ends && text.get(at).is_some_and(|byte| in_class(last, *byte) || byte.is_ascii_alphanumeric());
        (!goes_on).then_some(at)
    }

    /// Whether a match can begin with `byte`.
    pub(super) fn can_begin(&self, byte: u8) -> bool {
        match self.parts.first() {
            Some(Part::Literal(literal)) => literal.first() == Some(&byte),
            Some(Part::Class { class, .. }) => in_class(*class, byte),
            None => false,
        }
    }

    /// The literal that a match begins with, empty where it begins with a class.
    pub(super) fn first_literal(&self) -> &[u8] {
        match self.parts.first() {
            Some(Part::Literal(literal)) => literal,
            _ => &[],
        }
    }

    /// How many letters and digits a match begins with, as far as its first class says.
    pub(super) fn first_letters(&self) -> usize {
        match self.parts.first() {
            Some(Part::Class { class, min, .. }) if (0..=u8::MAX).all(|byte| !in_class(*class, byte) || byte.is_ascii_alphanumeric()) => *min,
            _ => 0,
        }
    }

    #[cfg(test)]
    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }
}

/// Remembers where the run of a class ends, so that however many matches are tried inside it, its
/// bytes are read once for each class. Starts must not go back below an earlier run's end.
#[derive(Debug, Default)]
pub(super) struct RunEnds {
    /// By class: a run's known part.
    known: [(usize, usize); CLASSES.len()],
    /// Checks that failed in this run of the text.
    pub(super) failed_checks: usize,
}

/// All classes, each at its place in [`RunEnds`].
const CLASSES: &[u8; 16] = b"awvulLsnhHdbBte5";

impl RunEnds {
    /// Forgets the failed checks of the last run.
    pub(super) const fn new_run(&mut self) {
        self.failed_checks = 0;
    }

    /// How many letters and digits stand from `at` on.
    pub(super) fn letters(&mut self, text: &[u8], at: usize) -> usize {
        self.end(text, at, b'a') - at
    }

    fn end(&mut self, text: &[u8], at: usize, class: u8) -> usize {
        let scan = |from: usize| from + text.get(from..).unwrap_or_default().iter().take_while(|byte| in_class(class, **byte)).count();
        let Some(known) = memchr::memchr(class, CLASSES).and_then(|place| self.known.get_mut(place)) else { return at };
        if !(known.0..known.1).contains(&at) {
            *known = (at, scan(at));
        }
        known.1.max(at)
    }
}

/// Reads `{c20}`, `{c20-40}` or `{c20-}` at the start of `source`.
fn parse_class(source: &str) -> Option<(Part, &str)> {
    let (inside, after) = source.strip_prefix('{')?.split_once('}')?;
    let (class, range) = inside.split_at_checked(1)?;
    let class = class.bytes().next()?;
    let (min, max) = match range.split_once('-') {
        None => (range.parse().ok()?, range.parse().ok()?),
        Some((min, "")) => (min.parse().ok()?, OPEN),
        Some((min, max)) => (min.parse().ok()?, max.parse().ok()?),
    };
    Some((Part::Class { class, min, max }, after))
}
