//! What opsgate uses where it is there, and what is missing without it.

use serde::Serialize;

use super::person::Person;

/// One thing that opsgate can use.
#[derive(Debug, Serialize)]
pub struct Need {
    /// Its name.
    pub id: &'static str,
    /// Why it cannot be used; `None` where it can.
    pub missing: Option<String>,
    /// What does not work without it.
    pub without: &'static str,
}

/// Programs: name, what does not work without it.
const PROGRAMS: [(&str, &str); 2] = [
    ("git", "commands of the policy that run git; opsgate's own git tools need none"),
    ("systemctl", "the state of systemd services; `opsgate setup` then writes a plain start script"),
];

pub(super) fn all(person: &Person) -> Vec<Need> {
    let sandbox = Need { id: "sandbox", missing: sandbox().err(), without: "the policy's declared commands: they run in a sandbox or not at all" };
    let programs =
        PROGRAMS.iter().map(|(id, without)| Need { id, missing: person.program(id).is_none().then(|| "not on the PATH".to_owned()), without });
    std::iter::once(sandbox).chain(programs).collect()
}

/// Whether declared commands can be run in a sandbox here.
///
/// # Errors
/// Why not.
fn sandbox() -> Result<(), String> {
    opsgate_tools::sandbox::available().map(|_| ()).map_err(|missing| missing.to_string())
}
