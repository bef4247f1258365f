//! A keyword's value, by its shape.

use super::keywords::{Shape, Unit};
use super::lexer::Token;
use super::parser::{Parser, folded};
use super::value::LONGEST_LIST;
use super::{ConfError, Value, meant, tables};
use crate::escape::printable;

/// What may stand behind a number.
const UNITS: &str = "write one of days, weeks, tapes, bytes, kb, mb, gb, tb (or kbps, mbps), or no unit";

impl Parser<'_> {
    pub(super) fn value(&mut self, shape: Shape, before: Option<Value>) -> Result<Value, ConfError> {
        Ok(match shape {
            Shape::Str => Value::Str(self.text()?),
            Shape::Address => Value::Str(self.address()?),
            Shape::Name => Value::Str(self.name()?.into_bytes()),
            Shape::Int(unit) => Value::Int(self.int(unit)?),
            Shape::Real => Value::Real(self.real()?),
            Shape::Reals => Value::List(self.pair(|parser| parser.real().map(Value::Real))?),
            Shape::Ints => Value::List(self.pair(|parser| parser.plain_int().map(Value::Int))?),
            Shape::IntOrStr => match self.peek()?.token {
                Token::Int(_) => Value::Str(self.plain_int()?.to_string().into_bytes()),
                _ => Value::Str(self.text()?),
            },
            Shape::Bool => Value::Bool(self.bool("yes or no")?),
            Shape::BoolOrAll => match self.take_word(&["all"])? {
                Some(all) => Value::Word(all),
                None => Value::Bool(self.bool("yes, no or all")?),
            },
            Shape::Holding => match self.take_word(&["never", "auto", "required"])? {
                Some(word) => Value::Word(word),
                None if self.bool("never, auto or required")? => Value::Word("auto".to_owned()),
                None => Value::Word("never".to_owned()),
            },
            Shape::OneOf(words) => Value::Word(self.word(words)?),
            Shape::Compress => self.compress()?,
            Shape::Estimate => Value::List(self.words(&["client", "server", "calcsize"])?),
            Shape::Time => Value::Int(self.plain_int()?),
            Shape::Patterns => self.patterns(before)?,
            Shape::Property => self.property(before)?,
            Shape::ExecuteOn => Value::List(self.events()?),
            Shape::Autolabel => self.autolabel()?,
            Shape::Labelstr => match self.take_word(&["match-autolabel"])? {
                Some(word) => Value::Word(word),
                None => Value::Str(self.text()?),
            },
            Shape::HostLimit => Value::List(self.texts_and_words(&["same-host", "server"])?),
            Shape::Names => self.names()?,
            Shape::Strs => self.strs(before)?,
            Shape::Selection => self.selection(before)?,
            Shape::Vaults => self.vaults()?,
            Shape::Holdingdisks => self.holdingdisks(before)?,
            Shape::Block(kind) => Value::Str(self.reference(kind)?.into_bytes()),
            Shape::Blocks(kind) => self.references(kind, before)?,
        })
    }

    /// Takes a text in quotation marks.
    pub(super) fn text(&mut self) -> Result<Vec<u8>, ConfError> {
        let word = self.next()?;
        match &word.token {
            Token::Str(text) => Ok(text.clone()),
            Token::Word(text) => {
                let what = format!("{text:?} stands where a text in quotation marks has to");
                self.error(word.at, what, format!("write it in quotation marks: \"{text}\""))
            }
            _ => self.stands(&word, "a text in quotation marks", "write a text in quotation marks: \"…\""),
        }
    }

    /// Takes a text, also one without quotation marks: Amanda 2 read an address so, and sites have kept it.
    fn address(&mut self) -> Result<Vec<u8>, ConfError> {
        let Some((at, text)) = self.bare() else { return self.text() };
        let shown = printable(&text);
        if !text.contains(&b'@') || text.contains(&b'"') {
            let what = format!("{shown:?} stands where a text in quotation marks has to");
            return self.error(at, what, format!("write it in quotation marks: \"{}\"", shown.replace('"', "")));
        }
        self.older(at, format!("{shown} has no quotation marks"), "write it in quotation marks: Amanda 3 refuses it without");
        Ok(text)
    }

    /// Takes a name, quoted or not. Amanda's names are text.
    pub(super) fn name(&mut self) -> Result<String, ConfError> {
        let word = self.next()?;
        match &word.token {
            Token::Word(name) => Ok(name.clone()),
            Token::Str(text) => match String::from_utf8(text.clone()) {
                Ok(name) if !name.contains([' ', '"']) => Ok(name),
                _ => self.error(
                    word.at,
                    "a name has no blanks and no quotation marks in it, and is UTF-8",
                    "write a name of letters, digits, - and _",
                ),
            },
            _ => self.stands(&word, "a name", "write a name of letters, digits, - and _; a letter first"),
        }
    }

    fn plain_int(&mut self) -> Result<i64, ConfError> {
        let word = self.next()?;
        match word.token {
            Token::Int(number) => Ok(number),
            _ => self.stands(&word, "a whole number", "write a whole number, such as 7"),
        }
    }

    pub(super) fn int(&mut self, unit: Unit) -> Result<i64, ConfError> {
        let at = self.peek()?.at;
        if self.take_word(&["inf"])?.is_some() {
            return Ok(i64::MAX);
        }
        let number = self.plain_int()?;
        let Token::Word(word) = &self.peek()?.token else { return Ok(number) };
        let name = word.to_ascii_lowercase();
        let here = self.next()?.at;
        let Some((words, factor)) = tables::UNITS.iter().find(|(words, _)| words.contains(&name.as_str())) else {
            let hint = meant(&name, tables::UNITS.iter().flat_map(|(words, _)| words.iter().copied()), UNITS);
            return self.error(here, format!("{name:?} is no unit"), hint);
        };
        let scaled = match unit {
            // Amanda takes a day or a tape for a byte here, too.
            Unit::Kib if *factor == 1 => Some(number / 1024),
            Unit::Kib if *factor >= 1024 => number.checked_mul(factor / 1024),
            _ if words.contains(&"week") => number.checked_mul(7),
            _ => number.checked_mul(*factor),
        };
        scaled.map_or_else(|| self.error(at, "this number is too large", "write a smaller number, or inf where there is no bound"), Ok)
    }

    fn real(&mut self) -> Result<f64, ConfError> {
        let word = self.next()?;
        match word.token {
            Token::Real(number) => Ok(number),
            #[expect(clippy::cast_precision_loss, reason = "as Amanda does")]
            Token::Int(number) => Ok(number as f64),
            _ => self.stands(&word, "a number", "write a number, such as 1.5"),
        }
    }

    /// One or two values, with or without a comma between them.
    fn pair(&mut self, mut one: impl FnMut(&mut Self) -> Result<Value, ConfError>) -> Result<Vec<Value>, ConfError> {
        let first = one(self)?;
        if self.at_end_of_line()? {
            return Ok(vec![first.clone(), first]);
        }
        if self.peek()?.token == Token::Comma {
            self.next()?;
        }
        Ok(vec![first, one(self)?])
    }

    /// Takes the next word when it is one of these.
    pub(super) fn take_word(&mut self, words: &[&str]) -> Result<Option<String>, ConfError> {
        let Token::Word(word) = &self.peek()?.token else { return Ok(None) };
        let word = folded(word);
        if words.contains(&word.as_str()) {
            self.next()?;
            return Ok(Some(word));
        }
        Ok(None)
    }

    pub(super) fn word(&mut self, words: &[&str]) -> Result<String, ConfError> {
        if let Some(word) = self.take_word(words)? {
            return Ok(word);
        }
        let other = self.next()?;
        let hint = match &other.token {
            Token::Word(word) => meant(&folded(word), words.iter().copied(), &format!("write {}", words.join(", or "))),
            _ => format!("write {}, without quotation marks", words.join(", or ")),
        };
        self.stands(&other, &format!("one of {}", words.join(", ")), hint)
    }

    /// One or more of these words, to the end of the line.
    fn words(&mut self, words: &[&str]) -> Result<Vec<Value>, ConfError> {
        let mut found = vec![Value::Word(self.word(words)?)];
        while !self.at_end_of_line()? {
            found.push(Value::Word(self.word(words)?));
            self.check_length(found.len())?;
        }
        Ok(found)
    }

    fn texts_and_words(&mut self, words: &[&str]) -> Result<Vec<Value>, ConfError> {
        let mut found = Vec::new();
        while !self.at_end_of_line()? {
            found.push(match self.peek()?.token {
                Token::Str(_) => Value::Str(self.text()?),
                _ => Value::Word(self.word(words)?),
            });
            self.check_length(found.len())?;
        }
        Ok(found)
    }

    pub(super) fn check_length(&mut self, length: usize) -> Result<(), ConfError> {
        if length <= LONGEST_LIST {
            return Ok(());
        }
        let at = self.peek()?.at;
        self.error(at, "a list has more than 4096 entries", "write a shorter list")
    }

    fn bool(&mut self, expected: &str) -> Result<bool, ConfError> {
        if self.at_end_of_line()? {
            return Ok(true);
        }
        let word = self.next()?;
        let name = match &word.token {
            Token::Int(number) => return Ok(*number != 0),
            Token::Word(name) => name.to_ascii_lowercase(),
            _ => String::new(),
        };
        match name.as_str() {
            "y" | "yes" | "t" | "true" | "on" => Ok(true),
            "n" | "no" | "f" | "false" | "off" => Ok(false),
            _ => self.stands(&word, expected, format!("write {expected}, without quotation marks")),
        }
    }

    /// The side and the kind in any order; the client and fast when they are not said.
    fn compress(&mut self) -> Result<Value, ConfError> {
        let at = self.peek()?.at;
        let (mut sides, mut kinds) = (Vec::new(), Vec::new());
        while !self.at_end_of_line()? {
            let word = self.word(&["none", "fast", "best", "custom", "client", "server"])?;
            let list = if matches!(word.as_str(), "client" | "server") { &mut sides } else { &mut kinds };
            if !list.contains(&word) {
                list.push(word);
            }
        }
        let (side, kind) = match (sides.as_slice(), kinds.as_slice()) {
            ([] | [_], [] | [_]) => (sides.first().map_or("client", String::as_str), kinds.first().map_or("fast", String::as_str)),
            _ => {
                let what = "compress is none, or client or server with one of fast, best, custom";
                return self.error(at, what, "write for example: compress client fast");
            }
        };
        Ok(Value::Word(if kind == "none" { kind.to_owned() } else { format!("{side}-{kind}") }))
    }
}
