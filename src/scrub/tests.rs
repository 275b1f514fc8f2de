//! The room as a whole: every rule's examples in every surrounding, keys and their look-alikes,
//! documents, keys in armour, properties. Values are drawn at test time.

use super::shape::{Part, Shape, in_class};
use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::json;

/// xorshift64*, so that a failing value can be drawn again from its seed.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 33) as usize % bound
    }

    fn class(&mut self, class: u8, len: usize) -> String {
        let members: Vec<u8> = (0..=127).filter(|byte| in_class(class, *byte) && *byte != b'=').collect();
        (0..len).map(|_| char::from(members[self.below(members.len())])).collect()
    }

    /// A value from a template in the language of shapes.
    fn draw(&mut self, template: &str) -> String {
        let mut value = String::new();
        for part in Shape::parse(template).parts() {
            match part {
                Part::Literal(literal) => value.push_str(std::str::from_utf8(literal).unwrap()),
                Part::Class { class, min, max } => {
                    let len = min + self.below((max - min).min(40) + 1);
                    value.push_str(&self.class(*class, len));
                }
            }
        }
        value
    }

    /// Letters and digits with at least one of each.
    fn password(&mut self) -> String {
        format!("{}{}{}", self.class(b'a', 7), self.class(b'd', 2), self.class(b'A', 0) + &self.class(b'l', 5))
    }
}

fn scrub(text: &str) -> String {
    let (clean, counts) = Scrubber::new(Vec::new()).text(text);
    let clean = clean.into_inner();
    assert_eq!(counts.is_empty(), clean == text, "counted {counts:?} in {text:?}");
    let (again, _) = Scrubber::new(Vec::new()).text(&clean);
    assert_eq!(*again, clean, "a second time differs, from {text:?}");
    clean
}

