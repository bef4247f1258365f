//! Statements and definitions: from words to settings.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::keywords::{Kind, Table};
use super::lexer::{Lexer, Place, Spanned, Token};
use super::{ConfError, Config, LONGEST, Section, Setting, Settings, Source, meant, tables, validate};
use crate::escape::printable;

/// So deep files may include one another, and so many may be read.
const DEEPEST: usize = 16;
const MOST_FILES: usize = 256;

pub(super) fn load(directory: &Path, source: &dyn Source) -> Result<Config, ConfError> {
    let mut config = Config {
        directory: directory.to_owned(),
        settings: Settings::default(),
        sections: BTreeMap::new(),
        files: Vec::new(),
        older: Vec::new(),
    };
    Parser::new(&mut config, PathBuf::from("(built in)"), tables::PREDEFINED, 0, source).statements()?;
    include(&mut config, &directory.join("amanda.conf"), 0, source)?;
    Ok(config)
}

fn include(config: &mut Config, path: &Path, depth: usize, source: &dyn Source) -> Result<(), ConfError> {
    if depth > DEEPEST || config.files.len() >= MOST_FILES {
        return Err(of_file(path, "too many files include one another".to_owned(), "take out the includefile that leads back here"));
    }
    config.files.push(path.to_owned());
    let text = source.read(path).map_err(|cause| of_file(path, format!("cannot be read: {cause}"), UNREADABLE))?;
    if text.len() > LONGEST {
        return Err(of_file(path, "is longer than 1 MiB".to_owned(), TOO_LONG));
    }
    Parser::new(config, path.to_owned(), &text, depth, source).statements()
}

pub(super) const UNREADABLE: &str = "write the name of a file that is there and can be read, from / or from the config's directory";
pub(super) const TOO_LONG: &str = "divide it into several files, with includefile";

/// What is wrong with a file as a whole.
pub(super) fn of_file(path: &Path, what: String, hint: &str) -> ConfError {
    ConfError { file: path.to_owned(), at: None, what, hint: hint.to_owned() }
}

/// Where settings go: into the config or into a definition.
pub(super) struct Parser<'a> {
    pub config: &'a mut Config,
    source: &'a dyn Source,
    file: Arc<PathBuf>,
    lexer: Lexer<'a>,
    peeked: Option<Spanned>,
    depth: usize,
    anonymous: usize,
}

impl<'a> Parser<'a> {
    pub fn new(config: &'a mut Config, file: PathBuf, text: &'a [u8], depth: usize, source: &'a dyn Source) -> Self {
        Self { config, source, file: Arc::new(file), lexer: Lexer::new(text), peeked: None, depth, anonymous: 0 }
    }

    /// Parses a piece of a file that begins with this line.
    pub fn of_piece(config: &'a mut Config, file: PathBuf, text: &'a [u8], line: usize, source: &'a dyn Source) -> Self {
        Self { lexer: Lexer::from_line(text, line), ..Self::new(config, file, text, 0, source) }
    }

    pub fn error<T>(&self, at: Place, what: impl Into<String>, hint: impl Into<String>) -> Result<T, ConfError> {
        Err(ConfError { file: self.file.to_path_buf(), at: Some(at), what: what.into(), hint: hint.into() })
    }

    /// Something else stands where this has to.
    pub fn stands<T>(&self, word: &Spanned, what: &str, hint: impl Into<String>) -> Result<T, ConfError> {
        self.error(word.at, format!("{} stands where {what} has to", shown(&word.token)), hint)
    }

    /// Takes a text that has no quotation marks, where one stands next.
    pub fn bare(&mut self) -> Option<(Place, Vec<u8>)> {
        if self.peeked.is_some() { None } else { self.lexer.bare() }
    }

    /// Notes what only Amanda 2 understood.
    pub fn older(&mut self, at: Place, what: String, hint: &str) {
        self.config.older.push(ConfError { file: self.file.to_path_buf(), at: Some(at), what, hint: hint.to_owned() });
    }

