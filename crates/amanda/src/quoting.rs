//! Amanda's quoting of names, as `quote_string` and its kin in common-src/amutil.c do it, and `sanitise_filename` of
//! common-src/file.c.
//!
//! The escapes are few: `\\ \" \n \t \r \f`, and, only when reading, up to three octal digits. Other control characters
//! stand raw inside the quotes. The shell, JSON and XML quote differently; none of them is served here.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

/// What is wrong with a quoted name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuotingError {
    /// A quotation mark was opened and never closed: the text was cut.
    #[error("a quotation mark is never closed")]
    Unclosed,
    /// The text ends in a backslash: the text was cut.
    #[error("the text ends in a backslash")]
    TrailingBackslash,
    /// An octal escape stands for no byte that a name can have: zero, or more than 255.
    #[error("the octal escape is not a byte of a name")]
    Octal,
}

/// Returns the name as Amanda writes it into a line: bare when it can be, in quotation marks when it must be.
///
/// Amanda's test is a comparison of signed characters, so on most machines every byte above 127 forces quotes, and on
/// ARM it does not. We always quote such names: each reads what the other wrote.
#[must_use]
pub fn quote(name: &[u8]) -> Vec<u8> {
    if !name.is_empty() && !name.iter().copied().any(forces_quotes) {
        return name.to_vec();
    }
    let mut quoted = Vec::with_capacity(name.len() + 8);
    quoted.push(b'"');
    for &byte in name {
        match byte {
            b'\n' => quoted.extend(b"\\n"),
            b'\t' => quoted.extend(b"\\t"),
            b'\r' => quoted.extend(b"\\r"),
            0x0c => quoted.extend(b"\\f"),
            b'\\' | b'"' => quoted.extend([b'\\', byte]),
            other => quoted.push(other),
        }
    }
    quoted.push(b'"');
    quoted
}

fn forces_quotes(byte: u8) -> bool {
    matches!(byte, 0..=b' ' | b':' | b'\'' | b'\\' | b'"' | 0x7f..)
}

/// Returns the name that a word stands for. Quotation marks may stand anywhere in the word, as for Amanda.
///
/// Stricter than Amanda where the text must have been cut (an open quotation mark, a last backslash), because a cut
/// name is the name of another disk. Amanda's own code takes the character after an octal escape literally; ours reads
/// on normally. Amanda never writes octal.
///
/// # Errors
/// When the text is cut, or an octal escape is no byte.
pub fn unquote(word: &[u8]) -> Result<Vec<u8>, QuotingError> {
    let mut name = Vec::with_capacity(word.len());
    let mut quoted = false;
    let mut rest = word;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'"' => quoted = !quoted,
            b'\\' => {
                let (&escaped, after) = rest.split_first().ok_or(QuotingError::TrailingBackslash)?;
                if (b'0'..=b'7').contains(&escaped) {
                    let (value, after) = octal(rest)?;
                    name.push(value);
                    rest = after;
                } else {
                    name.push(match escaped {
                        b'n' => b'\n',
                        b't' => b'\t',
                        b'r' => b'\r',
                        b'f' => 0x0c,
                        literal => literal,
                    });
                    rest = after;
                }
            }
            plain => name.push(plain),
        }
    }
    if quoted { Err(QuotingError::Unclosed) } else { Ok(name) }
}

/// Reads one to three octal digits; the caller has seen the first.
fn octal(text: &[u8]) -> Result<(u8, &[u8]), QuotingError> {
    let digits = text.iter().take(3).take_while(|&digit| (b'0'..=b'7').contains(digit)).count();
    let (digits, rest) = text.split_at(digits);
    let value = digits.iter().fold(0u16, |value, digit| value * 8 + u16::from(digit - b'0'));
    match u8::try_from(value) {
        Ok(0) | Err(_) => Err(QuotingError::Octal),
        Ok(value) => Ok((value, rest)),
    }
}

/// Returns the words of a line, still quoted. Words are set apart by one or more spaces or tabs outside quotation
/// marks. (Amanda's `split_quoted_strings` makes an empty word between two spaces; its `skip_whitespace`, used for the
/// same files elsewhere, does not, and neither do we.)
#[must_use]
pub fn split_words(line: &[u8]) -> Words<'_> {
    Words { rest: line }
}

/// The words of a line; made by [`split_words`].
#[derive(Debug, Clone)]
pub struct Words<'a> {
    rest: &'a [u8],
}

impl<'a> Words<'a> {
    /// Returns what follows the words taken so far, without the blanks before it.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        let blanks = self.rest.iter().take_while(|&&byte| is_blank(byte)).count();
        &self.rest[blanks..]
    }

    /// Takes the next word and unquotes it; `None` at the end of the line and for a word that was cut.
    pub fn next_name(&mut self) -> Option<Vec<u8>> {
        unquote(self.next()?).ok()
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let text = self.rest();
        if text.is_empty() {
            self.rest = text;
            return None;
        }
        let end = word_end(text, is_blank);
        self.rest = &text[end..];
        Some(&text[..end])
    }
}

