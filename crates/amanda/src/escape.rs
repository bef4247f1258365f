//! Text of others, made safe to show.
//!
//! A disk name, an error message of a peer or a line of a log may hold escape sequences that repaint a terminal, and
//! characters that turn the reading direction or cannot be seen. For files that a program reads back, see
//! [`quoting`](crate::quoting).

use std::fmt::Write as _;

/// Returns the text with everything that a terminal would act upon, or that a reader could not see, spelled out: `\x1b`
/// for ASCII control characters (newline and tab too) and for bytes that are no UTF-8, `\u{202e}` for other characters.
///
/// The result is one line. Backslashes stay as they are, so the result is for eyes, and doing it twice does nothing.
#[must_use]
pub fn printable(text: &[u8]) -> String {
    let mut shown = String::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        for character in chunk.valid().chars() {
            // Writing into a String cannot fail.
            let _ = match character {
                '\0'..='\x1f' | '\x7f' => write!(shown, "\\x{:02x}", u32::from(character)),
                hidden if is_hidden(hidden) => write!(shown, "\\u{{{:x}}}", u32::from(hidden)),
                plain => {
                    shown.push(plain);
                    Ok(())
                }
            };
        }
        for byte in chunk.invalid() {
            let _ = write!(shown, "\\x{byte:02x}");
        }
    }
    shown
}

/// C1 control characters, and what Unicode calls format characters: direction marks, joiners, fillers and tags.
fn is_hidden(character: char) -> bool {
    matches!(character,
        '\u{80}'..='\u{9f}'
        | '\u{ad}'
        | '\u{61c}'
        | '\u{115f}'..='\u{1160}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_a_terminal_would_act_upon_is_spelled_out() {
        for (case, text, shown) in [
            ("plain", &b"/home docs"[..], "/home docs"),
            ("escape sequence", b"\x1b[2J", "\\x1b[2J"),
            ("newline and tab", b"a\nb\tc", "a\\x0ab\\x09c"),
            ("delete", b"\x7f", "\\x7f"),
            ("C1 as UTF-8", b"\xc2\x9b2J", "\\u{9b}2J"),
            ("C1 as a byte", b"\x9b2J", "\\x9b2J"),
            ("right to left override", "a\u{202e}b".as_bytes(), "a\\u{202e}b"),
            ("isolates", "\u{2066}\u{2069}".as_bytes(), "\\u{2066}\\u{2069}"),
            ("zero width", "a\u{200b}b".as_bytes(), "a\\u{200b}b"),
            ("half a character", b"\xe2\x82", "\\xe2\\x82"),
            ("latin-1", b"h\xe4user", "h\\xe4user"),
            ("umlauts and emoji stay", "Häuser 🎒".as_bytes(), "Häuser 🎒"),
        ] {
            assert_eq!(printable(text), shown, "{case}");
        }
    }

    proptest! {
        #[test]
        fn the_result_has_nothing_left_to_escape(text in prop::collection::vec(any::<u8>(), 0..60)) {
            let once = printable(&text);
            prop_assert!(!once.chars().any(char::is_control));
            prop_assert_eq!(printable(once.as_bytes()), once);
        }
    }
}
