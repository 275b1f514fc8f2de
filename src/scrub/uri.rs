//! Credentials in the authority of a URI: `scheme://user:password@host`.

use super::key_name::Weight;
use super::placeholder::{Place, is_placeholder, is_secret};
use super::span::{Span, has_redaction_mark};
use super::value::looks_random;

/// The longest authority that is read.
const AUTHORITY: usize = 512;

/// Judges the URI whose `://` is at `start..end`.
pub(super) fn find(text: &str, start: usize, end: usize, spans: &mut Vec<Span>) -> usize {
    let bytes = text.as_bytes();
    let rest = bytes.get(end..).unwrap_or_default();
    let len = rest
        .iter()
        .take(AUTHORITY)
        .take_while(|byte| !byte.is_ascii_whitespace() && !matches!(byte, b'"' | b'\'' | b'<' | b'>' | b'`' | b'\\'))
        .count();
    let whole = text.get(end..end + len).unwrap_or_default();
    let (at_sign, signs) = if text.get(start..end) == Some("://") { ("@", ":") } else { ("%40", "%3A") };
    let authority = whole.get(..whole.find(['/', '?', '#']).unwrap_or(whole.len())).unwrap_or_default();
    let Some(place) = userinfo_end(whole, authority, at_sign) else { return end };
    let userinfo = whole.get(..place).unwrap_or_default();
    if has_redaction_mark(userinfo) {
        return end; // what was taken out already; its colon is not the one before a password
    }
    let scheme = bytes.get(start.saturating_sub(24)..start).unwrap_or_default();
    if !scheme.last().is_some_and(u8::is_ascii_alphanumeric) {
        return end;
    }
    match userinfo.split_once(signs) {
        Some((user, password)) if is_password(password) => {
            let from = end + user.len() + signs.len();
            spans.push(Span { start: from, end: end + place, kind: "uri_password" });
        }
        Some((user, password)) if password.eq_ignore_ascii_case("x-oauth-basic") || password.is_empty() => token(user, end, spans),
        None => token(userinfo, end, spans),
        Some(_) => {}
    }
    end
}

/// Where the user's part ends: at the last `@` before the path, or, for a password with a raw
/// slash in it, at the only one.
fn userinfo_end(whole: &str, authority: &str, at_sign: &str) -> Option<usize> {
    authority.rfind(at_sign).or_else(|| {
        let place = whole.find(at_sign)?;
        let before = whole.get(..place)?;
        let (user, password) = before.split_once(':')?;
        let port = password.split(['/', '?', '#']).next().is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
        (!user.contains(['/', '?', '.']) && !port && !user.is_empty()).then_some(place)
    })
}

fn is_password(password: &str) -> bool {
    const SAMPLES: &[&str] = &["password", "pass", "passwd", "pwd", "secret", "pw", "p", "token", "x-oauth-basic"];
    !password.is_empty()
        && !is_placeholder(password)
        && !SAMPLES.contains(&password.to_ascii_lowercase().as_str())
        && !password.contains(['{', '$', '(', '[', '<'])
        || is_secret(Weight::Strong, password, Place::Leaf)
}

fn token(user: &str, from: usize, spans: &mut Vec<Span>) {
    if user.len() >= 16 && !is_placeholder(user) && looks_random(user) {
        spans.push(Span { start: from, end: from + user.len(), kind: "uri_token" });
    }
}
