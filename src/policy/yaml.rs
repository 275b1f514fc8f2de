//! Policy text → a tree of values, each with its place. Strict and bounded: no aliases, no merge keys, no tags, no
//! duplicate keys, `true` and `false` as the only booleans.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::Spanned;
use serde_yaml::options::{DuplicateKeyPolicy, MergeKeyPolicy};

use super::diagnostics::{At, Finding, Pos, Source};
use super::yaml_events;

/// The largest policy file, in bytes.
pub(super) const MAX_BYTES: usize = 1024 * 1024;
/// The deepest nesting; the language itself needs six.
pub(super) const MAX_DEPTH: usize = 32;
/// Enough for 10,000 rules.
pub(super) const MAX_NODES: usize = 400_000;

const QUOTE: &str = "put a glob that begins with `*` in quotes";

/// A value with the place it was written at.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) at: Pos,
    pub(super) value: Value,
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(At<String>, Node)>),
}

impl Value {
    /// What a person would call it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Int(_) | Self::Float(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

/// Reads the text; an empty one is [`Value::Null`].
pub(super) fn read(source: Source<'_>) -> Result<Node, Finding> {
    if source.text.len() > MAX_BYTES {
        let message = format!("the policy is larger than {} KiB", MAX_BYTES / 1024);
        return Err(Finding::new(source, Pos::default(), message, Some("write fewer rules with wider globs".into())));
    }
    let nothing = Node { at: Pos { line: 1, column: 1, length: 1 }, value: Value::Null };
    if source.text.lines().all(|line| matches!(line.trim(), "" | "---" | "\u{feff}") || line.trim_start().starts_with('#')) {
        return Ok(nothing);
    }
    match yaml_events::tree(source.text) {
        Some(root) => Ok(root),
        None => carefully(source),
    }
}

/// Reads the text through serde, which knows what is wrong with a text that cannot be read.
pub(super) fn carefully(source: Source<'_>) -> Result<Node, Finding> {
    serde_yaml::from_str_with_options::<Node>(source.text, options()).map_err(|error| finding(source, &error))
}

/// A scalar without quotes, by itself.
pub(super) fn scalar(text: &str) -> Option<Value> {
    match text {
        "" | "~" => Some(Value::Null),
        _ => serde_yaml::from_str_with_options::<Value>(text, options()).ok().filter(|value| !matches!(value, Value::List(_) | Value::Map(_))),
    }
}

fn options() -> serde_yaml::Options {
    serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_events: 2 * MAX_NODES,
            max_total_scalar_bytes: MAX_BYTES,
            max_documents: 1,
            // INVARIANT: an alias cannot multiply anything, since there is none (test: what_is_meant_to_hurt_is_refused_clearly).
            max_aliases: 0,
            max_anchors: 0,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        emit_comments: false,
        with_snippet: false,
        reject_unsupported_tags: true,
    }
}

fn finding(source: Source<'_>, error: &serde_yaml::Error) -> Finding {
    let at = error.location().map_or_else(Pos::default, |location| Pos {
        line: u32::try_from(location.line()).unwrap_or_default(),
        column: u32::try_from(location.column()).unwrap_or_default(),
        length: u32::try_from(location.span().len()).unwrap_or_default(),
    });
    let (message, help) = match error.without_snippet() {
        serde_yaml::Error::DuplicateMappingKey { key, .. } => {
            let key = key.as_deref().map_or_else(|| "a key".to_owned(), |key| format!("the key `{key}`"));
            (format!("{key} stands twice in one mapping"), Some("keep one".to_owned()))
        }
        serde_yaml::Error::Budget { breach, .. } => budget(breach),
        serde_yaml::Error::MergeKeyNotAllowed { .. } => ("merge keys (`<<`) are not part of the policy language".to_owned(), None),
        other => {
            let message = other.render_with_formatter(&serde_yaml::UserMessageFormatter);
            // The place is told apart.
            let message = message.split(" at line ").next().unwrap_or(&message).to_owned();
            let message = if message == "recursion limit exceeded" { too_deep() } else { message };
            let help = message.starts_with("reference to unknown").then(|| QUOTE.to_owned());
            (message, help)
        }
    };
    let text = source.text.lines().nth((at.line as usize).wrapping_sub(1)).unwrap_or_default();
    let help = if text.trim_start_matches(' ').starts_with('\t') { Some("indent with spaces, not tabs".to_owned()) } else { help };
    Finding::new(source, at, message, help)
}

fn too_deep() -> String {
    format!("nested deeper than {MAX_DEPTH} levels")
}

fn budget(breach: &serde_yaml::budget::BudgetBreach) -> (String, Option<String>) {
    use serde_yaml::budget::BudgetBreach as Breach;
    match breach {
        Breach::Aliases { .. } | Breach::Anchors { .. } => {
            ("anchors and aliases (`&`, `*`) are not part of the policy language".to_owned(), Some(QUOTE.to_owned()))
        }
        Breach::Depth { .. } => (too_deep(), None),
        Breach::Documents { .. } => ("more than one document in the file".to_owned(), Some("one policy is one document".to_owned())),
        _ => ("the policy has more parts than a policy may have".to_owned(), Some("write fewer rules with wider globs".to_owned())),
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self { at: pos(spanned.referenced), value: spanned.value })
    }
}

fn pos(location: serde_yaml::Location) -> Pos {
    let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    Pos { line: number(location.line()), column: number(location.column()), length: number(location.span().len()) }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of the policy language")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Int(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Value, E> {
        Ok(i128::try_from(value).map_or(Value::Float(f64::INFINITY), Value::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let at = pos(key.referenced);
            entries.push((At { value: key.value, at }, map.next_value()?));
        }
        Ok(Value::Map(entries))
    }
}
