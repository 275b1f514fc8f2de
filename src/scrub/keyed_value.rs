//! A sensitive key in a text, and the reading of its value: quoted, bare, in an element, behind a
//! flag, in the next line.

use super::key_name::{LONGEST, Sensitive, Weight};
use super::placeholder::{Place, is_placeholder, is_secret, is_wordy};
use super::span::MARK;
use std::cell::Cell;

/// The longest value that is read for one key.
pub(super) const VALUE: usize = 16 << 10;
/// How often all of a text's bytes may be read as values.
pub(super) const READ_AGAIN: usize = 12;

/// A sensitive key in a text.
pub(super) struct Key<'t> {
    pub(super) text: &'t str,
    /// Bytes of values read so far, see [`super::context::find`].
    pub(super) read: &'t Cell<usize>,
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) name: &'t str,
    pub(super) named: Sensitive,
}

impl Key<'_> {
    pub(super) fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    pub(super) fn rest(&self, at: usize) -> &str {
        self.text.get(at..).unwrap_or_default()
    }

    fn before(&self) -> &[u8] {
        self.text.as_bytes().get(self.start.saturating_sub(64)..self.start).unwrap_or_default()
    }

    /// Where the value stands, if it is a secret.
    pub(super) fn value(&self) -> Option<(usize, usize)> {
        let closed = self.skip_closing(self.end);
        if let Some(at) = self.element(closed) {
            let end = at + memchr::memchr(b'<', self.rest(at).as_bytes().get(..VALUE.min(self.rest(at).len()))?)?;
            self.read.set(self.read.get() + end - at);
            return if self.rest(end).starts_with("</") { self.accept(at, end, Place::Leaf) } else { None };
        }
        let spaced = self.skip_spaces(closed);
        if let Some(at) = self.equals(spaced) {
            let tight = spaced == closed && self.byte(at).is_some_and(|byte| !matches!(byte, b' ' | b'\t'));
            return self.after_separator(self.skip_spaces(at), if tight { Separator::Tight } else { Separator::Equals });
        }
        if self.byte(spaced) == Some(b':') && !matches!(self.byte(spaced + 1), Some(b':')) {
            return self.after_separator(self.skip_spaces(spaced + 1), Separator::Colon);
        }
        if self.byte(closed) == Some(b',') && self.named.weight == Weight::Strong && self.is_argument() {
            return self.quoted(self.skip_spaces(closed + 1));
        }
        if let Some(at) = self.pair(closed) {
            return self.after_separator(at, Separator::Pair);
        }
        if self.is_flag() {
            return self.flag(closed, spaced);
        }
        if spaced > closed && closed == self.end {
            return self.spoken(spaced);
        }
        None
    }

    /// Past the quotes, brackets and colours that close a key.
    fn skip_closing(&self, mut at: usize) -> usize {
        let limit = at + 24;
        while at < limit {
            let rest = self.rest(at);
            let len = match self.byte(at) {
                Some(b'"' | b'\'' | b'`' | b']') => 1,
                Some(b'\\') if rest.trim_start_matches('\\').starts_with(['"', '\'']) => 1,
                Some(b'\\') if rest.starts_with("\\u0022") => 6,
                Some(b'\\') if rest.starts_with("\\u001b[") || rest.starts_with("\\x1b[") => {
                    rest.find('m').filter(|at| *at < 14).map_or(0, |at| at + 1)
                }
                Some(0x1b) => rest.find('m').filter(|at| *at < 10).map_or(0, |at| at + 1),
                Some(b'&') if rest.starts_with("&quot;") => 6,
                Some(b'%') if rest.starts_with("%22") => 3,
                _ => 0,
            };
            if len == 0 {
                break;
            }
            at += len;
        }
        at
    }

    pub(super) fn skip_spaces(&self, at: usize) -> usize {
        at + self.rest(at).bytes().take(40).take_while(|byte| matches!(byte, b' ' | b'\t')).count()
    }

    /// Past `=`, `:=`, `=>` or an escaped `=`; not past a comparison.
    fn equals(&self, at: usize) -> Option<usize> {
        let rest = self.rest(at);
        if rest.starts_with("==") || rest.starts_with("=~") {
            return None;
        }
        let quoted = at > self.end;
        let signs = ["=>", ":=", "=", "%3D", "%3d", "\\u003d", "\\u003D", "&#61;", "%3A"];
        signs.iter().find(|sign| rest.starts_with(**sign) && (quoted || **sign != "%3A")).map(|sign| at + sign.len())
    }

    /// `<password>` or `name="password">`: the start of the element's text.
    fn element(&self, closed: usize) -> Option<usize> {
        let rest = self.rest(closed);
        if let Some(inner) = rest.strip_prefix("</key>") {
            let gap = inner.len() - inner.trim_start().len();
            return inner.trim_start().starts_with("<string>").then(|| closed + 6 + gap + 8);
        }
        let open = self.before().iter().rposition(|byte| matches!(byte, b'<' | b'>' | b'\n'));
        let tag = open.filter(|at| self.before().get(*at) == Some(&b'<')).and_then(|at| self.before().get(at + 1..))?;
        let prefix = tag.is_empty() || tag.last() == Some(&b':') || tag.contains(&b'=');
        if !prefix || tag.first() == Some(&b'/') {
            return None;
        }
        if rest.starts_with('>') {
            return Some(closed + 1);
        }
        // `<password type="x">`
        let named = self.before().last() == Some(&b'<') && rest.starts_with(' ');
        let close = rest.bytes().take(128).position(|byte| matches!(byte, b'>' | b'<' | b'\n'))?;
        (named && self.byte(closed + close) == Some(b'>') && !rest.get(..close)?.contains("value")).then_some(closed + close + 1)
    }

    /// `name: PASSWORD` and then `value:`; `key="Password" value=`.
    fn pair(&self, closed: usize) -> Option<usize> {
        let rest = self.rest(closed);
        let gap = rest.bytes().take(80).take_while(|byte| byte.is_ascii_whitespace() || matches!(byte, b',' | b'"' | b'\'' | b'\\')).count();
        let word = rest.get(gap..)?;
        if gap == 0 || !word.get(..5)?.eq_ignore_ascii_case("value") {
            return None;
        }
        let at = self.skip_closing(closed + gap + 5);
        matches!(self.byte(at), Some(b':' | b'=')).then(|| self.skip_spaces(at + 1))
    }

    /// `setenv("PASSWORD", …)`: whether the key is the first argument of what sets a value.
    fn is_argument(&self) -> bool {
        let before = self.before();
        let call = before.strip_suffix(b"(\"").or_else(|| before.strip_suffix(b"('")).unwrap_or_default();
        ["define", "setenv", "putenv", "setdefault", "setProperty", ".env"].iter().any(|name| call.ends_with(name.as_bytes()))
    }

    fn is_flag(&self) -> bool {
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
    fn spoken(&self, spaced: usize) -> Option<(usize, usize)> {
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

    fn after_separator(&self, at: usize, separator: Separator) -> Option<(usize, usize)> {
        match self.named.weight {
            Weight::Authorization => return self.authorization(at),
            Weight::Cookie => return self.cookie(at),
            _ => {}
        }
        if let Some(block) = self.block(at) {
            return Some(block);
        }
        if let Some((quote, 0, _)) = self.opening(at)
            && self.inside_string(quote)
        {
            // `'Password: '`: the quote closes the string that the key is in.
            return None;
        }
        if self.opening(at).is_some() {
            return self.quoted(at);
        }
        if let Some(inner) = self.rest(at).strip_prefix("%22") {
            let len = inner.bytes().take(VALUE).take_while(|byte| !byte.is_ascii_whitespace()).count();
            self.read.set(self.read.get() + len);
            let len = inner.get(..len)?.find("%22").unwrap_or(len);
            return self.accept(at + 3, at + 3 + len, Place::Quoted);
        }
        let first = self.begins_line();
        let stops = match (separator, first) {
            (Separator::Tight, Line::First) => [b'"', b'\'', b'"', b'"', b'"', b'"', b'"'],
            _ => [b'"', b'\'', b',', b';', b'&', b')', b'}'],
        };
        let in_query = matches!(self.before().last(), Some(b'?' | b'&'));
        let mut end = self.bare_end(at, |byte| stops.contains(&byte) || matches!(byte, b'<' | b'`') || (in_query && byte == b'#'));
        let value = self.text.get(at..end)?;
        if let Some(cut) = value
            .find("\\n")
            .or_else(|| value.find("\\r"))
            .or_else(|| value.find("\\\""))
            .or_else(|| value.find("\\u0026"))
            .or_else(|| value.find("%26"))
        {
            end = at + cut;
        }
        if let Some(cut) = self.text.get(at..end).and_then(next_pair) {
            end = at + cut;
        }
        let written = self.text.get(at..end)?;
        let trimmed = at + written.trim_end_matches([',', ';', ')', ':']).len();
        let punctuated = trimmed < end && placeholder_like(self.text.get(at..trimmed)?);
        if punctuated {
            end = trimmed;
        }
        if separator == Separator::Colon
            && let Some(assigned) = self.assigned_after_type(end)
        {
            return self.quoted(assigned);
        }
        let next = self.byte(end);
        let line_ends = self.rest(end).bytes().find(|byte| !matches!(byte, b' ' | b'\t' | b'\r')).is_none_or(|byte| byte == b'\n' || byte == b'#');
        let place = match (separator, first) {
            _ if punctuated => Place::Loose,
            (Separator::Tight, Line::First | Line::Inside)
                if !matches!(next, Some(b')' | b'(' | b';')) || first == Line::Inside && next == Some(b';') =>
            {
                Place::Bare
            }
            (Separator::Pair, _) => Place::Bare,
            (Separator::Equals | Separator::Colon, Line::First) if line_ends => Place::Bare,
            _ => Place::Loose,
        };
        if separator == Separator::Colon && place == Place::Bare && self.text.get(at..end).is_some_and(is_type_name) {
            return None;
        }
        if self.named.weight == Weight::Phrase {
            let line = memchr::memchr3(b'\n', b'"', b'\\', self.rest(at).as_bytes()).unwrap_or(self.rest(at).len()).min(VALUE);
            return self.accept(at, at + line, Place::Bare);
        }
        self.accept(at, end, place)
    }

    /// `password: str = "…"`: where the string after a type begins.
    fn assigned_after_type(&self, end: usize) -> Option<usize> {
        let sign = self.skip_spaces(end);
        let at = self.skip_spaces(sign + 1);
        (sign > end && self.byte(sign) == Some(b'=') && matches!(self.byte(at), Some(b'"' | b'\''))).then_some(at)
    }

    /// Whether a string that `quote` opened earlier on the line goes on after the key.
    fn inside_string(&self, quote: u8) -> bool {
        let from = self.start.saturating_sub(200);
        let before = self.text.as_bytes().get(from..self.end).unwrap_or_default();
        let line = memchr::memrchr(b'\n', before).map_or(before, |at| before.get(at + 1..).unwrap_or_default());
        let quotes = line.iter().enumerate().filter(|(at, byte)| {
            let beside = |at: Option<usize>| at.and_then(|at| line.get(at)).is_some_and(u8::is_ascii_alphanumeric);
            let apostrophe = beside(at.checked_sub(1)) && beside(Some(at + 1));
            let escaped = at.checked_sub(1).and_then(|at| line.get(at)) == Some(&b'\\');
            **byte == quote && !apostrophe && !escaped
        });
        // A key in quotes of its own was closed before its separator.
        quotes.count() % 2 == 1 && !matches!(self.byte(self.end), Some(byte) if byte == quote)
    }

    /// The quote at `at`: its byte, how many backslashes escape it, and where its text begins.
    pub(super) fn opening(&self, at: usize) -> Option<(u8, usize, usize)> {
        let at = match self.byte(at) {
            Some(b'b' | b'r' | b'f' | b'u' | b'@' | b'L') if matches!(self.byte(at + 1), Some(b'"' | b'\'')) => at + 1,
            _ => at,
        };
        let slashes = self.rest(at).bytes().take(8).take_while(|byte| *byte == b'\\').count();
        let quote = self.byte(at + slashes)?;
        matches!(quote, b'"' | b'\'' | b'`').then_some((quote, slashes, at + slashes + 1))
    }

    /// The quoted value at `at`, to its closing quote or, cut off, to the end of the line.
    pub(super) fn quoted(&self, at: usize) -> Option<(usize, usize)> {
        let (quote, slashes, from) = self.opening(at)?;
        let bytes = self.rest(from).as_bytes();
        let bytes = bytes.get(..VALUE.min(bytes.len()))?;
        let mut doubled = None;
        let closing = memchr::memchr_iter(quote, bytes).find(|place| {
            let before = bytes.get(..*place).unwrap_or_default().iter().rev().take(16).take_while(|byte| **byte == b'\\').count();
            // YAML and SQL write a quote inside single quotes twice.
            if quote == b'\'' && *place > 0 && (doubled == Some(*place) || bytes.get(place + 1) == Some(&quote)) {
                doubled = Some(place + 1);
                return false;
            }
            // Fewer backslashes: the string around the escaped one ends here.
            before <= slashes || (slashes == 0 && before.is_multiple_of(2))
        });
        let end = match closing {
            Some(place) => from + place - slashes.min(place),
            None => from + memchr::memchr2(b'\n', b'\r', bytes).unwrap_or(bytes.len()),
        };
        self.accept(from, floor_boundary(self.text, end), Place::Quoted)
    }

    /// The end of an unquoted value.
    pub(super) fn bare_end(&self, at: usize, stop: impl Fn(u8) -> bool) -> usize {
        let len = self.rest(at).bytes().take(VALUE).take_while(|byte| !byte.is_ascii_whitespace() && !stop(*byte)).count();
        self.read.set(self.read.get() + len);
        at + len
    }

    /// A YAML block scalar: `key: |` and the lines that are indented deeper.
    fn block(&self, at: usize) -> Option<(usize, usize)> {
        let rest = self.rest(at);
        if self.named.weight != Weight::Strong || !rest.starts_with(['|', '>']) {
            return None;
        }
        let header = memchr::memchr(b'\n', rest.as_bytes().get(..8.min(rest.len()))?)?;
        let line_start = memchr::memrchr(b'\n', self.text.as_bytes().get(self.start.saturating_sub(LONGEST)..self.start)?)
            .map_or(0, |at| self.start.saturating_sub(LONGEST) + at + 1);
        let indent = self.rest(line_start).bytes().take_while(|byte| *byte == b' ').count();
        let from = at + header + 1;
        let mut end = from;
        for line in self.rest(from).split_inclusive('\n').take(200) {
            let depth = line.len() - line.trim_start_matches(' ').len();
            if !line.trim().is_empty() && depth <= indent {
                break;
            }
            end += line.len();
        }
        let body = self.text.get(from..end)?;
        let from = from + (body.len() - body.trim_start().len());
        self.accept(from, from + body.trim().len(), Place::Leaf)
    }

    fn accept(&self, from: usize, to: usize, place: Place) -> Option<(usize, usize)> {
        self.accept_as(self.named.weight, from, to, place)
    }

    pub(super) fn accept_as(&self, weight: Weight, from: usize, to: usize, place: Place) -> Option<(usize, usize)> {
        let value = self.text.get(from..to)?;
        let lead = value.len() - value.trim_start().len();
        let value = value.trim();
        self.read.set(self.read.get() + value.len());
        let exhausted = self.read.get() > READ_AGAIN * self.text.len() + VALUE;
        (!value.is_empty() && (exhausted && !value.starts_with(MARK) || is_secret(weight, value, place)))
            .then_some((from + lead, from + lead + value.len()))
    }

    /// Whether the key begins a line or follows a separator, rather than standing in a sentence.
    fn begins_line(&self) -> Line {
        let before = self.before();
        let lead = before.iter().rev().take_while(|byte| matches!(byte, b' ' | b'\t' | b'-' | b'+' | b'"' | b'\'' | b'#' | b'$' | b'>')).count();
        let rest = before.get(..before.len() - lead).unwrap_or_default();
        match rest.last() {
            None if before.len() < 64 => Line::First,
            Some(b'\n' | b'\r') => Line::First,
            Some(b'n') if rest.ends_with(b"\\n") => Line::First,
            _ if rest.ends_with(b"export") || rest.ends_with(b"ENV") || rest.ends_with(b"ARG") || rest.ends_with(b"set") => Line::First,
            _ => Line::Inside,
        }
    }
}

/// Where the next `&name=` or `;name=` begins.
fn next_pair(value: &str) -> Option<usize> {
    value.match_indices(['&', ';', ',']).map(|(at, _)| at).find(|at| {
        let rest = value.get(at + 1..).unwrap_or_default();
        let name = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')).count();
        (2..40).contains(&name) && rest.as_bytes().get(name) == Some(&b'=') && rest.as_bytes().get(name + 1).is_some_and(|byte| *byte != b'=')
    })
}

/// A word as programs have it before a comma.
fn placeholder_like(value: &str) -> bool {
    is_placeholder(value) || is_wordy(value)
}

/// `Option`, `SecretString`, `ApiKey`: what programs write after a colon.
fn is_type_name(value: &str) -> bool {
    value.starts_with(|c: char| c.is_ascii_uppercase())
        && value.bytes().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'?' | b'|' | b'[' | b']'))
}

/// `--token file`, `--password stdin`: a word that is no secret beside a flag in a sentence.
fn is_wordy_flag(value: &str) -> bool {
    is_wordy(value) && value.len() < 6
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Separator {
    /// `key=value`
    Tight,
    /// `key = value`
    Equals,
    /// `key: value`
    Colon,
    /// `name: key` and, after it, `value: value`
    Pair,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    First,
    Inside,
}

/// The last character boundary at or before `at`.
pub(super) fn floor_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().take(4).find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}
