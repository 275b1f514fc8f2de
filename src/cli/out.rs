//! Writing to the person: colour only where a terminal is there, and a closed pipe is no error.

use std::io::Write;

/// A line for standard output.
pub(super) fn say(text: impl AsRef<str>) {
    let _ = writeln!(anstream::stdout().lock(), "{}", text.as_ref());
}

/// Why the command failed, on standard error.
pub(super) fn complain(text: impl AsRef<str>) {
    use owo_colors::OwoColorize;
    // A report of several errors says so at each of them.
    let text = text.as_ref();
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let _ = writeln!(anstream::stderr().lock(), "{} {text}", "error:".red().bold());
}

/// A value as indented JSON.
pub(super) fn json(value: &impl serde::Serialize) {
    say(serde_json::to_string_pretty(value).unwrap_or_default());
}
