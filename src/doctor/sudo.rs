//! Whether this user could be root, as far as that is told without asking sudo: to ask is logged, and mailed to the
//! administrator where no rule allows it.

use std::path::{Path, PathBuf};

use super::person::Person;

/// The groups that distributions' rules make root.
const GROUPS: [&str; 3] = ["sudo", "wheel", "admin"];

pub(super) fn findings(person: &Person) -> Vec<String> {
    if person.uid == 0 {
        return vec!["this user is root: nothing here holds it".to_owned()];
    }
    if person.program("sudo").is_some() { look(person, Path::new("/etc")).findings } else { Vec::new() }
}

pub(super) fn unknown(person: &Person) -> Option<String> {
    if person.uid == 0 { None } else { person.program("sudo").and_then(|_| look(person, Path::new("/etc")).unknown) }
}

struct Looked {
    findings: Vec<String>,
    unknown: Option<String>,
}

/// Groups, and the rules beneath this folder where they can be read, which is rare.
fn look(person: &Person, etc: &Path) -> Looked {
    let groups = GROUPS.into_iter().filter(|group| person.is_in(group));
    let mut findings: Vec<_> = groups.map(|group| format!("this user is in the group {group}, whose members sudo makes root")).collect();
    let read: Vec<_> = files(etc).iter().map(|file| std::fs::read_to_string(file).ok()).collect();
    let hidden = read.iter().any(Option::is_none);
    let lines: Vec<_> = read.iter().flatten().flat_map(|text| text.lines().map(str::trim)).collect();
    if lines.iter().any(|line| line.starts_with("Defaults") && line.contains("!authenticate") || names(line, person) && line.contains("NOPASSWD")) {
        findings.push("sudo asks for no password".to_owned());
    } else if lines.iter().any(|line| names(line, person)) {
        findings.push("a rule of sudo's names this user".to_owned());
    }
    let aliased = lines.iter().any(|line| line.starts_with("User_Alias") || line.starts_with("@include"));
    let unknown = if hidden {
        Some("whether a rule of sudo's names this user: not all of its rules can be read, and to ask sudo is logged (`sudo -l` asks)".to_owned())
    } else {
        aliased.then(|| "whether an alias in sudo's rules names this user: `sudo -l` asks".to_owned())
    };
    Looked { findings, unknown }
}

/// The rules' files. A folder of them that cannot be listed stands for itself: it cannot be read either.
fn files(etc: &Path) -> Vec<PathBuf> {
    let folder = etc.join("sudoers.d");
    let mut files = vec![etc.join("sudoers")];
    match std::fs::read_dir(&folder) {
        Ok(entries) => files.extend(entries.flatten().map(|entry| entry.path())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(_) => files.push(folder),
    }
    files
}

/// Whether a rule is about this person.
fn names(line: &str, person: &Person) -> bool {
    let Some((whom, _)) = line.split_once([' ', '\t']) else { return false };
    match whom.strip_prefix('%') {
        Some(group) => person.is_in(group),
        None => whom == "ALL" || whom == format!("#{}", person.uid) || person.login.as_deref() == Some(whom),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_and_rules_are_told_and_what_cannot_be_read_is_unknown() {
        let no_password = "sudo asks for no password";
        let named = "a rule of sudo's names this user";
        let member = "this user is in the group wheel, whose members sudo makes root";
        for (rules, groups, findings, unknown) in [
            (None, &[][..], &[][..], true),
            (None, &["wheel"], &[member], true),
            (Some("root ALL=(ALL:ALL) ALL\n# test ALL=(ALL) NOPASSWD: ALL\n"), &[], &[], false),
            (Some("test ALL=(ALL) NOPASSWD: ALL\n"), &[], &[no_password], false),
            (Some("test\tALL=(ALL) ALL\n"), &[], &[named], false),
            (Some("%wheel ALL=(ALL) NOPASSWD: ALL\n"), &["wheel"], &[member, no_password], false),
            (Some("%ops ALL=(ALL) NOPASSWD: ALL\n"), &["staff"], &[], false),
            (Some("Defaults !authenticate\n"), &[], &[no_password], false),
            (Some("# one is hidden\ntest ALL=(ALL) NOPASSWD: ALL\n"), &[], &[no_password], true),
            (Some("User_Alias OPS = test\nOPS ALL=(ALL) ALL\n"), &[], &[], true),
        ] {
            let etc = tempfile::tempdir().unwrap();
            if let Some(rules) = rules {
                std::fs::create_dir(etc.path().join("sudoers.d")).unwrap();
                // A folder cannot be read as a file: neither can root.
                if rules.contains("hidden") {
                    std::fs::create_dir(etc.path().join("sudoers.d/hidden")).unwrap();
                }
                std::fs::write(etc.path().join("sudoers"), "# base\n").unwrap();
                std::fs::write(etc.path().join("sudoers.d/site"), rules).unwrap();
            }
            let looked = look(&Person::with(etc.path(), &[]).in_groups(groups), etc.path());
            assert_eq!(
                (looked.findings.as_slice(), looked.unknown.is_some()),
                (findings.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>().as_slice(), unknown),
                "{rules:?}"
            );
        }
    }
}
