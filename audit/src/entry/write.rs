//! Builds a line in place and hashes it.

use super::{HASH_KEY, Kind, hash};
use crate::call::CallRef;
use crate::clock;
use crate::digest::{Digest, push_hex};

/// What is the same in every entry of one run, spelled once.
#[derive(Debug)]
pub(crate) struct Frame {
    /// `{"v":1,"log":"ORIGIN","seq":`
    head: Vec<u8>,
    /// `","boot":"UUID","mono_ns":`
    boot: Vec<u8>,
}

/// What differs.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    pub(crate) seq: u64,
    pub(crate) prev: Digest,
    pub(crate) micros: u64,
    pub(crate) mono_ns: u64,
    pub(crate) kind: Kind,
    pub(crate) call: Option<&'a CallRef>,
    /// Canonical JSON.
    pub(crate) data: &'a [u8],
}

impl Frame {
    pub(crate) fn new(origin: &str, boot: &uuid::Uuid) -> Self {
        Self {
            head: format!("{{\"v\":1,\"log\":\"{origin}\",\"seq\":").into_bytes(),
            boot: format!("\",\"boot\":\"{boot}\",\"mono_ns\":").into_bytes(),
        }
    }

    /// Appends the line, its line end included, and returns its `entry_hash`.
    pub(crate) fn append(&self, out: &mut Vec<u8>, draft: &Draft<'_>) -> Digest {
        let start = out.len();
        out.extend_from_slice(&self.head);
        push_integer(out, draft.seq);
        out.extend_from_slice(b",\"prev_hash\":\"");
        draft.prev.push_hex(out);
        out.extend_from_slice(b"\",\"ts\":\"");
        clock::push(out, draft.micros);
        out.extend_from_slice(&self.boot);
        push_integer(out, draft.mono_ns);
        out.extend_from_slice(b",\"type\":\"");
        out.extend_from_slice(draft.kind.name().as_bytes());
        if let Some(call) = draft.call {
            out.extend_from_slice(b"\",\"request_id\":\"");
            let mut text = [0; 36];
            out.extend_from_slice(call.request_id.hyphenated().encode_lower(&mut text).as_bytes());
            out.extend_from_slice(b"\",\"correlation_id\":\"");
            push_hex(out, &call.correlation_id);
        }
        out.extend_from_slice(b"\",\"data\":");
        out.extend_from_slice(draft.data);
        let digest = hash(out.get(start..).unwrap_or_default());
        out.extend_from_slice(HASH_KEY);
        digest.push_hex(out);
        out.extend_from_slice(b"\"}\n");
        digest
    }
}

fn push_integer(out: &mut Vec<u8>, mut number: u64) {
    let start = out.len();
    loop {
        out.push(b'0' + u8::try_from(number % 10).unwrap_or(0));
        number /= 10;
        if number == 0 {
            break;
        }
    }
    if let Some(digits) = out.get_mut(start..) {
        digits.reverse();
    }
}
