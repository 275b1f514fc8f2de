//! Globs: compiled once, compared in one of two ways.
//!
//! - A **deny** glob is compared without regard to case, so that no spelling gets round it.
//! - An **allow** glob is compared exactly, so that nothing is allowed by likeness.
//!
//! `*` and `?` stay within one part of a name, `**` crosses parts, `{a,b}`, `{,a}` and `[a-z]` choose. In a caller's name
//! there are no parts: `*` matches anything there. What nobody can mean is refused (`glob_slips`).

use std::borrow::Cow;
use std::cmp::Ordering;

use globset::{Glob, GlobBuilder};
use opsgate_tools::scope::ScopeKind;
use unicode_normalization::UnicodeNormalization;

use super::glob_slips;
use super::glob_table::{Fixed, GlobTable, WILD};
use super::normalise::{fold, unseen};

/// The longest glob, in bytes.
pub(super) const MAX_BYTES: usize = 512;

/// The most `{` in one glob: each multiplies what the matcher must hold.
const MAX_BRACES: usize = 8;

/// How a glob is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compare {
    Folded,
    Exact,
}

/// What a glob is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    /// A value of this kind.
    Scope(ScopeKind),
    /// A caller's name, which has no parts.
    Caller,
    /// A tool's name.
    Tool,
    /// A folder on this machine.
    Folder,
}

/// A glob that compiles, as it was written (in Unicode NFC).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    text: String,
    subject: Subject,
}

impl Pattern {
    /// Parses a glob; the error says what is wrong with it and what to write.
    pub(super) fn parse(text: &str, subject: Subject) -> Result<Self, (String, Option<String>)> {
        if text.trim().is_empty() {
            return Err(("the glob is empty".into(), Some("it would match nothing; name something or drop it".into())));
        }
        if text.len() > MAX_BYTES {
            return Err((format!("the glob is longer than {MAX_BYTES} bytes"), None));
        }
        if text.contains(unseen) {
            return Err((format!("the glob `{text}` has a control character or an invisible one"), Some("no name that is compared has one".into())));
        }
        if text.trim() != text {
            return Err((format!("the glob `{text}` begins or ends with a space"), None));
        }
        if text.contains('\\') {
            return Err((format!("the glob `{text}` has a backslash"), Some("parts are parted by `/`; match a special character as `[*]`".into())));
        }
        if let Some(class) = pieces(text).find(|piece| piece.starts_with('[') && !piece.is_ascii()) {
            let message = format!("the glob `{text}` has a character beyond ASCII in `{class}`, where it would match nothing");
            return Err((message, Some("name each in braces: `{é,è}`".into())));
        }
        if let Some(slip) = glob_slips::of_text(text, subject) {
            return Err(slip);
        }
        if matches!(subject, Subject::Scope(ScopeKind::Path | ScopeKind::Tree | ScopeKind::Repo) | Subject::Folder) {
            path_shape(text, subject)?;
        }
        if braces(text) > MAX_BRACES {
            return Err((format!("the glob `{text}` nests or repeats `{{` more than {MAX_BRACES} times"), Some("write several globs".into())));
        }
        let pattern = Self { text: if text.is_ascii() { text.to_owned() } else { text.nfc().collect() }, subject };
        // Both ways, so that what is compiled later is known to be well formed. What is looked up is not compiled.
        for compare in [Compare::Exact, Compare::Folded].into_iter().filter(|_| Fixed::of(&pattern.text, subject).is_none()) {
            compile(&pattern.text, subject, compare).map_err(|error| (format!("the glob `{text}` is not well formed: {}", error.kind()), None))?;
        }
        match glob_slips::of_meaning(&pattern.text, subject) {
            Some(slip) => Err(slip),
            None => Ok(pattern),
        }
    }

    /// As it was written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// What it is written for.
    pub(super) fn subject(&self) -> Subject {
        self.subject
    }

    /// Whether it names one thing.
    pub(super) fn is_literal(&self) -> bool {
        !self.text.contains(WILD)
    }

