//! Values beside a sensitive key that are no secret: placeholders, references, types, code, words.

use super::key_name::Weight;
use super::placeholder_words::{COMMON, REFERENCES, SPOKEN};
use super::span::{MARK, mark_len};
use super::value::{is_identifier, looks_random};

/// Where a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A string leaf of a document, or the text of an element: nothing but a value.
    Leaf,
    /// Between quotes in text, which may be a program.
    Quoted,
    /// Without quotes, where a configuration or a command line has its values.
    Bare,
    /// Without quotes, where a program or prose may stand as well.
    Loose,
}

/// Whether `value` is to be removed beside a key of this weight.
pub(super) fn is_secret(weight: Weight, value: &str, place: Place) -> bool {
    let value = value.trim();
    if value.len() < 3 || is_placeholder(value) || is_reference(value) || is_number(value) {
        return is_long_number(weight, value, place);
    }
    match weight {
        Weight::Phrase => is_phrase(value) || is_secret(Weight::Weak, value, place),
        Weight::Random => {
            value.len() >= 16 && !is_code(value, place) && !value.contains(char::is_whitespace) && !is_identifier(value) && looks_random(value)
        }
        Weight::Weak => {
            value.len() >= if place == Place::Leaf { 6 } else { 8 } && is_opaque(value) && !is_code(value, place) && !is_identifier(value)
        }
        Weight::Strong | Weight::Authorization | Weight::Cookie => is_strong_secret(value, place),
    }
}

fn is_strong_secret(value: &str, place: Place) -> bool {
    if is_code(value, place) || value.starts_with("sha256-") {
        return false;
    }
    if is_wordy(value) {
        // Words: a password may be one, but so may the name of a field, a type or a message.
        let single = !value.contains(char::is_whitespace);
        return single && place != Place::Loose && value.len() >= 4 && !is_common(value) && !names_a_secret(value);
    }
    value.len() >= if place == Place::Loose { 6 } else { 4 } && (place == Place::Leaf || place == Place::Quoted || !value.contains(' '))
}

/// Twelve words or more in lower case, as wallets write their seeds.
fn is_phrase(value: &str) -> bool {
    value.split_whitespace().count() >= 12 && value.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_whitespace())
}

/// A quoted run of digits is a password only where nothing but a password can stand.
fn is_long_number(weight: Weight, value: &str, place: Place) -> bool {
    weight == Weight::Strong
        && matches!(place, Place::Leaf | Place::Quoted)
        && value.len() >= 6
        && value.bytes().all(|byte| byte.is_ascii_digit())
        && !is_one_byte_repeated(value)
}

/// No spaces, and not made of words.
fn is_opaque(value: &str) -> bool {
    !value.contains(char::is_whitespace) && !is_wordy(value)
}

/// Whether the value consists of words, as names, sentences and paths do: pieces of letters
/// (or short numbers) between separators.
pub(super) fn is_wordy(value: &str) -> bool {
    value.split(|c: char| c.is_ascii_punctuation() && !matches!(c, '@' | '#' | '$' | '%' | '^' | '&' | '~') || matches!(c, ' ' | '\t')).all(is_word)
}

fn is_word(piece: &str) -> bool {
    if piece.len() <= 1 {
        return true;
    }
    let stem = piece.trim_end_matches(|c: char| c.is_ascii_digit());
    if piece.bytes().all(|byte| byte.is_ascii_digit()) {
        return piece.len() <= 4;
    }
    let letters = stem.bytes().all(|byte| byte.is_ascii_alphabetic());
    let humps = stem.bytes().zip(stem.bytes().skip(1)).filter(|(a, b)| a.is_ascii_lowercase() && b.is_ascii_uppercase()).count();
    letters && stem.len() == piece.len() && humps <= 1 + stem.len() / 5 && stem.len() <= 32 && (stem.len() < 12 || vowels(stem) * 6 >= stem.len())
}

fn vowels(text: &str) -> usize {
    text.bytes().filter(|byte| matches!(byte.to_ascii_lowercase(), b'a' | b'e' | b'i' | b'o' | b'u' | b'y')).count()
}

fn is_common(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    COMMON.contains(&lower.as_str())
}

/// `db_password`, `my-secret`, `X-Api-Key`: the name of a secret in the place of one.
fn names_a_secret(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    ["passw", "passphrase", "secret", "token", "key", "cred", "auth", "pwd"].iter().any(|stem| lower.contains(stem))
}

fn is_number(value: &str) -> bool {
    value.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'_' | b','))
        && value.bytes().any(|byte| byte.is_ascii_digit())
}

fn is_one_byte_repeated(value: &str) -> bool {
    let mut bytes = value.bytes();
    bytes.next().is_some_and(|first| bytes.all(|byte| byte == first))
}

