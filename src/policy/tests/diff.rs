//! What changes between two policies is told.

use proptest::prelude::*;

use super::super::review::samples::{Sampled, every_value};
use super::super::review::touches::touches;
use super::laws::{Draft, compiled, draft, numbered};
use super::*;

const TOOLS: &[&str] = &["workspace_read_file", "workspace_search_code", "workspace_write_file", "github_get_file", "github_create_issue"];

/// A call by its numbers: which tool, caller and shape, and which value of each kind.
type Drawn = (prop::sample::Index, prop::sample::Index, prop::sample::Index, [prop::sample::Index; 3]);

fn drawn() -> impl Strategy<Value = Drawn> {
    any::<Drawn>()
}

/// The ask and the name under which a difference tells its caller.
fn made(drawn: &Drawn, old: &Policy, new: &Policy) -> Option<(Ask, Sampled)> {
    let (tool, caller, shape, values) = drawn;
    let tool = *tool.get(TOOLS);
    let shape = shape.get(touches(tool).unwrap());
    let policies = [&*old.core, &*new.core];
    let local = tool.starts_with("workspace");
    let mut scopes = Scopes::none("a sample");
    for (kind, pick) in shape.iter().zip(values) {
        let all: Vec<String> =
            every_value(&policies, *kind).into_iter().filter(|value| *kind != ScopeKind::Repo || value.starts_with('/') == local).collect();
        scopes = scopes.and(*kind, pick.get(&all).as_str());
    }
    let callers = super::super::review::samples::Samples::of(&policies).unwrap().callers;
    let caller = caller.get(&callers).clone();
    Some((Ask { scopes, ..Ask::new(tool, &[]) }.by(&caller.id), caller))
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
        drawn in prop::collection::vec(drawn(), 12),
    ) {
        let (Some(old), Some(new)) = (compiled(reads.0, &numbered(&rules)), compiled(reads.1, &edited(&rules, &further, at))) else { return Ok(()) };
        let diff = old.diff(&new).unwrap();
        prop_assert!(!diff.partial);
        for drawn in &drawn {
            let Some((ask, caller)) = made(drawn, &old, &new) else { continue };
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
        if let Some(policy) = compiled(read, &numbered(&rules)) {
            prop_assert!(policy.diff(&policy).unwrap().is_empty());
        }
    }
}