    pub fn next(&mut self) -> Result<Spanned, ConfError> {
        if let Some(peeked) = self.peeked.take() {
            return Ok(peeked);
        }
        self.lexer.next().or_else(|fault| self.error(fault.at, fault.what, fault.hint))
    }

    pub fn peek(&mut self) -> Result<&Spanned, ConfError> {
        if self.peeked.is_none() {
            self.peeked = Some(self.next()?);
        }
        match &self.peeked {
            Some(peeked) => Ok(peeked),
            // Just put there.
            None => unreachable!("a word was looked at"),
        }
    }

    /// Says whether nothing more stands in this line.
    pub fn at_end_of_line(&mut self) -> Result<bool, ConfError> {
        Ok(matches!(self.peek()?.token, Token::Newline | Token::End))
    }

    fn end_of_line(&mut self) -> Result<(), ConfError> {
        let word = self.next()?;
        match word.token {
            Token::Newline | Token::End => Ok(()),
            _ => self.stands(
                &word,
                "the end of the line",
                "write what follows into a line of its own, or put one pair of quotation marks around it all",
            ),
        }
    }

    fn statements(&mut self) -> Result<(), ConfError> {
        loop {
            let word = self.next()?;
            match &word.token {
                Token::Newline => {}
                Token::End => return Ok(()),
                Token::Word(name) => self.statement(&folded(name), word.at)?,
                Token::CloseBrace => return self.stands(&word, "a keyword", "take it out: no { is open here"),
                _ => return self.stands(&word, "a keyword", "begin the line with a keyword of amanda.conf(5), or with # for a comment"),
            }
        }
    }

    fn statement(&mut self, word: &str, at: Place) -> Result<(), ConfError> {
        match word {
            "includefile" => {
                let path = self.text()?;
                self.end_of_line()?;
                use std::os::unix::ffi::OsStrExt as _;
                let path = self.config.directory.join(std::ffi::OsStr::from_bytes(&path));
                include(self.config, &path, self.depth + 1, self.source).map_err(|error| match error.at {
                    None => ConfError {
                        file: self.file.to_path_buf(),
                        at: Some(at),
                        what: format!("{} {}", error.file.display(), error.what),
                        hint: error.hint,
                    },
                    Some(_) => error,
                })
            }
            "define" => self.define(),
            _ => {
                let mut settings = std::mem::take(&mut self.config.settings);
                let set = self.setting(&mut settings, tables::GLOBAL, word, at);
                self.config.settings = settings;
                set
            }
        }
    }

    /// `define KIND NAME {`
    fn define(&mut self) -> Result<(), ConfError> {
        const WHAT: &str = "write `define dumptype NAME {`, or tapetype, holdingdisk, interface, storage, policy, changer … for dumptype";
        let word = self.next()?;
        let Token::Word(name) = &word.token else { return self.stands(&word, "what is defined", WHAT) };
        let name = folded(name);
        let Some((_, kind)) = Kind::NAMES.iter().find(|(other, _)| *other == name) else {
            let hint = meant(&name, Kind::NAMES.iter().map(|(name, _)| *name), WHAT);
            return self.error(word.at, format!("{name:?} is nothing that can be defined"), hint);
        };
        let at = self.peek()?.at;
        let name = self.name()?;
        self.block(*kind, name, at)?;
        self.end_of_line()
    }

