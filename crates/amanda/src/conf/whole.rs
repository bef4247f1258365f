//! What a config says as a whole, with Amanda's defaults.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

use super::{Config, Dumptype, Kind, Section, Value};

/// A number of days or volumes, which the parser has checked for its sign.
pub(super) fn days(number: i64) -> u32 {
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
        let Some(Value::Str(changer)) = self.of_storage("tpchanger") else { return None };
        let named = std::str::from_utf8(changer).ok().and_then(|name| self.section(Kind::Changer, name));
        let named = named.and_then(|section| section.settings.text("tpchanger"));
        named.or_else(|| Some(OsStr::from_bytes(changer)).filter(|name| !name.is_empty()))
    }

    /// Returns the template that new labels are made by.
    #[must_use]
    pub fn label_template(&self) -> Option<OsString> {
        let Some(Value::List(words)) = self.of_storage("autolabel") else { return None };
        match words.first() {
            Some(Value::Str(template)) => Some(OsString::from_vec(template.clone())),
            _ => None,
        }
    }

    /// Returns the regular expression that labels match; `None` when it is not said, or the template is asked for it.
    #[must_use]
    pub fn labelstr(&self) -> Option<OsString> {
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
