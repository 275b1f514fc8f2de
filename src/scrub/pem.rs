//! Private keys in text armour: PEM, PGP, SSH2 and PuTTY, also escaped into one line, indented,
//! in a diff, behind a log's prefix, or cut off.

use super::span::Span;

/// Looks at the `BEGIN ` or `Private-Lines` at `start`. Returns where the next look may begin.
pub(super) fn find(text: &str, start: usize, spans: &mut Vec<Span>) -> usize {
    let Some(rest) = text.get(start..) else { return start };
    if rest.starts_with("Private-Lines") {
        return armour_of_putty(text, start, spans);
    }
    let bytes = text.as_bytes();
    let dashes = bytes.get(..start).unwrap_or_default().iter().rev().take(6).take_while(|byte| matches!(byte, b'-' | b' ')).count();
    let label_at = start + 6;
    let label = rest
        .get(6..)
        .map(|rest| rest.bytes().take(48).take_while(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b' ').count());
    let label_end = label_at + label.unwrap_or(0);
    let label = text.get(label_at..label_end).unwrap_or_default();
    let closed = text.get(label_end..).is_some_and(|rest| rest.starts_with("----"));
    if dashes < 4 || !closed || !label.contains("PRIVATE KEY") {
        return label_end;
    }
    let begin = start - dashes.min(start);
    let begin = begin + bytes.get(begin..start).unwrap_or_default().iter().take_while(|byte| **byte == b' ').count();
    let body = label_end + bytes.get(label_end..).unwrap_or_default().iter().take(5).take_while(|byte| **byte == b'-').count();
    let kind = if label.contains("PGP") { "pgp_private_key" } else { "private_key" };
    match body_end(text, body, begin) {
        Some(end) => {
            spans.push(Span { start: begin, end, kind });
            end
        }
        None => body,
    }
}

fn armour_of_putty(text: &str, start: usize, spans: &mut Vec<Span>) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    let head = rest.bytes().take(32).take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b':' | b' ')).count();
    let body = start + head;
    match body_end(text, body, start) {
        Some(end) => {
            spans.push(Span { start: body, end, kind: "ppk_private_key" });
            end
        }
        None => body,
    }
}

/// Where the key that begins after `body` ends, if there is any of it.
///
/// Goes forward piece by piece and stops at the first that belongs to no key.
fn body_end(text: &str, body: usize, begin: usize) -> Option<usize> {
    let mut end = None;
    let mut blank = 0;
    // Up to the next key, so that a text of nothing but beginnings is read once.
    let rest = text.get(body..)?;
    let limit = memchr::memmem::find(rest.as_bytes(), b"BEGIN ").unwrap_or(rest.len());
    let pieces = Pieces { text: text.get(..body + limit)?, at: body };
    for (from, piece) in pieces {
        let to = from + piece.len();
        if let Some(close) = piece.find("-----END ").or_else(|| piece.find("---- END ")) {
            let tail = piece.get(close + 5..).unwrap_or_default();
            let shut = tail.find("----").map_or(to, |at| {
                let dashes = tail.get(at..).unwrap_or_default().bytes().take_while(|byte| *byte == b'-').count();
                from + close + 5 + at + dashes
            });
            let material = end.is_some() || is_material(piece.get(..close).unwrap_or_default(), false);
            return material.then_some(shut);
        }
        let content = piece.trim();
        if content.is_empty()
            || content.bytes().all(|byte| matches!(byte, b'+' | b'-' | b'>' | b'|' | b'#' | b'*' | b'"' | b'\'' | b' ' | b',' | b'\\'))
        {
            blank += 1;
            if blank > 3 {
                break;
            }
        } else if is_material(content, end.is_some()) {
            blank = 0;
            end = Some(from + piece.trim_end_matches(['"', '\'', ' ', ',', '\r', '\\', ';', ')']).len());
        } else if !is_header(content) {
            break;
        }
    }
    end.filter(|end| *end > begin)
}

/// A line of key material: its last word is base64, long enough unless others came before it.
fn is_material(line: &str, going: bool) -> bool {
    let line = line.trim_matches(|c: char| matches!(c, '"' | '\'' | ',' | ' ' | '+' | '\\' | ';' | ')' | '\t'));
    let base64 = |word: &str| word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='));
    let longest = line.split([' ', '\t', ':', '"', '\'']).filter(|word| base64(word)).map(str::len).max().unwrap_or(0);
    let last = line.split([' ', '\t']).next_back().unwrap_or_default().trim_start_matches(['+', '-', '>', '|', '#', '*', '"', '\'']);
    longest >= 40
        || (!last.is_empty()
            && base64(last)
            && (last.len() >= 24
                || (going
                    && !line.contains(' ')
                    && last.len() >= 4
                    && (last.len() >= 16 || last.ends_with('=') || last.bytes().any(|b| b.is_ascii_digit() || b.is_ascii_uppercase())))))
}

/// The headers of old PEM, PGP and PuTTY armour.
fn is_header(line: &str) -> bool {
    ["Proc-Type", "DEK-Info", "Version", "Comment", "Charset", "Hash", "Private-MAC", "Encryption", "Public-Lines", "Key-Derivation", "Argon2"]
        .iter()
        .any(|name| line.contains(name))
}

/// The text in lines, split at real and at escaped line ends.
struct Pieces<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Iterator for Pieces<'t> {
    type Item = (usize, &'t str);

    fn next(&mut self) -> Option<Self::Item> {
        let from = self.at;
        let rest = self.text.get(from..)?;
        if rest.is_empty() {
            return None;
        }
        let bytes = rest.as_bytes();
        let mut look = 0;
        let (len, skip) = loop {
            match memchr::memchr2(b'\n', b'\\', bytes.get(look..).unwrap_or_default()) {
                None => break (bytes.len(), 0),
                Some(at) if bytes.get(look + at) == Some(&b'\n') => break (look + at, 1),
                Some(at) => {
                    let slash = look + at;
                    let slashes = bytes.get(slash..).unwrap_or_default().iter().take(8).take_while(|byte| **byte == b'\\').count();
                    match bytes.get(slash + slashes) {
                        Some(b'n' | b'r') => break (slash, slashes + 1),
                        _ => look = slash + slashes,
                    }
                }
            }
        };
        self.at = from + len + skip;
        Some((from, rest.get(..len)?))
    }
}
