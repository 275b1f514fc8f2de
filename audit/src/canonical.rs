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

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// Any JSON with plain integers, its strings full of what needs care.
    fn values() -> impl Strategy<Value = Value> {
        let text = prop_oneof![".*", "[\u{0}-\u{20}\"\\\\/a\u{7f}é€\u{e000}\u{ffff}😀]{0,6}"];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            (-(1_i64 << 53)..=1 << 53).prop_map(Value::from),
            text.clone().prop_map(Value::String)
        ];
        leaf.prop_recursive(5, 64, 6, move |inner| {
            prop_oneof![
                vec(inner.clone(), 0..5).prop_map(Value::Array),
                btree_map(prop_oneof!["[\u{0}-\u{20}\"\\\\a-c\u{7f}é€\u{e000}\u{ffff}😀]{0,3}", "[a-z]{1,3}"], inner, 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect()))
            ]
        })
    }

    proptest! {
        #[test]
        fn the_scanner_accepts_what_the_canonicalizer_writes(value in values()) {
            let text = serde_json_canonicalizer::to_string(&json!({"value": value})).unwrap();
            prop_assert_eq!(scan::object(text.as_bytes()), Ok(text.len()));
            let ours = CanonicalJson::of(&json!({"value": value})).unwrap();
            prop_assert_eq!(ours.as_str(), text);
        }

        /// Whatever the scanner accepts is JSON, and the canonicalizer would write just that.
        #[test]
        fn the_scanner_accepts_nothing_else(value in values(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in 0..3_usize) {
            let mut bytes = serde_json_canonicalizer::to_string(&json!({"v": value, "w": [0, "b"]})).unwrap().into_bytes();
            let at = at.index(bytes.len());
            bytes.splice(at..(at + cut).min(bytes.len()), [byte]);
            let Ok(text) = String::from_utf8(bytes) else { return Ok(()) };
            if scan::object(text.as_bytes()) == Ok(text.len()) {
                let parsed: Value = serde_json::from_str(&text).unwrap();
                prop_assert_eq!(serde_json_canonicalizer::to_string(&parsed).unwrap(), text);
            }
        }

        #[test]
        fn a_member_is_added_in_its_place(value in btree_map("[a-z_]{0,3}|😀|\u{ffff}", 0..9_i64, 0..6), key in "[a-z_]{1,3}") {
            let object = CanonicalJson::of(&value).unwrap();
            let with = object.with(&key, "\"new\"");
            prop_assert_eq!(with.is_none(), value.contains_key(&key));
            if let Some(with) = with {
                let mut expected = serde_json::to_value(&value).unwrap();
                expected[&key] = json!("new");
                prop_assert_eq!(with, serde_json_canonicalizer::to_string(&expected).unwrap());
            }
        }

        #[test]
        fn no_input_hurts_the_scanner(bytes in vec(any::<u8>(), 0..200)) {
            let _ = scan::object(&bytes);
            let _ = scan::object(&[b"{\"a\":", bytes.as_slice()].concat());
        }
    }

    #[test]
    fn numbers_that_are_not_plain_become_strings() {
        let value = json!({"a": 1.5, "b": 1_u64 << 60, "c": -(1_i64 << 60), "d": 1_u64 << 53, "e": -(1_i64 << 53), "f": 2.0, "g": -0.0});
        let expected =
            r#"{"a":"1.5","b":"1152921504606846976","c":"-1152921504606846976","d":9007199254740992,"e":-9007199254740992,"f":"2.0","g":"-0.0"}"#;
        assert_eq!(CanonicalJson::of(&value).unwrap().as_str(), expected);
        assert_eq!(CanonicalJson::sorted(&value).unwrap().as_str(), expected);
    }

    #[test]
    fn only_objects_of_bounded_depth() {
        for value in [json!(null), json!([]), json!("x"), json!(1)] {
            assert!(matches!(CanonicalJson::of(&value), Err(NotCanonical::NotAnObject)));
        }
        let nested = |levels: usize| (0..levels).fold(json!({}), |inner, _| json!({"a": inner}));
        let deepest = CanonicalJson::of(&nested(scan::MAX_DEPTH - 1)).unwrap();
        assert_eq!(scan::object(deepest.as_ref()), Ok(deepest.as_str().len()));
        for value in [nested(scan::MAX_DEPTH), nested(100)] {
            assert!(matches!(CanonicalJson::of(&value), Err(NotCanonical::TooDeep)));
            assert!(matches!(CanonicalJson::sorted(&value), Err(NotCanonical::TooDeep)));
        }
    }

    #[test]
    fn the_fast_way_and_the_slow_way_agree() {
        #[derive(Serialize)]
        struct Sorted<'a> {
            bytes: u64,
            tool: &'a str,
        }
        #[derive(Serialize)]
        struct Unsorted<'a> {
            tool: &'a str,
            bytes: u64,
        }
        let expected = r#"{"bytes":3,"tool":"a\n\u001f\u007f"}"#.replace("\\u007f", "\u{7f}");
        let tool = "a\n\u{1f}\u{7f}";
        assert_eq!(CanonicalJson::sorted(&Sorted { bytes: 3, tool }).unwrap().as_str(), expected);
        assert_eq!(CanonicalJson::sorted(&Unsorted { tool, bytes: 3 }).unwrap().as_str(), expected);
    }
}
