//! The tools this build has: every system's, and the gateway's own.

use std::sync::Arc;

use opsgate_tools::registry::{DuplicateTool, Registry};
use opsgate_tools::tool::{Class, ReadTool, Spec, Tool, read};

use crate::policy::{Catalogue, Explain, Policy, Whoami};

/// The tools that reach other systems.
fn systems() -> Vec<Arc<dyn Tool>> {
    opsgate_tools::workspace::tools()
}

/// All tools under this policy.
///
/// # Errors
/// Where two tools share a name.
pub fn registry(policy: &Arc<Policy>, write_mode_off: bool) -> Result<Registry, DuplicateTool> {
    let others = Registry::new(systems())?;
    let own = [read(Whoami::new(policy.clone())), read(Explain::new(policy.clone(), others, write_mode_off))];
    Registry::new(systems().into_iter().chain(own))
}

/// The names a policy may use.
///
/// # Errors
/// Where two tools share a name.
pub fn catalogue() -> Result<Catalogue, DuplicateTool> {
    let others = specs(&Registry::new(systems())?);
    let own = [Whoami::CARD, Explain::CARD].map(|card| (card.name, card.system, Class::Read));
    Ok(Catalogue::of(others.iter().map(|spec| (spec.card.name, spec.card.system, spec.class)).chain(own)))
}

/// The constants and schemas of every tool, by name.
#[must_use]
pub fn specs(registry: &Registry) -> Vec<Spec> {
    registry.iter().map(|tool| tool.spec().clone()).collect()
}
