//! A SHA-256 value and its one spelling: 64 lower-case hex digits.

use std::fmt;

use serde::{Serialize, Serializer};

/// 32 bytes of SHA-256 or HMAC-SHA-256. Shown and serialised as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Wraps the 32 bytes of a digest.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The raw bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads exactly 64 lower-case hex digits; anything else is `None`.
    #[must_use]
    pub fn from_hex(text: &[u8]) -> Option<Self> {
        decode_hex(text).map(Self)
    }

    pub(crate) fn push_hex(&self, out: &mut Vec<u8>) {
        push_hex(out, &self.0);
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex(&self.0))
    }
}

const fn digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
}

/// The value of a digit, and all ones in place of the second where it is none. Without branches: three to five hashes stand in each line of
/// a log, and their digits are as good as random, which no branch predictor likes.
const fn value(digit: u8) -> (u8, u8) {
    let (number, letter) = (digit.wrapping_sub(b'0'), digit.wrapping_sub(b'a'));
    let is_number = 0_u8.wrapping_sub((number < 10) as u8);
    let is_letter = 0_u8.wrapping_sub((letter < 6) as u8);
    ((number & is_number) | (letter.wrapping_add(10) & is_letter), !(is_number | is_letter))
}

/// Appends the lower-case hex of `bytes`.
pub(crate) fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
}

/// The lower-case hex of `bytes`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [char::from(digit(byte >> 4)), char::from(digit(byte & 15))]).collect()
}

/// Exactly `2 * N` lower-case hex digits.
pub(crate) fn decode_hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    let mut wrong = 0;
    for (byte, &[high, low]) in bytes.iter_mut().zip(text.as_chunks().0) {
        let ((high, not_high), (low, not_low)) = (value(high), value(low));
        *byte = high << 4 | low;
        wrong |= not_high | not_low;
    }
    (wrong == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_a_digit_or_none() {
        for byte in 0..=u8::MAX {
            let expected = char::from(byte).to_digit(16).filter(|_| !byte.is_ascii_uppercase());
            let expected = expected.and_then(|value| u8::try_from(value).ok());
            assert_eq!(decode_hex(&[b'0', byte]), expected.map(|value| [value]), "{byte}");
            assert_eq!(decode_hex(&[byte, b'f']), expected.map(|value| [value << 4 | 15]), "{byte}");
        }
    }

    #[test]
    fn hex_is_lower_case_and_exact() {
        let digest = Digest::new([0xab; 32]);
        let text = digest.to_string();
        assert_eq!(text, "ab".repeat(32));
        assert_eq!(Digest::from_hex(text.as_bytes()), Some(digest));
        for wrong in [text.to_uppercase(), text[1..].to_owned(), format!("{text}0"), text.replacen('a', "g", 1)] {
            assert_eq!(Digest::from_hex(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
