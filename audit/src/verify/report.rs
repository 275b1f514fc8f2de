//! What the validator says.

use std::fmt::{self, Write as _};

use serde::Serialize;

use crate::entry::Entry;
use crate::finding::Code;
use crate::lines::At;

/// Findings that are kept; all are counted.
pub(super) const KEPT: usize = 1000;
/// Findings that are shown to people.
const SHOWN: usize = 20;

/// Ranges of unsigned entries that are shown to people.
const SHOWN_RANGES: usize = 3;

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its kind; its name in JSON.
    pub code: Code,
    /// The file's name.
    pub file: String,
    /// The line, from 1; 0 for the file as a whole.
    pub line: u64,
    /// The line's first byte.
    pub offset: u64,
    /// What is wrong, for people.
    pub what: String,
}

/// What was read, and what was found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// The log's name.
    pub origin: Option<String>,
    /// The public key in its genesis.
    pub public_key: Option<String>,
    /// Entries read.
    pub entries: u64,
    /// Bytes read.
    pub bytes: u64,
    /// The first entry's time.
    pub first_ts: Option<String>,
    /// The last entry's time.
    pub last_ts: Option<String>,
    /// Calls that were begun.
    pub intents: u64,
    /// Calls that were refused.
    pub refusals: u64,
    /// Outcomes that nobody knows.
    pub indeterminate: u64,
    /// Calls of the last run that may still be running.
    pub open: u64,
    /// Checkpoints read.
    pub checkpoints: u64,
    /// Entries that the last checkpoint covers.
    pub checkpointed: u64,
    /// Entries that nothing had signed when their writer ended, as the next run announced: crashes leave such, and so does whoever kills
    /// the writer and then changes them.
    pub unsigned: u64,
    /// The first thousand ranges of them: first and last entry.
    pub unsigned_ranges: Vec<(u64, u64)>,
    /// The last entry that something outside of the log vouches for.
    pub anchored_to: Option<u64>,
    /// Only a later segment was read: what came before it, and checkpoints, were not.
    pub partial: bool,
    /// How many findings there are.
    pub total_findings: u64,
    /// The first thousand.
    pub findings: Vec<Finding>,
    #[serde(skip)]
    names: Vec<String>,
}

impl Report {
    pub(super) fn new(names: Vec<String>) -> Self {
        Self { names, ..Self::default() }
    }

    /// Whether nothing was found.
    #[must_use]
    pub const fn is_valid(&self) -> bool {
        self.total_findings == 0
    }

    pub(super) fn found(&mut self, code: Code, file: &str, at: At, what: String) {
        self.total_findings += 1;
        if self.findings.len() < KEPT {
            self.findings.push(Finding { code, file: file.to_owned(), line: at.line, offset: at.offset, what });
        }
    }

    /// In a segment.
    pub(super) fn found_in(&mut self, code: Code, file: usize, at: At, what: String) {
        let name = self.names.get(file).cloned().unwrap_or_else(|| "00000001.jsonl".to_owned());
        self.found(code, &name, at, what);
    }

    pub(super) fn count(&mut self, entry: &Entry<'_>) {
        self.entries += 1;
        if self.first_ts.is_none() {
            self.first_ts = Some(entry.ts.to_owned());
        }
        let last = self.last_ts.get_or_insert_default();
        last.clear();
        last.push_str(entry.ts);
        match entry.kind {
            "call.intent" => self.intents += 1,
            "call.refused" => self.refusals += 1,
            "call.outcome" if entry.data.contains("\"outcome\":\"indeterminate\"") => self.indeterminate += 1,
            _ => {}
        }
    }

    /// What `log.recovered` announced.
    fn recovered(&self) -> String {
        let range = |(from, to): &(u64, u64)| if from == to { from.to_string() } else { format!("{from}\u{2013}{to}") };
        let mut ranges: Vec<String> = self.unsigned_ranges.iter().take(SHOWN_RANGES).map(range).collect();
        if self.unsigned_ranges.len() > SHOWN_RANGES {
            ranges.push("…".to_owned());
        }
        let (noun, verb, them) = if self.unsigned == 1 { ("entry", "was", "it") } else { ("entries", "were", "them") };
        let ranges = ranges.join(", ");
        format!("{} {noun} ({ranges}) {verb} not yet signed when the writer ended; only receipts vouch for {them}", self.unsigned)
    }

    /// The last line of the summary, and the word a reader looks for.
    fn verdict(&self) -> String {
        if !self.is_valid() {
            return format!("FAILED: {} finding{}", self.total_findings, if self.total_findings == 1 { "" } else { "s" });
        }
        match self.anchored_to {
            Some(seq) => format!("OK, ANCHORED up to entry {seq} by receipts"),
            None => {
                "VALID, but UNANCHORED: its end may be missing, and whoever holds the signing key could have rewritten all of it; give --receipts that a client kept".to_owned()
            }
        }
    }
}

/// The summary for people.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        for finding in self.findings.iter().take(SHOWN) {
            writeln!(out, "{}:{} (byte {}): {}: {}", finding.file, finding.line, finding.offset, finding.code, finding.what)?;
        }
        if self.total_findings > SHOWN as u64 {
            writeln!(out, "… and {} more (--json has a thousand)", self.total_findings - SHOWN as u64)?;
        }
        let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        writeln!(out, "log         {}  key {}", or_none(&self.origin), or_none(&self.public_key))?;
        writeln!(out, "entries     {} ({} bytes), {} to {}", self.entries, self.bytes, or_none(&self.first_ts), or_none(&self.last_ts))?;
        writeln!(
            out,
            "calls       {} begun, {} refused, {} with an unknown outcome, {} still open",
            self.intents, self.refusals, self.indeterminate, self.open
        )?;
        if self.partial {
            writeln!(out, "checkpoints not checked: this does not begin with the log's genesis")?;
        } else {
            writeln!(out, "checkpoints {}, covering {} of {} entries", self.checkpoints, self.checkpointed, self.entries)?;
        }
        if self.unsigned > 0 {
            writeln!(out, "recovered   {}", self.recovered())?;
        }
        writeln!(out, "{}", self.verdict())?;
        f.write_str(&out)
    }
}
