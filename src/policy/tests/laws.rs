//! The laws, over generated policies and calls.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::super::call::Call;
use super::*;
use ScopeKind::{Path, Ref, Repo, Tree};

/// What a generated rule is made of, so that it can be written down in any order.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    deny: bool,
    shadow: bool,
    roles: Vec<&'static str>,
    tools: Vec<&'static str>,
    repos: Vec<&'static str>,
    paths: Vec<&'static str>,
    refs: Vec<&'static str>,
    approvals: Option<u32>,
}

const ROLES: &[&str] = &["developer", "pipeline"];
const TOOLS: &[&str] =
    &["workspace_read_file", "workspace_search_code", "workspace_write_file", "github_get_file", "github_create_issue", "workspace_*"];
const REPOS: &[&str] = &["acme/*", "acme/app", "**", "other/x"];
const PATHS: &[&str] = &["**/*.pem", "src/**", "docs/**", "secrets", "**", "src/*", "[a-d]*/**", "**/Private/**", "secret**"];
const REFS: &[&str] = &["main", "release/*", "**"];

pub(super) fn draft() -> impl Strategy<Value = Draft> {
    let some = |from: &'static [&'static str]| prop_oneof![Just(Vec::new()), subsequence(from, 1..=2)];
    (any::<bool>(), prop::bool::weighted(0.1), some(ROLES), some(TOOLS), some(REPOS), some(PATHS), some(REFS), prop::option::of(0..3u32))
        .prop_map(|(deny, shadow, roles, tools, repos, paths, refs, approvals)| Draft { deny, shadow, roles, tools, repos, paths, refs, approvals })
}

impl Draft {
    fn written(&self, index: usize) -> String {
        let list = |key: &str, items: &[&str]| {
            if items.is_empty() {
                String::new()
            } else {
                format!("{key}: [{}], ", items.iter().map(|item| format!("\"{item}\"")).collect::<Vec<_>>().join(", "))
            }
        };
        let mut when = [
            list("roles", &self.roles),
            list("tools", &self.tools),
            list("repos", &self.repos),
            list("paths", &self.paths),
            list("refs", &self.refs),
        ]
        .concat();
        if when.is_empty() {
            when = "tools: [\"*\"]".to_owned();
        }
        let only_reads =
            !self.tools.is_empty() && self.tools.iter().all(|tool| !tool.contains("write") && !tool.contains("create") && !tool.contains('*'));
        let approvals = self.approvals.filter(|_| !self.deny && !only_reads).map(|count| format!(", approvals: {count}")).unwrap_or_default();
        let shadow = if self.shadow { ", mode: shadow" } else { "" };
        format!("  - {{id: r{index}, {}: {{{when}}}{approvals}{shadow}}}\n", if self.deny { "deny" } else { "allow" })
    }
}

/// A policy of these rules, or nothing where two of them say the same or cancel each other, which is an error.
pub(super) fn compiled(read: bool, rules: &[(usize, Draft)]) -> Option<Policy> {
    let head = "version: 1\nwrite_mode: on\ncallers: {\"local:*\": {roles: [developer]}, \"key:*\": {roles: [pipeline]}}\nsystems: {workspace: {mode: approval_required_write}, github: {}}\n\
                repositories: {\"acme/*\": {write: true, paths: {deny: [\"vendor/**\"]}}, \"acme/app\": {refs: {deny: [old]}}}\n";
    let body: String = rules.iter().map(|(index, rule)| rule.written(*index)).collect();
    let text = format!("{head}defaults: {{read: {}}}\nrules:\n{body}", if read { "allow" } else { "deny" });
    Policy::parse(&text, "p.yaml", &catalogue())
        .inspect_err(|errors| {
            let expected = |one: &Finding| ["says what", "can never match"].iter().any(|part| one.message.contains(part));
            assert!(errors.all().iter().all(expected), "{text}{errors}");
        })
        .ok()
}

