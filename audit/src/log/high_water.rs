//! The high-water mark: the newest signed checkpoint, kept where whoever can write the log's folder cannot.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::files::{no_follow, open_regular};
use crate::note::{self, Checkpoint, Note};

/// Replaces the mark. It is not synced: a power cut may leave the one before or an empty one, and each of them only vouches for less.
pub(super) fn write(path: &Path, note: &str) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).custom_flags(no_follow()).open(&fresh)?;
    file.write_all(note.as_bytes())?;
    drop(file);
    fs::rename(&fresh, path)
}

/// What the mark says of the log of this name and key; `None` where there is none, or it is not a signed checkpoint of this log.
pub(super) fn read(path: &Path, origin: &str, public: &[u8; 32]) -> io::Result<Option<Checkpoint>> {
    let file = match open_regular(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    file.take(5 * note::MAX_LINE as u64).read_to_end(&mut text)?;
    let note = Note::from_file(&text).filter(|note| note.checkpoint.origin == origin && note.verify(public).is_ok());
    Ok(note.map(|note| note.checkpoint))
}
