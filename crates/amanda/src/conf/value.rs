//! Settings and their values.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;
use std::sync::Arc;

use super::lexer::Place;

/// So many entries a list may have.
pub(super) const LONGEST_LIST: usize = 4096;

/// A value. Words that Amanda knows are in small letters, with hyphens.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A text, or a name.
    Str(Vec<u8>),
    /// A whole number; with a unit it is multiplied out, and sizes are in KiB where Amanda's are.
    Int(i64),
    /// A number with a fraction.
    Real(f64),
    /// Yes or no.
    Bool(bool),
    /// One of Amanda's words.
    Word(String),
    /// Several words, numbers, texts, in their order.
    List(Vec<Value>),
    /// Patterns of what is excluded or included.
    Patterns(Patterns),
    /// Properties: a name, and its values.
    Properties(BTreeMap<Vec<u8>, Vec<Vec<u8>>>),
}

/// What `exclude` and `include` say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patterns {
    /// Patterns.
    pub file: Vec<OsString>,
    /// Files with patterns, on the client.
    pub list: Vec<OsString>,
    /// It is no error when such a file is missing.
    pub optional: bool,
}

/// A setting and where it stands; the last one counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// The value.
    pub value: Value,
    /// The file.
    pub file: Arc<PathBuf>,
    /// The place in it.
    pub at: Place,
}

/// Settings by keyword, in small letters with hyphens: `client-custom-compress`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    by_name: BTreeMap<&'static str, Arc<Setting>>,
}

impl Settings {
    /// Returns a setting; `None` when nothing was said.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Setting> {
        self.by_name.get(name).map(|setting| &**setting)
    }

    /// Returns all of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Setting)> {
        self.by_name.iter().map(|(name, setting)| (*name, &**setting))
    }

    fn value(&self, name: &str) -> Option<&Value> {
        self.get(name).map(|setting| &setting.value)
    }

    /// Returns a text or a name; `None` also for an empty one, which is Amanda's word for none.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&OsStr> {
        match self.value(name)? {
            Value::Str(text) if !text.is_empty() => Some(OsStr::from_bytes(text)),
            Value::Word(word) => Some(OsStr::new(word)),
            _ => None,
        }
    }

    /// Returns a whole number.
    #[must_use]
    pub fn int(&self, name: &str) -> Option<i64> {
        match self.value(name)? {
            Value::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// Returns yes or no.
    #[must_use]
    pub fn bool(&self, name: &str) -> Option<bool> {
        match self.value(name)? {
            Value::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// Returns one of Amanda's words.
    #[must_use]
    pub fn word(&self, name: &str) -> Option<&str> {
        match self.value(name)? {
            Value::Word(word) => Some(word),
            _ => None,
        }
    }

    /// Returns the texts and words of a list; empty when nothing was said.
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<OsString> {
        let Some(Value::List(values)) = self.value(name) else { return Vec::new() };
        let texts = values.iter().filter_map(|value| match value {
            Value::Str(text) => Some(OsString::from_vec(text.clone())),
            Value::Word(word) => Some(word.into()),
            _ => None,
        });
        texts.collect()
    }

    /// Returns patterns; empty when nothing was said.
    #[must_use]
    pub fn patterns(&self, name: &str) -> Patterns {
        match self.value(name) {
            Some(Value::Patterns(patterns)) => patterns.clone(),
            _ => Patterns::default(),
        }
    }

    /// Returns those of these names.
    pub(super) fn only(&self, names: &[&str]) -> Self {
        Self { by_name: self.by_name.iter().filter(|(name, _)| names.contains(name)).map(|(name, value)| (*name, value.clone())).collect() }
    }

    pub(super) fn set(&mut self, name: &'static str, setting: Setting) {
        self.by_name.insert(name, Arc::new(setting));
    }

    /// Takes over what a parent says: properties and lists are joined, everything else is replaced (`merge_val_t`). False
    /// when a list becomes too long.
    pub(super) fn inherit(&mut self, parent: &Self) -> bool {
        // Amanda does not note that comprate was said (`read_rate`), so nobody inherits it.
        for (name, theirs) in parent.by_name.iter().filter(|(name, _)| **name != "comprate") {
            let joined = match (self.by_name.get(name).map(|ours| &ours.value), &theirs.value) {
                (Some(Value::Properties(ours)), Value::Properties(theirs)) => {
                    let mut both = ours.clone();
                    both.extend(theirs.clone());
                    if both.len() > LONGEST_LIST {
                        return false;
                    }
                    Value::Properties(both)
                }
                (Some(Value::List(ours)), Value::List(theirs)) if matches!(*name, "script" | "tag") => {
                    if ours.len() + theirs.len() > LONGEST_LIST {
                        return false;
                    }
                    Value::List([&ours[..], theirs].concat())
                }
                _ => {
                    self.by_name.insert(name, theirs.clone());
                    continue;
                }
            };
            self.by_name.insert(name, Arc::new(Setting { value: joined, ..(**theirs).clone() }));
        }
        true
    }
}
