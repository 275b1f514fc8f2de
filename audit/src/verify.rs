//! The validator: reads a log as a stranger would, streaming, in bounded memory.

mod checkpoints;
mod head;
mod input;
mod receipts;
mod recovered;
mod report;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::chain::{Chain, Open, Pairing};
use crate::digest::Digest;
use crate::entry::{self, Entry, MAX_LINE};
use crate::files::open_regular;
use crate::finding::Code;
use crate::lines::{At, Line, Lines};
use crate::merkle::Tree;

use checkpoints::Checkpoints;
use head::Head;
use receipts::Receipts;
use recovered::Recovered;

pub use report::{Finding, Report};

/// An intent of the last run may be without its outcome this long, in microseconds.
const CALL_LIMIT: u64 = 15 * 60 * 1_000_000;
/// Entries may be without a checkpoint this long, in microseconds.
const CHECKPOINT_LIMIT: u64 = 60 * 1_000_000;

/// What to check.
#[derive(Debug, Clone, Default)]
pub struct Check {
    /// A log's folder, or segment files in their order.
    pub paths: Vec<PathBuf>,
    /// Receipts that clients kept: JSON lines with `origin`, `seq`, `entry_hash`. The one anchor outside of the log.
    pub receipts: Option<PathBuf>,
    /// The high-water mark that the gateway keeps outside of the log's folder, `head` in its home. No anchor, since the gateway could write
    /// it anew; but where it covers more than is here, the log's end is missing.
    pub head: Option<PathBuf>,
    /// The public key that the log must have.
    pub key: Option<[u8; 32]>,
}

/// Why nothing could be checked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// There is no log.
    #[error("there is no audit log in `{}`: it has neither `*.jsonl` nor `checkpoints`", .0.display())]
    NoLog(PathBuf),
    /// A file cannot be read.
    #[error("`{}` cannot be read: {error}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The receipts are not receipts.
    #[error("`{}`, line {line}: this is not a receipt; one is {{\"origin\":…,\"seq\":…,\"entry_hash\":…}}", path.display())]
    Receipts {
        /// The file.
        path: PathBuf,
        /// The line.
        line: u64,
    },
    /// The high-water mark is none.
    #[error("`{}` is not a high-water mark: one signed checkpoint, five lines", .0.display())]
    Head(PathBuf),
    /// Only one folder, or files.
    #[error("give one folder, or segment files in their order")]
    Paths,
}

/// Where a line is.
#[derive(Debug, Clone)]
struct Place {
    file: usize,
    at: At,
}

/// An entry as it is read: whole in itself, its place in the chain not yet known to be right.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Its number in the log.
    pub seq: u64,
    /// When it was written, UTC.
    pub ts: &'a str,
    /// Its type: `call.intent`, `call.refused`, …
    pub kind: &'a str,
    /// Of the call that it belongs to, where it belongs to one.
    pub request_id: Option<[u8; 16]>,
    /// What it says, canonical JSON.
    pub data: &'a str,
}

/// Checks a log.
///
/// # Errors
/// [`CheckError`] where there is nothing to check or it cannot be read. What is wrong with a log is in the report.
pub fn verify(check: &Check) -> Result<Report, CheckError> {
    verify_each(check, &mut |_| {})
}

