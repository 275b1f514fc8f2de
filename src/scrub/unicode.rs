//! Characters that hide text from a person, steer a terminal, or split a secret.
//!
//! What belongs to written language stays: emoji joined by ZWJ, flags of subdivisions, the
//! non-joiner of Persian and Indic scripts, variation selectors behind what they select.

/// The text without hidden characters, or `None` where it has none.
///
/// Removed: terminal escapes (CSI, OSC and the other string sequences), C0 and C1 controls except
/// newline, tab and the return of a line end, bidirectional controls, tag characters, zero-width
/// and filler characters, stray joiners and variation selectors.
pub(super) fn strip_hidden(text: &str) -> Option<String> {
    let plain = plain_prefix(text);
    let first = plain + text.get(plain..)?.char_indices().find(|(_, c)| is_suspect(*c))?.0;
    let mut out = String::with_capacity(text.len());
    out.push_str(text.get(..first)?);
    let mut chars = text.get(first..)?.chars().peekable();
    let mut previous = out.chars().next_back();
    let mut flag = previous == Some('\u{1f3f4}');
    while let Some(c) = chars.next() {
        let next = chars.peek().copied();
        let keep = match c {
            '\u{1b}' | '\u{9b}' | '\u{9d}' | '\u{90}' | '\u{98}' | '\u{9e}' | '\u{9f}' => {
                skip_sequence(c, &mut chars);
                false
            }
            '\n' | '\t' => true,
            '\r' => next == Some('\n'),
            '\u{e0020}'..='\u{e007f}' => flag,
            '\u{200d}' => joins(previous, next),
            '\u{200c}' => previous.is_some_and(is_joining_letter) && next.is_some_and(is_joining_letter),
            '\u{fe00}'..='\u{fe0f}' => previous.is_some_and(is_selectable),
            '\u{e0100}'..='\u{e01ef}' => previous.is_some_and(is_ideograph),
            c => !is_suspect(c),
        };
        flag = keep && (c == '\u{1f3f4}' || (flag && matches!(c, '\u{e0020}'..='\u{e007e}')));
        if keep {
            out.push(c);
            previous = Some(c);
        }
    }
    (out.len() != text.len()).then_some(out)
}

/// How many bytes from the start are printable ASCII, newlines and tabs, up to a block: most text is nothing else, and looking at
/// blocks of bytes is ten times as fast as at characters.
fn plain_prefix(text: &str) -> usize {
    const BLOCK: usize = 64;
    let plain = |block: &[u8]| block.iter().fold(true, |all, byte| all & (matches!(byte, b' '..=b'~') | (*byte == b'\n') | (*byte == b'\t')));
    text.as_bytes().chunks(BLOCK).take_while(|block| plain(block)).map(<[u8]>::len).sum()
}

/// A text as a reader sees it: without hidden characters and broken ones, and with a newline for everything that ends a line.
/// It remembers which newlines are the text's own.
pub(super) struct Visible {
    text: String,
    own: Vec<bool>,
}

impl Visible {
    /// `None` where the text is that already.
    pub(super) fn of(text: &str) -> Option<Self> {
        let rest = text.get(plain_prefix(text)..)?;
        rest.chars().any(|c| is_suspect(c) || ends_a_line(c) || c == '\u{fffd}').then_some(())?;
        let mut broken = String::with_capacity(text.len());
        let mut own = Vec::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\n' => {
                    own.push(true);
                    broken.push('\n');
                }
                '\r' if chars.peek() == Some(&'\n') => broken.push('\r'),
                '\u{fffd}' => {}
                c if ends_a_line(c) => {
                    own.push(false);
                    broken.push('\n');
                }
                c => broken.push(c),
            }
        }
        Some(Self { text: strip_hidden(&broken).unwrap_or(broken), own })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// A changed text with as many newlines, in which only the original's own newlines are left.
    pub(super) fn with_own_lines(&self, clean: &str) -> String {
        let mut own = self.own.iter();
        clean.chars().map(|c| if c == '\n' && own.next() == Some(&false) { ' ' } else { c }).collect()
    }
}

