//! The gateway's own credentials, in the forms that they may leave in.

use super::span::Span;
use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use secrecy::{ExposeSecret as _, SecretString};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The kind that a removed credential of the gateway is counted as.
pub(super) const KIND: &str = "known_credential";

/// A shorter value would be found in innocent text.
const SHORTEST: usize = 6;
/// An encoded middle piece must be this long to be looked for.
const SHORTEST_PIECE: usize = 8;

/// Finds known values.
pub(super) struct Known(Option<AhoCorasick>);

impl Known {
    pub(super) fn new(values: &[SecretString]) -> Self {
        let mut forms = BTreeSet::new();
        for value in values {
            add_forms(value.expose_secret(), &mut forms);
        }
        if forms.is_empty() {
            return Self(None);
        }
        Self(AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(forms).ok())
    }

    /// Whether there is nothing to look for.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(super) fn find(&self, text: &str, spans: &mut Vec<Span>) {
        if let Some(searcher) = &self.0 {
            spans.extend(searcher.find_iter(text).map(|found| Span { start: found.start(), end: found.end(), kind: KIND }));
        }
    }
}

fn add_forms(value: &str, forms: &mut BTreeSet<String>) {
    let value = value.trim();
    if value.len() < SHORTEST {
        return;
    }
    forms.insert(value.to_owned());
    if let Ok(quoted) = serde_json::to_string(value)
        && let Some(escaped) = quoted.get(1..quoted.len() - 1)
    {
        forms.insert(escaped.to_owned());
        forms.insert(escaped.replace('\\', "\\\\"));
    }
    let (mut lower, mut upper, mut percent, mut percent_lower) = (String::new(), String::new(), String::new(), String::new());
    for byte in value.bytes() {
        let _ = write!(lower, "{byte:02x}");
        let _ = write!(upper, "{byte:02X}");
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            percent.push(char::from(byte));
            percent_lower.push(char::from(byte));
        } else {
            let _ = write!(percent, "%{byte:02X}");
            let _ = write!(percent_lower, "%{byte:02x}");
        }
    }
    forms.extend([lower, upper, percent, percent_lower]);
    for shift in 0..3 {
        for piece in base64_middle(value, shift) {
            if piece.len() >= SHORTEST_PIECE {
                forms.insert(piece);
            }
        }
    }
    for line in value.lines().map(str::trim).filter(|line| line.len() >= 32 && line.len() < value.len() && !line.starts_with("-----")) {
        forms.insert(line.to_owned());
    }
}

/// The characters that `value` alone decides when it is encoded after `shift` other bytes
/// (modulo three) and before any others.
fn base64_middle(value: &str, shift: usize) -> [String; 2] {
    let mut bytes = vec![0; shift];
    bytes.extend_from_slice(value.as_bytes());
    let first = (shift * 8).div_ceil(6);
    let last = bytes.len() * 8 / 6;
    [STANDARD.encode(&bytes), URL_SAFE.encode(&bytes)].map(|encoded| encoded.get(first..last).unwrap_or_default().to_owned())
}
