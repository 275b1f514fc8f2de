//! Records as the log has them, decided again.

use serde_json::{Value, json};

use super::*;
use crate::policy::tests::{catalogue, policy};

const POLICY: &str = "version: 1\nwrite_mode: on\ndefaults: {read: allow}\ncallers: {\"local:*\": {roles: [developer]}}\n\
    systems: {workspace: {mode: approval_required_write}, github: {mode: mock}}\nrepositories: {\"acme/app\": {write: true}}\n\
    environments: {production: {match: {repos: [\"acme/app\"]}, hours: \"Mon-Fri 08:00-18:00 UTC\"}}\n\
    rules:\n  - {id: issues, allow: {tools: [github_create_issue]}, approvals: 0}\n  - {id: no-keys, deny: {paths: [\"**/*.pem\"]}}\n";

/// A write that was permitted on a Friday noon.
fn issue() -> Value {
    json!({ "caller": { "address": "local", "id": "local:uid=1", "roles": [] }, "change": ["reasoning"], "class": "write",
            "decided_at": "2026-11-20T12:00:00Z", "decision": "permit", "gen_ai.tool.name": "github_create_issue", "mode": "mock", "policy": policy(POLICY).hash(),
            "rules": ["issues"], "scopes": [{ "kind": "repo", "value": "acme/app" }], "system": "github", "trigger": "client" })
}

fn with(mut data: Value, changes: Value) -> Value {
    for (key, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => data.as_object_mut().unwrap().remove(key),
            value => data.as_object_mut().unwrap().insert(key.clone(), value.clone()),
        };
    }
    data
}

/// The report over these records: their type and what they say.
fn replayed(records: &[(&str, Value)], new: Option<&str>) -> ReplayReport {
    let archive = Archive::new(PathBuf::from("/nonexistent"), Some(Arc::new(policy(POLICY))));
    let under = new.map_or(Under::Recorded, |text| Under::New(Arc::new(policy(text)), Vec::new()));
    let mut replay = Replay { catalogue: &catalogue(), archive, under, home_key: None };
    let mut report = ReplayReport::default();
    for (kind, data) in records {
        let data = data.to_string();
        replay.record(&Record { seq: 1, ts: "", kind, request_id: Some([7; 16]), data: &data }, &mut report);
    }
    report.finish(&opsgate_audit::verify::Report::default(), None);
    report
}

#[test]
fn the_time_and_the_switches_of_the_record_count() {
    let refused =
        |code: &str, rule: &str| json!({ "decision": "deny", "denial": code, "code": "policy_denied", "rule": rule, "rules": null, "mode": null });
    for (data, agrees) in [
        (issue(), true),
        (with(issue(), json!({ "decided_at": "2026-11-22T12:00:00Z" })), false), // a Sunday
        (with(with(issue(), json!({ "decided_at": "2026-11-22T12:00:00Z" })), refused("outside_hours", "environments.production.hours")), true),
        (with(issue(), json!({ "write_mode_off": true })), false),
        (with(with(issue(), json!({ "write_mode_off": true })), refused("write_off", "write_mode")), true),
        (with(with(issue(), json!({ "write_mode_off": true })), refused("write_off", "others")), false),
        // The rule of a refusal is scrubbed like the rest of it.
        (with(with(issue(), json!({ "write_mode_off": true })), refused("write_off", "[REDACTED:x]")), true),
        (with(issue(), refused("write_off", "write_mode")), false),
        (with(issue(), json!({ "rules": ["others"] })), false),
        (with(issue(), json!({ "shadow": ["some"] })), false),
        (with(issue(), json!({ "decision": "needs_approval" })), false),
        (with(issue(), json!({ "trigger": "webhook" })), false),
        (with(issue(), json!({ "mode": "approval_required_write" })), false),
        (with(issue(), json!({ "caller": { "id": "key:other" } })), false),
    ] {
        let kind = if data["decision"] == "deny" { "call.refused" } else { "call.intent" };
        let report = replayed(&[(kind, data.clone())], None);
        assert_eq!((report.same, report.changed), (u64::from(agrees), u64::from(!agrees)), "{data}");
        assert!(report.undecidable.is_empty(), "{data}: {:?}", report.undecidable);
    }
}

