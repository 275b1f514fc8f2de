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
    listed(person, sandbox())
}

/// The kernel answers for the user who asks: a container or a rule can refuse one user what it gives another.
fn listed(person: &Person, sandbox: Result<(), String>) -> Vec<Need> {
    let missing = sandbox.err().map(|why| format!("{why} (looked at as {}; for a gateway of another user it may be otherwise)", person.name));
    let sandbox = Need { id: "sandbox", missing, without: "the policy's declared commands: they run in a sandbox or not at all" };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_and_as_whom_it_was_looked_at() {
        let bin = tempfile::tempdir().unwrap();
        std::fs::write(bin.path().join("git"), "").unwrap();
        let person = Person::with(bin.path(), &[("PATH", bin.path().to_str().unwrap())]);
        let missing = |sandbox: Result<(), String>| -> Vec<(&'static str, String)> {
            listed(&person, sandbox).into_iter().filter_map(|need| Some((need.id, need.missing?))).collect()
        };
        let systemctl = ("systemctl", "not on the PATH".to_owned());
        assert_eq!(missing(Ok(())), std::slice::from_ref(&systemctl));
        let told = missing(Err("this kernel has no Landlock".to_owned()));
        assert_eq!(told.len(), 2);
        assert_eq!(told[1], systemctl);
        assert_eq!(told[0].0, "sandbox");
        assert!(told[0].1.starts_with("this kernel has no Landlock (looked at as test"), "{}", told[0].1);
    }
}
