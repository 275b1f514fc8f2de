//! The high-water mark: the newest signed checkpoint, kept where whoever can write the log's folder cannot.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::files::{no_follow, open_regular};
use crate::note::{self, Checkpoint, Note};

/// Replaces the mark: a crash leaves this one or the one before it, never half of one.
pub(super) fn write(path: &Path, note: &str) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).custom_flags(no_follow()).open(&fresh)?;
    file.write_all(note.as_bytes())?;
    file.sync_data()?;
    drop(file);
    fs::rename(&fresh, path)
}

/// What the mark says of the log of this name and key; `None` where there is none.
///
/// # Errors
/// The system's, and where the mark is not a signed checkpoint of this log: a damaged mark vouches for nothing, and taking it for none
/// would make it easy to be rid of.
pub(super) fn read(path: &Path, origin: &str, public: &[u8; 32]) -> io::Result<Option<Checkpoint>> {
    let file = match open_regular(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    file.take(5 * note::MAX_LINE as u64).read_to_end(&mut text)?;
    let note = Note::from_file(&text).filter(|note| note.checkpoint.origin == origin && note.verify(public).is_ok());
    let damaged =
        || io::Error::new(io::ErrorKind::InvalidData, "the high-water mark is not a signed checkpoint of this log; restore it, or move it away");
    Ok(Some(note.ok_or_else(damaged)?.checkpoint))
}
