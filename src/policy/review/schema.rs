//! The JSON Schema of a policy file, for editors: made from the tables that the reader reads by, so that the two cannot part.

use opsgate_tools::mode::Mode;
use opsgate_tools::registry::FORBIDDEN;
use opsgate_tools::scope::ScopeKind;
use serde_json::{Map, Value, json};

use super::super::catalogue::{Catalogue, SYSTEMS};
use super::super::decision::{ChangePart, Trigger};
use super::super::glob;
use super::super::hours;
use super::super::model::{AuditLevel, AuditReads, Deployment, Language, OnExposure, Pii, Tier};
use super::super::read::KEYS;
use super::super::read::commands::LEAST_MEMORY;
use super::super::read::keys::{self, conditions, system, targets};
use super::super::read::quantity::UNITS;
use super::super::read::settings::{MOST_APPROVALS, OUTPUT_BYTES};
use super::super::risk::Circumstance;

/// The schema (draft 2020-12) of `policy.yaml`, with the tools of this catalogue to choose from.
#[must_use]
pub fn schema(catalogue: &Catalogue) -> Value {
    let mut whole = object(KEYS, "What may happen. Nothing is allowed that this file does not allow; a denial wins wherever it stands.", section);
    let tools: Vec<&str> = catalogue.tools().map(|(name, _)| name).collect();
    merge(
        &mut whole,
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "opsgate policy",
            "required": ["version"],
            "$defs": {
                "tool": about(json!({ "anyOf": [{ "enum": tools }, glob_over_tools(), unlisted(catalogue)] }), "A tool, or a glob over tools."),
                "conditions": object(&conditions(), "What a rule is about. Every condition that is there must hold.", condition),
                "quorums": list(required(object(keys::QUORUM, "So many approvals from one group.", approvals), &["group"])),
            }
        }),
    );
    whole
}

