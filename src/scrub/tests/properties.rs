//! What holds for any text.

use super::draw::Rng;
use crate::scrub::Scrubber;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Text of the pieces that detectors look for, so that properties meet them.
pub(super) fn fragments() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "password",
            "token",
            "api_key",
            "Authorization",
            "Bearer ",
            "Basic ",
            "Cookie: ",
            "=",
            ": ",
            "\"",
            "'",
            "\\",
            "\\\"",
            "\\n",
            "\n",
            " ",
            ",",
            "{",
            "}",
            "[",
            "]",
            "://",
            "@",
            ":",
            "<",
            ">",
            "</",
            "--",
            "&",
            ";",
            "[REDACTED:token]",
            "[REDACTED:",
            "ghp_",
            "eyJ",
            "AKIA",
            "-----BEGIN PRIVATE KEY-----",
            "-----END PRIVATE KEY-----",
            "kind: Secret\n",
            "data:\n",
            "  ",
            "$2b$10$",
            " -u ",
            "login ",
            "name",
            "value",
            "é",
            "%22",
            "%3D",
            "u: |\n",
            "password: |\n  ",
            "passwords:\n- ",
            "passwords: [\"",
            "value: ",
            "name: ",
            "\n  ",
            "12:",
            "+",
            "&quot;",
            "\\u0067",
            "%67",
            "&#103;",
            " | ",
            "<![CDATA[",
            "redis-cli -a ",
            "variable \"password\" { default = \"",
            "setPassword(\"",
            "getenv(\"PASSWORD\", \"",
            "PASSWORD=\\\n",
            "password: &a ",
            "PRIVATE KEY-----\n",
            "||",
            "ENV DB_PASSWORD ",
            "\"\"\"",
            "opsgate_",
        ])
        .prop_map(str::to_owned),
        "[a-zA-Z0-9]{1,40}",
        "[a-zA-Z0-9+/_=-]{16,64}",
        "\\PC{0,6}",
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn scrubbing_twice_changes_nothing(text in fragments()) {
        let scrubber = Scrubber::new(Vec::new());
        let (once, counts) = scrubber.text(&text);
        let (twice, _) = scrubber.text(&once);
        prop_assert_eq!(&*once, &*twice);
        prop_assert_eq!(counts.is_empty(), *once == text);
        let line = scrubber.line(&text);
        prop_assert_eq!(&*scrubber.line(&line), &*line);
    }

    #[test]
    fn owned_and_borrowed_text_agree(text in fragments()) {
        let scrubber = Scrubber::new(Vec::new());
        prop_assert_eq!(scrubber.text(&text), scrubber.text_owned(text.clone()));
    }

    #[test]
    fn json_stays_json_and_is_a_fixed_point(a in fragments(), b in fragments(), key in fragments()) {
        let scrubber = Scrubber::new(Vec::new());
        let document = json!({"password": a, key: [b, {"name": "API_TOKEN", "value": a}], "n": 1});
        let text = document.to_string();
        let fields = document.as_object().map_or(0, serde_json::Map::len);
        let (once, _) = scrubber.json(document);
        prop_assert_eq!(once.as_object().map_or(0, serde_json::Map::len), fields);
        let (twice, counts) = scrubber.json((*once).clone());
        prop_assert_eq!(&*once, &*twice);
        prop_assert!(counts.is_empty());
        let line = scrubber.line(&text);
        prop_assert!(serde_json::from_str::<Value>(&line).is_ok(), "{} became {}", text, *line);
    }

    #[test]
    fn a_token_is_found_wherever_it_stands(before in fragments(), seed in 1u64.., after in fragments()) {
        let token = Rng(seed).draw("ghp_{a36}");
        let text = format!("{before} {token} {after}");
        let (clean, _) = Scrubber::new(Vec::new()).text(&text);
        prop_assert!(!clean.contains(&token));
    }
}
