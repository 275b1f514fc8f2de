//! Which files make the log.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::CheckError;

/// The files of a log.
pub(super) struct Input {
    pub(super) segments: Vec<PathBuf>,
    /// Their names in reports.
    pub(super) names: Vec<String>,
    pub(super) checkpoints: Option<PathBuf>,
    /// A folder holds a whole log; segment files need not.
    pub(super) whole: bool,
    /// File name and what is wrong with it.
    pub(super) findings: Vec<(String, String)>,
}

pub(super) fn find(paths: &[PathBuf]) -> Result<Input, CheckError> {
    match paths {
        [folder] if folder.is_dir() => in_folder(folder),
        [] => Err(CheckError::Paths),
        files if files.iter().any(|path| path.is_dir()) => Err(CheckError::Paths),
        files => {
            let checkpoints = files.first().map(|file| file.with_file_name("checkpoints")).filter(|path| is_there(path));
            Ok(Input {
                names: files.iter().map(|path| name(path)).collect(),
                segments: files.to_vec(),
                checkpoints,
                whole: false,
                findings: Vec::new(),
            })
        }
    }
}

/// All `*.jsonl` in their order; numbers that are missing and names that are none are findings.
fn in_folder(folder: &Path) -> Result<Input, CheckError> {
    let unreadable = |error| CheckError::Read { path: folder.to_owned(), error };
    let mut segments = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension() == Some(OsStr::new("jsonl")) {
            segments.push(path);
        }
    }
    segments.sort();
    let checkpoints = Some(folder.join("checkpoints")).filter(|path| is_there(path));
    if segments.is_empty() && checkpoints.is_none() {
        return Err(CheckError::NoLog(folder.to_owned()));
    }
    let mut findings = Vec::new();
    let mut expected = 1_u32;
    segments.retain(|path| {
        let name = name(path);
        let number: Option<u32> = name
            .strip_suffix(".jsonl")
            .filter(|stem| stem.len() == 8 && stem.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|stem| stem.parse().ok());
        match number {
            Some(number) => {
                if number != expected {
                    findings.push((format!("{expected:08}.jsonl"), format!("the segment is missing; the next one here is `{name}`")));
                }
                expected = number.saturating_add(1);
                true
            }
            None => {
                findings.push((name, "the file is not named as a segment, eight digits and `.jsonl`; it was not read".to_owned()));
                false
            }
        }
    });
    if segments.is_empty() {
        findings.push(("00000001.jsonl".to_owned(), "the log has checkpoints and no entries".to_owned()));
    }
    Ok(Input { names: segments.iter().map(|path| name(path)).collect(), segments, checkpoints, whole: true, findings })
}

/// A link that leads nowhere is there too.
fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
