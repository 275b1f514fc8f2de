//! Decisions, one table for each law.

use super::*;
use ScopeKind::{Channel, LogGroup, Method, Namespace, Path, Ref, Repo, Service, Tree};

/// A policy under which everything that can be allowed for writes is allowed.
const WRITES: &str = r#"
version: 1
write_mode: on
defaults: {read: allow, write: deny}
people: {ana: {}, ben: {}, eve: {}}
groups: {oncall: [ana, ben], owners: [ana, eve]}
callers:
  "local:*": {roles: [developer], owner: ana}
  "local:uid=7": {roles: [guest]}
  "key:ci-*": {roles: [pipeline], owner: oncall}
systems:
  workspace: {mode: approval_required_write}
  github: {mode: mock}
  kubernetes: {mode: mock}
  slack: {mode: mock, channels: ["releases", "dev-*"]}
repositories:
  "acme/*": {write: false}
  "acme/app": {write: true}
  "acme/docs": {write: true}
namespaces: {"kube-*": forbidden, "prod*": read_only, "squad-*": approval, "squad-x": read_only}
environments:
  production: {aliases: [prd], match: {repos: ["acme/docs"]}, approvals: [{group: owners, count: 2}], mfa: required, expires: 5m, hours: "Mon-Fri 08:00-18:00 UTC"}
approvals: {default: {approvals: [{group: oncall, count: 1}], expires: 30m}}
rules:
  - {id: issues, allow: {roles: [developer], tools: [github_create_issue], repos: ["acme/*"]}}
  - {id: reruns, allow: {roles: [pipeline], tools: [github_actions], methods: [rerun]}, approvals: 0}
  - {id: scale, allow: {tools: [kubernetes_scale], namespaces: ["*"]}, approvals: 0}
  - {id: post, allow: {tools: [slack_post_summary], channels: ["dev-*", releases]}, approvals: 0}
  - {id: by-role-alone, allow: {roles: [guest], repos: ["acme/app"]}, approvals: 0}
  - {id: no-releases, deny: {refs: ["release/*"], repos: ["acme/*"]}, because: releases are for people}
"#;

#[test]
fn writes() {
    let policy = policy(WRITES);
    for (tool, caller, scopes, outcome) in [
        ("github_create_issue", "local:uid=1", &[(Repo, "acme/app")][..], "needs_approval"),
        ("github_create_issue", "local:uid=1", &[(Repo, "acme/web")], "not_whitelisted"),
        ("github_create_issue", "local:uid=1", &[(Repo, "other/app")], "default_deny"),
        ("github_create_issue", "local:uid=1", &[(Repo, "ACME/app")], "default_deny"),
        ("github_create_issue", "local:uid=1", &[(Repo, "acme/app"), (Repo, "acme/web")], "not_whitelisted"),
        ("github_create_issue", "local:uid=1", &[], "default_deny"),
        ("github_create_issue", "local:uid=1", &[(Repo, "acme/app"), (Ref, "release/1")], "rule_denied"),
        ("github_create_issue", "local:uid=1", &[(Repo, "ACME/app"), (Ref, "refs/heads/Release/1")], "rule_denied"),
        ("github_create_issue", "local:uid=7", &[(Repo, "acme/app")], "default_deny"), // a rule for writes names its tools
        ("github_actions", "key:ci-main", &[(Repo, "acme/app"), (Method, "rerun")], "permit"),
        ("github_actions", "key:ci-main", &[(Repo, "acme/app"), (Method, "cancel")], "default_deny"),
        ("github_actions", "key:ci-main", &[(Repo, "ACME/app"), (Method, "rerun")], "not_whitelisted"), // exactly whitelisted, or not at all
        ("github_actions", "key:ci-main", &[(Repo, "acme/app"), (Method, "rerun"), (Method, "cancel")], "default_deny"),
        ("github_actions", "local:uid=1", &[(Repo, "acme/app"), (Method, "rerun")], "default_deny"),
        ("github_actions", "key:other", &[(Repo, "acme/app"), (Method, "rerun")], "unknown_caller"),
        ("github_actions", "key:ci-main", &[(Repo, "acme/docs"), (Method, "rerun")], "needs_approval"), // production asks
        ("kubernetes_scale", "local:uid=1", &[(Namespace, "squad-a")], "needs_approval"),               // the tier asks
        ("kubernetes_scale", "local:uid=1", &[(Namespace, "squad-x")], "namespace_denied"),
        ("kubernetes_scale", "local:uid=1", &[(Namespace, "prod-1")], "namespace_denied"),
        ("kubernetes_scale", "local:uid=1", &[(Namespace, "default")], "not_whitelisted"),
        ("kubernetes_list", "local:uid=1", &[(Namespace, "prod-1")], "permit"),
        ("kubernetes_list", "local:uid=1", &[(Namespace, "default")], "permit"),
        ("kubernetes_list", "local:uid=1", &[(Namespace, "KUBE-system")], "namespace_denied"),
        ("slack_post_summary", "local:uid=1", &[(Channel, "dev-a")], "permit"),
        ("slack_post_summary", "local:uid=1", &[(Channel, "ceo")], "not_listed"),
        ("slack_post_summary", "local:uid=1", &[], "default_deny"),
        ("workspace_write_file", "local:uid=1", &[(Repo, "/a"), (Path, "x")], "default_deny"),
        ("delete_database", "local:uid=1", &[], "forbidden"),
        ("no_such_tool", "local:uid=1", &[], "unknown_tool"),
        ("workspace_force_push", "key:other", &[], "unknown_caller"),
    ] {
        assert_eq!(Ask::new(tool, scopes).by(caller).outcome(&policy), outcome, "{tool} {caller} {scopes:?}");
    }
}

