//! The one thread that writes: group commit without a timer, and signed checkpoints.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::AppendError;
use crate::files::{Handle, write_all};
use crate::key::SigningKey;
use crate::merkle::Tree;
use crate::note::Checkpoint;

use super::high_water;
use super::state::{CHUNK, Room, Shared, Waiting, since};

/// After a write, a checkpoint follows within this time, and never two within it.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);
/// An intent that nobody waits for (a read's) goes to disk after this long at the latest.
const LINGER: Duration = Duration::from_millis(50);
/// Buffers larger than this are given back.
const KEEP_CAPACITY: usize = 2 << 20;
/// Room for checkpoints, kept ahead.
const CHECKPOINT_ROOM: u64 = 64 * 1024;

pub(super) struct Flusher {
    pub(super) shared: Arc<Shared>,
    pub(super) path: PathBuf,
    /// Where the newest checkpoint is kept besides.
    pub(super) high_water: PathBuf,
    pub(super) key: SigningKey,
    pub(super) tree: Tree,
    pub(super) checkpoints: Checkpoints,
    /// The buffer of the batch before, to be filled again.
    pub(super) spare: Waiting,
}

/// The checkpoints' file.
pub(super) struct Checkpoints {
    pub(super) file: Box<dyn Handle>,
    pub(super) room: Room,
    /// The size of the last one.
    pub(super) size: u64,
    pub(super) last: Instant,
}

enum Step {
    Commit,
    Checkpoint,
    Finish,
}

impl Flusher {
    pub(super) fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    /// Writes until the log is closed or breaks.
    pub(super) fn run(mut self) {
        let result = loop {
            let done = match self.next() {
                Step::Commit => {
                    // Whoever can append right now may: one sync then serves more of them. It costs nothing where nobody can.
                    std::thread::yield_now();
                    self.commit()
                }
                Step::Checkpoint => self.checkpoint(),
                Step::Finish => break self.finish(),
            };
            if let Err(error) = done {
                break Err(error);
            }
        };
        self.shared.lock().lock = None;
        self.shared.end(result);
    }

