//! Settings of two policies, one by one: what matters to a reviewer and changes no decision by itself.

use std::collections::BTreeSet;

use serde::Serialize;

use super::entries::is_in_a_list;
use super::said::{Place, Policy, Said};
use super::weaker::is_weaker;

/// A setting that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Where in the policy: `limits.timeout`.
    pub name: String,
    /// What it was; `None` where it was not there.
    pub old: Option<String>,
    /// What it is; `None` where it is not there any more.
    pub new: Option<String>,
}

/// The settings that differ: those that are weaker, and the others. What the lists of entries have is told by `entries`.
pub(super) fn changed(old: &Policy, new: &Policy) -> (Vec<Setting>, Vec<Setting>) {
    let places: BTreeSet<&Place> = old.iter().chain(new.iter()).map(|(place, _)| place).collect();
    let differs = |place: &&Place| !is_in_a_list(place) && old.get(place) != new.get(place);
    let (weaker, others): (Vec<&Place>, Vec<&Place>) = places.into_iter().filter(differs).partition(|place| is_weaker(place, old, new));
    let text = |policy: &Policy, place: &Place| policy.get(place).map(Said::text);
    let setting = |place: &Place| Setting { name: place.join("."), old: text(old, place), new: text(new, place) };
    (weaker.into_iter().map(setting).collect(), others.into_iter().map(setting).collect())
}

impl Setting {
    /// In a line.
    #[must_use]
    pub fn sentence(&self) -> String {
        let said = |text: &Option<String>| text.clone().unwrap_or_else(|| "nothing".to_owned());
        format!("{}: {} -> {}", self.name, said(&self.old), said(&self.new))
    }
}
