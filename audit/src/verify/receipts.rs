//! Receipts that clients kept: what the log cannot forge afterwards.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use serde::Deserialize;

use crate::digest::Digest;
use crate::entry::Entry;
use crate::finding::Code;
use crate::lines::{At, Line, Lines};

use super::{CheckError, Place, Report};

/// Strictly these three, so that no two readers can read one receipt differently.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Receipt {
    origin: String,
    seq: u64,
    entry_hash: String,
}

/// The longest receipt, its line end included.
const MAX_LINE: usize = 4096;

/// One line. A list of the three values, which serde would take as well, is none.
fn parse(line: &[u8]) -> Option<Receipt> {
    line.trim_ascii_start().starts_with(b"{").then(|| serde_json::from_slice(line).ok()).flatten()
}

#[derive(Debug, Default)]
pub(super) struct Receipts {
    /// By place: the log's name, the hash, the receipt's line.
    by_seq: BTreeMap<u64, Vec<(String, Digest, At)>>,
    file: String,
    matched: Option<u64>,
}

impl Receipts {
    pub(super) fn read(path: &Path) -> Result<Self, CheckError> {
        let unreadable = |error| CheckError::Read { path: path.to_owned(), error };
        let mut lines = Lines::new(File::open(path).map_err(unreadable)?, MAX_LINE);
        let mut receipts = Self { file: path.file_name().unwrap_or_default().to_string_lossy().into_owned(), ..Self::default() };
        while let Some((at, line)) = lines.next().map_err(unreadable)? {
            let bad = CheckError::Receipts { path: path.to_owned(), line: at.line };
            let (Line::Whole(line) | Line::Torn(line)) = line else { return Err(bad) };
            if line.is_empty() {
                continue;
            }
            let parsed = parse(line).and_then(|receipt| Some((Digest::from_hex(receipt.entry_hash.as_bytes())?, receipt)));
            let Some((hash, receipt)) = parsed else { return Err(bad) };
            receipts.by_seq.entry(receipt.seq).or_default().push((receipt.origin, hash, at));
        }
        Ok(receipts)
    }

    /// Compares the receipts of this entry's place.
    pub(super) fn entry(&mut self, entry: &Entry<'_>, found: &mut dyn FnMut(String)) {
        if self.by_seq.is_empty() {
            return;
        }
        let Some(receipts) = self.by_seq.remove(&entry.seq) else { return };
        for (origin, hash, at) in receipts {
            if origin == entry.log && hash == entry.computed {
                self.matched = self.matched.max(Some(entry.seq));
            } else {
                found(format!("the receipt in line {} of `{}` is for the log `{origin}` and the hash {hash}", at.line, self.file));
            }
        }
    }

    /// Receipts for entries that are not there.
    pub(super) fn finish(self, report: &mut Report, end: &Place) {
        for (seq, receipts) in self.by_seq {
            for (_, _, at) in receipts {
                let what = format!("the receipt in line {} of `{}` is for entry {seq}, which is not here", at.line, self.file);
                report.found_in(Code::Truncated, end.file, end.at, what);
            }
        }
        report.anchored_to = self.matched;
    }
}
