//! Writing to the person: colour only where a terminal is there, and a closed pipe is no error. What a terminal would hide
//! or turn round is shown as its number: names and reasons are a policy's own, and are read before they are trusted.

use std::borrow::Cow;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::policy::{Look, unseen};

/// A line for standard output.
pub(super) fn say(text: impl AsRef<str>) {
    write(&escaped(text.as_ref(), |c| c.escape_unicode().collect()));
}

fn write(text: &str) {
    let written = writeln!(anstream::stdout().lock(), "{text}").and_then(|()| std::io::stdout().flush());
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
    let text = escaped(text.as_ref(), |c| c.escape_unicode().collect());
    let _ = writeln!(anstream::stderr().lock(), "{} {text}", "error:".red().bold());
}

/// A line of progress, on standard error: the answer alone goes to standard output.
pub(super) fn progress(line: &str) {
    use owo_colors::OwoColorize;
    let _ = writeln!(anstream::stderr().lock(), "{}", line.dimmed());
}

/// A value as indented JSON.
pub(super) fn json(value: &impl serde::Serialize) {
    // Such characters stand in JSON's texts alone, where they have an escape that means the same.
    let escape = |c: char| c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect();
    write(&escaped(&serde_json::to_string_pretty(value).unwrap_or_default(), escape));
}

/// Without characters that are not seen or turn the reading direction. Those of ASCII are left: lines end and colours begin with them,
/// and no name in a policy has one.
fn escaped(text: &str, escape: impl Fn(char) -> String) -> Cow<'_, str> {
    let hides = |c: char| !c.is_ascii() && unseen(c);
    if !text.contains(hides) {
        return Cow::Borrowed(text);
    }
    text.chars().map(|c| if hides(c) { escape(c) } else { c.to_string() }).collect::<String>().into()
}

/// A text of the policy's writer as Markdown shows it: no markup, no cell of a table.
pub(super) fn markdown(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('|', "\\|").replace('`', "\\`")
}
