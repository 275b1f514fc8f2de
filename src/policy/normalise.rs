//! One spelling for each thing, before any rule is matched. What has no safe spelling is refused.

use std::borrow::Cow;

use opsgate_tools::scope::ScopeKind;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// The longest value that is matched, in bytes.
const MAX_BYTES: usize = 4096;

/// Why a path cannot be normalised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathProblem {
    /// Nothing in it.
    #[error("the path is empty")]
    Empty,
    /// Longer than any real path.
    #[error("the path is longer than {MAX_BYTES} bytes")]
    TooLong,
    /// Begins with `/`, `C:` or the like.
    #[error("the path is absolute; name it relative to the repository's root")]
    Absolute,
    /// Has a part `..`.
    #[error("the path has a part `..`")]
    Parent,
    /// Has `\`.
    #[error("the path has a backslash; parts are parted by `/`")]
    Backslash,
    /// Has NUL, another control character, or one that is not seen.
    #[error("the path has a control character or an invisible one")]
    Control,
    /// Hides ASCII behind percent signs: `%2e`, `%2f`, `%70`.
    #[error("the path hides characters behind `%`; write them out")]
    Percent,
}

/// Why a reference cannot be normalised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefProblem {
    /// Nothing in it.
    #[error("the reference is empty")]
    Empty,
    /// Longer than any real reference.
    #[error("the reference is longer than {MAX_BYTES} bytes")]
    TooLong,
    /// What `git check-ref-format` refuses.
    #[error("the reference is not a name that git allows")]
    Malformed,
}

/// The one spelling of a path inside a repository: relative, `/` between parts, no `.` or empty parts, Unicode NFC;
/// the root is `.`.
///
/// A part `..` is refused rather than resolved, since a symbolic link before it would make the result another file.
///
/// # Errors
/// [`PathProblem`] says what has no safe spelling.
pub fn normalise_path(path: &str) -> Result<String, PathProblem> {
    path_spelling(path).map(Cow::into_owned)
}

/// The name that rules match for a branch, tag, commit or revision: `refs/heads/`, `refs/tags/` and `refs/remotes/`
/// are dropped, and so is what follows the name in `HEAD~2`, `main^{tree}`, `v1@{yesterday}`. `@` is `HEAD`.
///
/// # Errors
/// [`RefProblem`] where the rest is no name that git allows.
pub fn normalise_ref(reference: &str) -> Result<String, RefProblem> {
    ref_spelling(reference).map(Cow::into_owned)
}

/// The spelling of any scope's value; `None` where there is none.
pub(super) fn scope_spelling(kind: ScopeKind, value: &str) -> Option<Cow<'_, str>> {
    match kind {
        ScopeKind::Path | ScopeKind::Tree => path_spelling(value).ok(),
        ScopeKind::Ref => ref_spelling(value).ok(),
        ScopeKind::Repo => {
            // A forge's `owner/name` or an absolute folder: the rest of the rules for paths hold for both.
            let relative = value.strip_prefix('/').unwrap_or(value);
            let spelt = path_spelling(relative).ok()?;
            match spelt {
                Cow::Borrowed(same) if same.len() == relative.len() => Some(Cow::Borrowed(value)),
                other if relative.len() < value.len() => Some(Cow::Owned(format!("/{other}"))),
                other => Some(Cow::Owned(other.into_owned())),
            }
        }
        _ => {
            if value.is_empty() || value.len() > MAX_BYTES || value.chars().any(unseen) {
                return None;
            }
            Some(nfc(value))
        }
    }
}

/// The form in which deny rules compare, so that no change of case gets round one.
pub(super) fn fold(value: &str) -> Cow<'_, str> {
    if value.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase()) {
        return Cow::Borrowed(value);
    }
    if value.is_ascii() {
        return Cow::Owned(value.to_ascii_lowercase());
    }
    // Down, up and down again, so that `ẞ`, `ſ` and `K` (Kelvin) meet `ss`, `s` and `k`. Each character by itself: a text's own
    // lower case has another `Σ` at the end of a word, and a glob does not end where a name does.
    // Taken apart first, since a Greek iota below moves when it is raised.
    // INVARIANT: what was folded stays (test: folding_twice_is_folding_once).
    let lower = |c: char| c.to_lowercase();
    Cow::Owned(value.nfd().flat_map(lower).flat_map(char::to_uppercase).flat_map(lower).nfc().collect())
}

