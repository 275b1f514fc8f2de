//! Writing to the person: colour only where a terminal is there, and a closed pipe is no error.

use std::io::Write;

/// A line for standard output.
pub(super) fn say(text: impl AsRef<str>) {
    let _ = writeln!(anstream::stdout().lock(), "{}", text.as_ref());
}

/// Why the command failed, on standard error.
pub(super) fn complain(text: impl AsRef<str>) {
    use owo_colors::OwoColorize;
    let _ = writeln!(anstream::stderr().lock(), "{} {}", "error:".red().bold(), text.as_ref());
}

/// A value as indented JSON.
pub(super) fn json(value: &impl serde::Serialize) {
    say(serde_json::to_string_pretty(value).unwrap_or_default());
}
