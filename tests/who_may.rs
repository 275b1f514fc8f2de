//! Who may: every tool in every state of what a write needs, held against what the design says, written out plainly. It grows by
//! itself: a new tool is in `every_spec`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod harness;

use harness::tools::specs;
use opsgate::catalogue;
use opsgate::policy::{Decision, Facts, Policy, Trigger};
use opsgate_tools::scope::{ScopeKind, Scopes};
use opsgate_tools::tool::{Class, Spec};
use serde_json::json;

const CALLER: &str = "local:uid=1000";
const MODES: [&str; 5] = ["mock", "dry_run", "read_only", "approval_required_write", "blocked"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rules {
    None,
    /// One for every second tool, from the first on or from the second: each tool is once among the named, and once others are.
    Even,
    Odd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deny {
    None,
    Rule,
    Repository,
    Shadow,
}

/// What a policy file says.
#[derive(Debug, Clone, Copy)]
struct File {
    mode: &'static str,
    write_mode: bool,
    whitelist: bool,
    rules: Rules,
    deny: Deny,
    approvals: u32,
    reads: bool,
}

/// What else a call depends on.
#[derive(Debug, Clone, Copy)]
struct Call {
    env_off: bool,
    same_user: bool,
    in_repository: bool,
}

impl File {
    fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for mode in MODES {
            for (write_mode, whitelist, reads) in bits() {
                for rules in [Rules::None, Rules::Even, Rules::Odd] {
                    for deny in [Deny::None, Deny::Rule, Deny::Repository, Deny::Shadow] {
                        all.extend([0, 1].map(|approvals| Self { mode, write_mode, whitelist, rules, deny, approvals, reads }));
                    }
                }
            }
        }
        all
    }

    fn names(self, place: usize) -> bool {
        match self.rules {
            Rules::None => false,
            Rules::Even => place.is_multiple_of(2),
            Rules::Odd => !place.is_multiple_of(2),
        }
    }

    fn text(self, specs: &[Spec]) -> String {
        let names: Vec<_> = specs.iter().map(|spec| spec.card.name).collect();
        let systems: serde_json::Map<_, _> = specs.iter().map(|spec| (spec.card.system.to_owned(), json!({ "mode": self.mode }))).collect();
        let mut rules: Vec<_> = (specs.iter().enumerate())
            .filter(|(place, _)| self.names(*place))
            .map(|(_, spec)| {
                let mut rule = json!({ "id": format!("may-{}", spec.card.name), "allow": { "tools": [spec.card.name] } });
                if spec.class == Class::Write {
                    rule["approvals"] = self.approvals.into();
                }
                rule
            })
            .collect();
        match self.deny {
            Deny::Rule => rules.push(json!({ "id": "no", "deny": { "tools": names } })),
            Deny::Shadow => rules.push(json!({ "id": "no", "mode": "shadow", "deny": { "tools": names } })),
            Deny::None | Deny::Repository => {}
        }
        let mut repository = json!({ "write": self.whitelist });
        if self.deny == Deny::Repository {
            repository["tools"] = json!({ "deny": names });
        }
        json!({
            "version": 1,
            "write_mode": if self.write_mode { "on" } else { "off" },
            "defaults": { "read": if self.reads { "allow" } else { "deny" } },
            "callers": { "local:*": { "roles": ["developer"] } },
            "systems": systems,
            "repositories": { "acme/app": repository },
            "rules": rules,
        })
        .to_string()
    }
}

fn bits() -> impl Iterator<Item = (bool, bool, bool)> {
    (0..8).map(|n| (n & 1 != 0, n & 2 != 0, n & 4 != 0))
}

/// What is on this machine has nothing to mock: it is only read.
fn mode_of(file: File, spec: &Spec) -> &'static str {
    if file.mode == "mock" && is_local(spec) { "read_only" } else { file.mode }
}

/// What is the gateway's own or this machine's.
fn is_local(spec: &Spec) -> bool {
    matches!(spec.card.system, "approval" | "audit" | "incident" | "policy" | "workspace")
}

