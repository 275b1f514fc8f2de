//! Risk: what adds to it, and that it only raises what a write needs.

use proptest::prelude::*;
use proptest::sample::subsequence;

use super::*;
use ScopeKind::{LogGroup, Namespace, Path, Ref, Repo, Table, Tree};

const NIGHT: &str = "2026-11-20T23:00:00Z";

/// A policy under which everything adds, for a tool that replaces what was there.
fn weighed(risk: &str, approvals: &str) -> Policy {
    let text = format!(
        r#"
version: 1
write_mode: on
defaults: {{read: allow}}
callers: {{"local:*": {{}}}}
systems: {{workspace: {{mode: approval_required_write}}, kubernetes: {{mode: mock}}}}
repositories: {{"acme/*": {{write: true}}}}
environments:
  live: {{aliases: [Production], match: {{repos: ["acme/live"]}}}}
people: {{ana: {{}}, ben: {{}}}}
groups: {{oncall: [ana, ben], owners: [ana, ben]}}
approvals: {{default: {{approvals: [{{group: oncall, count: 1}}]}}}}
rules: [{{id: w, allow: {{tools: [workspace_write_file, workspace_commit]}}, approvals: {approvals}}}]
{risk}
"#
    );
    let card = |name, risk| opsgate_tools::tool::Card { name, system: "workspace", title: "", description: "", risk, open_world: false };
    let tools = [
        (card("workspace_write_file", 0.4), Class::Write, true),
        (card("workspace_commit", 0.4), Class::Write, false),
        (card("workspace_read_file", 0.1), Class::Read, false),
    ];
    Policy::parse(&text, "policy.yaml", &Catalogue::of_tools(tools)).unwrap_or_else(|errors| panic!("{errors}"))
}

const ALL: &str = "risk: {two_approvals_from: 0.7, hours: \"Mon-Fri 08:00-18:00 UTC\", \
                   modifiers: {production: 0.2, off_hours: 0.1, secret_path: 0.3, destructive: 0.2, unreasoned: 0.1}}";

/// A write in these circumstances and no others.
fn write_in(circumstances: &[Circumstance]) -> Ask {
    let is = |one| circumstances.contains(&one);
    let tool = if is(Circumstance::Destructive) { "workspace_write_file" } else { "workspace_commit" };
    let repo = if is(Circumstance::Production) { "acme/live" } else { "acme/app" };
    let path = if is(Circumstance::SecretPath) { "conf/Secrets.yaml" } else { "src/a.rs" };
    let mut ask = Ask::new(tool, &[(Repo, repo), (Path, path)]);
    if is(Circumstance::OffHours) {
        ask.now = NIGHT.parse().unwrap();
    }
    if !is(Circumstance::Unreasoned) {
        ask.change = vec![ChangePart::Reasoning];
    }
    ask
}

/// How many approvals, and of how many people.
fn needed(decision: &Decision) -> (u32, u32) {
    match decision {
        Decision::NeedsApproval(_, requirement) => (requirement.approvals.iter().map(|one| one.count).sum(), requirement.people),
        _ => (0, 0),
    }
}