    /// Whether it matches one value; compiles each time, for what is asked rarely.
    pub(super) fn matches_once(&self, compare: Compare, value: &str) -> bool {
        if self.is_literal() && compare == Compare::Exact {
            return self.text == value;
        }
        let value = if compare == Compare::Folded { fold(value) } else { Cow::Borrowed(value) };
        GlobTable::new([(&self.text, 0)], self.subject, compare).is_ok_and(|table| table.is_match(&value))
    }

    /// The globs under which a *deny* glob for paths hides files: what it matches, and everything beneath that.
    pub(super) fn hides_files(&self) -> Vec<String> {
        // Of `secret**` the stars do not cross parts: only a part `**` covers what is beneath.
        let covers_beneath = self.text == "**" || self.text.ends_with("/**");
        if covers_beneath { vec![self.text.clone()] } else { vec![self.text.clone(), format!("{}/**", self.text)] }
    }

    /// The globs under which a *deny* glob for paths hides folders: those for files, and `secrets` for `secrets/**`.
    pub(super) fn hides_folders(&self) -> Vec<String> {
        let mut globs = self.hides_files();
        if let Some(folder) = self.text.strip_suffix("/**").filter(|folder| !folder.is_empty()) {
            globs.push(folder.to_owned());
        }
        globs
    }

    /// Whether, as a glob for paths, it matches everything from the root down.
    pub(super) fn is_everything(&self) -> bool {
        matches!(self.text.as_str(), "*" | "**" | "**/*" | "**/**")
    }

    /// Whether, as an *allow* glob for paths, everything in this folder is certain to match.
    pub(super) fn covers_folder(&self, folder: &str) -> bool {
        if covers_everything(&self.text) {
            return true;
        }
        let Some(top) = self.text.strip_suffix("/**").filter(|_| folder != ".") else { return false };
        let globs = [(top, 0), (self.text.as_str(), 0)];
        GlobTable::new(globs, self.subject, Compare::Exact).is_ok_and(|table| table.is_match(folder))
    }

    /// Whether, as an *allow* glob for paths, something in this folder may match: neither the folder nor the fixed
    /// beginning of the glob leads away from the other.
    pub(super) fn reaches_into(&self, folder: &str) -> bool {
        if folder == "." {
            return true;
        }
        self.fixed_folders().into_iter().zip(folder.split('/')).all(|(fixed, part)| fixed == part)
    }

    /// The parts before the first with a wildcard.
    pub(super) fn fixed_folders(&self) -> Vec<&str> {
        self.text.split('/').take_while(|part| !part.contains(WILD)).collect()
    }

    /// Orders by how closely a glob names its things, the closest first: a literal name before any glob; then the longer
    /// text before the first wildcard; then more fixed characters; then fewer `**`; then, so that the order of the
    /// file never matters, by text.
    pub(super) fn closest_first(&self, other: &Self) -> Ordering {
        self.closeness().cmp(&other.closeness()).reverse().then_with(|| self.text.cmp(&other.text))
    }

    fn closeness(&self) -> (bool, usize, usize, std::cmp::Reverse<usize>) {
        let prefix = self.text.find(WILD).unwrap_or(self.text.len());
        let fixed = self.text.chars().filter(|c| !WILD.contains(c)).count();
        (self.is_literal(), prefix, fixed, std::cmp::Reverse(self.text.matches("**").count()))
    }
}

/// Whether such an allow glob for paths covers every folder.
pub(super) fn covers_everything(text: &str) -> bool {
    matches!(text, "**" | "**/*" | "**/**")
}

fn braces(text: &str) -> usize {
    text.bytes().filter(|b| *b == b'{').count()
}

