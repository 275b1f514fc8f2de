//! Cursors into another system's answers: the place it told, bound to the question it belongs to.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::error::ToolError;

/// The longest cursor that is read, in bytes.
const LONGEST: usize = 2048;

/// What a listing without paths says about what comes after it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct More {
    #[serde(skip_serializing_if = "Option::is_none")]
    cut: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

impl More {
    pub(crate) fn at(next_cursor: Option<String>) -> Self {
        Self { cut: next_cursor.is_some().then_some(true), next_cursor }
    }
}

/// What was asked, but for the cursor: a cursor of another question is told and never used.
///
/// A caller can make up a cursor; what comes out of one is as untrusted as any argument, and is parsed as such.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question([u8; 8]);

impl Question {
    /// The question that has these parts: the tool and each argument.
    pub(crate) fn of(parts: &[&str]) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        Self(hasher.finalize().first_chunk().copied().unwrap_or_default())
    }

    /// The cursor that leads to this place.
    pub(crate) fn cursor(self, place: &str) -> String {
        URL_SAFE_NO_PAD.encode([self.0.as_slice(), place.as_bytes()].concat())
    }

    /// The place that a cursor leads to.
    ///
    /// # Errors
    /// Where it is no cursor, or one of another question.
    pub(crate) fn place(self, cursor: &str) -> Result<String, ToolError> {
        let bytes = Some(cursor).filter(|cursor| cursor.len() <= LONGEST).and_then(|cursor| URL_SAFE_NO_PAD.decode(cursor).ok());
        let bytes = bytes.ok_or_else(not_ours)?;
        let (of, place) = bytes.split_first_chunk::<8>().ok_or_else(not_ours)?;
        if *of != self.0 {
            return Err(stale());
        }
        String::from_utf8(place.to_vec()).map_err(|_| not_ours())
    }
}

pub(crate) fn not_ours() -> ToolError {
    ToolError::invalid("the cursor is none of this tool's; use `next_cursor` as it came, or leave it out")
}

pub(crate) fn stale() -> ToolError {
    ToolError::invalid("the cursor is stale: the arguments or the content changed since; ask again without it")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_leads_back_from_its_own_question_alone(place in ".{0,40}", a in ".{0,9}", b in ".{0,9}") {
            let (question, other) = (Question::of(&[&a, &b]), Question::of(&[&b, &a, "x"]));
            prop_assert_eq!(question.place(&question.cursor(&place)).ok(), Some(place.clone()));
            prop_assert!(other.place(&question.cursor(&place)).is_err());
        }

        #[test]
        fn any_text_as_a_cursor_is_refused(text in ".{0,80}") {
            prop_assert!(Question::of(&["t"]).place(&text).is_err());
        }
    }

    #[test]
    fn parts_do_not_run_together() {
        let cursor = Question::of(&["ab", "c"]).cursor("1");
        assert!(Question::of(&["a", "bc"]).place(&cursor).is_err());
    }
}
