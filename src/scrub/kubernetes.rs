//! Kubernetes Secrets: all of their data is secret, whatever its names and values look like.

use super::span::{MARK, Span};
use serde_json::{Map, Value};

/// The kind that a value in a Secret is counted as.
pub(super) const KIND: &str = "kubernetes_secret";

/// Whether a JSON object is a Secret.
pub(super) fn is_secret(object: &Map<String, Value>) -> bool {
    object.get("kind").and_then(Value::as_str) == Some("Secret") && (object.contains_key("data") || object.contains_key("stringData"))
}

/// Secrets in YAML text. A document is read once, however often it says that it is one.
#[derive(Debug, Default)]
pub(super) struct Manifests {
    read_to: usize,
}

impl Manifests {
    /// Where the text at `hit` says `kind: Secret`, adds all values of that document's `data` and
    /// `stringData`.
    pub(super) fn find(&mut self, text: &str, hit: usize, spans: &mut Vec<Span>) {
        let before = text.get(..hit).unwrap_or_default();
        if hit < self.read_to
            || !text.get(hit..).is_some_and(|rest| rest.starts_with("Secret"))
            || !before.trim_end_matches([' ', '"', '\'']).ends_with("kind:")
        {
            return;
        }
        if !text.get(hit + 6..).is_some_and(|rest| rest.trim_start_matches(['"', '\'', ' ', '\r']).starts_with('\n') || rest.is_empty()) {
            return;
        }
        let start = before.rfind("\n---").map_or(0, |at| at + 1).max(self.read_to);
        let end = text.get(hit..).and_then(|rest| rest.find("\n---")).map_or(text.len(), |at| hit + at);
        self.read_to = end;
        let mut at = start;
        let mut data: Option<usize> = None;
        let mut block: Option<usize> = None;
        for line in text.get(start..end).unwrap_or_default().split_inclusive('\n') {
            let content = line.trim();
            let diffed = usize::from(line.starts_with(['+', '-']) && !content.starts_with("- "));
            let indent = line.get(diffed..).map_or(0, |line| line.len() - line.trim_start_matches(' ').len());
            let name = content.trim_start_matches(['+', '-', ' ']);
            if content.is_empty() || content.starts_with('#') {
            } else if name == "data:" || name == "stringData:" {
                data = Some(indent);
                block = None;
            } else if let Some(parent) = data {
                if indent <= parent {
                    data = None;
                } else {
                    value_of_line(line, at, indent, &mut block, spans);
                }
            }
            at += line.len();
        }
    }
}

/// Adds the value of `name: value`, or a line of a block scalar.
fn value_of_line(line: &str, at: usize, indent: usize, block: &mut Option<usize>, spans: &mut Vec<Span>) {
    let content = line.trim_end();
    let from = match (*block, content.find(": ")) {
        (Some(key), _) if indent > key => Some(content.len() - content.trim_start().len()),
        (_, Some(colon)) => {
            let value = content.get(colon + 2..).unwrap_or_default();
            let lead = value.len() - value.trim_start_matches([' ', '"', '\'']).len();
            let opens_block = value.trim_start().starts_with(['|', '>']);
            *block = opens_block.then_some(indent);
            (!opens_block).then_some(colon + 2 + lead)
        }
        _ => None,
    };
    if let Some(from) = from {
        let value = content.get(from..).unwrap_or_default().trim_end_matches(['"', '\'']);
        if !value.is_empty() && !value.starts_with(MARK) && !value.starts_with("{{") && !value.starts_with("${") {
            spans.push(Span { start: at + from, end: at + from + value.len(), kind: KIND });
        }
    }
}
