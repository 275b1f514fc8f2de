//! The keys of each mapping with fixed keys, and words that stand for a yes or a no: what the reader takes and the JSON
//! Schema says.

use opsgate_tools::scope::ScopeKind;

type Keys = &'static [&'static str];

pub(in super::super) const DEFAULTS: Keys = &["read", "write", "automation"];
pub(in super::super) const PERSON: Keys = &["keys", "oidc", "slack", "github"];
pub(in super::super) const CALLER: Keys = &["owner", "roles"];
pub(in super::super) const COMMAND: Keys = &["argv", "network", "timeout", "memory", "writable", "readable", "env", "report"];
pub(in super::super) const REPOSITORY: Keys = &["write", "tools", "paths", "refs"];
pub(in super::super) const ALLOW_DENY: Keys = &["allow", "deny"];
pub(in super::super) const ENVIRONMENT: Keys = &["aliases", "match", "approvals", "mfa", "require", "expires", "hours"];
pub(in super::super) const RULE: Keys = &["id", "allow", "deny", "because", "approvals", "mode"];
/// What a rule can say of the asker and the tool; what it can say of the target is in [`SCOPES`].
pub(in super::super) const ASKER: Keys = &["roles", "callers", "tools", "systems", "triggers", "environments"];
pub(in super::super) const APPROVALS: Keys = &["default", "override", "fallback"];
pub(in super::super) const APPROVALS_DEFAULT: Keys = &["approvals", "expires"];
pub(in super::super) const OVERRIDE: Keys = &["group"];
pub(in super::super) const QUORUM: Keys = &["group", "count"];
pub(in super::super) const LIMITS: Keys = &["per_ip_unauthenticated", "per_caller", "concurrency", "output_bytes", "timeout", "max_timeout"];
pub(in super::super) const PER_CALLER: Keys = &["rate", "burst", "over_then"];
pub(in super::super) const SCRUB: Keys = &["pii", "on_exposure"];
pub(in super::super) const AUDIT: Keys = &["level", "reads"];
pub(in super::super) const RISK: Keys = &["two_approvals_from", "modifiers", "hours"];
pub(in super::super) const BUDGETS: Keys = &["per_caller_day"];
pub(in super::super) const PER_CALLER_DAY: Keys = &["calls", "bytes"];

/// The keys under which a rule names what a call touches. `paths` holds for files and folders.
pub(in super::super) const SCOPES: &[(&str, ScopeKind)] = &[
    ("repos", ScopeKind::Repo),
    ("paths", ScopeKind::Path),
    ("refs", ScopeKind::Ref),
    ("namespaces", ScopeKind::Namespace),
    ("resource_kinds", ScopeKind::ResourceKind),
    ("services", ScopeKind::Service),
    ("log_groups", ScopeKind::LogGroup),
    ("metrics", ScopeKind::Metric),
    ("channels", ScopeKind::Channel),
    ("projects", ScopeKind::Project),
    ("tables", ScopeKind::Table),
    ("methods", ScopeKind::Method),
];

/// The keys of a system.
pub(in super::super) fn system(name: &str) -> Keys {
    match name {
        "workspace" => &["mode", "roots", "commands", "author"],
        "cloudwatch" => &["mode", "metrics", "log_groups"],
        "loki" => &["mode", "log_groups"],
        "slack" | "discord" => &["mode", "channels"],
        "jira" | "teamcity" => &["mode", "projects"],
        _ => &["mode"],
    }
}

/// The keys under `match` of an environment. Not by path: the filter of a call's output asks about single paths, and its
/// environment is settled by then.
pub(in super::super) fn targets() -> impl Iterator<Item = (&'static str, ScopeKind)> {
    SCOPES.iter().copied().filter(|(_, kind)| *kind != ScopeKind::Path)
}

/// The conditions of a rule.
pub(in super::super) fn conditions() -> Vec<&'static str> {
    ASKER.iter().copied().chain(SCOPES.iter().map(|(key, _)| *key)).collect()
}

/// Where a caller's name can come from. A name carries its issuer, so that no token can name itself into a role.
pub(in super::super) const ISSUERS: Keys = &["anonymous", "jwt", "key", "local", "runbook", "schedule", "webhook"];

/// A word for a yes or a no.
type Words = &'static [(bool, &'static str)];

pub(in super::super) const SWITCH: Words = &[(true, "on"), (false, "off")];
pub(in super::super) const DEFAULT: Words = &[(true, "allow"), (false, "deny")];
pub(in super::super) const MFA: Words = &[(true, "required"), (false, "off")];
/// Whether a rule is only recorded.
pub(in super::super) const SHADOW: Words = &[(false, "enforce"), (true, "shadow")];
