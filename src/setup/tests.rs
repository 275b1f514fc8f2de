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
    git_folder(&work, AGENT);
    for path in [&dir.path().join("home/ana"), &work, &work.join("sub"), &theirs] {
        own(path, AGENT);
    }
    std::fs::set_permissions(dir.path().join("home/ana"), PermissionsExt::from_mode(0o700)).unwrap();
    for writable in [false, true, false] {
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
        assert_eq!(has(&theirs, 2), writable, "writing is given, and taken back");
        assert_eq!((has(&work, 2), has(&work.join("sub"), 2)), (writable, writable));
        let unit = std::fs::read_to_string(dir.path().join("etc/systemd/system/gate.service")).unwrap();
        let line = "ReadWritePaths=\"/var/lib/gate/home\" \"-/run/gate\"";
        let expected = if writable { format!("{line} \"/home/ana/work\"\n") } else { format!("{line}\n") };
        assert!(unit.contains(&expected), "{unit}");
        assert!(unit.contains("\nExecReload=/bin/kill -HUP $MAINPID\n"), "{unit}");
        assert!(list(&work, "system.posix_acl_default").is_some());
        assert!(list(&mine, "system.posix_acl_access").is_none() && list(&outside, "system.posix_acl_access").is_none());
    }
}

fn git_folder(work: &Path, uid: u32) {
    std::fs::create_dir_all(work.join(".git/objects")).unwrap();
    std::fs::write(work.join(".git/HEAD"), "ref: refs/heads/main\n").unwrap();
    for path in [work.to_owned(), work.join(".git"), work.join(".git/objects"), work.join(".git/HEAD")] {
        std::os::unix::fs::chown(path, Some(uid), Some(uid)).unwrap();
    }
}

/// Neither where the agent's links lead, nor what is another's, nor what is no repository.
#[test]
fn only_a_repository_of_the_agents_is_granted() {
    if !is_root() {
        return;
    }
    let dir = image();
    let at = |path: &str| dir.path().join(path);
    for (work, owner) in [("home/ana/src/mine", AGENT), ("home/ben/theirs", 4_000_003), ("root/secret", 0), ("root/lent", AGENT)] {
        std::fs::create_dir_all(at(work)).unwrap();
        git_folder(&at(work), owner);
    }
    std::fs::create_dir_all(at("home/ana/src/plain")).unwrap();
    for path in ["home/ana", "home/ana/src", "home/ana/src/plain"] {
        std::os::unix::fs::chown(at(path), Some(AGENT), Some(AGENT)).unwrap();
    }
    std::fs::set_permissions(at("root"), PermissionsExt::from_mode(0o700)).unwrap();
    for (link, target, owner) in [
        ("home/ana/src/evil", "/root/secret", AGENT),
        ("home/ana/src/self", "mine", AGENT),
        ("home/ana/src/roots", "mine", 0),
        ("circle", "/circle", 0),
        ("srv", "../home/ana/./src", 0),
    ] {
        symlink(target, at(link)).unwrap();
        std::os::unix::fs::lchown(at(link), Some(owner), Some(owner)).unwrap();
    }
    let listed = |path: &Path| rustix::fs::getxattr(path, "system.posix_acl_access", &mut [0u8; 1024]).is_ok();
    for (folder, why) in [
        ("/home/ana/src/evil", "not root's"),
        ("/home/ana/src/self", "not root's"),
        ("/home/ana/src/self/../mine", "not root's"),
        ("/home/ana/src/roots", "not root's"),
        ("/circle", "cannot be opened"),
        ("/root/secret", "belongs to uid 0"),
        ("/home/ben/theirs", "belongs to uid 4000003"),
        ("/", "no repository"),
        ("/../..", "no repository"),
        ("/etc", "belongs to uid 0"),
        ("/root", "belongs to uid 0"),
        ("/home", "belongs to uid 0"),
        ("/home/ana", "not the top of a git work tree"),
        ("/home/ana/src/plain", "not the top of a git work tree"),
        ("/home/ana/src/mine/.git", "not the top of a git work tree"),
        ("/home/ana/src/mine/.git/HEAD", "cannot be opened"),
        ("/nowhere", "cannot be opened"),
        ("/root/lent", "cannot pass"),
    ] {
        for writable in [false, true] {
            let install = Install { workspaces: vec![folder.into()], writable, ..install(&dir) };
            let error = install.run(false, |_| {}).unwrap_err().to_string();
            assert!(error.contains(why) && error.contains(&format!("`{folder}`")), "{folder}: {error}");
        }
        for path in ["root", "root/secret", "root/lent", "home/ben/theirs", "home/ana", "home", "etc"] {
            assert!(!listed(&at(path)), "{folder}: {path} was granted");
        }
    }
    // Nobody's but root's own links lead on.
    let reached = workspace::reach(&install(&dir).layout, Path::new("/srv/mine"), AGENT).unwrap();
    assert_eq!(reached.real, Path::new("/home/ana/src/mine"));
}
