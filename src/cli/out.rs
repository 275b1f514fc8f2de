//! Writing to the person: colour only where a terminal is there, and a closed pipe is no error.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::policy::Look;

/// A line for standard output.
pub(super) fn say(text: impl AsRef<str>) {
    let written = writeln!(anstream::stdout().lock(), "{}", text.as_ref()).and_then(|()| std::io::stdout().flush());
    // A reader that has seen enough closes the pipe; a full disk is a failure.
    if written.is_err_and(|error| error.kind() != std::io::ErrorKind::BrokenPipe) {
        FAILED.store(true, Ordering::Relaxed);
    }
}

static FAILED: AtomicBool = AtomicBool::new(false);

/// Whether something that was said did not get out.
pub(super) fn failed() -> bool {
    FAILED.load(Ordering::Relaxed)
}

/// How findings are drawn on this stream: with colour where it takes colour, and then also beyond ASCII.
pub(super) fn look(stream: &impl anstream::stream::RawStream) -> Look {
    if anstream::AutoStream::choice(stream) == anstream::ColorChoice::Never { Look::Plain } else { Look::Terminal }
}

/// Why the command failed, on standard error.
pub(super) fn complain(text: impl AsRef<str>) {
    use owo_colors::OwoColorize;
    let _ = writeln!(anstream::stderr().lock(), "{} {}", "error:".red().bold(), text.as_ref());
}

/// A line of progress, on standard error: the answer alone goes to standard output.
pub(super) fn progress(line: &str) {
    use owo_colors::OwoColorize;
    let _ = writeln!(anstream::stderr().lock(), "{}", line.dimmed());
}

/// A value as indented JSON.
pub(super) fn json(value: &impl serde::Serialize) {
    say(serde_json::to_string_pretty(value).unwrap_or_default());
}
