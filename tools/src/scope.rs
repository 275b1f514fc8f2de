//! What a call touches: the values policy matches, and the filter that policy puts on what comes back.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// The kinds of things a rule can match. One table for tools, policy and records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ScopeKind {
    /// A repository: `owner/name` at a forge, the canonical absolute folder for a local workspace.
    Repo,
    /// A file inside the repository, normalised, relative to its root, `/` between parts.
    Path,
    /// A folder inside the repository, normalised; the root is `.`. What it contains is filtered entry by entry.
    Tree,
    /// A branch, tag or commit as the caller named it.
    Ref,
    /// A Kubernetes namespace.
    Namespace,
    /// A Kubernetes resource kind.
    ResourceKind,
    /// A system service or container on this machine.
    Service,
    /// A log group.
    LogGroup,
    /// A metric, `NAMESPACE:NAME`.
    Metric,
    /// A chat channel.
    Channel,
    /// A project of a tracker or a build server.
    Project,
    /// A database table.
    Table,
    /// The method of a tool that has several.
    Method,
}

impl ScopeKind {
    /// Every kind, in the order of declaration.
    pub const ALL: [Self; 13] = [
        Self::Repo,
        Self::Path,
        Self::Tree,
        Self::Ref,
        Self::Namespace,
        Self::ResourceKind,
        Self::Service,
        Self::LogGroup,
        Self::Metric,
        Self::Channel,
        Self::Project,
        Self::Table,
        Self::Method,
    ];

    /// The name used in records and in policy messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Repo => "repo",
            Self::Path => "path",
            Self::Tree => "tree",
            Self::Ref => "ref",
            Self::Namespace => "namespace",
            Self::ResourceKind => "resource_kind",
            Self::Service => "service",
            Self::LogGroup => "log_group",
            Self::Metric => "metric",
            Self::Channel => "channel",
            Self::Project => "project",
            Self::Table => "table",
            Self::Method => "method",
        }
    }
}

impl fmt::Display for ScopeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One thing a call touches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Scope {
    /// What kind of thing.
    pub kind: ScopeKind,
    /// Its resolved, normalised name.
    pub value: String,
}

/// Everything a call touches. A tool that touches nothing scoped must say why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scopes {
    entries: Vec<Scope>,
    unscoped: Option<&'static str>,
}

impl Scopes {
    /// A call that touches one thing.
    #[must_use]
    pub fn of(kind: ScopeKind, value: impl Into<String>) -> Self {
        Self { entries: vec![Scope { kind, value: value.into() }], unscoped: None }
    }

    /// A call that touches nothing a rule could name, and the reason why that is so.
    #[must_use]
    pub fn none(reason: &'static str) -> Self {
        Self { entries: Vec::new(), unscoped: Some(reason) }
    }

    /// Adds a thing.
    #[must_use]
    pub fn and(mut self, kind: ScopeKind, value: impl Into<String>) -> Self {
        self.entries.push(Scope { kind, value: value.into() });
        self
    }

    /// All things touched, in the order they were named.
    #[must_use]
    pub fn entries(&self) -> &[Scope] {
        &self.entries
    }

    /// The values of one kind.
    pub fn values(&self, kind: ScopeKind) -> impl Iterator<Item = &str> {
        self.entries.iter().filter(move |scope| scope.kind == kind).map(|scope| scope.value.as_str())
    }

    /// Why there are none, where there are none.
    #[must_use]
    pub fn unscoped_because(&self) -> Option<&'static str> {
        self.unscoped
    }
}

/// Policy's answer about single paths, asked while a tool builds its output.
pub trait PathFilter: Send + Sync {
    /// Whether the file at this normalised path may be seen.
    fn file(&self, path: &str) -> bool;
    /// Whether the folder at this normalised path (`.` is the root) may be seen at all.
    fn tree(&self, path: &str) -> bool;
    /// Whether a repository within the workspace, at this canonical folder, may be seen: only where the same call would be permitted
    /// with it as a repository that is touched too, for every path that the other two show.
    fn repository(&self, folder: &str) -> bool;
}

/// Removes secrets from whole files, before a tool shows parts of them.
pub trait Redaction: Send + Sync {
    /// The same text with as many lines and without secrets; `None` where it has none.
    fn by_line(&self, whole: &str) -> Option<String>;
    /// As [`Self::by_line`], for a tool that compares and shows nothing of it: what was taken out is not counted as exposed.
    fn uncounted(&self, whole: &str) -> Option<String> {
        self.by_line(whole)
    }
}

/// What a permit lets out: which paths, how many bytes, which text. Counts what it held back.
///
/// A clone shares the counter, so work on another thread is counted too.
#[derive(Clone)]
pub struct OutputFilter {
    paths: Arc<dyn PathFilter>,
    redaction: Option<Arc<dyn Redaction>>,
    output_bytes: usize,
    hidden: Arc<AtomicU64>,
}

impl OutputFilter {
    /// A filter over these paths with this budget for the tool's variable output, in bytes.
    #[must_use]
    pub fn new(paths: Arc<dyn PathFilter>, output_bytes: usize) -> Self {
        Self { paths, redaction: None, output_bytes, hidden: Arc::new(AtomicU64::new(0)) }
    }

    /// The same filter, with this redaction of whole files.
    #[must_use]
    pub fn with_redaction(self, redaction: Arc<dyn Redaction>) -> Self {
        Self { redaction: Some(redaction), ..self }
    }

    /// A whole file's text as it may be shown, with as many lines as before. A tool that shows lines, matches or hunks takes them
    /// from this: scrubbing what was cut out would miss a secret that the cut goes through, and searching the original would
    /// answer questions about what is redacted.
    #[must_use]
    pub fn redacted(&self, whole: String) -> String {
        self.redaction.as_ref().and_then(|redaction| redaction.by_line(&whole)).unwrap_or(whole)
    }

    /// As [`Self::redacted`], for comparing alone: nothing of it may be shown, and what was taken out does not count as exposed.
    #[must_use]
    pub fn redacted_uncounted(&self, whole: &str) -> String {
        self.redaction.as_ref().and_then(|redaction| redaction.uncounted(whole)).unwrap_or_else(|| whole.to_owned())
    }

    /// Whether a file may be shown; a `false` is counted as hidden.
    #[must_use]
    pub fn shows_file(&self, path: &str) -> bool {
        self.counted(self.paths.file(path))
    }

    /// Whether a folder may be shown or walked into; a `false` is counted as hidden.
    #[must_use]
    pub fn shows_tree(&self, path: &str) -> bool {
        self.counted(self.paths.tree(path))
    }

    /// Whether what is in a repository within the workspace may be shown, or walked into; a `false` is counted as hidden.
    #[must_use]
    pub fn shows_repository(&self, folder: &str) -> bool {
        self.counted(self.paths.repository(folder))
    }

    /// How many bytes of variable output (lines, hunks, matches) a tool may return before it cuts and gives a cursor.
    #[must_use]
    pub fn output_bytes(&self) -> usize {
        self.output_bytes
    }

    /// How many entries were held back so far.
    #[must_use]
    pub fn hidden(&self) -> u64 {
        self.hidden.load(Ordering::Relaxed)
    }

    fn counted(&self, shown: bool) -> bool {
        if !shown {
            self.hidden.fetch_add(1, Ordering::Relaxed);
        }
        shown
    }
}

impl fmt::Debug for OutputFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutputFilter").field("output_bytes", &self.output_bytes).field("hidden", &self.hidden()).finish_non_exhaustive()
    }
}