#[test]
fn an_environment_asks_for_more_and_only_in_its_hours() {
    let policy = policy(WRITES);
    let mut ask = Ask::new("github_create_issue", &[(Repo, "acme/docs")]);
    let Decision::NeedsApproval(permit, requirement) = ask.of(&policy) else { panic!("{:?}", ask.of(&policy)) };
    assert_eq!(permit.rules(), ["issues"]);
    assert_eq!(permit.policy_hash(), policy.hash());
    let quorum = |group: &str, count| Quorum { group: Some(group.to_owned()), count };
    assert_eq!(requirement.approvals, [quorum("oncall", 1), quorum("owners", 2)]);
    assert_eq!((requirement.mfa, requirement.expires.as_secs(), requirement.environments.as_slice()), (true, 300, &["production".to_owned()][..]));
    ask.now = "2026-11-22T12:00:00Z".parse().unwrap(); // a Sunday
    assert_eq!(ask.outcome(&policy), "outside_hours");
}

/// A write to an environment that requires all of `change`, and all else that a write needs.
const REQUIRES: &str = r#"
version: 1
write_mode: on
callers: {"local:*": {}}
systems: {github: {mode: mock}}
repositories: {"acme/*": {write: true}}
environments:
  live: {match: {repos: ["acme/app"]}, require: [reasoning, rollback_plan]}
  sox: {match: {repos: ["acme/app"]}, require: [rollback_plan, incident_id]}
rules: [{id: issues, allow: {tools: [github_create_issue]}, approvals: 0}]
"#;