#[test]
fn what_was_not_recorded_is_undecidable_and_never_guessed() {
    for (data, why) in [
        (with(issue(), json!({ "scopes": [{ "kind": "repo", "value": "acme/[REDACTED:github_token]" }] })), "scrubbed"),
        (with(issue(), json!({ "caller": { "id": "key:[REDACTED:x]" } })), "scrubbed"),
        (with(issue(), json!({ "gen_ai.tool.name": "github_open_issue" })), "does not have its tool"),
        (with(issue(), json!({ "system": "workspace" })), "another system or class"),
        (with(issue(), json!({ "class": "read" })), "another system or class"),
        (with(issue(), json!({ "class": null })), "older version"),
        (with(issue(), json!({ "decided_at": null })), "older version"),
        (with(issue(), json!({ "decision": null })), "older version"),
        (with(issue(), json!({ "scopes": null })), "what it touches"),
        (with(issue(), json!({ "scopes": [{ "kind": "planet", "value": "x" }] })), "does not know"),
        (with(issue(), json!({ "trigger": "dream" })), "does not know"),
        (with(issue(), json!({ "decision": "perhaps" })), "does not know"),
        (with(issue(), json!({ "mode": null })), "mode"),
        (with(issue(), json!({ "policy": "sha256:0" })), "archive"),
        (with(issue(), json!({ "policy": "sha256:../../etc/passwd" })), "archive"),
    ] {
        let report = replayed(&[("call.intent", data.clone())], None);
        assert_eq!((report.same, report.changed, report.undecidable_calls()), (0, 0, 1), "{data}");
        let (told, tally) = report.undecidable.first_key_value().unwrap();
        assert!(told.contains(why), "{data}: {told}");
        assert_eq!(tally.example, "07070707-0707-0707-0707-070707070707");
    }
    // A refusal that an older version's policy made is undecidable; one that policy never saw is not judged.
    let refusal = |code: &str| with(issue(), json!({ "decision": null, "decided_at": null, "class": null, "code": code }));
    let report = replayed(&[("call.refused", refusal("policy_denied")), ("call.refused", refusal("rate_limited"))], None);
    assert_eq!((report.undecidable_calls(), report.not_judged["rate_limited"].count), (1, 1));
    // A refused connection is no call, and a root that policy does not hold is asked for before it.
    for at_the_door in [json!({ "gen_ai.tool.name": "" }), json!({ "rule": "systems.workspace.roots" })] {
        let report = replayed(&[("call.refused", with(refusal("policy_denied"), at_the_door))], None);
        assert_eq!((report.undecidable_calls(), report.not_judged["policy_denied"].count), (0, 1));
    }
    assert_eq!(replayed(&[("call.outcome", issue()), ("policy.loaded", issue())], None).records, 0);
}

#[test]
fn what_a_new_policy_changes_is_grouped_wider_first() {
    let read = |path: &str, denied: bool| {
        let decided = if denied {
            json!({ "decision": "deny", "denial": "rule_denied", "code": "policy_denied", "rule": "no-keys", "rules": null, "mode": null })
        } else {
            json!({ "rules": ["defaults.read"] })
        };
        let scopes = json!([{ "kind": "repo", "value": "/src/app" }, { "kind": "path", "value": path }]);
        let data =
            json!({ "gen_ai.tool.name": "workspace_read_file", "system": "workspace", "class": "read", "mode": "read_only", "scopes": scopes });
        (if denied { "call.refused" } else { "call.intent" }, with(with(issue(), data), decided))
    };
    let records = [("call.intent", issue()), read("a", false), read("docs/a", false), read("docs/b", false), read("x.pem", true)];
    assert_eq!(replayed(&records, None).same, 5);
    let new = POLICY.replace("- {id: no-keys, deny: {paths: [\"**/*.pem\"]}}", "- {id: no-docs, deny: {paths: [\"docs/**\"]}}");
    let report = replayed(&records, Some(&new));
    assert_eq!((report.same, report.changed, report.wider), (2, 3, 1));
    let told: Vec<_> =
        report.changes.iter().map(|change| (change.wider, change.was.as_str(), change.would_be.as_str(), change.calls.count)).collect();
    assert_eq!(
        told,
        [
            (true, "deny (rule_denied) by no-keys", "permit by defaults.read", 1),
            (false, "permit by defaults.read", "deny (rule_denied) by no-docs", 2)
        ]
    );
    // The same answer for another reason is no change, and is counted.
    let report = replayed(&records, Some(&POLICY.replace("id: no-keys", "id: keys")));
    assert_eq!((report.same, report.other_grounds, report.changed), (5, 1, 0));
}

