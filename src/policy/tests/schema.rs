//! The schema says what the reader reads.

use serde_json::{Value as Json, json};

use super::super::diagnostics::Source;
use super::super::read::{KEYS, keys};
use super::super::yaml::{self, Node, Value};
use super::errors::CASES;
use super::shipped::with_all_examples;
use super::*;

fn json(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Int(value) => json!(i64::try_from(*value).unwrap_or(i64::MAX)),
        Value::Float(value) => json!(value),
        Value::Text(value) => json!(value),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(entries) => Json::Object(entries.iter().map(|(key, value)| (key.value.clone(), json(value))).collect()),
    }
}

fn refusals(text: &str) -> Vec<String> {
    let schema = schema(&crate::catalogue::catalogue().unwrap());
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let tree = yaml::read(Source { name: "p", text }).unwrap();
    validator.iter_errors(&json(&tree)).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[test]
fn sound_policies_are_valid() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/policies");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let policies = files.filter(|path| path.extension().is_some_and(|end| end == "yaml") && !path.to_string_lossy().ends_with(".test.yaml"));
    let examples: Vec<String> = policies.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    assert!(examples.len() > 4);
    for text in examples.iter().map(String::as_str).chain([
        Policy::shipped(),
        &with_all_examples(),
        "version: 1\n",
        "version: 1\nrules:\nsystems: {github: }\n",
    ]) {
        assert_eq!(refusals(text), [""; 0]);
    }
}

/// Parts of messages about the structure of a policy, which a schema can say.
const STRUCTURE: &[&str] = &[
    "has no key",
    "cannot be",
    "is a list, and",
    "is a mapping, and",
    "an empty list",
    "a time like",
    "are a number or a list",
    "a rate like",
    "a size like",
    "no rate for a time",
    "does not say its `version`",
    "no version",
    "has no `id`",
    "neither `allow` nor",
    "not both",
    "no rule id",
    "the glob is empty",
    "a glob, and this is",
    "is no author",
    "span of time",
    "has no `argv`",
    "does not begin with where",
    "does not say which issuer",
    "asks for no approvals",
    "begins with `/`",
    "not a whole path",
    "no whole path",
    "cannot be allowed by default",
    "no name of a variable",
    "there is no tool",
    "opsgate uses itself",
];

#[test]
fn what_the_reader_refuses_the_schema_refuses() {
    let mut tried = 0;
    for (text, told) in CASES {
        if told.iter().any(|(.., message, _)| STRUCTURE.iter().any(|part| message.contains(part))) {
            tried += 1;
            assert!(!refusals(text).is_empty(), "the schema takes {text}");
        }
    }
    assert!(tried >= 35, "only {tried}: the words of the errors have changed");
}

#[test]
fn a_wrong_value_is_wrong_to_both() {
    let rule = |body: &str| format!("rules: [{{id: a, {body}}}]");
    let command = |memory: &str| format!("systems: {{workspace: {{commands: {{a: {{argv: [a], memory: {memory}}}}}}}}}");
    let hours = |hours: &str| format!("environments: {{a: {{hours: \"{hours}\"}}}}");
    let output = |bytes: &str| format!("limits: {{output_bytes: {bytes}}}");
    let tool = |tool: &str| rule(&format!("deny: {{tools: [\"{tool}\"]}}"));
    for (text, is_right) in [
        (tool("workspace_read_file"), true),
        (tool("workspace_*"), true),
        (tool("helm_list"), true),
        (tool("delete_database"), true),
        (tool("workspace-read-file"), false),
        (tool("workspace_read_fil"), false),
        (tool("helm_"), false),
        (output("1KiB"), true),
        (output("1024B"), true),
        (output("1024"), true),
        (output("9999KiB"), true),
        (output("16384KiB"), true),
        (output("16777216B"), true),
        (output("016MiB"), true),
        (output("1B"), false),
        (output("1023B"), false),
        (output("1023"), false),
        (output("16385KiB"), false),
        (output("16777217B"), false),
        (output("16777217"), false),
        (output("17MiB"), false),
        (output("1GiB"), false),
        (output("100GiB"), false),
        (output("0MiB"), false),
        (command("16MiB"), true),
        (command("100GiB"), true),
        (command("15MiB"), false),
        (command("16777215B"), false),
        (hours("Mon-Fri 08:00-24:00 UTC"), true),
        (hours("Sun 00:00-23:59 UTC"), true),
        (hours("Mon 99:99-99:99 UTC"), false),
        (hours("Mon 08:00-24:01 UTC"), false),
        (hours("Mon 24:00-24:00 UTC"), false),
        (hours("Mon-Fry 08:00-18:00 UTC"), false),
        (rule("deny: {paths: [x]}, because: \"it is so\""), true),
        (rule("deny: {paths: [x]}, because: \"a\\u0007b\""), false),
        (rule("deny: {paths: [x]}, because: \"a\\u009bb\""), false),
        (rule("deny: {refs: [\"a\\u0007b\"]}"), false),
        ("rules: [{id: write_modes, deny: {paths: [x]}}]".to_owned(), true),
        ("rules: [{id: write_mode, deny: {paths: [x]}}]".to_owned(), false),
        ("rules: [{id: environments.production, deny: {paths: [x]}}]".to_owned(), false),
    ] {
        let text = format!("version: 1\n{text}\n");
        assert_eq!(refusals(&text).is_empty(), is_right, "the schema and {text}: {:?}", refusals(&text));
        assert_eq!(Policy::parse(&text, "p", &crate::catalogue::catalogue().unwrap()).is_ok(), is_right, "the reader and {text}");
    }
}

#[test]
fn the_schema_has_each_key_of_the_reader() {
    let schema = schema(&catalogue());
    let at = |pointer: &str| schema.pointer(pointer).unwrap_or_else(|| panic!("{pointer}"));
    for (pointer, expected) in [
        ("", KEYS),
        ("/properties/defaults", keys::DEFAULTS),
        ("/properties/people/additionalProperties", keys::PERSON),
        ("/properties/callers/additionalProperties", keys::CALLER),
        ("/properties/systems/properties/workspace", keys::system("workspace")),
        ("/properties/systems/properties/workspace/properties/commands/additionalProperties", keys::COMMAND),
        ("/properties/repositories/additionalProperties", keys::REPOSITORY),
        ("/properties/environments/additionalProperties", keys::ENVIRONMENT),
        ("/properties/rules/items", keys::RULE),
        ("/$defs/conditions", &keys::conditions()),
        ("/properties/limits", keys::LIMITS),
        ("/properties/limits/properties/per_caller", keys::PER_CALLER),
        ("/properties/risk/properties/modifiers", &Circumstance::ALL.map(|(_, name)| name)),
    ] {
        let mut found: Vec<&String> = at(pointer)["properties"].as_object().unwrap().keys().collect();
        let mut expected = expected.to_vec();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{pointer}");
    }
    assert_eq!(holes(&schema), 0, "a key of the reader has no schema: {schema:#}");
}

/// Schemas that were left out.
fn holes(schema: &Json) -> usize {
    match schema {
        Json::Null => 1,
        Json::Array(items) => items.iter().map(holes).sum(),
        Json::Object(entries) => entries.values().map(holes).sum(),
        _ => 0,
    }
}
