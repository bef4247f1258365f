//! What a dumptype says about programs, files and levels, with Amanda's defaults.

use std::ffi::OsStr;

use super::whole::days;
use super::{Config, Patterns, Section, Settings};

/// Where and how a dump is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compress {
    /// Not at all.
    None,
    /// `compress client fast` and its kin.
    Client(Effort),
    /// `compress server fast` and its kin.
    Server(Effort),
}

/// How a dump is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// gzip, fast.
    Fast,
    /// gzip, small.
    Best,
    /// By the program that `client-custom-compress` or `server-custom-compress` names.
    Custom,
}

/// Where a dump is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encrypt {
    /// Nowhere.
    None,
    /// By the client.
    Client,
    /// By the server.
    Server,
}

/// How a size is estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Estimate {
    /// The client's program tries.
    Client,
    /// From the history.
    Server,
    /// By a program that adds sizes up.
    Calcsize,
}

/// Which levels are dumped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// Never any.
    Skip,
    /// Full ones and incremental ones.
    Standard,
    /// Level 1 always.
    NoFull,
    /// Full ones only.
    NoInc,
    /// As the towers of Hanoi are moved.
    Hanoi,
    /// Incremental ones only; full ones are made elsewhere.
    IncrOnly,
}

/// Whether a dump goes through a holding disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldingUse {
    /// Straight to the volume.
    Never,
    /// When there is room.
    Auto,
    /// Or not at all.
    Required,
}

/// How a disk is dumped.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dumptype<'a> {
    config: &'a Config,
    section: &'a Section,
}

impl<'a> Dumptype<'a> {
    pub(super) fn new(config: &'a Config, section: &'a Section) -> Self {
        Self { config, section }
    }

    /// Returns its name.
    #[must_use]
    pub fn name(&self) -> &'a str {
        &self.section.name
    }

    /// Returns the names of the dumptypes that it takes over.
    #[must_use]
    pub fn parents(&self) -> &'a [String] {
        &self.section.parents
    }

    /// Returns everything that was said, also what is not interpreted here.
    #[must_use]
    pub fn settings(&self) -> &'a Settings {
        &self.section.settings
    }

    pub(super) fn config(&self) -> &'a Config {
        self.config
    }

    /// What the config had said where the dumptype is defined.
    pub(super) fn defaults(&self) -> &'a Settings {
        &self.section.defaults
    }

    /// A number that the dumptype says, or the config where the dumptype is defined: what stands below it in amanda.conf
    /// does not count for it.
    pub(super) fn own_or_config(&self, name: &str) -> Option<i64> {
        self.settings().int(name).or_else(|| self.defaults().int(name))
    }

    fn word(&self, name: &str) -> &'a str {
        self.settings().word(name).unwrap_or_default()
    }

    /// Returns the backup program: `GNUTAR`, `APPLICATION`; Amanda's default is `DUMP`.
    #[must_use]
    pub fn program(&self) -> &'a OsStr {
        self.settings().text("program").unwrap_or(OsStr::new("DUMP"))
    }

    /// Returns how dumps are compressed; Amanda's default is the client's fast gzip.
    #[must_use]
    pub fn compress(&self) -> Compress {
        match self.word("compress") {
            "none" => Compress::None,
            "client-best" => Compress::Client(Effort::Best),
            "client-custom" => Compress::Client(Effort::Custom),
            "server-fast" => Compress::Server(Effort::Fast),
            "server-best" => Compress::Server(Effort::Best),
            "server-custom" => Compress::Server(Effort::Custom),
            _ => Compress::Client(Effort::Fast),
        }
    }

    /// Returns the program that compresses, where it is a custom one.
    #[must_use]
    pub fn custom_compress(&self) -> Option<&'a OsStr> {
        match self.compress() {
            Compress::Client(Effort::Custom) => self.settings().text("client-custom-compress"),
            Compress::Server(Effort::Custom) => self.settings().text("server-custom-compress"),
            _ => None,
        }
    }

    /// Returns where dumps are encrypted.
    #[must_use]
    pub fn encrypt(&self) -> Encrypt {
        match self.word("encrypt") {
            "client" => Encrypt::Client,
            "server" => Encrypt::Server,
            _ => Encrypt::None,
        }
    }

    /// Says whether there is to be an index.
    #[must_use]
    pub fn index(&self) -> bool {
        self.settings().bool("index").unwrap_or(true)
    }

    /// Says whether the client is to keep its state.
    #[must_use]
    pub fn record(&self) -> bool {
        self.settings().bool("record").unwrap_or(true)
    }

    /// Says whether the disk is left alone.
    #[must_use]
    pub fn ignore(&self) -> bool {
        self.settings().bool("ignore").unwrap_or(false)
    }

    /// Returns what is left out.
    #[must_use]
    pub fn exclude(&self) -> Patterns {
        self.settings().patterns("exclude")
    }

    /// Returns what alone is dumped; everything when empty.
    #[must_use]
    pub fn include(&self) -> Patterns {
        self.settings().patterns("include")
    }

    /// Returns how sizes are estimated, in order of preference.
    #[must_use]
    pub fn estimate(&self) -> Vec<Estimate> {
        let words = self.settings().list("estimate");
        let kinds = words.iter().map(|word| match word.to_str() {
            Some("server") => Estimate::Server,
            Some("calcsize") => Estimate::Calcsize,
            _ => Estimate::Client,
        });
        let kinds: Vec<_> = kinds.collect();
        if kinds.is_empty() { vec![Estimate::Client] } else { kinds }
    }

    /// Returns which levels are dumped.
    #[must_use]
    pub fn strategy(&self) -> Strategy {
        match self.word("strategy") {
            "skip" => Strategy::Skip,
            "nofull" => Strategy::NoFull,
            "noinc" => Strategy::NoInc,
            "hanoi" => Strategy::Hanoi,
            "incronly" => Strategy::IncrOnly,
            _ => Strategy::Standard,
        }
    }

    /// Returns whether dumps go through a holding disk.
    #[must_use]
    pub fn holdingdisk(&self) -> HoldingUse {
        match self.word("holdingdisk") {
            "never" => HoldingUse::Never,
            "required" => HoldingUse::Required,
            _ => HoldingUse::Auto,
        }
    }

    /// Returns the days within which a full dump is wanted.
    #[must_use]
    pub fn dumpcycle(&self) -> u32 {
        self.own_or_config("dumpcycle").map_or(10, days)
    }
}
