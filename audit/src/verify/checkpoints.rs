//! Checks signed checkpoints in step with the entries.

use std::fs::File;
use std::path::Path;

use crate::chain::Chain;
use crate::digest::Digest;
use crate::finding::Code;
use crate::lines::{At, Line, Lines};
use crate::merkle::Tree;
use crate::note::{self, Note, Unsigned};

use super::{CheckError, Report, report};

const FILE: &str = "checkpoints";

pub(super) struct Checkpoints {
    lines: Option<Lines<File>>,
    /// The next one, and where it begins.
    next: Option<(At, Note)>,
    /// Size and root of the one before.
    before: Option<(u64, Digest)>,
    /// A root did not fit: those after it cannot either, and say nothing new.
    diverged: bool,
    /// The file cannot be read further.
    pub(super) broken: bool,
    fault: Option<(At, &'static str)>,
    pub(super) count: u64,
    /// The largest size seen.
    pub(super) size: u64,
}

impl Checkpoints {
    /// To be opened before the entries: then it never covers more than what is read of them, though a gateway writes meanwhile.
    pub(super) fn open(path: Option<&Path>) -> Result<Self, CheckError> {
        let lines = path.map(|path| super::lines(path, note::MAX_LINE)).transpose()?;
        let mut checkpoints = Self { lines, next: None, before: None, diverged: false, broken: false, fault: None, count: 0, size: 0 };
        checkpoints.read()?;
        Ok(checkpoints)
    }

    /// Reads the next note.
    fn read(&mut self) -> Result<(), CheckError> {
        self.next = None;
        let Some(lines) = self.lines.as_mut().filter(|_| !self.broken) else { return Ok(()) };
        let mut note: [Vec<u8>; 5] = Default::default();
        let mut begin = None;
        for slot in &mut note {
            let line = lines.next().map_err(|error| CheckError::Read { path: FILE.into(), error })?;
            let (at, line) = match line {
                None if begin.is_none() => return Ok(()),
                None => (At { line: 0, offset: 0 }, None),
                Some((at, Line::Whole(line))) => (at, Some(line)),
                Some((at, _)) => (at, None),
            };
            let begin = *begin.get_or_insert(at);
            let Some(line) = line else {
                self.broken = true;
                self.fault = Some((begin, "the checkpoint is torn"));
                return Ok(());
            };
            *slot = line.to_vec();
        }
        let begin = begin.unwrap_or(At { line: 1, offset: 0 });
        match Note::parse(&note) {
            Some(note) => self.next = Some((begin, note)),
            None => {
                self.broken = true;
                self.fault = Some((begin, "this is not a signed checkpoint"));
            }
        }
        Ok(())
    }

    /// Checks those of the tree's size. True where there was one.
    pub(super) fn at_size(&mut self, tree: &Tree, chain: &Chain, report: &mut Report) -> Result<bool, CheckError> {
        let mut any = false;
        while let Some((at, note)) = self.next.take_if(|(_, note)| note.checkpoint.size <= tree.size()) {
            if note.checkpoint.size == tree.size() {
                any = true;
                if !self.diverged && note.checkpoint.root != tree.root() && !self.forks(&note) {
                    self.diverged = true;
                    report.found(Code::CheckpointRoot, FILE, at, format!("the first {} entries do not have the root that was signed", tree.size()));
                }
            }
            self.check(at, &note, chain, report)?;
        }
        Ok(any)
    }

    /// Checks those that are left; returns the largest size that is beyond the log's end.
    pub(super) fn drain(&mut self, chain: &Chain, report: &mut Report) -> Result<Option<u64>, CheckError> {
        let mut beyond = None;
        while let Some((at, note)) = self.next.take() {
            beyond = beyond.max(Some(note.checkpoint.size));
            self.check(at, &note, chain, report)?;
        }
        if let Some((at, what)) = self.fault {
            report.found(Code::CheckpointFormat, FILE, at, what.to_owned());
        }
        Ok(beyond)
    }

    fn forks(&self, note: &Note) -> bool {
        self.before.is_some_and(|(size, root)| size == note.checkpoint.size && root != note.checkpoint.root)
    }

    /// What can be said of a checkpoint without the entries; then the next is read.
    fn check(&mut self, at: At, note: &Note, chain: &Chain, report: &mut Report) -> Result<(), CheckError> {
        let checkpoint = &note.checkpoint;
        if self.before == Some((checkpoint.size, checkpoint.root)) {
            report.found(Code::CheckpointRepeat, FILE, at, format!("a second checkpoint of the same {} entries", checkpoint.size));
            return self.read();
        }
        self.count += 1;
        if let Some(origin) = chain.origin.as_ref().filter(|origin| **origin != checkpoint.origin) {
            report.found(Code::CheckpointOrigin, FILE, at, format!("a checkpoint of the log `{}`, this is `{origin}`", checkpoint.origin));
        } else if let Some(public) = chain.public.as_ref().filter(|_| report.total_findings < report::KEPT as u64) {
            // A signature costs much more than a line. Notes that are no finding cannot be made without the key, and those that are one
            // are checked so far and no further: whoever fills the file cannot keep its reader busy.
            match note.verify(public) {
                Ok(()) => {}
                Err(Unsigned::OtherKey) => report.found(Code::CheckpointKey, FILE, at, "signed by a key that is not the log's".to_owned()),
                Err(Unsigned::BadSignature) => report.found(Code::CheckpointSignature, FILE, at, "the signature does not fit".to_owned()),
            }
        }
        if self.forks(note) {
            report.found(Code::CheckpointFork, FILE, at, format!("a second root for {} entries", checkpoint.size));
        } else if self.before.is_some_and(|(size, _)| checkpoint.size < size) {
            report.found(Code::CheckpointOrder, FILE, at, format!("a checkpoint of {} entries after one of more", checkpoint.size));
        } else {
            self.before = Some((checkpoint.size, checkpoint.root));
        }
        self.size = self.size.max(checkpoint.size);
        self.read()
    }
}