fn ask() -> impl Strategy<Value = Ask> {
    let tools = ["workspace_read_file", "workspace_search_code", "workspace_write_file", "github_get_file", "github_create_issue"];
    let repo = select(vec!["acme/app", "acme/web", "other/x", "ACME/app"]);
    let path = select(vec!["src/a", "src/b/c", "x.pem", "docs/a", "secrets/a", "a", "vendor/x", "SRC/A", "d/private/x", "docs/../a"]);
    let tree = select(vec![".", "src", "docs/a", "secrets", "vendor", "private"]);
    let reference = select(vec!["main", "release/1", "old", "dev"]);
    (
        select(tools.to_vec()),
        any::<bool>(),
        prop::option::of(repo),
        prop::collection::vec(path, 0..3),
        prop::option::of(tree),
        prop::option::of(reference),
    )
        .prop_map(|(tool, local, repo, paths, tree, reference)| {
            let mut scopes: Vec<(ScopeKind, &str)> = repo.into_iter().map(|repo| (Repo, repo)).collect();
            scopes.extend(paths.into_iter().map(|path| (Path, path)));
            scopes.extend(tree.into_iter().map(|tree| (Tree, tree)));
            scopes.extend(reference.into_iter().map(|reference| (Ref, reference)));
            Ask::new(tool, &scopes).by(if local { "local:uid=1" } else { "key:ci" })
        })
}

const CALLERS: &[&str] = &["\"local:*\": {roles: [developer]}", "\"local:uid=1\": {roles: [pipeline]}", "\"local:uid=*\": {}", "\"key:*\": {}"];
const REPOSITORIES: &[&str] = &[
    "\"acme/*\": {write: false, paths: {allow: [\"src/**\"], deny: [\"docs/**\"]}}",
    "\"acme/app\": {write: true, paths: {allow: [\"**\"]}}",
    "\"*/app\": {write: false, refs: {deny: [old]}}",
    "\"**\": {write: true, tools: {deny: [workspace_search_code]}}",
];
const NAMESPACES: &[&str] = &["\"kube-*\": forbidden", "\"squad-*\": approval", "squad-x: read_only", "\"prod-*\": approval"];
const ENVIRONMENTS: &[&str] = &[
    "production: {match: {namespaces: [\"prod-*\"]}, approvals: [{group: ops, count: 2}], expires: 5m}",
    "numbered: {match: {namespaces: [\"*-1\"], repos: [\"acme/app\"]}, approvals: [{group: ops, count: 1}, {group: all, count: 1}], expires: 10m}",
];

/// A policy with these lines of settings, in this order.
fn settings(callers: &[&str], repositories: &[&str], namespaces: &[&str], environments: &[&str]) -> Policy {
    policy(&format!(
        "version: 1\nwrite_mode: on\ndefaults: {{read: allow}}\npeople: {{ana: {{}}, ben: {{}}}}\ngroups: {{ops: [ana, ben], all: [ana, ben]}}\n\
         callers: {{{}}}\nsystems: {{workspace: {{mode: approval_required_write}}, github: {{mode: mock}}, kubernetes: {{mode: mock}}}}\n\
         repositories: {{{}}}\nnamespaces: {{{}}}\nenvironments: {{{}}}\n\
         rules: [{{id: a, allow: {{tools: [github_create_issue, workspace_write_file, kubernetes_scale]}}, approvals: 0}}]\n",
        callers.join(", "),
        repositories.join(", "),
        namespaces.join(", "),
        environments.join(", ")
    ))
}

/// 0 denied, 1 with approval, 2 permitted.
pub(super) fn rank(decision: &Decision) -> u8 {
    match decision {
        Decision::Deny(_) => 0,
        Decision::NeedsApproval(..) => 1,
        Decision::Permit(_) => 2,
    }
}

