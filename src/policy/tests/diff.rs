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
            let diff = one.diff(other).unwrap();
            assert!(diff.partial, "{more}");
            let told = |change: &Change| change.direction == direction && change.tools == [tool] && change.sentence().contains(target);
            assert!(diff.changes.iter().any(told), "{more}: {:?}", diff.changes);
        }
    }
    assert!(!old.diff(&of("")).unwrap().partial, "a policy is compared with itself");
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
