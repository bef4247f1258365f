//! The list of a config's volumes (server-src/tapefile.c and perl/Amanda/Tapelist.swg).
//!
//! ```text
//! 20261123190624 daily-001 reuse BLOCKSIZE:32 POOL:daily STORAGE:daily CONFIG:daily #comment
//! 0 daily-002 reuse
//! ```
//!
//! The youngest volume stands on top; `0` is one that was labelled and never written. Amanda stops dead at a line that it
//! does not understand, so we refuse to print one.
//!
//! Amanda holds a fcntl lock on `tapelist.lock` while it changes the list, writes a new file, renames it over the old
//! one, and leaves its process id in the symlink `tapelist.last_write`. A process of Amanda's that wrote the list itself
//! does not read it again while that link names it.

use crate::escape::printable;

/// What the name of the lock file has behind the list's.
pub const LOCK_SUFFIX: &str = ".lock";

/// The longest list that is read, in bytes.
pub const LONGEST: usize = 16 * 1024 * 1024;

/// A line that Amanda would stop at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TapelistError {
    /// A line of the file.
    #[error("line {line} of the tapelist: {what}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// The file is longer than any that Amanda wrote.
    #[error("the tapelist is longer than 16 MiB")]
    TooLong,
    /// A volume that cannot be printed as a line.
    #[error("the volume {label:?} cannot stand in a tapelist: its {field} is empty or has a blank in it")]
    Unprintable {
        /// Its label, made printable.
        label: String,
        /// The field.
        field: &'static str,
    },
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tape {
    /// When it was written last; `0` when never.
    pub datestamp: String,
    /// Its label.
    pub label: String,
    /// It may be overwritten.
    pub reuse: bool,
    /// What a changer reads off it.
    pub barcode: Option<String>,
    /// The label of the place it is in.
    pub meta: Option<String>,
    /// The length of its blocks in KiB.
    pub block_kb: Option<u64>,
    /// The pool.
    pub pool: Option<String>,
    /// The storage it belongs to.
    pub storage: Option<String>,
    /// The config that wrote it.
    pub config: Option<String>,
    /// What somebody noted.
    pub comment: Option<String>,
}

impl Tape {
    /// Returns a volume that may be overwritten, of a config whose storage and pool have its name, as Amanda writes
    /// one of 32 KiB blocks.
    #[must_use]
    pub fn new(datestamp: impl Into<String>, label: impl Into<String>, config: &str) -> Self {
        Self {
            datestamp: datestamp.into(),
            label: label.into(),
            reuse: true,
            barcode: None,
            meta: None,
            block_kb: Some(32),
            pool: Some(config.to_owned()),
            storage: Some(config.to_owned()),
            config: Some(config.to_owned()),
            comment: None,
        }
    }

