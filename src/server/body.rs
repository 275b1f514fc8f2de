//! Reading a request's body: bounded in length, in time, and in what one caller can make the gateway hold.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use bytes::BytesMut;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::line::MOST_LINE_BYTES;

/// How long a body may take to come.
const LONGEST_READ: Duration = Duration::from_secs(30);
/// How much of a body that is too long is read to its end, so that the client gets to read why.
const MOST_DROPPED_BYTES: usize = 16 * MOST_LINE_BYTES;
/// What one caller's bodies may hold at once, in KiB.
const PER_CALLER_KIB: usize = 16 * 1024;
/// The body of a request that is refused anyway is read for its id alone.
const ENOUGH_FOR_AN_ID: usize = 16 * 1024;

/// What is held for each caller.
#[derive(Default)]
pub(super) struct Bodies {
    callers: Mutex<HashMap<Arc<str>, Arc<Semaphore>>>,
}

/// A body, and the room it takes for as long as it lives.
pub(super) struct Held {
    pub(super) bytes: Bytes,
    _room: Vec<OwnedSemaphorePermit>,
}

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    TooLong,
    TooSlow,
    /// The caller's other bodies take all the room it has.
    NoRoom,
    Broken,
}

impl Bodies {
    /// The body of a request that may go on.
    pub(super) async fn read(&self, caller: &Arc<str>, body: Body) -> Result<Held, Unread> {
        let room = self.room(caller);
        tokio::time::timeout(LONGEST_READ, whole(body, MOST_LINE_BYTES, Some(room))).await.map_err(|_| Unread::TooSlow)?
    }

    /// The body of a request that is refused: read if it is short, empty otherwise.
    pub(super) async fn read_for_id(&self, body: Body) -> Bytes {
        match tokio::time::timeout(LONGEST_READ, whole(body, ENOUGH_FOR_AN_ID, None)).await {
            Ok(Ok(held)) => held.bytes,
            _ => Bytes::new(),
        }
    }

    fn room(&self, caller: &Arc<str>) -> Arc<Semaphore> {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        // Callers hold keys, so there are few; those that hold nothing are forgotten once there are many.
        if callers.len() > 1024 {
            callers.retain(|_, room| Arc::strong_count(room) > 1);
        }
        callers.entry(caller.clone()).or_insert_with(|| Arc::new(Semaphore::new(PER_CALLER_KIB))).clone()
    }
}

async fn whole(mut body: Body, bound: usize, room: Option<Arc<Semaphore>>) -> Result<Held, Unread> {
    let (mut bytes, mut taken, mut dropped) = (BytesMut::new(), Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Unread::Broken)?.into_data() else { continue };
        if dropped == 0 && bytes.len() + data.len() <= bound {
            if let Some(room) = &room {
                let kib = u32::try_from(data.len().div_ceil(1024)).unwrap_or(u32::MAX);
                taken.push(room.clone().try_acquire_many_owned(kib).map_err(|_| Unread::NoRoom)?);
            }
            bytes.extend_from_slice(&data);
        } else {
            (bytes, taken) = (BytesMut::new(), Vec::new());
            dropped += data.len();
            if dropped > MOST_DROPPED_BYTES {
                break;
            }
        }
    }
    if dropped > 0 { Err(Unread::TooLong) } else { Ok(Held { bytes: bytes.freeze(), _room: taken }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_callers_bodies_share_its_room_and_give_it_back() {
        let (bodies, a, b): (_, Arc<str>, Arc<str>) = (Bodies::default(), "key:a".into(), "key:b".into());
        let large = || Body::from(vec![b'x'; MOST_LINE_BYTES]);
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(bodies.read(&a, large()).await.ok().unwrap());
        }
        assert_eq!(bodies.read(&a, large()).await.err(), Some(Unread::NoRoom));
        assert!(bodies.read(&b, large()).await.is_ok());
        held.pop();
        assert!(bodies.read(&a, large()).await.is_ok());
    }

    #[tokio::test]
    async fn a_body_over_the_bound_is_told_and_holds_nothing() {
        let (bodies, a): (_, Arc<str>) = (Bodies::default(), "key:a".into());
        let over = Body::from(vec![b'x'; MOST_LINE_BYTES + 1]);
        assert_eq!(bodies.read(&a, over).await.err(), Some(Unread::TooLong));
        assert_eq!(bodies.room(&a).available_permits(), PER_CALLER_KIB);
        assert!(bodies.read_for_id(Body::from(vec![b'x'; ENOUGH_FOR_AN_ID + 1])).await.is_empty());
    }
}
