//! `systems.workspace.roots`: the folders whose repositories a connection may work on. Compiled once, since each call is asked about.

use super::glob::{Compare, Pattern, Subject};
use super::glob_table::GlobTable;

/// The folders that are named in full, and those beneath the caller's home.
pub(super) struct Roots {
    whole: GlobTable,
    /// What follows `~`.
    beneath_home: GlobTable,
    home: bool,
}

impl Roots {
    pub(super) fn of(patterns: &[Pattern]) -> Result<Self, globset::Error> {
        let texts = || patterns.iter().map(Pattern::text);
        let table = |texts: Vec<&str>| GlobTable::new(texts.into_iter().map(|text| (text, 0)), Subject::Folder, Compare::Exact);
        Ok(Self {
            whole: table(texts().filter(|text| !text.starts_with('~')).collect())?,
            beneath_home: table(texts().filter_map(|text| text.strip_prefix('~')).filter(|rest| !rest.is_empty()).collect())?,
            home: texts().any(|text| text == "~"),
        })
    }

    /// Whether this folder, a canonical absolute path, is one of them.
    pub(super) fn hold(&self, folder: &str, home: Option<&str>) -> bool {
        // The home is a name and not a glob: it is compared as it is.
        let beneath = home.and_then(|home| folder.strip_prefix(home.trim_end_matches('/'))).filter(|rest| rest.is_empty() || rest.starts_with('/'));
        self.whole.is_match(folder) || beneath.is_some_and(|rest| if rest.is_empty() { self.home } else { self.beneath_home.is_match(rest) })
    }
}