    /// Reads `{`, settings and parents, `}`, and keeps the definition.
    pub fn block(&mut self, kind: Kind, name: String, at: Place) -> Result<(), ConfError> {
        if let Some(other) = self.config.section(kind, &name) {
            let what = format!("the {} {name:?} is defined already, in {}:{}", kind.name(), other.file.display(), other.at.line);
            return self.error(at, what, "give this one another name, or take one of the two out");
        }
        let open = self.next()?;
        if open.token != Token::OpenBrace {
            return self.stands(&open, "{", "end the line with {, and write the settings into the lines below it, and then }");
        }
        let newline = self.next()?;
        if newline.token != Token::Newline {
            return self.error(newline.at, "the line has to end behind {", "begin the next line here");
        }
        let (mut settings, mut parents) = (Settings::default(), Vec::new());
        loop {
            let word = self.next()?;
            match &word.token {
                Token::Newline => {}
                Token::CloseBrace => break,
                Token::End => {
                    return self.error(open.at, "this { is never closed", "write } into a line of its own where the definition ends");
                }
                Token::Word(name) if self.is_parent(kind, name) => self.parent(kind, &mut settings, &mut parents, name, word.at)?,
                Token::Word(name) => self.setting(&mut settings, kind.table(), &folded(name), word.at)?,
                Token::Str(name) => {
                    self.parent(kind, &mut settings, &mut parents, &String::from_utf8_lossy(name), word.at)?;
                }
                _ => {
                    return self.stands(
                        &word,
                        "a keyword",
                        format!("write a setting of a {}, the name of another one, or }}", kind.name()),
                    );
                }
            }
        }
        let key = (kind, name.to_ascii_lowercase());
        let defaults = if kind == Kind::Dumptype { self.config.settings.only(tables::INHERITED) } else { Settings::default() };
        self.config.sections.insert(key, Section { kind, name, settings, parents, defaults, file: self.file.clone(), at });
        Ok(())
    }

    /// Reads a definition without a name, at the place where its name could stand, and returns the name it got.
    pub fn anonymous(&mut self, kind: Kind) -> Result<String, ConfError> {
        self.anonymous += 1;
        let at = self.peek()?.at;
        let name = format!("custom({}:{}).{}", self.file.display(), at.line, self.anonymous);
        self.block(kind, name.clone(), at)?;
        Ok(name)
    }

    /// A keyword is a keyword, whatever else has its name.
    fn is_parent(&self, kind: Kind, word: &str) -> bool {
        !is_keyword(kind.table(), &folded(word)) && self.config.section(kind, word).is_some()
    }

    fn parent(&mut self, kind: Kind, settings: &mut Settings, parents: &mut Vec<String>, name: &str, at: Place) -> Result<(), ConfError> {
        let Some(parent) = self.config.section(kind, name) else {
            let otherwise = format!("define the {} in front of this line", kind.name());
            let hint = meant(name, self.config.sections(kind).map(|section| section.name.as_str()), &otherwise);
            return self.error(at, format!("there is no {} {:?} above", kind.name(), printable(name.as_bytes())), hint);
        };
        if !settings.inherit(&parent.settings) {
            return self.error(at, "a list has more than 4096 entries", "inherit from fewer definitions");
        }
        parents.push(parent.name.clone());
        self.end_of_line()
    }

    /// Reads a keyword's value to the end of its line. Of two the second counts, as for Amanda.
    fn setting(&mut self, settings: &mut Settings, table: Table, word: &str, at: Place) -> Result<(), ConfError> {
        let Some((name, shape)) = table.iter().find(|(name, _)| *name == word) else {
            let what = format!("{word:?} is no keyword that can stand here");
            return self.error(at, what, validate::instead_of(word, table, self.config));
        };
        let before = settings.get(name);
        let value = self.value(*shape, before.map(|setting| setting.value.clone()))?;
        if let Err((what, hint)) = validate::value(table, name, &value) {
            return self.error(at, what, hint);
        }
        self.end_of_line()?;
        settings.set(name, Setting { value, file: self.file.clone(), at });
        Ok(())
    }
}

fn is_keyword(table: Table, word: &str) -> bool {
    table.iter().any(|(name, _)| *name == word)
}

/// Keywords are the same in any case, and with `_` for `-`.
pub(super) fn folded(word: &str) -> String {
    word.to_ascii_lowercase().replace('_', "-")
}

/// A word as an error shows it.
pub(super) fn shown(token: &Token) -> String {
    match token {
        Token::Word(word) => format!("{word:?}"),
        Token::Str(text) => format!("the text \"{}\"", printable(text)),
        Token::Int(number) => number.to_string(),
        Token::Real(number) => number.to_string(),
        Token::Comma => "a comma".to_owned(),
        Token::OpenBrace => "{".to_owned(),
        Token::CloseBrace => "}".to_owned(),
        Token::Newline => "the end of the line".to_owned(),
        Token::End => "the end of the file".to_owned(),
    }
}
