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
    let (mut blank, mut foreign) = (0, 0);
    // Up to the next key, so that a text of nothing but beginnings is read once.
    let rest = text.get(body..)?;
    let limit = memchr::memmem::find(rest.as_bytes(), b"BEGIN ").unwrap_or(rest.len());
    let mut pieces = Pieces { text: text.get(..body + limit)?, at: body };
    // Programs have more on the line of a header.
    let alone = rest.get(..limit).unwrap_or_default().split(['\n', '\\']).next().is_some_and(|rest| rest.trim().is_empty());
    while let Some((from, piece)) = pieces.next() {
        let to = from + piece.len();
        if let Some(close) = piece.find("-----END ").or_else(|| piece.find("---- END ")) {
            let tail = piece.get(close + 5..).unwrap_or_default();
            let shut = tail.find("----").map_or(to, |at| {
                let dashes = tail.get(at..).unwrap_or_default().bytes().take_while(|byte| *byte == b'-').count();
                from + close + 5 + at + dashes
            });
            let material = end.is_some() || is_material(piece.get(..close).unwrap_or_default(), false);
            return material.then(|| block_after(&pieces, shut));
        }
        let content = piece.trim();
        if content.is_empty()
            || content.bytes().all(|byte| matches!(byte, b'+' | b'-' | b'>' | b'|' | b'#' | b'*' | b'"' | b'\'' | b' ' | b',' | b'\\'))
        {
            blank += 1;
            if blank > 3 && foreign >= FOREIGN {
                break;
            }
        } else if foreign > 0 && !is_whole_line(content) && !content.contains("-----") {
            foreign += 1;
            if foreign > FOREIGN {
                break;
            }
        } else if is_material(content, end.is_some()) {
            (blank, foreign) = (0, 0);
            end = Some(from + piece.trim_end_matches(['"', '\'', ' ', ',', '\r', '\\', ';', ')']).len());
        } else if !is_header(content) {
            // A comment or another line of a log: the key may go on behind it.
            foreign += 1;
            if (end.is_none() && !alone) || foreign > FOREIGN {
                break;
            }
        }
    }
    end.filter(|end| *end > begin)
}

/// How many lines that belong to no key may stand between two that do.
const FOREIGN: usize = 12;
/// A block of so many whole lines behind a key is taken for a part of it.
const BLOCK: usize = 3;

/// The end of the block of whole lines that follows a key, or else the key's own end.
fn block_after(pieces: &Pieces<'_>, shut: usize) -> usize {
    let (mut end, mut lines) = (shut, 0);
    for (skipped, (from, piece)) in (Pieces { text: pieces.text, at: pieces.at }).enumerate() {
        if is_whole_line(piece.trim()) {
            (end, lines) = (from + piece.trim_end().len(), lines + 1);
        } else if lines > 0 || skipped > 2 || piece.contains("-----") {
            break;
        }
    }
    if lines >= BLOCK { end } else { shut }
}

/// A line of 40 to 80 characters of base64 and nothing else, which is no hash.
fn is_whole_line(line: &str) -> bool {
    let line = line.trim_matches(|c: char| matches!(c, '"' | '\'' | ',' | ' ' | '+' | '-' | '>' | '|' | '#' | '*' | '\\' | ';' | ')' | '\t'));
    (40..=80).contains(&line.len())
        && line.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='))
        && line.bytes().any(|byte| byte.is_ascii_uppercase())
        && line.bytes().any(|byte| byte.is_ascii_lowercase())
}

/// Looks at the `KEY` at `hit` of `PRIVATE KEY-----` without its `BEGIN`: the header was cut off
/// inside, or the end of a key whose beginning is not in the text.
pub(super) fn find_cut(text: &str, hit: usize, spans: &mut Vec<Span>) {
    let (Some(before), Some(rest)) = (text.get(..hit), text.get(hit..)) else { return };
    let Some(dashes) = ["KEY-----", "KEY BLOCK-----"].into_iter().find(|closing| rest.starts_with(closing)) else { return };
    let near = before.len().saturating_sub(72);
    let begin = memchr::memrchr(b'\n', before.as_bytes().get(near..).unwrap_or_default()).map(|at| near + at + 1);
    let Some(line) = begin.or_else(|| (near == 0).then_some(0)).and_then(|begin| before.get(begin..)) else { return };
    if !line.ends_with("ATE ") || line.len() > 64 || line.contains("BEGIN ") {
        return;
    }
    let begin = hit - line.len();
    if !line.contains("END ") {
        let body = hit + dashes.len();
        if line.trim_start().len() <= 24
            && line.trim().bytes().all(|byte| byte.is_ascii_uppercase() || byte == b' ')
            && let Some(end) = body_end(text, body, begin)
        {
            spans.push(Span { start: begin, end, kind: "private_key" });
        }
        return;
    }
    // Backward over the lines of the key.
    let mut from = begin;
    while let Some(above) = from.checked_sub(1).and_then(|end| text.get(from.saturating_sub(120)..end).map(|above| (above, end))) {
        let (above, end) = above;
        let start = memchr::memrchr(b'\n', above.as_bytes()).map_or(end - above.len(), |at| end - above.len() + at + 1);
        let content = text.get(start..end).unwrap_or_default().trim();
        let short = from == begin && content.len() < 40 && is_material(content, true);
        if !is_whole_line(content) && !short {
            break;
        }
        from = start;
    }
    if from < begin && text.get(from..begin).is_some_and(|body| body.lines().any(|line| is_whole_line(line.trim()))) {
        let line_end = hit + dashes.len();
        spans.push(Span { start: from, end: line_end, kind: "private_key" });
    }
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
