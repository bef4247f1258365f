//! Values that are lists, and those that name or are definitions.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use super::keywords::{Kind, Unit};
use super::lexer::Token;
use super::parser::{Parser, folded};
use super::{ConfError, Patterns, Value, meant};

impl Parser<'_> {
    pub(super) fn patterns(&mut self, before: Option<Value>) -> Result<Value, ConfError> {
        let mut patterns = match before {
            Some(Value::Patterns(patterns)) => patterns,
            _ => Patterns::default(),
        };
        let is_list = self.take_word(&["list", "file"])?.is_some_and(|word| word == "list");
        patterns.optional = self.take_word(&["optional"])?.is_some();
        let appends = self.take_word(&["append"])?.is_some();
        let list = if is_list { &mut patterns.list } else { &mut patterns.file };
        if !appends {
            list.clear();
        }
        let mut length = list.len();
        let mut got_one = false;
        while matches!(self.peek()?.token, Token::Str(_)) {
            let text = self.text()?;
            list.push(OsString::from_vec(text));
            got_one = true;
            length += 1;
            self.check_length(length)?;
        }
        if !got_one {
            list.clear();
        }
        Ok(Value::Patterns(patterns))
    }

    pub(super) fn property(&mut self, before: Option<Value>) -> Result<Value, ConfError> {
        let mut properties = match before {
            Some(Value::Properties(properties)) => properties,
            _ => BTreeMap::new(),
        };
        self.take_word(&["priority"])?;
        let appends = self.take_word(&["append"])?.is_some();
        self.take_word(&["hidden", "visible"])?;
        // The same name in any case, and with `_` for `-`.
        let name: Vec<_> = self.text()?.iter().map(|byte| if *byte == b'_' { b'-' } else { byte.to_ascii_lowercase() }).collect();
        if self.at_end_of_line()? {
            properties.remove(&name);
            return Ok(Value::Properties(properties));
        }
        let mut values = if appends { properties.remove(&name).unwrap_or_default() } else { Vec::new() };
        values.push(self.text()?);
        while matches!(self.peek()?.token, Token::Str(_)) {
            values.push(self.text()?);
            self.check_length(values.len())?;
        }
        properties.insert(name, values);
        self.check_length(properties.len())?;
        Ok(Value::Properties(properties))
    }

    pub(super) fn events(&mut self) -> Result<Vec<Value>, ConfError> {
        let mut found = Vec::new();
        loop {
            let word = self.next()?;
            let name = if let Token::Word(name) = &word.token { folded(name) } else { String::new() };
            let known = match name.split_once('-') {
                Some(("pre" | "post", what)) => {
                    let what = what.strip_prefix("dle-").or_else(|| what.strip_prefix("host-")).unwrap_or(what);
                    matches!(what, "amcheck" | "estimate" | "backup" | "recover" | "level-recover")
                }
                Some(("inter", what)) => what == "level-recover",
                _ => false,
            };
            if !known {
                let hint = "write pre- or post-, dle- or host-, and one of amcheck, estimate, backup, recover: pre-dle-backup";
                return self.stands(&word, "an event such as pre-dle-backup", hint);
            }
            found.push(Value::Word(name));
            self.check_length(found.len())?;
            if self.peek()?.token != Token::Comma {
                return Ok(found);
            }
            self.next()?;
        }
    }

    pub(super) fn autolabel(&mut self) -> Result<Value, ConfError> {
        let mut found = Vec::new();
        if let Token::Str(_) = self.peek()?.token {
            found.push(Value::Str(self.text()?));
        }
        while !self.at_end_of_line()? {
            found.push(Value::Word(self.word(&["any", "other-config", "non-amanda", "volume-error", "empty"])?));
            self.check_length(found.len())?;
        }
        Ok(Value::List(found))
    }

    pub(super) fn names(&mut self) -> Result<Value, ConfError> {
        let mut found = Vec::new();
        while !self.at_end_of_line()? {
            found.push(Value::Str(self.name()?.into_bytes()));
            self.check_length(found.len())?;
        }
        found.retain(|name| *name != Value::Str(Vec::new()));
        Ok(Value::List(found))
    }

    pub(super) fn strs(&mut self, before: Option<Value>) -> Result<Value, ConfError> {
        let mut found = match (self.take_word(&["append"])?, before) {
            (Some(_), Some(Value::List(found))) => found,
            _ => Vec::new(),
        };
        while !self.at_end_of_line()? {
            found.push(Value::Str(self.text()?));
            self.check_length(found.len())?;
        }
        Ok(Value::List(found))
    }

    pub(super) fn selection(&mut self, before: Option<Value>) -> Result<Value, ConfError> {
        let mut found = list(before);
        if self.at_end_of_line()? {
            return Ok(Value::List(Vec::new()));
        }
        let which = match self.peek()?.token {
            Token::Str(_) => Value::Str(self.text()?),
            _ => Value::Word(self.word(&["all", "other"])?),
        };
        let levels = Value::Word(self.word(&["all", "full", "incr"])?);
        found.retain(|other| !matches!(other, Value::List(pair) if pair.first() == Some(&which)));
        found.push(Value::List(vec![which, levels]));
        self.check_length(found.len())?;
        Ok(Value::List(found))
    }

    pub(super) fn vaults(&mut self) -> Result<Value, ConfError> {
        let mut found = Vec::new();
        while !self.at_end_of_line()? {
            let name = Value::Str(self.name()?.into_bytes());
            found.push(Value::List(vec![name, Value::Int(self.int(Unit::One)?)]));
            self.check_length(found.len())?;
        }
        Ok(Value::List(found))
    }

    /// `holdingdisk NAME {` defines one and uses it; `holdingdisk NAME …` uses those that are defined.
    pub(super) fn holdingdisks(&mut self, before: Option<Value>) -> Result<Value, ConfError> {
        let mut used = list(before);
        loop {
            let at = self.peek()?.at;
            let name = self.name()?;
            if self.peek()?.token == Token::OpenBrace {
                self.block(Kind::Holdingdisk, name.clone(), at)?;
            }
            let name = Value::Str(name.into_bytes());
            if used.contains(&name) {
                return self.error(at, "this holding disk is in use already", "name it once");
            }
            used.push(name);
            self.check_length(used.len())?;
            if self.at_end_of_line()? {
                return Ok(Value::List(used));
            }
        }
    }

    /// The name of a definition above, or the definition itself.
    pub(super) fn reference(&mut self, kind: Kind) -> Result<String, ConfError> {
        if self.peek()?.token == Token::OpenBrace {
            return self.anonymous(kind);
        }
        let at = self.peek()?.at;
        let name = self.name()?;
        if name.is_empty() {
            return Ok(name);
        }
        match self.config.section(kind, &name) {
            Some(section) => Ok(section.name.clone()),
            None => {
                let otherwise = format!("define the {} in front of this line", kind.name());
                let hint = meant(&name, self.config.sections(kind).map(|section| section.name.as_str()), &otherwise);
                self.error(at, format!("there is no {} {name:?} above", kind.name()), hint)
            }
        }
    }

    pub(super) fn references(&mut self, kind: Kind, before: Option<Value>) -> Result<Value, ConfError> {
        let mut found = list(before);
        loop {
            let name = self.reference(kind)?;
            if name.is_empty() {
                found.clear();
            } else {
                found.push(Value::Str(name.into_bytes()));
            }
            self.check_length(found.len())?;
            if self.at_end_of_line()? {
                return Ok(Value::List(found));
            }
        }
    }
}

fn list(before: Option<Value>) -> Vec<Value> {
    match before {
        Some(Value::List(values)) => values,
        _ => Vec::new(),
    }
}