fn path_shape(text: &str, subject: Subject) -> Result<(), (String, Option<String>)> {
    let wrong = |what: &str, help: String| Err((format!("the glob `{text}` {what}"), Some(help)));
    if text.split('/').any(|part| matches!(part, "." | "..")) && text != "." {
        return wrong("has a part `.` or `..`", "paths are compared without them".into());
    }
    if text.contains("//") {
        return wrong("has `//`", "paths are compared with single `/`".into());
    }
    if let Some(folder) = text.strip_suffix('/') {
        return wrong("ends with `/`", format!("write `{folder}/**` for all that is in it"));
    }
    if matches!(subject, Subject::Scope(ScopeKind::Path | ScopeKind::Tree)) && text.starts_with('/') {
        return wrong("begins with `/`", format!("paths are relative to the repository's root: `{}`", text.trim_start_matches('/')));
    }
    if subject == Subject::Scope(ScopeKind::Repo) && text.starts_with('~') {
        return wrong("begins with `~`", "name the folder in full, or use `**`".into());
    }
    Ok(())
}

/// A glob's text as it is compared: folded, but for classes, which cannot be folded as text.
// INVARIANT: outside of classes a glob is folded as names are (test: deny_globs_hide_what_is_beneath_and_folders_that_are_hidden_whole).
pub(super) fn spelling(text: &str, compare: Compare) -> Cow<'_, str> {
    if compare == Compare::Exact {
        return Cow::Borrowed(text);
    }
    if !text.contains('[') {
        return fold(text);
    }
    pieces(text).map(|piece| if piece.starts_with('[') { Cow::Borrowed(piece) } else { fold(piece) }).collect::<String>().into()
}

/// The classes of a glob, each with its brackets, and what is between them.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let length = if rest.starts_with('[') { class_length(rest) } else { rest.find('[').unwrap_or(rest.len()) };
        let (piece, after) = rest.split_at_checked(length)?;
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

/// How long the class is that the text begins with: a `]` right at its beginning is one of its characters.
fn class_length(text: &str) -> usize {
    let inside = text.strip_prefix('[').unwrap_or(text);
    let inside = inside.strip_prefix(['!', '^']).unwrap_or(inside);
    let inside = inside.strip_prefix(']').unwrap_or(inside);
    inside.find(']').map_or(text.len(), |end| text.len() - inside.len() + end + 1)
}

/// A character beyond ASCII, as the matcher sees it, which looks at bytes: two to four of them.
const BEYOND: &str = "\
    [!\u{1}-\u{7f}][!\u{1}-\u{7f}],\
    [!\u{1}-\u{7f}][!\u{1}-\u{7f}][!\u{1}-\u{7f}],\
    [!\u{1}-\u{7f}][!\u{1}-\u{7f}][!\u{1}-\u{7f}][!\u{1}-\u{7f}]";

/// What stands for any character but some in a deny glob, so that it also stands for one beyond ASCII. It may then stand for two of two
/// bytes as well, which denies more, never less.
fn widened(spelt: &str) -> String {
    let mut wide = String::new();
    for piece in pieces(spelt) {
        match piece.strip_prefix('[') {
            Some(class) if class.starts_with(['!', '^']) => wide.extend(["{", piece, ",", BEYOND, "}"]),
            Some(_) => wide += piece,
            None => wide += &piece.replace('?', &format!("{{?,{BEYOND}}}")),
        }
    }
    wide
}

/// How many parts of a glob are widened in a deny rule.
pub(super) fn any_characters(text: &str) -> usize {
    let any = |piece: &str| {
        if piece.starts_with('[') { usize::from(piece.starts_with("[!") || piece.starts_with("[^")) } else { piece.matches('?').count() }
    };
    pieces(text).map(any).sum()
}

pub(super) fn compile(text: &str, subject: Subject, compare: Compare) -> Result<Glob, globset::Error> {
    let spelt = spelling(text, compare);
    let wide = if compare == Compare::Folded && spelt.contains(['?', '[']) { Cow::Owned(widened(&spelt)) } else { spelt };
    GlobBuilder::new(&wide)
        .literal_separator(subject != Subject::Caller)
        .backslash_escape(false)
        .case_insensitive(compare == Compare::Folded && text.contains('['))
        .empty_alternates(true)
        .build()
}
