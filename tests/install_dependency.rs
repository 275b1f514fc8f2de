//! Installing a dependency by a declared command: what changes, what does not, and what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod harness;

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use harness::Home;
use harness::commands::{Stand, output, policy};
use harness::repository::Repository;
use harness::stdio::Client;
use serde_json::json;

/// A package manager of the test's own: it replaces manifests by rename in the top folder, as the real ones do, and takes liberties.
const MANAGER: &str = r#"
import os, sys
name, version = sys.argv[1].split('@')
assert len(sys.argv) == 2
def replace(path, text):
    open(path + '.new', 'w').write(text)
    os.rename(path + '.new', path)
replace('Cargo.lock', open('Cargo.lock').read() + f'\n[[package]]\nname = "{name}"\nversion = "{version}"\n\n[[package]]\nname = "inner"\nversion = "0.1.0"\n')
replace('manifest', open('manifest').read() + name + '\n')
os.makedirs('vendor/new')
open('vendor/new/file', 'w').write(name)
os.chmod('vendor/new/file', 0o755)
os.symlink('new/file', 'vendor/link')
os.unlink('vendor/old')
open('undeclared', 'w').write('x')
open('manager.py', 'a').write('# changed')
print('seen', sorted(os.listdir('.')))
"#;
const INSTALL: &str = "install: {argv: [/usr/bin/python3, manager.py, \"{dependency}\"], writable: [Cargo.lock, manifest, vendor]}";

fn manager_files() -> Vec<(&'static str, &'static str)> {
    let lock = "version = 4\n\n[[package]]\nname = \"app\"\nversion = \"0.1.0\"\n";
    vec![
        ("manager.py", MANAGER),
        ("Cargo.lock", lock),
        ("manifest", "first\n"),
        ("vendor/old", "x"),
        ("vendor/kept", "y"),
        (".env", "A=1"),
        ("hidden/x", "y"),
    ]
}

#[test]
fn a_dependency_is_installed_and_only_what_is_declared_changes() {
    let mut stand = Stand::with(&manager_files(), INSTALL);
    let result = stand.done("workspace_install_dependency", json!({ "name": "sums", "version": "1.2.3" }));
    assert_eq!((&result["exit_code"], &result["installed_version"]), (&json!(0), &json!("1.2.3")), "{result}");
    assert_eq!(result["dependencies_added"], json!(["inner@0.1.0", "sums@1.2.3"]));
    assert_eq!(result["files_changed"], json!(["Cargo.lock", "manifest", "vendor/link", "vendor/new/file", "vendor/old"]));
    assert!(!output(&result).contains(".git'") && !output(&result).contains(".env") && !output(&result).contains("hidden"), "{result}");
    let read = |path: &str| std::fs::read_to_string(stand.path(path)).ok();
    assert_eq!(read("manifest").unwrap(), "first\nsums\n");
    assert_eq!(read("vendor/link").unwrap(), "sums");
    assert_eq!(std::fs::metadata(stand.path("vendor/new/file")).unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!((read("vendor/old"), read("undeclared"), read("vendor/kept").as_deref()), (None, None, Some("y")));
    assert_eq!(read("manager.py").unwrap(), MANAGER);
    assert_eq!(read(".env").unwrap(), "A=1");
    let outcomes = stand.home.entries_of("call.outcome");
    assert!(outcomes[0]["data"]["reference"].as_str().unwrap().starts_with("inner@0.1.0 sums@1.2.3; Cargo.lock manifest"), "{outcomes:?}");
}

#[test]
fn a_failed_installation_changes_nothing() {
    let mut stand = Stand::with(&manager_files(), INSTALL);
    std::fs::write(stand.path("manager.py"), MANAGER.to_owned() + "sys.exit(3)\n").unwrap();
    let result = stand.done("workspace_install_dependency", json!({ "name": "sums", "version": "1.2.3" }));
    assert_eq!((&result["exit_code"], &result["files_changed"]), (&json!(3), &json!([])), "{result}");
    assert_eq!(std::fs::read_to_string(stand.path("manifest")).unwrap(), "first\n");
}

#[test]
fn what_changed_meanwhile_is_not_overwritten() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let wait = format!("import socket\nsocket.create_connection(('127.0.0.1', {})).recv(1)\n", listener.local_addr().unwrap().port());
    let mut stand = Stand::with(&manager_files(), &INSTALL.replace("argv:", "network: on, argv:"));
    std::fs::write(stand.path("manager.py"), MANAGER.to_owned() + &wait).unwrap();
    let id = stand.client.ask("tools/call", json!({ "name": "workspace_install_dependency", "arguments": { "name": "sums", "version": "1.2.3" } }));
    let connection = listener.accept().unwrap();
    std::fs::write(stand.path("manifest"), "mine\n").unwrap();
    drop(connection);
    let reply = stand.client.receive();
    assert_eq!(reply["id"], id);
    assert_eq!(reply["result"]["_meta"]["opsgate/refusal"]["code"], "moved", "{reply}");
    assert_eq!(std::fs::read_to_string(stand.path("manifest")).unwrap(), "mine\n");
    assert!(stand.path("vendor/old").exists());
}

#[test]
fn what_is_no_package_is_refused() {
    let mut stand = Stand::with(&manager_files(), INSTALL);
    for name in ["--registry=http://x", "../x", "https://x/y", "a b", "a;b", "", "pkg.tar.gz"] {
        assert_eq!(stand.client.refusal("workspace_install_dependency", json!({ "name": name })), "invalid_arguments", "{name}");
    }
    assert_eq!(stand.client.refusal("workspace_install_dependency", json!({ "name": "a", "version": "-1" })), "invalid_arguments");
    assert_eq!(stand.client.refusal("workspace_install_dependency", json!({ "name": "a", "command": "none" })), "invalid_arguments");
}

#[test]
fn in_dry_run_nothing_runs_and_the_preview_says_what_would() {
    let repository = Repository::with(&manager_files());
    let policy = policy(&format!("{INSTALL}, test: {{argv: [/bin/sh, -c, \"echo x > ran\"], timeout: 7s}}"));
    let home = Home::with_policy(&policy.replace("mode: approval_required_write", "mode: dry_run"));
    let mut client = Client::legacy(&home, &["--in-process", "--workspace", repository.arg()]);
    let answer = client.answer("workspace_install_dependency", json!({ "name": "sums", "version": "1.2.3" }));
    assert_eq!((&answer["status"], &answer["preview"]["change"]["argv"][2]), (&json!("dry_run"), &json!("sums@1.2.3")), "{answer}");
    assert_eq!(answer["preview"]["change"]["writes"], json!(["Cargo.lock", "manifest", "vendor"]));
    let answer = client.answer("workspace_run_tests", json!({}));
    assert_eq!((&answer["status"], &answer["preview"]["change"]["timeout_seconds"]), (&json!("dry_run"), &json!(7)), "{answer}");
    assert_eq!(answer["preview"]["change"]["network"], false);
    assert!(!repository.path().join("ran").exists());
}

#[test]
fn what_is_not_declared_is_not_there() {
    for (commands, tests, install) in [("", false, false), ("test: {argv: [/bin/true]}", true, false), (INSTALL, false, true)] {
        let mut stand = Stand::with(&manager_files(), commands);
        let tools = stand.client.tools();
        assert_eq!(tools.contains(&"workspace_run_tests".to_owned()), tests, "{commands}");
        assert_eq!(tools.contains(&"workspace_install_dependency".to_owned()), install, "{commands}");
    }
}
