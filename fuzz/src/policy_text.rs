//! Any text as a policy: reading it never panics and never hangs, and what it says does not depend on when it is read.

use std::sync::LazyLock;

use opsgate::catalogue;
use opsgate::policy::{Catalogue, Facts, Policy, PolicyErrors, Trigger};
use opsgate_tools::scope::{ScopeKind, Scopes};
use opsgate_tools::tool::Class;

static KNOWN: LazyLock<Catalogue> = LazyLock::new(|| catalogue::catalogue().unwrap());

/// Caller, tool, system, class, and what is touched.
type Asked = (&'static str, &'static str, &'static str, Class, &'static [(ScopeKind, &'static str)]);

/// What policies are asked.
const ASKS: &[Asked] = &[
    ("local:uid=1000", "workspace_read_file", "workspace", Class::Read, &[(ScopeKind::Repo, "/srv/app"), (ScopeKind::Path, "a/b.pem")]),
    ("local:uid=1000", "workspace_write_file", "workspace", Class::Write, &[(ScopeKind::Repo, "/srv/app"), (ScopeKind::Path, "src/A.rs")]),
    ("local:uid=1000", "workspace_list_directory", "workspace", Class::Read, &[(ScopeKind::Repo, "/srv/app"), (ScopeKind::Tree, ".")]),
    ("key:ci-main", "github_create_issue", "github", Class::Write, &[(ScopeKind::Repo, "acme/app")]),
    ("key:ci-main", "policy_whoami", "policy", Class::Read, &[]),
];

/// Reads the bytes as a policy, twice.
pub fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let read = || Policy::parse(&text, "policy.yaml", &KNOWN);
    match (read(), read()) {
        (Ok(one), Ok(other)) => {
            assert_eq!(one.hash(), other.hash());
            assert_eq!(decisions(&one), decisions(&other));
        }
        (Err(one), Err(other)) => {
            assert_eq!(one, other);
            told(&one, &text);
        }
        _ => panic!("read once and refused once"),
    }
    if std::str::from_utf8(bytes).is_err() {
        told(&Policy::of_bytes(bytes, "policy.yaml", &KNOWN).unwrap_err(), &text);
    }
}

/// Each error has a place in the text and a message that a terminal can show.
fn told(errors: &PolicyErrors, text: &str) {
    assert!(!errors.all().is_empty(), "refused without a reason");
    // A lone `\r` ends a line of YAML too.
    let lines = text.split(['\n', '\r']).count();
    for finding in errors.all() {
        assert!(finding.line as usize <= lines, "line {} of {lines}", finding.line);
        assert!(!finding.message.contains(char::is_control) && finding.message.len() < 4096, "{finding:?}");
    }
    assert!(errors.to_string().len() < 1 << 20);
}

fn decisions(policy: &Policy) -> Vec<String> {
    let decide = |(caller, tool, system, class, touched): &Asked| {
        let scopes = touched.iter().fold(Scopes::none("nothing is touched"), |all, (kind, value)| all.and(*kind, *value));
        let facts = Facts {
            caller,
            tool,
            system,
            class: *class,
            scopes: &scopes,
            trigger: Trigger::Client,
            write_mode_env_off: false,
            same_user: false,
            change: &[],
            now: jiff::Timestamp::UNIX_EPOCH,
        };
        format!("{:?}", policy.decide(&facts))
    };
    ASKS.iter().map(decide).collect()
}
