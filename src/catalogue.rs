//! The tools this build has: every system's, and the gateway's own.

use std::sync::Arc;

use opsgate_tools::erased::{Tool, read};
use opsgate_tools::mode::Mode;
use opsgate_tools::registry::{DuplicateTool, Registry};
use opsgate_tools::tool::{Class, ReadTool, Spec};
use opsgate_tools::{github, workspace};

use crate::home::{GithubSettings, Settings};
use crate::in_force::policy_path;
use crate::policy::{Catalogue, Explain, Policy, Whoami};
use crate::trust::{Standing, Trust};

/// The tools that reach other systems, as this policy and this machine let them.
fn systems(policy: &Policy, settings: &Settings) -> Vec<Arc<dyn Tool>> {
    let (commands, author) = policy.workspace();
    let mut tools = workspace::tools(&workspace::Settings { commands, author, entry: std::env::current_exe().ok() });
    tools.extend(github::tools(&github_settings(policy, settings)));
    tools
}

/// What the policy's mode and the environment open together.
fn github_settings(policy: &Policy, settings: &Settings) -> github::Settings {
    let GithubSettings { real_calls, api, .. } = &settings.github;
    let mode = policy.mode("github");
    // A mode that needs no credential gets none.
    let token = if mode.is_some_and(Mode::is_real) { settings.github.token() } else { None };
    github::Settings::new(mode, github::Environment { real_calls: *real_calls, api: api.clone(), token })
}

/// What whoever starts the gateway should know: a real system that a key is missing for, and credentials that nothing needs.
#[must_use]
pub fn notices(policy: &Policy, settings: &Settings) -> Vec<String> {
    let mut notices = Vec::new();
    let real = policy.mode("github").is_some_and(Mode::is_real);
    if let (true, github::Access::Closed { why }) = (real, github_settings(policy, settings).access) {
        notices.push(why);
    }
    if let (false, Some(name)) = (real, settings.github.credential()) {
        let mode = policy.mode("github").map_or_else(|| "is not listed in the policy".to_owned(), |mode| format!("is in mode `{mode}`"));
        notices.push(format!("{name} is set, but github {mode} and needs no credential; unset it"));
    }
    notices
}

/// How a gateway with these settings stands to its callers.
#[must_use]
pub fn standing(settings: &Settings) -> Standing {
    Standing::of_this_process(policy_path(settings).as_deref(), &settings.home)
}

/// All tools under this policy, of a gateway that stands so to its callers: what explains a decision takes it as what decides does.
///
/// # Errors
/// Where two tools share a name.
pub fn registry(policy: &Arc<Policy>, settings: &Settings, standing: &Standing) -> Result<Registry, DuplicateTool> {
    let systems = systems(policy, settings);
    let others = Registry::new(systems.clone())?;
    let standing = standing.clone();
    let same_user = Arc::new(move |caller: &str| standing.towards_id(caller) == Trust::SameUser);
    let own = [read(Whoami::new(policy.clone())), read(Explain::new(policy.clone(), others, settings.write_mode_off, same_user))];
    Registry::new(systems.into_iter().chain(own))
}

/// The names a policy may use.
///
/// # Errors
/// Where two tools share a name.
pub fn catalogue() -> Result<Catalogue, DuplicateTool> {
    let others = specs(&Registry::new(every_system())?);
    let own = [Whoami::CARD, Explain::CARD].map(|card| (card, Class::Read, false));
    Ok(Catalogue::of_tools(others.iter().map(|spec| (spec.card, spec.class, spec.destructive)).chain(own)))
}

/// Every tool that a policy and a machine could let this build have, by name: for its page and the tests.
///
/// # Errors
/// Where two tools share a name.
pub fn every_spec(policy: &Arc<Policy>) -> Result<Vec<Spec>, DuplicateTool> {
    let own = [read(Whoami::new(policy.clone())), read(Explain::new(policy.clone(), Registry::default(), true, Arc::new(|_: &str| true)))];
    Ok(specs(&Registry::new(every_system().chain(own))?))
}

fn every_system() -> impl Iterator<Item = Arc<dyn Tool>> {
    workspace::every_tool().into_iter().chain(github::every_tool())
}

/// The constants and schemas of every tool, by name.
#[must_use]
pub fn specs(registry: &Registry) -> Vec<Spec> {
    registry.iter().map(|tool| tool.spec().clone()).collect()
}
