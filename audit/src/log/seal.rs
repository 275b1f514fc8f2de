//! The mark that keeps a log sealed across restarts.

use std::fs;
use std::io;
use std::path::Path;

use crate::files::{Files, write_all};

/// Leaves the mark. That the file exists is what counts, so that a full disk that takes no more bytes still takes the mark; its text is
/// for people. Where even that fails the log stays sealed for this run, and the next start checks the files anyway.
pub(super) fn mark(files: &dyn Files, path: &Path, why: &str) {
    let Ok(file) = files.append(path) else { return };
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let _ = files.sync_dir(parent);
    if write_all(file.as_ref(), format!("{why}\n").as_bytes()).is_ok() {
        let _ = file.sync();
    }
}

/// Why the log is sealed, where it is.
pub(super) fn reason(path: &Path) -> io::Result<Option<String>> {
    match fs::read(path) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes).trim().chars().take(500).collect::<String>();
            Ok(Some(if text.is_empty() { "no reason was written".to_owned() } else { text }))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Takes the mark away.
pub(super) fn remove(files: &dyn Files, path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    files.sync_dir(path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new(".")))
}
