//! What changes between two policies is told.

use proptest::prelude::*;

use super::super::review::callers::Sampled;
use super::super::review::samples::{Samples, every_value};
use super::super::review::touches::touches;
use super::laws::{Draft, compiled, draft, numbered};
use super::*;

const TOOLS: &[&str] = &["workspace_read_file", "workspace_search_code", "workspace_write_file", "github_get_file", "github_create_issue"];

/// A call by its numbers: which tool, caller and shape, and which value of each kind.
type Drawn = (prop::sample::Index, prop::sample::Index, prop::sample::Index, [prop::sample::Index; 3]);

fn drawn() -> impl Strategy<Value = Drawn> {
    any::<Drawn>()
}

/// What a call is drawn from: the callers, and every value of each kind, also those that samples leave out as alike.
struct Drawer {
    callers: Vec<Sampled>,
    values: BTreeMap<ScopeKind, Vec<String>>,
}

impl Drawer {
    fn of(old: &Policy, new: &Policy) -> Self {
        let policies = [&*old.core, &*new.core];
        let values = ScopeKind::ALL.into_iter().map(|kind| (kind, every_value(&policies, kind))).collect();
        Self { callers: Samples::of(&policies).unwrap().callers, values }
    }

    fn ask(&self, (tool, caller, shape, values): &Drawn) -> (Ask, &Sampled) {
        let tool = *tool.get(TOOLS);
        let local = tool.starts_with("workspace");
        let mut scopes = Scopes::none("a sample");
        for (kind, pick) in shape.get(touches(tool).unwrap()).iter().zip(values) {
            let fits = |value: &&String| *kind != ScopeKind::Repo || value.starts_with('/') == local;
            let all: Vec<&String> = self.values[kind].iter().filter(fits).collect();
            scopes = scopes.and(*kind, pick.get(&all).as_str());
        }
        let caller = caller.get(&self.callers);
        (Ask { scopes, ..Ask::new(tool, &[]) }.by(&caller.id), caller)
    }
}

