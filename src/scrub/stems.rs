//! Short pieces of text that secrets are announced by, searched at memory speed.

use super::span::Span;
use super::{context, formats, kubernetes, pem, uri};
use aho_corasick::{AhoCorasick, MatchKind, packed};
use memchr::memmem;
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
    /// `mysql -ppassword`.
    Mysql,
    /// `curl -u user:password`.
    Curl,
    /// `redis-cli -a password`.
    Redis,
}

/// Pieces of key names, each also searched capitalised and in capitals. All pieces together must
/// be at most 64, as many as the packed search takes.
const KEYS: &[&str] = &["pass", "secr", "toke", "key", "cred", "auth", "bear", "pwd", "sign", "cook", "sess", "mnem", "phras", "jwt", "seed", "psk"];

/// Pieces that are searched as they are.
const OTHERS: &[(&str, Announces)] = &[
    ("://", Announces::Uri),
    ("BEGIN ", Announces::Block),
    ("Private-Lines", Announces::Block),
    ("IDENTIFIED ", Announces::Identified),
    ("identified ", Announces::Identified),
    ("curl ", Announces::Curl),
    ("mysql", Announces::Mysql),
    ("redis-cli ", Announces::Redis),
];

/// Pieces with rare bytes, which are cheaper searched alone: together they would slow the packed
/// search down to a quarter.
const RARE: &[(&str, Announces)] =
    &[("%3A%2F%2F", Announces::Uri), (":5432:", Announces::Pgpass), ("sig=", Announces::Key), ("{SSHA", Announces::Hash)];

struct Stems {
    searcher: Searcher,
    announces: Vec<Announces>,
    rare: Vec<(memmem::Finder<'static>, Announces)>,
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
        let rare = RARE.iter().map(|(piece, what)| (memmem::Finder::new(*piece), *what)).collect();
        Self { searcher, announces, rare }
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

/// Whether the text names anything secret, with or without a value: only then can reading it as a
/// document find more than searching it.
pub(super) fn names_secret(text: &str) -> bool {
    let stems = Stems::shared();
    let mut at = 0;
    while let Some((start, end, what)) = stems.next(text, at) {
        at = end;
        if what == Announces::Key {
            let (secret, name_end) = context::names_secret(text, start..end);
            if secret {
                return true;
            }
            at = at.max(name_end);
        }
    }
    false
}

/// Whether the name of a field holds a piece of a secret's name.
pub(super) fn announced(name: &str) -> bool {
    Stems::shared().next(name, 0).is_some()
}

/// Adds the findings that pieces announce.
pub(super) fn find(text: &str, spans: &mut Vec<Span>) {
    let stems = Stems::shared();
    let mut search = Search { text, read: Cell::new(0), manifests: kubernetes::Manifests::default(), spans };
    let mut at = 0;
    while let Some((start, end, what)) = stems.next(text, at) {
        at = search.visit(start, end, at, what);
    }
    for (finder, what) in &stems.rare {
        let mut at = 0;
        while let Some(start) = text.as_bytes().get(at..).and_then(|rest| finder.find(rest)).map(|found| at + found) {
            at = search.visit(start, start + finder.needle().len(), at, *what);
        }
    }
    let mut at = 0;
    while let Some(start) = text.as_bytes().get(at..).and_then(|rest| memchr::memchr(b'$', rest)).map(|found| at + found) {
        at = search.visit(start, start + 1, at, Announces::Hash);
    }
}

struct Search<'s> {
    text: &'s str,
    /// Bytes of values read so far, see [`context::find`].
    read: Cell<usize>,
    manifests: kubernetes::Manifests,
    spans: &'s mut Vec<Span>,
}

impl Search<'_> {
    /// Judges the piece `start..end`. Returns where the next look may begin.
    fn visit(&mut self, start: usize, end: usize, floor: usize, what: Announces) -> usize {
        let looked_to = match what {
            Announces::Key => {
                self.manifests.find(self.text, start, self.spans);
                pem::find_cut(self.text, start, self.spans);
                // `sig=` has its separator in the piece.
                let name_end = end - usize::from(self.text.as_bytes().get(end - 1) == Some(&b'='));
                context::find(self.text, start..name_end, floor, &self.read, self.spans)
            }
            Announces::Uri => uri::find(self.text, start, end, self.spans),
            Announces::Block => pem::find(self.text, start, self.spans),
            Announces::Identified => formats::find_identified(self.text, end, &self.read, self.spans),
            Announces::Mysql => formats::find_mysql(self.text, end, &self.read, self.spans),
            Announces::Hash => formats::find_hash(self.text, start, self.spans),
            Announces::Pgpass => formats::find_pgpass(self.text, start, end, self.spans),
            Announces::Redis => formats::find_redis(self.text, end, &self.read, self.spans),
            Announces::Curl => formats::find_user(self.text, end, self.spans),
        };
        looked_to.max(end)
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
