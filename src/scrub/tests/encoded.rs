//! Secrets that are encoded or hidden.

use super::draw::Rng;
use super::scrub;
use crate::scrub::Scrubber;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use secrecy::SecretString;
use serde_json::json;

#[test]
fn known_credentials_go_in_every_form() {
    let mut rng = Rng(0x5eed_000d);
    for _ in 0..20 {
        let value = format!("{}/{}+{} \"{}", rng.class(b'L', 0), rng.class(b'l', 6), rng.class(b'l', 5), rng.class(b'l', 4));
        let value = value.trim();
        let scrubber = Scrubber::new(vec![SecretString::from(value)]);
        let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
        let percent: String =
            value.bytes().map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect();
        for text in [
            value.to_owned(),
            hex.clone(),
            hex.to_ascii_uppercase(),
            percent.clone(),
            percent.to_ascii_lowercase(),
            serde_json::to_string(value).unwrap(),
        ] {
            let (clean, counts) = scrubber.text(&format!("it is {text} here"));
            assert!(clean.contains("[REDACTED:known_credential]"), "{text:?} gave {clean:?}");
            assert_eq!(counts.total(), 1);
        }
        for lead in ["", "a", "ab"] {
            for encoded in [STANDARD.encode(format!("{lead}{value}tail")), URL_SAFE_NO_PAD.encode(format!("{lead}{value}tail"))] {
                let (clean, _) = scrubber.text(&encoded);
                assert!(clean.contains("[REDACTED:known_credential]"), "{lead} {encoded} gave {clean}");
            }
        }
    }
}

#[test]
fn encoded_secrets_are_found_and_encoded_text_stays() {
    let mut rng = Rng(0x5eed_000e);
    for _ in 0..20 {
        let inner = format!("token is {} here", rng.draw("ghp_{a36}"));
        let once = STANDARD.encode(&inner);
        let twice = STANDARD.encode(&once);
        let hex: String = inner.bytes().map(|byte| format!("{byte:02x}")).collect();
        for blob in [once, twice, hex, URL_SAFE_NO_PAD.encode(&inner)] {
            assert_eq!(scrub(&format!("blob {blob} end")), "blob [REDACTED:github_token] end", "{blob}");
        }
    }
}

#[test]
fn untrusted_text_hides_no_secret_behind_hidden_characters() {
    let mut rng = Rng(0x5eed_000f);
    let (head, tail) = (rng.class(b'a', 18), rng.class(b'a', 18));
    let (clean, _) = Scrubber::new(Vec::new()).untrusted_text(&format!("ghp_{head}\u{200b}{tail} \u{1b}[31mred"));
    assert_eq!(*clean, "[REDACTED:github_token] red");
    let document = json!({"log": [format!("a\tb\nghp_{head}\u{200b}{tail} \u{1b}[31mred")]});
    let (clean, _) = Scrubber::new(Vec::new()).untrusted_json(document);
    assert_eq!(*clean, json!({"log": ["a\tb\n[REDACTED:github_token] red"]}));
}
