//! Sessions of older clients over HTTP, bound to the caller that opened them.
//!
//! rmcp does not bind a session to an identity: without this, another caller's key works on a session id.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Sessions one caller may hold; the one used longest ago gives way.
const MOST_PER_CALLER: usize = 64;
/// Sessions in all.
const MOST: usize = 1024;

/// Which session belongs to whom.
#[derive(Default)]
pub(super) struct Sessions {
    owners: Mutex<HashMap<String, Owner>>,
}

struct Owner {
    caller: Arc<str>,
    order: u64,
}

impl Sessions {
    /// Whether this caller opened this session. Another's session and an unknown one look alike.
    pub(super) fn belongs(&self, session: &str, caller: &Arc<str>) -> bool {
        let mut owners = self.owners();
        let order = owners.values().map(|owner| owner.order + 1).max().unwrap_or(0);
        match owners.get_mut(session) {
            Some(owner) if owner.caller == *caller => {
                owner.order = order; // the one used longest ago gives way first
                true
            }
            _ => false,
        }
    }

    /// Binds a new session; returns those that must be closed to keep the bounds.
    pub(super) fn bind(&self, session: &str, caller: &Arc<str>) -> Vec<String> {
        let mut owners = self.owners();
        let order = owners.values().map(|owner| owner.order + 1).max().unwrap_or(0);
        owners.insert(session.to_owned(), Owner { caller: caller.clone(), order });
        let mut closed = Vec::new();
        let own = owners.values().filter(|owner| owner.caller == *caller).count();
        if own > MOST_PER_CALLER {
            closed.extend(oldest(&owners, |owner| owner.caller == *caller));
        } else if owners.len() > MOST {
            closed.extend(oldest(&owners, |_| true));
        }
        for session in &closed {
            owners.remove(session);
        }
        closed
    }

    /// Forgets a session that its caller closed.
    pub(super) fn forget(&self, session: &str) {
        self.owners().remove(session);
    }

    fn owners(&self) -> std::sync::MutexGuard<'_, HashMap<String, Owner>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn oldest(owners: &HashMap<String, Owner>, of: impl Fn(&Owner) -> bool) -> Option<String> {
    owners.iter().filter(|(_, owner)| of(owner)).min_by_key(|(_, owner)| owner.order).map(|(session, _)| session.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_belongs_to_the_caller_that_opened_it() {
        let (sessions, a, b): (_, Arc<str>, Arc<str>) = (Sessions::default(), "key:a".into(), "key:b".into());
        assert!(sessions.bind("s1", &a).is_empty());
        assert!(sessions.belongs("s1", &a));
        assert!(!sessions.belongs("s1", &b) && !sessions.belongs("s2", &a));
        sessions.forget("s1");
        assert!(!sessions.belongs("s1", &a));
    }

    #[test]
    fn a_callers_oldest_session_gives_way_and_others_stay() {
        let (sessions, a, b): (_, Arc<str>, Arc<str>) = (Sessions::default(), "key:a".into(), "key:b".into());
        sessions.bind("b", &b);
        for n in 0..MOST_PER_CALLER {
            assert!(sessions.bind(&format!("a{n}"), &a).is_empty());
        }
        assert_eq!(sessions.bind("one more", &a), ["a0"]);
        assert!(sessions.belongs("b", &b));
    }
}
