//! Which rules name something that a call touches, and of which kinds: gathered value by value, asked by rule.

/// In the order of the rules, each once with one bit for each kind: a value that thousands of rules name costs no more
/// for each of them than one that ten do.
#[derive(Debug, Default)]
pub(super) struct Hits(Vec<(u32, u16)>);

impl Hits {
    /// Adds the rules that name one value of this kind, which `each_rule` tells.
    pub(super) fn add(&mut self, kind: u16, each_rule: impl FnOnce(&mut dyn FnMut(u32))) {
        let before = self.0.len();
        each_rule(&mut |rule| self.0.push((rule, kind)));
        if self.0.len() > before.max(1) {
            self.0.sort_by_key(|(rule, _)| *rule); // two runs, mostly in order: the stable sort merges them
            self.0.dedup_by(|next, kept| {
                let same = next.0 == kept.0;
                kept.1 |= if same { next.1 } else { 0 };
                same
            });
        }
    }

    /// The kinds of which this rule names a touched value.
    pub(super) fn of(&self, rule: u32) -> u16 {
        let place = self.0.binary_search_by_key(&rule, |(one, _)| *one).ok();
        place.and_then(|place| self.0.get(place)).map_or(0, |(_, kinds)| *kinds)
    }

    /// Each rule that names a touched value, with the kinds.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, u16)> {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_one_rule_come_together_however_they_are_told() {
        let mut hits = Hits::default();
        for (kind, rules) in [(1, vec![7, 3]), (2, vec![]), (4, vec![9, 3, 3, 1]), (1, vec![9])] {
            hits.add(kind, |found| rules.into_iter().for_each(found));
        }
        assert_eq!(hits.iter().collect::<Vec<_>>(), [(1, 4), (3, 5), (7, 1), (9, 5)]);
        assert_eq!((hits.of(3), hits.of(7), hits.of(2)), (5, 1, 0));
    }
}
