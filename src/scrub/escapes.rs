//! Escaped characters: `\\u0067hp_…`, `%67hp_…`, `&#103;hp_…` are a token to whoever reads on.
//!
//! Writers escape what has a meaning of its own, never letters, digits, `_` and `-`: text where one
//! of those is escaped is rare, and only such text is searched a second time, decoded.

use super::span::Span;

/// A text with its escapes decoded, and where its bytes come from.
pub(super) struct Plain {
    pub(super) text: String,
    /// Each escape: where its character stands in `text`, where the escape ends in the source.
    places: Vec<(usize, usize)>,
}

/// The text with its escapes decoded, if any of them stands for a token character or a quote.
pub(super) fn decode(text: &str) -> Option<Plain> {
    let bytes = text.as_bytes();
    let mut plain = Plain { text: String::new(), places: Vec::new() };
    let mut done = 0;
    for at in memchr::memchr3_iter(b'\\', b'%', b'&', bytes) {
        if at < done {
            continue;
        }
        let Some((byte, len)) = bytes.get(at..).and_then(escape) else { continue };
        plain.text.push_str(text.get(done..at)?);
        done = at + len;
        plain.text.push(char::from(byte));
        plain.places.push((plain.text.len(), done));
    }
    if plain.places.is_empty() {
        return None;
    }
    plain.text.push_str(text.get(done..)?);
    Some(plain)
}

impl Plain {
    /// Where a finding in the decoded text stands in the source.
    pub(super) fn locate(&self, span: Span) -> Span {
        Span { start: self.source(span.start), end: self.source(span.end), ..span }
    }

    fn source(&self, at: usize) -> usize {
        let after = self.places.partition_point(|(place, _)| *place <= at);
        let (place, source) = after.checked_sub(1).and_then(|last| self.places.get(last)).copied().unwrap_or_default();
        source + (at - place)
    }
}

/// The character of the escape that `rest` begins with, and the escape's length.
fn escape(rest: &[u8]) -> Option<(u8, usize)> {
    let (byte, len) = match (rest.first()?, rest.get(1)?) {
        (b'%', _) => (hex(rest.get(1..3)?)?, 3),
        (b'\\', b'x') => (hex(rest.get(2..4)?)?, 4),
        (b'\\', b'u') => match rest.get(2)? {
            b'{' => {
                let len = rest.iter().take(10).position(|byte| *byte == b'}')?;
                (hex(rest.get(3..len)?)?, len + 1)
            }
            _ => (hex(rest.get(2..6)?)?, 6),
        },
        (b'&', b'#') => {
            let len = rest.iter().take(10).position(|byte| *byte == b';')?;
            let byte = match rest.get(2)? {
                b'x' | b'X' => hex(rest.get(3..len)?)?,
                _ => u8::try_from(number(rest.get(2..len)?, 10)?).ok()?,
            };
            return (is_token(byte) || matches!(byte, b'"' | b'\'')).then_some((byte, len + 1));
        }
        (b'&', _) => return NAMED.iter().find(|(name, _)| rest.starts_with(name.as_bytes())).map(|(name, byte)| (*byte, name.len())),
        _ => return None,
    };
    is_token(byte).then_some((byte, len))
}

/// Characters that HTML has names for and that stand around values.
const NAMED: &[(&str, u8)] = &[("&quot;", b'"'), ("&apos;", b'\''), ("&lt;", b'<'), ("&gt;", b'>')];

const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

fn hex(digits: &[u8]) -> Option<u8> {
    u8::try_from(number(digits, 16)?).ok()
}

fn number(digits: &[u8], radix: u32) -> Option<u32> {
    let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_alphanumeric()))?;
    u32::from_str_radix(digits, radix).ok()
}
