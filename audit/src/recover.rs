//! What a start reads: the longest valid prefix, and a torn tail that it puts aside.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::chain::{Chain, Open, Pairing};
use crate::digest::Digest;
use crate::entry::{self, MAX_LINE};
use crate::files::{Files, open_regular, write_all};
use crate::lines::{At, Line, Lines};
use crate::log::open::{OpenError, other_key, tampered};
use crate::merkle::Tree;
use crate::note::{self, Checkpoint, Note};

/// The one segment that this version writes.
pub(crate) const SEGMENT: &str = "00000001.jsonl";
/// Signed checkpoints.
pub(crate) const CHECKPOINTS: &str = "checkpoints";

/// A log as it was found.
#[derive(Debug)]
pub(crate) struct Scan {
    /// Entries of the longest valid prefix.
    pub(crate) entries: u64,
    /// Where that ends.
    pub(crate) end: u64,
    /// The last entry's hash.
    pub(crate) last: Digest,
    pub(crate) tree: Tree,
    pub(crate) open: Vec<Open<()>>,
    /// The size of the last checkpoint.
    pub(crate) checkpointed: u64,
    /// Entries that something signed covers: the last checkpoint, or the high-water mark where checkpoints were lost.
    pub(crate) vouched: u64,
    /// Where the last whole checkpoint ends.
    pub(crate) checkpoints_end: u64,
}

/// A tail that was put aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Quarantined {
    /// Its length.
    pub bytes: u64,
    /// The file that now holds it, in the log's folder.
    pub file: String,
    /// Of its bytes.
    pub sha256: Digest,
}

/// Reads the log in `dir`, which may be empty. `mark` is what was signed of it as far as is known from outside of `dir`.
pub(crate) fn scan(dir: &Path, origin: &str, public: &[u8; 32], mark: Option<&Checkpoint>) -> Result<Scan, OpenError> {
    if dir.join("00000002.jsonl").exists() {
        return Err(OpenError::Io(io::Error::other("the log has a second segment, which a later version of opsgate wrote")));
    }
    let path = dir.join(SEGMENT);
    let mut checkpoints = Checkpoints::open(&dir.join(CHECKPOINTS))?;
    let mut scan = Scan {
        entries: 0,
        end: 0,
        last: Digest::new([0; 32]),
        tree: Tree::default(),
        open: Vec::new(),
        checkpointed: 0,
        vouched: 0,
        checkpoints_end: 0,
    };
    let (mut chain, mut pairing) = (Chain::default(), Pairing::<()>::default());
    let mut stopped = (At { line: 1, offset: 0 }, "the file ends".to_owned());
    if let Some(file) = existing(&path)? {
        let mut lines = Lines::new(file, MAX_LINE);
        while let Some((at, line)) = lines.next()? {
            stopped = (at, "the line is torn".to_owned());
            let Line::Whole(line) = line else { break };
            // A crash leaves a line without its end, or zeros where pages were lost. A whole line that is wrong was changed.
            let crashed = memchr::memchr(0, line).is_some();
            let entry = match entry::parse(line) {
                Ok(entry) => entry,
                Err(fault) if crashed => {
                    stopped.1 = fault.what;
                    break;
                }
                Err(fault) => return Err(tampered(&path, at.line, fault.what)),
            };
            let mut fault = None;
            chain.link(&entry, &mut |_, what| {
                fault.get_or_insert(what);
            });
            if let Some(what) = fault {
                return Err(tampered(&path, at.line, what));
            }
            pairing.follow(&entry, chain.run(), (), &mut |_, _| {});
            scan.tree.push(&entry.entry_hash);
            scan.last = entry.entry_hash;
            scan.entries += 1;
            scan.end = at.offset + line.len() as u64 + 1;
            stopped = (At { line: at.line + 1, offset: scan.end }, "the file ends".to_owned());
            checkpoints.compare(&scan.tree, &path, at.line)?;
            if mark.is_some_and(|mark| mark.size == scan.entries && mark.root != scan.tree.root()) {
                return Err(tampered(&path, at.line, "the entries up to here do not have the root that was signed last"));
            }
        }
    }
    match (&chain.origin, &chain.public) {
        (Some(found), _) if found != origin => return Err(OpenError::OtherLog { found: found.clone(), expected: origin.to_owned() }),
        (_, Some(found)) if found != public => return Err(other_key(found, public)),
        _ => {}
    }
    // INVARIANT: what a signed checkpoint covers is never quarantined (test: a_tail_that_is_signed_is_not_given_up).
    checkpoints.drain()?;
    if checkpoints.size > scan.entries {
        let (at, what) = stopped;
        return Err(tampered(&path, at.line, format!("{what}, and a signed checkpoint covers {} entries", checkpoints.size)));
    }
    if checkpoints.size == 0 && scan.entries > 1 {
        return Err(tampered(&dir.join(CHECKPOINTS), 1, format!("the log has {} entries and no checkpoint", scan.entries)));
    }
    checkpoints.verify_last(origin, public)?;
    let marked = mark.map_or(0, |mark| mark.size);
    if marked > scan.entries {
        let end = scan.entries.checked_sub(1).map_or_else(|| "has no entry".to_owned(), |last| format!("ends at entry {last}"));
        return Err(tampered(&path, scan.entries + 1, format!("the log {end}, but {marked} entries were signed: its end is missing")));
    }
    scan.open = pairing.into_open();
    scan.checkpointed = checkpoints.size;
    scan.vouched = checkpoints.size.max(marked);
    scan.checkpoints_end = checkpoints.end;
    Ok(scan)
}

