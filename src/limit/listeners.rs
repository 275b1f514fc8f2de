//! Subscriptions at once, per caller and in all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// So many may wait to be told in all.
const MOST: usize = 4096;
/// So many of one caller: nobody takes the places of all others.
const MOST_OF_ONE: usize = 128;

/// Who waits to be told of changes.
#[derive(Debug, Default)]
pub struct Listeners(Arc<Mutex<HashMap<Arc<str>, usize>>>);

/// One that waits, until dropped.
#[derive(Debug)]
pub struct Listening {
    all: Arc<Mutex<HashMap<Arc<str>, usize>>>,
    caller: Arc<str>,
}

impl Listeners {
    /// A place for one more subscription of this caller; `None` where it, or all together, have too many.
    // INVARIANT: however many one caller opens, another is told (test: one_caller_leaves_places_to_the_others).
    #[must_use]
    pub fn join(&self, caller: &Arc<str>) -> Option<Listening> {
        let mut callers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let full = callers.values().sum::<usize>() >= MOST || callers.get(caller).is_some_and(|count| *count >= MOST_OF_ONE);
        if full {
            return None;
        }
        *callers.entry(caller.clone()).or_default() += 1;
        Some(Listening { all: self.0.clone(), caller: caller.clone() })
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut callers = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = callers.get_mut(&self.caller) {
            *count -= 1;
            if *count == 0 {
                callers.remove(&self.caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_caller_leaves_places_to_the_others() {
        let listeners = Listeners::default();
        let many = |caller: &str, count: usize| (0..count).filter_map(|_| listeners.join(&caller.into())).collect::<Vec<_>>();
        let mut greedy = many("key:greedy", MOST);
        assert_eq!(greedy.len(), MOST_OF_ONE);
        assert_eq!(many("key:other", 1).len(), 1);
        greedy.pop();
        assert_eq!(many("key:greedy", 2).len(), 1, "a place that was given back is not taken again");
        let others: Vec<_> = (0..MOST).flat_map(|nth| many(&format!("key:{nth}"), 1)).collect();
        assert_eq!(greedy.len() + others.len(), MOST);
        drop((greedy, others));
        assert!(listeners.0.lock().unwrap().is_empty(), "who waits no more is still known");
    }
}
