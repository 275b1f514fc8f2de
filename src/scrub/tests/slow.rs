//! Text made to be slow.

use crate::scrub::Scrubber;

#[test]
fn text_made_to_be_slow_is_read_in_time() {
    // A quadratic reading of these would not end in the time of a test run.
    let length = 1 << 18;
    let pieces = [
        "=",
        "{",
        "[",
        "a",
        "ghp_",
        "eyJ-",
        "eyJ",
        "password=",
        "password:",
        "password=\"",
        "key=",
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\\n",
        "://",
        "://a:",
        "://a@",
        "Cookie:",
        "kind: Secret\n",
        "aaaaaaaaaaaaaaaa/",
        "<password>",
        "<password ",
        "Authorization: ",
        "$2b$",
        "\\",
        "\\\\n",
        "\"token\":",
        "--token ",
        "[REDACTED:",
        "name: PASSWORD\n",
        "s.",
        "sk-",
        "Bearer ",
        "pass",
        "PRIVATE KEY-----",
        "-----END PRIVATE KEY-----",
        "-----END PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nx\n",
        "\\u0067hp_",
        "%67",
        "&#103;",
        "&quot;",
        "Xghp_",
        "xAKIA",
        "password:\n ",
        "password: |\n ",
        "passwords:\n- ",
        "passwords: [",
        "value: x name: password ",
        "value: a\nname: key\n",
        "| password ",
        "variable \"password\" {",
        "password=\\\n",
        "password: !!str ",
        "password = \"\"\"",
        "<password>\n",
        "<password><![CDATA[",
        "redis-cli -a ",
        "setPassword(\"",
        "12:password:\n",
    ];
    for piece in pieces {
        let text = piece.repeat(length / piece.len());
        let (clean, _) = Scrubber::new(Vec::new()).text(&text);
        assert!(clean.len() <= text.len() * 3, "{piece}");
    }
}

#[test]
fn blocks_made_to_be_slow_are_read_in_time() {
    let line = format!("{}{}\n", "Ab3+".repeat(15), "Xy0/");
    for text in [
        line.repeat(1 << 12),
        format!("{line}-----END PRIVATE KEY-----\n").repeat(1 << 11),
        format!("-----BEGIN PRIVATE KEY-----\n{line}").repeat(1 << 11),
        format!("-----BEGIN PRIVATE KEY-----\n{}", format!("{line}x y z\n").repeat(1 << 11)),
        format!("{}\n", "Ab3+".repeat(1 << 15)).repeat(2),
    ] {
        let (clean, _) = Scrubber::new(Vec::new()).text(&text);
        assert!(clean.len() <= text.len() * 3);
    }
}
