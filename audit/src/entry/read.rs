//! Reads a line strictly: what it accepts is what the writer writes, byte for byte.

use super::{HASH_FIELD, HASH_KEY, Ids, hash, ids_of, is_origin};
use crate::clock;
use crate::digest::{Digest, decode_hex};
use crate::finding::{Code, Fault};
use crate::scan;

/// A line's fields, borrowed from it.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) log: &'a str,
    pub(crate) seq: u64,
    pub(crate) prev: Digest,
    pub(crate) ts: &'a str,
    pub(crate) micros: u64,
    pub(crate) boot: [u8; 16],
    pub(crate) mono_ns: u64,
    pub(crate) kind: &'a str,
    pub(crate) call: Option<CallIds>,
    pub(crate) data: &'a str,
    /// The hash that the line names.
    pub(crate) entry_hash: Digest,
    /// The hash that its bytes have.
    pub(crate) computed: Digest,
}

/// A call's ids.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallIds {
    pub(crate) request_id: [u8; 16],
    pub(crate) correlation_id: [u8; 16],
}

/// Reads one line, given without its line end. The chain is not looked at: see [`crate::chain`].
pub(crate) fn parse(line: &[u8]) -> Result<Entry<'_>, Fault> {
    let text = characters(line)?;
    let mut cursor = Cursor { text, at: 0 };
    cursor.literal("{\"v\":1,\"log\":\"")?;
    let log = cursor.until_quote("log")?;
    if !is_origin(log) {
        return Err(cursor.malformed("the log's name has a character that names do not have"));
    }
    cursor.literal(",\"seq\":")?;
    let seq = cursor.integer("seq")?;
    cursor.literal(",\"prev_hash\":\"")?;
    let prev = cursor.hash("prev_hash")?;
    cursor.literal(",\"ts\":\"")?;
    let ts = cursor.until_quote("ts")?;
    let micros = clock::parse(ts.as_bytes()).ok_or_else(|| cursor.malformed("`ts` is not a time in UTC with six decimals"))?;
    cursor.literal(",\"boot\":\"")?;
    let boot = cursor.uuid("boot")?;
    cursor.literal(",\"mono_ns\":")?;
    let mono_ns = cursor.integer("mono_ns")?;
    cursor.literal(",\"type\":\"")?;
    let kind_at = cursor.at;
    let kind = cursor.until_quote("type")?;
    let call = if cursor.rest().starts_with(",\"request_id\"") { Some(cursor.ids()?) } else { None };
    cursor.literal(",\"data\":")?;
    let data_at = cursor.at;
    let end = scan::object(cursor.rest().as_bytes()).map_err(|fault| {
        let (code, what) = match fault.kind {
            scan::Kind::Syntax => (Code::Malformed, "`data` is not canonical JSON here"),
            scan::Kind::NotCanonical => (Code::NotCanonical, "`data` is not in canonical form (RFC 8785) here"),
            scan::Kind::DuplicateKey => (Code::DuplicateKey, "this key of `data` was there already"),
            scan::Kind::Number => (Code::Number, "a number that is not a plain integer of magnitude at most 2^53"),
            scan::Kind::TooDeep => (Code::TooDeep, "`data` is nested more than 64 levels deep"),
        };
        Fault { code, at: data_at + fault.at, what: what.to_owned() }
    })?;
    cursor.at += end;
    let hashed = cursor.at;
    let data = text.get(data_at..hashed).unwrap_or_default();
    if text.len() != hashed + HASH_FIELD {
        return Err(cursor.malformed("after `data` come `entry_hash` and the line's end, and nothing else"));
    }
    cursor.literal(std::str::from_utf8(HASH_KEY).unwrap_or_default())?;
    let entry_hash = cursor.hash("entry_hash")?;
    cursor.literal("}")?;
    match (ids_of(kind), &call) {
        (None, _) => return Err(Fault { code: Code::Type, at: kind_at, what: format!("the type `{}` is not known", shorten(kind)) }),
        (Some(Ids::Required), None) => return Err(Fault { code: Code::Type, at: kind_at, what: format!("a `{kind}` without the ids of its call") }),
        (Some(Ids::Absent), Some(_)) => return Err(Fault { code: Code::Type, at: kind_at, what: format!("a `{kind}` with the ids of a call") }),
        _ => {}
    }
    let computed = hash(line.get(..hashed).unwrap_or_default());
    Ok(Entry { log, seq, prev, ts, micros, boot, mono_ns, kind, call, data, entry_hash, computed })
}

