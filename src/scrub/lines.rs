//! Values in another place than right behind their key: in the next lines, in a list, beside a
//! `name`, in a call, in a cell. Lines may stand behind a difference's or a search's column.

use super::key_name::{self, LONGEST, Weight};
use super::keyed_value::{Key, VALUE};
use super::placeholder::Place;
use super::value::looks_random;

/// How many items of a list are read.
const ITEMS: usize = 64;
/// The longest gap between the parts of a pair.
const GAP: usize = 160;
/// How far before a name its value may begin.
const REVERSED: usize = 512;

/// How long the column is that a search puts before a line: `12:`, `12-`, `src/app.conf:12:`.
pub(super) fn column(line: &[u8]) -> usize {
    let digits = |from: usize| line.get(from..).unwrap_or_default().iter().take(8).take_while(|byte| byte.is_ascii_digit()).count();
    let closed = |from: usize| {
        let end = from + digits(from);
        (end > from && matches!(line.get(end), Some(b':' | b'-'))).then_some(end + 1)
    };
    let is_path = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'_' | b'-');
    let path = line.iter().take(120).take_while(is_path).count();
    closed(0).or_else(|| (path > 0 && line.get(path) == Some(&b':')).then(|| closed(path + 1)).flatten()).unwrap_or(0)
}

/// Signs of indentation, of lists and of differences.
const fn is_lead(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'+' | b'-')
}

