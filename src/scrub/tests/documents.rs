//! Documents are walked with their keys and keep their shape.

use super::draw::Rng;
use super::scrub;
use crate::scrub::Scrubber;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

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
    let escaped = format!("{{\"x\": \"\\u0067hp_{}\"}}", rng.class(b'a', 36));
    assert_eq!(*scrubber.line(&escaped), "{\"x\": \"[REDACTED:github_token]\"}");
    let twice = format!("{{\"a\":\"{b}\",\"a\":\"x\"}}");
    assert!(!scrubber.line(&twice).contains(&b));
    let cut = format!("{{\"a\":\"{b}\",\"b\":");
    assert!(!scrubber.line(&cut).contains(&b));
}
