//! The file that budgets are kept in: private, replaced as a whole, durable before anything counts on it.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::Path;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::budget::{Account, Day};
use crate::home::{HomeError, write_private};

/// Calls and bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Used {
    pub(super) calls: u64,
    pub(super) bytes: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    version: u32,
    /// `2026-11-20`, UTC.
    day: String,
    callers: BTreeMap<String, Used>,
}

/// Longer than this is no file of ours.
const MOST_BYTES: u64 = 16 << 20;

/// Why budgets cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum Damaged {
    /// It is there and cannot be read.
    #[error("the file of budgets cannot be read: {0}")]
    Unreadable(std::io::Error),
    /// It is not what was written.
    #[error("the file of budgets is damaged: {0}")]
    Malformed(String),
    /// What is about to be used could not be written down.
    #[error("the file of budgets cannot be written: {0}")]
    Unwritable(HomeError),
}

impl Damaged {
    /// As a client may read it: without a path.
    pub(super) fn client(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "their file cannot be read",
            Self::Malformed(_) => "their file is damaged",
            Self::Unwritable(_) => "their file cannot be written",
        }
    }
}

/// What was kept; nothing yet where there is no file.
pub(super) fn read(file: &Path, today: Date) -> Result<Day, Damaged> {
    let mut text = String::new();
    let opened = match std::fs::File::open(file) {
        Ok(opened) => opened,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Day { date: today, callers: HashMap::new() }),
        Err(error) => return Err(Damaged::Unreadable(error)),
    };
    opened.take(MOST_BYTES).read_to_string(&mut text).map_err(Damaged::Unreadable)?;
    let kept: Kept = serde_json::from_str(&text).map_err(|error| Damaged::Malformed(error.to_string()))?;
    if kept.version != 1 {
        return Err(Damaged::Malformed(format!("its version is {}, and this opsgate reads 1", kept.version)));
    }
    let date = kept.day.parse().map_err(|_| Damaged::Malformed("its day is no date".to_owned()))?;
    Ok(Day { date, callers: kept.callers.into_iter().map(|(caller, used)| (caller.into(), Account::of(used))).collect() })
}

/// Replaces what was kept by what is reserved.
pub(super) fn write(file: &Path, day: &Day) -> Result<(), Damaged> {
    let callers = day.callers.iter().map(|(caller, account)| (caller.to_string(), account.reserved)).collect();
    let text = serde_json::to_vec(&Kept { version: 1, day: day.date.to_string(), callers }).map_err(|error| Damaged::Malformed(error.to_string()))?;
    write_private(file, &text).map_err(Damaged::Unwritable)
}
