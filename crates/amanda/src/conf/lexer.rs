//! The words of amanda.conf, with their places (`get_conftoken` in common-src/conffile.c).

use crate::quoting::unquote;

/// Amanda's longest word.
const LONGEST: usize = 4095;

/// What a word is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A keyword or a name: letters, digits, `_` and `-`, a letter first.
    Word(String),
    /// In quotation marks, unquoted.
    Str(Vec<u8>),
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Real(f64),
    Comma,
    OpenBrace,
    CloseBrace,
    /// The end of a line.
    Newline,
    /// The end of the file.
    End,
}

/// A place in a file: line and column, counted from 1. Columns are bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// A word and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spanned {
    pub token: Token,
    pub at: Place,
}

/// What is wrong with a word, and what to write instead.
#[derive(Debug)]
pub(super) struct Fault {
    pub at: Place,
    pub what: String,
    pub hint: &'static str,
}

/// What is wrong, and what to write instead.
type Wrong = (String, &'static str);

/// Splits a file into words.
pub(super) struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
    line_start: usize,
}

impl<'a> Lexer<'a> {
    pub fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, line: 1, line_start: 0 }
    }

    /// Splits a piece of a file that begins with this line.
    pub fn from_line(text: &'a [u8], line: usize) -> Self {
        Self { line, ..Self::new(text) }
    }

    fn place(&self) -> Place {
        Place { line: self.line, column: self.at - self.line_start + 1 }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn newline(&mut self) {
        self.line += 1;
        self.line_start = self.at;
    }

    /// Takes bytes while they are such.
    fn take_while(&mut self, such: impl Fn(u8) -> bool) -> &'a [u8] {
        let start = self.at;
        while self.peek().is_some_and(&such) {
            self.at += 1;
        }
        &self.text[start..self.at]
    }

    /// Takes the next word.
    pub fn next(&mut self) -> Result<Spanned, Fault> {
        self.take_while(|byte| byte != b'\n' && byte.is_ascii_whitespace() || byte == 0x0b);
        if self.peek() == Some(b'#') {
            self.take_while(|byte| byte != b'\n');
        }
        let at = self.place();
        let Some(byte) = self.peek() else { return Ok(Spanned { token: Token::End, at }) };
        let token = self.token(byte).map_err(|(what, hint)| Fault { at, what, hint })?;
        Ok(Spanned { token, at })
    }

    fn token(&mut self, byte: u8) -> Result<Token, Wrong> {
        let token = match byte {
            b'\n' => {
                self.at += 1;
                self.newline();
                Token::Newline
            }
            b'a'..=b'z' | b'A'..=b'Z' => {
                let word = self.take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
                if word.len() > LONGEST {
                    return Err(("this word is longer than 4095 bytes".to_owned(), "write a shorter name"));
                }
                Token::Word(String::from_utf8_lossy(word).into_owned())
            }
            b'0'..=b'9' => self.number(1)?,
            b'-' if self.text.get(self.at + 1).is_some_and(u8::is_ascii_digit) => {
                self.at += 1;
                self.number(-1)?
            }
            b'"' => Token::Str(self.string()?),
            b',' | b'{' | b'}' => {
                self.at += 1;
                match byte {
                    b',' => Token::Comma,
                    b'{' => Token::OpenBrace,
                    _ => Token::CloseBrace,
                }
            }
            // A character of several bytes is shown whole.
            _ => {
                let rest = &self.text[self.at..self.text.len().min(self.at + 4)];
                let shown = rest.utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next());
                let what = shown.map_or_else(|| format!("the byte {byte:#04x}"), |letter| format!("{letter:?}"));
                return Err((format!("{what} cannot stand here"), "write a text in quotation marks: \"…\""));
            }
        };
        Ok(token)
    }

    /// Takes a text that has no quotation marks, up to the next blank or the end of the line; `None` when the next word has some, or
    /// there is none.
    pub fn bare(&mut self) -> Option<(Place, Vec<u8>)> {
        self.take_while(|byte| byte != b'\n' && byte.is_ascii_whitespace());
        let at = self.place();
        self.peek().filter(|byte| !matches!(byte, b'"' | b'\n' | b'#'))?;
        let text = self.take_while(|byte| !byte.is_ascii_whitespace());
        (text.len() <= LONGEST).then(|| (at, text.to_vec()))
    }

    fn number(&mut self, sign: i64) -> Result<Token, Wrong> {
        let too_large = || ("this number is too large".to_owned(), "write a smaller number, or inf where there is no bound");
        let whole = self.take_while(|byte| byte.is_ascii_digit());
        let whole = String::from_utf8_lossy(whole);
        if self.peek() != Some(b'.') {
            return Ok(Token::Int(sign * whole.parse::<i64>().map_err(|_| too_large())?));
        }
        self.at += 1;
        let fraction = self.take_while(|byte| byte.is_ascii_digit());
        let number = format!("{}{whole}.{}0", if sign < 0 { "-" } else { "" }, String::from_utf8_lossy(fraction));
        number.parse().ok().filter(|number: &f64| number.is_finite()).map(Token::Real).ok_or_else(too_large)
    }

    /// A text goes to the next quotation mark; a backslash at the end of a line continues it on the next one.
    fn string(&mut self) -> Result<Vec<u8>, Wrong> {
        let unclosed = || ("this quotation mark is never closed".to_owned(), "end the text with a quotation mark in the same line");
        let mut quoted = vec![b'"'];
        self.at += 1;
        loop {
            let byte = self.peek().ok_or_else(unclosed)?;
            match byte {
                b'\n' => return Err(unclosed()),
                b'\\' => {
                    let escaped = *self.text.get(self.at + 1).ok_or_else(unclosed)?;
                    self.at += 2;
                    if escaped == b'\n' {
                        self.newline();
                    } else {
                        quoted.extend([b'\\', escaped]);
                    }
                }
                other => {
                    self.at += 1;
                    quoted.push(other);
                }
            }
            if quoted.len() > LONGEST {
                return Err(("this text is longer than 4095 bytes".to_owned(), "write a shorter text"));
            }
            if byte == b'"' {
                return unquote(&quoted).map_err(|error| (error.to_string(), "write \\\\ for a backslash and \\\" for a quotation mark"));
            }
        }
    }
}