#[test]
fn what_an_environment_requires_of_change_is_the_last_denial() {
    use ChangePart::{IncidentId, Reasoning, RollbackPlan};
    let (policy, ask) = (policy(REQUIRES), Ask::new("github_create_issue", &[(Repo, "acme/app")]));
    for (change, rule, missing) in [
        (&[][..], "environments.live.require", &["reasoning", "rollback_plan", "incident_id"][..]),
        (&[Reasoning], "environments.live.require", &["rollback_plan", "incident_id"]),
        (&[RollbackPlan, Reasoning], "environments.sox.require", &["incident_id"]),
    ] {
        let told = Ask { change: change.to_vec(), ..ask.clone() }.explained(&policy);
        let denial = told.denial.unwrap();
        assert_eq!((denial.code, denial.rule.as_deref()), (DenialCode::ChangeIncomplete, Some(rule)));
        for (_, part) in ChangePart::ALL {
            let named = format!("`change.{part}`");
            for text in [&denial.because, &denial.hint, &told.needed.join(", ")] {
                assert_eq!(text.contains(&named), missing.contains(&part), "{part} in {text}");
            }
        }
    }
    let whole = Ask { change: vec![IncidentId, Reasoning, RollbackPlan], ..ask.clone() };
    assert_eq!(whole.outcome(&policy), "needs_approval", "what is required is read by somebody");
    assert_eq!(Ask::new(ask.tool, &[(Repo, "acme/web")]).outcome(&policy), "permit", "another environment");
    for (what, to, outcome) in [
        ("write_mode: on", "write_mode: off", "write_off"),
        ("{write: true}", "{write: false}", "not_whitelisted"),
        ("require: [reasoning", "hours: \"Sat-Sun 08:00-09:00 UTC\", require: [reasoning", "outside_hours"),
        ("mode: mock", "mode: dry_run", "permit"), // nothing runs there
    ] {
        assert_eq!(ask.outcome(&super::policy(&REQUIRES.replace(what, to))), outcome, "{to}");
    }
}

#[test]
fn a_part_of_change_that_says_nothing_is_not_given() {
    let change = |text: &str| {
        let part = Some(text.to_owned());
        ChangePart::given(&opsgate_tools::change::Change { reasoning: part.clone(), rollback_plan: part, incident_id: Some(" ".to_owned()) })
    };
    let unseen = ["\u{200b}".repeat(12), "\u{3164}".repeat(12), "\u{301}".repeat(20), ".".repeat(12), "ab".repeat(8)];
    for nothing in ["", "because", "         x        ", "ффффффффф"].into_iter().chain(unseen.iter().map(String::as_str)) {
        assert_eq!(change(nothing), [], "{nothing:?}");
    }
    assert_eq!(change("revert it."), [ChangePart::Reasoning, ChangePart::RollbackPlan]);
    assert_eq!(change("откатить"), [ChangePart::Reasoning, ChangePart::RollbackPlan]);
    let incident = |id: &str| ChangePart::given(&opsgate_tools::change::Change { incident_id: Some(id.to_owned()), ..Default::default() });
    for nothing in ["\u{200b}", "\u{301}", ".", "none", "N/A", "null", "\u{3164}"] {
        assert_eq!(incident(nothing), [], "{nothing:?}");
    }
    assert_eq!(incident("7"), [ChangePart::IncidentId]);
}

#[test]
fn the_environment_switch_always_wins_and_automation_is_off() {
    let policy = policy(WRITES);
    let mut ask = Ask::new("github_create_issue", &[(Repo, "acme/app")]);
    ask.env_off = true;
    assert_eq!(ask.outcome(&policy), "write_off");
    for (trigger, _) in Trigger::ALL {
        ask.trigger = trigger;
        let outcome = if trigger == Trigger::Client { "write_off" } else { "automation_off" };
        assert_eq!(ask.outcome(&policy), outcome);
    }
}

#[test]
fn automation_needs_its_switch_and_a_rule_that_names_the_trigger() {
    let text = |default: &str| {
        format!(
            "version: 1\nautomation: on\ndefaults: {{read: allow, automation: {default}}}\ncallers: {{\"webhook:*\": {{}}}}\nsystems: {{workspace: {{}}}}\n\
             rules:\n  - {{id: hooks, allow: {{triggers: [webhook], tools: [workspace_read_file]}}}}\n  - {{id: any, allow: {{tools: [workspace_search_code]}}}}\n"
        )
    };
    for (default, tool, trigger, outcome) in [
        ("deny", "workspace_read_file", Trigger::Webhook, "permit"),
        ("deny", "workspace_read_file", Trigger::Schedule, "default_deny"),
        ("deny", "workspace_search_code", Trigger::Webhook, "default_deny"),
        ("deny", "workspace_search_code", Trigger::Client, "permit"),
        ("allow", "workspace_search_code", Trigger::Schedule, "permit"),
    ] {
        let mut ask = Ask::new(tool, &[]).by("webhook:push");
        ask.trigger = trigger;
        assert_eq!(ask.outcome(&policy(&text(default))), outcome, "{default} {tool} {trigger:?}");
    }
}

