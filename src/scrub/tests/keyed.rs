//! Values that their key gives away.

use super::draw::Rng;
use super::scrub;

/// Surroundings whose key gives the value away; `@` stands for it.
pub(super) const KEYED: &[&str] = &[
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