/// Returns where the first word ends: at the first byte outside quotes that `sets_apart` words.
pub(crate) fn word_end(text: &[u8], sets_apart: impl Fn(u8) -> bool) -> usize {
    let mut quoted = false;
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 1,
            b'"' => quoted = !quoted,
            byte if sets_apart(byte) && !quoted => break,
            _ => {}
        }
        at += 1;
    }
    // A last backslash steps one too far.
    at.min(text.len())
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Returns a disk name as it stands in the names of holding files, index and curinfo directories: `/`, `:` and `\`
/// become `_`. Several disks can share one such name (`/a/b` and `/a_b`). `.` and `..`, which are no files' names and lead out of the
/// directory that they should lie in, become `_` and `__`; Amanda leaves them as they are.
#[must_use]
pub fn sanitise(name: &[u8]) -> OsString {
    if matches!(name, b"." | b"..") {
        return OsString::from("_".repeat(name.len()));
    }
    OsString::from_vec(name.iter().map(|byte| if b"/:\\".contains(byte) { b'_' } else { *byte }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_never_leads_out_of_its_directory() {
        for (name, clean) in [("..", "__"), (".", "_"), ("../..", ".._.."), ("...", "..."), ("/home", "_home"), ("", "")] {
            assert_eq!(sanitise(name.as_bytes()), clean, "{name}");
        }
    }

    #[test]
    fn names_are_quoted_as_amanda_quotes_them() {
        for (name, quoted) in [
            ("/home", "/home"),
            ("", "\"\""),
            ("/home docs", "\"/home docs\""),
            ("C:", "\"C:\""),
            ("it's", "\"it's\""),
            ("a\"b", "\"a\\\"b\""),
            ("a\\b", "\"a\\\\b\""),
            ("tab\there", "\"tab\\there\""),
            ("new\nline", "\"new\\nline\""),
            ("\r\x0c", "\"\\r\\f\""),
            ("bell\x07", "\"bell\x07\""),
            ("\x7f", "\"\x7f\""),
            ("/häuser", "\"/häuser\""),
            ("!#$%&()*+,-./;<=>?@[]^_`{|}~", "!#$%&()*+,-./;<=>?@[]^_`{|}~"),
        ] {
            assert_eq!(quote(name.as_bytes()), quoted.as_bytes(), "{name:?}");
            assert_eq!(unquote(quoted.as_bytes()).as_deref(), Ok(name.as_bytes()), "{quoted}");
        }
    }

    #[test]
    fn octal_and_quotation_marks_inside_a_word_are_read() {
        for (word, name) in [("\"a\\040b\"", "a b"), ("\\101\\102", "AB"), ("\\1012", "A2"), ("/a\" b\"/c", "/a b/c"), ("\\q", "q")] {
            assert_eq!(unquote(word.as_bytes()).as_deref(), Ok(name.as_bytes()), "{word}");
        }
    }

    #[test]
    fn cut_words_are_errors() {
        for (word, error) in [
            ("\"/home", QuotingError::Unclosed),
            ("\"/home\\", QuotingError::TrailingBackslash),
            ("a\\000b", QuotingError::Octal),
            ("\\777", QuotingError::Octal),
        ] {
            assert_eq!(unquote(word.as_bytes()), Err(error), "{word}");
        }
    }

    #[test]
    fn words_are_split_outside_quotation_marks_only() {
        let line = br#"DISK  planner "a b" "c\" d"	e\ f  [sec 1]"#;
        let words: Vec<_> = split_words(line).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        assert_eq!(words, ["DISK", "planner", "\"a b\"", "\"c\\\" d\"", "e\\ f", "[sec", "1]"]);
        let mut words = split_words(line);
        words.nth(4);
        assert_eq!(words.rest(), b"[sec 1]");
    }

    #[test]
    fn slashes_colons_and_backslashes_become_underscores_and_spaces_stay() {
        assert_eq!(sanitise(b"/srv/home docs"), "_srv_home docs");
        assert_eq!(sanitise(b"C:\\data"), "C__data");
    }

    proptest! {
        #[test]
        fn what_was_quoted_is_read_back(name in prop::collection::vec(any::<u8>(), 0..80)) {
            prop_assert_eq!(unquote(&quote(&name)), Ok(name));
        }

        #[test]
        fn quoted_names_are_one_word_each(names in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..12), 0..6)) {
            let line = names.iter().map(|name| quote(name)).collect::<Vec<_>>().join(&b' ');
            let read: Vec<_> = split_words(&line).map(|word| unquote(word).unwrap()).collect();
            prop_assert_eq!(read, names);
        }

        #[test]
        fn no_text_breaks_the_splitter(line in prop::collection::vec(prop::sample::select(&b" \t\"\\a07\n"[..]), 0..40)) {
            for word in split_words(&line) {
                prop_assert!(!word.is_empty());
                let _ = unquote(word);
            }
        }
    }
}
