//! Keys of command lines and calls: `--password x`, `setenv("PASSWORD", "x")`, `.netrc`, SQL.

use super::keyed_value::Key;
use super::placeholder::{Place, is_wordy};

/// Calls that set a value by its name.
const SETTERS: &[&str] = &["define", "setenv", "putenv", "setdefault", "setProperty", ".env"];
/// Calls that read a variable, with its default.
const READERS: &[&str] = &["getenv", "Getenv", "getEnv", "GetEnv", "environ.get", "ENV.fetch", "env.get", " env", "=env", "getProperty"];

impl Key<'_> {
    /// `setenv("PASSWORD", …)`: whether the key is the first argument of what sets a value.
    pub(super) fn is_argument(&self) -> bool {
        let before = self.before();
        let call = before.strip_suffix(b"(\"").or_else(|| before.strip_suffix(b"('")).unwrap_or_default();
        SETTERS.iter().chain(READERS).any(|name| call.ends_with(name.as_bytes()))
    }

    /// `getenv("PASSWORD", …)`: the value is what the variable has by default.
    pub(super) fn reads_environment(&self) -> bool {
        let before = self.before();
        READERS.iter().any(|name| before.get(..before.len().saturating_sub(2)).is_some_and(|call| call.ends_with(name.as_bytes())))
    }

    pub(super) fn is_flag(&self) -> bool {
        self.name.starts_with('-') && !matches!(self.before().last(), Some(byte) if byte.is_ascii_alphanumeric())
    }

    /// `--password value`, `"--password", "value"`.
    pub(super) fn flag(&self, closed: usize, spaced: usize) -> Option<(usize, usize)> {
        if closed > self.end && self.byte(closed) == Some(b',') {
            let at = self.skip_spaces(closed + 1);
            return self.quoted(at);
        }
        if spaced == closed || self.byte(spaced) == Some(b'-') {
            return None;
        }
        self.quoted(spaced).or_else(|| {
            let end = self.bare_end(spaced, |byte| matches!(byte, b'|' | b';' | b')' | b'`'));
            self.accept(spaced, end, Place::Loose).filter(|_| !is_wordy_flag(self.text.get(spaced..end).unwrap_or_default()))
        })
    }

    /// `PASSWORD 'x'` in SQL, `password x` in `.netrc`.
    pub(super) fn spoken(&self, spaced: usize) -> Option<(usize, usize)> {
        let word = self.text.get(self.start..self.end)?;
        if word.eq_ignore_ascii_case("password") && self.byte(spaced) == Some(b'\'') {
            return self.quoted(spaced);
        }
        if word == "password" && self.follows_login() {
            let end = self.bare_end(spaced, |_| false);
            return self.accept(spaced, end, Place::Bare);
        }
        if self.named.kind == "aws_secret_key" {
            let end = self.bare_end(spaced, |byte| matches!(byte, b'"' | b'\''));
            return self.accept(spaced, end, Place::Loose).filter(|(from, to)| to - from == 40);
        }
        if word == "requirepass" || word == "masterauth" {
            let end = self.bare_end(spaced, |_| false);
            return self.accept(spaced, end, Place::Bare);
        }
        None
    }

    /// Whether `machine` or `login` stands shortly before, as in `.netrc`.
    fn follows_login(&self) -> bool {
        let before = self.text.as_bytes().get(self.start.saturating_sub(160)..self.start).unwrap_or_default();
        memchr::memmem::rfind(before, b"login ").is_some() || memchr::memmem::rfind(before, b"machine ").is_some()
    }
}

/// `--token file`, `--password stdin`: a word that is no secret beside a flag in a sentence.
fn is_wordy_flag(value: &str) -> bool {
    is_wordy(value) && value.len() < 6
}
