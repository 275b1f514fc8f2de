//! Values that their key's name gives away: `password=…`, `Authorization: …`, `--token …`,
//! `<password>…</password>`, `PASSWORD '…'`, `name: TOKEN` with `value: …`.

use super::key_name::{self, LONGEST, Sensitive, Weight};
use super::keyed_value::{Key, VALUE};
use super::placeholder::{Place, is_secret};
use super::span::{MARK, Span};
use std::cell::Cell;
use std::ops::Range;

/// Judges the key around the piece `hit..hit_end`, which begins at or after `floor`, and adds its
/// value where that is a secret. Returns where the next look may begin.
///
/// `read` counts the bytes of values read so far. Text made to have its values read again and
/// again (`key=key=key=…`) is redacted unjudged from then on: linear, and on the safe side.
pub(super) fn find(text: &str, hit: Range<usize>, floor: usize, read: &Cell<usize>, spans: &mut Vec<Span>) -> usize {
    let bytes = text.as_bytes();
    let (Range { start, .. }, end) = name_around(text, hit, floor);
    let start = skip_column(text, start, end);
    let name = text.get(start..end).unwrap_or_default();
    let before = bytes.get(start.saturating_sub(16)..start).unwrap_or_default();
    if before.ends_with(MARK.as_bytes())
        || (before.ends_with(b"$") && !is_assigned(bytes, end))
        || before.ends_with(b"${")
        || before.ends_with(b"{{")
        || before.ends_with(b"checksum/")
    {
        return end;
    }
    if name.len() >= 6 && name.get(..6).is_some_and(|word| word.eq_ignore_ascii_case("bearer")) && name.len() == 6 {
        return bearer(text, end, spans).unwrap_or(end);
    }
    if name == "sshpass" && bytes.get(end..end + 4) == Some(b" -p ") {
        let key = Key { text, read, start: end, end, name, named: PASSWORD };
        return key.flag(end + 3, end + 4).map_or(end, |found| add(found, PASSWORD.kind, spans));
    }
    if (name == "Key" || name == "key") && (before.ends_with(b"Unseal ") || before.ends_with(b"unseal ") || before.ends_with(b"Recovery ")) {
        let number = bytes.get(end..).unwrap_or_default().iter().take(4).take_while(|byte| byte.is_ascii_digit() || **byte == b' ').count();
        let key = Key { text, read, start, end: end + number, name, named: Sensitive { kind: "unseal_key", weight: Weight::Strong } };
        return key.value().map_or(end, |found| add(found, key.named.kind, spans));
    }
    if !may_have_value(bytes, before, end, name) {
        return end;
    }
    let name = name.trim_end_matches(['.', '-']);
    let Some(named) = key_name::classify(name.trim_start_matches('-')) else { return end };
    let key = Key { text, read, start, end: start + name.len(), name, named };
    match key.value() {
        Some(found) => add(found, named.kind, spans).max(end),
        None => key.list().into_iter().map(|found| add(found, named.kind, spans)).max().unwrap_or(end).max(end),
    }
}

/// What a password's own name announces.
pub(super) const PASSWORD: Sensitive = Sensitive { kind: "password", weight: Weight::Strong };

/// Adds a finding and returns its end.
fn add((start, end): (usize, usize), kind: &'static str, spans: &mut Vec<Span>) -> usize {
    if start < end {
        spans.push(Span { start, end, kind });
    }
    end
}

/// `$password = '…'`: a variable that is set, not read.
fn is_assigned(bytes: &[u8], end: usize) -> bool {
    let rest = bytes.get(end..).unwrap_or_default();
    let spaces = rest.iter().take(40).take_while(|byte| **byte == b' ').count();
    let value = rest.get(spaces + 1..).unwrap_or_default().iter().find(|byte| **byte != b' ');
    rest.get(spaces) == Some(&b'=') && matches!(value, Some(b'"' | b'\''))
}