fn section(key: &str) -> Value {
    match key {
        "version" => about(json!({ "const": 1 }), "The version of the policy language."),
        "write_mode" => {
            about(words(keys::SWITCH), "Off: no tool that changes anything is listed or can be called. WRITE_MODE=off in the environment wins.")
        }
        "automation" => about(words(keys::SWITCH), "Off: webhooks, schedules and runbooks run nothing."),
        "defaults" => object(keys::DEFAULTS, "What holds where no rule does, for the systems that are listed.", |key| match key {
            // INVARIANT: a write is never allowed by default (test: what_the_reader_refuses_the_schema_refuses).
            "write" => about(json!({ "const": "deny" }), "A write is never allowed by default."),
            _ => words(keys::DEFAULT),
        }),
        "people" => named(
            object(keys::PERSON, "One person with all identities.", |key| match key {
                "keys" => about(list_or_none(text()), "Names of API keys."),
                "oidc" => about(list_or_none(text()), "`issuer|subject` of identity tokens."),
                "slack" => about(text(), "The member id in the chat."),
                "github" => about(text(), "The login at the forge."),
                _ => Value::Null,
            }),
            "One entry for each person, with all identities.",
        ),
        "groups" => named(list_or_none(text()), "Groups of people. Approvals name groups."),
        "callers" => callers(),
        "systems" => {
            let of = |name: &str| object(system(name), "A system that may be reached.", in_system);
            let systems: Map<String, Value> = SYSTEMS.iter().map(|name| ((*name).to_owned(), of(name))).collect();
            about(
                json!({ "type": ["object", "null"], "properties": systems, "additionalProperties": false }),
                "The systems that may be reached. One that is not listed is refused.",
            )
        }
        "repositories" => {
            let entry = object(keys::REPOSITORY, "Settings of a repository.", |key| match key {
                "write" => about(json!({ "type": "boolean" }), "Whether it may be written to, if a rule allows it too."),
                "tools" => allow_deny(&json!({ "$ref": "#/$defs/tool" }), "Tools that may or may not work on it."),
                "paths" => allow_deny(&glob(ScopeKind::Path), "Files that may or may not be touched."),
                "refs" => allow_deny(&glob(ScopeKind::Ref), "Branches and tags that may or may not be touched."),
                _ => Value::Null,
            });
            let mut all =
                named(entry, "Settings by `owner/name` or the whole folder name. The closest glob counts for each setting; a denial in any stands.");
            merge(&mut all, json!({ "propertyNames": glob(ScopeKind::Repo) }));
            all
        }
        "same_user_writes" => about(json!({ "type": "boolean" }), "Writes to real systems where the gateway runs as the caller's own user."),
        "namespaces" => named(words(&Tier::ALL), "Kubernetes namespaces: forbidden, read only, or written to once approved."),
        "environments" => named(object(keys::ENVIRONMENT, "What a write there needs.", environment), "Environments, by name."),
        "rules" => about(json!({ "type": ["array", "null"], "items": rule() }), "Rules. Their order means nothing."),
        "approvals" => object(keys::APPROVALS, "Who approves where neither rule nor environment says.", approvals),
        "risk" => object(keys::RISK, "What makes a call riskier.", |key| match key {
            "modifiers" => object(&Circumstance::ALL.map(|(_, name)| name), "What each circumstance adds.", |_| fraction()),
            "hours" => about(hours(), "Outside of these is `off_hours`: `Mon-Fri 08:00-18:00 Europe/Paris`."),
            _ => about(fraction(), "From this risk on two people approve."),
        }),
        "limits" => object(keys::LIMITS, "How much anyone may ask.", limit),
        "budgets" => object(keys::BUDGETS, "How much in a day.", |_| {
            object(keys::PER_CALLER_DAY, "Per caller and day.", |key| if key == "calls" { whole_number(1, u32::MAX) } else { bytes(1, None) })
        }),
        "scrub" => object(keys::SCRUB, "What is done with personal data and secrets.", |key| match key {
            "pii" => about(words(&Pii::ALL), "Personal data."),
            _ => about(words(&OnExposure::ALL), "A secret in a reply."),
        }),
        "audit" => object(keys::AUDIT, "How much is recorded.", |key| match key {
            "level" => about(words(&AuditLevel::ALL), "How much of a call is recorded."),
            _ => about(words(&AuditReads::ALL), "When a read's intent is durable."),
        }),
        "language" => about(words(&Language::ALL), "The language of messages to people."),
        "profile" => about(words(&Deployment::ALL), "`production` refuses what is unsafe there."),
        _ => Value::Null,
    }
}

fn callers() -> Value {
    let entry = object(keys::CALLER, "A caller.", |key| match key {
        "owner" => about(text(), "The person or group that answers for it."),
        _ => about(list_or_none(text()), "Its roles."),
    });
    let mut all = named(entry, "Who may call at all. The closest glob counts.");
    merge(&mut all, json!({ "propertyNames": caller() }));
    all
}

/// A caller's name or a glob over names: it begins with where it comes from.
fn caller() -> Value {
    let others: Vec<&str> = keys::ISSUERS.iter().copied().filter(|issuer| *issuer != "jwt").collect();
    json!({ "type": "string", "maxLength": 512, "pattern": format!(r"^(jwt:[^*?\[{{|]*\||({}):)", others.join("|")) })
}

fn in_system(key: &str) -> Value {
    match key {
        "mode" => about(words(&Mode::ALL), "What the system does: recorded answers, real reads, or writes once approved."),
        "roots" => {
            about(list(json!({ "type": "string", "pattern": "^(/|~$|~/)", "maxLength": 512 })), "The repositories that a connection may name.")
        }
        "commands" => named(required(object(keys::COMMAND, "A command that runs in a sandbox.", command), &["argv"]), "What may be run, by name."),
        "author" => {
            about(json!({ "type": "string", "pattern": "^[^<>]*[^<>\\s] <[^<>\\s]([^<>]*[^<>\\s])?>$" }), "`Name <email>`: the author of commits.")
        }
        "metrics" => named(list(glob(ScopeKind::Metric)), "Metrics that may be read, by service."),
        "log_groups" => about(list(glob(ScopeKind::LogGroup)), "Log groups that may be read."),
        "channels" => about(list(glob(ScopeKind::Channel)), "Channels that may be reached."),
        "projects" => about(list(glob(ScopeKind::Project)), "Projects that may be reached."),
        _ => Value::Null,
    }
}

