//! A one-pass check that bytes are a canonical JSON object (RFC 8785) with plain integers, without building anything.

use std::cmp::Ordering;
use std::ops::Range;

/// Objects and lists may be nested this deep.
pub(crate) const MAX_DEPTH: usize = 64;
/// The largest magnitude of an integer that every JSON reader keeps: 2⁵³.
pub(crate) const MAX_INTEGER: u64 = 1 << 53;

/// Where and why bytes are not canonical.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) at: usize,
    pub(crate) kind: Kind,
}

/// What can be wrong with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Not JSON at all at that place, or white space.
    Syntax,
    /// JSON, but not in the canonical spelling or order.
    NotCanonical,
    DuplicateKey,
    Number,
    TooDeep,
}

/// Checks the object that `bytes` begin with and says where it ends. `bytes` must be UTF-8.
pub(crate) fn object(bytes: &[u8]) -> Result<usize, Fault> {
    let mut scanner = Scanner { bytes, at: 0 };
    scanner.object(1, &mut |_, _| {})?;
    Ok(scanner.at)
}

/// Where a member belongs in an object.
pub(crate) enum Place {
    /// Before this offset: the key of the next member, or the closing brace.
    Before(usize),
    /// The key is there; its value lies in this range.
    Taken(Range<usize>),
}

