//! Reads lines with bounded memory, however long they are.

use std::io::{self, ErrorKind, Read};

const BUFFER: usize = 256 * 1024;

/// Lines of at most a limit, line end included.
pub(crate) struct Lines<R> {
    input: R,
    limit: usize,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    at: At,
    until: u64,
}

/// Where a line begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct At {
    /// From 1.
    pub(crate) line: u64,
    /// Bytes from the file's start.
    pub(crate) offset: u64,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// A line without its line end.
    Whole(&'a [u8]),
    /// What stands after the last line end.
    Torn(&'a [u8]),
    /// Longer than the limit; skipped up to its end.
    TooLong,
}

impl<R: Read> Lines<R> {
    pub(crate) fn new(input: R, limit: usize) -> Self {
        let buffer = vec![0; BUFFER.max(limit * 2)];
        Self { input, limit, buffer, start: 0, end: 0, at: At { line: 0, offset: 0 }, until: u64::MAX }
    }

    /// Lines that begin at this offset or later are not read.
    pub(crate) const fn until(mut self, offset: u64) -> Self {
        self.until = offset;
        self
    }

    /// Where the next line begins.
    pub(crate) const fn offset(&self) -> u64 {
        self.at.offset
    }

    /// The number of the next line, where the end was reached.
    pub(crate) const fn line(&self) -> u64 {
        self.at.line
    }

    /// The next line and where it begins; `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<(At, Line<'_>)>> {
        self.at.line += 1;
        let at = self.at;
        if at.offset >= self.until {
            return Ok(None);
        }
        let mut searched = 0;
        loop {
            let window = self.buffer.get(self.start..self.end).unwrap_or_default();
            if let Some(stop) = memchr::memchr(b'\n', window.get(searched..).unwrap_or_default()).map(|stop| searched + stop) {
                let from = self.start;
                self.consume(stop + 1);
                if stop + 1 > self.limit {
                    return Ok(Some((at, Line::TooLong)));
                }
                return Ok(Some((at, Line::Whole(self.buffer.get(from..from + stop).unwrap_or_default()))));
            }
            searched = window.len();
            if searched > self.limit {
                self.skip_line()?;
                return Ok(Some((at, Line::TooLong)));
            }
            if self.fill()? == 0 {
                let from = self.start;
                self.consume(searched);
                return Ok((searched > 0).then(|| (at, Line::Torn(self.buffer.get(from..from + searched).unwrap_or_default()))));
            }
        }
    }

    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            let window = self.buffer.get(self.start..self.end).unwrap_or_default();
            if let Some(stop) = memchr::memchr(b'\n', window) {
                self.consume(stop + 1);
                return Ok(());
            }
            let length = window.len();
            self.consume(length);
            if self.fill()? == 0 {
                return Ok(());
            }
        }
    }

    fn consume(&mut self, length: usize) {
        self.start += length;
        self.at.offset += length as u64;
    }

    fn fill(&mut self) -> io::Result<usize> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        loop {
            match self.input.read(self.buffer.get_mut(self.end..).unwrap_or_default()) {
                Ok(length) => {
                    self.end += length;
                    return Ok(length);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_every_length_around_the_limit() {
        let limit = 8;
        let mut text = Vec::new();
        for length in 0..20 {
            text.extend(std::iter::repeat_n(b'a', length));
            text.push(b'\n');
        }
        text.extend(b"torn");
        let mut lines = Lines::new(&text[..], limit);
        let mut offset = 0;
        for length in 0..20_u64 {
            let (at, line) = lines.next().unwrap().unwrap();
            assert_eq!(at, At { line: length + 1, offset });
            match line {
                Line::Whole(line) => assert!(line.len() as u64 == length && line.len() < limit),
                Line::TooLong => assert!(length >= 8),
                Line::Torn(_) => panic!("torn"),
            }
            offset += length + 1;
        }
        assert_eq!(lines.next().unwrap().unwrap().1, Line::Torn(b"torn"));
        assert_eq!(lines.next().unwrap(), None);
    }

    #[test]
    fn a_line_longer_than_the_buffer_is_skipped_in_bounded_memory() {
        let long = std::io::repeat(b'x').take(3 * BUFFER as u64).chain(&b"\nnext\n"[..]);
        let mut lines = Lines::new(long, 100);
        assert_eq!(lines.next().unwrap().unwrap().1, Line::TooLong);
        assert_eq!(lines.next().unwrap().unwrap().1, Line::Whole(b"next"));
        assert_eq!(lines.buffer.len(), BUFFER);
    }
}
