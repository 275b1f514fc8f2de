//! Every rule of the table, by its own examples.

use super::draw::{Rng, jwt};
use super::scrub;
use crate::scrub::shape::{Part, Shape};
use crate::scrub::{kinds, rules};

#[test]
fn the_table_is_well_formed() {
    assert!(rules::all().count() >= 80);
    assert!(kinds().count() >= 150, "{}", kinds().count());
    for rule in rules::all() {
        assert!(!rule.shape.is_empty() && !rule.no.is_empty(), "{}", rule.kind);
        let parts = Shape::parse(rule.shape);
        let braces = parts.parts().iter().any(|part| matches!(part, Part::Literal(text) if text.contains(&b'{')));
        assert!(!braces, "a class of {} does not parse", rule.kind);
        assert!(rule.kind.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{}", rule.kind);
    }
}

#[test]
fn every_rule_finds_its_examples_and_names_them() {
    let mut rng = Rng(0x5eed_0001);
    for rule in rules::all() {
        for template in rule.yes {
            for _ in 0..20 {
                let value = rng.draw(template);
                assert_eq!(scrub(&value), format!("[REDACTED:{}]", rule.kind), "{template} of {}: {value}", rule.kind);
            }
        }
    }
}

#[test]
fn every_rule_finds_its_examples_in_every_surrounding() {
    const SURROUNDINGS: &[(&str, &str)] = &[
        ("found ", " in the log"),
        ("\"", "\""),
        ("x = '", "';"),
        ("{\"text\":\"line\\n", "\\nnext\"}"),
        ("https://h.example/", "/path"),
        ("a,", ",b"),
        ("(", ")"),
        ("line\n", "\nline"),
        ("\u{1b}[1;31m", "\u{1b}[0m"),
        ("\\u001b[31m", "\\u001b[0m"),
        ("q=%0A", "&r=1"),
        ("é", "é"),
        ("see ", "."),
        ("+", "\n"),
        ("<b>", "</b>"),
    ];
    let mut rng = Rng(0x5eed_0002);
    for rule in rules::all() {
        for template in rule.yes {
            for (before, after) in SURROUNDINGS {
                let value = rng.draw(template);
                let text = format!("{before}{value}{after}");
                let clean = scrub(&text);
                assert!(!clean.contains(&value), "{} in {text:?} gave {clean:?}", rule.kind);
                assert!(clean.starts_with(before) || before.contains('='), "{} in {text:?} gave {clean:?}", rule.kind);
            }
        }
    }
}

#[test]
fn every_rule_leaves_its_look_alikes() {
    let mut rng = Rng(0x5eed_0003);
    for rule in rules::all() {
        for template in rule.no {
            for _ in 0..20 {
                let value = rng.draw(template);
                assert_eq!(scrub(&value), value, "{template} of {}", rule.kind);
                let text = format!("deployed {value} to staging\n");
                assert_eq!(scrub(&text), text, "{template} of {}", rule.kind);
            }
        }
    }
}

#[test]
fn tokens_with_a_header_are_found_and_dotted_names_are_not() {
    let mut rng = Rng(0x5eed_0004);
    for _ in 0..50 {
        assert_eq!(scrub(&format!("got {} today", jwt(&mut rng))), "got [REDACTED:jwt] today");
        let name = format!("eyJ{}.{}.{}", rng.class(b'a', 20), rng.class(b'a', 20), rng.class(b'a', 20));
        assert_eq!(scrub(&name), name);
    }
}

#[test]
fn a_distinctive_prefix_is_found_behind_letters() {
    let mut rng = Rng(0x5eed_0021);
    for (template, kind) in [
        ("ghp_{a36}", "github_token"),
        ("glpat-{a20}", "gitlab_personal_token"),
        ("npm_{a36}", "npm_token"),
        ("sk_live_{a24}", "stripe_secret_key"),
        ("AKIA{516}", "aws_access_key_id"),
        ("xoxb-{d12}-{d13}-{a24}", "slack_bot_token"),
        ("opsgate_{a43}", "opsgate_key"),
    ] {
        for before in ["X", "no", "v1", "café", "TOKENx"] {
            let value = format!("{}1aB", rng.draw(template));
            let value = &value[..value.len() - 3];
            if value.bytes().filter(u8::is_ascii_digit).count() < 3 {
                continue;
            }
            assert_eq!(scrub(&format!("see: {before}{value} end")), format!("see: {before}[REDACTED:{kind}] end"), "{value}");
        }
    }
    for template in ["cachekey-{h32}", "Xghp_{a12}", "myghp_{L8}_{L8}", "brnd_{l32}"] {
        let text = rng.draw(template);
        assert_eq!(scrub(&text), text);
    }
}

#[test]
fn an_escaped_character_hides_no_token() {
    let mut rng = Rng(0x5eed_0022);
    for _ in 0..20 {
        let body = rng.class(b'a', 36);
        for escaped in ["\\u0067hp_", "\\u{67}hp_", "\\x67hp_", "%67hp_", "&#103;hp_", "&#x67;hp_", "g\\u0068p_", "gh%70_", "ghp%5F", "ghp&#95;"] {
            let text = format!("see: {escaped}{body} end");
            assert_eq!(scrub(&text), "see: [REDACTED:github_token] end", "{text}");
        }
        let (front, back) = body.split_at(9);
        let text = format!("x ghp_{front}\\u0041{} y", &back[1..]);
        assert_eq!(scrub(&text), "x [REDACTED:github_token] y", "{text}");
        let value = rng.password();
        for text in [
            format!("{{\"pass\\u0077ord\":\"{value}\"}}"),
            format!("password=&quot;{value}&quot;"),
            format!("&lt;password&gt;{value}&lt;/password&gt;"),
            format!("pass%77ord={value}"),
        ] {
            assert!(!scrub(&text).contains(&value), "{text} gave {}", scrub(&text));
        }
    }
    for text in ["caf\\u0065 \\u0041bc", "100%20off%41", "a &amp; b &#65;&#66;", "printf(\"%5d %10s\\n\")", "&quot;password&quot;: &quot;&quot;"] {
        assert_eq!(scrub(text), text);
    }
}