#[test]
fn an_answer_that_is_filtered_otherwise_is_not_alike() {
    let listing = |tool: &str, scopes: Value| {
        let data = json!({ "gen_ai.tool.name": tool, "system": "workspace", "class": "read", "mode": "approval_required_write",
                           "rules": ["defaults.read"], "scopes": scopes });
        ("call.intent", with(issue(), data))
    };
    let folder = listing("workspace_list_directory", json!([{ "kind": "repo", "value": "/src/app" }, { "kind": "tree", "value": "." }]));
    let file = listing("workspace_read_file", json!([{ "kind": "repo", "value": "/src/app" }, { "kind": "path", "value": "a" }]));
    let rule = "- {id: no-keys, deny: {paths: [\"**/*.pem\"]}}";
    let repository = |setting: &str| POLICY.replace("repositories: {", &format!("repositories: {{\"/src/*\": {setting}, "));
    for (new, wider, other) in [
        (POLICY.replace("no-keys", "keys"), 0, 0),
        (POLICY.replace(rule, "- {id: no-keys, deny: {paths: [\"**/*.key\"]}}"), 1, 0),
        (POLICY.replace(rule, "- {id: no-keys, deny: {paths: [\"**/*.pem\"]}, mode: shadow}"), 1, 0),
        (POLICY.replace(rule, "- {id: no-keys, deny: {paths: [\"**/*.pem\"], tools: [workspace_read_file]}}"), 1, 0),
        (POLICY.replace(rule, "- {id: no-keys, deny: {paths: [\"**/*.pem\", \"**/*.key\"]}}"), 0, 1),
        (repository("{paths: {deny: [\"b/**\"]}}"), 0, 1),
        (repository("{paths: {allow: [\"b/**\"]}}"), 0, 1),
    ] {
        let report = replayed(&[folder.clone(), file.clone()], Some(&new));
        let filters = &report.other_filters;
        assert_eq!((filters.wider.len(), filters.other.len(), filters.calls), (wider, other, (wider + other) as u64), "{new}: {report:?}");
    }
    let report = replayed(&[folder], None);
    assert_eq!((report.other_filters.calls, report.same), (0, 1));
}

/// A policy under which an issue needs these approvals, in this mode.
fn asking(approvals: &str, mode: &str) -> String {
    POLICY
        .replace(
            "version: 1\n",
            "version: 1\npeople: {ana: {github: a}, ben: {github: b}, eve: {github: e}}\ngroups: {one: [ana], sec: [ana, ben, eve]}\n",
        )
        .replace("approvals: 0", &format!("approvals: {approvals}"))
        .replace("github: {mode: mock}", &format!("github: {{mode: {mode}}}"))
}