    /// Waits for something to do.
    fn next(&self) -> Step {
        let mut state = self.shared.lock();
        loop {
            let now = self.shared.mono_ns();
            let linger = state.waiting.entries.first().map(|(_, appended)| LINGER.saturating_sub(since(now, *appended)));
            let checkpoint = (self.checkpoints.size < self.tree.size()).then(|| CHECKPOINT_EVERY.saturating_sub(self.checkpoints.last.elapsed()));
            if checkpoint == Some(Duration::ZERO) {
                return Step::Checkpoint;
            }
            if linger.is_some() && (state.wanted || state.closing || linger == Some(Duration::ZERO)) {
                return Step::Commit;
            }
            if state.closing {
                return Step::Finish;
            }
            state.parked = linger.is_none();
            let wait = [checkpoint, linger].into_iter().flatten().min();
            state = match wait {
                Some(wait) => self.shared.wake.wait_timeout(state, wait).unwrap_or_else(std::sync::PoisonError::into_inner).0,
                None => self.shared.wake.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner),
            };
            state.parked = false;
        }
    }

    /// Swap, write, sync, tell all who wait.
    pub(super) fn commit(&mut self) -> Result<(), AppendError> {
        let mut batch = std::mem::take(&mut self.spare);
        batch.batch = Arc::default();
        {
            let mut state = self.shared.lock();
            std::mem::swap(&mut state.waiting, &mut batch);
            state.wanted = false;
        }
        if batch.is_empty() {
            self.spare = batch;
            return Ok(());
        }
        let start = Instant::now();
        // INVARIANT: nothing is told durable before the sync, and a failed sync is never tried again (tests: durable_means_synced,
        // a_failing_sync_seals_for_good).
        let written = write_all(self.shared.file.as_ref(), &batch.bytes).map_err(|error| ("writing the log", error));
        if let Err((doing, error)) = written.and_then(|()| self.shared.file.sync().map_err(|error| ("syncing the log", error))) {
            let error = self.shared.break_down(doing, &error);
            batch.batch.end(Err(error.clone()));
            return Err(error);
        }
        self.account(&batch, start.elapsed());
        batch.batch.end(Ok(()));
        for (entry_hash, _) in &batch.entries {
            self.tree.push(entry_hash);
        }
        batch.bytes.clear();
        batch.entries.clear();
        if batch.bytes.capacity() <= KEEP_CAPACITY {
            self.spare = batch;
        }
        Ok(())
    }

    fn account(&self, batch: &Waiting, took: Duration) {
        let now = self.shared.mono_ns();
        let entries = batch.entries.len() as u64;
        let mut state = self.shared.lock();
        let stats = &mut state.stats;
        stats.syncs += 1;
        stats.sync_time += took;
        stats.last_sync = took;
        stats.last_batch = entries;
        stats.largest_batch = stats.largest_batch.max(entries);
        stats.durable_entries += entries;
        stats.durable_bytes += batch.bytes.len() as u64;
        for (_, appended) in &batch.entries {
            stats.observe(since(now, *appended));
        }
        if state.room.is_low() {
            let needed = state.room.reserved;
            // Where there is no more, the next intent that needs it is refused.
            let _ = state.room.reserve(needed + CHUNK, 0, self.shared.file.as_ref());
        }
    }

    /// Signs the tree as it is on disk. Entries are durable first, then the checkpoint.
    pub(super) fn checkpoint(&mut self) -> Result<(), AppendError> {
        self.checkpoints.last = Instant::now();
        if self.checkpoints.size == self.tree.size() {
            return Ok(());
        }
        self.same_file()?;
        let checkpoint = Checkpoint { origin: self.shared.origin().to_owned(), size: self.tree.size(), root: self.tree.root() };
        let note = checkpoint.signed(&self.key);
        let room = &mut self.checkpoints.room;
        let needed = room.end + note.len() as u64 + CHECKPOINT_ROOM / 2;
        let cramped = room.reservable && needed > room.reserved && room.reserve(needed, CHECKPOINT_ROOM, self.checkpoints.file.as_ref()).is_err();
        self.shared.lock().cramped = cramped;
        let file = self.checkpoints.file.as_ref();
        if let Err(error) = write_all(file, note.as_bytes()).and_then(|()| file.sync()) {
            return Err(self.shared.break_down("writing a checkpoint", &error));
        }
        self.checkpoints.room.end += note.len() as u64;
        self.checkpoints.size = checkpoint.size;
        self.shared.lock().stats.checkpoints += 1;
        // Only now: the mark must never cover more than a durable checkpoint does (test: the_high_water_mark_is_the_newest_checkpoint).
        // One that cannot be written stays behind and vouches for less; that is no reason to stop.
        let _ = high_water::write(&self.high_water, &note);
        Ok(())
    }

    /// The name still leads to the file that is written, which still ends where it should.
    fn same_file(&self) -> Result<(), AppendError> {
        let identity = |meta: fs::Metadata| (meta.dev(), meta.ino());
        match (fs::symlink_metadata(&self.path).map(identity), self.shared.identity) {
            (Ok(now), then) if now == then => Ok(()),
            (Ok(_), _) => Err(self.shared.break_down("checking that the log's file was not replaced", &std::io::ErrorKind::InvalidData.into())),
            (Err(error), _) => Err(self.shared.break_down("checking that the log's file is there", &error)),
        }
    }

    /// The last checkpoint; then reserved space is given back.
    fn finish(&mut self) -> Result<(), AppendError> {
        self.checkpoint()?;
        let end = self.shared.lock().room.end;
        // The length stays as it is: without this the space would just stay reserved.
        let _ = self.shared.file.truncate(end);
        let _ = self.checkpoints.file.truncate(self.checkpoints.room.end);
        Ok(())
    }
}
