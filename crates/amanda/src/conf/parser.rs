//! Statements and definitions: from words to settings.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::keywords::{Kind, Table};
use super::lexer::{Lexer, Place, Spanned, Token};
use super::{ConfError, Config, LONGEST, Section, Setting, Settings, Source, nearest, tables};
use crate::escape::printable;

/// So deep files may include one another, and so many may be read.
const DEEPEST: usize = 16;
const MOST_FILES: usize = 256;

pub(super) fn load(directory: &Path, source: &dyn Source) -> Result<Config, ConfError> {
    let mut config =
        Config { directory: directory.to_owned(), settings: Settings::default(), sections: BTreeMap::new(), files: Vec::new() };
    Parser::new(&mut config, PathBuf::from("(built in)"), tables::PREDEFINED, 0, source).statements()?;
    include(&mut config, &directory.join("amanda.conf"), 0, source)?;
    Ok(config)
}

fn include(config: &mut Config, path: &Path, depth: usize, source: &dyn Source) -> Result<(), ConfError> {
    let error = |what: String| ConfError { file: path.to_owned(), at: None, what, hint: None };
    if depth > DEEPEST || config.files.len() >= MOST_FILES {
        return Err(error("too many files include one another".to_owned()));
    }
    config.files.push(path.to_owned());
    let text = source.read(path).map_err(|cause| error(format!("cannot be read: {cause}")))?;
    if text.len() > LONGEST {
        return Err(error("is longer than 1 MiB".to_owned()));
    }
    Parser::new(config, path.to_owned(), &text, depth, source).statements()
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

    pub fn error<T>(&self, at: Place, what: impl Into<String>) -> Result<T, ConfError> {
        self.error_with(at, what, None)
    }

    fn error_with<T>(&self, at: Place, what: impl Into<String>, hint: Option<String>) -> Result<T, ConfError> {
        Err(ConfError { file: self.file.to_path_buf(), at: Some(at), what: what.into(), hint })
    }

    pub fn next(&mut self) -> Result<Spanned, ConfError> {
        if let Some(peeked) = self.peeked.take() {
            return Ok(peeked);
        }
        self.lexer.next().or_else(|(at, what)| self.error(at, what))
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
            _ => self.error(word.at, format!("{} stands where the line has to end", shown(&word.token))),
        }
    }

    fn statements(&mut self) -> Result<(), ConfError> {
        loop {
            let Spanned { token, at } = self.next()?;
            match token {
                Token::Newline => {}
                Token::End => return Ok(()),
                Token::Word(word) => self.statement(&folded(&word), at)?,
                other => return self.error(at, format!("{} stands where a keyword has to", shown(&other))),
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
                        hint: None,
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
        let Spanned { token, at } = self.next()?;
        let Token::Word(word) = token else { return self.error(at, "what is defined has to stand here") };
        let word = folded(&word);
        let Some((_, kind)) = Kind::NAMES.iter().find(|(name, _)| *name == word) else {
            let hint = nearest(&word, Kind::NAMES.iter().map(|(name, _)| *name));
            return self.error_with(at, format!("{word:?} is nothing that can be defined"), hint);
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
            return self.error(at, what);
        }
        let open = self.next()?;
        if open.token != Token::OpenBrace {
            return self.error(open.at, format!("{} stands where {{ has to", shown(&open.token)));
        }
        let newline = self.next()?;
        if newline.token != Token::Newline {
            return self.error(newline.at, "the line has to end behind {");
        }
        let mut settings = Settings::default();
        loop {
            let Spanned { token, at } = self.next()?;
            match token {
                Token::Newline => {}
                Token::CloseBrace => break,
                Token::End => return self.error(open.at, "this { is never closed"),
                Token::Word(word) if self.is_parent(kind, &word) => self.parent(kind, &mut settings, &word, at)?,
                Token::Word(word) => self.setting(&mut settings, kind.table(), &folded(&word), at)?,
                Token::Str(name) => self.parent(kind, &mut settings, &String::from_utf8_lossy(&name), at)?,
                other => return self.error(at, format!("{} stands where a keyword has to", shown(&other))),
            }
        }
        let key = (kind, name.to_ascii_lowercase());
        let defaults = if kind == Kind::Dumptype { self.config.settings.only(tables::INHERITED) } else { Settings::default() };
        self.config.sections.insert(key, Section { kind, name, settings, defaults, file: self.file.clone(), at });
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

    fn parent(&mut self, kind: Kind, settings: &mut Settings, name: &str, at: Place) -> Result<(), ConfError> {
        let Some(parent) = self.config.section(kind, name) else {
            let hint = nearest(name, self.config.sections(kind).map(|section| section.name.as_str()));
            return self.error_with(at, format!("there is no {} {:?} above", kind.name(), printable(name.as_bytes())), hint);
        };
        if !settings.inherit(&parent.settings) {
            return self.error(at, "a list has more than 4096 entries");
        }
        self.end_of_line()
    }

    /// Reads a keyword's value to the end of its line. Of two the second counts, as for Amanda.
    fn setting(&mut self, settings: &mut Settings, table: Table, word: &str, at: Place) -> Result<(), ConfError> {
        let Some((name, shape)) = table.iter().find(|(name, _)| *name == word) else {
            let hint = nearest(word, table.iter().map(|(name, _)| *name));
            return self.error_with(at, format!("{word:?} is no keyword that can stand here"), hint);
        };
        let before = settings.get(name);
        let value = self.value(*shape, before.map(|setting| setting.value.clone()))?;
        if let super::Value::Int(number) = value {
            let least = if tables::POSITIVE.contains(name) { 1 } else { 0 };
            if number < least && (least == 1 || tables::NOT_NEGATIVE.contains(name)) {
                return self.error(at, format!("{name:?} has to be at least {least}"));
            }
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
