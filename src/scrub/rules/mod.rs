//! The table of secret formats: data, each row with its own true and false examples.
//!
//! Shapes and examples are written in the language of [`super::shape`]; tests draw values from the
//! examples, so that no live-looking value stands in the source.

mod cloud;
mod code;
mod data;
mod keyed;
mod saas;

use super::shape::{RunEnds, Shape};
use super::value::looks_random;
use std::sync::LazyLock;

pub(super) use keyed::vendor_of_key;

/// One documented format.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    /// What a finding is counted as and replaced by.
    pub(super) kind: &'static str,
    /// The vendor's documented format.
    pub(super) shape: &'static str,
    /// What the shape cannot say.
    pub(super) check: Option<fn(&str) -> bool>,
    /// Values that are found, as templates.
    #[cfg_attr(not(test), expect(dead_code, reason = "read by the test that loops over all rules"))]
    pub(super) yes: &'static [&'static str],
    /// Look-alikes that stay, as templates.
    #[cfg_attr(not(test), expect(dead_code, reason = "read by the test that loops over all rules"))]
    pub(super) no: &'static [&'static str],
}

/// A row of the table.
const fn rule(kind: &'static str, shape: &'static str, yes: &'static [&'static str], no: &'static [&'static str]) -> Rule {
    Rule { kind, shape, check: None, yes, no }
}

impl Rule {
    /// The row with a check beyond its shape.
    const fn checked(mut self, check: fn(&str) -> bool) -> Self {
        self.check = Some(check);
        self
    }
}

/// Every row.
pub(super) fn all() -> impl Iterator<Item = &'static Rule> {
    cloud::RULES.iter().chain(data::RULES).chain(code::RULES).chain(saas::RULES)
}

/// Kinds that no row of the table names: found by key, structure or known value.
const STRUCTURAL: &[&str] = &[
    super::known::KIND,
    "api_key",
    "authorization",
    "basic_auth",
    "bearer_token",
    "client_secret",
    "connection_string",
    "cookie",
    "credential",
    "crypt_hash",
    "docker_auth",
    "encryption_key",
    "kubernetes_secret",
    "mnemonic",
    "netrc_password",
    "npm_auth",
    "passphrase",
    "password",
    "pgpass_password",
    "pgp_private_key",
    "ppk_private_key",
    "private_key",
    "secret",
    "session",
    "signature",
    "token",
    "totp_seed",
    "unseal_key",
    "uri_password",
    "uri_token",
    "nested_too_deep",
];

/// Every kind that a count or a replacement can name, each once, in order.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    static KINDS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
        let mut kinds: Vec<_> = all().map(|rule| rule.kind).chain(keyed::kinds()).chain(STRUCTURAL.iter().copied()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    });
    KINDS.iter().copied()
}

/// More failed checks than any honest run of token characters has.
const FAILED_CHECKS: usize = 128;

/// The table, indexed by the first byte of a match.
pub(super) struct Index {
    rules: Vec<(Shape, &'static Rule)>,
    by_first: Vec<Vec<Candidate>>,
    /// The first four bytes of prefixes that are found inside of words too, as bits by their hash.
    glued: Vec<bool>,
}

/// How many hashes of prefixes there are.
const HASHES: usize = 1 << 12;

/// A number below [`HASHES`].
const fn hash(first: u32) -> usize {
    (first.wrapping_mul(0x9e37_79b1) >> 20) as usize
}

/// Whether a prefix tells enough to be found right behind a letter: `Xghp_…`.
fn is_distinctive(literal: &[u8]) -> bool {
    const COMMON: &[&[u8]] = &[b"key-", b"rnd_", b"vcp_", b"API-", b"access-", b"bedrock-api-key-", b"secret_", b"aio_", b"4b1d"];
    const SOLID: &[&[u8]] = &[b"AKIA", b"ASIA", b"AIza", b"EZAK", b"EZTK", b"AKCp", b"dapi"];
    let separated = literal.iter().skip(3).any(|byte| matches!(byte, b'_' | b'-' | b'.'));
    literal.len() >= 4 && (separated && !COMMON.contains(&literal) || SOLID.contains(&literal))
}

/// A rule that may match here, with what tells at once that it does not.
struct Candidate {
    rule: usize,
    /// The first bytes of its literal, as far as four go, and which of them there are.
    prefix: u32,
    mask: u32,
    /// How many letters and digits it begins with at least.
    letters: usize,
    /// Whether it may follow a letter.
    distinctive: bool,
}

impl Candidate {
    fn new(rule: usize, shape: &Shape) -> Self {
        let literal = shape.first_literal();
        let byte = |at: usize| literal.get(at).copied();
        Self {
            rule,
            prefix: u32::from_le_bytes([0, 1, 2, 3].map(|at| byte(at).unwrap_or(0))),
            mask: u32::from_le_bytes([0, 1, 2, 3].map(|at| byte(at).map_or(0, |_| u8::MAX))),
            letters: shape.first_letters(),
            distinctive: is_distinctive(literal),
        }
    }
}

impl Index {
    /// The one index of the process.
    pub(super) fn shared() -> &'static Self {
        static INDEX: LazyLock<Index> = LazyLock::new(Index::build);
        &INDEX
    }

