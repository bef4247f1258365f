//! What the planner, the driver and the taper go by, with Amanda's defaults (`init_defaults`, `init_dumptype_defaults` and
//! `update_derived_values` in common-src/conffile.c).

use std::ffi::OsStr;

use super::whole::{days, kib};
use super::{Config, Dumptype, Kind, Setting, Settings, Value};

/// When a disk goes on to the next level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bump {
    /// What the next level has to save, in KiB, at level 1; counts when `percent` is 0.
    pub size_kb: u64,
    /// What it has to save, in per cent of the full dump.
    pub percent: u32,
    /// So many days a disk stays at a level at least.
    pub days: u32,
    /// What size and per cent are multiplied with from level to level.
    pub mult: f64,
}

/// Whether a run writes what earlier ones left on the holding disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Autoflush {
    /// It stays there.
    No,
    /// That of the disks and hosts that the run is for.
    Yes,
    /// All of it.
    All,
}

/// Which of the waiting dumps goes to the volume next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaperAlgo {
    /// The one that has waited longest.
    First,
    /// The first one that fits on the rest of the volume.
    FirstFit,
    /// The largest.
    Largest,
    /// The largest that fits.
    LargestFit,
    /// The smallest.
    Smallest,
    /// The one that came last.
    Last,
}

/// How much has to wait before a volume is begun, each in per cent of what a volume holds; more than 100 is no mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// What lies on the holding disk, for the first volume of a run and while dumps are made.
    pub dumped: u32,
    /// The same, with what is still to be dumped counted in. Both have to be met.
    pub scheduled: u32,
    /// What lies on the holding disk at the end of a run; less stays there.
    pub taperflush: u32,
}

/// Which runs a dumptype takes part in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DumpLimit {
    /// Those that the server begins.
    pub server: bool,
    /// Those that the client asks for.
    pub same_host: bool,
}

/// How a dump is cut into the parts that a volume has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// Not at all: it has to fit on one volume.
    No,
    /// Where the volume is full.
    AtEnd,
    /// Into parts of so many KiB.
    Parts(u64),
}

/// So many DLEs are dumped at once, and so many KiB/s are used, unless it is said.
const IN_PARALLEL: u32 = 10;
const NETUSAGE: u64 = 80_000;

impl Config {
    fn number(&self, name: &str, default: u32) -> u32 {
        self.settings().int(name).map_or(default, days)
    }

    /// Returns how many runs there are in a dumpcycle; `None` when Amanda is to guess it from the volumes' dates (-1). One a day
    /// when it is not said.
    #[must_use]
    pub fn runspercycle(&self) -> Option<u32> {
        match self.settings().int("runspercycle").unwrap_or(0) {
            0 => Some(self.dumpcycle().max(1)),
            number => u32::try_from(number).ok(),
        }
    }

    /// Returns how many dumps are made at once.
    #[must_use]
    pub fn inparallel(&self) -> u32 {
        self.number("inparallel", IN_PARALLEL)
    }

    /// Returns how many dumps of one host are made at once, where the dumptype does not say it.
    #[must_use]
    pub fn maxdumps(&self) -> u32 {
        self.number("maxdumps", 1)
    }

    /// Returns the KiB/s that all dumps over the network `default` may take together.
    #[must_use]
    pub fn netusage_kps(&self) -> u64 {
        self.settings().int("netusage").map_or(NETUSAGE, kib)
    }

    /// Returns the KiB/s that all dumps over a network may take together; `None` is the one that a disk without any has.
    #[must_use]
    pub fn interface_kps(&self, name: Option<&str>) -> u64 {
        let name = name.unwrap_or("default");
        let said = self.section(Kind::Interface, name).and_then(|section| section.settings.int("use"));
        let unsaid = if name.eq_ignore_ascii_case("default") { self.netusage_kps() } else { NETUSAGE };
        said.map_or(unsaid, kib)
    }

    /// Returns the order in which each dumper chooses: a letter each, of `sStTbB` (size, time, bandwidth; small letters from the
    /// smallest). The last one stands for all that have none.
    #[must_use]
    pub fn dumporder(&self) -> &OsStr {
        self.settings().text("dumporder").unwrap_or(OsStr::new("ttt"))
    }

    /// Returns when a disk goes on to the next level, where the dumptype does not say it.
    #[must_use]
    pub fn bump(&self) -> Bump {
        bump(self.settings(), None)
    }

    /// Returns the per cent of the holding disk that are kept for incremental dumps when there is no volume.
    #[must_use]
    pub fn reserve(&self) -> u32 {
        self.number("reserve", 100).min(100)
    }

    /// Returns the KiB that a run dumps at most; `None` when what its volumes hold is the bound.
    #[must_use]
    pub fn maxdumpsize_kb(&self) -> Option<u64> {
        self.settings().int("maxdumpsize").and_then(|kb| u64::try_from(kb).ok())
    }

    /// Returns which of the waiting dumps goes to the volume next.
    #[must_use]
    pub fn taperalgo(&self) -> TaperAlgo {
        match self.of_storage("taperalgo") {
            Some(Value::Word(word)) => match word.as_str() {
                "firstfit" => TaperAlgo::FirstFit,
                "largest" => TaperAlgo::Largest,
                "largestfit" => TaperAlgo::LargestFit,
                "smallest" => TaperAlgo::Smallest,
                "last" => TaperAlgo::Last,
                _ => TaperAlgo::First,
            },
            _ => TaperAlgo::First,
        }
    }

