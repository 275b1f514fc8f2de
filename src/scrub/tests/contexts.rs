//! Values that their key gives away, in other languages and over several lines.

use super::draw::Rng;
use super::keyed::KEYED;
use super::scrub;

/// Surroundings over several lines, of other languages, and of commands. `§` stands for the value.
const MORE: &[&str] = &[
    "var apiKey string = \"§\"",
    "const PASSWORD: &[u8] = b\"§\";",
    "- **Password:** §",
    "**Password**: `§`",
    "System.getProperty(\"password\", \"§\")",
    "conn.setPassword( \"§\" )",
    "x = env(\"DB_PASSWORD\", \"§\")",
    "password:\n  §",
    "password: |\n  §",
    "password: >-\n  §",
    "password: |-\n  §",
    "db:\n  password: |\n    §\n  user: app",
    "passwords:\n- §",
    "passwords:\n  - §\n  - other",
    "{\"passwords\":[\"§\"]}",
    "{\"passwords\": [\n  \"§\"\n]}",
    "- name: DB_PASSWORD\n  value: §",
    "- value: §\n  name: DB_PASSWORD",
    "{name: DB_PASSWORD, value: \"§\"}",
    "{name: DB_PASSWORD, value: §}",
    "{value: \"§\", name: DB_PASSWORD}",
    "{\"name\":\"DB_PASSWORD\",\"value\":\"§\"}",
    "{\"value\":\"§\",\"name\":\"DB_PASSWORD\"}",
    "{\n  \"name\": \"DB_PASSWORD\",\n  \"value\": \"§\"\n}",
    "{\n  \"value\": \"§\",\n  \"name\": \"DB_PASSWORD\"\n}",
    "password: &a §",
    "password: !!str §",
    "password: !!str \"§\"",
    "ENV DB_PASSWORD §",
    "setx DB_PASSWORD §",
    "setx DB_PASSWORD \"§\"",
    "set -x DB_PASSWORD §",
    "set -gx DB_PASSWORD §",
    "ALTER LOGIN app WITH PASSWORD = N'§'",
    "SET PASSWORD FOR app = PASSWORD('§')",
    "CREATE USER app IDENTIFIED BY \"§\"",
    "<password>\n  §\n</password>",
    "<password><![CDATA[§]]></password>",
    "<add value=\"§\" key=\"DbPassword\"/>",
    "<key>DbPassword</key>\n<string>§</string>",
    "#define DB_PASSWORD \"§\"",
    "char password[] = \"§\";",
    "char *password = \"§\";",
    "const API_KEY: &str = \"§\";",
    "pub static API_KEY: &'static str = \"§\";",
    "password = \"\"\"§\"\"\"",
    "password = \"\"\"\n§\n\"\"\"",
    "password = os.getenv(\"PASSWORD\", \"§\")",
    "os.environ.get('DB_PASSWORD', '§')",
    "const p = process.env.PASSWORD || \"§\";",
    "const p = process.env.PASSWORD ?? '§';",
    "user.setPassword(\"§\");",
    "builder.password(\"§\")",
    "variable \"db_password\" {\n  default = \"§\"\n}",
    "variable \"db_password\" {\n  type    = string\n  default = \"§\"\n}",
    "https://§@host.example/x",
    "git clone https://§@git.example/r.git",
    "redis-cli -a §",
    "redis-cli -h db -p 6379 -a § ping",
    "password ?= §",
    "DB_PASSWORD ?= §",
    "password += §",
    "| password | § |",
    "| DB password | `§` |",
    "password=&quot;§&quot;",
    "PASSWORD=\\\n  §",
];

/// What stands at the beginning of each line where a text is a difference or a finding of a search.
const COLUMNS: &[&str] = &["", "+", "-", " ", "12:", "12-", "src/app.conf:12:", "\t"];

#[test]
fn a_sensitive_key_gives_its_value_away_in_every_language() {
    let mut rng = Rng(0x5eed_0026);
    let mut missed = Vec::new();
    for surrounding in MORE {
        for column in COLUMNS {
            for round in 0..12 {
                let value = if round % 2 == 0 { rng.password() + &rng.password() } else { rng.class(b'a', 17) + "7" };
                let text: Vec<_> = surrounding.lines().map(|line| format!("{column}{line}")).collect();
                let text = format!("{}\nafter", text.join("\n").replace('§', &value));
                let clean = scrub(&text);
                if clean.contains(&value) || !clean.ends_with("after") {
                    missed.push(format!("{text:?} gave {clean:?}"));
                    break;
                }
            }
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn keys_of_tools_are_found_by_their_names() {
    let mut rng = Rng(0x5eed_0027);
    for _ in 0..20 {
        let bootstrap = rng.draw("{l6}.{l15}{d1}");
        for text in ["kubeadm join 10.0.0.1:6443 --token V --discovery", "token: V\n", "token=V", "bootstrapToken: V"] {
            let text = text.replace('V', &bootstrap);
            assert!(!scrub(&text).contains(&bootstrap), "{text}");
        }
        let wireguard = format!("{}=", rng.class(b'a', 43));
        for text in ["[Interface]\nPrivateKey = V\nAddress = 10.0.0.1/24\n", "PresharedKey=V\n"] {
            let text = text.replace('V', &wireguard);
            assert!(!scrub(&text).contains(&wireguard), "{text}");
        }
        let public = format!("[Peer]\nPublicKey = {wireguard}\n");
        assert_eq!(scrub(&public), public);
    }
}

#[test]
fn a_column_before_the_line_hides_no_value() {
    let mut rng = Rng(0x5eed_0029);
    let mut missed = Vec::new();
    for surrounding in KEYED {
        let (before, after) = surrounding.rsplit_once("@@").map_or_else(
            || surrounding.rsplit_once('@').map(|(before, after)| (before.to_owned(), after.to_owned())).unwrap(),
            |(before, after)| (before.to_owned(), format!("@{after}")),
        );
        for column in COLUMNS {
            let value = rng.password();
            let text: Vec<_> = format!("{before}{value}{after}").lines().map(|line| format!("{column}{line}")).collect();
            let text = text.join("\n");
            let clean = scrub(&text);
            if clean.contains(&value) {
                missed.push(format!("{text:?} gave {clean:?}"));
            }
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
