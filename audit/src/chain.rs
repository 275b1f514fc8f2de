//! How one entry follows another, and an outcome its intent.

use std::collections::{HashMap, HashSet};

use crate::digest::Digest;
use crate::entry::{Entry, genesis_hash, parse_genesis};
use crate::finding::Code;

/// Calls that are open at once, as far as a reader keeps them: far more than the writer allows, and a bound on memory.
const MAX_OPEN: usize = 1 << 18;

/// What is known of the next entry.
#[derive(Debug, Default)]
enum Next {
    /// It is the first.
    #[default]
    First,
    /// Its place and `prev_hash`.
    After(u64, Digest),
    /// Nothing: the line before it could not be read.
    Unknown,
}

/// What the next entry must fit.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    next: Next,
    /// A log's later segment may be read alone: it begins with any entry.
    pub(crate) partial: bool,
    /// The log's name, from its first entry.
    pub(crate) origin: Option<String>,
    /// The log's key, from its genesis.
    pub(crate) public: Option<[u8; 32]>,
    /// The run that wrote the last entry, and its clock then.
    run: Option<([u8; 16], u64)>,
    earlier_runs: HashSet<[u8; 16]>,
}

impl Chain {
    pub(crate) fn new(partial: bool) -> Self {
        Self { partial, ..Self::default() }
    }

    /// Tells every way in which `entry` does not follow. Afterwards the entry counts as the last one, so that one fault is told once.
    pub(crate) fn link(&mut self, entry: &Entry<'_>, found: &mut dyn FnMut(Code, String)) {
        if entry.computed != entry.entry_hash {
            found(Code::EntryHash, format!("the entry's bytes hash to {}", entry.computed));
        }
        match self.next {
            Next::First => self.begin(entry, found),
            Next::Unknown => {}
            Next::After(seq, prev) => {
                if entry.kind == "genesis" {
                    found(Code::Genesis, "a second genesis".to_owned());
                }
                if entry.seq != seq {
                    found(Code::Seq, format!("entry {} stands where entry {seq} belongs", entry.seq));
                }
                if entry.prev != prev {
                    found(Code::PrevHash, format!("`prev_hash` is not the hash of the entry before, {prev}"));
                }
            }
        }
        match &self.origin {
            None => self.origin = Some(entry.log.to_owned()),
            Some(origin) if *origin != entry.log => found(Code::OtherLog, format!("the entry is of the log `{}`, this is `{origin}`", entry.log)),
            Some(_) => {}
        }
        self.clock(entry, found);
        self.next = Next::After(entry.seq.saturating_add(1), entry.entry_hash);
    }

    /// A line could not be read: what comes next has nothing to fit.
    pub(crate) fn lose(&mut self) {
        self.next = Next::Unknown;
    }

    /// Whether this is the first entry of a whole log.
    fn begin(&mut self, entry: &Entry<'_>, found: &mut dyn FnMut(Code, String)) {
        if entry.kind != "genesis" || entry.seq != 0 {
            if self.partial {
                return;
            }
            found(Code::Genesis, format!("the log begins with entry {}, a `{}`, and not with its genesis", entry.seq, entry.kind));
            return;
        }
        match parse_genesis(entry.data) {
            Some((public, nonce)) if genesis_hash(entry.log, &public, &nonce) == entry.prev => self.public = Some(public),
            Some(_) => found(Code::Genesis, "the genesis does not commit to its log's name, key and nonce".to_owned()),
            None => found(Code::Genesis, "the genesis does not name a key and a nonce".to_owned()),
        }
    }

    fn clock(&mut self, entry: &Entry<'_>, found: &mut dyn FnMut(Code, String)) {
        match self.run {
            Some((boot, mono_ns)) if boot == entry.boot => {
                if entry.mono_ns < mono_ns {
                    found(Code::Monotonic, format!("`mono_ns` went back from {mono_ns} within one run"));
                }
            }
            earlier => {
                if let Some((boot, _)) = earlier {
                    self.earlier_runs.insert(boot);
                }
                if self.earlier_runs.contains(&entry.boot) {
                    found(Code::BootReused, "`boot` is the id of an earlier run".to_owned());
                }
            }
        }
        self.run = Some((entry.boot, entry.mono_ns));
    }

    /// How many runs came before the present one.
    pub(crate) fn run(&self) -> usize {
        self.earlier_runs.len()
    }
}

/// Calls whose intent has no outcome yet.
#[derive(Debug)]
pub(crate) struct Pairing<W> {
    open: HashMap<[u8; 16], Open<W>>,
}

/// An open intent; `place` is whatever the reader needs to name it.
#[derive(Debug)]
pub(crate) struct Open<W> {
    pub(crate) seq: u64,
    pub(crate) micros: u64,
    pub(crate) run: usize,
    pub(crate) request_id: [u8; 16],
    pub(crate) correlation_id: [u8; 16],
    pub(crate) place: W,
}

impl<W> Default for Pairing<W> {
    fn default() -> Self {
        Self { open: HashMap::new() }
    }
}

impl<W> Pairing<W> {
    /// Follows one entry.
    pub(crate) fn follow(&mut self, entry: &Entry<'_>, run: usize, place: W, found: &mut dyn FnMut(Code, String)) {
        let Some(ids) = &entry.call else { return };
        match entry.kind {
            "call.intent" => {
                if self.open.len() >= MAX_OPEN && !self.open.contains_key(&ids.request_id) {
                    found(Code::IntentWithoutOutcome, format!("more than {MAX_OPEN} calls are open here: this one is not followed"));
                    return;
                }
                let (request_id, correlation_id) = (ids.request_id, ids.correlation_id);
                let open = Open { seq: entry.seq, micros: entry.micros, run, request_id, correlation_id, place };
                if self.open.insert(request_id, open).is_some() {
                    found(Code::DuplicateIntent, "a second intent of a call that is open".to_owned());
                }
            }
            "call.outcome" if self.open.remove(&ids.request_id).is_none() => {
                found(Code::OutcomeWithoutIntent, "an outcome of no open call: it has no intent, or has its outcome already".to_owned());
            }
            _ => {}
        }
    }

    /// What is still open, in order.
    pub(crate) fn into_open(self) -> Vec<Open<W>> {
        let mut open: Vec<_> = self.open.into_values().collect();
        open.sort_by_key(|open| open.seq);
        open
    }
}