/// Reading where nothing is allowed by default.
const CLOSED: &str = r#"
version: 1
callers: {"local:*": {roles: [developer]}, "local:uid=7": {roles: [guest]}}
systems: {workspace: {}, github: {mode: blocked}}
rules:
  - {id: docs, allow: {roles: [developer, guest], tools: ["workspace_*"], paths: ["docs/**"]}}
  - {id: src, allow: {roles: [developer], tools: ["workspace_*"], paths: ["src/**"]}}
  - {id: private, deny: {paths: ["**/private/**"]}, because: it is private}
  - {id: services, allow: {tools: [workspace_service_status], services: ["web-*"]}}
  - {id: try, deny: {paths: ["docs/old/**"]}, mode: shadow}
"#;

#[test]
fn reads_without_a_default() {
    let policy = policy(CLOSED);
    for (tool, caller, scopes, outcome) in [
        ("workspace_read_file", "local:uid=1", &[(Path, "docs/a.md")][..], "permit"),
        ("workspace_read_file", "local:uid=7", &[(Path, "src/a.rs")], "default_deny"),
        ("workspace_read_file", "local:uid=1", &[(Path, "README.md")], "default_deny"),
        ("workspace_read_file", "local:uid=1", &[(Path, "Docs/a.md")], "default_deny"), // a permission compares exactly
        ("workspace_read_file", "local:uid=1", &[(Path, "docs/a.md"), (Path, "src/a.rs")], "default_deny"),
        ("workspace_read_file", "local:uid=1", &[(Path, "docs/PRIVATE/a.md")], "rule_denied"),
        ("workspace_read_file", "local:uid=1", &[(Path, "docs//a.md")], "permit"),
        ("workspace_read_file", "local:uid=1", &[(Path, "docs/../src/a.rs")], "unnormalisable"),
        ("workspace_read_file", "local:uid=1", &[(Path, "docs/%2e%2e/x")], "unnormalisable"),
        ("workspace_read_file", "local:uid=1", &[], "default_deny"),
        ("workspace_list_directory", "local:uid=1", &[(Tree, ".")], "permit"),
        ("workspace_list_directory", "local:uid=1", &[(Tree, "docs/api")], "permit"),
        ("workspace_list_directory", "local:uid=1", &[(Tree, "target")], "default_deny"),
        ("workspace_list_directory", "local:uid=1", &[(Tree, "docs/private")], "rule_denied"),
        ("workspace_service_status", "local:uid=1", &[(Service, "web-1")], "permit"),
        ("workspace_service_status", "local:uid=1", &[(Service, "web-1"), (Service, "db")], "default_deny"),
        ("github_get_file", "local:uid=1", &[], "system_blocked"),
        ("kubernetes_list", "local:uid=1", &[], "system_not_listed"),
    ] {
        assert_eq!(Ask::new(tool, scopes).by(caller).outcome(&policy), outcome, "{tool} {caller} {scopes:?}");
    }
    let Decision::Permit(permit) = Ask::new("workspace_read_file", &[(Path, "docs/old/a.md")]).of(&policy) else {
        panic!("a shadow is not enforced")
    };
    assert_eq!((permit.rules(), permit.shadow()), (&["docs".to_owned()][..], &["try".to_owned()][..]));
}

