//! What looks like a secret and is none stays byte for byte.

use super::draw::Rng;
use super::scrub;
use crate::scrub::Scrubber;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

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
    texts.extend(TWINS.iter().map(|text| (*text).to_owned()));
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

/// False twins of the contexts in which a key gives its value away.
const TWINS: &[&str] = &[
    "- **Password:** the one of the user",
    "**token**: `string`",
    "var token string = \"\"",
    "var key string",
    "const TOKENS: &[&str] = &[\"if\", \"else\"];",
    "/** key */ *key = **token;",
    "password: |\n  ${DB_PASSWORD}\n",
    "password: >-\n  {{ .Values.password }}\nuser: app",
    "password: |\n  <password>\n",
    "password:\n  ${DB_PASSWORD}\n",
    "password:\n  description: the password of the user\n  type: string\n",
    "password:\n    The password to log in with.\n",
    "password:\n  required\n",
    "token:\n  from_secret: deploy\n",
    "+password:\n+  type: string\n",
    "12:password:\n13:  valueFrom:\n",
    "passwords:\n- name: db\n  key: app\n",
    "passwords:\n  - ${A}\n  - {{ b }}\n",
    "\"passwords\": [\"first\", \"second\"]",
    "{\"required\": [\"password\", \"token2fa\"]}",
    "passwords: []",
    "[features]\nauth = [\"dep:oauth2\", \"dep:http1\"]\nWin32_Security_Credentials = [\"Win32_Security\"]",
    "- name: DB_PASSWORD\n  valueFrom:\n    secretKeyRef:\n      name: db\n",
    "- name: DB_PASSWORD\n  value: $(OTHER)\n",
    "{\"name\": \"DB_PASSWORD\", \"value\": \"\"}",
    "{name: DB_PASSWORD, value: \"${X}\"}",
    "{\"value\": \"eu-west-1a\", \"name\": \"REGION\"}",
    "{\"value\": \"\", \"name\": \"DB_PASSWORD\"}",
    "- value: <none>\n  name: DB_PASSWORD\n",
    "password: &default ${DB_PASSWORD}",
    "password: *default",
    "password: !!str ${DB_PASSWORD}",
    "password: !Ref DbPassword",
    "fn f(password: &str, n: u32) {}",
    "password: &'a str,",
    "ENV DB_PASSWORD is read at the start",
    "ENV DB_PASSWORD ${DB_PASSWORD}",
    "set -x DB_PASSWORD $argv",
    "setx API_TOKEN %TOKEN%",
    "WITH PASSWORD = N'$(password)'",
    "identified by the \"name\" of the user",
    "identified by a <em class=\"manpage2go\">x</em>",
    "<password>\n  ${DB_PASSWORD}\n</password>",
    "<password><![CDATA[${DB_PASSWORD}]]></password>",
    "<add value=\"\" key=\"DbPassword\"/>",
    "<key>password</key>\n<string></string>",
    "#define PASSWORD \"password\"",
    "#define TOKEN_LENGTH 16",
    "#define API_KEY getenv(\"API_KEY\")",
    "char password[64];",
    "char password[64] = \"\";",
    "const API_KEY: &str = \"X-Api-Key\";",
    "const SECRET: &str = \"TRUNCATE\";",
    "password = \"\"\"\"\"\"",
    "\"\"\"password\"\"\"",
    "password = os.getenv(\"PASSWORD\", \"\")",
    "os.getenv(\"DB_PASSWORD\", None)",
    "os.environ.get(\"PASSWORD\", \"changeme\")",
    "process.env.PASSWORD || \"\"",
    "process.env.PASSWORD || config.password",
    "password ?? 'default'",
    "/// fn set_password(\"…\")",
    "fn set_password(password: &str)",
    "user.setPassword(\"\")",
    "setPassword(\"<password>\")",
    "get_password(\"db-prod1\")",
    "verify_password(\"argon2id\")",
    "variable \"db_password\" {\n  type      = string\n  sensitive = true\n}",
    "variable \"db_password\" {\n  default = \"\"\n}",
    "variable \"db_password\" {\n  default = null\n}",
    "https://user@host.example/",
    "https://my-team-name@bitbucket.example/r.git",
    "redis-cli -a $REDIS_PASSWORD ping",
    "redis-cli -h db ping",
    "password ?= ${DB_PASSWORD}",
    "password += char",
    "total_tokens += count",
    "| password | string |",
    "| password | the password of the user |",
    "| token | `string` | yes |",
    "|---|---|\n| `password` | required |",
    "password=&quot;&quot;",
    "password=&quot;${DB_PASSWORD}&quot;",
    "PASSWORD=\\\n  ${X}",
    "PASSWORD=\\\n",
    "if password:\n    login12(password)\n",
    "case token:\n  return token1\n",
    "match key {\n    Some(key) => key,\n}",
    "12:fn key(&self) -> &Key {",
    "src/a.rs:12:    let token = next();",
    "src/a.rs-13-    password: String,",
];
