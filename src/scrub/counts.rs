//! How many secrets of which kind were removed.

use serde::ser::{Serialize, SerializeMap, Serializer};

/// Removed secrets by kind. Empty (and without allocation) for clean text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts(Vec<(&'static str, u64)>);

impl Counts {
    /// Nothing removed.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Counts one more secret of `kind`.
    pub(super) fn add(&mut self, kind: &'static str) {
        self.add_many(kind, 1);
    }

    fn add_many(&mut self, kind: &'static str, count: u64) {
        match self.0.binary_search_by_key(&kind, |(known, _)| known) {
            Ok(at) => {
                if let Some((_, sum)) = self.0.get_mut(at) {
                    *sum += count;
                }
            }
            Err(at) => self.0.insert(at, (kind, count)),
        }
    }

    /// Adds the counts of another part of the same reply.
    pub fn merge(&mut self, other: &Self) {
        for &(kind, count) in &other.0 {
            self.add_many(kind, count);
        }
    }

    /// Whether nothing was removed.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All removed secrets, of whatever kind.
    pub fn total(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    /// Kinds and counts, in the order of the kinds' names.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.0.iter().copied()
    }
}

impl Serialize for Counts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (kind, count) in self.iter() {
            map.serialize_entry(kind, &count)?;
        }
        map.end()
    }
}
