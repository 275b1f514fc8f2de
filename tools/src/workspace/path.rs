//! Path arguments: what a caller wrote, and the one normal form that policy matches and the root handle opens.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::error::ToolError;

/// The longest path argument, in bytes.
const LONGEST: usize = 4096;

/// Escapes that some decoder further on might turn into a separator, a dot, a NUL or another escape.
const ESCAPES: [&str; 5] = ["%2e", "%2f", "%5c", "%00", "%25"];

// A path as the caller wrote it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct PathArg(pub(crate) String);

impl PathArg {
    pub(crate) fn parse(&self) -> Result<RepoPath, ToolError> {
        RepoPath::parse(&self.0)
    }
}

/// The root where the caller named no path.
pub(crate) fn or_root(path: Option<&PathArg>) -> Result<RepoPath, ToolError> {
    path.map_or_else(|| Ok(RepoPath::root()), PathArg::parse)
}

/// A normalised path relative to the root: parts joined by one `/`, no `.` or `..`, nothing in `.git`; the root is `.`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RepoPath(String);

impl RepoPath {
    pub(crate) fn root() -> Self {
        Self(".".to_owned())
    }

    // INVARIANT: what parses has no part that leaves the root or enters git's own files (test: paths_that_never_parse).
    pub(crate) fn parse(raw: &str) -> Result<Self, ToolError> {
        if raw.is_empty() {
            return Err(ToolError::invalid("the path is empty; the repository's root is `.`"));
        }
        if raw.len() > LONGEST {
            return Err(ToolError::invalid(format!("the path is {} bytes long; at most {LONGEST} are taken", raw.len())));
        }
        if raw.chars().any(char::is_control) {
            return Err(ToolError::invalid(format!("the path {} has a control character", quoted(raw))));
        }
        let lower = raw.to_ascii_lowercase();
        if raw.contains('\\') || ESCAPES.iter().any(|escape| lower.contains(escape)) {
            return Err(ToolError::invalid(format!("the path {} has a backslash or a percent escape; write it plainly, with `/`", quoted(raw))));
        }
        if raw.starts_with('/') {
            return Err(ToolError::out_of_bounds(format!("the path {} is absolute; name it from the repository's root", quoted(raw))));
        }
        let mut normal = String::with_capacity(raw.len());
        for part in raw.split('/').filter(|part| !matches!(*part, "" | ".")) {
            if part == ".." {
                return Err(ToolError::out_of_bounds(format!("the path {} has a `..`; name it from the repository's root", quoted(raw))));
            }
            if is_git_internal(part) {
                return Err(git_internal(raw));
            }
            if !normal.is_empty() {
                normal.push('/');
            }
            normal.push_str(part);
        }
        Ok(if normal.is_empty() { Self::root() } else { Self(normal) })
    }

    /// Joins parts that are known to be single, harmless names.
    pub(crate) fn of_parts<'a>(parts: impl Iterator<Item = &'a str>) -> Self {
        let joined = parts.collect::<Vec<_>>().join("/");
        if joined.is_empty() { Self::root() } else { Self(joined) }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn is_root(&self) -> bool {
        self.0 == "."
    }

    pub(crate) fn parts(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/').filter(|part| *part != ".")
    }

    /// The path of an entry of this folder.
    pub(crate) fn child(&self, name: &str) -> Self {
        if self.is_root() { Self(name.to_owned()) } else { Self(format!("{}/{name}", self.0)) }
    }

    /// Whether `path` is this path or lies below it.
    pub(crate) fn covers(&self, path: &str) -> bool {
        self.is_root() || path.strip_prefix(&self.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Whether one part of a path is git's own, in any case: the work tree's, a submodule's, a linked work tree's file.
pub(crate) fn is_git_internal(part: &str) -> bool {
    part.eq_ignore_ascii_case(".git")
}

/// Whether one part of a path would be git's own where the repository is checked out on macOS or Windows.
pub(super) fn is_git_elsewhere(part: &str) -> bool {
    let ignored = |c: char| matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}');
    let seen: String = part.chars().filter(|c| !ignored(*c)).collect::<String>().to_lowercase();
    let bare = seen.split(':').next().unwrap_or_default().trim_end_matches(['.', ' ']);
    matches!(bare, ".git" | "git~1")
}

/// Whether any part of a path is git's own.
pub(crate) fn has_git_internal(path: &str) -> bool {
    path.split('/').any(is_git_internal)
}

pub(crate) fn git_internal(raw: &str) -> ToolError {
    ToolError::out_of_bounds(format!("the path {} leads into `.git`, which no tool shows; use the git tools", quoted(raw)))
}

/// The caller's value in backticks, with what a terminal or a log could trip over escaped, and short.
pub(crate) fn quoted(raw: &str) -> String {
    let mut shown: String = raw.chars().take(120).flat_map(char::escape_debug).filter(|c| *c != '`').collect();
    if raw.chars().nth(120).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_parses_is_normal_and_inside(raw in "([a.%25eEfFgGiItT \\\\/]|\\.\\./|\\.git|é|\u{0})*") {
            if let Ok(path) = RepoPath::parse(&raw) {
                prop_assert!(path.is_root() || path.parts().all(|part| !part.is_empty() && part != "." && part != ".." && !is_git_internal(part)));
                prop_assert!(!path.as_str().starts_with('/') && !path.as_str().contains(['\\', '\0']));
                prop_assert_eq!(RepoPath::parse(path.as_str()).ok(), Some(path.clone()));
                prop_assert_eq!(RepoPath::of_parts(path.parts()), path);
            }
        }
    }

    #[test]
    fn a_folder_covers_what_is_below_it_alone() {
        let folder = RepoPath::parse("a/b").unwrap();
        for (path, covered) in [("a/b", true), ("a/b/c", true), ("a/bc", false), ("a", false), ("a/b2/c", false)] {
            assert_eq!(folder.covers(path), covered, "{path}");
        }
        assert!(RepoPath::root().covers("anything"));
    }

    #[test]
    fn a_quoted_value_is_short_and_harmless() {
        assert_eq!(quoted("a`b\u{1b}[2J\n"), "`ab\\u{1b}[2J\\n`");
        assert!(quoted(&"x".repeat(5000)).len() < 200);
    }
}
