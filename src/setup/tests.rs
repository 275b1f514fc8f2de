//! Into a folder, as an image is made.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use super::*;
use crate::trust::{Acl, Tag};

const GATEWAY: u32 = 4_000_001;
const AGENT: u32 = 4_000_002;

/// A machine in a folder, whose users are there already.
fn image() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::create_dir(dir.path().join("etc")).unwrap();
    let passwd = format!("root:x:0:0::/root:/bin/sh\ngate:x:{GATEWAY}:{GATEWAY}::/:/usr/sbin/nologin\nana:x:{AGENT}:{AGENT}::/home/ana:/bin/sh\n");
    std::fs::write(dir.path().join("etc/passwd"), passwd).unwrap();
    std::fs::write(dir.path().join("etc/group"), format!("root:x:0:\ngate:x:{GATEWAY}:\nana:x:{AGENT}:\n")).unwrap();
    dir
}

fn install(dir: &tempfile::TempDir) -> Install {
    Install {
        layout: Layout::new(dir.path(), "gate").unwrap(),
        agent: Some("ana".into()),
        approver: Some("ben".into()),
        workspaces: Vec::new(),
        writable: false,
        listen: None,
        systemd: true,
    }
}

fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        crate::skipped::skipped("only root gives files to other users");
    }
    root
}

fn states(install: &Install, dry: bool) -> Vec<&'static str> {
    install.run(dry, |_| {}).unwrap().steps.into_iter().map(|step| step.state).collect()
}

#[test]
fn a_plan_does_nothing_and_a_second_run_changes_nothing() {
    if !is_root() {
        return;
    }
    let dir = image();
    let install = install(&dir);
    let planned = states(&install, true);
    assert!(planned.contains(&"planned") && !dir.path().join("etc/gate").exists(), "{planned:?}");
    assert!(states(&install, false).contains(&"done"));
    let again = states(&install, false);
    assert!(again.iter().all(|state| *state == "already"), "{again:?}");
    let facts = check(&install.layout, true, None);
    assert!(facts.iter().all(|fact| fact.ok), "{facts:#?}");
}

#[test]
fn a_policy_that_is_there_is_kept_and_its_mode_mended() {
    if !is_root() {
        return;
    }
    let dir = image();
    let install = install(&dir);
    states(&install, false);
    let policy = dir.path().join("etc/gate/policy.yaml");
    std::fs::write(&policy, "version: 1\n# ours\n").unwrap();
    std::fs::set_permissions(&policy, PermissionsExt::from_mode(0o666)).unwrap();
    let installed = install.run(false, |_| {}).unwrap();
    assert_eq!(std::fs::read_to_string(&policy).unwrap(), "version: 1\n# ours\n");
    assert_eq!(policy.metadata().unwrap().mode() & 0o7777, 0o640);
    let notes = installed.notes.join("\n");
    assert!(notes.contains(&format!("local:uid={AGENT}")) && notes.contains("approvers: [ben]"), "{notes}");
}

#[test]
fn no_boundary_is_no_installation() {
    let dir = image();
    for (agent, expected) in [(None, "--agent"), (Some("nobody-here"), "no user"), (Some("root"), "no boundary"), (Some("gate"), "no boundary")] {
        let install = Install { agent: agent.map(str::to_owned), ..install(&dir) };
        let error = install.run(true, |_| {}).unwrap_err().to_string();
        assert!(error.contains(expected), "{agent:?}: {error}");
    }
    for name in ["root", "", "Gate", "a/b", "-x", "a b"] {
        assert!(Layout::new(dir.path(), name).is_err(), "{name}");
    }
}

/// The gateway's user reads what is the owner's, and nothing that only lies or points there.
#[test]
fn what_is_not_the_owners_is_left_alone() {
    if !is_root() {
        return;
    }
    let dir = image();
    if rustix::fs::setxattr(dir.path(), "system.posix_acl_access", &Acl::of_mode(0o755).granting(1, 1).bytes(), rustix::fs::XattrFlags::empty())
        .is_err()
    {
        crate::skipped::skipped("this file system has no access lists");
        return;
    }
    let work = dir.path().join("home/ana/work");
    std::fs::create_dir_all(work.join("sub")).unwrap();
    let own = |path: &Path, uid| std::os::unix::fs::chown(path, Some(uid), Some(uid)).unwrap();
    let (theirs, mine, outside) = (work.join("sub/theirs"), work.join("mine"), dir.path().join("outside"));
    for file in [&theirs, &mine, &outside] {
        std::fs::write(file, "x").unwrap();
        std::fs::set_permissions(file, PermissionsExt::from_mode(0o600)).unwrap();
    }
    symlink(&outside, work.join("link")).unwrap();
    for path in [&dir.path().join("home/ana"), &work, &work.join("sub"), &theirs] {
        own(path, AGENT);
    }
    std::fs::set_permissions(dir.path().join("home/ana"), PermissionsExt::from_mode(0o700)).unwrap();
    for writable in [false, true] {
        let install = Install { workspaces: vec!["/home/ana/work".into()], writable, ..install(&dir) };
        assert!(states(&install, false).contains(&"done"));
        assert!(!states(&install, true).contains(&"planned"), "a second run has nothing to do");
        let bits = if writable { 6 } else { 4 };
        let list = |path: &Path, which: &str| {
            let mut bytes = vec![0u8; 1024];
            let length = rustix::fs::getxattr(path, which, &mut bytes).ok()?;
            Acl::parse(&bytes[..length])
        };
        let has =
            |path: &Path, bits: u16| list(path, "system.posix_acl_access").is_some_and(|acl| acl.holders(bits).any(|tag| tag == Tag::User(GATEWAY)));
        assert!(has(&work, bits | 1) && has(&work.join("sub"), bits | 1) && has(&theirs, bits));
        assert!(has(&dir.path().join("home/ana"), 1) && !has(&dir.path().join("home/ana"), 4));
        assert_eq!(has(&theirs, 2), writable);
        assert!(list(&work, "system.posix_acl_default").is_some());
        assert!(list(&mine, "system.posix_acl_access").is_none() && list(&outside, "system.posix_acl_access").is_none());
    }
    let unit = std::fs::read_to_string(dir.path().join("etc/systemd/system/gate.service")).unwrap();
    assert!(unit.contains("ReadWritePaths=\"/var/lib/gate/home\" \"-/run/gate\" \"/home/ana/work\"\n"), "{unit}");
}
