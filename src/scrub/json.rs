//! JSON, walked with the names of its keys.

use super::counts::Counts;
use super::key_name::{self, Sensitive, Weight};
use super::known::Known;
use super::placeholder::{Place, is_secret};
use super::span::{LineEnds, mark, mark_len};
use super::{kubernetes, scan, stems, tokens, unicode};
use serde_json::{Map, Value};
use std::collections::HashMap;

/// Documents inside strings inside documents are opened this often.
const NESTED_TEXTS: usize = 3;
/// Deeper values are dropped unread; parsers refuse such documents anyway.
const DEPTH: usize = 400;

/// Removes the secrets of `value` in place.
pub(super) fn scrub(value: &mut Value, known: &Known, counts: &mut Counts) {
    Walk { known, counts, texts: 0 }.value(value, None, 0);
}

/// The text without its secrets, or `None` where it has none. Text that is JSON is walked and
/// stays JSON; `texts` says how many documents it is nested in.
pub(super) fn scrub_text(text: &str, known: &Known, counts: &mut Counts, texts: usize) -> Option<String> {
    let trimmed = text.trim();
    let is_document = (trimmed.starts_with('{') && trimmed.ends_with('}')) || (trimmed.starts_with('[') && trimmed.ends_with(']'));
    // A walk finds more than a search only where a key, a URI, a block or an escape is in the text.
    let worth_a_walk =
        texts < NESTED_TEXTS && is_document && (stems::names_secret(trimmed) || memchr::memmem::find(trimmed.as_bytes(), b"\\u").is_some());
    if !worth_a_walk {
        return scan::scrub(text, known, counts);
    }
    // The text's own order and spacing survive where searching it is enough.
    let mut by_text = Counts::new();
    let searched = scan::scrub(text, known, &mut by_text);
    let walked = |source: &str| {
        let mut value = serde_json::from_str::<Value>(source).ok()?;
        let mut found = Counts::new();
        Walk { known, counts: &mut found, texts: texts + 1 }.value(&mut value, None, 0);
        Some((value, found))
    };
    match walked(searched.as_deref().unwrap_or(text)) {
        Some((_, found)) if found.is_empty() => {
            counts.merge(&by_text);
            searched
        }
        Some((value, found)) => {
            counts.merge(&by_text);
            counts.merge(&found);
            Some(in_place(searched.as_deref().unwrap_or(text), &value).unwrap_or_else(|| value.to_string()))
        }
        // Replacing in the text broke the document, or it never was one.
        None => match searched.is_some().then(|| walked(text)).flatten() {
            Some((value, found)) => {
                counts.merge(&found);
                Some(in_place(text, &value).unwrap_or_else(|| value.to_string()))
            }
            None => {
                counts.merge(&by_text);
                searched
            }
        },
    }
}

/// A whole file's text without its secrets and with every line at its number, or `None` where it has none. A document is
/// walked as well; where its source cannot be changed in place, none of it is shown.
pub(super) fn scrub_lines(text: &str, known: &Known, counts: &mut Counts) -> Option<String> {
    let searched = scan::scrub_with(text, known, LineEnds::Kept, counts);
    let trimmed = text.trim_start();
    if !trimmed.starts_with(['{', '[']) || !(stems::names_secret(trimmed) || memchr::memmem::find(trimmed.as_bytes(), b"\\u").is_some()) {
        return searched;
    }
    // Marks over many lines can break a document; then its own source is walked, and searched again.
    let sources = [searched.as_deref().unwrap_or(text), text];
    let walked = sources.into_iter().find_map(|source| Some((source, serde_json::from_str::<Value>(source).ok()?)));
    let Some((source, mut value)) = walked else { return searched };
    let mut found = Counts::new();
    Walk { known, counts: &mut found, texts: 1 }.value(&mut value, None, 0);
    if found.is_empty() {
        return searched;
    }
    counts.merge(&found);
    match in_place(source, &value) {
        Some(clean) => Some(scan::scrub_with(&clean, known, LineEnds::Kept, &mut Counts::new()).unwrap_or(clean)),
        None => Some(text.split('\n').map(|_| mark("document")).collect::<Vec<_>>().join("\n")),
    }
}

/// The source of a document with the strings replaced that differ in `clean`, everything else byte for byte. `None` where
/// more than strings differ.
fn in_place(source: &str, clean: &Value) -> Option<String> {
    let before: Value = serde_json::from_str(source).ok()?;
    let mut changes = HashMap::new();
    changed(&before, clean, &mut changes).then_some(())?;
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(open) = memchr::memchr(b'"', rest.as_bytes()) {
        let end = string_end(rest.as_bytes(), open)?;
        let literal = rest.get(open..end)?;
        out.push_str(rest.get(..open)?);
        match serde_json::from_str::<String>(literal).ok().and_then(|text| changes.get(&text)) {
            Some(mark) => out.push_str(&serde_json::to_string(mark).ok()?),
            None => out.push_str(literal),
        }
        rest = rest.get(end..)?;
    }
    out.push_str(rest);
    // Duplicate keys hide values from the reader: what is in the source must read as what was walked.
    (serde_json::from_str::<Value>(&out).ok().as_ref() == Some(clean)).then_some(out)
}