/// Puts what stands after the valid prefixes aside, durably, and only then cuts it off.
pub(crate) fn quarantine(files: &dyn Files, dir: &Path, scan: &Scan, limit: u64) -> Result<Vec<Quarantined>, OpenError> {
    let mut quarantined = Vec::new();
    for (name, end, limit) in [(SEGMENT, scan.end, limit), (CHECKPOINTS, scan.checkpoints_end, 5 * note::MAX_LINE as u64)] {
        let path = dir.join(name);
        let Some(mut file) = existing(&path)? else { continue };
        let bytes = file.metadata()?.len().saturating_sub(end);
        if bytes == 0 {
            continue;
        }
        if bytes > limit {
            return Err(tampered(&path, scan.entries + 1, format!("the invalid end is {bytes} bytes long, and a crash leaves at most {limit}")));
        }
        file.seek(SeekFrom::Start(end))?;
        let file_name = quarantine_name(dir, name.trim_end_matches(".jsonl"), end)?;
        let copy = files.append(&dir.join(&file_name))?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let length = file.read(&mut buffer)?;
            let Some(chunk) = buffer.get(..length).filter(|chunk| !chunk.is_empty()) else { break };
            hash.update(chunk);
            write_all(copy.as_ref(), chunk)?;
        }
        copy.sync()?;
        files.sync_dir(dir)?;
        let log = files.append(&path)?;
        log.truncate(end)?;
        log.sync()?;
        quarantined.push(Quarantined { bytes, file: file_name, sha256: Digest::new(hash.finalize().into()) });
    }
    Ok(quarantined)
}

/// A name that is free, even where a crash in the middle of an earlier recovery left a file. Nobody else makes one: the lock is held.
fn quarantine_name(dir: &Path, name: &str, end: u64) -> io::Result<String> {
    let names = (1..1000).map(|attempt| format!("{name}.torn-{end}-{attempt}"));
    names.into_iter().find(|name| !dir.join(name).exists()).ok_or_else(|| io::Error::other("too many quarantined tails; move them away"))
}

fn existing(path: &Path) -> io::Result<Option<File>> {
    match open_regular(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            Err(io::Error::new(error.kind(), format!("`{name}`: {error}")))
        }
        Err(error) => Err(error),
    }
}

/// The signed checkpoints, in step with the entries.
struct Checkpoints {
    lines: Option<Lines<File>>,
    path: std::path::PathBuf,
    next: Option<Note>,
    last: Option<Note>,
    /// The size of the last one read.
    size: u64,
    /// Where the last whole one ends.
    end: u64,
    number: u64,
}

impl Checkpoints {
    fn open(path: &Path) -> Result<Self, OpenError> {
        let lines = existing(path)?.map(|file| Lines::new(file, note::MAX_LINE));
        let mut checkpoints = Self { lines, path: path.to_owned(), next: None, last: None, size: 0, end: 0, number: 0 };
        checkpoints.advance()?;
        Ok(checkpoints)
    }

    /// Reads the next note; a torn last one counts as not written.
    fn advance(&mut self) -> Result<(), OpenError> {
        if let Some(last) = self.next.take() {
            self.last = Some(last);
        }
        let Some(lines) = &mut self.lines else { return Ok(()) };
        let mut note: [Vec<u8>; 5] = Default::default();
        for slot in &mut note {
            match lines.next()? {
                Some((_, Line::Whole(line))) => *slot = line.to_vec(),
                Some((at, Line::TooLong)) => return Err(tampered(&self.path, at.line, "the line is too long")),
                Some((_, Line::Torn(_))) | None => return Ok(()),
            }
        }
        self.number += 1;
        let line = self.number * 5 - 4;
        let note = Note::parse(&note).ok_or_else(|| tampered(&self.path, line, "this is not a signed checkpoint"))?;
        // None is of size 0: such a one would never be compared, and would keep those after it from being compared.
        if note.checkpoint.size < self.size.max(1) {
            return Err(tampered(&self.path, line, "the checkpoint is smaller than the one before it, or empty"));
        }
        self.size = note.checkpoint.size;
        self.end = lines.offset();
        self.next = Some(note);
        Ok(())
    }

    /// Compares the root with every checkpoint of this size.
    fn compare(&mut self, tree: &Tree, log: &Path, line: u64) -> Result<(), OpenError> {
        while let Some(note) = self.next.as_ref().filter(|note| note.checkpoint.size == tree.size()) {
            if note.checkpoint.root != tree.root() {
                return Err(tampered(log, line, "the entries up to here do not have the root that was signed"));
            }
            self.advance()?;
        }
        Ok(())
    }

    fn drain(&mut self) -> Result<(), OpenError> {
        while self.next.is_some() {
            self.advance()?;
        }
        Ok(())
    }

    fn verify_last(&self, origin: &str, public: &[u8; 32]) -> Result<(), OpenError> {
        let Some(last) = &self.last else { return Ok(()) };
        if last.checkpoint.origin != origin || last.verify(public).is_err() {
            return Err(tampered(&self.path, self.number * 5, "the last checkpoint is not signed with the log's key"));
        }
        Ok(())
    }
}
