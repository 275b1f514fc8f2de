//! The high-water mark, which the gateway keeps outside of the log's folder.

use std::io::Read;
use std::path::Path;

use crate::chain::Chain;
use crate::digest::Digest;
use crate::files::open_regular;
use crate::finding::Code;
use crate::lines::At;
use crate::merkle::Tree;
use crate::note::{self, Note, Unsigned};

use super::{CheckError, Place, Report};

pub(super) struct Head {
    file: String,
    note: Note,
    /// The root of as many entries as it covers, where so many are here.
    root: Option<Digest>,
}

impl Head {
    pub(super) fn read(path: &Path) -> Result<Self, CheckError> {
        let unreadable = |error| CheckError::Read { path: path.to_owned(), error };
        let mut text = Vec::new();
        open_regular(path).map_err(unreadable)?.take(5 * note::MAX_LINE as u64).read_to_end(&mut text).map_err(unreadable)?;
        let note = Note::from_file(&text).ok_or_else(|| CheckError::Head(path.to_owned()))?;
        Ok(Self { file: path.file_name().unwrap_or_default().to_string_lossy().into_owned(), note, root: None })
    }

    pub(super) fn at_size(&mut self, tree: &Tree) {
        if tree.size() == self.note.checkpoint.size {
            self.root = Some(tree.root());
        }
    }

    /// Where it is not this log's, it says nothing of this log.
    pub(super) fn finish(&self, chain: &Chain, entries: u64, end: &Place, report: &mut Report) {
        let at = At { line: 1, offset: 0 };
        let checkpoint = &self.note.checkpoint;
        if let Some(origin) = chain.origin.as_ref().filter(|origin| **origin != checkpoint.origin) {
            report.found(Code::CheckpointOrigin, &self.file, at, format!("a checkpoint of the log `{}`, this is `{origin}`", checkpoint.origin));
            return;
        }
        let (code, what) = match chain.public.map(|public| self.note.verify(&public)) {
            Some(Err(Unsigned::OtherKey)) => (Code::CheckpointKey, "signed by a key that is not the log's"),
            Some(Err(Unsigned::BadSignature)) => (Code::CheckpointSignature, "the signature does not fit"),
            None | Some(Ok(())) if checkpoint.size > entries => {
                let what = format!("the high-water mark covers {} entries, and {entries} are here: the log's end is missing", checkpoint.size);
                report.found_in(Code::Truncated, end.file, end.at, what);
                return;
            }
            None | Some(Ok(())) if self.root.is_some_and(|root| root != checkpoint.root) => {
                (Code::CheckpointRoot, "the log's first entries, as many as it covers, do not have the root that was signed")
            }
            None | Some(Ok(())) => return,
        };
        report.found(code, &self.file, at, what.to_owned());
    }
}