/// `${TOKEN}`, `<token>`, `***`, `your-key-here`, null and booleans.
pub(super) fn is_placeholder(value: &str) -> bool {
    if is_marks(value) || is_one_byte_repeated(value) {
        return true;
    }
    let lower = value.to_ascii_lowercase();
    let wrapped = |open: &str, close: &str| value.starts_with(open) && value.ends_with(close);
    let masked = value.contains("***") || value.contains("…") || value.contains("••") || lower.contains("xxxx") || value.ends_with("...");
    masked
        || wrapped("<", ">")
        || wrapped("{{", "}}")
        || wrapped("{", "}")
        || wrapped("[", "]")
        || (wrapped("%", "%") && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'%' | b'_' | b'.' | b'-')))
        || wrapped("(", ")")
        || wrapped("__", "__")
        || wrapped("@", "@")
        || is_variable(value)
        || value.starts_with("{{")
        || (value.starts_with('%') && value.len() <= 4)
        || matches!(lower.as_str(), "null" | "nil" | "none" | "true" | "false" | "undefined" | "yes" | "no" | "n/a" | "na" | "~" | "void" | "empty")
        || ((is_wordy(value) || lower.contains("example")) && SPOKEN.iter().any(|word| lower.starts_with(word) || lower.ends_with(word)))
        || (is_wordy(value) && (lower.ends_with("here") || lower.contains("redacted") || lower.contains("your")))
}

/// `$TOKEN`, `${TOKEN}`, `$(command)`, `$env:TOKEN`: but a password may begin with `$` too.
fn is_variable(value: &str) -> bool {
    let Some(rest) = value.strip_prefix('$') else { return false };
    rest.starts_with(['{', '(', '$'])
        || (rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'.' | b'-' | b'>' | b'[' | b']' | b'\'')))
}

/// Nothing but replacement marks.
fn is_marks(value: &str) -> bool {
    let mut rest = value;
    while let Some(len) = mark_len(rest) {
        rest = rest.get(len..).unwrap_or_default().trim_start_matches([' ', ',', ';', '\n', '\r', '\t']);
    }
    rest.is_empty() && value.starts_with(MARK)
}

/// Where the secret is, rather than what it is.
fn is_reference(value: &str) -> bool {
    REFERENCES.iter().any(|prefix| value.starts_with(prefix)) || is_path(value)
}

fn is_path(value: &str) -> bool {
    value.starts_with('/') && value.len() < 128 && value.matches('/').count() >= 2 && is_wordy(value)
}

/// Whether an unquoted value reads as part of a program, or a quoted one as a template.
fn is_code(value: &str, place: Place) -> bool {
    match place {
        Place::Leaf => false,
        Place::Quoted => {
            value.contains("{}")
                || value.contains(":$")
                || value.contains("${")
                || value.contains("{{")
                || value.contains("%s")
                || value.contains("%v")
                || value.contains("#{")
                || value.contains("\\(")
                || value.contains("$(")
                || is_interpolated(value)
        }
        Place::Bare | Place::Loose => {
            value.starts_with(['&', '*', '(', '[', '{', '<', '|', '!', '>'])
                || value.contains("::")
                || value.contains("->")
                || value.contains("=>")
                || value.contains("()")
                || value.contains("${")
                || value.contains("$(")
                || value.contains("{{")
                || value.contains("\\w")
                || value.contains(".*")
                || (names_a_secret(value)
                    && value.contains('_')
                    && value.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'))
                || (value.contains('(') && value.split('(').next().is_some_and(is_dotted_name))
                || (value.contains('[') && value.split('[').next().is_some_and(is_dotted_name))
                || (value.contains('<') && value.split('<').next().is_some_and(is_dotted_name))
                || (value.contains('.') && is_dotted_name(value) && is_wordy(value))
                || (value.ends_with('?') && is_dotted_name(value.trim_end_matches('?')))
                || value.strip_prefix("0x").is_some_and(|digits| digits.len() <= 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
                || (place == Place::Loose && is_dotted_name(value) && (is_snake_name(value) || is_constant_name(value) || is_camel_name(value)))
        }
    }
}

/// `{name}` inside a string.
fn is_interpolated(value: &str) -> bool {
    value.split_once('{').and_then(|(_, rest)| rest.split_once('}')).is_some_and(|(name, _)| {
        name.len() < 48 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b':' | b'?'))
    })
}

/// `self.config.password`
fn is_dotted_name(value: &str) -> bool {
    value.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'?' | b'!'))
}

/// `X509RequestInheritOptions`: most of it in words that begin with a capital.
fn is_camel_name(value: &str) -> bool {
    let bytes = value.as_bytes();
    let mut covered = 0;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let lower = bytes.get(at + 1..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_lowercase()).count();
        if (byte.is_ascii_uppercase() || at == 0) && lower >= 2 {
            covered += 1 + lower;
        }
        at += 1 + lower;
    }
    covered * 10 >= bytes.len() * 6
}

/// `D3D_MAX_TOKEN`
fn is_constant_name(value: &str) -> bool {
    value.contains('_') && value.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

/// `token2`, `raw_key_v1`: letters with a number at the end of a piece, as programs have.
fn is_snake_name(value: &str) -> bool {
    value.split(['_', '.']).all(|piece| {
        let stem = piece.trim_end_matches(|c: char| c.is_ascii_digit());
        piece.len() - stem.len() <= 3
            && stem.bytes().all(|byte| byte.is_ascii_alphabetic())
            && (piece.len() == stem.len() || value.contains(['_', '.']) || stem.len() <= 6)
    })
}
