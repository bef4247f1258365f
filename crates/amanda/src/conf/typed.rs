//! The settings that a vault needs, with Amanda's defaults.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use super::{Config, Kind, Patterns, Section, Settings, Value};

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

    /// Returns everything that was said, also what is not interpreted here.
    #[must_use]
    pub fn settings(&self) -> &'a Settings {
        &self.section.settings
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
        self.settings().int("dumpcycle").map_or_else(|| self.config.dumpcycle(), days)
    }
}

/// A number of days or volumes, which the parser has checked for its sign.
fn days(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(if number < 0 { 0 } else { u32::MAX })
}

/// A size in KiB that the parser has checked for its sign.
fn kib(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

impl Config {
    fn path(&self, name: &str, default: &str) -> PathBuf {
        self.directory().join(self.settings().text(name).unwrap_or(OsStr::new(default)))
    }

    /// Returns what the reports call it.
    #[must_use]
    pub fn org(&self) -> Option<&OsStr> {
        self.settings().text("org")
    }

    /// Returns the account that owns everything.
    #[must_use]
    pub fn dumpuser(&self) -> Option<&OsStr> {
        self.settings().text("dumpuser")
    }

    /// Returns the directory of what is remembered of disks ([`curinfo`](crate::curinfo)).
    #[must_use]
    pub fn infofile(&self) -> PathBuf {
        self.path("infofile", "/usr/adm/amanda/curinfo")
    }

    /// Returns the directory of the logs.
    #[must_use]
    pub fn logdir(&self) -> PathBuf {
        self.path("logdir", "/usr/adm/amanda")
    }

    /// Returns the directory of the indexes.
    #[must_use]
    pub fn indexdir(&self) -> PathBuf {
        self.path("indexdir", "/usr/adm/amanda/index")
    }

    /// Returns the list of volumes.
    #[must_use]
    pub fn tapelist(&self) -> PathBuf {
        self.path("tapelist", "tapelist")
    }

    /// Returns the list of disks.
    #[must_use]
    pub fn diskfile(&self) -> PathBuf {
        self.path("diskfile", "disklist")
    }

    /// Returns the days within which every disk wants a full dump.
    #[must_use]
    pub fn dumpcycle(&self) -> u32 {
        self.settings().int("dumpcycle").map_or(10, days)
    }

    /// Returns how many volumes there are at least.
    #[must_use]
    pub fn tapecycle(&self) -> u32 {
        self.settings().int("tapecycle").map_or(15, days)
    }

    /// Returns how many volumes a run may write.
    #[must_use]
    pub fn runtapes(&self) -> u32 {
        self.settings().int("runtapes").map_or(1, days)
    }

    /// Returns the first storage that is in use; `None` when the config has none and is one itself, with the config's name.
    #[must_use]
    pub fn storage(&self) -> Option<&Section> {
        let name = self.settings().list("storage").into_iter().next()?;
        self.section(Kind::Storage, name.to_str()?)
    }

    /// The storage's word on something, or the config's.
    fn of_storage(&self, name: &str) -> Option<&Value> {
        let storage = self.storage().and_then(|storage| storage.settings.get(name));
        storage.or_else(|| self.settings().get(name)).map(|setting| &setting.value)
    }

    /// Returns the changer: `chg-disk:/directory`, or the name of one that is defined, which stands for its own.
    #[must_use]
    pub fn tpchanger(&self) -> Option<&OsStr> {
        use std::os::unix::ffi::OsStrExt as _;
        let Some(Value::Str(changer)) = self.of_storage("tpchanger") else { return None };
        let named = std::str::from_utf8(changer).ok().and_then(|name| self.section(Kind::Changer, name));
        let named = named.and_then(|section| section.settings.text("tpchanger"));
        named.or_else(|| Some(OsStr::from_bytes(changer)).filter(|name| !name.is_empty()))
    }

    /// Returns the template that new labels are made by.
    #[must_use]
    pub fn label_template(&self) -> Option<OsString> {
        use std::os::unix::ffi::OsStringExt as _;
        let Some(Value::List(words)) = self.of_storage("autolabel") else { return None };
        match words.first() {
            Some(Value::Str(template)) => Some(OsString::from_vec(template.clone())),
            _ => None,
        }
    }

    /// Returns the regular expression that labels match; `None` when it is not said, or the template is asked for it.
    #[must_use]
    pub fn labelstr(&self) -> Option<OsString> {
        use std::os::unix::ffi::OsStringExt as _;
        match self.of_storage("labelstr") {
            Some(Value::Str(expression)) => Some(OsString::from_vec(expression.clone())),
            _ => None,
        }
    }

    /// Returns what the volumes hold; `None` when no tapetype is named or it is not defined.
    #[must_use]
    pub fn tapetype(&self) -> Option<&Section> {
        let Some(Value::Str(name)) = self.of_storage("tapetype") else { return None };
        self.section(Kind::Tapetype, std::str::from_utf8(name).ok()?)
    }

    /// Returns what a volume holds, in KiB.
    #[must_use]
    pub fn tape_length_kb(&self) -> u64 {
        self.tapetype().and_then(|tapetype| tapetype.settings.int("length")).map_or(2000, kib)
    }

    /// Returns the longest part of a dump, in KiB; `None` when dumps are not split.
    #[must_use]
    pub fn part_kb(&self) -> Option<u64> {
        self.tapetype().and_then(|tapetype| tapetype.settings.int("part-size")).map(kib).filter(|kb| *kb > 0)
    }

    /// Returns for how many days a volume is kept, by the storage's policy; `None` when no policy says.
    #[must_use]
    pub fn retention_days(&self) -> Option<u32> {
        let policy = self.storage()?.settings.text("policy")?.to_str()?;
        self.section(Kind::Policy, policy)?.settings.int("retention-days").map(days).filter(|days| *days > 0)
    }

    /// Returns the directories of the holding disks that are in use.
    #[must_use]
    pub fn holdingdisks(&self) -> Vec<PathBuf> {
        let names = self.settings().list("holdingdisk");
        let sections = names.iter().filter_map(|name| self.section(Kind::Holdingdisk, name.to_str()?));
        sections.filter_map(|section| section.settings.text("directory")).map(|path| self.directory().join(path)).collect()
    }

    /// Returns a dumptype.
    #[must_use]
    pub fn dumptype(&self, name: &str) -> Option<Dumptype<'_>> {
        self.section(Kind::Dumptype, name).map(|section| Dumptype::new(self, section))
    }
}
