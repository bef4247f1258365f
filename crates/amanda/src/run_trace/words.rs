//! The words of a trace's line. Colons set words apart like spaces do (`split_quoted_strings_for_amstatus` in
//! common-src/amutil.c), so `127.0.0.4:"/home docs":` is a host and a disk.

use std::borrow::Cow;

use crate::quoting::{unquote, word_end};

/// More words than this on one line are not looked at; the longest that matters has about 30.
const WORDS: usize = 64;

/// Returns the words of a line, unquoted. A word whose quotes are broken is left as it stands.
pub(super) fn words(line: &[u8]) -> Vec<Cow<'_, [u8]>> {
    let mut words = Vec::new();
    let mut rest = line;
    while words.len() < WORDS {
        let blanks = rest.iter().take_while(|&&byte| sets_apart(byte)).count();
        rest = &rest[blanks..];
        if rest.is_empty() {
            break;
        }
        let (word, after) = rest.split_at(word_end(rest, sets_apart));
        rest = after;
        let quoted = word.iter().any(|byte| matches!(byte, b'"' | b'\\'));
        words.push(match if quoted { unquote(word).ok() } else { None } {
            Some(name) => Cow::Owned(name),
            None => Cow::Borrowed(word),
        });
    }
    words
}

fn sets_apart(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colons_set_words_apart_unless_quoted() {
        let line = br#"driver: time 1.5: host 127.0.0.4:"C:/home docs": "80676e52:215" done:"#;
        let words: Vec<_> = words(line).iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        assert_eq!(words, ["driver", "time", "1.5", "host", "127.0.0.4", "C:/home docs", "80676e52:215", "done"]);
    }

    #[test]
    fn a_line_of_many_words_is_cut() {
        assert_eq!(words(&b"a ".repeat(1000)).len(), WORDS);
    }
}
