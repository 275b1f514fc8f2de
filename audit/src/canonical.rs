//! Canonical JSON (RFC 8785) for the `data` of an entry.

use serde::Serialize;
use serde_json::Value;

use crate::scan;

/// A JSON object in RFC 8785 form whose numbers are all integers of magnitude at most 2⁵³.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanonicalJson(String);

/// Why a value has no canonical form here.
#[derive(Debug, thiserror::Error)]
pub enum NotCanonical {
    /// It is a list, a string, a number or nothing.
    #[error("an entry's data must be a JSON object")]
    NotAnObject,
    /// It is nested too deeply.
    #[error("the data is nested more than {} levels deep", scan::MAX_DEPTH)]
    TooDeep,
    /// It cannot be written as JSON.
    #[error("the data cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl CanonicalJson {
    /// Canonicalises any value that serialises to an object. A number that is not an integer of magnitude at most 2⁵³ becomes a string.
    ///
    /// # Errors
    /// [`NotCanonical`] where it is no object, is nested deeper than 64, or does not serialise.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, NotCanonical> {
        let mut value = serde_json::to_value(value)?;
        if !value.is_object() {
            return Err(NotCanonical::NotAnObject);
        }
        plain_numbers(&mut value, 0)?;
        Ok(Self(serde_json_canonicalizer::to_string(&value)?))
    }

    /// As [`CanonicalJson::of`], several times faster for structs whose fields are declared in sorted order: what they serialise to is
    /// only checked. Anything else takes the slow way and comes out right too.
    ///
    /// # Errors
    /// As [`CanonicalJson::of`].
    pub fn sorted<T: Serialize + ?Sized>(value: &T) -> Result<Self, NotCanonical> {
        let text = serde_json::to_string(value)?;
        if scan::object(text.as_bytes()) != Ok(text.len()) {
            return Self::of(value);
        }
        debug_assert_eq!(Some(&text), Self::of(value).ok().map(|slow| slow.0).as_ref(), "the scanner and the canonicalizer disagree");
        Ok(Self(text))
    }

    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same object with one more member. `value` must itself be canonical. Where the key is there already with that value, nothing
    /// changes; with another value, `None`.
    pub(crate) fn with(&self, key: &str, value: &str) -> Option<String> {
        match scan::place(self.0.as_bytes(), key) {
            scan::Place::Taken(range) => (self.0.get(range) == Some(value)).then(|| self.0.clone()),
            scan::Place::Before(at) => {
                let (before, after) = self.0.split_at_checked(at)?;
                let mut text = String::with_capacity(self.0.len() + key.len() + value.len() + 4);
                text.push_str(before);
                if after == "}" && before.len() > 1 {
                    text.push(',');
                }
                text.push('"');
                text.push_str(key);
                text.push_str("\":");
                text.push_str(value);
                if after != "}" {
                    text.push(',');
                }
                text.push_str(after);
                Some(text)
            }
        }
    }
}

impl AsRef<[u8]> for CanonicalJson {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

fn plain_numbers(value: &mut Value, depth: usize) -> Result<(), NotCanonical> {
    if depth > scan::MAX_DEPTH {
        return Err(NotCanonical::TooDeep);
    }
    match value {
        Value::Number(number) => {
            let plain = number.as_i64().is_some_and(|integer| integer.unsigned_abs() <= scan::MAX_INTEGER);
            if !plain {
                *value = Value::String(number.to_string());
            }
        }
        Value::Array(items) => {
            if depth >= scan::MAX_DEPTH {
                return Err(NotCanonical::TooDeep);
            }
            for item in items {
                plain_numbers(item, depth + 1)?;
            }
        }
        Value::Object(members) => {
            if depth >= scan::MAX_DEPTH {
                return Err(NotCanonical::TooDeep);
            }
            for (_, member) in members.iter_mut() {
                plain_numbers(member, depth + 1)?;
            }
        }
        _ => {}
    }
    Ok(())
}