// What a reviewer must see, since the decision has the same name before and after.
#[test]
fn what_is_asked_for_and_what_runs_must_be_the_same() {
    const THREE: &str = "[{group: sec, count: 3}]";
    let needs = |group: &str, count: u32, mode: &str| {
        let required = json!({ "approvals": [{ "count": count, "group": group }], "expires_ms": 1_800_000, "mfa": false, "people": count });
        with(issue(), json!({ "decision": "needs_approval", "required": required, "mode": mode }))
    };
    let permitted = |mode: &str| with(issue(), json!({ "mode": mode }));
    let real = "approval_required_write";
    // A refusal for want of approvals keeps neither rules nor mode.
    let refused = with(needs("sec", 3, real), json!({ "mode": null, "rules": null, "code": "approvals_unavailable" }));
    for (kind, data, (approvals, mode), (changed, wider)) in [
        ("call.intent", needs("sec", 3, real), (THREE, real), (0, 0)),
        ("call.intent", needs("sec", 3, real), ("[{group: one, count: 1}]", real), (1, 1)),
        ("call.intent", needs("sec", 3, real), ("[{group: sec, count: 2}]", real), (1, 1)),
        ("call.intent", needs("sec", 2, real), (THREE, real), (1, 0)),
        ("call.refused", refused.clone(), (THREE, "mock"), (0, 0)),
        ("call.refused", refused, ("[{group: one, count: 1}]", "mock"), (1, 1)),
        ("call.intent", permitted("mock"), ("0", "mock"), (0, 0)),
        ("call.intent", permitted("mock"), ("0", real), (1, 1)),
        ("call.intent", permitted("dry_run"), ("0", real), (1, 1)),
        ("call.intent", permitted("dry_run"), (THREE, real), (1, 1)),
        ("call.intent", permitted("mock"), ("0", "dry_run"), (1, 0)),
        ("call.intent", permitted(real), ("0", "dry_run"), (1, 0)),
        ("call.intent", permitted(real), (THREE, real), (1, 0)),
        ("call.intent", permitted("mock"), (THREE, "mock"), (1, 0)),
        ("call.intent", needs("sec", 3, "mock"), (THREE, real), (1, 1)),
    ] {
        let report = replayed(&[(kind, data.clone())], Some(&asking(approvals, mode)));
        assert_eq!(
            (report.changed, report.wider, report.same),
            (changed, wider, 1 - changed),
            "{data} under {approvals}, {mode}: {:?}",
            report.changes
        );
    }
    let report = replayed(&[("call.intent", needs("sec", 3, "mock"))], Some(&asking("[{group: one, count: 1}]", real)));
    let words = |change: &Redecided| (change.was.clone(), change.would_be.clone());
    assert_eq!(
        report.changes.iter().map(words).collect::<Vec<_>>(),
        [(
            "needs_approval by issues, with 3 approvals of `sec` within 30 min, in mock".to_owned(),
            "needs_approval by issues, with 1 approval of `one` within 30 min".to_owned()
        )]
    );
    // A read is as real in every mode but `mock`.
    let read = json!({ "gen_ai.tool.name": "workspace_read_file", "system": "workspace", "class": "read", "mode": "read_only",
                       "rules": ["defaults.read"], "scopes": [{ "kind": "repo", "value": "/src/app" }, { "kind": "path", "value": "a" }] });
    assert_eq!(replayed(&[("call.intent", with(issue(), read))], None).same, 1);
    // An older version did not say what was needed.
    let report = replayed(&[("call.intent", with(needs("sec", 3, real), json!({ "required": null })))], Some(&asking(THREE, real)));
    assert_eq!((report.undecidable_calls(), report.same), (1, 0));
    assert!(!report.agrees());
}

#[test]
fn an_archive_that_was_changed_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (old, unreadable) = (POLICY.replace("no-keys", "keys"), "version: 9\n");
    let hash_of = |text: &str| Policy::hash_of(text.as_bytes());
    let hash = hash_of(&old);
    for (hash, text, found) in [
        (&hash, old.as_str(), Ok(hash.as_str())),
        (&hash, POLICY, Err("but another")),
        (&hash_of(unreadable), unreadable, Err("cannot read")),
        (&hash_of("not there"), POLICY, Err("but another")),
    ] {
        std::fs::write(folder.path().join(format!("{}.yaml", hash.strip_prefix("sha256:").unwrap())), text).unwrap();
        let found_it = Archive::new(folder.path().to_owned(), None).policy(hash, &catalogue());
        match (found_it, found) {
            (Ok(policy), Ok(hash)) => assert_eq!(policy.hash(), hash),
            (Err(why), Err(words)) => assert!(why.contains(words), "{why}"),
            (other, _) => panic!("{text}: {other:?}"),
        }
    }
}
