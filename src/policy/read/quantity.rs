//! Durations, sizes and rates: `30m`, `64KiB`, `100/min`.

use std::num::NonZeroU32;
use std::time::Duration;

use super::super::limits::Rate;
use super::super::yaml::{Node, Value};
use super::Reader;

impl Reader<'_> {
    /// `500ms`, `60s`, `30m`, `2h`, `1d`; never nothing, never more than 30 days.
    pub(super) fn duration(&mut self, node: &Node, what: &str) -> Option<Duration> {
        let found = match &node.value {
            Value::Text(text) => duration(text),
            _ => None,
        };
        if found.is_none() {
            let (message, help) = match &node.value {
                Value::Int(number) => {
                    (format!("{what} is a time like `60s`"), format!("did you mean `{number}{}`? {TIMES}", if what == "expires" { "m" } else { "s" }))
                }
                Value::Text(text) if is_duration(text) => (format!("{what} is a time from `1ms` to `30d`"), TIMES.to_owned()),
                _ => (format!("{what} is a time like `60s`"), TIMES.to_owned()),
            };
            self.error(node.at, message, help);
        }
        found
    }

    /// `64KiB`, `200MiB`, or a plain number of bytes.
    pub(super) fn bytes(&mut self, node: &Node, what: &str) -> Option<u64> {
        let found = match &node.value {
            Value::Text(text) => bytes(text),
            Value::Int(number) => u64::try_from(*number).ok().filter(|number| *number > 0),
            _ => None,
        };
        if found.is_none() {
            self.error(node.at, format!("{what} is a size like `64KiB`"), "units: `B`, `KiB`, `MiB`, `GiB`".to_owned());
        }
        found
    }

    /// `100/min`.
    pub(super) fn rate(&mut self, node: &Node, what: &str) -> Option<Rate> {
        let found = match &node.value {
            Value::Text(text) => rate(text),
            _ => None,
        };
        if found.is_none() {
            self.error(node.at, format!("{what} is a rate like `100/min`"), "units: `s`, `min`, `h`, `day`".to_owned());
        }
        found
    }
}

const TIMES: &str = "units: `ms`, `s`, `m`, `h`, `d`";

/// Whether it is a number with a unit of time, however long.
fn is_duration(text: &str) -> bool {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    unit.len() < text.len() && matches!(unit, "ms" | "s" | "m" | "h" | "d")
}

fn split(text: &str) -> Option<(u64, &str)> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, unit))
}

pub(super) fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let total = number.checked_mul(milliseconds)?;
    (1..=30 * 86_400_000).contains(&total).then(|| Duration::from_millis(total))
}

/// Units of sizes, in bytes.
pub(in super::super) const UNITS: &[(&str, u64)] = &[("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*factor).filter(|total| *total > 0)
}

pub(super) fn rate(text: &str) -> Option<Rate> {
    let (count, unit) = text.split_once('/')?;
    let seconds = match unit {
        "s" => 1,
        "min" => 60,
        "h" => 3600,
        "day" => 86_400,
        _ => return None,
    };
    let count = count.parse::<u32>().ok().filter(|_| count.bytes().all(|b| b.is_ascii_digit()))?;
    Some(Rate { count: NonZeroU32::new(count)?, per: Duration::from_secs(seconds) })
}
