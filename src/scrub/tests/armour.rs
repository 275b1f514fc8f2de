//! Private keys in text armour, however they come.

use super::draw::Rng;
use super::scrub;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

fn pem(rng: &mut Rng, label: &str) -> (Vec<String>, String) {
    let mut body: Vec<String> = (0..8).map(|_| rng.class(b'a', 64)).collect();
    body.push(rng.class(b'a', 22) + "==");
    let mut lines = vec![format!("-----BEGIN {label}-----")];
    lines.extend(body.iter().cloned());
    lines.push(format!("-----END {label}-----"));
    (body, lines.join("\n"))
}

#[test]
fn private_keys_are_found_however_they_come() {
    let mut rng = Rng(0x5eed_0007);
    let labels = ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "PGP PRIVATE KEY BLOCK"];
    for label in labels {
        let forms: [fn(&str) -> String; 12] = [
            str::to_owned,
            |key| key.replace('\n', "\\n"),
            |key| key.replace('\n', "\\\\n"),
            |key| key.replace('\n', "\r\n"),
            |key| key.replace('\n', " "),
            |key| key.lines().map(|line| format!("    {line}\n")).collect(),
            |key| key.lines().map(|line| format!("+{line}\n")).collect(),
            |key| key.lines().map(|line| format!("-{line}\n")).collect(),
            |key| key.lines().map(|line| format!("2026-01-02 03:04:05 INFO {line}\n")).collect(),
            |key| key.lines().map(|line| format!("\"{line}\\n\" +\n")).collect(),
            |key| key.split_at(key.len() / 2).0.to_owned(),
            |key| format!("{{\"private_key\": \"{}\"}}", key.replace('\n', "\\n")),
        ];
        for (number, form) in forms.iter().enumerate() {
            let (body, key) = pem(&mut rng, label);
            let text = format!("before\n{}\nafter", form(&key));
            let clean = scrub(&text);
            for line in &body {
                assert!(!clean.contains(&line[..line.len().min(20)]), "form {number} of {label}: {clean}");
            }
            assert!(clean.starts_with("before") && clean.ends_with("after"), "form {number} of {label}: {clean}");
        }
    }
}

#[test]
fn putty_keys_are_found() {
    let mut rng = Rng(0x5eed_0008);
    let lines: Vec<_> = (0..3).map(|_| rng.class(b'a', 64)).collect();
    let text = format!(
        "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nPrivate-Lines: 3\n{}\nPrivate-MAC: {}\n",
        lines.join("\n"),
        rng.class(b'h', 64)
    );
    let clean = scrub(&text);
    assert!(lines.iter().all(|line| !clean.contains(line)), "{clean}");
}

/// What is done to a whole key.
type Form = fn(&str) -> String;

#[test]
fn broken_keys_are_found() {
    let mut rng = Rng(0x5eed_0023);
    let forms: &[(&str, Form)] = &[
        ("comments between", |key| key.lines().map(|line| format!("{line}\n# a note: see the page\n")).collect()),
        ("comments between, cut off", |key| key.lines().take(7).map(|line| format!("{line}\nlevel=info msg=\"step done\"\n")).collect()),
        ("without END", |key| key.lines().take(9).collect::<Vec<_>>().join("\n")),
        ("without END, a blank line inside", |key| key.lines().take(9).collect::<Vec<_>>().join("\n\n")),
        ("header cut off", |key| key["-----BEGIN ".len()..].to_owned()),
        ("header cut off in a word", |key| key["-----BEGIN PRIV".len()..].to_owned()),
        ("header gone", |key| key.lines().skip(1).collect::<Vec<_>>().join("\n")),
    ];
    for (name, form) in forms {
        for _ in 0..5 {
            let (body, key) = pem(&mut rng, "PRIVATE KEY");
            let text = format!("before\n{}\nafter", form(&key));
            let clean = scrub(&text);
            for line in &body {
                assert!(!clean.contains(&line[..line.len().min(20)]), "{name}: {text}\n gave {clean}");
            }
            assert!(clean.starts_with("before") && clean.ends_with("after"), "{name}: {clean}");
        }
    }
    let (_, key) = pem(&mut rng, "PRIVATE KEY");
    let more: Vec<_> = (0..4).map(|_| rng.class(b'a', 64)).collect();
    let clean = scrub(&format!("{key}\n{}\nafter", more.join("\n")));
    assert!(more.iter().all(|line| !clean.contains(line)) && clean.ends_with("after"), "{clean}");
}

#[test]
fn keys_in_wrapped_base64_go_whole() {
    let mut rng = Rng(0x5eed_0024);
    for (width, indent) in [(76, ""), (64, "    "), (60, "  ")] {
        let (_, key) = pem(&mut rng, "RSA PRIVATE KEY");
        let encoded = STANDARD.encode(&key);
        let lines: Vec<_> = encoded.as_bytes().chunks(width).map(|line| format!("{indent}{}", String::from_utf8_lossy(line))).collect();
        let clean = scrub(&format!("data:\n{}\nafter", lines.join("\n")));
        assert!(lines.iter().all(|line| !clean.contains(line.trim())) && clean.ends_with("after"), "{clean}");
    }
}

#[test]
fn public_blocks_stay() {
    let mut rng = Rng(0x5eed_0025);
    let lines: Vec<_> = (0..6).map(|_| rng.class(b'a', 64)).collect();
    let block = lines.join("\n");
    for text in [
        format!("-----BEGIN CERTIFICATE-----\n{block}\n-----END CERTIFICATE-----\n"),
        format!("-----BEGIN PUBLIC KEY-----\n{block}\n-----END PUBLIC KEY-----\n"),
        format!("if line.starts_with(\"-----BEGIN PRIVATE KEY-----\") {{\n    parse(line);\n}}\n{block}\n"),
        format!("PRIVATE KEY----- is how it goes on\n\nand then\n{block}\n"),
        format!("payload\n{block}\n"),
        format!("expected -----END PRIVATE KEY-----\n{block}\n"),
    ] {
        assert_eq!(scrub(&text), text);
    }
}
