//! Single values, and the mappings and lists they stand in.

use std::collections::BTreeSet;

use super::super::diagnostics::{At, MOST, did_you_mean, nearest};
use super::super::glob::{Pattern, Subject};
use super::super::glob_table::{LOOKED_UP, MOST_SEARCHED, searched_bytes};
use super::super::yaml::{Node, Value};
use super::Reader;

/// The most names of one list that are compared one by one.
const MOST_NAMES: usize = 100;

/// The known keys of a mapping that are there.
pub(super) struct Fields<'n> {
    entries: Vec<(&'n At<String>, &'n Node)>,
}

impl<'n> Fields<'n> {
    pub(super) fn get(&self, key: &str) -> Option<&'n Node> {
        self.entries.iter().find(|(name, _)| name.value == key).map(|(_, node)| *node)
    }

    pub(super) fn key(&self, key: &str) -> Option<&'n At<String>> {
        self.entries.iter().find(|(name, _)| name.value == key).map(|(name, _)| *name)
    }
}

impl Reader<'_> {
    /// The fields of a mapping with fixed keys; any other key is an error.
    pub(super) fn fields<'n>(&mut self, node: &'n Node, what: &str, known: &[&'static str]) -> Fields<'n> {
        let mut entries = Vec::new();
        for (key, value) in self.entries(node, what) {
            if self.errors.len() >= MOST {
                break; // no more are told, and looking for the nearest name is work
            }
            if known.contains(&key.value.as_str()) {
                entries.push((key, value));
            } else {
                let help = meant(&key.value).or_else(|| did_you_mean(&key.value, known.iter().copied()));
                self.error(key.at, format!("{what} has no key `{}`", key.value), help);
            }
        }
        Fields { entries }
    }

    /// The entries of a mapping whose keys are the writer's own. Nothing at all is an empty mapping.
    pub(super) fn entries<'n>(&mut self, node: &'n Node, what: &str) -> Vec<(&'n At<String>, &'n Node)> {
        match &node.value {
            Value::Map(entries) => entries.iter().map(|(key, value)| (key, value)).collect(),
            Value::Null => Vec::new(),
            other => {
                self.error(node.at, format!("{what} is a mapping, and this is {}", other.kind()), None);
                Vec::new()
            }
        }
    }

    /// The items of a list that must not be empty.
    pub(super) fn items<'n>(&mut self, node: &'n Node, what: &str) -> &'n [Node] {
        match &node.value {
            Value::List(items) if items.is_empty() => {
                self.error(node.at, format!("{what} is an empty list"), "name something or drop the key".to_owned());
                &[]
            }
            Value::List(items) => items,
            other => {
                let help = matches!(other, Value::Text(_)).then(|| "write it in brackets: `[…]`".to_owned());
                self.error(node.at, format!("{what} is a list, and this is {}", other.kind()), help);
                &[]
            }
        }
    }

    pub(super) fn text(&mut self, node: &Node, what: &str) -> Option<At<String>> {
        match &node.value {
            Value::Text(text) if text.trim().is_empty() => {
                self.error(node.at, format!("{what} is empty"), None);
                None
            }
            Value::Text(text) if text.contains(char::is_control) => {
                self.error(node.at, format!("{what} has a control character"), None);
                None
            }
            Value::Text(text) => Some(At { value: text.clone(), at: node.at }),
            other => {
                let help = matches!(other, Value::Bool(_) | Value::Int(_) | Value::Float(_)).then(|| "put it in quotes".to_owned());
                self.error(node.at, format!("{what} is text, and this is {}", other.kind()), help);
                None
            }
        }
    }

    pub(super) fn texts(&mut self, node: &Node, what: &str) -> Vec<At<String>> {
        self.items(node, what).iter().filter_map(|item| self.text(item, what)).collect()
    }

    /// A list of names that are compared one by one, wherever they are asked for: so there are few.
    pub(super) fn few_texts(&mut self, node: &Node, what: &str) -> Vec<At<String>> {
        let texts = self.texts(node, what);
        if let Some(one) = texts.get(MOST_NAMES) {
            self.error(one.at, format!("{what} names more than {MOST_NAMES}"), None);
        }
        texts.into_iter().take(MOST_NAMES).collect()
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(&mut self, node: &Node, what: &str, words: &[(T, &'static str)]) -> Option<T> {
        self.word_or(node, what, words, |text| did_you_mean(text, words.iter().map(|(_, name)| *name)))
    }

    fn word_or<T: Copy>(&mut self, node: &Node, what: &str, words: &[(T, &'static str)], help: impl Fn(&str) -> Option<String>) -> Option<T> {
        let text = match &node.value {
            Value::Text(text) => text.clone(),
            Value::Bool(value) => value.to_string(),
            other => {
                self.error(node.at, format!("{what} cannot be {}", other.kind()), help(""));
                return None;
            }
        };
        let found = words.iter().find(|(_, name)| *name == text).map(|(value, _)| *value);
        if found.is_none() && self.errors.len() < MOST {
            self.error(node.at, format!("{what} cannot be `{text}`"), help(&text));
        }
        found
    }

    /// `on` or `off`; anything else is an error and counts as off. Nobody is told that `on` was meant: `no` is near to it.
    pub(super) fn switch(&mut self, node: &Node, what: &str) -> bool {
        let off = |text: &str| matches!(text, "no" | "false" | "never" | "none") || nearest(text, ["on", "off"]) == Some("off");
        let help = |text: &str| if off(text) { "did you mean `off`?" } else { "known: `off`, `on`" };
        self.word_or(node, what, super::keys::SWITCH, |text| Some(help(text).to_owned())).unwrap_or(false)
    }

    /// `true` or `false`; anything else is an error.
    pub(super) fn boolean(&mut self, node: &Node, what: &str) -> Option<bool> {
        if let Value::Bool(value) = &node.value {
            return Some(*value);
        }
        self.word(node, what, &[(true, "true"), (false, "false")]).and_then(|_| {
            self.error(node.at, format!("{what} is true or false without quotes"), None);
            None
        })
    }

    pub(super) fn glob(&mut self, node: &Node, what: &str, subject: Subject) -> Option<At<Pattern>> {
        let text = match &node.value {
            Value::Text(text) => text,
            other => {
                let help = matches!(other, Value::Bool(_) | Value::Int(_) | Value::Float(_)).then(|| "put it in quotes".to_owned());
                self.error(node.at, format!("{what} is a glob, and this is {}", other.kind()), help);
                return None;
            }
        };
        match Pattern::parse(text, subject) {
            Ok(value) => self.searchable(At { value, at: node.at }),
            Err((message, help)) => {
                self.error(node.at, format!("{what}: {message}"), help);
                None
            }
        }
    }

    /// Bounds what compiling and asking all globs costs.
    // INVARIANT: no policy makes the gateway use more memory or time than its size says (test: what_is_meant_to_hurt_is_refused_clearly).
    fn searchable(&mut self, glob: At<Pattern>) -> Option<At<Pattern>> {
        let before = self.searched;
        self.searched += searched_bytes(&glob.value);
        if self.searched <= MOST_SEARCHED {
            return Some(glob);
        }
        if before <= MOST_SEARCHED {
            let message = format!("with `{}` the globs of the policy are more to search for than a policy may have", glob.value.text());
            self.error(glob.at, message, LOOKED_UP.to_owned());
        }
        None
    }

    /// Whether there are more globs to search for than a policy may have, so that some were not kept.
    pub(super) fn is_too_much(&self) -> bool {
        self.searched > MOST_SEARCHED
    }

    /// A list of globs without doubles.
    pub(super) fn globs(&mut self, node: &Node, what: &str, subject: Subject) -> Vec<At<Pattern>> {
        let mut globs: Vec<At<Pattern>> = Vec::new();
        let mut seen = BTreeSet::new();
        for item in self.items(node, what) {
            let Some(glob) = self.glob(item, what, subject) else { continue };
            if !seen.insert(glob.value.text().to_owned()) {
                self.error(glob.at, format!("{what} names `{}` twice", glob.value.text()), "keep one".to_owned());
            }
            globs.push(glob);
        }
        globs
    }

    /// A whole number within bounds.
    pub(super) fn count(&mut self, node: &Node, what: &str, bounds: std::ops::RangeInclusive<u32>) -> Option<u32> {
        let found = match &node.value {
            Value::Int(number) => u32::try_from(*number).ok().filter(|number| bounds.contains(number)),
            _ => None,
        };
        if found.is_none() {
            self.error(node.at, format!("{what} is a whole number from {} to {}", bounds.start(), bounds.end()), None);
        }
        found
    }

    /// A number from 0 to 1.
    pub(super) fn fraction(&mut self, node: &Node, what: &str) -> Option<f64> {
        let found = match &node.value {
            Value::Int(0) => Some(0.0),
            Value::Int(1) => Some(1.0),
            Value::Float(number) if (0.0..=1.0).contains(number) => Some(*number),
            _ => None,
        };
        if found.is_none() {
            self.error(node.at, format!("{what} is a number from 0 to 1"), None);
        }
        found
    }
}

/// What a writer wants who writes a key that other programs have and this language has not.
fn meant(key: &str) -> Option<String> {
    matches!(key, "read_only" | "readonly" | "read-only" | "readOnly")
        .then(|| "write `write_mode: off` so that nothing is written, or `mode: read_only` at a system".to_owned())
}
