//! Values of HTTP headers: `Authorization` and `Cookie`.

use super::decode;
use super::key_name::Weight;
use super::keyed_value::{Key, READ_AGAIN, VALUE, floor_boundary};
use super::placeholder::{Place, is_placeholder, is_secret};
use super::span::MARK;
use super::value::looks_random;

impl Key<'_> {
    /// `Bearer x`, `Basic x`, `Token x`: the scheme stays. Without a scheme all of it goes.
    pub(super) fn authorization(&self, at: usize) -> Option<(usize, usize)> {
        let at = self.opening(at).map_or(at, |(_, _, from)| from);
        let end_of = |from: usize| self.bare_end(from, |byte| matches!(byte, b'"' | b'\'' | b'`' | b',' | b'\\' | b'<' | b'}' | b';'));
        let first = end_of(at);
        let word = self.text.get(at..first)?;
        let scheme = word.len() >= 3
            && word.len() <= 20
            && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && self.byte(first) == Some(b' ');
        let from = if scheme { self.skip_spaces(first) } else { at };
        let to = end_of(from);
        let known = [
            "bearer",
            "basic",
            "token",
            "digest",
            "negotiate",
            "apikey",
            "api-key",
            "ntlm",
            "hawk",
            "splunk",
            "bot",
            "genie",
            "key",
            "ssws",
            "discordbot",
        ];
        if scheme && !known.contains(&word.to_ascii_lowercase().as_str()) {
            let value = self.text.get(from..to)?;
            return (value.len() >= 12 && looks_random(value)).then_some((from, to));
        }
        let place = if scheme { Place::Quoted } else { Place::Loose };
        self.accept_as(Weight::Weak, from, to, place).or_else(|| {
            let value = self.text.get(from..to)?;
            (scheme && value.len() >= 8 && word.eq_ignore_ascii_case("basic") && decode::base64(value).is_some_and(|bytes| bytes.contains(&b':')))
                .then_some((from, to))
        })
    }

    /// `a=1; session=x`: the line goes from the first value that looks generated.
    pub(super) fn cookie(&self, at: usize) -> Option<(usize, usize)> {
        let at = self.opening(at).map_or(at, |(_, _, from)| from);
        let rest = self.rest(at).as_bytes();
        let rest = rest.get(..VALUE.min(rest.len()))?;
        let end = at + rest.iter().position(|byte| matches!(byte, b'\n' | b'\r' | b'"' | b'\'' | b'\\' | b'<' | b'`')).unwrap_or(rest.len());
        self.read.set(self.read.get() + end - at);
        let line = self.text.get(at..floor_boundary(self.text, end))?;
        if self.read.get() > READ_AGAIN * self.text.len() + VALUE && !line.starts_with(MARK) {
            return Some((at, at + line.len()));
        }
        let mut from = None;
        let mut to = at;
        let mut place = at;
        for pair in line.split(';') {
            if let Some((name, value)) = pair.split_once('=') {
                let starts = place + name.len() + 1;
                let attribute = ["expires", "max-age", "path", "domain", "samesite", "version"].contains(&name.trim().to_ascii_lowercase().as_str());
                if !attribute
                    && name.trim_start().bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
                    && value.trim().len() >= 8
                    && !is_placeholder(value.trim())
                    && is_secret(Weight::Weak, value, Place::Leaf)
                {
                    from.get_or_insert(starts);
                    to = starts + value.trim_end().len();
                }
            }
            place += pair.len() + 1;
        }
        from.map(|from| (from, to))
    }
}
