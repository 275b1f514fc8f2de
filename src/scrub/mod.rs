//! No secret leaves: everything a tool returns, every record and every log line goes through here.
//!
//! A text takes this way, and clean text leaves it after two passes at memory speed:
//!
//! 1. `known`: the gateway's own credentials, in every form they may take.
//! 2. `tokens`: runs of token characters, probed against the table of formats in `rules`.
//! 3. `stems`: pieces of key names (`passw`, `secr`, `tok`), URIs and key blocks, judged by
//!    `context` (with `key_name`, `keyed_value`, `commands`, `lines`, `placeholder`), `uri`, `pem`, `formats`.
//! 4. `escapes`: where letters are escaped, 2 and 3 once more on the decoded text.
//! 5. `span`: findings that overlap become one, and each becomes `[REDACTED:kind]`.
//!
//! JSON is walked with its key names by `json`; what it finds never changes the shape of a document.

mod clean;
mod commands;
mod context;
mod counts;
mod decode;
mod escapes;
mod formats;
mod headers;
mod json;
mod key_name;
mod key_words;
mod keyed_value;
mod known;
mod kubernetes;
mod lines;
mod pem;
mod placeholder;
mod placeholder_words;
mod rules;
mod scan;
mod shape;
mod span;
mod stems;
#[cfg(test)]
mod tests;
mod tokens;
mod unicode;
mod uri;
mod value;

pub use clean::{Clean, CleanBuilder};
pub use counts::Counts;
pub use rules::kinds;
pub use span::has_redaction_mark;

use secrecy::SecretString;
use serde_json::Value;

/// Removes secrets from text and JSON. Share it by `Arc`; it never changes.
///
/// Scrubbing never fails and never drops a whole text: a secret becomes `[REDACTED:kind]` and the
/// rest stays byte for byte. Scrubbing twice gives the same as scrubbing once.
pub struct Scrubber {
    known: known::Known,
}

impl Scrubber {
    /// A scrubber that also removes `known`, the gateway's own credentials: plain, in base64
    /// (standard and URL alphabet, wherever they begin in the encoded text), percent-encoded,
    /// JSON-escaped and in hex. Values shorter than six bytes are not looked for.
    pub fn new(known: Vec<SecretString>) -> Self {
        Self { known: known::Known::new(&known) }
    }

    /// The text without its secrets.
    pub fn text(&self, text: &str) -> (Clean<String>, Counts) {
        let mut counts = Counts::new();
        let clean = scan::scrub(text, &self.known, &mut counts).unwrap_or_else(|| text.to_owned());
        (Clean::vouched(clean), counts)
    }

    /// The text without its secrets; the same allocation where there are none.
    pub fn text_owned(&self, text: String) -> (Clean<String>, Counts) {
        let mut counts = Counts::new();
        let clean = scan::scrub(&text, &self.known, &mut counts).unwrap_or(text);
        (Clean::vouched(clean), counts)
    }

    /// A whole file without its secrets, every line still at its number; `None` where it has none. For tools that show parts
    /// of a file: a part of a secret would not be known for one.
    pub fn by_line(&self, whole: &str) -> (Option<String>, Counts) {
        let mut counts = Counts::new();
        let clean = match unicode::Visible::of(whole) {
            None => json::scrub_lines(whole, &self.known, &mut counts),
            // A secret that hidden characters or strange line ends split is found in what is left without them.
            Some(visible) => json::scrub_lines(visible.text(), &self.known, &mut counts).map(|clean| visible.with_own_lines(&clean)),
        };
        (clean, counts)
    }

    /// The document without its secrets: values are judged by their key names too, keys are
    /// scanned, and objects and arrays keep their shape.
    pub fn json(&self, value: Value) -> (Clean<Value>, Counts) {
        let mut value = value;
        let mut counts = Counts::new();
        json::scrub(&mut value, &self.known, &mut counts);
        (Clean::vouched(value), counts)
    }

    /// A document from outside for a model's eyes: every string is cleaned as by
    /// [`Scrubber::untrusted_text`]; newlines and tabs stay.
    pub fn untrusted_json(&self, value: Value) -> (Clean<Value>, Counts) {
        let mut value = value;
        json::strip_hidden(&mut value);
        self.json(value)
    }

    /// A log line without its secrets. A line of JSON stays valid JSON.
    pub fn line(&self, line: &str) -> Clean<String> {
        let mut counts = Counts::new();
        let clean = json::scrub_text(line, &self.known, &mut counts, 0).unwrap_or_else(|| line.to_owned());
        Clean::vouched(clean)
    }

    /// Text from outside for a model's eyes: hidden characters are removed first (terminal
    /// escapes, control and bidirectional characters, tag characters, zero-width ones), so that
    /// they cannot split a secret either; then the secrets are.
    pub fn untrusted_text(&self, text: &str) -> (Clean<String>, Counts) {
        match unicode::strip_hidden(text) {
            Some(visible) => self.text_owned(visible),
            None => self.text(text),
        }
    }
}

impl std::fmt::Debug for Scrubber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scrubber").finish_non_exhaustive()
    }
}
