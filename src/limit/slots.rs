//! Calls at once, per caller, with a bounded queue.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Code, Refusal};

/// How many may wait for each one that runs.
const QUEUE_PER_SLOT: usize = 8;
/// How long one may wait in the queue.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// A running call's place. Given back when dropped.
#[derive(Debug)]
pub struct Slot(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

/// Each caller's places.
pub struct Slots {
    concurrency: usize,
    callers: Mutex<HashMap<Arc<str>, Places>>,
}

#[derive(Clone)]
struct Places {
    running: Arc<Semaphore>,
    queued: Arc<Semaphore>,
}

impl Slots {
    /// Places for this many calls at once per caller.
    #[must_use]
    pub fn new(concurrency: usize) -> Self {
        Self { concurrency, callers: Mutex::default() }
    }

    /// Takes a place, waiting in the caller's bounded queue where all are taken.
    ///
    /// # Errors
    /// [`Code::Busy`] where the queue is full or the wait too long.
    pub async fn take(&self, caller: &Arc<str>) -> Result<Slot, Refusal> {
        let places = self.places(caller);
        if let Ok(permit) = places.running.clone().try_acquire_owned() {
            return Ok(Slot(permit));
        }
        let busy = || Refusal::new(Code::Busy, format!("`{}` calls already run and more wait", self.concurrency)).retry_after(Duration::from_secs(1));
        let _queued = places.queued.clone().try_acquire_owned().map_err(|_| busy())?;
        match tokio::time::timeout(LONGEST_WAIT, places.running.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Slot(permit)),
            _ => Err(busy()),
        }
    }

    /// Forgets callers that run nothing.
    pub fn sweep(&self) {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        callers.retain(|_, places| Arc::strong_count(&places.running) > 1);
    }

    fn places(&self, caller: &Arc<str>) -> Places {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(places) = callers.get(caller) {
            return places.clone();
        }
        let places =
            Places { running: Arc::new(Semaphore::new(self.concurrency)), queued: Arc::new(Semaphore::new(self.concurrency * QUEUE_PER_SLOT)) };
        callers.insert(caller.clone(), places.clone());
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_queue_is_bounded_and_a_freed_place_is_taken() {
        let slots = Arc::new(Slots::new(1));
        let caller: Arc<str> = "key:a".into();
        let held = slots.take(&caller).await.unwrap();
        let mut waiting = Vec::new();
        for _ in 0..QUEUE_PER_SLOT {
            let (slots, caller) = (slots.clone(), caller.clone());
            let mut next = Box::pin(async move { slots.take(&caller).await });
            assert!(futures::poll!(&mut next).is_pending());
            waiting.push(next);
        }
        assert_eq!(slots.take(&caller).await.unwrap_err().code, Code::Busy);
        slots.take(&"key:b".into()).await.unwrap();
        drop(held);
        waiting.remove(0).await.unwrap();
    }

    #[tokio::test]
    async fn a_sweep_keeps_those_that_run() {
        let slots = Slots::new(1);
        let held = slots.take(&"key:a".into()).await.unwrap();
        drop(slots.take(&"key:b".into()).await.unwrap());
        slots.sweep();
        assert_eq!(slots.callers.lock().unwrap().len(), 1);
        drop(held);
    }
}
