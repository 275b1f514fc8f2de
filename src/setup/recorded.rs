//! What the unit or the script was written with, in a comment of it, so that a check and a second run know.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::layout::Layout;

/// The choices that the unit or script depends on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// The user whose agent calls.
    pub agent: Option<String>,
    /// Where HTTP listens.
    pub listen: Option<SocketAddr>,
    /// Repositories that it writes to.
    pub writable: Vec<PathBuf>,
    /// Repositories that it only reads.
    #[serde(default)]
    pub readable: Vec<PathBuf>,
}

/// The agent's user that an installation was made for, where there is one.
#[must_use]
pub fn agent_of(layout: &Layout, systemd: bool) -> Option<String> {
    let file = if systemd { layout.unit() } else { layout.script() };
    Recorded::of_file(&layout.on_disk(&file))?.agent
}

const MARK: &str = "# Written by `opsgate setup`, which replaces it, with: ";

impl Recorded {
    /// The comment that keeps it.
    pub(super) fn line(&self) -> String {
        format!("{MARK}{}", serde_json::to_string(self).unwrap_or_default())
    }

    /// Reads it back from the unit or script.
    pub(super) fn of_file(path: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(path).ok()?;
        serde_json::from_str(text.lines().find_map(|line| line.strip_prefix(MARK))?).ok()
    }

    /// Each repository, and whether it writes there.
    pub(super) fn workspaces(&self) -> impl Iterator<Item = (&Path, bool)> {
        self.readable.iter().map(|folder| (folder.as_path(), false)).chain(self.writable.iter().map(|folder| (folder.as_path(), true)))
    }

    /// How the gateway is run.
    pub(super) fn serve(&self) -> &'static str {
        if self.listen.is_some() { "serve" } else { "serve --socket-only" }
    }
}