fn circumstances() -> impl Strategy<Value = Vec<Circumstance>> {
    subsequence(Circumstance::ALL.map(|(one, _)| one).to_vec(), 0..=5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn more_circumstances_never_need_fewer_approvals(some in circumstances(), more in circumstances(), own in 0..4usize, from in 0.3..1.0f64) {
        let approvals = ["0", "1", "3", "[{group: oncall, count: 1}, {group: owners, count: 1}]"];
        let policy = weighed(&ALL.replace("0.7", &format!("{from:.2}")), approvals[own]);
        let all: Vec<_> = some.iter().chain(&more).copied().collect();
        let (fewer, further) = (write_in(&some), write_in(&all));
        prop_assert!(needed(&fewer.of(&policy)) <= needed(&further.of(&policy)));
        prop_assert!(fewer.explained(&policy).risk.unwrap().score() <= further.explained(&policy).risk.unwrap().score());
        let without = needed(&further.of(&weighed("", approvals[own])));
        let with = needed(&further.of(&policy));
        prop_assert!(without.0 <= with.0 && without.1 <= with.1, "risk lowered {without:?} to {with:?}");
    }
}

#[test]
fn each_circumstance_adds_what_the_policy_says_and_is_named() {
    let policy = weighed(ALL, "0");
    for (alone, adds) in Circumstance::ALL.into_iter().zip([0.2, 0.1, 0.3, 0.2, 0.1]) {
        let told = write_in(&[alone.0]).explained(&policy);
        let risk = told.risk.unwrap();
        assert_eq!((risk.score(), risk.because().collect::<Vec<_>>()), (((0.4 + adds) * 100.0_f64).round() / 100.0, vec![alone.0]), "{}", alone.1);
        assert!(told.to_string().contains(&format!("({})", alone.1)), "{told}");
        assert_eq!(serde_json::to_value(risk).unwrap()["because"], serde_json::json!([alone.1]));
    }
    let all = Circumstance::ALL.map(|(one, _)| one);
    assert_eq!(write_in(&all).explained(&policy).risk.unwrap().score(), 1.0, "it is capped");
}

#[test]
fn from_the_bound_on_two_people_approve() {
    use Circumstance::{OffHours, SecretPath, Unreasoned};
    for (own, in_circumstances, approvals, people) in [
        ("0", &[Unreasoned][..], 0, 0),
        ("0", &[SecretPath], 2, 2), // 0.70 exactly
        ("1", &[SecretPath], 2, 2),
        ("3", &[SecretPath], 3, 3),
        ("1", &[OffHours, Unreasoned], 1, 1),
        ("[{group: oncall, count: 1}, {group: owners, count: 1}]", &[SecretPath], 2, 2),
        ("[{group: oncall, count: 1}, {group: owners, count: 1}]", &[], 2, 1),
    ] {
        let decision = write_in(in_circumstances).of(&weighed(ALL, own));
        assert_eq!(needed(&decision), (approvals, people), "{own} {in_circumstances:?}");
    }
    let Decision::NeedsApproval(permit, requirement) = write_in(&[SecretPath]).of(&weighed(ALL, "0")) else { panic!("no approval") };
    assert_eq!(requirement.approvals, [Quorum { group: Some("oncall".to_owned()), count: 2 }]);
    assert_eq!((permit.risk(), requirement.risk.to_string()), (requirement.risk, "0.70 (secret_path)".to_owned()));
}

#[test]
fn names_that_speak_of_secrets() {
    let policy = weighed(ALL, "0");
    for (kind, value, speaks) in [
        (Path, ".env.local", true),
        (Path, "deploy/API_KEYS.yaml", true),
        (Path, "certs/server.pem", true),
        (Path, "conf/secrets/app.yaml", true),
        (Path, "home/.ssh/config", true),
        (Path, "src/tokenizer.rs", false),
        (Path, "src/main.rs", false),
        (Tree, "passwords", true),
        (Tree, ".", false),
        (Ref, "fix-password-reset", true),
        (Ref, "main", false),
        (LogGroup, "/aws/ecs/app-secrets", true),
        (LogGroup, "/aws/ecs/app", false),
        (Table, "public.Credentials", true),
        (Table, "public.orders", false),
        (Namespace, "secrets", false), // a name of another kind
    ] {
        let risk = Ask::new("workspace_read_file", &[(kind, value)]).explained(&policy).risk.unwrap();
        assert_eq!(risk.because().any(|one| one == Circumstance::SecretPath), speaks, "{kind} {value}");
    }
}

#[test]
fn off_hours_are_those_of_the_risk_else_of_the_targets_environment() {
    let own = "  live: {aliases: [prod], match: {repos: [\"acme/live\"]}, hours: \"Mon-Fri 08:00-09:00 UTC\"}";
    let text = |risk: &str| {
        format!(
            "version: 1\ndefaults: {{read: allow}}\ncallers: {{\"local:*\": {{}}}}\nsystems: {{workspace: {{}}}}\nenvironments:\n{own}\n\
             risk: {{modifiers: {{off_hours: 0.1}}{risk}}}\n"
        )
    };
    let adds = |policy: &Policy, repo: &str| {
        let told = Ask::new("workspace_read_file", &[(Repo, repo)]).explained(policy);
        told.risk.unwrap().because().next().is_some()
    };
    // It is noon: within the hours of `risk`, outside of those of `live`.
    let (theirs, ours) = (policy(&text("")), policy(&text(", hours: \"Mon-Fri 08:00-18:00 UTC\"")));
    assert_eq!((adds(&theirs, "acme/live"), adds(&theirs, "acme/app")), (true, false));
    assert_eq!((adds(&ours, "acme/live"), adds(&ours, "acme/app")), (false, false));
}

#[test]
fn a_modifier_that_nothing_can_set_off_is_a_warning() {
    for (name, policies) in [
        ("production", ["environments: {staging: {}}", "environments: {prd: {aliases: [production]}}"]),
        ("off_hours", ["environments: {a: {}}", "environments: {a: {hours: \"Mon 08:00-09:00 UTC\"}}"]),
    ] {
        for (rest, warns) in policies.into_iter().zip([true, false]) {
            let policy = policy(&format!("version: 1\n{rest}\nrisk: {{modifiers: {{{name}: 0.1}}}}\n"));
            assert_eq!(policy.warnings().iter().any(|one| one.to_string().contains("has no effect")), warns, "{rest}");
        }
    }
}