fn jwt(rng: &mut Rng) -> String {
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    let payload = URL_SAFE_NO_PAD.encode(format!(r#"{{"sub":"{}"}}"#, rng.class(b'd', 9)));
    format!("{header}.{payload}.{}", rng.class(b'w', 42) + "A")
}

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

/// Surroundings whose key gives the value away; `@` stands for it.
const KEYED: &[&str] = &[
    "password=@",
    "password = @",
    "export DB_PASSWORD=@",
    "DB_PASSWORD=\"@\"",
    "db.password: @",
    "  password: '@'",
    "{\"password\":\"@\"}",
    "{\\\"password\\\":\\\"@\\\"}",
    "{\"clientSecret\": \"@\"}",
    "api_key=@&page=2",
    "https://h.example/x?api_key=@",
    "https://h.example/x?page=1&access_token=@#top",
    "X-Api-Key: @",
    "x-auth-token: @",
    "Authorization: Bearer @",
    "Authorization: Token @",
    "authorization: Bearer @ HTTP/1.1 200",
    "curl -H 'Authorization: Bearer @' https://h.example",
    "Bearer @",
    "mysql --password @ -h db",
    "tool --api-key=@ run",
    "[\"--password\", \"@\"]",
    "curl -u admin:@ https://h.example",
    "curl -s \\\n  --user 'admin:@' https://h.example",
    "<password>@</password>",
    "<ns:Password>@</ns:Password>",
    "<add key=\"DbPassword\" value=\"@\"/>",
    "<key>password</key>\n  <string>@</string>",
    "postgres://app:@@db.example:5432/app",
    "amqps://app:@@mq.example/%2f",
    "https://x:@@git.example/r.git",
    "jdbc:mysql://db/app?user=app&password=@&useSSL=true",
    "Server=tcp:db,1433;User ID=sa;Password=@;Encrypt=True",
    "Driver={ODBC};Uid=sa;Pwd=@;",
    "DefaultEndpointsProtocol=https;SharedAccessKey=@",
    "ALTER USER app WITH PASSWORD '@';",
    "CREATE USER 'app'@'%' IDENTIFIED BY '@';",
    "machine git.example login app password @",
    "machine git.example\n  login app\n  password @",
    "//registry.example/:_authToken=@",
    "db.example:5432:app:app:@",
    "- name: DB_PASSWORD\n  value: @",
    "- name: DB_PASSWORD\n  value: \"@\"",
    "Cookie: theme=dark; session=@",
    "Set-Cookie: sid=@; Path=/; HttpOnly",
    "aws_secret_access_key = @",
    "-password: @",
    "+password: @",
    "2026-01-02T03:04:05Z INFO connecting user=app password=@ host=db",
    "level=info msg=\"login\" token=@",
    "password\u{1b}[0m=\u{1b}[33m@",
    "\\npassword=@\\n",
    "password := \"@\"",
    "'password' => '@',",
    "$env:API_TOKEN = \"@\"",
    "set SECRET_KEY=@",
    "ENV API_TOKEN=@",
    "client_secret\\u003d@",
    "%22password%22%3A%22@%22",
    "unseal_key: @",
    "Unseal Key 1: @",
    "sshpass -p '@' ssh h",
    "sshpass -p @ ssh h",
    "mysql -h db -u root -p@ app",
    "requirepass @",
    "psk=@",
    "password: 'it''s @'",
    "password: str = \"@\"",
    "$password = '@';",
    "define('DB_PASSWORD', '@');",
    "setenv(\"DB_PASSWORD\", \"@\", 1)",
    "Password: @",
    "docker run -e DB_PASSWORD=@ app",
    "helm install x --set db.password=@,db.user=app",
    "SECRET_KEY_BASE=@",
];

#[test]
fn a_sensitive_key_gives_its_value_away() {
    let mut rng = Rng(0x5eed_0005);
    let mut missed = Vec::new();
    for surrounding in KEYED {
        let (before, after) = surrounding.rsplit_once("@@").map_or_else(
            || surrounding.rsplit_once('@').map(|(before, after)| (before.to_owned(), after.to_owned())).unwrap(),
            |(before, after)| (before.to_owned(), format!("@{after}")),
        );
        for _ in 0..20 {
            let value = rng.password();
            let text = format!("{before}{value}{after}");
            let clean = scrub(&text);
            if clean.contains(&value) || !clean.ends_with(&after) && !after.contains(';') {
                missed.push(format!("{text:?} gave {clean:?}"));
                break;
            }
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn hashes_signatures_and_seeds_are_found() {
    let mut rng = Rng(0x5eed_0011);
    for _ in 0..20 {
        for (template, kind) in [
            ("$6${a16}${a86}", "crypt_hash"),
            ("$2b$12${a53}", "crypt_hash"),
            ("$argon2id$v=19$m=65536,t=3,p=4${a22}${a43}", "crypt_hash"),
            ("$y$j9T${a22}${a43}", "crypt_hash"),
        ] {
            let hash = rng.draw(template);
            assert_eq!(scrub(&format!("root:{hash}:19000:0:99999")), format!("root:[REDACTED:{kind}]:19000:0:99999"));
        }
        let signature = rng.class(b'h', 64);
        let url = format!("https://b.s3.example/k?X-Amz-Expires=60&X-Amz-Signature={signature}");
        assert!(!scrub(&url).contains(&signature));
        let signature = rng.class(b'a', 40);
        let url = format!("https://a.blob.example/c?sv=2022-11-02&sig={signature}%3D&se=2026");
        assert!(!scrub(&url).contains(&signature), "{}", scrub(&url));
        let header = format!(
            "Authorization: AWS4-HMAC-SHA256 Credential=AKIA{}/20260102/eu-west-1/s3/aws4_request, Signature={}",
            rng.class(b'5', 16),
            rng.class(b'h', 64)
        );
        let clean = scrub(&header);
        assert!(
            clean.starts_with("Authorization: AWS4-HMAC-SHA256 ") && !clean.contains("AKIA") && clean.ends_with("Signature=[REDACTED:signature]"),
            "{clean}"
        );
        let words: Vec<String> = (0..12)
            .map(|_| {
                let len = 4 + rng.below(4);
                rng.class(b'L', len)
            })
            .collect();
        assert_eq!(scrub(&format!("mnemonic: {}", words.join(" "))), "mnemonic: [REDACTED:mnemonic]");
    }
}

/// What looks like a secret and is none.
fn look_alikes(rng: &mut Rng) -> Vec<String> {
    let sha = rng.class(b'h', 40);
    let digest = rng.class(b'h', 64);
    let uuid = rng.draw("{h8}-{h4}-{h4}-{h4}-{h12}");
    let integrity = STANDARD.encode(rng.class(b'a', 48));
    let mut texts: Vec<String> = [
        "nextPageToken=CAUQAA12345abc",
        "{\"nextPageToken\":\"CiAKGjBpNDd2Nmp2Zml2cXRwYjBpOXA\"}",
        "max_tokens: 4096",
        "{\"token_type\":\"bearer\",\"expires_in\":3600}",
        "token_type=bearer",
        "secretName: db-credentials",
        "secretKeyRef:\n  name: db\n  key: password",
        "kms_key_id=alias/production",
        "password: null",
        "password: true",
        "password: changeme",
        "password: ${DB_PASSWORD}",
        "password=$DB_PASSWORD",
        "password: {{ .Values.db.password }}",
        "password=<password>",
        "token: <token>",
        "password: ********",
        "password=xxxxxxxx",
        "Authorization: Bearer <token>",
        "Authorization: Bearer $TOKEN",
        "Authorization: Bearer ${TOKEN}",
        "let token = parse(input)?;",
        "fn login(user: &str, password: &str) -> Result<Token, Error> {",
        "fn key(self) -> Key { self.key }",
        "    password: String,",
        "    api_key: Option<SecretString>,",
        "    let secret = config.secret.clone();",
        "const token = await getToken();",
        "this.password = password;",
        "password = os.environ[\"DB_PASSWORD\"]",
        "def login(user, password=None, token=None):",
        "if token == expected {",
        "error: unexpected token: expected identifier, found `}`",
        "return Err(\"invalid password: must be at least 8 characters\".into())",
        "input('Password: ')",
        "token: Token::Ident,",
        "primary_key=true foreign_key: user_id",
        "public_key: ssh-ed25519",
        "password_policy: strict",
        "auth: enabled",
        "credentials: include",
        "https://h.example:8443/path@v2?x=1",
        "http://localhost:8080/",
        "git@github.example:org/repo.git",
        "user@example.org",
        "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db-AbCdEf",
        "secret_arn=arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db",
        "password: vault:secret/data/db#password",
        "token: op://vault/item/field",
        "password_file: /run/secrets/db_password",
        "password=/run/secrets/db_password",
        "pod/checkout-7d9f8b6c5d-x2x4z restarted",
        "node_modules/@scope/package-name/dist/index.min.js",
        "2026-01-02T03:04:05.678Z INFO request completed in 12ms",
        "com.example.application.security.TokenAuthenticationFilter",
        "the_quick_brown_fox_jumps_over_the_lazy_dog",
        "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----",
        "const BEGIN: &str = \"-----BEGIN PRIVATE KEY-----\";\nconst END: &str = \"-----END PRIVATE KEY-----\";",
        "Bearer authentication is required",
        "WWW-Authenticate: Bearer realm=\"api\", error=\"invalid_token\"",
        "sk-learn-contrib sk_buff key-value-store",
        "{\"kind\":\"Secret\",\"metadata\":{\"name\":\"db\"}}",
        "AKIA is a prefix, ghp_ too",
        "PWD=/home/app OLDPWD=/srv",
        "client_id=0oa1b2c3d4",
        "keyboard: us passenger: 12 monkey=banana",
        "session_id: null",
        "encryption_key: ENC[AES256_GCM,data:abc123,iv:def456]",
        "password: (sensitive value)",
        "token = \"your-token-here\"",
        "[REDACTED:password] token=[REDACTED:token]",
        "[\"password=\", \"password=\\\"\", \"key=\"]",
        "mysql -h db -p app",
        "mysqldump --help",
        "password: str = \"\"",
        "if ($password == 'x') { return $token; }",
        "echo \"$PASSWORD\" | cmd",
        "map.get(\"password\", \"default\")",
        "perldoc -u Some::Module",
        "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQ user@host",
    ]
    .map(str::to_owned)
    .to_vec();
    texts.extend([
        format!("commit {sha}\nAuthor: A <a@example.org>\n"),
        format!("index {}..{} 100644", &sha[..7], &sha[7..14]),
        format!("image: registry.example/app@sha256:{digest}"),
        format!("checksum = \"{digest}\""),
        format!("checksum/secret: {digest}"),
        format!("\"integrity\": \"sha512-{integrity}\""),
        format!("request {uuid} done"),
        format!("kms_key_id: {uuid}"),
        format!("session={uuid}"),
        format!("etag: \"{}\"", rng.class(b'h', 32)),
        format!("trace_id={} span_id={}", rng.class(b'h', 32), rng.class(b'h', 16)),
        format!("data: {}", STANDARD.encode("The quick brown fox jumps over the lazy dog, and then some more.")),
        format!("hex: {}", rng.class(b'h', 128)),
        format!("blob {}", STANDARD.encode(rng.class(b'w', 90))),
        format!("sg-{} vpc-{} i-{}", rng.class(b'h', 17), rng.class(b'h', 17), rng.class(b'h', 17)),
        format!("pkg:cargo/{}@1.2.3 {}", rng.class(b'l', 10), rng.class(b'd', 19)),
    ]);
    texts
}

#[test]
fn look_alikes_stay_byte_for_byte() {
    let mut rng = Rng(0x5eed_0006);
    let mut touched = Vec::new();
    for _ in 0..20 {
        for text in look_alikes(&mut rng) {
            let clean = scrub(&text);
            if clean != text {
                touched.push(format!("{text:?} became {clean:?}"));
            }
        }
        if !touched.is_empty() {
            break;
        }
    }
    assert!(touched.is_empty(), "{}", touched.join("\n"));
}

#[test]
fn look_alikes_stay_as_json_leaves() {
    let mut rng = Rng(0x5eed_0016);
    for text in look_alikes(&mut rng) {
        let document = json!({"message": text, "lines": [text]});
        let (clean, counts) = Scrubber::new(Vec::new()).json(document.clone());
        assert_eq!(*clean, document, "{counts:?}");
    }
}

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

#[test]
fn documents_keep_their_shape() {
    let mut rng = Rng(0x5eed_0009);
    let (a, b, c, d, e, f) = (rng.password(), rng.password(), rng.draw("ghp_{a36}"), rng.password(), rng.password(), rng.password());
    let document = json!({
        "user": "app",
        "password": a,
        "count": 3,
        "nested": {"list": [{"name": "DB_PASSWORD", "value": b}, {"name": "REGION", "value": "eu-west-1"}, null, true]},
        "text": format!("see {c}."),
        "inner": format!("{{\"clientSecret\":\"{d}\",\"n\":1}}"),
        "headers": {"Authorization": format!("Bearer {e}"), "Accept": "*/*"},
        "auths": {"registry.example": {"auth": STANDARD.encode(format!("app:{f}"))}},
        "secret": {"name": "db"},
        "token_type": "bearer",
    });
    let (clean, counts) = Scrubber::new(Vec::new()).json(document);
    assert_eq!(
        *clean,
        json!({
            "user": "app",
            "password": "[REDACTED:password]",
            "count": 3,
            "nested": {"list": [{"name": "DB_PASSWORD", "value": "[REDACTED:password]"}, {"name": "REGION", "value": "eu-west-1"}, null, true]},
            "text": "see [REDACTED:github_token].",
            "inner": "{\"clientSecret\":\"[REDACTED:client_secret]\",\"n\":1}",
            "headers": {"Authorization": "Bearer [REDACTED:authorization]", "Accept": "*/*"},
            "auths": {"registry.example": {"auth": "[REDACTED:docker_auth]"}},
            "secret": {"name": "db"},
            "token_type": "bearer",
        })
    );
    assert_eq!(counts.total(), 6);
}

#[test]
fn kubernetes_secrets_lose_all_values() {
    let mut rng = Rng(0x5eed_000a);
    let value = STANDARD.encode(rng.class(b'a', 9));
    let document = json!({"kind": "Secret", "metadata": {"name": "db"}, "data": {"host": value, "empty": ""}});
    let (clean, _) = Scrubber::new(Vec::new()).json(document.clone());
    assert_eq!(*clean, json!({"kind": "Secret", "metadata": {"name": "db"}, "data": {"host": "[REDACTED:kubernetes_secret]", "empty": ""}}));
    let applied = json!({"annotations": {"last-applied-configuration": document.to_string()}});
    let (clean, _) = Scrubber::new(Vec::new()).json(applied);
    assert!(!clean.to_string().contains(&value), "{clean:?}");

    let yaml = format!(
        "kind: ConfigMap\ndata:\n  host: db\n---\napiVersion: v1\ndata:\n  host: {value}\n  other: |\n    {value}\nkind: Secret\nmetadata:\n  name: db\n---\nkind: ConfigMap\ndata:\n  host: db\n"
    );
    assert_eq!(scrub(&yaml), yaml.replace(&value, "[REDACTED:kubernetes_secret]"));
}

#[test]
fn keys_of_documents_are_scanned_and_stay_apart() {
    let mut rng = Rng(0x5eed_000b);
    let (a, b) = (rng.draw("ghp_{a36}"), rng.draw("ghp_{a36}"));
    let (clean, counts) = Scrubber::new(Vec::new()).json(json!({a: 1, b: 2}));
    assert_eq!(clean.as_object().unwrap().len(), 2);
    assert_eq!(counts.total(), 2);
    assert!(clean.as_object().unwrap().keys().all(|key| key.starts_with("[REDACTED:github_token]")));
}

#[test]
fn a_line_of_json_stays_json_with_its_order() {
    let mut rng = Rng(0x5eed_000c);
    let scrubber = Scrubber::new(Vec::new());
    let (a, b) = (rng.password(), rng.draw("xoxb-{d12}-{d13}-{a24}"));
    let line = format!("{{\"z\": \"{b}\", \"a\": {{\"password\": \"{a}\"}}, \"token\": 123456789}}");
    assert_eq!(
        *scrubber.line(&line),
        "{\"z\": \"[REDACTED:slack_bot_token]\", \"a\": {\"password\": \"[REDACTED:password]\"}, \"token\": 123456789}"
    );
    // An escaped prefix is seen only by reading the document.
    let escaped = format!("{{\"x\": \"\\u0067hp_{}\"}}", rng.class(b'a', 36));
    assert_eq!(*scrubber.line(&escaped), "{\"x\":\"[REDACTED:github_token]\"}");
    let twice = format!("{{\"a\":\"{b}\",\"a\":\"x\"}}");
    assert!(!scrubber.line(&twice).contains(&b));
    let cut = format!("{{\"a\":\"{b}\",\"b\":");
    assert!(!scrubber.line(&cut).contains(&b));
}

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
    ];
    for piece in pieces {
        let text = piece.repeat(length / piece.len());
        let (clean, _) = Scrubber::new(Vec::new()).text(&text);
        assert!(clean.len() <= text.len() * 3, "{piece}");
    }
}

#[test]
fn clean_is_made_only_by_scrubbing() {
    const NOTICE: Clean<&str> = Clean::<&'static str>::fixed("fixed");
    let (scrubbed, _) = Scrubber::new(Vec::new()).text("a");
    let joined = Clean::<String>::builder().clean(&NOTICE).fixed(" and ").clean(&scrubbed).number(7u8).finish();
    assert_eq!(*joined, "fixed and a7");
    assert_eq!(serde_json::to_string(&joined).unwrap(), "\"fixed and a7\"");
    assert_eq!(format!("{joined} {joined:?}"), "fixed and a7 \"fixed and a7\"");
}

#[test]
fn counts_add_up() {
    let mut rng = Rng(0x5eed_0010);
    let scrubber = Scrubber::new(Vec::new());
    let (_, mut counts) = scrubber.text(&format!("{} {}", rng.draw("ghp_{a36}"), rng.draw("ghp_{a36}")));
    let (_, more) = scrubber.text(&format!("password={}", rng.password()));
    counts.merge(&more);
    assert_eq!(serde_json::to_value(&counts).unwrap(), json!({"github_token": 2, "password": 1}));
    assert_eq!(counts.total(), 3);
    assert!(counts.iter().all(|(kind, _)| kinds().any(|known| known == kind)));
}

/// Text of the pieces that detectors look for, so that properties meet them.
fn fragments() -> impl Strategy<Value = String> {
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
