//! Output as text: without what only a terminal understands.

/// The text of these bytes, without escape sequences and other controls; a carriage return ends a line, as what follows
/// it would be written over it.
pub(super) fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(char) = rest.next() {
        match char {
            '\u{1b}' => match rest.next() {
                // `ESC [ parameters final`
                Some('[') => drop(rest.find(|char| ('@'..='~').contains(char))),
                // `ESC ] … BEL` or `… ESC \`, and its kin; one that is never closed ends with its line
                Some(']' | 'P' | 'X' | '^' | '_') => {
                    while let Some(char) = rest.next_if(|char| *char != '\n') {
                        if char == '\u{7}' || (char == '\u{1b}' && rest.next_if_eq(&'\\').is_some()) {
                            break;
                        }
                    }
                }
                // `ESC ( B`
                Some('(' | ')' | '*' | '+') => drop(rest.next()),
                Some('\n') => out.push('\n'),
                _ => {}
            },
            '\r' => {
                if rest.peek() != Some(&'\n') {
                    out.push('\n');
                }
            }
            '\n' | '\t' => out.push(char),
            char if char.is_control() => {}
            char => out.push(char),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn what_a_terminal_understands_is_gone() {
        let table: &[(&[u8], &str)] = &[
            (b"plain\n", "plain\n"),
            (b"\x1b[1;31mred\x1b[0m\n", "red\n"),
            (b"\x1b]0;title\x07after", "after"),
            (b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
            (b"\x1b]never closed\nnext", "\nnext"),
            (b"10%\r20%\r\n", "10%\n20%\n"),
            (b"a\x08b\x00c\xff", "abc\u{fffd}"),
            (b"\x1b(B\x1b", ""),
            (b"\x1b[", ""),
        ];
        for (bytes, text) in table {
            assert_eq!(plain(bytes), *text, "{bytes:?}");
        }
    }
}