fn command(key: &str) -> Value {
    match key {
        "argv" => about(list(text()), "The program and its arguments; `{dependency}` stands for what is to be installed."),
        "network" => about(words(keys::SWITCH), "Whether it has a network."),
        "timeout" => about(duration(), "How long it may run."),
        "memory" => about(bytes(LEAST_MEMORY, None), "How much memory its processes may hold together."),
        "writable" => about(list(text()), "Files and folders of the repository that it may write."),
        "readable" => about(list(json!({ "type": "string", "pattern": "^/" })), "Whole paths outside of the repository that it may read."),
        "env" => about(
            json!({ "type": ["object", "null"], "propertyNames": { "pattern": "^[^=]+$" }, "additionalProperties": text() }),
            "Variables of its environment.",
        ),
        "report" => about(text(), "The JUnit report that it writes."),
        _ => Value::Null,
    }
}

fn environment(key: &str) -> Value {
    match key {
        "aliases" => about(list(text()), "Other names of the environment."),
        "match" => {
            let names: Vec<&'static str> = targets().map(|(key, _)| key).collect();
            object(&names, "Which targets belong to it.", |key| {
                targets().find(|(name, _)| *name == key).map_or(Value::Null, |(_, kind)| list(glob(kind)))
            })
        }
        "approvals" => json!({ "$ref": "#/$defs/quorums" }),
        "mfa" => about(words(keys::MFA), "Whether each approver needs a second factor."),
        "require" => about(list(words(&ChangePart::ALL)), "Parts of a write's `change` that must be filled in."),
        "expires" => about(duration(), "How long an approval is good."),
        "hours" => about(hours(), "When writes are made: `Mon-Fri 08:00-18:00 Europe/Paris`."),
        _ => Value::Null,
    }
}

fn hours() -> Value {
    let (day, time) = (format!("({})", hours::DAYS.map(|(name, _)| name).join("|")), "([01][0-9]|2[0-3]):[0-5][0-9]");
    json!({ "type": "string", "pattern": format!(r"^\s*{day}(-{day})?\s+{time}-({time}|24:00)\s+\S+\s*$") })
}

fn rule() -> Value {
    let mut rule = required(
        object(keys::RULE, "A rule allows or denies.", |key| match key {
            "id" => {
                let settings = format!(r"^({})(\.|$)", KEYS.join("|"));
                let id = json!({ "type": "string", "pattern": "^[A-Za-z0-9._-]{1,100}$", "not": { "pattern": settings } });
                about(id, "Its name in records and refusals, which no setting has.")
            }
            "allow" => about(json!({ "$ref": "#/$defs/conditions" }), "Covers a call only if everything of each kind that it touches is named."),
            "deny" => about(json!({ "$ref": "#/$defs/conditions" }), "Matches as soon as one thing that the call touches is named."),
            "because" => about(text(), "Why, for whoever is refused."),
            "approvals" => about(
                json!({ "anyOf": [whole_number(0, MOST_APPROVALS), { "$ref": "#/$defs/quorums" }] }),
                "How many approvals a write under this rule needs, or whose; 0 is none.",
            ),
            "mode" => about(words(keys::SHADOW), "`shadow` records what the rule would have done, and does nothing."),
            _ => Value::Null,
        }),
        &["id"],
    );
    let denies = json!({ "required": ["deny"], "not": { "anyOf": [{ "required": ["allow"] }, { "required": ["approvals"] }] } });
    merge(&mut rule, json!({ "type": "object", "oneOf": [{ "required": ["allow"], "not": { "required": ["deny"] } }, denies] }));
    rule
}