#[test]
fn a_repository_s_own_settings() {
    let policy = policy(
        r#"
version: 1
defaults: {read: allow}
callers: {"local:*": {}}
systems: {workspace: {}, github: {}}
repositories:
  "acme/*": {tools: {deny: [github_actions]}, paths: {allow: ["src/**", "docs/**"], deny: ["**/secret*"]}, refs: {deny: [main]}}
  "acme/app": {paths: {deny: ["docs/old/**"]}, refs: {allow: ["feature/*", main]}}
  "acme/open": {paths: {allow: ["**"]}}
"#,
    );
    for (scopes, outcome) in [
        (&[(Repo, "acme/web"), (Path, "src/a")][..], "permit"),
        (&[(Repo, "acme/web"), (Path, "x")], "repository_denied"),
        (&[(Repo, "acme/app"), (Path, "x")], "repository_denied"), // the list of `acme/*` still holds
        (&[(Repo, "acme/app"), (Path, "docs/old/x")], "repository_denied"),
        (&[(Repo, "acme/app"), (Path, "src/Secret.txt")], "repository_denied"), // so does its denial
        (&[(Repo, "ACME/APP"), (Path, "x")], "repository_denied"),              // no change of case gets round it
        (&[(Repo, "acme/open"), (Path, "x")], "permit"),
        (&[(Repo, "acme/open"), (Path, "secrets/x")], "repository_denied"),
        (&[(Repo, "acme/open"), (Path, "x"), (Repo, "acme/web")], "repository_denied"),
        (&[(Repo, "acme/app"), (Ref, "feature/a")], "permit"),
        (&[(Repo, "acme/app"), (Ref, "main")], "repository_denied"), // a denial wins over the closer permission
        (&[(Repo, "acme/app"), (Ref, "main~3")], "repository_denied"),
        (&[(Repo, "acme/app"), (Ref, "other")], "repository_denied"),
        (&[(Repo, "acme/web"), (Tree, ".")], "permit"),
        (&[(Repo, "acme/web"), (Tree, "target")], "repository_denied"),
        (&[(Repo, "elsewhere/x"), (Path, "x")], "permit"),
    ] {
        assert_eq!(Ask::new("github_get_file", scopes).outcome(&policy), outcome, "{scopes:?}");
    }
}

#[test]
fn the_closest_caller_counts() {
    let policy = policy(
        "version: 1\npeople: {ana: {}, ben: {}}\ngroups: {ops: [ana], all: [ana, ben]}\ncallers:\n  \"key:*\": {roles: [a]}\n  \"key:ci-*\": {roles: [b], owner: ana}\n  \
         \"key:ci-main\": {roles: [c], owner: ops}\n",
    );
    let roles = |id: &str| policy.caller(id).map(|profile| (profile.roles.join(","), profile.groups.join(",")));
    let found = |roles: &str, groups: &str| Some((roles.to_owned(), groups.to_owned()));
    assert_eq!(roles("key:x"), found("a", ""));
    assert_eq!(roles("key:ci-x"), found("b", "all,ops"));
    assert_eq!(roles("key:ci-main"), found("c", "ops"));
    assert_eq!(roles("local:uid=0"), None);
}

#[test]
fn contradicting_facts_are_refused() {
    let policy = Policy::parse(Policy::shipped(), "policy.yaml", &crate::catalogue::catalogue().unwrap()).unwrap();
    let scopes = Scopes::none("nothing");
    Ask::new("workspace_write_file", &[]).facts(|facts| {
        for wrong in [Facts { class: Class::Read, scopes: &scopes, ..*facts }, Facts { system: "policy", scopes: &scopes, ..*facts }] {
            assert!(matches!(policy.decide(&wrong), Decision::Deny(Denial { code: DenialCode::UnknownTool, .. })));
        }
    });
}

