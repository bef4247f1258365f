//! What a config says as a whole, with Amanda's defaults.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

use super::{Config, Dumptype, Kind, Section, Setting, Value};

/// A number of days or volumes, which the parser has checked for its sign.
pub(super) fn days(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(if number < 0 { 0 } else { u32::MAX })
}

/// A size in KiB that the parser has checked for its sign.
pub(super) fn kib(number: i64) -> u64 {
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
        match self.of_storage("runtapes") {
            Some(Value::Int(number)) => days(*number),
            _ => 1,
        }
    }

    /// Returns the first storage that is in use, or the one that has the config's name; `None` when the config has none and is one
    /// itself.
    #[must_use]
    pub fn storage(&self) -> Option<&Section> {
        match self.settings().list("storage").first() {
            Some(name) => self.section(Kind::Storage, name.to_str()?),
            None => self.section(Kind::Storage, &self.name()),
        }
    }

    /// Returns the policy of the storage; `None` when there is none but Amanda's own, of which `tapecycle` is all.
    #[must_use]
    pub fn policy(&self) -> Option<&Section> {
        let named = self.storage().and_then(|storage| storage.settings.text("policy"));
        self.section(Kind::Policy, &named.map_or_else(|| self.name().into(), |name| name.to_string_lossy()))
    }

    /// Returns what the storage says about something, or the config.
    #[must_use]
    pub fn in_use(&self, name: &str) -> Option<&Setting> {
        let storage = self.storage().and_then(|storage| storage.settings.get(name));
        storage.or_else(|| self.settings().get(name))
    }

    pub(super) fn of_storage(&self, name: &str) -> Option<&Value> {
        self.in_use(name).map(|setting| &setting.value)
    }

    /// Returns the changer's definition, where it is one that is defined.
    #[must_use]
    pub fn changer(&self) -> Option<&Section> {
        let said = |name| match self.of_storage(name) {
            Some(Value::Str(text)) if !text.is_empty() => Some(&text[..]),
            _ => None,
        };
        self.section(Kind::Changer, std::str::from_utf8(said("tpchanger").or_else(|| said("tapedev"))?).ok()?)
    }

    /// Returns the changer: `chg-disk:/directory`, or the name of one that is defined, which stands for its own. Where there is no
    /// `tpchanger`, Amanda takes `tapedev` for one.
    #[must_use]
    pub fn tpchanger(&self) -> Option<&OsStr> {
        if let Some(section) = self.changer() {
            return section.settings.text("tpchanger").or_else(|| section.settings.text("tapedev"));
        }
        let said = |name| match self.of_storage(name) {
            Some(Value::Str(text)) => Some(OsStr::from_bytes(text)).filter(|text| !text.is_empty()),
            _ => None,
        };
        said("tpchanger").or_else(|| said("tapedev"))
    }

    /// Returns up to which number the changer makes slots by itself; `None` when it has those that are there.
    #[must_use]
    pub fn auto_slots(&self) -> Option<u32> {
        let property = |name: &str| match self.changer()?.settings.get("property").map(|setting| &setting.value) {
            Some(Value::Properties(properties)) => properties.get(name.as_bytes())?.first().map(|text| String::from_utf8_lossy(text)),
            _ => None,
        };
        let makes = property("auto-create-slot")?;
        let makes = matches!(&*makes.to_ascii_lowercase(), "1" | "y" | "yes" | "t" | "true" | "on");
        makes.then(|| property("num-slot").and_then(|number| number.parse().ok()).unwrap_or(1))
    }

    /// Returns the template that new labels are made by.
    #[must_use]
    pub fn label_template(&self) -> Option<OsString> {
        match self.of_storage("autolabel") {
            Some(Value::List(words)) => match words.first() {
                Some(Value::Str(template)) => Some(OsString::from_vec(template.clone())),
                _ => None,
            },
            _ => self.settings().text("label-new-tapes").map(OsStr::to_owned),
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

    /// Returns the longest part of a dump, in KiB; `None` when a part ends where the volume is full. What a part would be kept in
    /// until it is written bounds it, too.
    #[must_use]
    pub fn part_kb(&self) -> Option<u64> {
        let settings = &self.tapetype()?.settings;
        let said = ["part-size", "part-cache-max-size"].iter().filter_map(|name| settings.int(name)).map(kib);
        said.min().filter(|kb| *kb > 0)
    }

    /// Returns for how many days a volume is kept, by the storage's policy; `None` when no policy says.
    #[must_use]
    pub fn retention_days(&self) -> Option<u32> {
        self.policy()?.settings.int("retention-days").map(days).filter(|days| *days > 0)
    }

    /// Returns a dumptype.
    #[must_use]
    pub fn dumptype(&self, name: &str) -> Option<Dumptype<'_>> {
        self.section(Kind::Dumptype, name).map(|section| Dumptype::new(self, section))
    }
}