/// UTF-8 without any control character: an entry has none, since JSON escapes them and canonical JSON has no white space.
fn characters(line: &[u8]) -> Result<&str, Fault> {
    let encoding = |at, what: &str| Fault { code: Code::Encoding, at, what: what.to_owned() };
    if line.starts_with(b"\xef\xbb\xbf") {
        return Err(encoding(0, "a byte order mark"));
    }
    // Branch-free first: this runs over every byte of the log.
    if line.iter().fold(false, |any, &byte| any | (byte < 0x20)) {
        let at = line.iter().position(|&byte| byte < 0x20).unwrap_or(0);
        return Err(encoding(
            at,
            match line.get(at) {
                Some(0) => "a NUL byte",
                Some(b'\r') => "a carriage return",
                _ => "a control character",
            },
        ));
    }
    std::str::from_utf8(line).map_err(|error| encoding(error.valid_up_to(), "invalid UTF-8"))
}

fn shorten(text: &str) -> String {
    text.chars().take(40).collect()
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn malformed(&self, what: &str) -> Fault {
        Fault { code: Code::Malformed, at: self.at, what: what.to_owned() }
    }

    fn literal(&mut self, literal: &str) -> Result<(), Fault> {
        if !self.rest().starts_with(literal) {
            return Err(self.malformed(&format!("`{literal}` belongs here")));
        }
        self.at += literal.len();
        Ok(())
    }

    /// Up to the next quote, which is consumed.
    fn until_quote(&mut self, name: &str) -> Result<&'a str, Fault> {
        let length = memchr::memchr(b'"', self.rest().as_bytes()).ok_or_else(|| self.malformed(&format!("`{name}` has no end")))?;
        let value = self.rest().get(..length).unwrap_or_default();
        self.at += length + 1;
        Ok(value)
    }

    fn integer(&mut self, name: &str) -> Result<u64, Fault> {
        let length = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        let digits = self.rest().get(..length).unwrap_or_default();
        let plain = length == 1 || !digits.starts_with('0');
        let value = digits.parse().ok().filter(|_| plain).ok_or_else(|| self.malformed(&format!("`{name}` is not a plain integer")))?;
        self.at += length;
        Ok(value)
    }

    fn hash(&mut self, name: &str) -> Result<Digest, Fault> {
        let at = self.at;
        let value = self.until_quote(name)?;
        Digest::from_hex(value.as_bytes()).ok_or_else(|| Fault {
            code: Code::Malformed,
            at,
            what: format!("`{name}` is not 64 lower-case hex digits"),
        })
    }

    fn ids(&mut self) -> Result<CallIds, Fault> {
        self.literal(",\"request_id\":\"")?;
        let at = self.at;
        let request_id = self.uuid("request_id")?;
        if request_id.get(6).is_none_or(|byte| byte >> 4 != 7) {
            return Err(Fault { code: Code::Malformed, at, what: "`request_id` is not a UUID of version 7".to_owned() });
        }
        self.literal(",\"correlation_id\":\"")?;
        let at = self.at;
        let text = self.until_quote("correlation_id")?;
        let correlation_id = decode_hex(text.as_bytes()).ok_or_else(|| Fault {
            code: Code::Malformed,
            at,
            what: "`correlation_id` is not 32 lower-case hex digits".to_owned(),
        })?;
        Ok(CallIds { request_id, correlation_id })
    }

    /// A UUID in its one spelling: lower case with hyphens.
    fn uuid(&mut self, name: &str) -> Result<[u8; 16], Fault> {
        let at = self.at;
        let value = self.until_quote(name)?.as_bytes();
        let mut digits = [0; 32];
        let mut places = digits.iter_mut();
        let shaped = value.len() == 36
            && value.iter().enumerate().all(|(index, &byte)| match index {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => places.next().map(|place| *place = byte).is_some(),
            });
        let bytes = if shaped { decode_hex(&digits) } else { None };
        bytes.ok_or_else(|| Fault { code: Code::Malformed, at, what: format!("`{name}` is not a lower-case UUID") })
    }
}
