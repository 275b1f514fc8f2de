//! What a value looks like, apart from its key.

/// Whether `text` has the look of generated credential material: letters and digits mixed, many
/// different bytes, and no runs of plain words. A help where a prefix alone says too little.
pub(super) fn looks_random(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() < 8 {
        return false;
    }
    let mut seen = [false; 256];
    let (mut digits, mut letters, mut changes, mut distinct) = (0usize, 0usize, 0usize, 0usize);
    let mut previous = Class::Other;
    for &byte in bytes {
        if let Some(seen) = seen.get_mut(usize::from(byte))
            && !std::mem::replace(seen, true)
        {
            distinct += 1;
        }
        let class = Class::of(byte);
        match class {
            Class::Digit => digits += 1,
            Class::Lower | Class::Upper => letters += 1,
            Class::Other => {}
        }
        // Words are separated: only a change inside a word speaks of chance.
        if class != previous && class != Class::Other && previous != Class::Other && !(previous == Class::Upper && class == Class::Lower) {
            changes += 1;
        }
        previous = class;
    }
    let wanted = (bytes.len() / 3).min(8);
    let mixed = digits >= 1 && letters >= 1 && changes >= (bytes.len() / 10).clamp(2, 12);
    // Long text of one alphabet without digits, as base64 of chance rarely is, counts by its changes of case.
    let cased = digits == 0 && bytes.len() >= 20 && changes >= bytes.len() / 6;
    distinct >= wanted.max(5) && (mixed || cased)
}

/// Stricter than [`looks_random`]: a short prefix needs upper and lower case and digits.
pub(super) fn mixed_case_random(text: &str) -> bool {
    looks_random(text) && text.bytes().filter(u8::is_ascii_uppercase).count() >= 3 && text.bytes().filter(u8::is_ascii_digit).count() >= 1
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Lower,
    Upper,
    Digit,
    Other,
}

impl Class {
    const fn of(byte: u8) -> Self {
        match byte {
            b'a'..=b'z' => Self::Lower,
            b'A'..=b'Z' => Self::Upper,
            b'0'..=b'9' => Self::Digit,
            _ => Self::Other,
        }
    }
}

/// Whether `text` is an identifier of a thing rather than a secret: a UUID, a digest with its
/// algorithm, a version, a date.
pub(super) fn is_identifier(text: &str) -> bool {
    is_uuid(text) || has_digest_prefix(text) || is_date_or_version(text)
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| if matches!(at, 8 | 13 | 18 | 23) { byte == b'-' } else { byte.is_ascii_hexdigit() })
}

fn has_digest_prefix(text: &str) -> bool {
    ["sha1-", "sha256-", "sha384-", "sha512-", "sha1:", "sha256:", "sha384:", "sha512:", "md5:", "blake3:"]
        .iter()
        .any(|prefix| text.starts_with(prefix))
}

fn is_date_or_version(text: &str) -> bool {
    let text = text.strip_prefix('v').unwrap_or(text);
    text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b':' | b'T' | b'Z' | b'+' | b' ' | b'/'))
}

/// `Option`, `SecretString`, `ApiKey`: what programs write after a colon.
pub(super) fn is_type_name(value: &str) -> bool {
    value.starts_with(|c: char| c.is_ascii_uppercase())
        && value.bytes().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'?' | b'|' | b'[' | b']'))
}