impl Key<'_> {
    /// The line that begins at `at`: its depth, and where its content begins.
    fn line_at(&self, at: usize) -> (usize, usize) {
        let rest = self.rest(at).as_bytes();
        let column = column(rest.get(..140.min(rest.len())).unwrap_or_default());
        let depth = rest.get(column..).unwrap_or_default().iter().take(200).take_while(|byte| is_lead(**byte)).count();
        (depth, at + column + depth)
    }

    /// Where the key's own line begins, if that is near.
    fn own_line(&self) -> usize {
        let from = self.start.saturating_sub(LONGEST + 64);
        let before = self.text.as_bytes().get(from..self.start).unwrap_or_default();
        memchr::memrchr(b'\n', before).map_or(from, |at| from + at + 1)
    }

    /// Whether nothing but a column, indentation and quotes stands before the key on its line.
    pub(super) fn is_first(&self) -> bool {
        let (_, content) = self.line_at(self.own_line());
        self.text
            .as_bytes()
            .get(content.min(self.start)..self.start)
            .is_some_and(|before| before.iter().all(|byte| matches!(byte, b'"' | b'\'' | b'*')))
    }

    /// The start of the line after the one that ends at `at`.
    fn line_after(&self, at: usize) -> Option<usize> {
        let rest = self.rest(at);
        rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix('\n')).map(|next| self.text.len() - next.len())
    }

    fn line_end(&self, at: usize) -> usize {
        let rest = self.rest(at).as_bytes();
        at + memchr::memchr2(b'\n', b'\r', rest.get(..VALUE.min(rest.len())).unwrap_or_default()).unwrap_or(rest.len().min(VALUE))
    }

    /// The value that must not be words: what stands there may be anything.
    fn opaque(&self, at: usize) -> Option<(usize, usize)> {
        if self.opening(at).is_some() {
            return self.quoted_as(Weight::Weak, at);
        }
        let end = self.bare_end(at, |byte| matches!(byte, b'"' | b'\'' | b'`' | b',' | b';' | b'|' | b')' | b']' | b'}' | b'<'));
        self.accept_as(Weight::Weak, at, end, Place::Bare)
    }

    /// `password:` and the value alone on the next line, deeper.
    pub(super) fn next_line(&self, at: usize) -> Option<(usize, usize)> {
        let (own, _) = self.line_at(self.own_line());
        let (depth, content) = self.line_at(self.line_after(at)?);
        let end = self.line_end(content);
        let value = self.text.get(content..end)?.trim_end();
        let is_key = value.ends_with(':') || value.contains(": ") || value.contains(' ') && !value.starts_with(['"', '\'']);
        (depth > own && self.is_first() && !is_key).then(|| self.opaque(content)).flatten()
    }

    /// `PASSWORD=\` and the value on the next line.
    pub(super) fn continued(&self, at: usize) -> Option<usize> {
        let rest = self.rest(at).strip_prefix('\\')?;
        if !rest.trim_start_matches([' ', '\t', '\r']).starts_with('\n') {
            return None; // a backslash in the middle of a line continues nothing
        }
        let next = self.line_after(at + 1)?;
        Some(self.line_at(next).1)
    }

    /// A YAML block scalar: `key: |` and the lines that are indented deeper.
    pub(super) fn block(&self, at: usize) -> Option<(usize, usize)> {
        let rest = self.rest(at);
        if self.named.weight != Weight::Strong || !rest.starts_with(['|', '>']) {
            return None;
        }
        let header = rest.bytes().take(8).position(|byte| matches!(byte, b'\n' | b'\r'))?;
        let (own, _) = self.line_at(self.own_line());
        let mut next = self.line_after(at + header)?;
        let (mut from, mut to) = (None, next);
        for _ in 0..200 {
            let (depth, content) = self.line_at(next);
            let end = self.line_end(content);
            let blank = self.text.get(content..end).is_none_or(|line| line.trim().is_empty());
            if !blank {
                if depth <= own {
                    break;
                }
                from.get_or_insert(content);
                to = end;
            }
            let Some(after) = self.line_after(end) else { break };
            next = after;
        }
        self.accept_as(self.named.weight, from?, to, Place::Leaf)
    }

    /// The items of a list under a key: `passwords:` with `- x`, `"passwords": ["x", "y"]`.
    pub(super) fn list(&self) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        let generated = |item: &(usize, usize)| self.text.get(item.0..item.1).is_some_and(looks_random);
        if !matches!(self.named.weight, Weight::Strong | Weight::Weak) {
            return found;
        }
        let closed = self.skip_closing(self.end);
        let spaced = self.skip_spaces(closed);
        if !matches!(self.byte(spaced), Some(b':' | b'=')) {
            return found;
        }
        let at = self.skip_spaces(spaced + 1);
        if self.byte(at) == Some(b'[') {
            let mut at = at + 1;
            for _ in 0..ITEMS {
                at = self.skip_between(at);
                let Some((quote, slashes, from)) = self.opening(at) else { break };
                let rest = self.rest(from).as_bytes();
                let Some(len) = memchr::memchr(quote, rest.get(..256.min(rest.len())).unwrap_or_default()) else { break };
                found.extend(self.accept_as(Weight::Weak, from, from + len - slashes.min(len), Place::Quoted).filter(generated));
                at = from + len + 1;
                if !self.rest(self.skip_spaces(at)).starts_with([',', '\n', '\r']) {
                    break;
                }
            }
            return found;
        }
        let (own, _) = self.line_at(self.own_line());
        let mut next = if self.is_first() { self.line_after(at) } else { None };
        for _ in 0..ITEMS {
            let Some((line, (depth, content))) = next.map(|line| (line, self.line_at(line))) else { break };
            if depth <= own || !self.text.get(line..content).is_some_and(|lead| lead.trim_end().ends_with('-')) {
                break;
            }
            let end = self.line_end(content);
            if self.text.get(content..end).is_some_and(|item| !item.trim().contains(' ')) {
                found.extend(self.opaque(content).filter(generated));
            }
            next = self.line_after(end);
        }
        found
    }

    /// Past what stands between items, over line ends and columns.
    fn skip_between(&self, from: usize) -> usize {
        let mut at = from;
        while at < from + GAP {
            match self.byte(at) {
                Some(b'\n') => at = self.line_at(at + 1).1,
                Some(b' ' | b'\t' | b'\r' | b',') => at += 1,
                _ => break,
            }
        }
        at
    }

    /// As between items, and past quotes: between the parts of a pair.
    pub(super) fn skip_gap(&self, from: usize) -> usize {
        let mut at = from;
        while at < from + GAP {
            let next = self.skip_closing(self.skip_between(at));
            if next == at {
                break;
            }
            at = next;
        }
        at
    }

    /// `value: x` before its `name: PASSWORD`.
    pub(super) fn value_before(&self) -> Option<(usize, usize)> {
        let from = self.start.saturating_sub(REVERSED);
        let before = self.text.as_bytes().get(from..self.start)?;
        let named = before.trim_ascii_end_of(b"\"' :=\\");
        let word = ["name", "key", "Name", "Key", "Id", "id"].into_iter().find(|word| named.ends_with(word.as_bytes()))?;
        if named.len() == before.len() {
            return None;
        }
        let head = named.get(..named.len() - word.len())?;
        let at = memchr::memmem::rfind(head, b"value").or_else(|| memchr::memmem::rfind(head, b"Value"))?;
        let closed = self.skip_closing(from + at + 5);
        let sign = self.skip_spaces(closed);
        if !matches!(self.byte(sign), Some(b':' | b'=')) {
            return None;
        }
        let begin = self.skip_spaces(sign + 1);
        let found = if self.opening(begin).is_some() {
            self.quoted(begin)
        } else {
            let end = self.bare_end(begin, |byte| matches!(byte, b',' | b'}' | b'"' | b'\''));
            self.accept_as(self.named.weight, begin, end, Place::Bare)
        }?;
        let name_at = from + head.len();
        (self.skip_gap(found.1) == name_at && found.1 < self.start).then_some(found)
    }

    /// A value in a place that only the words around the key explain.
    pub(super) fn explained(&self, closed: usize, spaced: usize) -> Option<(usize, usize)> {
        let rest = self.rest(spaced);
        let line = self.text.get(self.own_line()..self.start)?;
        let command = line.trim_end().trim_end_matches('"').trim_end();
        if spaced > closed && closed == self.end {
            let sets = ["ENV", "setx", "set -x", "set -gx", "set -Ux", "set -xg", "#define"].iter().any(|word| command.ends_with(word));
            if sets {
                return self.opaque(spaced);
            }
        }
        // `var apiKey string = "x"`
        if spaced > closed
            && (command.ends_with("var") || command.ends_with("const"))
            && let Some(typed) = rest.strip_prefix("string")
        {
            let sign = self.skip_spaces(spaced + rest.len() - typed.len());
            return (self.byte(sign) == Some(b'=')).then(|| self.quoted_as(Weight::Weak, self.skip_spaces(sign + 1))).flatten();
        }
        // `process.env.PASSWORD || "x"`
        if let Some(or) = ["||", "??", "or "].into_iter().find(|or| rest.starts_with(or)) {
            return self.quoted_as(Weight::Weak, self.skip_spaces(spaced + or.len()));
        }
        // `| password | x |`
        if rest.starts_with('|') && line.contains('|') {
            return self.opaque(self.skip_spaces(spaced + 1));
        }
        // `setPassword("x")`
        if self.byte(closed) == Some(b'(') && closed == self.end && self.named.weight == Weight::Strong && self.is_setter() {
            return self.quoted_as(Weight::Weak, self.skip_spaces(closed + 1));
        }
        // `variable "db_password" { default = "x" }`
        if rest.starts_with('{') && command.ends_with("variable") {
            let block = rest.get(..super::keyed_value::floor_boundary(rest, 512))?;
            let block = block.get(..block.find('}').unwrap_or(block.len()))?;
            let at = spaced + block.find("default")? + 7;
            let sign = self.skip_spaces(at);
            return (self.byte(sign) == Some(b'=')).then(|| self.quoted_as(Weight::Weak, self.skip_spaces(sign + 1))).flatten();
        }
        None
    }

    /// Whether the call's name sets a value rather than asks for one.
    fn is_setter(&self) -> bool {
        let call = self.name.rsplit('.').next().unwrap_or_default();
        let verb = ["set", "with", "use"].iter().any(|verb| call.get(..verb.len()).is_some_and(|word| word.eq_ignore_ascii_case(verb)));
        verb || ["password", "passwd", "api_key", "apikey", "secret_key", "client_secret", "access_token", "auth_token"]
            .iter()
            .any(|name| call.eq_ignore_ascii_case(name))
            && key_name::classify(call).is_some()
    }

    /// What stands in an element: without the line ends and columns around it, or its `CDATA`.
    pub(super) fn element_text(&self, from: usize) -> Option<(usize, usize)> {
        if let Some(inner) = self.rest(from).strip_prefix("<![CDATA[") {
            let from = from + 9;
            let inner = inner.as_bytes();
            let end = from + memchr::memmem::find(inner.get(..VALUE.min(inner.len()))?, b"]]>")?;
            self.read.set(self.read.get() + end - from);
            return self.accept_as(self.named.weight, from, end, Place::Leaf);
        }
        let rest = self.rest(from).as_bytes();
        let end = from + memchr::memchr(b'<', rest.get(..VALUE.min(rest.len()))?)?;
        self.read.set(self.read.get() + end - from);
        if !self.rest(end).starts_with("</") {
            return None;
        }
        let (mut begin, mut to) = (from, end);
        if self.rest(begin).trim_start_matches(['\r', ' ']).starts_with('\n') {
            begin += self.rest(begin).find('\n')?;
            begin = self.line_at(begin + 1).1;
            to = self.line_end(begin).min(end);
        }
        self.accept_as(self.named.weight, begin, to, Place::Leaf)
    }
}

trait TrimEnd {
    fn trim_ascii_end_of(&self, bytes: &[u8]) -> &[u8];
}

impl TrimEnd for [u8] {
    /// Without the last bytes that are among `bytes`.
    fn trim_ascii_end_of(&self, bytes: &[u8]) -> &[u8] {
        let trailing = self.iter().rev().take_while(|byte| bytes.contains(byte)).count();
        self.get(..self.len() - trailing).unwrap_or_default()
    }
}
