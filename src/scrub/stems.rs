//! Short pieces of text that secrets are announced by, searched at memory speed.

use super::span::Span;
use super::{context, kubernetes, pem, uri};
use aho_corasick::{AhoCorasick, MatchKind, packed};
use std::cell::Cell;
use std::sync::LazyLock;

/// What a piece announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Announces {
    /// A key's name: what follows may be its value.
    Key,
    /// The authority of a URI.
    Uri,
    /// A block of key material.
    Block,
    /// A hash made from a password.
    Hash,
    /// A line of `.pgpass`.
    Pgpass,
    /// `IDENTIFIED BY '…'` in SQL.
    Identified,
    /// `curl -u user:password`.
    User,
}

/// Pieces of key names, each also searched capitalised and in capitals. All pieces together must
/// be at most 64, as many as the packed search takes.
const KEYS: &[&str] = &["pass", "secr", "toke", "key", "cred", "auth", "bear", "pwd", "sign", "cook", "sess", "mnem", "phras", "jwt", "seed"];

/// Pieces that are searched as they are.
const OTHERS: &[(&str, Announces)] = &[
    ("://", Announces::Uri),
    ("%3A%2F%2F", Announces::Uri),
    ("BEGIN ", Announces::Block),
    ("Private-Lines", Announces::Block),
    ("$2a$", Announces::Hash),
    ("$2b$", Announces::Hash),
    ("$2y$", Announces::Hash),
    ("$6$", Announces::Hash),
    ("$5$", Announces::Hash),
    ("$1$", Announces::Hash),
    ("$y$", Announces::Hash),
    ("$apr1$", Announces::Hash),
    ("$argon2", Announces::Hash),
    ("{SSHA", Announces::Hash),
    (":5432:", Announces::Pgpass),
    (" -u ", Announces::User),
    ("sig=", Announces::Key),
    ("IDENTIFIED ", Announces::Identified),
    ("identified ", Announces::Identified),
];

struct Stems {
    searcher: Searcher,
    announces: Vec<Announces>,
}

enum Searcher {
    Packed(packed::Searcher),
    /// Where the processor has no vector instructions that the packed search knows.
    Automaton(AhoCorasick),
    /// Never: the pieces are fixed and a test builds them.
    Nothing,
}

impl Stems {
    fn shared() -> &'static Self {
        static STEMS: LazyLock<Stems> = LazyLock::new(Stems::build);
        &STEMS
    }

    fn build() -> Self {
        let mut pieces = Vec::new();
        let mut announces = Vec::new();
        for key in KEYS {
            let mut capital = (*key).to_owned();
            if let Some(first) = capital.get_mut(..1) {
                first.make_ascii_uppercase();
            }
            pieces.extend([(*key).to_owned(), capital, key.to_ascii_uppercase()]);
            announces.extend([Announces::Key; 3]);
        }
        for (piece, what) in OTHERS {
            pieces.push((*piece).to_owned());
            announces.push(*what);
        }
        let searcher = match packed::Config::new().match_kind(packed::MatchKind::LeftmostFirst).builder().extend(&pieces).build() {
            Some(packed) => Searcher::Packed(packed),
            None => AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(&pieces).map_or(Searcher::Nothing, Searcher::Automaton),
        };
        Self { searcher, announces }
    }

    /// The first piece at or after `from`.
    fn next(&self, text: &str, from: usize) -> Option<(usize, usize, Announces)> {
        let span = aho_corasick::Span { start: from, end: text.len() };
        let found = match &self.searcher {
            Searcher::Packed(packed) => packed.find_in(text, span)?,
            Searcher::Automaton(automaton) => automaton.find(aho_corasick::Input::new(text).span(span))?,
            Searcher::Nothing => return None,
        };
        let what = self.announces.get(found.pattern().as_usize())?;
        Some((found.start(), found.end(), *what))
    }
}

/// Whether the text holds any piece at all; without one, no key, URI or block is in it.
pub(super) fn announced(text: &str) -> bool {
    Stems::shared().next(text, 0).is_some()
}

/// Adds the findings that pieces announce.
pub(super) fn find(text: &str, spans: &mut Vec<Span>) {
    let stems = Stems::shared();
    let mut at = 0;
    let read = Cell::new(0);
    let mut manifests = kubernetes::Manifests::default();
    while let Some((start, end, what)) = stems.next(text, at) {
        let before = spans.len();
        let looked_to = match what {
            Announces::Key => {
                manifests.find(text, start, spans);
                context::find(text, start..end, at, &read, spans)
            }
            Announces::Uri => uri::find(text, start, end, spans),
            Announces::Block => pem::find(text, start, spans),
            Announces::Identified => context::find_identified(text, end, &read, spans),
            Announces::Hash => context::find_hash(text, start, spans),
            Announces::Pgpass => context::find_pgpass(text, start, end, spans),
            Announces::User => context::find_user(text, end, spans),
        };
        let found_to = spans.get(before..).unwrap_or_default().iter().map(|span| span.end).max().unwrap_or(0);
        at = end.max(looked_to).max(if what == Announces::Key { 0 } else { found_to });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_pieces_fit_a_fast_search() {
        let stems = Stems::build();
        assert!(stems.announces.len() <= 64, "{} pieces", stems.announces.len());
        assert!(!matches!(stems.searcher, Searcher::Nothing));
    }
}