    fn parse(line: &str) -> Result<Self, String> {
        let mut rest = line;
        let datestamp = take_word(&mut rest).ok_or("it is empty")?.to_owned();
        let label = take_word(&mut rest).ok_or("it has no label")?.to_owned();
        if !datestamp.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(format!("{:?} is no datestamp", printable(datestamp.as_bytes())));
        }
        // Amanda compares beginnings only; a line without either word may be reused.
        let mut reuse = true;
        for (word, value) in [("reuse", true), ("no-reuse", false)] {
            if rest.starts_with(word) {
                take_word(&mut rest);
                reuse = value;
            }
        }
        let mut field = |name: &str| {
            let value = rest.strip_prefix(name)?;
            rest = value;
            // Amanda writes none that is empty.
            if value.starts_with([' ', '\t']) {
                rest = value.trim_start_matches([' ', '\t']);
                return Some(String::new());
            }
            Some(take_word(&mut rest).unwrap_or_default().to_owned())
        };
        let barcode = field("BARCODE:");
        let meta = field("META:");
        let block_kb = field("BLOCKSIZE:");
        let pool = field("POOL:");
        let storage = field("STORAGE:");
        let config = field("CONFIG:");
        let block_kb = block_kb.map(|kb| kb.parse().map_err(|_| "its BLOCKSIZE is no number")).transpose()?;
        let comment = rest.strip_prefix('#').map(str::to_owned);
        if comment.is_none() && !rest.is_empty() {
            return Err(format!("{:?} is nothing that Amanda knows at this place", printable(rest.as_bytes())));
        }
        Ok(Self { datestamp, label, reuse, barcode, meta, block_kb, pool, storage, config, comment })
    }

    fn print(&self, text: &mut Vec<u8>) -> Result<(), TapelistError> {
        let block_kb = self.block_kb.map(|kb| kb.to_string());
        let mut line = String::new();
        for (name, value) in [
            ("datestamp", Some(&self.datestamp)),
            ("label", Some(&self.label)),
            (if self.reuse { "reuse" } else { "no-reuse" }, None),
            ("BARCODE:", self.barcode.as_ref()),
            ("META:", self.meta.as_ref()),
            ("BLOCKSIZE:", block_kb.as_ref()),
            ("POOL:", self.pool.as_ref()),
            ("STORAGE:", self.storage.as_ref()),
            ("CONFIG:", self.config.as_ref()),
        ] {
            let Some(value) = value else {
                if !name.ends_with(':') {
                    line.extend([" ", name]);
                }
                continue;
            };
            let is_date = name != "datestamp" || value.bytes().all(|digit| digit.is_ascii_digit());
            if value.is_empty() || value.contains(|letter: char| letter.is_ascii_whitespace() || letter.is_ascii_control()) || !is_date {
                return Err(TapelistError::Unprintable { label: printable(self.label.as_bytes()), field: name.trim_end_matches(':') });
            }
            match name {
                "datestamp" => line.push_str(value),
                "label" => line.extend([" ", value]),
                _ => line.extend([" ", name, value]),
            }
        }
        if let Some(comment) = &self.comment {
            if comment.contains(['\n', '\r', '\0']) {
                return Err(TapelistError::Unprintable { label: printable(self.label.as_bytes()), field: "comment" });
            }
            line.extend([" #", comment]);
        }
        text.extend(line.into_bytes());
        text.push(b'\n');
        Ok(())
    }
}

/// Takes a word and the blanks behind it.
fn take_word<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let text = rest.trim_start_matches([' ', '\t']);
    let end = text.find([' ', '\t']).unwrap_or(text.len());
    let (word, after) = text.split_at(end);
    *rest = after.trim_start_matches([' ', '\t']);
    Some(word).filter(|word| !word.is_empty())
}

/// The volumes of a config, youngest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tapelist {
    tapes: Vec<Tape>,
}

impl Tapelist {
    /// Parses the file.
    ///
    /// # Errors
    /// At the first line that Amanda would stop at.
    pub fn parse(file: &[u8]) -> Result<Self, TapelistError> {
        if file.len() > LONGEST {
            return Err(TapelistError::TooLong);
        }
        let mut list = Self::default();
        for (at, line) in file.split(|&byte| byte == b'\n').enumerate() {
            let error = |what: String| TapelistError::Line { line: at + 1, what };
            let line = std::str::from_utf8(line).map_err(|_| error("it is no UTF-8".to_owned()))?;
            if line.trim_matches([' ', '\t']).is_empty() {
                continue;
            }
            list.insert(Tape::parse(line).map_err(error)?);
        }
        Ok(list)
    }

    /// Prints the file.
    ///
    /// # Errors
    /// When a volume has a word in it that Amanda would read as two.
    pub fn print(&self) -> Result<Vec<u8>, TapelistError> {
        let mut text = Vec::new();
        self.tapes.iter().try_for_each(|tape| tape.print(&mut text))?;
        Ok(text)
    }

    /// Returns the volumes, youngest first.
    #[must_use]
    pub fn tapes(&self) -> &[Tape] {
        &self.tapes
    }

    /// Returns the volume with this label.
    #[must_use]
    pub fn get(&self, label: &str) -> Option<&Tape> {
        self.tapes.iter().find(|tape| tape.label == label)
    }

    /// Puts a volume in, in the place of the one with its label.
    pub fn put(&mut self, tape: Tape) {
        self.remove(&tape.label);
        self.insert(tape);
    }

    /// Takes a volume off the list.
    pub fn remove(&mut self, label: &str) -> Option<Tape> {
        let at = self.tapes.iter().position(|tape| tape.label == label)?;
        Some(self.tapes.remove(at))
    }

    /// Amanda's order: by datestamp, as text, the greatest first, and what was read first before its equals.
    fn insert(&mut self, tape: Tape) {
        let place = self.tapes.iter().rposition(|other| other.datestamp >= tape.datestamp).map_or(0, |at| at + 1);
        self.tapes.insert(place, tape);
    }
}

#[cfg(test)]
mod tests;