fn edited(rules: &[Draft], further: &Draft, at: prop::sample::Index) -> Vec<(usize, Draft)> {
    let mut all = numbered(rules);
    if all.is_empty() || at.index(3) == 0 {
        all.push((rules.len(), further.clone()));
    } else {
        let place = at.index(all.len());
        all.remove(place);
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn no_sampled_change_is_missed(
        reads in any::<(bool, bool)>(), rules in prop::collection::vec(draft(), 0..6), further in draft(), at in any::<prop::sample::Index>(),
        drawn in prop::collection::vec(drawn(), 64),
    ) {
        let (Some(old), Some(new)) = (compiled(reads.0, &numbered(&rules)), compiled(reads.1, &edited(&rules, &further, at))) else { return Ok(()) };
        let diff = old.diff(&new).unwrap();
        prop_assert!(!diff.partial);
        let drawer = Drawer::of(&old, &new);
        for drawn in &drawn {
            let (ask, caller) = drawer.ask(drawn);
            let ranked = |policy: &Policy| super::laws::rank(&ask.of(policy));
            let (before, after) = (ranked(&old), ranked(&new));
            let told = |direction| diff.changes.iter().any(|change| {
                change.direction == direction && change.callers.contains(&caller.stands_for) && change.tools.iter().any(|tool| tool == ask.tool)
            });
            prop_assert!(before >= after || told(Direction::Wider), "{ask:?} is wider and not told: {:?}", diff.changes);
            prop_assert!(before <= after || told(Direction::Narrower), "{ask:?} is narrower and not told: {:?}", diff.changes);
        }
    }

    #[test]
    fn what_is_the_same_has_no_changes(read in any::<bool>(), rules in prop::collection::vec(draft(), 0..6)) {
        let reversed: Vec<_> = numbered(&rules).into_iter().rev().collect();
        if let (Some(one), Some(other)) = (compiled(read, &numbered(&rules)), compiled(read, &reversed)) {
            prop_assert!(one.diff(&other).unwrap().is_empty());
        }
    }
}

/// Where there is too much to try all of it, what changed is tried first, whatever it is about.
#[test]
fn a_change_among_many_rules_is_told() {
    let many: String = (0..400)
        .map(|n| format!("  - {{id: d{n}, deny: {{tools: [workspace_read_file], repos: [\"/src/r{n}\"], paths: [\"p{n}/**\"]}}}}\n"))
        .collect();
    let of = |more: &str| {
        policy(&format!(
            "version: 1\nwrite_mode: on\ncallers: {{\"local:*\": {{}}}}\nsystems: {{workspace: {{mode: approval_required_write}}}}\n\
             repositories: {{\"/src/**\": {{write: true}}}}\nrules:\n  - {{id: read, allow: {{tools: [\"workspace_read_file\"], paths: [\"p9*/**\", \"zz/**\"]}}}}\n{many}{more}"
        ))
    };
    let old = of("");
    for (more, direction, tool, target) in [
        (
            "  - {id: zz, deny: {tools: [workspace_read_file], repos: [\"/src/zz\"], paths: [\"zz/keys/**\"]}}\n",
            Direction::Narrower,
            "workspace_read_file",
            "zz/keys",
        ),
        (
            "  - {id: zz, allow: {tools: [workspace_read_file], repos: [\"/src/zz\"], paths: [\"yy/**\"]}}\n",
            Direction::Wider,
            "workspace_read_file",
            "yy/**",
        ),
        (
            "  - {id: zz, allow: {tools: [workspace_write_file], repos: [\"/src/zz\"], paths: [\"yy/**\"]}}\n",
            Direction::Wider,
            "workspace_write_file",
            "yy/**",
        ),
    ] {
        for (one, other, direction) in
            [(&old, &of(more), direction), (&of(more), &old, if direction == Direction::Wider { Direction::Narrower } else { Direction::Wider })]
        {
            let diff = one.diff_within(other, 20_000).unwrap();
            assert!(diff.partial, "{more}");
            let told = |change: &Change| change.direction == direction && change.tools == [tool] && change.sentence().contains(target);
            assert!(diff.changes.iter().any(told), "{more}: {:?}", diff.changes);
        }
    }
    assert!(!old.diff_within(&of(""), 20_000).unwrap().partial, "a policy is compared with itself");
}

/// What `change` says, what a name says and what time it is are sampled too.
#[test]
fn what_risk_and_environments_look_at_is_sampled() {
    let with = |environment: &str, more: &str| {
        policy(&format!(
            "version: 1\nwrite_mode: on\npeople: {{ana: {{github: ana}}, ben: {{github: ben}}}}\ngroups: {{ops: [ana, ben]}}\ncallers: {{\"local:*\": {{}}}}\n\
             systems: {{workspace: {{mode: approval_required_write}}}}\nrepositories: {{\"/src/*\": {{write: true}}}}\n\
             environments: {{live: {{match: {{repos: [/src/app]}}{environment}}}}}\napprovals: {{default: {{approvals: [{{group: ops, count: 1}}]}}}}\n\
             rules: [{{id: w, allow: {{tools: [workspace_write_file], repos: [\"/src/*\"]}}}}]\n{more}"
        ))
    };
    let old = with("", "");
    for (environment, more, direction, target) in [
        ("", "risk: {two_approvals_from: 1, modifiers: {secret_path: 1}}\n", Direction::Approvals, "secret"),
        ("", "risk: {two_approvals_from: 1, modifiers: {unreasoned: 1}}\n", Direction::Approvals, "with"),
        ("", "risk: {two_approvals_from: 1, modifiers: {off_hours: 1}, hours: \"Mon-Fri 08:00-18:00 UTC\"}\n", Direction::Approvals, "with"),
        (", require: [rollback_plan]", "", Direction::Narrower, "/src/app"),
        (", hours: \"Mon-Fri 08:05-18:00 UTC\"", "", Direction::Narrower, "/src/app"),
    ] {
        let diff = old.diff(&with(environment, more)).unwrap();
        let told = |change: &Change| change.direction == direction && change.sentence().contains(target);
        assert!(diff.changes.iter().any(told), "{environment}{more}{:?}", diff.changes);
        assert!(diff.changes.iter().all(|change| change.direction == direction && change.callers == ["local:*"]), "{:?}", diff.changes);
        assert!(!diff.partial && !diff.settings.is_empty());
    }
}

/// A policy that says everything that one can.
const WHOLE: &str = include_str!("whole.yaml");

#[test]
fn every_setting_has_its_direction() {
    use super::super::review::entries::LISTS;
    use super::super::review::said;
    use super::super::review::weaker::{NEUTRAL, WEAKER, fits};
    let whole = said::Policy::of(&policy(WHOLE).core);
    let patterns: Vec<&str> =
        WEAKER.iter().map(|(pattern, _)| *pattern).chain(NEUTRAL.iter().copied()).chain(LISTS.iter().map(|(_, one)| *one)).collect();
    for (place, _) in whole.iter() {
        assert!(patterns.iter().any(|pattern| fits(pattern, place)), "`{}` is in no table", place.join("."));
    }
    for pattern in patterns {
        assert!(whole.iter().any(|(place, _)| fits(pattern, place)), "`{pattern}` is no place of a policy; `whole.yaml` has none");
    }
}

/// What is written otherwise, and whether it is weaker. The other way round it is not, unless the last is `true`.
const WEAKENED: &[(&str, &str, &str)] = &[
    ("write_mode: off", "write_mode: on", "write_mode"),
    ("automation: off", "automation: on", "automation"),
    ("read: deny, automation: deny", "read: allow, automation: deny", "defaults.read"),
    ("same_user_writes: false", "same_user_writes: true", "same_user_writes"),
    ("keys: [ana]", "keys: [ana, ana2]", "people.ana.keys"),
    ("ops: [ana, ben]", "ops: [ana, ben, eve]", "groups.ops"),
    ("{group: ops, count: 2}", "{group: ops, count: 1}", "approvals.default.ops"),
    ("expires: 20m", "expires: 25m", "approvals.expires"),
    ("mfa: required", "mfa: off", "environments.production.mfa"),
    ("require: [reasoning, rollback_plan]", "require: [reasoning]", "environments.production.require"),
    ("expires: 10m", "expires: 15m", "environments.production.expires"),
    ("approvals: [{group: sec, count: 1}]", "approvals: [{group: ops, count: 1}]", "environments.production.approvals.sec"),
    ("mode: read_only, commands", "mode: approval_required_write, commands", "systems.workspace.mode"),
    ("roots: [/src/app]", "roots: [/src/app, /src/other]", "systems.workspace.roots"),
    ("roots: [/src/app], ", "", "systems.workspace.roots"),
    ("network: off", "network: on", "systems.workspace.commands.test.network"),
    ("memory: 1GiB", "memory: 2GiB", "systems.workspace.commands.test.memory"),
    ("two_approvals_from: 0.5", "two_approvals_from: 0.6", "risk.two_approvals_from"),
    ("production: 0.3", "production: 0.1", "risk.modifiers.production"),
    ("calls: 100", "calls: 200", "budgets.calls"),
    ("concurrency: 5", "concurrency: 6", "limits.concurrency"),
    ("pii: detect", "pii: off", "scrub.pii"),
    ("on_exposure: withhold", "on_exposure: redact", "scrub.on_exposure"),
    ("level: request", "level: metadata", "audit.level"),
    ("reads: strict", "reads: fast", "audit.reads"),
];

#[test]
fn what_is_weaker_is_told_as_weaker_one_way_only() {
    let old = policy(WHOLE);
    for (had, has, name) in WEAKENED {
        assert_eq!(WHOLE.matches(had).count(), 1, "{had}");
        let new = policy(&WHOLE.replace(had, has));
        let names = |one: &Policy, other: &Policy| {
            let diff = one.diff_within(other, 1).unwrap();
            let names = |list: Vec<Setting>| list.into_iter().map(|setting| setting.name).collect::<Vec<_>>();
            (names(diff.weaker), names(diff.settings))
        };
        let told = names(&old, &new).0;
        assert!(told.iter().any(|told| told == name), "{name}: {told:?}");
        let (weaker, others) = names(&new, &old);
        assert!(others.iter().any(|told| told == name) && !weaker.iter().any(|told| told == name), "{name}: {weaker:?} {others:?}");
    }
}

/// What is written otherwise in an entry, where, the words that are told, and whether it may be wider.
const ENTRIES: &[(&str, &str, &str, bool)] = &[
    ("\"**/*.pem\", \"**/.ssh/**\"", "\"x\"", "rule `keys` changed, may be wider: paths went `**/*.pem`, `**/.ssh/**`, came `x`", true),
    ("\"**/*.pem\", ", "\"**/*.pem\", \"y\", ", "rule `keys` changed: paths came `y`", false),
    ("deny: {paths", "deny: {roles: [dev], paths", "rule `keys` changed, may be wider: roles `dev` (before: not said)", true),
    ("{id: keys, ", "{id: keys, mode: shadow, ", "rule `keys` changed, may be wider: mode `enforce` -> `shadow`", true),
    ("{id: keys, ", "{id: other, ", "rule `keys` removed, may be wider: effect `deny`; paths `**/*.pem`, `**/.ssh/**`", true),
    ("refs: [\"agent/*\"]", "refs: [\"agent/*\", main]", "rule `commit` changed, may be wider: refs came `main`", true),
    ("refs: [\"agent/*\"]", "refs: [\"agent/a*\"]", "refs went `agent/*`, came `agent/a*`", true),
    (", refs: [\"agent/*\"]", "", "rule `commit` changed, may be wider: refs `agent/*` (now: not said)", true),
    ("approvals: 2, because: work", "approvals: 1, because: work", "rule `commit` changed, may be wider: approvals `2` -> `1`", true),
    ("approvals: 2, because: work", "approvals: 2, because: play", "rule `commit` changed: because `work` -> `play`", false),
    ("write: true, paths: {deny: [\"a?/**\"]}", "write: true, paths: {deny: [\"ab/**\"]}", "paths.deny went `a?/**`, came `ab/**`", true),
    ("write: false", "write: true", "repository `/src/old` changed, may be wider: write `false` -> `true`", true),
    ("write: true, paths", "write: false, paths", "repository `/src/*` changed: write `true` -> `false`", false),
    ("\"key:ci-*\": {", "\"key:c*\": {", "caller `key:c*` added, may be wider: ", true),
    ("roles: [dev]}", "roles: [dev, admin]}", "caller `key:ci-*` changed, may be wider: roles came `admin`", true),
    ("prod: read_only", "prod: approval", "namespace `prod` changed, may be wider: tier `read_only` -> `approval`", true),
    (
        "match: {repos: [/src/app]",
        "match: {repos: [/src/ap]",
        "environment `production` changed, may be wider: match.repos went `/src/app`, came `/src/ap`",
        true,
    ),
];

#[test]
fn an_entry_that_differs_is_told_whether_or_not_a_sample_is() {
    let old = policy(WHOLE);
    for (had, has, words, wider) in ENTRIES {
        assert_eq!(WHOLE.matches(had).count(), 1, "{had}");
        let diff = old.diff_within(&policy(&WHOLE.replace(had, has)), 1).unwrap();
        let told: Vec<String> = diff.rules.iter().map(Entry::sentence).collect();
        assert!(told.iter().any(|line| line.contains(words)), "{words}: {told:?}");
        assert!(diff.rules.iter().any(|entry| entry.may_be_wider == *wider), "{told:?}");
        assert!(!diff.is_empty());
    }
}

/// However many they are, and whatever else differs.
#[test]
fn every_glob_that_goes_is_named() {
    let globs = |count: usize| (0..count).map(|n| format!("\"d{n}/**\"")).collect::<Vec<_>>().join(", ");
    let of = |count: usize| policy(&format!("version: 1\ndefaults: {{read: allow}}\nrules: [{{id: d, deny: {{paths: [{}]}}}}]\n", globs(count)));
    let diff = of(60).diff_within(&of(1), 1).unwrap();
    assert_eq!((diff.rules.len(), diff.rules[0].may_be_wider, diff.rules[0].keys[0].went.len()), (1, true, 59));
    assert!((1..60).all(|n| diff.rules[0].sentence().contains(&format!("`d{n}/**`"))));
}

/// A rule whose values are left out since there are too many: the cell that it could change says so.
#[test]
fn a_rule_of_which_no_sample_is_found_is_told() {
    let of = |many: usize, rule: &str| {
        let many: String =
            (0..many).map(|n| format!("{{id: a{n}, allow: {{roles: [other], tools: [workspace_read_file], paths: [\"p{n}/**\"]}}}}, ")).collect();
        let text = format!(
            "version: 1\nsystems: {{workspace: {{mode: read_only}}}}\ncallers: {{\"local:*\": {{roles: [dev]}}, \"key:*\": {{roles: [other]}}}}\nrules: [{many}{rule}]\n"
        );
        let matrix = policy(&text).matrix_within(&["local:*".to_owned()], 1).unwrap();
        let row = matrix.tools.iter().find(|row| row.tool == "workspace_read_file").unwrap();
        (row.cells[0].may, Matrix::text(&row.cells[0], &matrix.notes()), matrix)
    };
    let (may, text, matrix) = of(400, "{id: zz, allow: {roles: [dev], tools: [workspace_read_file], paths: [\"zz/**\"]}}");
    assert!(may == May::Some && matrix.partial, "{text}");
    assert!(matrix.notes().contains(&"by rule `zz`, of which no sample was found".to_owned()));
    let (may, text, _) = of(0, "{id: r, allow: {tools: [workspace_read_file], paths: [\"[!a-z0-9A-Z]*\"]}}");
    assert!(may == May::Some && text.contains("by path"), "{text}");
}

#[test]
fn a_glob_of_a_rule_is_in_the_matrix() {
    let page = |glob: &str| {
        let text = format!(
            "version: 1\ndefaults: {{read: allow}}\nsystems: {{github: {{mode: mock}}}}\ncallers: {{\"local:*\": {{}}}}\nrules: [{{id: d, deny: {{paths: [\"{glob}\"]}}}}]\n"
        );
        policy(&text).matrix(&[]).unwrap().markdown()
    };
    assert!(page("**/*.pem").contains("- rule `d`: deny; paths `**/*.pem`\n"), "{}", page("**/*.pem"));
    assert_ne!(page("**/*.pem"), page("**/*.pem2"));
}