    /// Returns whether a run writes what earlier ones left on the holding disk.
    #[must_use]
    pub fn autoflush(&self) -> Autoflush {
        match self.of_storage("autoflush") {
            Some(Value::Bool(true)) => Autoflush::Yes,
            Some(Value::Word(_)) => Autoflush::All,
            _ => Autoflush::No,
        }
    }

    /// Returns how much has to wait before a volume is begun.
    #[must_use]
    pub fn thresholds(&self) -> Thresholds {
        let percent = |name| match self.of_storage(name) {
            Some(Value::Int(number)) => days(*number),
            _ => 0,
        };
        Thresholds {
            dumped: percent("flush-threshold-dumped"),
            scheduled: percent("flush-threshold-scheduled"),
            taperflush: percent("taperflush"),
        }
    }
}

/// The settings of a dumptype, then what the config had said where it was defined, then Amanda's.
fn bump(settings: &Settings, defaults: Option<&Settings>) -> Bump {
    let value = |name: &str| settings.get(name).or_else(|| defaults?.get(name)).map(|setting: &Setting| &setting.value);
    let int = |name: &str| value(name).and_then(|value| if let Value::Int(number) = value { Some(*number) } else { None });
    let mult = match value("bumpmult") {
        Some(Value::Real(mult)) => *mult,
        _ => 1.5,
    };
    Bump {
        size_kb: int("bumpsize").map_or(10 * 1024, kib),
        percent: int("bumppercent").map_or(0, days),
        days: int("bumpdays").map_or(2, days),
        mult,
    }
}

impl Dumptype<'_> {
    /// Returns its priority: low is 0, medium 1, high 2. Amanda's manual has other numbers, too; its parser refuses them.
    #[must_use]
    pub fn priority(&self) -> i64 {
        match self.settings().word("priority") {
            Some("low") => 0,
            Some("high") => 2,
            _ => 1,
        }
    }

    /// Returns how many dumps of one host are made at once.
    #[must_use]
    pub fn maxdumps(&self) -> u32 {
        self.own_or_config("maxdumps").map_or(1, days)
    }

    /// Returns the days by which a full dump may be made before it is due.
    #[must_use]
    pub fn maxpromoteday(&self) -> u32 {
        self.settings().int("maxpromoteday").map_or(10_000, days)
    }

    /// Returns when a disk goes on to the next level.
    #[must_use]
    pub fn bump(&self) -> Bump {
        bump(self.settings(), Some(self.defaults()))
    }

    /// Returns before when no dump is begun, in seconds of a day: `1730` is half past five in the afternoon. `None` when it is all
    /// the same. When that was more than twelve hours before the run, the next day's is meant (server-src/diskfile.c).
    #[must_use]
    pub fn starttime(&self) -> Option<u32> {
        let hhmm = self.settings().int("starttime").map(days).filter(|hhmm| *hhmm > 0)?;
        Some((hhmm / 100).saturating_mul(3600).saturating_add(hhmm % 100 * 60))
    }

    /// Says whether a run in which a full dump is due leaves the disk alone: somebody else makes it.
    #[must_use]
    pub fn skip_full(&self) -> bool {
        self.settings().bool("skip-full").unwrap_or(false)
    }

    /// Says whether a run in which no full dump is due leaves the disk alone.
    #[must_use]
    pub fn skip_incr(&self) -> bool {
        self.settings().bool("skip-incr").unwrap_or(false)
    }

    /// Returns how often a dump is tried in a run.
    #[must_use]
    pub fn retry_dump(&self) -> u32 {
        self.settings().int("retry-dump").map_or(2, days)
    }

    /// Returns what a dump is expected to shrink to: full ones, incremental ones.
    #[must_use]
    pub fn comprate(&self) -> (f64, f64) {
        match self.settings().get("comprate").map(|setting| &setting.value) {
            Some(Value::List(rates)) => match rates[..] {
                [Value::Real(full), Value::Real(incremental)] => (full, incremental),
                _ => (0.5, 0.5),
            },
            _ => (0.5, 0.5),
        }
    }

    /// Returns which runs it takes part in; those that the server begins when it is not said.
    #[must_use]
    pub fn dump_limit(&self) -> DumpLimit {
        let words = self.settings().list("dump-limit");
        if words.is_empty() {
            return DumpLimit { server: true, same_host: false };
        }
        let says = |word: &str| words.iter().any(|other| other == word);
        DumpLimit { server: says("server"), same_host: says("same-host") }
    }

    /// Returns how its dumps are cut into parts. What the dumptype says in the words of long ago comes before the tapetype
    /// (`get_splitting_args_from_config` in Amanda/Taper/Scribe.pm).
    #[must_use]
    pub fn split(&self) -> Split {
        let settings = self.settings();
        if settings.bool("allow-split") == Some(false) {
            return Split::No;
        }
        if ["tape-splitsize", "split-diskbuffer", "fallback-splitsize"].iter().any(|name| settings.get(name).is_some()) {
            let kb = settings.int("tape-splitsize").map_or(0, kib);
            return if kb > 0 { Split::Parts(kb) } else { Split::No };
        }
        self.config().part_kb().map_or(Split::AtEnd, Split::Parts)
    }
}
