//! The one mutex: what is the head, what waits to be written, how much room there is.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::batch::Batch;
use crate::call::CallRef;
use crate::clock;
use crate::digest::Digest;
use crate::entry::{Draft, Frame, Kind, MAX_LINE};
use crate::error::AppendError;
use crate::files::{Files, Handle};
use crate::receipt::Appended;
use crate::stats::Stats;

use super::{Head, seal};

/// Entries that may wait, in bytes; outcomes of calls that run are taken beyond it.
pub(super) const MAX_WAITING: usize = 8 << 20;
/// Calls that may be open at once; each holds one line's room for its outcome.
pub(super) const MAX_OPEN: u64 = 4096;
/// The most that one batch, and so a torn tail, can hold.
pub(super) const MAX_BATCH: u64 = MAX_WAITING as u64 + (MAX_OPEN + 1) * MAX_LINE as u64;
/// How much is reserved ahead at a time.
pub(super) const CHUNK: u64 = 8 << 20;

/// What the callers and the writing thread share.
pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    pub(super) wake: Condvar,
    pub(super) file: Box<dyn Handle>,
    origin: Arc<str>,
    frame: Frame,
    started: Instant,
    files: Arc<dyn Files>,
    mark: PathBuf,
    closed: Batch,
    /// Device and inode of the log's file.
    pub(super) identity: (u64, u64),
}

/// Where an entry came to stand.
pub(super) struct Placed {
    pub(super) seq: u64,
    pub(super) entry_hash: Digest,
    pub(super) batch: Arc<Batch>,
}

pub(super) struct State {
    /// The place of the next entry.
    pub(super) next: u64,
    /// The last entry's hash; before the first, what genesis commits to.
    pub(super) last: Digest,
    pub(super) waiting: Waiting,
    /// Someone waits for what is in `waiting`.
    pub(super) wanted: bool,
    /// The writing thread sleeps without a time-out.
    pub(super) parked: bool,
    pub(super) closing: bool,
    pub(super) sealed: Option<Arc<str>>,
    /// Nothing can be written any more.
    pub(super) broken: bool,
    /// Checkpoints have no room.
    pub(super) cramped: bool,
    pub(super) room: Room,
    pub(super) stats: Stats,
    /// The exclusive lock, held for life.
    pub(super) lock: Option<File>,
}

/// The lines of the next batch.
#[derive(Default)]
pub(super) struct Waiting {
    pub(super) bytes: Vec<u8>,
    /// Each entry's hash and when it was appended.
    pub(super) entries: Vec<(Digest, u64)>,
    pub(super) batch: Arc<Batch>,
}

/// Disk space: `end` is where the file ends once everything that waits is written.
pub(super) struct Room {
    pub(super) end: u64,
    pub(super) reserved: u64,
    /// False where the file system cannot reserve.
    pub(super) reservable: bool,
    pub(super) open: u64,
}

impl Shared {
    pub(super) fn new(origin: &str, file: Box<dyn Handle>, identity: (u64, u64), files: Arc<dyn Files>, mark: PathBuf, state: State) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(state),
            wake: Condvar::new(),
            file,
            origin: origin.into(),
            frame: Frame::new(origin, &uuid::Uuid::new_v4()),
            started: Instant::now(),
            files,
            mark,
            closed: Batch::default(),
            identity,
        })
    }

    /// The state stays whole in any thread's panic: nothing between its changes can panic.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the entry its place, hashes it into the chain and leaves it for the writing thread.
    pub(super) fn append(&self, kind: Kind, call: Option<&CallRef>, data: &[u8]) -> Result<Placed, AppendError> {
        if let Some(call) = call
            && call.request_id.get_version_num() != 7
        {
            return Err(AppendError::RequestId { id: call.request_id });
        }
        let mut guard = self.lock();
        let state = &mut *guard;
        state.admit(kind)?;
        let (mono_ns, start) = (self.mono_ns(), state.waiting.bytes.len());
        let draft = Draft { seq: state.next, prev: state.last, micros: clock::now_micros(), mono_ns, kind, call, data };
        let entry_hash = self.frame.append(&mut state.waiting.bytes, &draft);
        let length = state.waiting.bytes.len() - start;
        if let Err(error) = state.make_room(kind, length, self.file.as_ref()) {
            // INVARIANT: what was refused leaves no trace (test: a_refused_append_leaves_the_chain_as_it_was).
            state.waiting.bytes.truncate(start);
            state.stats.full += u64::from(matches!(error, AppendError::Full { .. }));
            return Err(error);
        }
        let placed = Placed { seq: state.next, entry_hash, batch: state.waiting.batch.clone() };
        state.waiting.entries.push((entry_hash, mono_ns));
        state.room.end += length as u64;
        match kind {
            Kind::Intent => state.room.open += 1,
            Kind::Outcome => state.room.open = state.room.open.saturating_sub(1),
            _ => {}
        }
        state.next += 1;
        state.last = entry_hash;
        state.stats.appends += 1;
        // An intent alone waits for its outcome, for someone who wants it durable, or for a moment (`flusher::LINGER`).
        let wanted = kind != Kind::Intent;
        let wakes = state.parked || (wanted && !state.wanted);
        state.wanted |= wanted;
        drop(guard);
        if wakes {
            self.wake.notify_one(); // after the lock is free, so that the woken thread does not wait for it at once
        }
        Ok(placed)
    }

    /// Someone waits for this batch.
    pub(super) fn want(&self, batch: &Arc<Batch>) {
        if batch.result().is_some() {
            return;
        }
        let mut state = self.lock();
        if Arc::ptr_eq(&state.waiting.batch, batch) && !state.wanted {
            state.wanted = true;
            drop(state);
            self.wake.notify_one();
        }
    }

    pub(super) fn appended(&self, placed: Placed) -> Appended {
        Appended { origin: self.origin.clone(), seq: placed.seq, entry_hash: placed.entry_hash, batch: placed.batch }
    }

    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    pub(super) fn mono_ns(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    pub(super) fn head(&self) -> Head {
        let state = self.lock();
        Head { seq: state.next.saturating_sub(1), entry_hash: state.last, sealed: state.sealed.clone() }
    }

    pub(super) fn stats(&self) -> Stats {
        let state = self.lock();
        Stats { open_intents: state.room.open, waiting_bytes: state.waiting.bytes.len() as u64, ..state.stats.clone() }
    }

    /// Seals: the flag first, so that nothing more comes in, then the mark.
    pub(super) fn seal(&self, why: &str) {
        let first = {
            let mut state = self.lock();
            let first = state.sealed.is_none();
            state.sealed.get_or_insert_with(|| why.into());
            first
        };
        if first {
            seal::mark(self.files.as_ref(), &self.mark, why);
        }
    }

    /// Gives up on the file: seals, and ends every wait with that answer.
    pub(super) fn break_down(&self, doing: &str, error: &io::Error) -> AppendError {
        let kind = error.raw_os_error().map_or_else(|| error.kind().to_string(), |number| format!("os error {number}"));
        self.seal(&format!("{doing} failed ({kind})"));
        let mut state = self.lock();
        state.broken = true;
        let why = state.sealed.clone().unwrap_or_else(|| doing.into());
        let error = AppendError::Sealed { why };
        state.waiting.batch.end(Err(error.clone()));
        error
    }

    pub(super) fn close(&self) {
        self.lock().closing = true;
        self.wake.notify_one();
    }

    pub(super) async fn closed(&self) -> Result<(), AppendError> {
        self.closed.done().await
    }

    pub(super) fn end(&self, result: Result<(), AppendError>) {
        self.closed.end(result);
    }
}

