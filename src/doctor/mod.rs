//! `opsgate doctor`: how the gateway stands to the user who asks, what is missing, and the ways round it that this user holds.

mod gateway;
mod git;
mod needs;
mod person;
mod ssh;
mod sudo;
mod ways;

use serde::Serialize;

use crate::home::Settings;

pub use gateway::{Form, Found};
pub use needs::Need;
pub use person::Person;
pub use ways::{WAYS, Way};

/// All that was found. Holds no credential, only that there is one.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Who asked.
    pub user: String,
    /// The gateway that this user's clients reach.
    pub gateway: Found,
    /// What this machine has and lacks.
    pub needs: Vec<Need>,
    /// The ways round the gateway, each with what was found; nothing found is an empty list.
    pub ways: Vec<WayFound>,
}

/// One way round, and what was found of it.
#[derive(Debug, Serialize)]
pub struct WayFound {
    /// Its name.
    pub id: &'static str,
    /// What was looked at.
    pub looked_at: &'static str,
    /// What is there.
    pub findings: Vec<String>,
    /// What could not be told; it may be there.
    pub unknown: Option<String>,
    /// What to do about it.
    pub remedy: &'static str,
}

impl Report {
    /// Whether there is something to act on.
    #[must_use]
    pub fn has_findings(&self) -> bool {
        !self.gateway.problems.is_empty() || self.ways.iter().any(|way| !way.findings.is_empty())
    }
}

/// Looks at everything, as this person sees it. Starts nothing and changes nothing.
// INVARIANT: no program is run, sudo least of all (test: tests/setup.rs, doctor_tells_the_boundary_and_the_ways_round_it_without_their_values).
pub async fn examine(settings: &Settings, person: &Person) -> Report {
    let gateway = gateway::find(settings).await;
    let own = ways::round_the_gateway(&gateway, person);
    let held = WAYS.iter().map(|way| WayFound {
        id: way.id,
        looked_at: way.looked_at,
        findings: way.look(person),
        unknown: way.unknown(person),
        remedy: way.remedy,
    });
    let ways = own.into_iter().chain(held).collect();
    Report { user: person.name.clone(), gateway, needs: needs::all(person), ways }
}