/// What ends a line besides a newline: returns, vertical tabs, form feeds, NEL, LS and PS.
const fn ends_a_line(c: char) -> bool {
    matches!(c, '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

const fn is_suspect(c: char) -> bool {
    matches!(c,
        '\0'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff9}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Past the rest of a terminal sequence. One that never ends takes its line at most.
fn skip_sequence(first: char, chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    let introducer = match first {
        '\u{1b}' => chars.next_if(|c| matches!(c, ' '..='~')),
        '\u{9b}' => Some('['),
        _ => Some(']'),
    };
    match introducer {
        Some('[') => {
            while chars.next_if(|c| matches!(c, '0'..='?' | ' '..='/')).is_some() {}
            chars.next_if(|c| matches!(c, '@'..='~'));
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(c) = chars.next_if(|c| *c != '\n') {
                if c == '\u{7}' || c == '\u{9c}' || (c == '\u{1b}' && chars.next_if_eq(&'\\').is_some()) {
                    break;
                }
            }
        }
        Some(' '..='/') => {
            chars.next_if(|c| matches!(c, '0'..='~'));
        }
        _ => {}
    }
}

/// Whether a zero-width joiner stands between parts of one emoji or of an Indic cluster.
fn joins(previous: Option<char>, next: Option<char>) -> bool {
    let emoji = previous.is_some_and(|c| is_emoji(c) || c == '\u{fe0f}') && next.is_some_and(is_emoji);
    emoji || (previous.is_some_and(is_joining_letter) && next.is_none_or(|c| is_joining_letter(c) || c.is_whitespace()))
}

const fn is_emoji(c: char) -> bool {
    matches!(c, '\u{1f000}'..='\u{1faff}' | '\u{2190}'..='\u{2bff}')
}

const fn is_selectable(c: char) -> bool {
    is_emoji(c)
        || matches!(
            c,
            '#' | '*' | '0'
                ..='9' | '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}' | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}'
        )
        || is_ideograph(c)
        || is_joining_letter(c)
}

const fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// Scripts in which joiners and non-joiners change the shape of letters.
const fn is_joining_letter(c: char) -> bool {
    matches!(c, '\u{600}'..='\u{8ff}' | '\u{900}'..='\u{dff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{18af}' | '\u{fb50}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visible(text: &str) -> String {
        strip_hidden(text).unwrap_or_else(|| text.to_owned())
    }

    #[test]
    fn hidden_characters_go() {
        for (hidden, shown) in [
            ("a\u{1b}[1;31mred\u{1b}[0m", "ared"),
            ("x\u{1b}]8;;http://h\u{7}link\u{1b}]8;;\u{1b}\\y", "xlinky"),
            ("x\u{9b}31my", "xy"),
            ("no\u{202e}txt", "notxt"),
            ("a\u{200b}b\u{2060}c\u{feff}", "abc"),
            ("hi\u{e0049}\u{e0067}", "hi"),
            ("a\u{fe0f}\u{e0101}", "a"),
            ("bell\u{7}\u{8}", "bell"),
            ("over\rwritten", "overwritten"),
            ("pass\u{ad}word", "password"),
        ] {
            assert_eq!(visible(hidden), shown, "{hidden:?}");
        }
    }

    #[test]
    fn written_language_stays() {
        for text in [
            "line\r\nnext\ttab\n",
            "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
            "\u{2764}\u{fe0f}\u{200d}\u{1f525} 1\u{fe0f}\u{20e3}",
            "\u{1f3f4}\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
            "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}",
            "\u{915}\u{94d}\u{200d}\u{937}",
            "Vec<u8> <b>bold</b> <!-- note -->",
            "naïve – „quoted“ 日本語",
        ] {
            assert_eq!(strip_hidden(text), None, "{text:?}");
        }
    }
}
