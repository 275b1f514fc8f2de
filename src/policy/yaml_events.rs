//! How a well-formed policy becomes a tree: from the parser's events, several times as fast as through serde, which asks each value what
//! it is and where. Whatever is not plain here is left to the other way, which says what is wrong with it.

use std::collections::HashSet;

use granit_parser::{Event, Parser, ScalarStyle, Span};

use super::diagnostics::{At, Pos};
use super::yaml::{MAX_DEPTH, MAX_NODES, Node, Value, scalar};

/// A list or a mapping that is not whole yet.
enum Open {
    List(Pos, Vec<Node>),
    Map(Pos, Vec<(At<String>, Node)>, Option<At<String>>),
}

/// The tree of one document; `None` where there is anything to say against it, or anything unusual in it.
// INVARIANT: what is read this way is what the other way reads (test: both_ways_read_the_same).
pub(super) fn tree(text: &str) -> Option<Node> {
    let options = granit_parser::options! { emit_comments: false, flow_nesting_limit: MAX_DEPTH, block_nesting_limit: MAX_DEPTH };
    let (mut open, mut root, mut nodes, mut documents): (Vec<Open>, Option<Node>, usize, usize) = (Vec::new(), None, 0, 0);
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.ok()?;
        nodes += 1;
        if nodes > MAX_NODES || open.len() >= MAX_DEPTH {
            return None;
        }
        let node = match event {
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => continue,
            Event::DocumentStart(_, None) if documents == 0 => {
                documents = 1;
                continue;
            }
            Event::Scalar(text, style, 0, None) => {
                let value = if style == ScalarStyle::Plain { plain(&text)? } else { Value::Text(text.into_owned()) };
                if let Some(Open::Map(_, entries, key @ None)) = open.last_mut() {
                    let Value::Text(value) = value else { return None };
                    *key = Some(At { value: once(value, entries)?, at: pos(span) });
                    continue;
                }
                Node { at: pos(span), value }
            }
            Event::SequenceStart(_, 0, None) => {
                // Most lists have one item.
                opens(&mut open, Open::List(pos(span), Vec::with_capacity(1)))?;
                continue;
            }
            Event::MappingStart(_, 0, None) => {
                opens(&mut open, Open::Map(pos(span), Vec::new(), None))?;
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop()? {
                Open::List(at, items) => Node { at, value: Value::List(items) },
                Open::Map(at, entries, None) => Node { at, value: Value::Map(entries) },
                Open::Map(_, _, Some(_)) => return None,
            },
            // A tag, an anchor, an alias, a directive, a second document.
            _ => return None,
        };
        match open.last_mut() {
            None => root = Some(node),
            Some(Open::List(_, items)) => items.push(node),
            Some(Open::Map(_, entries, key)) => entries.push((key.take()?, node)),
        }
    }
    root.filter(|root| open.is_empty() && distinct(root))
}

fn opens(open: &mut Vec<Open>, one: Open) -> Option<()> {
    // A list or a mapping is no key.
    if matches!(open.last(), Some(Open::Map(_, _, None))) {
        return None;
    }
    open.push(one);
    Some(())
}

/// A key that may stand where it does. Long mappings are looked through at the end, so that many keys cost no more than their number.
fn once(key: String, entries: &[(At<String>, Node)]) -> Option<String> {
    let again = entries.len() < FEW && entries.iter().any(|(other, _)| other.value == key);
    (key != "<<" && !again).then_some(key)
}

/// As many keys as are compared one by one.
const FEW: usize = 16;

fn distinct(node: &Node) -> bool {
    match &node.value {
        Value::List(items) => items.iter().all(distinct),
        Value::Map(entries) => {
            let mut seen = HashSet::new();
            let once = entries.len() <= FEW || entries.iter().all(|(key, _)| seen.insert(key.value.as_str()));
            once && entries.iter().all(|(_, value)| distinct(value))
        }
        _ => true,
    }
}

/// A scalar without quotes. What may be a number or a word of YAML's own is read as the other way reads it.
fn plain(text: &str) -> Option<Value> {
    let lower = || text.to_ascii_lowercase();
    let number = !text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.' | b'_' | b':'))
        && (text.bytes().any(|b| b.is_ascii_digit()) || lower().ends_with("inf") || lower().ends_with("nan"));
    let word = matches!(text, "" | "~") || ["null", "true", "false", "nan", "inf", "infinity"].iter().any(|word| text.eq_ignore_ascii_case(word));
    if number || word { scalar(text) } else { Some(Value::Text(text.to_owned())) }
}

fn pos(span: Span) -> Pos {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Pos { line: number(span.start.line()), column: number(span.start.col() + 1), length: number(span.end.index().saturating_sub(span.start.index())) }
}
