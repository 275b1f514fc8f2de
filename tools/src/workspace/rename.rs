//! Pairing a deleted file with an added one: the same content first, then much the same.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use git2::{Oid, Repository};

use super::change::Change;

/// More candidates than this on one side are paired by equal content alone.
const MOST_CANDIDATES: usize = 100;
/// Larger files are paired by equal content alone.
const LARGEST: usize = 256 << 10;
/// In per cent of the larger file's lines, as git's own default.
const ALIKE: usize = 50;

/// Additions (by their place among the changes) and the deletions they come from, each used once.
#[derive(Default)]
struct Pairs {
    sources: HashMap<usize, usize>,
    used: HashSet<usize>,
}

impl Pairs {
    fn add(&mut self, to: usize, from: usize) {
        if !self.sources.contains_key(&to) && self.used.insert(from) {
            self.sources.insert(to, from);
        }
    }
}

/// Turns a deletion and an addition into one rename, where both are there.
pub(super) fn pair(repo: &Repository, changes: &mut Vec<Change>) {
    let (added, deleted) = (sides(changes, true), sides(changes, false));
    if added.is_empty() || deleted.is_empty() {
        return;
    }
    let mut pairs = Pairs::default();
    let mut by_id: HashMap<Oid, Vec<usize>> = HashMap::new();
    for (at, id) in deleted.iter().rev() {
        by_id.entry(*id).or_default().push(*at);
    }
    for (at, id) in &added {
        if let Some(from) = by_id.get_mut(id).and_then(Vec::pop) {
            pairs.add(*at, from);
        }
    }
    if added.len() <= MOST_CANDIDATES && deleted.len() <= MOST_CANDIDATES {
        pair_alike(repo, &added, &deleted, &mut pairs);
    }
    apply(changes, &pairs);
}

fn sides(changes: &[Change], added: bool) -> Vec<(usize, Oid)> {
    let side = |change: &Change| if added { change.new.filter(|_| change.old.is_none()) } else { change.old.filter(|_| change.new.is_none()) };
    let regular =
        |(at, change)| side(change).filter(|version| version.mode & 0o170_000 == 0o100_000).and_then(|version| version.id).map(|id| (at, id));
    changes.iter().enumerate().filter_map(regular).collect()
}

fn pair_alike(repo: &Repository, added: &[(usize, Oid)], deleted: &[(usize, Oid)], pairs: &mut Pairs) {
    let lines = |side: &[(usize, Oid)]| -> Vec<(usize, HashMap<u64, usize>)> {
        side.iter().filter_map(|(at, id)| Some((*at, fingerprint(repo, *id)?))).collect()
    };
    let (added, deleted) = (lines(added), lines(deleted));
    let mut candidates: Vec<(usize, usize, usize)> = Vec::new();
    for (to, new) in &added {
        for (from, old) in &deleted {
            let larger = new.values().sum::<usize>().max(old.values().sum());
            let shared: usize = new.iter().map(|(line, count)| old.get(line).map_or(0, |other| *count.min(other))).sum();
            if larger > 0 && shared * 100 >= larger * ALIKE {
                candidates.push((shared * 100 / larger, *to, *from));
            }
        }
    }
    candidates.sort_unstable_by(|a, b| b.cmp(a));
    for (_, to, from) in candidates {
        pairs.add(to, from);
    }
}

/// How often each line is in a file, by its hash.
fn fingerprint(repo: &Repository, id: Oid) -> Option<HashMap<u64, usize>> {
    let (size, _) = repo.odb().ok()?.read_header(id).ok()?;
    let blob = if size <= LARGEST { repo.find_blob(id).ok()? } else { return None };
    let mut lines = HashMap::new();
    for line in blob.content().split_inclusive(|byte| *byte == b'\n') {
        let mut hasher = DefaultHasher::new();
        line.hash(&mut hasher);
        *lines.entry(hasher.finish()).or_insert(0) += 1;
    }
    Some(lines)
}

fn apply(changes: &mut Vec<Change>, pairs: &Pairs) {
    let sources: Vec<(usize, String, Option<super::change::Version>)> =
        pairs.sources.iter().filter_map(|(to, from)| changes.get(*from).map(|source| (*to, source.path.clone(), source.old))).collect();
    for (to, path, old) in sources {
        if let Some(change) = changes.get_mut(to) {
            (change.renamed_from, change.old) = (Some(path), old);
        }
    }
    let mut at = 0;
    changes.retain(|_| {
        at += 1;
        !pairs.used.contains(&(at - 1))
    });
}