fn condition(key: &str) -> Value {
    match key {
        "roles" => about(list(text()), "Roles of callers."),
        "callers" => about(list(caller()), "Callers, or globs over them."),
        "tools" => list(json!({ "$ref": "#/$defs/tool" })),
        "systems" => about(list(json!({ "enum": SYSTEMS })), "Systems."),
        "triggers" => about(list(words(&Trigger::ALL)), "How the call came to be."),
        "environments" => about(list(text()), "Environments of the target, by name or alias."),
        _ => keys::SCOPES.iter().find(|(name, _)| *name == key).map_or(Value::Null, |(_, kind)| list(glob(*kind))),
    }
}

fn approvals(key: &str) -> Value {
    match key {
        "default" => object(keys::APPROVALS_DEFAULT, "What holds where nothing else is said.", |key| match key {
            "approvals" => json!({ "$ref": "#/$defs/quorums" }),
            _ => about(duration(), "How long an approval is good."),
        }),
        "override" => object(keys::OVERRIDE, "Who may override an approval.", approvals),
        "fallback" => about(text(), "The group that is asked where nobody else answers."),
        "group" => about(text(), "A group of `groups`."),
        "count" => about(whole_number(1, MOST_APPROVALS), "How many different people."),
        _ => Value::Null,
    }
}

fn limit(key: &str) -> Value {
    match key {
        "per_ip_unauthenticated" => about(rate(), "Per address, before a credential was accepted."),
        "per_caller" => object(keys::PER_CALLER, "Per caller.", |key| match key {
            "rate" => about(rate(), "The steady rate."),
            "burst" => about(whole_number(1, u32::MAX), "How many calls may come at once."),
            _ => about(
                json!({ "type": "string", "pattern": format!("^{RATE} for {DURATION}$") }),
                "What is left to a caller that went over: `10/min for 5m`.",
            ),
        }),
        "concurrency" => about(whole_number(1, 10_000), "Calls of one caller that run at once."),
        "output_bytes" => about(bytes(*OUTPUT_BYTES.start(), Some(*OUTPUT_BYTES.end())), "Of one reply; the rest comes with a cursor."),
        "timeout" => about(duration(), "Of a call that names none."),
        "max_timeout" => about(duration(), "That a call may name."),
        _ => Value::Null,
    }
}

const RATE: &str = "0*[1-9][0-9]*/(s|min|h|day)";
const DURATION: &str = "0*[1-9][0-9]*(ms|s|m|h|d)";
fn rate() -> Value {
    json!({ "type": "string", "pattern": format!("^{RATE}$"), "examples": ["100/min"] })
}

fn duration() -> Value {
    json!({ "type": "string", "pattern": format!("^{DURATION}$"), "examples": ["30m"] })
}

/// A size with a unit, or as a number of bytes.
fn bytes(least: u64, most: Option<u64>) -> Value {
    let units = |number: &dyn Fn(u64) -> Option<String>| {
        let all: Vec<String> = UNITS.iter().filter_map(|(unit, factor)| Some(format!("({}){unit}", number(*factor)?))).collect();
        format!("^0*({})$", all.join("|"))
    };
    let within = units(&|factor| most.map_or_else(|| Some("[1-9][0-9]*".to_owned()), |most| up_to(most / factor)));
    let (mut text, mut number) = (json!({ "type": "string", "pattern": within }), json!({ "type": "integer", "minimum": least }));
    if least > 1 {
        merge(&mut text, json!({ "not": { "pattern": units(&|factor| up_to((least - 1) / factor)) } }));
    }
    if let Some(most) = most {
        merge(&mut number, json!({ "maximum": most }));
    }
    json!({ "anyOf": [text, number], "examples": ["64KiB"] })
}

/// A pattern for the whole numbers from 1 to this one, without zeros before them; `None` where there are none.
fn up_to(most: u64) -> Option<String> {
    let digits = most.to_string();
    let mut all = Vec::new();
    if let Some(more) = digits.len().checked_sub(2) {
        all.push(format!("[1-9][0-9]{{0,{more}}}"));
    }
    // As many digits, of which one is smaller and those before it are the same.
    for (place, digit) in digits.bytes().enumerate() {
        let (before, least) = (digits.get(..place)?, if place == 0 { b'1' } else { b'0' });
        if digit > least {
            all.push(format!("{before}[{}-{}][0-9]{{{}}}", char::from(least), char::from(digit - 1), digits.len() - place - 1));
        }
    }
    all.push(digits);
    (most > 0).then(|| all.join("|"))
}