pub(super) fn path_spelling(path: &str) -> Result<Cow<'_, str>, PathProblem> {
    if path.is_empty() {
        return Err(PathProblem::Empty);
    }
    if path.len() > MAX_BYTES {
        return Err(PathProblem::TooLong);
    }
    if path.starts_with('/') || has_drive(path) {
        return Err(PathProblem::Absolute);
    }
    if path.contains('\\') {
        return Err(PathProblem::Backslash);
    }
    if path.chars().any(unseen) {
        return Err(PathProblem::Control);
    }
    if hides_ascii(path) {
        return Err(PathProblem::Percent);
    }
    let mut tidy = true;
    for part in path.split('/') {
        match part {
            ".." => return Err(PathProblem::Parent),
            "" | "." => tidy = false,
            _ => {}
        }
    }
    if tidy {
        return recheck(nfc(path));
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.is_empty() {
        return Ok(Cow::Borrowed("."));
    }
    let joined = parts.join("/");
    if has_drive(&joined) {
        return Err(PathProblem::Absolute);
    }
    recheck(Cow::Owned(nfc(&joined).into_owned()))
}

/// Composition cannot make a separator or a dot today; this holds it so with any later Unicode table.
fn recheck(path: Cow<'_, str>) -> Result<Cow<'_, str>, PathProblem> {
    if matches!(path, Cow::Borrowed(_)) || path.is_ascii() {
        return Ok(path);
    }
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) || path.contains('\\') || path.chars().any(unseen) || hides_ascii(&path) {
        return Err(PathProblem::Control);
    }
    Ok(path)
}

fn ref_spelling(reference: &str) -> Result<Cow<'_, str>, RefProblem> {
    if reference.is_empty() {
        return Err(RefProblem::Empty);
    }
    if reference.len() > MAX_BYTES {
        return Err(RefProblem::TooLong);
    }
    if reference.chars().any(unseen) {
        return Err(RefProblem::Malformed);
    }
    let end = [reference.find('~'), reference.find('^'), reference.find("@{")].into_iter().flatten().min();
    let (mut name, suffix) = end.and_then(|end| reference.split_at_checked(end)).unwrap_or((reference, ""));
    if !suffix_is_well_formed(suffix) {
        return Err(RefProblem::Malformed);
    }
    if name == "@" || (name.is_empty() && suffix.starts_with("@{")) {
        return Ok(Cow::Borrowed("HEAD"));
    }
    while let Some(rest) = ["refs/heads/", "refs/tags/", "refs/remotes/"].iter().find_map(|prefix| name.strip_prefix(prefix)) {
        name = rest;
    }
    if is_ref_name(name) { Ok(nfc(name)) } else { Err(RefProblem::Malformed) }
}

/// `~`, `^`, digits, `{…}` and `@{…}`, one after another; what is in the braces is git's to read, but it is no path.
fn suffix_is_well_formed(mut suffix: &str) -> bool {
    while !suffix.is_empty() {
        let rest = suffix.trim_start_matches(|c: char| matches!(c, '~' | '^' | '@') || c.is_ascii_digit());
        suffix = match rest.strip_prefix('{') {
            Some(inside) => match inside.split_once('}') {
                Some((text, after)) if !text.contains(['{', '\\']) && !text.contains("..") => after,
                _ => return false,
            },
            None if rest.len() == suffix.len() => return false,
            None => rest,
        };
    }
    true
}

/// The rules of `git check-ref-format --allow-onelevel`, and no leading `-`.
fn is_ref_name(name: &str) -> bool {
    let bad = |c: char| c.is_control() || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\');
    !(name.is_empty()
        || name == "@"
        || name.starts_with('-')
        || name.ends_with('.')
        || name.contains("..")
        || name.contains("@{")
        || hides_ascii(name)
        || name.contains(bad)
        || name.split('/').any(|part| part.is_empty() || part.starts_with('.') || part.ends_with(".lock")))
}

fn nfc(value: &str) -> Cow<'_, str> {
    if value.is_ascii() || is_nfc_quick(value.chars()) == IsNormalized::Yes { Cow::Borrowed(value) } else { Cow::Owned(value.nfc().collect()) }
}

/// `C:`, `c:/x`.
fn has_drive(path: &str) -> bool {
    let mut bytes = path.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic()) && bytes.next() == Some(b':') && matches!(bytes.next(), None | Some(b'/'))
}

/// Whether some `%HH` stands for a printable ASCII character or a control character. A decoder on the way would see
/// another name than the rules did. Spaces and non-ASCII bytes are left alone: they name no separator.
fn hides_ascii(value: &str) -> bool {
    if !value.contains('%') {
        return false;
    }
    let bytes = value.as_bytes();
    bytes.windows(3).any(|window| match window {
        [b'%', high, low] => match (hex(*high), hex(*low)) {
            (Some(high), Some(low)) => matches!(high * 16 + low, 0..=0x1f | 0x21..=0x7f),
            _ => false,
        },
        _ => false,
    })
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Control characters, and those that are drawn as nothing or turn the reading direction.
pub(crate) fn unseen(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}