#[test]
fn lists_of_a_system_bind() {
    let with_loki = Catalogue::of([("loki_query_range", "loki", Class::Read)]);
    let text = "version: 1\ndefaults: {read: allow}\ncallers: {\"local:*\": {}}\nsystems: {loki: {log_groups: [\"app-*\"]}}\n";
    let policy = Policy::parse(text, "p", &with_loki).unwrap();
    for (group, permitted) in [("app-1", true), ("db-1", false)] {
        let scopes = Scopes::of(LogGroup, group);
        let facts = Facts {
            caller: "local:uid=1",
            tool: "loki_query_range",
            system: "loki",
            class: Class::Read,
            scopes: &scopes,
            trigger: Trigger::Client,
            write_mode_env_off: false,
            same_user: false,
            change: &[],
            now: jiff::Timestamp::UNIX_EPOCH,
        };
        assert_eq!(matches!(policy.decide(&facts), Decision::Permit(_)), permitted, "{group}");
    }
}

#[test]
fn workspace_roots() {
    let with = |roots: &str| policy(&format!("version: 1\nsystems: {{workspace: {{{roots}}}}}\n"));
    let (owned, listed) = (with(""), with("roots: [\"~/src/**\", /srv/app]"));
    for (policy, folder, home, owner, allowed) in [
        (&owned, "/home/ana/app", None, true, true),
        (&owned, "/home/ana/app", None, false, false),
        (&owned, "home/ana/app", None, true, false),
        (&owned, "/home/../etc", None, true, false),
        (&listed, "/home/ana/src/a/b", Some("/home/ana"), false, true),
        (&listed, "/home/ana/src/a/b", Some("/home/ana/"), false, true),
        (&listed, "/home/ana/src/a", None, true, false),
        (&listed, "/home/ana/other", Some("/home/ana"), true, false),
        (&listed, "/home/anabel/src/a", Some("/home/ana"), true, false),
        (&listed, "/home/[ab]/src/a", Some("/home/[ab]"), false, true),
        (&listed, "/home/a/src/a", Some("/home/[ab]"), false, false),
        (&listed, "/srv/app", None, false, true),
        (&listed, "/srv/app/x", None, true, false),
    ] {
        assert_eq!(policy.workspace_root_allowed(folder, home, owner), allowed, "{folder} {home:?} {owner}");
    }
    assert!(!policy("version: 1\n").workspace_root_allowed("/a", None, true));
}

