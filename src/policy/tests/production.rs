//! `profile: production`: each check refuses what it names, there alone.

use super::super::read::production::CHECKS;
use super::*;

/// For each check: a policy that trips it and nothing else, and what the error names.
const UNSAFE: [(&str, &str); 5] = [
    ("same_user_writes: true", ""),
    ("callers: {\"anonymous:*\": {}}", ""),
    ("systems: {policy: {}, workspace: {}, slack: {}}", "slack"),
    (
        "write_mode: on\nsystems: {github: {mode: approval_required_write}, workspace: {mode: approval_required_write}}\n\
         rules:\n  - {id: files, allow: {tools: [workspace_write_file]}, approvals: 0}\n  - {id: issues, allow: {tools: [\"github_create_*\"]}, approvals: 0}",
        "issues",
    ),
    (
        "write_mode: on\ncallers: {\"key:*\": {roles: [writer]}, \"local:uid=*\": {roles: [reader]}, \"key:ci-*\": {roles: [writer]}}\n\
         systems: {github: {mode: approval_required_write}}\nrules: [{id: a, allow: {roles: [writer], tools: [github_create_issue]}, approvals: 1}]",
        "key:*",
    ),
];

#[test]
fn each_check_refuses_what_it_names_in_production_alone() {
    for ((says, name), (_, sentence, help)) in UNSAFE.into_iter().zip(CHECKS) {
        policy(&format!("version: 1\n{says}\n"));
        let errors = Policy::parse(&format!("version: 1\nprofile: production\n{says}\n"), "p.yaml", &catalogue()).expect_err(says);
        let told: Vec<_> = errors.all().iter().map(|error| (error.message.clone(), error.help.clone().unwrap_or_default())).collect();
        assert_eq!(told, [(format!("`profile: production` {}", sentence.replace("{}", name)), help.to_owned())]);
        assert!(errors.all()[0].line > 2, "{errors}");
    }
}

#[test]
fn everybody_is_everybody_however_it_is_written() {
    for (caller, rule, refused) in [
        ("key:?*", "", true),
        ("key:??????", "", true),
        ("key:*", "callers: [\"key:*\"], ", true),
        ("key:*", "callers: [\"key:?*\"], ", true),
        ("key:?*", "callers: [\"key:*\"], ", true),
        ("key:*", "callers: [\"key:ci-*\", \"key:*\"], ", true),
        ("key:*", "callers: [\"key:ci-*\"], ", false),
        ("key:*", "callers: [\"local:*\"], ", false),
        ("key:ci-?*", "callers: [\"key:*\"], ", false),
    ] {
        let text = format!(
            "version: 1\nprofile: production\nwrite_mode: on\ncallers: {{\"{caller}\": {{roles: [writer]}}}}\n\
             systems: {{github: {{mode: approval_required_write}}}}\nrules: [{{id: a, allow: {{{rule}tools: [github_create_issue]}}, approvals: 1}}]"
        );
        let errors = Policy::parse(&text, "p.yaml", &catalogue()).err().map(|errors| errors.to_string());
        assert_eq!(errors.is_some(), refused, "{caller} {rule}: {errors:?}");
        assert!(errors.is_none_or(|said| said.contains(&format!("`{caller}`, which is everybody"))), "{caller} {rule}");
    }
}

#[test]
fn what_production_refuses_is_safe_once_it_is_mended() {
    for (index, from, to) in [
        (2, "slack: {}", "slack: {mode: read_only}"),
        (3, "write_mode: on", "write_mode: off"),
        (3, "github_create_*\"]}, approvals: 0", "github_create_*\"]}, approvals: 1"),
        (3, "github: {mode: approval_required_write}", "github: {mode: dry_run}"),
        (4, "\"key:*\"", "\"key:deploy-*\""),
        (4, "tools: [github_create_issue]", "tools: [github_get_file]"),
        (4, "roles: [writer], tools", "callers: [\"key:ci-*\"], tools"),
    ] {
        let says = UNSAFE[index].0;
        assert!(says.contains(from), "{from}");
        let says = says.replace(from, to).replace("tools: [github_get_file]}, approvals: 1", "tools: [github_get_file]}");
        policy(&format!("version: 1\nprofile: production\n{says}\n"));
    }
}

#[test]
fn a_misspelt_environment_is_an_error_with_the_nearest_name() {
    let text =
        |rest: &str| format!("version: 1\nenvironments: {{production: {{aliases: [prod], match: {{repos: [acme/a]}}}}, staging: {{}}}}\n{rest}\n");
    for (rest, named, help) in [
        ("rules: [{id: a, deny: {environments: [prodction]}}]", "there is no environment `prodction`", "did you mean `production`?"),
        ("rules: [{id: a, deny: {environments: [Prod]}}]", "there is no environment `Prod`", "did you mean `prod`?"),
        ("rules: [{id: a, allow: {environments: [stagin], tools: [github_create_issue]}}]", "there is no environment `stagin`", "`staging`"),
    ] {
        let errors = Policy::parse(&text(rest), "p.yaml", &catalogue()).expect_err(rest);
        assert!(errors.all().len() == 1 && errors.to_string().contains(named) && errors.to_string().contains(help), "{errors}");
    }
    for (wrong, says) in [
        ("environments: {production: {}, Production: {}}", "names the environment `production` already"),
        ("environments: {production: {}, b: {aliases: [PRODUCTION]}}", "names the environment `production` already"),
        ("environments: {production: {alias: [prod]}}", "did you mean `aliases`?"),
        ("environments: {production: {match: {repo: [a]}}}", "did you mean `repos`?"),
        ("environments: {production: {match: {environments: [a]}}}", "no key `environments`"),
    ] {
        let errors = Policy::parse(&format!("version: 1\n{wrong}\n"), "p.yaml", &catalogue()).expect_err(wrong);
        assert!(errors.to_string().contains(says), "{wrong}: {errors}");
    }
}
