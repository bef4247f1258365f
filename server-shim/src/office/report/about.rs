//! What a report needs to know beside the log: of amanda.conf, the list of volumes, the holding disk.

use amanda::conf::Config;
use amanda::tapelist::Tapelist;

use crate::office::retention::{Rules, Wanted};

/// What a config says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct About {
    /// Its name.
    pub config: String,
    /// What its reports call it; Amanda says `DailySet1` when it is not said.
    pub org: String,
    /// What sizes are shown in: `K`, `M`, `G`, `T`.
    pub unit: char,
    /// How many KiB that is.
    pub unit_kb: u64,
    /// What a volume holds, in KiB.
    pub tape_kb: u64,
    /// What the space between two files takes, in KiB.
    pub filemark_kb: u64,
    /// The storages that dumps are written to.
    pub storages: Vec<String>,
    /// The storages that dumps are copied to.
    pub vaults: Vec<String>,
    /// The next run writes what is left on the holding disk.
    pub autoflush: bool,
    /// A report names the volumes that were used.
    pub tell_used: bool,
    /// A report names the volumes that are wanted.
    pub tell_next: bool,
    /// Volumes and how they are kept.
    pub rules: Rules,
}

impl About {
    /// Takes what matters out of a config.
    pub fn of(config: &Config, name: &str) -> Self {
        let unit = config.displayunit();
        let filemark = config.tapetype().and_then(|tapetype| tapetype.settings.int("filemark")).unwrap_or(1);
        let names = |setting| config.settings().list(setting).iter().map(|name| name.to_string_lossy().into_owned()).collect::<Vec<_>>();
        let mut storages = names("storage");
        if storages.is_empty() {
            storages.push(name.to_owned());
        }
        let (tell_used, tell_next) = config.report_media();
        Self {
            config: name.to_owned(),
            org: config.org().map_or_else(|| "DailySet1".to_owned(), |org| org.to_string_lossy().into_owned()),
            unit: letter(unit.kib()),
            unit_kb: unit.kib(),
            tape_kb: config.tape_length_kb(),
            filemark_kb: u64::try_from(filemark).unwrap_or(0),
            storages,
            vaults: names("vault-storage"),
            autoflush: config.autoflush() != amanda::conf::rules::Autoflush::No,
            tell_used,
            tell_next,
            rules: rules(config, name),
        }
    }

    /// A size, in the unit of the config.
    pub fn size(&self, kb: u64) -> String {
        format!("{:.0}", kb as f64 / self.unit_kb.max(1) as f64)
    }
}

fn letter(kib: u64) -> char {
    match kib {
        0..=1 => 'K',
        0x400 => 'M',
        0x10_0000 => 'G',
        _ => 'T',
    }
}

/// Takes what matters of volumes out of a config.
pub fn rules(config: &Config, name: &str) -> Rules {
    let policy = config.policy();
    let said = |setting: &str| {
        let number = policy.and_then(|policy| policy.settings.int(setting))?;
        Some(u32::try_from(number).unwrap_or(0))
    };
    Rules {
        config: name.to_owned(),
        storage: config.storage_name(),
        pool: config.tapepool(),
        runtapes: config.runtapes(),
        tapes: said("retention-tapes").unwrap_or_else(|| config.tapecycle().saturating_sub(1)),
        days: said("retention-days").unwrap_or(0),
        recover: said("retention-recover").unwrap_or(0),
        full: said("retention-full").unwrap_or(0),
    }
}

/// What there is at the time of the report.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Around {
    /// It is a report of an earlier run: what is on the holding disk now says nothing about it.
    pub historical: bool,
    /// KiB of whole dumps on the holding disks.
    pub held_kb: u64,
    /// The volumes.
    pub tapelist: Tapelist,
    /// What the next run wants.
    pub wanted: Wanted,
    /// The same in words, with the slots, and what is the matter with volumes now; empty when that is not known.
    pub shelf: Vec<String>,
}
