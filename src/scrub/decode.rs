//! Encoded text: looked into where it decodes to text, left alone where it does not.

use super::known::Known;
use super::scan;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// How many encodings inside one another are opened.
const DEPTH: usize = 2;
/// The longest blob that is opened; decoding costs time in proportion to it, once per depth.
const LONGEST: usize = 1 << 20;

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Base64 of either alphabet, padded or not.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    if text.contains(['-', '_']) { URL_SAFE.decode(text).ok() } else { STANDARD.decode(text).ok() }
}

/// Whether the first part of `token` decodes to a JSON object that names an algorithm: any
/// `a.b.c` is not a token.
pub(super) fn jwt_header(token: &str) -> bool {
    let header = token.split('.').next().unwrap_or_default();
    let Some(bytes) = base64(header) else { return false };
    let Ok(serde_json::Value::Object(fields)) = serde_json::from_slice(&bytes) else { return false };
    ["alg", "typ", "enc", "kid"].iter().any(|name| fields.contains_key(*name))
}

/// The kind of secret that the base64 or hex text `blob` hides, if it decodes to text with one.
pub(super) fn hidden_kind(blob: &str, known: &Known, depth: usize) -> Option<&'static str> {
    if depth >= DEPTH || blob.len() < 16 || blob.len() > LONGEST {
        return None;
    }
    let text = if is_hex(blob) { printable(hex(blob)?)? } else { decoded_text(blob)? };
    scan::find(&text, known, depth + 1).into_iter().max_by_key(|span| span.end - span.start).map(|span| span.kind)
}

fn decoded_text(blob: &str) -> Option<String> {
    // The first bytes tell text from hashes, keys and pictures at almost no cost.
    let sample = blob.as_bytes().get(..16)?;
    let mut bytes = [0; 12];
    let engine = if sample.contains(&b'-') || sample.contains(&b'_') { &URL_SAFE } else { &STANDARD };
    let len = engine.decode_slice(sample, &mut bytes).ok()?;
    bytes.get(..len)?.iter().all(is_text).then_some(())?;
    printable(base64(blob)?)
}

const fn is_text(byte: &u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t' | 0x80..)
}

fn printable(bytes: Vec<u8>) -> Option<String> {
    if bytes.iter().all(is_text) { String::from_utf8(bytes).ok() } else { None }
}

fn is_hex(text: &str) -> bool {
    text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn hex(text: &str) -> Option<Vec<u8>> {
    // Printable ASCII begins with 2 to 7 in hex; most hashes leave here.
    if !text.bytes().step_by(2).take(8).all(|high| matches!(high, b'0' | b'2'..=b'7')) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    text.as_bytes().chunks_exact(2).map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?)).collect()
}
