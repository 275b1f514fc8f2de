use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// `a/b/file`, each with a mode that is fine.
fn tree() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a/b/file");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, "x").unwrap();
    for part in ["a", "a/b"] {
        mode(&dir.path().join(part), 0o755);
    }
    mode(&file, 0o644);
    (dir, file)
}

#[test]
fn each_step_of_the_way_is_judged() {
    let (dir, file) = tree();
    guarded(&file).unwrap();
    for (part, good, bad) in [("a", 0o755, 0o757), ("a/b", 0o755, 0o777), ("a/b/file", 0o644, 0o646)] {
        let part = dir.path().join(part);
        mode(&part, bad);
        let error = guarded(&file).unwrap_err();
        assert_eq!(error.at, part.canonicalize().unwrap());
        assert!(error.to_string().contains("everybody") && error.mend.starts_with("chmod o-w "), "{error}");
        mode(&part, good);
    }
    // Through a link: the link's own folder, and the way to what it names.
    let link = dir.path().join("link");
    symlink("a/../a/b/file", &link).unwrap();
    guarded(&link).unwrap();
    mode(&dir.path().join("a/b"), 0o777);
    assert!(guarded(&link).is_err());
    mode(&dir.path().join("a/b"), 0o1777);
    guarded(&link).unwrap();
}

#[test]
fn a_link_in_a_circle_ends() {
    let dir = tempfile::tempdir().unwrap();
    symlink("two", dir.path().join("one")).unwrap();
    symlink("one", dir.path().join("two")).unwrap();
    assert!(guarded(&dir.path().join("one")).unwrap_err().who.contains("nowhere"));
}

#[test]
fn what_is_not_there_yet_is_judged_by_its_folders() {
    let (dir, file) = tree();
    guarded(&file.with_file_name("later")).unwrap();
    mode(&dir.path().join("a/b"), 0o777);
    assert!(guarded(&file.with_file_name("later")).is_err());
}

#[test]
fn an_access_list_counts() {
    let (_dir, file) = tree();
    let set = |acl: &Acl| rustix::fs::setxattr(&file, "system.posix_acl_access", &acl.bytes(), rustix::fs::XattrFlags::empty());
    let plain = Acl::of_mode(0o644);
    if set(&plain.granting(4_000_001, 4)) == Err(rustix::io::Errno::OPNOTSUPP) {
        crate::skipped::skipped("this file system has no access lists");
        return;
    }
    guarded(&file).unwrap();
    set(&plain.granting(4_000_001, 6)).unwrap();
    let error = guarded(&file).unwrap_err();
    assert!(error.mend.starts_with("setfacl -x u:4000001 "), "{error}");
    set(&plain.granting(rustix::process::geteuid().as_raw(), 6)).unwrap();
    guarded(&file).unwrap();
}

#[test]
fn others_files_and_groups_with_others_are_told_with_the_mend() {
    if !rustix::process::geteuid().is_root() {
        crate::skipped::skipped("only root can give files away");
        return;
    }
    let (_dir, file) = tree();
    std::os::unix::fs::chown(&file, Some(4_000_001), None).unwrap();
    let error = guarded(&file).unwrap_err();
    assert!(error.to_string().contains("belongs to uid 4000001") && error.mend.starts_with("chown -h root "), "{error}");
    guarded_for(&file, &[0, 4_000_001]).unwrap();
    std::os::unix::fs::chown(&file, Some(0), Some(4_000_001)).unwrap();
    guarded(&file).unwrap();
    mode(&file, 0o664);
    let error = guarded(&file).unwrap_err();
    assert!(error.mend.starts_with("chmod g-w "), "{error}");
    // Root's own group has no other member.
    std::os::unix::fs::chown(&file, Some(0), Some(0)).unwrap();
    guarded(&file).unwrap();
}

#[test]
fn names_are_quoted_for_a_shell() {
    assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    assert_eq!(quoted(Path::new("/etc/opsgate/policy.yaml")), "/etc/opsgate/policy.yaml");
}

#[test]
fn only_a_namespace_without_root_shows_it_as_nobody() {
    for (map, expected) in
        [("         0          0 4294967295\n", false), ("1000 1000 1\n", true), ("0 1000 1\n1 100000 65536\n", false), ("", false)]
    {
        assert_eq!(hides_root(map), expected, "{map}");
    }
}