/// The design, in words: deny wins; reads by default or by a rule; a write needs write mode, a system that writes, a gateway that is
/// not its caller's own, a rule that names it, a target that may be written to, and its approvals.
fn expected(file: File, call: Call, spec: &Spec, named: bool) -> &'static str {
    let mode = mode_of(file, spec);
    if mode == "blocked" {
        return "system_blocked";
    }
    if file.deny == Deny::Rule {
        return "rule_denied";
    }
    if file.deny == Deny::Repository && call.in_repository {
        return "repository_denied";
    }
    if spec.class == Class::Read {
        return if file.reads || named { "permit" } else { "default_deny" };
    }
    if !file.write_mode || call.env_off {
        return "write_off";
    }
    if mode == "read_only" {
        return "system_read_only";
    }
    if call.same_user && mode == "approval_required_write" && !is_local(spec) {
        return "same_user";
    }
    if !named {
        return "default_deny";
    }
    // What is in no repository is whitelisted by the rule that names the tool.
    if call.in_repository && !file.whitelist {
        return "not_whitelisted";
    }
    // A write that only shows what it would do asks nobody.
    if file.approvals > 0 && mode != "dry_run" { "needs_approval" } else { "permit" }
}

/// Whether some arguments could be permitted: what lists of tools show, but for `WRITE_MODE` in the environment.
fn could(file: File, call: Call, spec: &Spec, named: bool) -> bool {
    let deny = if file.deny == Deny::Rule { Deny::Rule } else { Deny::None };
    let elsewhere = File { whitelist: true, deny, ..file };
    matches!(expected(elsewhere, Call { env_off: false, ..call }, spec, named), "permit" | "needs_approval")
}

#[test]
fn who_may() {
    let (known, specs) = (catalogue::catalogue().unwrap(), specs());
    let (inside, nowhere) = (Scopes::of(ScopeKind::Repo, "acme/app"), Scopes::none("nothing is touched"));
    let (mut asked, mut permitted) = (0u32, 0u32);
    let mut wrong = Vec::new();
    for file in File::all() {
        let policy = Policy::parse(&file.text(&specs), "policy.yaml", &known).unwrap_or_else(|errors| panic!("{file:?}: {errors}"));
        for (place, spec) in specs.iter().enumerate() {
            let named = file.names(place);
            for (env_off, same_user, in_repository) in bits() {
                let call = Call { env_off, same_user, in_repository };
                let facts = Facts {
                    caller: CALLER,
                    tool: spec.card.name,
                    system: spec.card.system,
                    class: spec.class,
                    scopes: if in_repository { &inside } else { &nowhere },
                    trigger: Trigger::Client,
                    write_mode_env_off: env_off,
                    same_user,
                    change: &[],
                    now: jiff::Timestamp::UNIX_EPOCH,
                };
                let decision = policy.decide(&facts);
                let may = !matches!(decision, Decision::Deny(_));
                let outcome = match decision {
                    Decision::Deny(denial) => serde_json::to_value(denial.code).unwrap().as_str().unwrap().to_owned(),
                    other => other.name().to_owned(),
                };
                let listed = policy.could_permit(CALLER, same_user, spec);
                let wanted = (expected(file, call, spec, named), could(file, call, spec, named));
                if (outcome.as_str(), listed) != wanted || (may && !listed) {
                    wrong.push(format!("{} {file:?} {call:?}: {outcome}, listed {listed}; wanted {wanted:?}", spec.card.name));
                }
                asked += 1;
                permitted += u32::from(may);
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {asked} states are wrong:\n{}", wrong.len(), wrong.iter().take(20).cloned().collect::<Vec<_>>().join("\n"));
    // Each tool in each state, and neither answer is the only one.
    assert_eq!(asked as usize, specs.len() * 5 * 8 * 3 * 4 * 2 * 8);
    assert!(permitted > asked / 20 && permitted < asked / 2, "{permitted} of {asked} are permitted");
}
