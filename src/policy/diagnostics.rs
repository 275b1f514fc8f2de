//! What is wrong with a policy file, said so that its writer can mend it: file, line, column, the line itself, the
//! nearest right name.

use std::fmt;

use serde::Serialize;

use super::normalise::unseen;
use super::review::Look;
use super::review::draw::draw;

/// A place in the policy file. Lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub(super) struct Pos {
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) length: u32,
}

/// A value with the place it was written at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) at: Pos,
}

/// The text of a policy file under the name its errors use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) name: &'a str,
    pub(super) text: &'a str,
}

/// One thing that is wrong with a policy, or that its writer should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file as it was named to the loader.
    pub file: String,
    /// From 1; 0 where the finding is about the file as a whole.
    pub line: u32,
    /// From 1, in characters; 0 where the finding is about the file as a whole.
    pub column: u32,
    /// What is wrong, in lower case.
    pub message: String,
    /// What to write instead, where that is known.
    pub help: Option<String>,
    /// The line of the file, what a terminal would act on or not show as `?`, long lines cut.
    pub source_line: String,
    /// The characters of the file that it is about; 0 where that is not known.
    pub length: u32,
    /// Where in `source_line` that begins, and how much of it is shown, in characters.
    #[serde(skip)]
    pub(super) caret: u16,
    #[serde(skip)]
    pub(super) width: u16,
    #[serde(skip)]
    pub(super) severity: Severity,
}

/// Whether a finding keeps the policy from being used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    Error,
    Warning,
}

/// Everything that is wrong with a policy. Such a policy is not used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyErrors {
    errors: Vec<Finding>,
}

/// Something a policy says that has no effect, or more effect than it seems. Such a policy is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Warning(Finding);

/// What is shown of a very long line, in characters.
const SHOWN: usize = 160;
/// The longest message, in characters.
const MESSAGE: usize = 600;
/// The most findings of one file: enough to mend it by, and little work to make.
pub(super) const MOST: usize = 100;

impl Finding {
    pub(super) fn new(source: Source<'_>, at: Pos, message: impl Into<String>, help: Option<String>) -> Self {
        let line = lines(source.text).nth((at.line as usize).wrapping_sub(1)).unwrap_or_default();
        // A byte order mark is no part of the first line.
        let line = line.strip_prefix('\u{feff}').unwrap_or(line);
        // A long line is shown from a little before the place that matters.
        let column = (at.column as usize).saturating_sub(1);
        let from = if column > SHOWN / 2 && line.chars().count() > SHOWN { column - SHOWN / 2 } else { 0 };
        let shown: String = line.chars().skip(from).take(SHOWN).map(|c| if unseen(c) { '?' } else { c }).collect();
        let caret = (column - from).min(shown.chars().count());
        let width = (at.length as usize).clamp(1, shown.chars().count().saturating_sub(caret).max(1));
        Self {
            file: printable(source.name),
            line: at.line,
            column: at.column,
            length: at.length,
            message: printable(&message.into()),
            help: help.as_deref().map(printable),
            source_line: shown,
            // No more than is shown.
            caret: u16::try_from(caret).unwrap_or(u16::MAX),
            width: u16::try_from(width).unwrap_or(u16::MAX),
            severity: Severity::Error,
        }
    }
}

impl PolicyErrors {
    pub(super) fn new(mut errors: Vec<Finding>) -> Self {
        errors.sort_by_key(|error| (error.line, error.column));
        errors.dedup();
        Self { errors }
    }

    /// The errors, in the order of the file; at least one.
    #[must_use]
    pub fn all(&self) -> &[Finding] {
        &self.errors
    }

    /// How many there are, and then each with its line.
    #[must_use]
    pub fn drawn(&self, look: Look) -> String {
        let count = self.errors.len();
        let (more, plural) = (if count >= MOST { " or more" } else { "" }, if count == 1 { "" } else { "s" });
        let drawn = draw(&self.errors, look);
        format!("the policy has {count}{more} error{plural}; it is not used\n{}", drawn.trim_end())
    }
}

impl fmt::Display for PolicyErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.drawn(Look::Plain))
    }
}

impl std::error::Error for PolicyErrors {}

impl Warning {
    pub(super) fn new(finding: Finding) -> Self {
        Self(Finding { severity: Severity::Warning, ..finding })
    }

    /// Where and what.
    #[must_use]
    pub fn finding(&self) -> &Finding {
        &self.0
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding { file, line, column, message, help, .. } = &self.0;
        write!(f, "{file}:{line}:{column}: {message}")?;
        help.as_ref().map_or(Ok(()), |help| write!(f, "; {help}"))
    }
}

/// As YAML ends them: at `\n`, `\r\n` and a lone `\r`.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}

/// Without what a terminal would act on: a policy's own names are in the messages.
fn printable(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars().take(MESSAGE) {
        if unseen(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    if text.chars().nth(MESSAGE).is_some() {
        shown.push('…');
    }
    shown
}

/// What one name is compared with at most, in bytes times bytes.
const MOST_COMPARED: usize = 100_000;

/// The name nearest to `wrong`, where one is near enough that it may have been meant.
pub(super) fn nearest<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    if wrong.len() > 100 {
        return None;
    }
    let folded = wrong.to_lowercase().replace('-', "_");
    let length = folded.chars().count();
    let mut work = 0;
    names
        .into_iter()
        .filter(|name| !name.is_empty() && name.chars().count().abs_diff(length) <= 1 + name.chars().count().max(length) / 4)
        .take_while(|name| {
            work += name.len() * folded.len();
            work < MOST_COMPARED
        })
        .map(|name| (strsim::damerau_levenshtein(&folded, &name.to_lowercase().replace('-', "_")), name))
        .filter(|(distance, name)| *distance <= 1 + name.chars().count().max(length) / 4)
        .min()
        .map(|(_, name)| name)
}

/// The help that goes with a wrong name: the nearest right one, or all where they are few.
pub(crate) fn did_you_mean<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str> + Clone) -> Option<String> {
    if let Some(name) = nearest(wrong, names.clone()) {
        return Some(format!("did you mean `{name}`?"));
    }
    let mut all: Vec<&str> = names.into_iter().collect();
    all.sort_unstable();
    all.dedup();
    (1..=16).contains(&all.len()).then(|| format!("known: {}", all.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")))
}
