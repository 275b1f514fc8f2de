//! Text that has been through the scrubber, as a type.

use serde::{Serialize, Serializer};
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

/// A value that may leave the gateway: it was scrubbed, or it is fixed text of our own.
///
/// Replies, logs and records take nothing else. Only this module's siblings can make one from
/// foreign text, so there is no `From<String>`, no `Deserialize` and no `DerefMut`.
// INVARIANT: nothing unclean is ever wrapped; `scrub::tests::clean_is_made_only_by_scrubbing`
// and the crate's compile-fail tests hold it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Clean<T>(T);

impl<T> Clean<T> {
    /// For the scrubber alone: the caller vouches that `value` was scrubbed.
    pub(super) const fn vouched(value: T) -> Self {
        Self(value)
    }

    /// The value itself, leaving the guarantee behind: for the writer at the end of the path.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl Clean<&'static str> {
    /// Text fixed at compile time. It can hold no secret that the source does not hold already.
    pub const fn fixed(text: &'static str) -> Self {
        Self(text)
    }
}

impl Clean<String> {
    /// An owned copy of text fixed at compile time.
    pub fn from_fixed(text: &'static str) -> Self {
        Self(text.to_owned())
    }

    /// At most this many bytes of it, cut between characters and marked where it was cut.
    #[must_use]
    pub fn shortened(self, bytes: usize) -> Self {
        if self.0.len() <= bytes {
            return self;
        }
        let end = (0..=bytes).rev().find(|at| self.0.is_char_boundary(*at)).unwrap_or(0);
        Self(self.0.get(..end).unwrap_or_default().to_owned() + "…")
    }

    /// Starts a text that is joined from fixed and clean pieces.
    pub const fn builder() -> CleanBuilder {
        CleanBuilder(String::new())
    }
}

impl Clean<Value> {
    /// JSON null, which holds nothing.
    pub const fn null() -> Self {
        Self(Value::Null)
    }

    /// The value as compact JSON text.
    pub fn to_json_text(&self) -> Clean<String> {
        Clean(self.0.to_string())
    }
}

impl From<Clean<&'static str>> for Clean<String> {
    fn from(text: Clean<&'static str>) -> Self {
        Self(text.0.to_owned())
    }
}

impl From<Clean<&'static str>> for Clean<Cow<'static, str>> {
    fn from(text: Clean<&'static str>) -> Self {
        Self(Cow::Borrowed(text.0))
    }
}

impl From<Clean<String>> for Clean<Cow<'static, str>> {
    fn from(text: Clean<String>) -> Self {
        Self(Cow::Owned(text.0))
    }
}

impl From<Clean<String>> for Clean<Value> {
    fn from(text: Clean<String>) -> Self {
        Self(Value::String(text.0))
    }
}

impl<T> Deref for Clean<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> AsRef<T> for Clean<T> {
    fn as_ref(&self) -> &T {
        &self.0
    }
}

impl<T: fmt::Debug> fmt::Debug for Clean<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: fmt::Display> fmt::Display for Clean<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: Serialize> Serialize for Clean<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// Joins fixed text, clean text and numbers into one clean text.
#[derive(Debug, Clone, Default)]
pub struct CleanBuilder(String);

impl CleanBuilder {
    /// Adds text fixed at compile time.
    #[must_use]
    pub fn fixed(mut self, text: &'static str) -> Self {
        self.0.push_str(text);
        self
    }

    /// Adds text that is clean already.
    #[must_use]
    pub fn clean<T: AsRef<str>>(mut self, text: &Clean<T>) -> Self {
        self.0.push_str(text.0.as_ref());
        self
    }

    /// Adds a whole number, in decimal.
    #[must_use]
    pub fn number(mut self, number: impl Into<i128>) -> Self {
        self.0.push_str(&number.into().to_string());
        self
    }

    /// The joined text.
    pub fn finish(self) -> Clean<String> {
        Clean(self.0)
    }
}
