//! The policy that opsgate ships. What it decides as it stands is in `policy.test.yaml` beside it.

use opsgate_tools::mode::Mode;

use super::*;

/// The shipped policy with every example taken out of its comment.
pub(super) fn with_all_examples() -> String {
    let uncommented = |line: &str| {
        let text = line.trim_start();
        let example = text.strip_prefix('#').is_some_and(|rest| !rest.is_empty() && !rest.starts_with(' '));
        if example { line.replacen('#', "", 1) } else { line.to_owned() }
    };
    Policy::shipped().lines().map(|line| uncommented(line) + "\n").collect()
}

#[test]
fn it_loads_without_a_warning() {
    let policy = Policy::parse(Policy::shipped(), "policy.yaml", &crate::catalogue::catalogue().unwrap()).unwrap_or_else(|errors| panic!("{errors}"));
    assert!(policy.warnings().is_empty(), "{:?}", policy.warnings());
    assert!(policy.hash().starts_with("sha256:") && policy.hash().len() == 7 + 64);
    assert!(!policy.write_mode() && !policy.automation());
    assert_eq!(policy.mode("workspace"), Some(Mode::ReadOnly));
    assert_eq!((policy.mode("github"), policy.mode("slack")), (Some(Mode::Mock), None));
    assert_eq!(policy.limits().output_bytes, 65_536);
    assert_eq!(policy.limits().per_caller.over_then.unwrap().lasts.as_secs(), 300);
}

#[test]
fn all_its_examples_load() {
    let text = with_all_examples();
    let policy = Policy::parse(&text, "policy.yaml", &crate::catalogue::catalogue().unwrap()).unwrap_or_else(|errors| panic!("{errors}"));
    assert!(policy.core.rules.len() > 5);
    // Every key of the language has a line.
    for key in super::super::read::KEYS {
        assert!(text.lines().any(|line| line.starts_with(&format!("{key}:"))), "no example of `{key}`");
    }
}

#[test]
fn what_runs_outside_of_the_sandbox_is_changed_by_a_person() {
    let text = Policy::shipped().replace("write_mode: off", "write_mode: on").replace("mode: read_only\n", "mode: approval_required_write\n")
        + "repositories: {\"/src/app\": {write: true}}\n";
    let text = text.replace("rules:\n", "rules:\n  - {id: a, allow: {tools: [workspace_write_file, workspace_commit]}, approvals: 0}\n");
    let policy = Policy::parse(&text, "policy.yaml", &crate::catalogue::catalogue().unwrap()).unwrap_or_else(|errors| panic!("{errors}"));
    let repo = (ScopeKind::Repo, "/src/app");
    for tool in ["workspace_write_file", "workspace_commit"] {
        assert_eq!(Ask::new(tool, &[repo, (ScopeKind::Path, "src/main.rs")]).outcome(&policy), "permit");
        for path in [
            ".github/workflows/ci.yml",
            ".vscode/tasks.json",
            "web/.husky/pre-commit",
            "web/.mcp.json",
            ".envrc",
            ".CLAUDE/settings.json",
            "CLAUDE.md",
        ] {
            assert_eq!(Ask::new(tool, &[repo, (ScopeKind::Path, path)]).outcome(&policy), "rule_denied", "{tool} {path}");
        }
        // An agent cannot work without these.
        for path in ["build.rs", "Makefile", "package.json", "setup.py", "tests/conftest.py"] {
            assert_eq!(Ask::new(tool, &[repo, (ScopeKind::Path, path)]).outcome(&policy), "permit", "{tool} {path}");
        }
    }
    assert_eq!(Ask::new("workspace_read_file", &[repo, (ScopeKind::Path, ".vscode/tasks.json")]).outcome(&policy), "permit");
}

#[test]
fn the_examples_deny_what_it_denies() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/policies");
    for name in ["ci-pipeline", "kubernetes-tiers", "read-only-auditor", "solo-developer", "team-production"] {
        let text = std::fs::read_to_string(folder.join(name).with_extension("yaml")).unwrap();
        let begins = text.find("  # The three denials that follow").unwrap();
        assert!(Policy::shipped().contains(&text[begins..]), "{name}");
    }
}
