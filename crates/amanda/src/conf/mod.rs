//! amanda.conf and the disklist (common-src/conffile.c, server-src/diskfile.c).
//!
//! The parser knows every keyword of 3.5.1 and the shape of its value, with inheritance, units and `includefile`, and refuses what
//! Amanda refuses; what is wrong is told with file, line and column. What a setting *means* is interpreted for those that an Amanda
//! server goes by ([`Config`], [`Dumptype`]); the others are there by their names ([`Settings`]).
//!
//! - `lexer`: words with their places
//! - [`keywords`], `tables`: what may stand where
//! - `parser`, `values`, `lists`: from words to settings, which are [`value`]s
//! - `validate`: which values a setting can have, and what of a config has to fit together
//! - [`disklist`]: the disks
//! - `whole`, [`holding`], [`labels`], [`reports`]: what is interpreted of the config as a whole
//! - `typed`: of a dumptype
//! - [`rules`]: of both, what planner, driver and taper go by
//! - [`vault`]: a vault's own amanda.conf and disklist, printed

pub mod disklist;
pub mod holding;
pub mod keywords;
pub mod labels;
mod lexer;
mod lists;
mod parser;
pub mod reports;
pub mod rules;
mod tables;
#[cfg(test)]
mod tests;
mod typed;
mod validate;
pub mod value;
mod values;
pub mod vault;
mod whole;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use self::keywords::Kind;
pub use self::lexer::Place;
pub use self::typed::{Compress, Dumptype, Effort, Encrypt, Estimate, HoldingUse, Strategy};
pub use self::value::{Patterns, Setting, Settings, Value};

/// The longest file that is read, in bytes.
pub const LONGEST: usize = 1024 * 1024;

/// Where files come from: a parser opens none itself.
pub trait Source {
    /// Returns a file; not more of it than [`LONGEST`] bytes and one.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
}

/// A place in amanda.conf or in the disklist, what is wrong there, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfError {
    /// The file.
    pub file: PathBuf,
    /// The place in it; `None` for the file as a whole.
    pub at: Option<Place>,
    /// What is wrong.
    pub what: String,
    /// What to write instead, as far as it can be told: a sentence.
    pub hint: String,
}

/// The place and what is wrong there; the hint stands for itself.
impl fmt::Display for ConfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(Place { line, column }) = self.at {
            write!(f, "{line}:{column}:")?;
        }
        write!(f, " {}", self.what)
    }
}

/// What a config defines by a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    /// What it is.
    pub kind: Kind,
    /// Its name as written. Names are found whatever their case.
    pub name: String,
    /// Its settings, with those of its parents.
    pub settings: Settings,
    /// The names of its parents, in their order.
    pub parents: Vec<String>,
    /// What the config itself had said in front of it, of the settings that a dumptype takes over when it does not say them.
    pub defaults: Settings,
    /// The file where it is defined.
    pub file: Arc<PathBuf>,
    /// The place in that file.
    pub at: Place,
}

/// An amanda.conf with everything that it includes.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    directory: PathBuf,
    settings: Settings,
    sections: BTreeMap<(Kind, String), Section>,
    files: Vec<PathBuf>,
    older: Vec<ConfError>,
}

impl Config {
    /// Reads `amanda.conf` in a config's directory; relative paths in it begin there.
    ///
    /// # Errors
    /// At the first thing that Amanda would refuse.
    pub fn load(directory: &Path, source: &dyn Source) -> Result<Self, ConfError> {
        let config = parser::load(directory, source)?;
        validate::whole(&config)?;
        Ok(config)
    }

    /// Returns the config's directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns the settings of the config itself.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns the files that were read, in their order.
    #[must_use]
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Returns what is understood here as Amanda 2 understood it, and what Amanda 3 itself refuses.
    #[must_use]
    pub fn older(&self) -> &[ConfError] {
        &self.older
    }

    /// Returns what is defined by this name.
    #[must_use]
    pub fn section(&self, kind: Kind, name: &str) -> Option<&Section> {
        self.sections.get(&(kind, name.to_ascii_lowercase()))
    }

    /// Returns everything of one kind, by name.
    pub fn sections(&self, kind: Kind) -> impl Iterator<Item = &Section> {
        self.sections.values().filter(move |section| section.kind == kind)
    }
}

/// Says which of the names may have been meant, or else what to write.
fn meant<'a>(word: &str, names: impl Iterator<Item = &'a str>, otherwise: &str) -> String {
    nearest(word, names).map_or_else(|| otherwise.to_owned(), |near| format!("did you mean \"{near}\"?"))
}

/// Returns the name that is nearest to a word, when one is near, whatever their case.
fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    let word = word.to_ascii_lowercase();
    let near = names.map(|name| (strsim::osa_distance(&word, &name.to_ascii_lowercase()), name));
    let (distance, name) = near.min_by_key(|(distance, _)| *distance)?;
    (distance <= 1 + word.len() / 4).then(|| name.to_owned())
}