/// Finds the place of a plain ASCII `key` among the top members of a canonical object.
pub(crate) fn place(object: &[u8], key: &str) -> Place {
    let mut found = None;
    let mut scanner = Scanner { bytes: object, at: 0 };
    let mut taken = None;
    let _ = scanner.object(1, &mut |name: Range<usize>, value: Range<usize>| match compare(
        object.get(name.clone()).unwrap_or_default(),
        key.as_bytes(),
    ) {
        Ordering::Equal => taken = Some(value),
        Ordering::Greater if found.is_none() => found = Some(name.start.saturating_sub(1)),
        _ => {}
    });
    match (taken, found) {
        (Some(value), _) => Place::Taken(value),
        (None, Some(at)) => Place::Before(at),
        (None, None) => Place::Before(object.len().saturating_sub(1)),
    }
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    const fn fault(&self, kind: Kind) -> Fault {
        Fault { at: self.at, kind }
    }

    /// Something else belongs here: white space is JSON, but not canonical.
    fn unexpected(&self) -> Fault {
        self.fault(if self.peek() == b' ' { Kind::NotCanonical } else { Kind::Syntax })
    }

    fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        if self.peek() != byte {
            return Err(self.unexpected());
        }
        self.at += 1;
        Ok(())
    }

    fn object(&mut self, depth: usize, member: &mut dyn FnMut(Range<usize>, Range<usize>)) -> Result<(), Fault> {
        if depth > MAX_DEPTH {
            return Err(self.fault(Kind::TooDeep));
        }
        self.expect(b'{')?;
        if self.peek() == b'}' {
            self.at += 1;
            return Ok(());
        }
        let mut previous: Option<Range<usize>> = None;
        loop {
            let start = self.at;
            let name = self.string()?;
            if let Some(previous) = previous.replace(name.clone()) {
                let (before, after) = (self.bytes.get(previous).unwrap_or_default(), self.bytes.get(name.clone()).unwrap_or_default());
                match compare(before, after) {
                    Ordering::Less => {}
                    Ordering::Equal => return Err(Fault { at: start, kind: Kind::DuplicateKey }),
                    Ordering::Greater => return Err(Fault { at: start, kind: Kind::NotCanonical }),
                }
            }
            self.expect(b':')?;
            let value = self.at;
            self.value(depth)?;
            member(name, value..self.at);
            match self.peek() {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.unexpected()),
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<(), Fault> {
        if depth > MAX_DEPTH {
            return Err(self.fault(Kind::TooDeep));
        }
        self.expect(b'[')?;
        if self.peek() == b']' {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value(depth)?;
            match self.peek() {
                b',' => self.at += 1,
                b']' => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.unexpected()),
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<(), Fault> {
        match self.peek() {
            b'"' => self.string().map(drop),
            b'{' => self.object(depth + 1, &mut |_, _| {}),
            b'[' => self.list(depth + 1),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            b'-' | b'0'..=b'9' => self.integer(),
            // `NaN` and `Infinity`, as some writers have them.
            b'N' | b'I' => Err(self.fault(Kind::Number)),
            _ => Err(self.unexpected()),
        }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Fault> {
        if !self.bytes.get(self.at..).unwrap_or_default().starts_with(word) {
            return Err(self.fault(Kind::Syntax));
        }
        self.at += word.len();
        Ok(())
    }

    /// `0`, or digits that do not begin with `0`, with `-` before all but `0`.
    fn integer(&mut self) -> Result<(), Fault> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let negative = rest.first() == Some(&b'-');
        let digits = rest.get(usize::from(negative)..).unwrap_or_default();
        let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let digits = digits.get(..length).unwrap_or_default();
        let value = digits.iter().try_fold(0_u64, |sum, digit| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
        let end = self.at + usize::from(negative) + length;
        let zero = digits.first() == Some(&b'0');
        let after = self.bytes.get(end);
        if (length == 0 && after != Some(&b'I')) || (zero && length > 1) {
            return Err(self.fault(Kind::Syntax));
        }
        let goes_on = matches!(after, Some(b'.' | b'e' | b'E' | b'I'));
        if (zero && negative) || goes_on || value.is_none_or(|value| value > MAX_INTEGER) {
            return Err(self.fault(Kind::Number));
        }
        self.at = end;
        Ok(())
    }

    /// Returns the range between the quotes.
    fn string(&mut self) -> Result<Range<usize>, Fault> {
        self.expect(b'"')?;
        let start = self.at;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let Some(stop) = rest.iter().position(|&byte| byte == b'"' || byte == b'\\' || byte < 0x20) else {
                self.at = self.bytes.len();
                return Err(self.fault(Kind::Syntax));
            };
            self.at += stop;
            match rest.get(stop) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(start..self.at - 1);
                }
                Some(b'\\') => {
                    let after = rest.get(stop + 1..).unwrap_or_default();
                    let length = escape(after).ok_or(self.fault(if is_escape(after) { Kind::NotCanonical } else { Kind::Syntax }))?;
                    self.at += 1 + length;
                }
                _ => return Err(self.fault(Kind::Syntax)),
            }
        }
    }
}

/// The length of the escape after its backslash, where it is one of those that RFC 8785 §3.2.2.2 writes.
fn escape(after: &[u8]) -> Option<usize> {
    match after {
        [b'"' | b'\\' | b'b' | b't' | b'n' | b'f' | b'r', ..] => Some(1),
        [b'u', b'0', b'0', high @ (b'0' | b'1'), low @ (b'0'..=b'9' | b'a'..=b'f'), ..] => {
            // \b \t \n \f \r have a spelling of their own.
            let short = *high == b'0' && matches!(low, b'8' | b'9' | b'a' | b'c' | b'd');
            (!short).then_some(5)
        }
        _ => None,
    }
}

/// Whether these are the other escapes of JSON: right, but not canonical.
fn is_escape(after: &[u8]) -> bool {
    match after {
        [b'/', ..] => true,
        [b'u', a, b, c, d, ..] => [a, b, c, d].iter().all(|digit| digit.is_ascii_hexdigit()),
        _ => false,
    }
}

/// Orders two keys, as they stand between their quotes, by UTF-16 code units (RFC 8785 §3.2.3).
fn compare(left: &[u8], right: &[u8]) -> Ordering {
    let plain = |text: &[u8]| text.iter().all(|&byte| byte < 0x80 && byte != b'\\');
    if plain(left) && plain(right) {
        return left.cmp(right);
    }
    units(left).cmp(&units(right))
}

fn units(raw: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(raw);
    let mut units = Vec::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        if char == '\\' {
            units.push(match chars.next() {
                Some('b') => 8,
                Some('t') => 9,
                Some('n') => 10,
                Some('f') => 12,
                Some('r') => 13,
                Some('u') => chars.by_ref().take(4).fold(0, |sum, digit| sum << 4 | u16::try_from(digit.to_digit(16).unwrap_or(0)).unwrap_or(0)),
                Some(other) => u16::try_from(u32::from(other)).unwrap_or(0),
                None => 0,
            });
        } else {
            units.extend(char.encode_utf16(&mut [0; 2]).iter());
        }
    }
    units
}