/// Past the closing quote of the string literal that opens at `open`.
fn string_end(bytes: &[u8], open: usize) -> Option<usize> {
    let mut at = open + 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes.get(at) == Some(&b'"') {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// Gathers the strings that differ; `false` where anything else does.
fn changed(before: &Value, after: &Value, changes: &mut HashMap<String, String>) -> bool {
    match (before, after) {
        (Value::String(old), Value::String(new)) => {
            if old != new {
                changes.insert(old.clone(), new.clone());
            }
            true
        }
        (Value::Array(old), Value::Array(new)) => old.len() == new.len() && old.iter().zip(new).all(|(old, new)| changed(old, new, changes)),
        (Value::Object(old), Value::Object(new)) => {
            old.len() == new.len() && old.iter().all(|(name, old)| new.get(name).is_some_and(|new| changed(old, new, changes)))
        }
        (old, new) => old == new,
    }
}

struct Walk<'a> {
    known: &'a Known,
    counts: &'a mut Counts,
    texts: usize,
}

impl Walk<'_> {
    fn value(&mut self, value: &mut Value, named: Option<Sensitive>, depth: usize) {
        match value {
            Value::String(text) => self.text(text, named),
            Value::Array(items) if depth < DEPTH => items.iter_mut().for_each(|item| self.value(item, named, depth + 1)),
            Value::Object(fields) if depth < DEPTH => self.object(fields, depth),
            Value::Array(_) | Value::Object(_) => {
                *value = Value::String(mark("nested_too_deep"));
                self.counts.add("nested_too_deep");
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn object(&mut self, fields: &mut Map<String, Value>, depth: usize) {
        self.keys(fields);
        let is_secret = kubernetes::is_secret(fields);
        let pair = pair_name(fields).and_then(name_announces);
        for (name, value) in fields.iter_mut() {
            if is_secret && (name == "data" || name == "stringData") {
                self.drop_strings(value, kubernetes::KIND, depth);
                continue;
            }
            let mut named = name_announces(name);
            if named.is_none() && is_value_name(name) {
                named = pair;
            }
            if name == "auth" {
                named = Some(Sensitive { kind: "docker_auth", weight: Weight::Weak });
            }
            self.value(value, named, depth + 1);
        }
    }

    /// Scans the keys themselves; a changed key keeps its value, under a name that is still free.
    fn keys(&mut self, fields: &mut Map<String, Value>) {
        let changed: Vec<_> = fields
            .keys()
            .filter_map(|name| {
                if name.len() < tokens::RUN
                    && self.known.is_empty()
                    && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
                {
                    return None;
                }
                let mut found = Counts::new();
                let clean = scan::scrub(name, self.known, &mut found)?;
                self.counts.merge(&found);
                Some((name.clone(), clean))
            })
            .collect();
        for (name, clean) in changed {
            let Some(value) = fields.remove(&name) else { continue };
            let free = (1..).map(|n| if n == 1 { clean.clone() } else { format!("{clean} {n}") }).find(|name| !fields.contains_key(name));
            fields.insert(free.unwrap_or(clean), value);
        }
    }

    fn text(&mut self, text: &mut String, named: Option<Sensitive>) {
        if let Some(named) = named
            && !matches!(named.weight, Weight::Authorization | Weight::Cookie)
            && is_secret(named.weight, text, Place::Leaf)
        {
            self.counts.add(named.kind);
            *text = mark(named.kind);
            return;
        }
        if let Some(named) = named
            && let Some(clean) = self.header(text, named)
        {
            *text = clean;
        }
        if let Some(clean) = scrub_text(text, self.known, self.counts, self.texts) {
            *text = clean;
        }
    }

    /// A header's value needs its name beside it to be judged.
    fn header(&mut self, text: &str, named: Sensitive) -> Option<String> {
        let name = match named.weight {
            Weight::Authorization => "Authorization: ",
            Weight::Cookie => "Cookie: ",
            _ => return None,
        };
        let line = format!("{name}{text}");
        let clean = scan::scrub(&line, self.known, self.counts)?;
        clean.strip_prefix(name).map(str::to_owned)
    }

    /// Removes every string below `value`.
    fn drop_strings(&mut self, value: &mut Value, kind: &'static str, depth: usize) {
        match value {
            Value::String(text) if !text.is_empty() && mark_len(text) != Some(text.len()) => {
                *text = mark(kind);
                self.counts.add(kind);
            }
            Value::Array(items) if depth < DEPTH => items.iter_mut().for_each(|item| self.drop_strings(item, kind, depth + 1)),
            Value::Object(fields) if depth < DEPTH => {
                self.keys(fields);
                fields.values_mut().for_each(|item| self.drop_strings(item, kind, depth + 1));
            }
            _ => {}
        }
    }
}

/// Removes hidden characters from every string of a document, keys apart: those are scanned by
/// [`scrub`], and two that look the same must stay two.
pub(super) fn strip_hidden(value: &mut Value) {
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            Value::String(text) => {
                if let Some(visible) = unicode::strip_hidden(text) {
                    *text = visible;
                }
            }
            Value::Array(items) => open.extend(items),
            Value::Object(fields) => open.extend(fields.values_mut()),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

fn name_announces(name: &str) -> Option<Sensitive> {
    if stems::announced(name) || name == "sid" { key_name::classify(name) } else { None }
}

/// The name in `{"name": "DB_PASSWORD", "value": "…"}`, as many systems write variables.
fn pair_name(fields: &Map<String, Value>) -> Option<&str> {
    ["name", "key", "Name", "Key", "ParameterKey", "ParameterName", "OptionName", "variable", "label", "field"]
        .iter()
        .find_map(|name| fields.get(*name)?.as_str())
}

fn is_value_name(name: &str) -> bool {
    ["value", "Value", "ParameterValue", "val", "content", "default", "plaintext"].contains(&name)
}
