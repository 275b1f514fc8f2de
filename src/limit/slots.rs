//! Calls at once, per caller, with a bounded queue.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
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
pub struct Slot(#[expect(dead_code, reason = "held for its drop")] Taken);

/// Each caller's places.
pub struct Slots {
    concurrency: AtomicUsize,
    callers: Mutex<HashMap<Arc<str>, Places>>,
}

#[derive(Clone)]
struct Places {
    running: Arc<Room>,
    queued: Arc<Room>,
}

impl Slots {
    /// Places for this many calls at once per caller.
    #[must_use]
    pub fn new(concurrency: usize) -> Self {
        Self { concurrency: AtomicUsize::new(concurrency), callers: Mutex::default() }
    }

    /// Gives every caller this many places from now on. Calls that run keep theirs and stay counted, also where there are
    /// fewer now.
    pub fn set(&self, concurrency: usize) {
        let callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.concurrency.swap(concurrency, Ordering::Relaxed);
        for places in callers.values().filter(|_| before != concurrency) {
            places.running.resize(before, concurrency);
            places.queued.resize(before * QUEUE_PER_SLOT, concurrency * QUEUE_PER_SLOT);
        }
    }

    /// Takes a place, waiting in the caller's bounded queue where all are taken.
    ///
    /// # Errors
    /// [`Code::Busy`] where the queue is full or the wait too long.
    pub async fn take(&self, caller: &Arc<str>) -> Result<Slot, Refusal> {
        let places = self.places(caller);
        if let Some(taken) = places.running.try_take() {
            return Ok(Slot(taken));
        }
        let concurrency = self.concurrency.load(Ordering::Relaxed);
        let busy = || Refusal::new(Code::Busy, format!("`{concurrency}` calls already run and more wait")).retry_after(Duration::from_secs(1));
        let _queued = places.queued.try_take().ok_or_else(busy)?;
        match tokio::time::timeout(LONGEST_WAIT, places.running.take()).await {
            Ok(Some(taken)) => Ok(Slot(taken)),
            _ => Err(busy()),
        }
    }

    /// Forgets callers that run nothing.
    pub fn sweep(&self) {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        callers.retain(|_, places| Arc::strong_count(&places.running) > 1);
    }

    /// How many calls of this caller wait.
    #[cfg(test)]
    pub(crate) fn waiting(&self, caller: &Arc<str>) -> usize {
        self.concurrency.load(Ordering::Relaxed) * QUEUE_PER_SLOT - self.places(caller).queued.free.available_permits()
    }

    fn places(&self, caller: &Arc<str>) -> Places {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(places) = callers.get(caller) {
            return places.clone();
        }
        let concurrency = self.concurrency.load(Ordering::Relaxed);
        let places = Places { running: Room::of(concurrency), queued: Room::of(concurrency * QUEUE_PER_SLOT) };
        callers.insert(caller.clone(), places.clone());
        places
    }
}

/// Places that can become more or fewer while some are taken.
#[derive(Debug)]
struct Room {
    free: Arc<Semaphore>,
    /// Places that are taken and no longer exist: so many of those given back go nowhere.
    owed: Mutex<usize>,
}

/// One place of a room, until dropped.
#[derive(Debug)]
struct Taken {
    permit: Option<OwnedSemaphorePermit>,
    room: Arc<Room>,
}

impl Room {
    fn of(places: usize) -> Arc<Self> {
        Arc::new(Self { free: Arc::new(Semaphore::new(places)), owed: Mutex::new(0) })
    }

    fn try_take(self: &Arc<Self>) -> Option<Taken> {
        let permit = self.free.clone().try_acquire_owned().ok()?;
        Some(Taken { permit: Some(permit), room: self.clone() })
    }

    async fn take(self: &Arc<Self>) -> Option<Taken> {
        let permit = self.free.clone().acquire_owned().await.ok()?;
        Some(Taken { permit: Some(permit), room: self.clone() })
    }

    fn resize(&self, from: usize, to: usize) {
        let mut owed = self.owed.lock().unwrap_or_else(PoisonError::into_inner);
        if to < from {
            *owed += from - to - self.free.forget_permits(from - to);
        } else {
            let paid = (*owed).min(to - from);
            *owed -= paid;
            self.free.add_permits(to - from - paid);
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut owed = self.room.owed.lock().unwrap_or_else(PoisonError::into_inner);
        if let (true, Some(permit)) = (*owed > 0, self.permit.take()) {
            *owed -= 1;
            permit.forget();
        }
        // Given back under the lock, so that no resize comes between.
        drop(self.permit.take());
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
    async fn fewer_places_count_those_that_run_and_more_are_there_at_once() {
        let (slots, caller): (_, Arc<str>) = (Slots::new(3), "key:a".into());
        let mut running: Vec<_> = futures::future::join_all((0..3).map(|_| slots.take(&caller))).await.into_iter().map(Result::unwrap).collect();
        let free = || slots.places(&caller).running.free.available_permits();
        slots.set(1);
        for left in (0..3).rev() {
            assert_eq!(free(), 0, "with {} that run there is room for one more", left + 1);
            running.pop();
        }
        assert_eq!(free(), 1);
        let held = slots.take(&caller).await.unwrap();
        let mut waits = Box::pin(slots.take(&caller));
        assert!(futures::poll!(&mut waits).is_pending());
        slots.set(2);
        let second = waits.await.unwrap();
        slots.set(1);
        slots.set(4);
        assert_eq!(free(), 2, "places that were owed are counted twice");
        drop((held, second));
        assert_eq!((free(), slots.places(&"key:new".into()).running.free.available_permits()), (4, 4));
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