impl State {
    pub(super) fn new(next: u64, last: Digest, room: Room, lock: File) -> Self {
        Self {
            next,
            last,
            waiting: Waiting::default(),
            wanted: false,
            parked: false,
            closing: false,
            sealed: None,
            broken: false,
            cramped: false,
            room,
            stats: Stats::default(),
            lock: Some(lock),
        }
    }

    /// Whether an entry of this kind is taken at all.
    fn admit(&self, kind: Kind) -> Result<(), AppendError> {
        let outcome = kind == Kind::Outcome;
        if let Some(why) = self.sealed.as_ref().filter(|_| self.broken || !outcome) {
            return Err(AppendError::Sealed { why: why.clone() });
        }
        if self.closing {
            return Err(AppendError::Closed);
        }
        if outcome {
            return Ok(());
        }
        if self.waiting.bytes.len() >= MAX_WAITING {
            return Err(AppendError::Full { what: "too many entries wait to be written" });
        }
        if kind == Kind::Intent && self.room.open >= MAX_OPEN {
            return Err(AppendError::Full { what: "too many calls are open" });
        }
        if self.cramped {
            return Err(AppendError::Full { what: "the disk is full" });
        }
        Ok(())
    }

    /// Holds disk space for the line and for the outcome of every call that is open.
    fn make_room(&mut self, kind: Kind, length: usize, file: &dyn Handle) -> Result<(), AppendError> {
        if length > MAX_LINE {
            return Err(AppendError::TooLarge { bytes: length });
        }
        let open = self.room.open + u64::from(kind == Kind::Intent);
        let needed = self.room.end + length as u64 + open * MAX_LINE as u64;
        // INVARIANT: an outcome uses the line that its intent reserved (test: a_full_disk_refuses_new_calls_and_keeps_the_outcomes_of_running_ones).
        if kind == Kind::Outcome || needed <= self.room.reserved || !self.room.reservable {
            return Ok(());
        }
        self.room.reserve(needed, CHUNK, file)
    }
}

impl Room {
    /// Of a file that is `end` bytes long.
    pub(super) const fn new(end: u64) -> Self {
        Self { end, reserved: end, reservable: true, open: 0 }
    }

    /// Reserves up to `needed` and `ahead` more; where the disk has not so much, just what is needed.
    pub(super) fn reserve(&mut self, needed: u64, ahead: u64, file: &dyn Handle) -> Result<(), AppendError> {
        let from = self.reserved;
        for target in [needed + ahead, needed] {
            match file.reserve(from, target.saturating_sub(from)) {
                Ok(()) => {
                    self.reserved = target;
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                    self.reservable = false;
                    return Ok(());
                }
                Err(_) => {}
            }
        }
        Err(AppendError::Full { what: "the disk is full" })
    }

    /// Whether it is time to reserve the next chunk, before a caller has to.
    pub(super) const fn is_low(&self) -> bool {
        self.reservable && self.reserved < self.end + self.open * MAX_LINE as u64 + CHUNK / 2
    }
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// The time since `mono_ns`, on the same clock.
pub(super) const fn since(now: u64, mono_ns: u64) -> Duration {
    Duration::from_nanos(now.saturating_sub(mono_ns))
}