/// Whether what follows a name can be its value at all: most words of clean text leave here.
fn may_have_value(bytes: &[u8], before: &[u8], end: usize, name: &str) -> bool {
    let rest = bytes.get(end..).unwrap_or_default();
    let spaces = rest.iter().take(40).take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    match rest.get(spaces) {
        Some(b'=' | b':' | b'%' | b'\\' | b'&' | b'>' | b'"' | b'\'' | b'`' | b']' | b'<' | 0x1b) => true,
        Some(b'\n' | b'\r' | b',' | b'|' | b'}' | b'?' | b'*') => true,
        Some(b'+' | b'{' | b'o') if spaces > 0 => true,
        Some(b'(') => matches!(rest.get(spaces + 1), Some(b' ' | b'"' | b'\'')),
        Some(b'[') => rest.get(spaces + 1).is_some_and(|byte| *byte == b']' || byte.is_ascii_digit()),
        Some(_) if spaces > 0 => {
            name.starts_with('-')
                || is_set(before)
                || name.eq_ignore_ascii_case("password")
                || matches!(name, "requirepass" | "masterauth" | "aws_secret_access_key")
                || rest.get(spaces..).is_some_and(|rest| rest.starts_with(b"value") || rest.starts_with(b"type="))
        }
        _ => false,
    }
}

/// `ENV PASSWORD x`, `set -x PASSWORD x`, `#define PASSWORD "x"`.
fn is_set(before: &[u8]) -> bool {
    [&b"ENV"[..], b"setx", b"-x", b"-gx", b"-Ux", b"-xg", b"define", b"var", b"const"].iter().any(|word| before.trim_ascii_end().ends_with(word))
}

/// Whether the name around the piece `hit` is that of something secret, whatever follows it.
pub(super) fn names_secret(text: &str, hit: Range<usize>) -> (bool, usize) {
    let (name, end) = name_around(text, hit, 0);
    (text.get(name).is_some_and(|name| key_name::classify(name.trim_matches(['-', '.'])).is_some()), end)
}

/// Where the name around the piece `hit` stands, and where its characters end.
fn name_around(text: &str, hit: Range<usize>, floor: usize) -> (Range<usize>, usize) {
    let bytes = text.as_bytes();
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let earliest = hit.start.saturating_sub(LONGEST).max(floor);
    let start = bytes.get(earliest..hit.start).unwrap_or_default().iter().rposition(|byte| !is_name(byte)).map_or(earliest, |at| earliest + at + 1);
    let rest = bytes.get(hit.end..).unwrap_or_default();
    let end = hit.end + rest.iter().take(LONGEST).take_while(|byte| is_name(byte)).count();
    (skip_escape(bytes, start, hit.start)..end, end)
}

/// `12-Cookie:`, `-Bearer x`: what a search or a difference puts before a line is no part of the name.
fn skip_column(text: &str, start: usize, end: usize) -> usize {
    let first = start.checked_sub(1).and_then(|at| text.as_bytes().get(at)).is_none_or(|byte| *byte == b'\n');
    let name = text.get(start..end).unwrap_or_default();
    let digits = name.bytes().take_while(u8::is_ascii_digit).count();
    let rest = name.get(digits..).and_then(|rest| rest.strip_prefix('-'));
    match rest {
        Some(_) if first && digits > 0 => start + digits + 1,
        Some(word) if first && ["Bearer", "bearer", "sshpass", "requirepass", "masterauth"].contains(&word) => start + 1,
        _ => start,
    }
}

/// `\npassword=`: the letter of an escape is no part of the name.
fn skip_escape(bytes: &[u8], start: usize, hit: usize) -> usize {
    let escaped = start.checked_sub(1).and_then(|at| bytes.get(at)) == Some(&b'\\');
    match bytes.get(start) {
        Some(b'n' | b't' | b'r') if escaped && start < hit => start + 1,
        Some(b'u') if escaped && start + 5 <= hit => start + 5,
        _ => start,
    }
}

/// `Bearer x`, wherever it stands.
fn bearer(text: &str, end: usize, spans: &mut Vec<Span>) -> Option<usize> {
    let rest = text.get(end..)?;
    let value = rest.strip_prefix(' ')?;
    let len = value
        .bytes()
        .take(VALUE)
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'+' | b'/' | b'='))
        .count();
    let token = value.get(..len)?.trim_end_matches('.');
    // `Bearer realm="…"` is a challenge.
    if token.trim_end_matches('=').contains('=')
        || value.get(len..)?.starts_with('"') && token.ends_with('=')
        || token.len() < 8
        || !is_secret(Weight::Weak, token, Place::Quoted)
    {
        return None;
    }
    spans.push(Span { start: end + 1, end: end + 1 + token.len(), kind: "bearer_token" });
    Some(end + 1 + token.len())
}
