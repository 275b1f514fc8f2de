//! Many globs asked at once. Most globs name a thing, a name wherever it stands, an ending, or all that is beneath one of
//! these: those are looked up, however many there are. Only the rest is searched for, in one pass.

use std::collections::HashMap;

use globset::{GlobSet, GlobSetBuilder};

use super::glob::{Compare, Pattern, Subject, any_characters, compile, spelling};

/// What begins a wildcard.
pub(super) const WILD: [char; 4] = ['*', '?', '[', '{'];
/// What no fixed name has in a glob.
const SPECIAL: [char; 8] = ['*', '?', '[', ']', '{', '}', '!', '\\'];

/// What a glob that can be looked up compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// The whole value: `src/main.rs`.
    Whole,
    /// Its last part: `**/id_rsa`.
    Name,
    /// What follows the last dot of its last part: `**/*.pem`.
    Ending,
    /// All but its last part: `acme/*`.
    Parent,
}

/// A glob that can be looked up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fixed<'t> {
    part: Part,
    key: &'t str,
    /// Not the thing itself, but all in it: `…/**`.
    beneath: bool,
}

impl<'t> Fixed<'t> {
    // INVARIANT: what is looked up matches as the glob does (test: looking_up_is_matching).
    pub(super) fn of(text: &'t str, subject: Subject) -> Option<Self> {
        let whole = Self { part: Part::Whole, key: text, beneath: false };
        let fixed = if subject == Subject::Caller { whole } else { Self::in_parts(text) };
        let one_part = matches!(fixed.part, Part::Whole | Part::Parent) || !fixed.key.contains('/');
        let one_ending = fixed.part != Part::Ending || !fixed.key.contains('.');
        (!fixed.key.is_empty() && one_part && one_ending && !fixed.key.contains(SPECIAL)).then_some(fixed)
    }

    fn in_parts(text: &'t str) -> Self {
        let (text, beneath) = text.strip_suffix("/**").map_or((text, false), |folder| (folder, true));
        let (part, key) = match text.strip_prefix("**/") {
            None => text.strip_suffix("/*").map_or((Part::Whole, text), |parent| (Part::Parent, parent)),
            Some(name) => name.strip_prefix("*.").map_or((Part::Name, name), |ending| (Part::Ending, ending)),
        };
        Self { part, key, beneath }
    }
}

/// How much searching for this glob costs, in bytes: nothing where it is looked up.
pub(super) fn searched_bytes(glob: &Pattern) -> usize {
    let text = glob.text();
    // The beginnings of names are found in one pass, however many they are.
    let beginning = glob.subject() == Subject::Caller && text.strip_suffix('*').is_some_and(|rest| !rest.contains(SPECIAL));
    if beginning || Fixed::of(text, glob.subject()).is_some() { 0 } else { text.len() + PER_GLOB + any_characters(text) * PER_ANY }
}

/// What each glob costs beside its own length.
const PER_GLOB: usize = 32;

/// What a `?` or a class of all but some costs beside that.
const PER_ANY: usize = 48;

/// The most that all globs of a file may cost.
pub(super) const MOST_SEARCHED: usize = 64 * 1024;

/// How to write globs that cost nothing.
pub(super) const LOOKED_UP: &str =
    "name folders, names and endings: `src/**`, `src/*`, `**/name` and `**/*.ext` are looked up, however many there are";

/// Owners by what their globs compare.
#[derive(Debug, Clone, Default)]
struct Keys {
    whole: HashMap<Box<str>, Vec<u32>>,
    parents: HashMap<Box<str>, Vec<u32>>,
    /// The longest of these two, in bytes: nothing longer is looked up there.
    longest: usize,
    names: HashMap<Box<str>, Vec<u32>>,
    endings: HashMap<Box<str>, Vec<u32>>,
}

impl Keys {
    fn add(&mut self, part: Part, key: &str, owner: u32) {
        if matches!(part, Part::Whole | Part::Parent) {
            self.longest = self.longest.max(key.len());
        }
        let map = match part {
            Part::Whole => &mut self.whole,
            Part::Parent => &mut self.parents,
            Part::Name => &mut self.names,
            Part::Ending => &mut self.endings,
        };
        match map.get_mut(key) {
            Some(owners) => owners.push(owner),
            None => drop(map.insert(key.into(), vec![owner])),
        }
    }

    fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.parents.is_empty() && self.names.is_empty() && self.endings.is_empty()
    }

    fn of(&self, value: &str) -> impl Iterator<Item = u32> {
        let short = |text: &&str| text.len() <= self.longest;
        let whole = if self.whole.is_empty() { None } else { Some(value).filter(short).and_then(|value| self.whole.get(value)) };
        let (parent, name) = value.rsplit_once('/').map_or((None, value), |(parent, name)| (Some(parent), name));
        let parent = if self.parents.is_empty() { None } else { parent.filter(short).and_then(|parent| self.parents.get(parent)) };
        let named = if self.names.is_empty() { None } else { self.names.get(name) };
        let ending = if self.endings.is_empty() { None } else { name.rsplit_once('.').and_then(|(_, ending)| self.endings.get(ending)) };
        [whole, parent, named, ending].into_iter().flatten().flatten().copied()
    }
}

/// Many globs, each with what it stands for.
#[derive(Debug, Clone, Default)]
pub(super) struct GlobTable {
    at: Keys,
    beneath: Keys,
    rest: GlobSet,
    rest_owners: Vec<u32>,
}

impl GlobTable {
    /// A table of globs, given as texts with their owners.
    pub(super) fn new<T: AsRef<str>>(globs: impl IntoIterator<Item = (T, u32)>, subject: Subject, compare: Compare) -> Result<Self, globset::Error> {
        let mut table = Self::default();
        let mut rest = GlobSetBuilder::new();
        for (text, owner) in globs {
            let text = text.as_ref();
            if let Some(Fixed { part, key, beneath }) = Fixed::of(&spelling(text, compare), subject) {
                if beneath { &mut table.beneath } else { &mut table.at }.add(part, key, owner);
            } else {
                rest.add(compile(text, subject, compare)?);
                table.rest_owners.push(owner);
            }
        }
        if !table.rest_owners.is_empty() {
            table.rest = rest.build()?;
        }
        Ok(table)
    }

    /// A table of these patterns, all of one owner.
    pub(super) fn of<'p>(patterns: impl IntoIterator<Item = &'p Pattern>, compare: Compare) -> Result<Self, globset::Error> {
        let mut patterns = patterns.into_iter().peekable();
        let subject = patterns.peek().map_or(Subject::Tool, |pattern| pattern.subject());
        Self::new(patterns.map(|pattern| (pattern.text(), 0)), subject, compare)
    }

    pub(super) fn is_match(&self, value: &str) -> bool {
        self.looked_up(value).next().is_some() || (!self.rest_owners.is_empty() && self.rest.is_match(value))
    }

    /// Calls `found` with the owner of each glob that matches; an owner of several may be told several times.
    pub(super) fn each_match(&self, value: &str, mut found: impl FnMut(u32)) {
        self.looked_up(value).for_each(&mut found);
        if self.rest_owners.is_empty() {
            return;
        }
        self.rest.matches(value).into_iter().filter_map(|index| self.rest_owners.get(index)).for_each(|owner| found(*owner));
    }

    fn looked_up(&self, value: &str) -> impl Iterator<Item = u32> {
        let folders = (!self.beneath.is_empty()).then(|| value.match_indices('/').filter_map(|(end, _)| value.get(..end)));
        self.at.of(value).chain(folders.into_iter().flatten().flat_map(|folder| self.beneath.of(folder)))
    }
}
