//! A sensitive key in a text, and the reading of its value: quoted, bare, in an element, behind a
//! flag, in the next line.

use super::key_name::{Sensitive, Weight};
use super::placeholder::{Place, is_placeholder, is_secret, is_wordy};
use super::span::MARK;
use super::value::is_type_name;
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

    pub(super) fn before(&self) -> &[u8] {
        self.text.as_bytes().get(self.start.saturating_sub(64)..self.start).unwrap_or_default()
    }

    /// Where the value stands, if it is a secret.
    pub(super) fn value(&self) -> Option<(usize, usize)> {
        let closed = self.skip_closing(self.end);
        if let Some(at) = self.element(closed) {
            return self.element_text(at);
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
            return self.quoted_as(if self.reads_environment() { Weight::Weak } else { self.named.weight }, self.skip_spaces(closed + 1));
        }
        if let Some(found) = self.value_before() {
            return Some(found);
        }
        if let Some(at) = self.pair(closed) {
            return self.after_separator(at, Separator::Pair);
        }
        if let Some(found) = self.explained(closed, spaced) {
            return Some(found);
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
    pub(super) fn skip_closing(&self, mut at: usize) -> usize {
        let limit = at + 24;
        // `char password[] = …`
        if at == self.end && self.byte(at) == Some(b'[') {
            let size = self.rest(at + 1).bytes().take(8).take_while(u8::is_ascii_digit).count();
            if self.byte(at + 1 + size) == Some(b']') && self.rest(at + 2 + size).trim_start_matches(' ').starts_with("= \"") {
                return at + 2 + size;
            }
        }
        while at < limit {
            let rest = self.rest(at);
            let len = match self.byte(at) {
                Some(b'"' | b'\'' | b'`' | b']') => 1,
                Some(b'*') if rest.starts_with("**") => 2,
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
        let signs = ["=>", ":=", "?=", "+=", "=", "%3D", "%3d", "\\u003d", "\\u003D", "&#61;", "%3A"];
        signs.iter().find(|sign| rest.starts_with(**sign) && (quoted || **sign != "%3A")).map(|sign| at + sign.len())
    }

    /// `<password>` or `name="password">`: the start of the element's text.
    fn element(&self, closed: usize) -> Option<usize> {
        let rest = self.rest(closed);
        if let Some(inner) = rest.strip_prefix("</key>") {
            let text = self.skip_gap(self.text.len() - inner.len());
            return self.rest(text).starts_with("<string>").then_some(text + 8);
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
        let gap = self.skip_gap(closed);
        if gap == closed && gap == self.end || !self.rest(gap).get(..5)?.eq_ignore_ascii_case("value") {
            return None;
        }
        let at = self.skip_closing(gap + 5);
        matches!(self.byte(at), Some(b':' | b'=')).then(|| self.skip_spaces(at + 1))
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
        // `**Password:** x`
        let at = if self.rest(at).starts_with("** ") { at + 3 } else { at };
        let at = self.continued(at).or_else(|| self.tagged(at, separator)).unwrap_or(at);
        if separator == Separator::Colon && self.named.weight == Weight::Strong && matches!(self.byte(at), Some(b'\n' | b'\r')) {
            return self.next_line(at);
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
            && let Some(assigned) = self.assigned_after_type(at)
        {
            let borrowed = self.byte(at) == Some(b'&');
            return self.quoted_as(if borrowed { Weight::Weak } else { self.named.weight }, assigned);
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

    /// `password: &anchor x`, `password: !!str x`: where the value begins.
    fn tagged(&self, at: usize, separator: Separator) -> Option<usize> {
        let rest = self.rest(at);
        if separator != Separator::Colon || !(rest.starts_with('&') || rest.starts_with("!!")) {
            return None;
        }
        let len = rest.bytes().take(48).take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'&' | b'!' | b'_' | b'-')).count();
        let value = self.skip_spaces(at + len);
        (value > at + len && !self.rest(value).starts_with(['=', ',', '&', '!'])).then_some(value)
    }

    /// `password: str = "…"`: where the string after a type begins.
    fn assigned_after_type(&self, from: usize) -> Option<usize> {
        let is_type =
            |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'&' | b'\'' | b'<' | b'>' | b'_' | b'?' | b'|' | b'[' | b']');
        let sign = from + self.rest(from).bytes().take(48).take_while(is_type).count();
        let at = self.skip_spaces(sign + 1);
        (sign > from && self.byte(sign) == Some(b'=') && matches!(self.byte(at), Some(b'"' | b'\'' | b'b')) && self.opening(at).is_some())
            .then_some(at)
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
            Some(b'N') if self.byte(at + 1) == Some(b'\'') => at + 1,
            Some(b'b' | b'r' | b'f' | b'u' | b'@' | b'L') if matches!(self.byte(at + 1), Some(b'"' | b'\'')) => at + 1,
            _ => at,
        };
        let slashes = self.rest(at).bytes().take(8).take_while(|byte| *byte == b'\\').count();
        let quote = self.byte(at + slashes)?;
        matches!(quote, b'"' | b'\'' | b'`').then_some((quote, slashes, at + slashes + 1))
    }

    /// The quoted value at `at`, to its closing quote or, cut off, to the end of the line.
    pub(super) fn quoted(&self, at: usize) -> Option<(usize, usize)> {
        self.quoted_as(self.named.weight, at)
    }

    /// As [`Key::quoted`], judged by another weight.
    pub(super) fn quoted_as(&self, weight: Weight, at: usize) -> Option<(usize, usize)> {
        let (quote, slashes, from) = self.opening(at)?;
        let bytes = self.rest(from).as_bytes();
        let bytes = bytes.get(..VALUE.min(bytes.len()))?;
        let triple = [quote; 3];
        if slashes == 0 && bytes.starts_with(&[quote; 2]) && matches!(quote, b'"' | b'\'') {
            let len = memchr::memmem::find(bytes.get(2..)?, &triple)?;
            self.read.set(self.read.get() + len);
            let (from, to) = (from + 2, from + 2 + len);
            let inner = self.text.get(from..to)?.trim_start().trim_start_matches(['+', '-']);
            let column = super::lines::column(inner.as_bytes());
            let from = to - inner.get(column..)?.len();
            let len = self.text.get(from..to)?.lines().next()?.len();
            return self.accept_as(weight, from, from + len, Place::Quoted);
        }
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
        self.accept_as(weight, from, floor_boundary(self.text, end), Place::Quoted)
    }

    /// The end of an unquoted value.
    pub(super) fn bare_end(&self, at: usize, stop: impl Fn(u8) -> bool) -> usize {
        let len = self.rest(at).bytes().take(VALUE).take_while(|byte| !byte.is_ascii_whitespace() && !stop(*byte)).count();
        self.read.set(self.read.get() + len);
        at + len
    }

    pub(super) fn accept(&self, from: usize, to: usize, place: Place) -> Option<(usize, usize)> {
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
        if self.is_first() {
            return Line::First;
        }
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
