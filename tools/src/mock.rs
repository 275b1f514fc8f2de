//! What recorded answers are made of: a request taken apart, a state for each caller, an answer put together.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::Value;

/// A system's recorded answers. It answers every request, as the system does: what it does not know is not found.
pub(crate) trait Recorded: Send + Sync {
    /// The answer to one caller's request.
    fn answer(&self, caller: &Arc<str>, request: &Request<Bytes>) -> Response<Bytes>;
}

/// The decoded parts of a path: `/repos/acme/a%20b` is `repos`, `acme`, `a b`.
pub(crate) fn segments(request: &Request<Bytes>) -> Vec<Cow<'_, str>> {
    request.uri().path().split('/').skip(1).map(|part| percent_decode_str(part).decode_utf8_lossy()).collect()
}

/// The decoded value of a query parameter.
pub(crate) fn query<'r>(request: &'r Request<Bytes>, name: &str) -> Option<Cow<'r, str>> {
    let pairs = request.uri().query()?.split('&').filter_map(|pair| pair.split_once('='));
    let mut values = pairs.filter(|(key, _)| *key == name).map(|(_, value)| percent_decode_str(value).decode_utf8_lossy());
    values.next()
}

/// An answer of JSON.
pub(crate) fn json(status: StatusCode, headers: &[(&str, String)], body: &Value) -> Response<Bytes> {
    let mut answer = Response::builder().status(status).header("content-type", "application/json; charset=utf-8");
    for (name, value) in headers {
        answer = answer.header(*name, value);
    }
    answer.body(Bytes::from(body.to_string())).unwrap_or_default()
}

/// A state for each caller, for as many callers as are kept: where one more comes, what the longest idle one wrote is forgotten.
#[derive(Debug)]
pub(crate) struct PerCaller<T> {
    most: usize,
    states: Mutex<Vec<(Arc<str>, T)>>,
}

impl<T: Default> PerCaller<T> {
    /// For at most so many callers, at least one.
    pub(crate) fn new(most: usize) -> Self {
        Self { most: most.max(1), states: Mutex::new(Vec::new()) }
    }

    /// Looks at or changes a caller's state.
    // INVARIANT: nobody sees what another caller wrote (test: a_caller_sees_what_it_wrote_alone).
    pub(crate) fn with<R>(&self, caller: &Arc<str>, work: impl FnOnce(&mut T) -> R) -> R {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = states.iter().position(|(one, _)| one == caller).map(|at| states.remove(at));
        let mut state = kept.unwrap_or_else(|| (caller.clone(), T::default()));
        let result = work(&mut state.1);
        let surplus = (states.len() + 1).saturating_sub(self.most);
        states.drain(..surplus);
        states.push(state);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_idle_caller_is_forgotten_first() {
        let states: PerCaller<u32> = PerCaller::new(2);
        let count = |caller: &str| {
            states.with(&caller.into(), |n| {
                *n += 1;
                *n
            })
        };
        assert_eq!((count("a"), count("b"), count("a")), (1, 1, 2));
        assert_eq!((count("c"), count("a"), count("b")), (1, 3, 1));
    }

    #[test]
    fn a_request_is_taken_apart_decoded() {
        let request = Request::get("/repos/acme/a%20b?labels=x%2Cy&page=2").body(Bytes::new()).unwrap();
        assert_eq!(segments(&request), ["repos", "acme", "a b"]);
        assert_eq!(query(&request, "labels").as_deref(), Some("x,y"));
        assert_eq!(query(&request, "lab"), None);
    }
}