#[test]
fn an_explanation_names_rules_lines_and_what_is_needed() {
    let policy = policy(WRITES);
    let told = Ask::new("github_create_issue", &[(Repo, "acme/web"), (Ref, "release/1")]).explained(&policy);
    assert_eq!((told.decision.as_str(), told.denial.as_ref().unwrap().rule.as_deref()), ("deny", Some("no-releases")));
    let rules: Vec<_> = told.rules.iter().map(|rule| (rule.id.as_str(), rule.effect, rule.line)).collect();
    assert_eq!(rules, [("issues", Effect::Allow, 25), ("no-releases", Effect::Deny, 30)]);
    let text = told.to_string();
    for part in [
        "denied: `github_create_issue` for `local:uid=1000`",
        "because: releases are for people",
        "roles developer",
        "whitelisted",
        "rule `issues` (line 25) allows",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert_eq!(serde_json::to_value(&told).unwrap()["denial"]["code"], "rule_denied");
    let told = Ask::new("github_create_issue", &[(Repo, "acme/app")]).explained(&policy);
    assert_eq!((told.decision.as_str(), told.needed.as_slice()), ("needs_approval", &["1 approval of `oncall` within 30 min".to_owned()][..]));
    let told = Ask::new("kubernetes_list", &[]).by("key:none").explained(&policy);
    assert!(told.to_string().contains("not in the policy"), "{told}");
}

#[test]
fn every_denial_has_its_own_name_in_records_and_tests() {
    for (code, place) in DenialCode::ALL.iter().zip(0..) {
        assert_eq!(serde_json::to_value(code).unwrap(), code.name());
        assert_eq!(DenialCode::ALL.iter().position(|one| one == code), Some(place), "{} stands twice", code.name());
    }
    // The list is the enumeration: serde names every variant in its error.
    let told = serde_json::from_str::<DenialCode>("\"\"").unwrap_err().to_string();
    assert_eq!(told.matches('`').count() / 2 - 1, DenialCode::ALL.len(), "{told}");
}

#[test]
fn no_rule_has_the_name_of_a_setting() {
    let policy = policy(
        "version: 1\nwrite_mode: on\ndefaults: {read: allow}\ncallers: {\"local:*\": {}}\n\
         systems: {workspace: {}, github: {mode: approval_required_write}, kubernetes: {mode: mock}, slack: {mode: blocked}}\n\
         repositories: {\"acme/app\": {write: true, refs: {deny: [old]}}, \"acme/shop\": {write: true}, \"acme/bank\": {write: true}}\n\
         namespaces: {\"kube-*\": forbidden}\n\
         environments: {shop: {match: {repos: [acme/shop]}, hours: \"Sun 08:00-18:00 UTC\"}, bank: {match: {repos: [acme/bank]}, require: [reasoning]}}\n\
         rules: [{id: issues, allow: {tools: [github_create_issue]}, approvals: 0}]\n",
    );
    let issue = |repo: &str| Ask::new("github_create_issue", &[(Repo, repo)]);
    let read = Ask::new("github_get_file", &[(Repo, "acme/app"), (ScopeKind::Ref, "old")]);
    for (ask, name) in [
        (issue("acme/app"), "issues"),
        (Ask::new("workspace_read_file", &[]), "defaults.read"),
        (Ask::new("slack_post_summary", &[]), "systems.slack.mode"),
        (read, "repositories.acme/app.refs.deny"),
        (Ask::new("kubernetes_list", &[(ScopeKind::Namespace, "kube-system")]), "namespaces.kube-*"),
        (Ask { trigger: Trigger::Webhook, ..issue("acme/app") }, "automation"),
        (Ask { env_off: true, ..issue("acme/app") }, "write_mode"),
        (Ask::new("workspace_commit", &[]), "systems.workspace.mode"),
        (Ask { same_user: true, ..issue("acme/app") }, "same_user_writes"),
        (issue("acme/shop"), "environments.shop.hours"),
        (issue("acme/bank"), "environments.bank.require"),
    ] {
        let by = match ask.of(&policy) {
            Decision::Permit(permit) | Decision::NeedsApproval(permit, _) => permit.rules().to_vec(),
            Decision::Deny(denial) => denial.rule.into_iter().collect(),
        };
        assert_eq!(by, [name]);
        let text = format!("version: 1\nrules:\n  - {{id: \"{}\", deny: {{paths: [x]}}}}\n", name.replace(['/', '*'], "x"));
        let refused = Policy::parse(&text, "p", &catalogue()).is_err_and(|errors| errors.to_string().contains("opsgate uses itself"));
        assert_eq!(refused, name != "issues", "{text}");
    }
}

#[test]
fn an_allow_rule_in_shadow_permits_nothing_and_is_told_where_nothing_else_allows() {
    let text = |rest: &str| {
        format!(
            "version: 1\ncallers: {{\"local:*\": {{}}}}\nsystems: {{workspace: {{}}}}\nrules:\n  - {{id: try, allow: {{paths: [\"docs/**\"]}}, mode: shadow}}\n{rest}"
        )
    };
    let shadow = |rest: &str, path: &str| match Ask::new("workspace_read_file", &[(Path, path)]).of(&policy(&text(rest))) {
        Decision::Permit(permit) => (true, permit.shadow().to_vec()),
        Decision::Deny(denial) => (false, denial.shadow),
        other => panic!("{other:?}"),
    };
    let try_it = vec!["try".to_owned()];
    assert_eq!(shadow("", "docs/a"), (false, try_it));
    assert_eq!(shadow("", "src/a"), (false, vec![]));
    assert_eq!(shadow("  - {id: docs, allow: {paths: [\"docs/*\"]}}\n", "docs/a"), (true, vec![]));
    assert_eq!(shadow("  - {id: no, deny: {paths: [\"docs/*\"]}}\n", "docs/a"), (false, vec![]), "a denial would have won over it");
}