/// Checks a log, and shows each entry on the way: the log is read once, in bounded memory. Whether what was shown can be trusted is
/// in the report.
///
/// # Errors
/// As [`verify`].
pub fn verify_each(check: &Check, visit: &mut dyn FnMut(Record<'_>)) -> Result<Report, CheckError> {
    let input = input::find(&check.paths)?;
    // Before the checkpoints, and those before the entries: then neither covers more than what is read after it.
    let head = check.head.as_deref().map(Head::read).transpose()?;
    let checkpoints = Checkpoints::open(input.checkpoints.as_deref())?;
    let receipts = check.receipts.as_deref().map(Receipts::read).transpose()?.unwrap_or_default();
    let mut verifier = Verifier {
        now: crate::clock::now_micros(),
        report: Report::new(input.names),
        chain: Chain::new(!input.whole),
        pairing: Pairing::default(),
        tree: Tree::default(),
        checkpoints,
        receipts,
        head,
        recovered: Recovered::default(),
        key: check.key,
        uncovered: None,
        end: Place { file: 0, at: At { line: 1, offset: 0 } },
    };
    for what in input.findings {
        verifier.report.found(Code::Segment, &what.0, At { line: 0, offset: 0 }, what.1);
    }
    for (index, path) in input.segments.iter().enumerate() {
        verifier.segment(index, path, visit)?;
    }
    verifier.finish()
}

/// The lines that a file has now: a log may be written while it is checked.
fn lines(path: &Path, limit: usize) -> Result<Lines<File>, CheckError> {
    let open = || open_regular(path).and_then(|file| Ok((file.metadata()?.len(), file)));
    let (length, file) = open().map_err(|error| CheckError::Read { path: path.to_owned(), error })?;
    Ok(Lines::new(file, limit).until(length))
}

struct Verifier {
    now: u64,
    report: Report,
    chain: Chain,
    pairing: Pairing<Place>,
    tree: Tree,
    checkpoints: Checkpoints,
    receipts: Receipts,
    head: Option<Head>,
    recovered: Recovered,
    key: Option<[u8; 32]>,
    /// The first entry after the last checkpoint.
    uncovered: Option<(Place, u64)>,
    end: Place,
}

impl Verifier {
    fn segment(&mut self, file: usize, path: &Path, visit: &mut dyn FnMut(Record<'_>)) -> Result<(), CheckError> {
        let unreadable = |error| CheckError::Read { path: path.to_owned(), error };
        let mut lines = lines(path, MAX_LINE)?;
        while let Some((at, line)) = lines.next().map_err(unreadable)? {
            self.end = Place { file, at };
            let fault = match line {
                Line::Whole(line) => match entry::parse(line) {
                    Ok(entry) => {
                        let Entry { seq, ts, kind, data, call, .. } = entry;
                        visit(Record { seq, ts, kind, request_id: call.map(|call| call.request_id), data });
                        self.entry(&entry, &Place { file, at })?;
                        continue;
                    }
                    Err(fault) => (fault.code, format!("{}, at byte {} of the line", fault.what, fault.at)),
                },
                Line::Torn(rest) => (Code::TornLine, format!("the last line has no end: {} bytes", rest.len())),
                Line::TooLong => (Code::LineTooLong, format!("the line is longer than {MAX_LINE} bytes")),
            };
            self.chain.lose();
            self.report.found_in(fault.0, file, at, fault.1);
            if fault.0 != Code::TornLine {
                // An entry was here: those after it keep their places in the tree, whose root cannot be right any more.
                self.leaf(&Digest::new([0; 32]))?;
            }
        }
        self.report.bytes += lines.offset();
        self.end = Place { file, at: At { line: lines.line(), offset: lines.offset() } };
        Ok(())
    }

    fn entry(&mut self, entry: &Entry<'_>, place: &Place) -> Result<(), CheckError> {
        let Self { report, chain, pairing, .. } = self;
        let first = report.entries == 0;
        let partial = chain.partial;
        let mut found = |code, what| report.found_in(code, place.file, place.at, what);
        chain.link(entry, &mut found);
        if first {
            // A segment that begins with its genesis is a whole log, however it was named.
            chain.partial &= entry.kind != "genesis";
            if let (Some(key), Some(public)) = (&self.key, &chain.public)
                && key != public
            {
                found(Code::Key, format!("the log's key is {}", crate::digest::hex(public)));
            }
        }
        let report = &mut self.report;
        pairing.follow(entry, self.chain.run(), place.clone(), &mut |code, what| {
            if !(partial && code == Code::OutcomeWithoutIntent) {
                report.found_in(code, place.file, place.at, what);
            }
        });
        self.recovered.entry(entry, &mut |what| report.found_in(Code::Malformed, place.file, place.at, what));
        self.receipts.entry(entry, &mut |what| report.found_in(Code::Receipt, place.file, place.at, what));
        report.count(entry);
        self.uncovered.get_or_insert((place.clone(), entry.micros));
        self.leaf(&entry.computed)
    }

    fn leaf(&mut self, entry_hash: &Digest) -> Result<(), CheckError> {
        self.tree.push(entry_hash);
        if let Some(head) = &mut self.head {
            head.at_size(&self.tree);
        }
        if !self.chain.partial && self.checkpoints.at_size(&self.tree, &self.chain, &mut self.report)? {
            self.uncovered = None;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Report, CheckError> {
        let report = &mut self.report;
        report.partial = self.chain.partial;
        report.origin = self.chain.origin.clone();
        report.public_key = self.chain.public.map(|key| crate::digest::hex(&key));
        if !self.chain.partial {
            let beyond = self.checkpoints.drain(&self.chain, report)?;
            if let Some(size) = beyond {
                let what = format!("a signed checkpoint covers {size} entries, and {} are here", self.tree.size());
                report.found_in(Code::Truncated, self.end.file, self.end.at, what);
            }
            if self.checkpoints.count == 0 && !self.checkpoints.broken {
                report.found(
                    Code::NoCheckpoints,
                    "checkpoints",
                    At { line: 0, offset: 0 },
                    "the log has no checkpoints: nothing was signed".to_owned(),
                );
            }
            let signed = self.checkpoints.count > 0 && beyond.is_none();
            if let Some((place, _)) = self.uncovered.filter(|(_, micros)| signed && self.now.saturating_sub(*micros) > CHECKPOINT_LIMIT) {
                let what = "no checkpoint covers this entry and those after it, and it is older than a minute: the newest checkpoints are missing, or the gateway was killed and has not started since";
                report.found_in(Code::Uncovered, place.file, place.at, what.to_owned());
            }
            if let Some(head) = &self.head {
                head.finish(&self.chain, self.tree.size(), &self.end, report);
            }
        }
        self.recovered.finish(report);
        report.checkpoints = self.checkpoints.count;
        report.checkpointed = self.checkpoints.size.min(self.tree.size());
        let run = self.chain.run();
        for Open { run: begun, micros, place, .. } in self.pairing.into_open() {
            if begun < run {
                report.found_in(Code::IntentWithoutOutcome, place.file, place.at, "an intent of an earlier run that has no outcome".to_owned());
            } else if self.now.saturating_sub(micros) > CALL_LIMIT {
                report.found_in(
                    Code::IntentWithoutOutcome,
                    place.file,
                    place.at,
                    "an intent that has no outcome and is older than 15 minutes".to_owned(),
                );
            } else {
                report.open += 1;
            }
        }
        self.receipts.finish(report, &self.end);
        Ok(self.report)
    }
}