fn whole_number(least: u32, most: u32) -> Value {
    json!({ "type": "integer", "minimum": least, "maximum": most })
}

fn fraction() -> Value {
    json!({ "type": "number", "minimum": 0, "maximum": 1 })
}

/// Control characters, for a class.
const CONTROL: &str = r"\x00-\x1f\x7f-\x9f";

fn text() -> Value {
    json!({ "type": "string", "pattern": format!(r"^[^{CONTROL}]*[^\s{CONTROL}][^{CONTROL}]*$") })
}

fn words<T>(words: &[(T, &'static str)]) -> Value {
    json!({ "enum": words.iter().map(|(_, word)| *word).collect::<Vec<_>>() })
}

/// A glob over things of this kind.
fn glob(kind: ScopeKind) -> Value {
    let (first, what) = match kind {
        ScopeKind::Path => (r"[^\s\\/", "A glob over paths from the repository's root: `*` stays within a part, `**` crosses parts."),
        ScopeKind::Repo => (r"[^\s\\~", "A glob over repositories: `owner/name`, or a whole folder name."),
        _ => (r"[^\s\\", "A glob: `*` stays within a part, `**` crosses parts, `{a,b}` chooses."),
    };
    about(
        json!({ "type": "string", "maxLength": glob::MAX_BYTES, "pattern": format!(r"^{first}{CONTROL}]([^\\{CONTROL}]*[^\s\\{CONTROL}])?$") }),
        what,
    )
}

/// With a wildcard, so that a misspelt tool is none.
fn glob_over_tools() -> Value {
    let mut glob = glob(ScopeKind::Method);
    merge(&mut glob, json!({ "allOf": [{ "pattern": r"[*?\[{]" }] }));
    glob
}

/// A tool of a system whose tools are still to come, or one that never runs and can be named in a denial.
fn unlisted(catalogue: &Catalogue) -> Value {
    let to_come = SYSTEMS.iter().filter(|system| catalogue.system_to_come(&format!("{system}_x")).is_some()).copied();
    let never = FORBIDDEN.iter().map(|forbidden| forbidden.name);
    let (to_come, never) = (to_come.collect::<Vec<_>>().join("|"), never.collect::<Vec<_>>().join("|"));
    json!({ "type": "string", "maxLength": glob::MAX_BYTES, "pattern": format!("^(({to_come})_[A-Za-z0-9_]+|{never})$") })
}

fn list(items: Value) -> Value {
    json!({ "type": "array", "items": items, "minItems": 1 })
}

/// A list that may be emptied.
fn list_or_none(items: Value) -> Value {
    json!({ "type": "array", "items": items })
}

fn allow_deny(items: &Value, what: &str) -> Value {
    object(keys::ALLOW_DENY, what, |_| list(items.clone()))
}

/// A mapping with these keys and no others. A key that `of` does not know comes out as `null` (test:
/// `the_schema_has_each_key_of_the_reader`).
fn object(keys: &[&str], what: &str, of: impl Fn(&str) -> Value) -> Value {
    let properties: Map<String, Value> = keys.iter().map(|key| ((*key).to_owned(), of(key))).collect();
    about(json!({ "type": ["object", "null"], "properties": properties, "additionalProperties": false }), what)
}

/// A mapping whose keys are the writer's own.
fn named(entry: Value, what: &str) -> Value {
    about(json!({ "type": ["object", "null"], "additionalProperties": entry }), what)
}

fn required(mut schema: Value, keys: &[&str]) -> Value {
    merge(&mut schema, json!({ "type": "object", "required": keys }));
    schema
}

fn about(mut schema: Value, what: &str) -> Value {
    merge(&mut schema, json!({ "description": what }));
    schema
}

fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}
