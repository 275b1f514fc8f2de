//! Passwords that no key announces: SQL's `IDENTIFIED BY`, hashes of passwords, `.pgpass`, `curl -u`.

use super::context::PASSWORD;
use super::key_name::Weight;
use super::keyed_value::Key;
use super::placeholder::{Place, is_secret};
use super::span::Span;
use super::value::looks_random;
use std::cell::Cell;

/// `IDENTIFIED BY 'x'`, as SQL sets passwords.
pub(super) fn find_identified(text: &str, end: usize, read: &Cell<usize>, spans: &mut Vec<Span>) -> usize {
    let rest = text.get(end..).unwrap_or_default();
    let by = memchr::memchr2(b'\'', b'"', rest.as_bytes().get(..48.min(rest.len())).unwrap_or_default()).filter(|at| {
        let between = rest.get(..*at).unwrap_or_default().to_ascii_lowercase();
        // `identified by the "name"` is prose.
        between.trim_end().ends_with("by") || (between.contains("by") && rest.as_bytes().get(*at) == Some(&b'\''))
    });
    let key = Key { text, read, start: end, end, name: "password", named: PASSWORD };
    if let Some((from, to)) = by.and_then(|at| key.quoted(end + at)) {
        spans.push(Span { start: from, end: to, kind: PASSWORD.kind });
    }
    end
}

/// A hash in `crypt` format, to be guessed from offline.
pub(super) fn find_hash(text: &str, start: usize, spans: &mut Vec<Span>) -> usize {
    let bytes = text.as_bytes().get(start..).unwrap_or_default();
    if !matches!(bytes.get(1), Some(b'1'..=b'7' | b'y' | b'a' | b'p' | b's' | b'S')) {
        return start + 1;
    }
    let len = bytes
        .iter()
        .take(512)
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'$' | b'.' | b'/' | b'+' | b'=' | b',' | b'-' | b'_' | b'{' | b'}'))
        .count();
    let hash = text.get(start..start + len).unwrap_or_default();
    let known = ["$2a$", "$2b$", "$2y$", "$6$", "$5$", "$1$", "$y$", "$apr1$", "$argon2", "{SSHA", "$pbkdf2", "$scrypt$", "$7$"];
    if !known.iter().any(|name| hash.starts_with(name)) {
        return start + 1;
    }
    let body = hash.rsplit(['$', '}']).next().unwrap_or_default();
    if body.len() >= 20 && looks_random(body) && !hash.contains("$$") {
        spans.push(Span { start, end: start + len, kind: "crypt_hash" });
    }
    start + len
}

/// `host:5432:database:user:password`
pub(super) fn find_pgpass(text: &str, start: usize, end: usize, spans: &mut Vec<Span>) -> usize {
    let rest = text.get(end..).unwrap_or_default();
    let line = rest.get(..memchr::memchr2(b'\n', b'\r', rest.as_bytes()).unwrap_or(rest.len()).min(512)).unwrap_or_default();
    let before = text.as_bytes().get(start.saturating_sub(64)..start).unwrap_or_default();
    let host = before.iter().rev().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'*')).count();
    let mut fields = line.splitn(3, ':');
    if let (Some(database), Some(user), Some(password)) = (fields.next(), fields.next(), fields.next())
        && host > 0
        && !line.contains([' ', '/'])
        && !password.is_empty()
        && is_secret(Weight::Strong, password, Place::Bare)
    {
        let from = end + database.len() + user.len() + 2;
        spans.push(Span { start: from, end: from + password.len(), kind: "pgpass_password" });
    }
    end
}

/// `curl -u user:password`
pub(super) fn find_user(text: &str, end: usize, spans: &mut Vec<Span>) -> usize {
    let line = text.as_bytes().get(end..).unwrap_or_default();
    let line = line.get(..512.min(line.len())).unwrap_or_default();
    let stop = memchr::memchr_iter(b'\n', line).find(|at| at.checked_sub(1).and_then(|at| line.get(at)) != Some(&b'\\'));
    let line = line.get(..stop.unwrap_or(line.len())).unwrap_or_default();
    let Some(flag) = [&b"-u "[..], b"--user "].iter().find_map(|flag| memchr::memmem::find(line, flag).map(|at| at + flag.len())) else { return end };
    let end = end + flag;
    let rest = text.get(end..).unwrap_or_default();
    let quote = usize::from(rest.starts_with(['"', '\'']));
    let word = rest.get(quote..).unwrap_or_default();
    let len = word.bytes().take(256).take_while(|byte| !byte.is_ascii_whitespace() && !matches!(byte, b'"' | b'\'')).count();
    if let Some((user, password)) = word.get(..len).and_then(|word| word.split_once(':'))
        && !user.is_empty()
        && !password.contains("//")
        && !password.starts_with(':')
        && is_secret(Weight::Strong, password, Place::Bare)
    {
        let from = end + quote + user.len() + 1;
        spans.push(Span { start: from, end: from + password.len(), kind: "password" });
    }
    end
}

/// `mysql -u app -ppassword`
pub(super) fn find_mysql(text: &str, end: usize, read: &Cell<usize>, spans: &mut Vec<Span>) -> usize {
    let line = text.as_bytes().get(end..).unwrap_or_default();
    let line =
        line.get(..memchr::memchr(b'\n', line.get(..256.min(line.len())).unwrap_or_default()).unwrap_or(256.min(line.len()))).unwrap_or_default();
    let command = line.iter().take(8).take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let Some(flag) = memchr::memmem::find(line, b" -p").filter(|_| line.get(command) == Some(&b' ')) else { return end };
    let from = end + flag + 3;
    let key = Key { text, read, start: from, end: from, name: "password", named: PASSWORD };
    let found = key.quoted(from).or_else(|| {
        let to = key.bare_end(from, |byte| matches!(byte, b'|' | b';' | b'&' | b')' | b'"' | b'\'' | b'`'));
        key.accept_as(Weight::Strong, from, to, Place::Bare)
    });
    if let Some((start, to)) = found {
        spans.push(Span { start, end: to, kind: PASSWORD.kind });
    }
    end
}

/// `redis-cli -a password`
pub(super) fn find_redis(text: &str, end: usize, read: &Cell<usize>, spans: &mut Vec<Span>) -> usize {
    let line = text.as_bytes().get(end..).unwrap_or_default();
    let line = line.get(..256.min(line.len())).unwrap_or_default();
    let line = line.get(..memchr::memchr(b'\n', line).unwrap_or(line.len())).unwrap_or_default();
    let Some(flag) = [&b"-a "[..], b"--pass "].iter().find_map(|flag| memchr::memmem::find(line, flag).map(|at| at + flag.len())) else { return end };
    let from = end + flag;
    let key = Key { text, read, start: from, end: from, name: "password", named: PASSWORD };
    let found = key.quoted(from).or_else(|| {
        let to = key.bare_end(from, |byte| matches!(byte, b'|' | b';' | b'&' | b')' | b'"' | b'\'' | b'`'));
        key.accept_as(Weight::Strong, from, to, Place::Bare)
    });
    if let Some((start, to)) = found {
        spans.push(Span { start, end: to, kind: PASSWORD.kind });
    }
    end
}
