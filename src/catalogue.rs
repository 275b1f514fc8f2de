//! The tools this build has: every system's, and the gateway's own.

use std::sync::Arc;

use opsgate_tools::erased::{Tool, read};
use opsgate_tools::registry::{DuplicateTool, Registry};
use opsgate_tools::tool::{Class, ReadTool, Spec};
use opsgate_tools::workspace;

use crate::home::Settings;
use crate::policy::{Catalogue, Explain, Policy, Whoami};

/// The tools that reach other systems, as this policy and this machine let them.
fn systems(policy: &Policy) -> Vec<Arc<dyn Tool>> {
    let (commands, author) = policy.workspace();
    workspace::tools(&workspace::Settings { commands, author, entry: std::env::current_exe().ok() })
}

/// All tools under this policy.
///
/// # Errors
/// Where two tools share a name.
pub fn registry(policy: &Arc<Policy>, settings: &Settings) -> Result<Registry, DuplicateTool> {
    let others = Registry::new(systems(policy))?;
    let own = [read(Whoami::new(policy.clone())), read(Explain::new(policy.clone(), others, settings.write_mode_off, |_| true))];
    Registry::new(systems(policy).into_iter().chain(own))
}

/// The names a policy may use.
///
/// # Errors
/// Where two tools share a name.
pub fn catalogue() -> Result<Catalogue, DuplicateTool> {
    let others = specs(&Registry::new(workspace::every_tool())?);
    let own = [Whoami::CARD, Explain::CARD].map(|card| (card.name, card.system, Class::Read));
    Ok(Catalogue::of(others.iter().map(|spec| (spec.card.name, spec.card.system, spec.class)).chain(own)))
}

/// The constants and schemas of every tool, by name.
#[must_use]
pub fn specs(registry: &Registry) -> Vec<Spec> {
    registry.iter().map(|tool| tool.spec().clone()).collect()
}
