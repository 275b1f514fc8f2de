//! A file scrubbed with every line at its number.

use super::draw::Rng;
use super::properties::fragments;
use crate::scrub::Scrubber;
use proptest::prelude::*;

/// The file as it is shown, which a second time does not change.
fn by_line(whole: &str) -> String {
    let scrubber = Scrubber::new(Vec::new());
    let (clean, counts) = scrubber.by_line(whole);
    assert_eq!(clean.is_none(), counts.is_empty(), "{whole:?}");
    let clean = clean.unwrap_or_else(|| whole.to_owned());
    let (again, _) = scrubber.by_line(&clean);
    assert_eq!(again.as_deref().unwrap_or(&clean), clean, "a second time differs, from {whole:?}");
    clean
}

fn line_ends(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

/// Blocks of lines with a secret, and the pieces that must not be left of it.
fn block(rng: &mut Rng, form: usize) -> (String, Vec<String>) {
    let body: Vec<_> = (0..6).map(|_| rng.class(b'a', 64)).collect();
    let value = rng.password() + &rng.password();
    match form % 8 {
        0 => (format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----", body.join("\n")), body),
        1 => (format!("  key: |\n    -----BEGIN RSA PRIVATE KEY-----\n    {}\n    -----END RSA PRIVATE KEY-----", body.join("\n    ")), body),
        2 => (format!("-----BEGIN PRIVATE KEY-----\n{}", body.join("\n\n")), body),
        3 => (format!("password: |\n  {value}\n  {}", body[0]), vec![value, body[0].clone()]),
        4 => (format!("- name: DB_PASSWORD\n  value: {value}"), vec![value]),
        5 => (format!("kind: Secret\ndata:\n  a: {value}\n  b: |\n    {}\n", body[0]), vec![value, body[0].clone()]),
        6 => (format!("<password>\n  {value}\n</password>"), vec![value]),
        _ => (format!("DB_PASSWORD=\"{value}\nsecond {}\"", body[0]), vec![value]),
    }
}

#[test]
fn every_line_keeps_its_number() {
    let mut rng = Rng(0x5eed_0028);
    for form in 0..8 {
        for end in ["\n", "\r\n"] {
            let (block, pieces) = block(&mut rng, form);
            let whole = format!("first: 1\n{block}\nlast: 2\n").replace('\n', end);
            let clean = by_line(&whole);
            assert_eq!(line_ends(&clean), line_ends(&whole), "{clean}");
            assert_eq!(clean.matches('\r').count(), whole.matches('\r').count(), "{clean:?}");
            for (before, after) in whole.lines().zip(clean.lines()) {
                assert!(!pieces.iter().any(|piece| after.contains(piece.as_str())), "{clean}");
                assert!(before == after || after.contains("[REDACTED:"), "{before:?} became {after:?}");
            }
            assert!(clean.starts_with("first: 1") && clean.ends_with(&format!("last: 2{end}")), "{clean}");
        }
    }
}

#[test]
fn a_clean_file_is_left_alone() {
    let (clean, counts) = Scrubber::new(Vec::new()).by_line("fn main() {}\r\n\r\n// the end");
    assert!(clean.is_none() && counts.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_file_keeps_its_lines(before in fragments(), seed in 1u64.., form in 0usize..8, after in fragments(), crlf: bool) {
        let (block, _) = block(&mut Rng(seed), form);
        let whole = format!("{before}\n{block}\n{after}");
        let whole = if crlf { whole.replace('\n', "\r\n") } else { whole };
        let clean = by_line(&whole);
        prop_assert_eq!(line_ends(&clean), line_ends(&whole));
    }

    #[test]
    fn no_key_is_left_in_any_line(seed in 1u64.., form in 0usize..7, after in fragments(), crlf: bool) {
        let (block, pieces) = block(&mut Rng(seed), form);
        let whole = format!("first\n{block}\n{after}");
        let whole = if crlf { whole.replace('\n', "\r\n") } else { whole };
        let clean = by_line(&whole);
        for piece in pieces {
            prop_assert!(!clean.lines().any(|line| line.contains(&piece)), "{} in {}", piece, clean);
        }
    }
}

#[test]
fn a_key_whose_lines_end_strangely_is_found() {
    let mut rng = Rng(0x5eed_0031);
    for end in ["\x1b[0m\n", "\r", "\x0c", "\x0b", "\u{85}", "\u{2028}", "\u{2029}", "\u{200b}\n", "\u{200b}"] {
        let body: Vec<_> = (0..6).map(|_| rng.class(b'a', 64)).collect();
        let whole = format!("before\n-----BEGIN PRIVATE KEY-----{end}{}{end}-----END PRIVATE KEY-----\nafter\n", body.join(end));
        let clean = by_line(&whole);
        assert_eq!(line_ends(&clean), line_ends(&whole), "{clean:?}");
        assert!(!body.iter().any(|piece| clean.contains(piece.as_str())), "{end:?}: {clean:?}");
        assert!(clean.starts_with("before\n") && clean.ends_with("\nafter\n"), "{clean:?}");
    }
    let token = format!("ghp_{}", rng.class(b'a', 36));
    let broken = format!("token is {}\u{fffd}{}\n", &token[..12], &token[12..]);
    assert!(by_line(&broken).contains("[REDACTED:"), "{broken}");
}

#[test]
fn a_document_is_changed_in_place() {
    let mut rng = Rng(0x5eed_0032);
    let value = rng.password() + &rng.password();
    let source = format!("{{\"b\":1.50,\"password\":\n \"{value}\",\n\"dup\":1,\"u\":\"\\u00e9\",\"z\":1,\"a\":[1e3]}}\n");
    assert_eq!(by_line(&source), source.replace(&value, "[REDACTED:password]"));
    let (clean, _) = Scrubber::new(Vec::new()).json(serde_json::Value::String(source.clone()));
    assert_eq!(clean.as_str(), Some(source.replace(&value, "[REDACTED:password]").as_str()));
}

#[test]
fn what_was_taken_out_is_not_taken_out_of_again() {
    let mut rng = Rng(0x5eed_0033);
    let clean = by_line(&format!("https://ghp_{}:x-oauth-basic@github.com/a/b\n", rng.class(b'a', 36)));
    assert!(!clean.contains("[REDACTED:[REDACTED"), "{clean}");
    let prose = "/// `PASSWORD=\\` and the value on the next line.\npub fn continued(&self, at: usize) -> Option<usize> {\n";
    assert_eq!(by_line(prose), prose);
}