pub(super) fn numbered(rules: &[Draft]) -> Vec<(usize, Draft)> {
    rules.iter().cloned().enumerate().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_further_denial_never_permits_more(read in any::<bool>(), rules in prop::collection::vec(draft(), 0..6), further in draft(), asks in prop::collection::vec(ask(), 16)) {
        let mut more = numbered(&rules);
        more.push((rules.len(), Draft { deny: true, ..further }));
        if let (Some(before), Some(after)) = (compiled(read, &numbered(&rules)), compiled(read, &more)) {
            for ask in asks {
                prop_assert!(rank(&ask.of(&after)) <= rank(&ask.of(&before)));
            }
        }
    }

    #[test]
    fn the_order_of_rules_means_nothing(
        read in any::<bool>(),
        (rules, shuffled) in prop::collection::vec(draft(), 0..6).prop_flat_map(|rules| { let all = numbered(&rules); (Just(all.clone()), Just(all).prop_shuffle()) }),
        asks in prop::collection::vec(ask(), 16),
    ) {
        if let (Some(one), Some(other)) = (compiled(read, &rules), compiled(read, &shuffled)) {
            for ask in asks {
                prop_assert_eq!(format!("{:?}", ask.of(&one)), format!("{:?}", ask.of(&other)));
            }
        }
    }

    #[test]
    fn the_order_of_settings_means_nothing(
        callers in Just(CALLERS.to_vec()).prop_shuffle(),
        repositories in Just(REPOSITORIES.to_vec()).prop_shuffle(),
        namespaces in Just(NAMESPACES.to_vec()).prop_shuffle(),
        environments in Just(ENVIRONMENTS.to_vec()).prop_shuffle(),
        namespace in select(vec!["squad-a", "squad-x", "prod-1", "kube-system", "default"]),
        asks in prop::collection::vec(ask(), 8),
    ) {
        let one = settings(CALLERS, REPOSITORIES, NAMESPACES, ENVIRONMENTS);
        let other = settings(&callers, &repositories, &namespaces, &environments);
        let scale = Ask::new("kubernetes_scale", &[(ScopeKind::Namespace, namespace)]);
        for ask in asks.iter().chain([&scale]) {
            let told = |policy: &Policy| match ask.of(policy) {
                Decision::NeedsApproval(permit, mut requirement) => {
                    requirement.approvals.sort_by(|a, b| a.group.cmp(&b.group));
                    requirement.environments.sort();
                    format!("{:?} {requirement:?}", permit.rules())
                }
                other => ask.outcome(policy) + other.name(),
            };
            prop_assert_eq!(told(&one), told(&other));
        }
    }

    #[test]
    fn the_index_and_the_plain_reading_agree(read in any::<bool>(), rules in prop::collection::vec(draft(), 0..8), asks in prop::collection::vec(ask(), 16)) {
        if let Some(policy) = compiled(read, &numbered(&rules)) {
            for ask in asks {
                ask.facts(|facts| {
                    if let Ok(call) = Call::new(&policy.core, facts) {
                        let plain = policy.core.matching(&call);
                        let ids = |indexes: Vec<u32>| indexes.iter().filter_map(|index| policy.core.rule(*index)).map(|rule| rule.rule.id.clone()).collect::<Vec<_>>();
                        let told = |effect| plain.iter().filter(|rule| rule.effect == effect && (effect == Effect::Deny || !rule.shadow)).map(|rule| rule.id.clone()).collect::<Vec<_>>();
                        prop_assert_eq!(ids(call.denying()), told(Effect::Deny));
                        prop_assert_eq!(ids(call.allowing()), told(Effect::Allow));
                    }
                    Ok(())
                })?;
            }
        }
    }

    #[test]
    fn the_filter_shows_what_decide_permits(read in any::<bool>(), rules in prop::collection::vec(draft(), 0..6), tree in select(vec![".", "src", "docs"]), reference in prop::option::of(select(REFS))) {
        let Some(policy) = compiled(read, &numbered(&rules)) else { return Ok(()) };
        let scopes = |last: (ScopeKind, &'static str)| [(Repo, "acme/app")].into_iter().chain(reference.filter(|one| !one.contains('*')).map(|one| (Ref, one))).chain([last]).collect::<Vec<_>>();
        let Decision::Permit(permit) = Ask::new("workspace_search_code", &scopes((Tree, tree))).of(&policy) else { return Ok(()) };
        let filter = permit.output_filter();
        for path in ["src/a", "src/b/c", "x.pem", "docs/a", "secrets/a", "a", "vendor/x", "SRC/A", "src/Private/x", "docs/x.pem/y", "docs/../a"] {
            let permitted = rank(&Ask::new("workspace_search_code", &scopes((Path, path))).of(&policy)) == 2;
            // A file may be shown only where it could be read; what could be read by another rule may be hidden.
            prop_assert!(permitted || !filter.shows_file(path), "{path} is shown");
            prop_assert!(!(read && permitted) || filter.shows_file(path), "{path} is hidden");
        }
        for folder in [".", "src", "docs", "secrets", "vendor/x", "docs/x.pem", "private"] {
            let permitted = rank(&Ask::new("workspace_search_code", &scopes((Tree, folder))).of(&policy)) == 2;
            prop_assert!(permitted || !filter.shows_tree(folder), "{folder} is shown");
        }
    }

    #[test]
    fn what_is_not_listed_is_never_permitted(read in any::<bool>(), rules in prop::collection::vec(draft(), 0..6), asks in prop::collection::vec(ask(), 16)) {
        if let Some(policy) = compiled(read, &numbered(&rules)) {
            for ask in asks {
                let permitted = rank(&ask.of(&policy)) > 0;
                let spec = spec(ask.tool);
                prop_assert!(!permitted || policy.could_permit(&ask.caller, ask.same_user, &spec), "{} is permitted and hidden", ask.tool);
            }
        }
    }

    #[test]
    fn an_empty_policy_refuses_everything(empty in select(vec!["", " \n\n", "{}", "---\n", "# nothing\n", "version: 1", "version: 1\nrules:\n"]), ask in ask()) {
        let policy = policy(empty);
        prop_assert_eq!(rank(&ask.of(&policy)), 0);
        prop_assert!(!policy.could_permit(&ask.caller, ask.same_user, &spec(ask.tool)));
    }
}

fn spec(name: &'static str) -> Spec {
    let catalogue = catalogue();
    let (_, listed) = catalogue.tools().find(|(one, _)| *one == name).unwrap();
    let system = if listed.system == "workspace" { "workspace" } else { "github" };
    let card = opsgate_tools::tool::Card { name, system, title: "", description: "", risk: 0.0, open_world: false };
    Spec { card, class: listed.class, destructive: false, input_schema: Arc::default(), output_schema: Arc::default() }
}

/// The six conditions of a write: what the policy says where it holds, where it does not, and what the answer is then.
const SIX: [(&str, &str, &str); 6] = [
    ("write_mode: on", "write_mode: off", "write_off"),
    ("repositories: {\"acme/app\": {write: true}}", "repositories: {\"acme/app\": {write: false}}", "not_whitelisted"),
    ("systems: {github: {mode: approval_required_write}}", "systems: {github: {mode: read_only}}", "system_read_only"),
    ("  - {id: a, allow: {tools: [github_create_issue]}", "  - {id: a, allow: {tools: [workspace_write_file]}", "default_deny"),
    ("", "  - {id: b, deny: {repos: [\"acme/*\"]}}", "rule_denied"),
    (", approvals: 0}", "}", "needs_approval"),
];

fn six(holds: [bool; 6]) -> Policy {
    policy(&six_text(holds))
}

fn six_text(holds: [bool; 6]) -> String {
    let said = |index: usize| if holds[index] { SIX[index].0 } else { SIX[index].1 };
    format!("version: 1\ncallers: {{\"local:*\": {{}}}}\n{}\n{}\n{}\nrules:\n{}{}\n{}\n", said(0), said(1), said(2), said(3), said(5), said(4))
}

#[test]
fn the_gateways_own_user_writes_to_no_real_system() {
    let modes = [("mock", true), ("dry_run", true), ("approval_required_write", false)];
    for ((mode, alike), said) in modes.into_iter().flat_map(|mode| [(mode, ""), (mode, "same_user_writes: true\n")]) {
        let policy = policy(&six_text([true; 6]).replace("approval_required_write", mode).replace("version: 1\n", &format!("version: 1\n{said}")));
        let ask = Ask { same_user: true, ..Ask::new("github_create_issue", &[(Repo, "acme/app")]) };
        let expected = if alike || !said.is_empty() { "permit" } else { "same_user" };
        assert_eq!(ask.outcome(&policy), expected, "{mode} {said}");
        assert_eq!(policy.could_permit(&ask.caller, true, &spec(ask.tool)), expected == "permit", "{mode} {said}");
    }
}

#[test]
fn the_callers_own_files_are_no_real_system() {
    let policy = policy(
        "version: 1\nwrite_mode: on\ncallers: {\"local:*\": {}}\nsystems: {workspace: {mode: approval_required_write}}\n\
         repositories: {\"/src/app\": {write: true}}\nrules: [{id: a, allow: {tools: [workspace_write_file]}, approvals: 0}]\n",
    );
    let ask = Ask { same_user: true, ..Ask::new("workspace_write_file", &[(Repo, "/src/app")]) };
    assert_eq!(ask.outcome(&policy), "permit");
}

#[test]
fn a_write_needs_all_six() {
    let ask = Ask::new("github_create_issue", &[(Repo, "acme/app")]);
    for bits in 0..64u8 {
        let holds: [bool; 6] = std::array::from_fn(|index| bits & (1 << index) != 0);
        let outcome = ask.outcome(&six(holds));
        let missing: Vec<&str> = SIX.iter().zip(holds).filter(|(_, holds)| !holds).map(|((.., code), _)| *code).collect();
        match missing.as_slice() {
            [] => assert_eq!(outcome, "permit"),
            [one] => assert_eq!(outcome, *one),
            several => assert!(several.contains(&outcome.as_str()) && outcome != "needs_approval" && outcome != "permit", "{several:?}: {outcome}"),
        }
    }
}