    fn build() -> Self {
        let rules: Vec<_> = all().map(|rule| (Shape::parse(rule.shape), rule)).collect();
        let candidates = |byte: u8| {
            rules.iter().enumerate().filter(|(_, (shape, _))| shape.can_begin(byte)).map(|(id, (shape, _))| Candidate::new(id, shape)).collect()
        };
        let by_first: Vec<Vec<Candidate>> = (0..=u8::MAX).map(candidates).collect();
        let mut glued = vec![false; HASHES];
        for candidate in by_first.iter().flatten().filter(|candidate| candidate.distinctive) {
            if let Some(bit) = glued.get_mut(hash(candidate.prefix)) {
                *bit = true;
            }
        }
        Self { rules, by_first, glued }
    }

    /// The longest match that begins at `start`, in the middle of a word: of rules whose prefix
    /// tells enough, with a body that looks generated.
    pub(super) fn match_glued(&self, text: &str, start: usize, ends: &mut RunEnds) -> Option<(usize, &'static str)> {
        let first = text.as_bytes().get(start..start + 4)?.first_chunk::<4>()?;
        if self.glued.get(hash(u32::from_le_bytes(*first))) != Some(&true) {
            return None;
        }
        self.longest(text, start, ends, true)
    }

    /// The longest match of any rule that begins at `start`, which is no middle of a word.
    pub(super) fn match_at(&self, text: &str, start: usize, ends: &mut RunEnds) -> Option<(usize, &'static str)> {
        self.longest(text, start, ends, false)
    }

    fn longest(&self, text: &str, start: usize, ends: &mut RunEnds, glued: bool) -> Option<(usize, &'static str)> {
        let bytes = text.as_bytes();
        let candidates = self.by_first.get(usize::from(*bytes.get(start)?))?;
        let byte = |at: usize| bytes.get(start + at).copied().unwrap_or(0);
        let first = u32::from_le_bytes([byte(0), byte(1), byte(2), byte(3)]);
        let mut letters = None;
        let mut best: Option<(usize, &'static str)> = None;
        for candidate in candidates {
            if first & candidate.mask != candidate.prefix || (glued && !candidate.distinctive) {
                continue;
            }
            if candidate.letters > 0 && *letters.get_or_insert_with(|| ends.letters(bytes, start)) < candidate.letters {
                continue;
            }
            let Some((shape, rule)) = self.rules.get(candidate.rule) else { continue };
            let Some(end) = shape.match_at(bytes, start, ends) else { continue };
            if best.is_some_and(|(longest, _)| longest >= end) {
                continue;
            }
            // Checks read the whole match. Text made to fail many of them in one run is
            // redacted unchecked, which keeps the work linear and errs on the safe side.
            let whole = text.get(start..end).unwrap_or_default();
            let body = whole.get(shape.first_literal().len()..).unwrap_or_default();
            let accepted = ends.failed_checks >= FAILED_CHECKS || (rule.check.is_none_or(|check| check(whole)) && (!glued || looks_random(body)));
            if accepted {
                best = Some((end, rule.kind));
            } else {
                ends.failed_checks += 1;
            }
        }
        best
    }
}
