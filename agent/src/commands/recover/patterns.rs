//! Patterns for the names in one directory: shell wildcards as amrecover has them, and regular expressions.
//!
//! As for amrecover, `*` matches names that begin with a dot, too; a regular expression holds from a name's beginning and need not reach
//! its end. Names are bytes: a `?` is a character where there is one, and otherwise a byte.

use regex::bytes::{Regex, RegexBuilder};

/// The most memory that a compiled expression may take.
const LIMIT: usize = 1 << 20;

/// Why a pattern is none.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    /// Wildcards.
    #[error("\"{shown}\" is not a valid shell wildcard pattern")]
    Wildcards {
        /// The pattern.
        shown: String,
    },
    /// A regular expression.
    #[error("\"{shown}\" is not a valid regular expression: {why}")]
    Expression {
        /// The expression.
        shown: String,
        /// What the library says, in one line.
        why: String,
    },
}

/// Names that are meant.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// Reads shell wildcards: `*`, `?`, `[a-z]`, `[!a-z]`, and `\` before a character that stands for itself.
    pub fn wildcards(pattern: &[u8]) -> Result<Self, PatternError> {
        let wrong = || PatternError::Wildcards { shown: crate::report::show(pattern) };
        let text = expression(pattern).ok_or_else(wrong)?;
        build(&format!("^(?:{text})$")).map(Self).map_err(|_| wrong())
    }

    /// Reads a regular expression.
    pub fn expression(expression: &[u8]) -> Result<Self, PatternError> {
        let shown = || crate::report::show(expression);
        let wrong = |why: String| PatternError::Expression { shown: shown(), why };
        let text = std::str::from_utf8(expression).map_err(|_| wrong("it is not UTF-8".to_owned()))?;
        // By itself first, so that "a)|(b" is not made good by what stands around it.
        let built = build(text).and_then(|_| build(&format!("^(?:{})", text.trim_end_matches('/'))));
        built.map(Self).map_err(|error| wrong(last_line(&error.to_string())))
    }

    /// Says whether a name is meant.
    pub fn matches(&self, name: &[u8]) -> bool {
        self.0.is_match(name)
    }
}

fn build(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text).dot_matches_new_line(true).size_limit(LIMIT).build()
}

fn last_line(text: &str) -> String {
    crate::report::show(text.lines().last().unwrap_or_default().trim_start_matches("error: "))
}

/// Tells whether a word has a wildcard in it.
pub fn has_wildcard(pattern: &[u8]) -> bool {
    pattern.iter().any(|byte| b"*?[\\".contains(byte))
}

/// Returns the regular expression of wildcards; none when a bracket or a backslash is left open.
fn expression(pattern: &[u8]) -> Option<String> {
    const CHARACTER: &str = r"(?:[^/]|(?-u:[^/]))";
    let mut text = String::new();
    let mut rest = pattern;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'*' => text.push_str("(?-u:[^/])*"),
            b'?' => text.push_str(CHARACTER),
            b'\\' => {
                let (&escaped, after) = rest.split_first()?;
                literal(escaped, &mut text);
                rest = after;
            }
            b'[' => {
                // A bracket that comes first is one of the characters.
                let negated = matches!(rest.first(), Some(b'!' | b'^'));
                let from = usize::from(negated);
                let end = rest.iter().skip(from + 1).position(|byte| *byte == b']')? + from + 1;
                let inner = std::str::from_utf8(&rest[from..end]).ok()?;
                text.push_str(if negated { "[^" } else { "[" });
                for character in inner.chars() {
                    if r"\[]^&~".contains(character) {
                        text.push('\\');
                    }
                    text.push(character);
                }
                text.push(']');
                rest = &rest[end + 1..];
            }
            other => literal(other, &mut text),
        }
    }
    Some(text)
}

fn literal(byte: u8, text: &mut String) {
    text.push_str(&format!("(?-u:\\x{byte:02x})"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_as_amrecovers_do() {
        for (pattern, name, expected) in [
            ("hosts", &b"hosts"[..], true),
            ("hosts", b"hosts.allow", false),
            ("host*", b"hosts.allow", true),
            ("*", b".profile", true),
            ("*", b"\xff\xfe", true),
            ("?", "ü".as_bytes(), true),
            ("?", b"\xff", true),
            ("??", "ü".as_bytes(), true),
            ("???", "ü".as_bytes(), false),
            ("[a-c]x", b"bx", true),
            ("[!a-c]x", b"bx", false),
            ("[]]x", b"]x", true),
            ("[!]]x", b"]x", false),
            ("[a^]x", b"^x", true),
            (r"\*", b"*", true),
            (r"\*", b"a", false),
            ("a.c", b"abc", false),
            ("(a|b)", b"a", false),
            ("*\n*", b"two\nlines", true),
            ("*", b"two\nlines", true),
        ] {
            let matches = Pattern::wildcards(pattern.as_bytes()).expect(pattern).matches(name);
            assert_eq!(matches, expected, "{pattern:?} {name:?}");
        }
        let odd = Pattern::wildcards(b"a\xff*").expect("a pattern");
        assert!(odd.matches(b"a\xffb") && !odd.matches(b"ab"));
    }

    #[test]
    fn an_expression_holds_from_the_beginning_and_need_not_reach_the_end() {
        for (expression, name, expected) in [
            ("ho", &b"hosts"[..], true),
            ("sts", b"hosts", false),
            ("ho$", b"hosts", false),
            ("a|b", b"bc", true),
            (r".*\.c$", b"x.c", true),
            (r".*\.c$", b"x.cc", false),
            ("dir/", b"dir", true),
            ("[[:digit:]]+", b"12", true),
        ] {
            assert_eq!(Pattern::expression(expression.as_bytes()).expect(expression).matches(name), expected, "{expression:?}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_an_error_of_one_line() {
        for pattern in ["[a", "a\\", "[z-a]"] {
            assert!(Pattern::wildcards(pattern.as_bytes()).is_err(), "{pattern}");
        }
        for expression in ["(", "a)|(b", "*", "a{9999}{9999}{9999}", "\\"] {
            let error = Pattern::expression(expression.as_bytes()).expect_err(expression).to_string();
            assert!(!error.contains('\n') && error.contains("regular expression"), "{error}");
        }
        assert!(Pattern::expression(b"\xff").is_err());
    }
}
