//! What may stand in amanda.conf: every keyword with the shape of its value, as the parser tables of
//! common-src/conffile.c (3.5.1) have them.
//!
//! A keyword is known here whether or not anything interprets it: a config of a real Amanda is read whole.

use super::tables;

/// What a config defines by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// How a disk is dumped.
    Dumptype,
    /// What a kind of volume holds.
    Tapetype,
    /// Where dumps wait.
    Holdingdisk,
    /// A network.
    Interface,
    /// A program that makes dumps; `application-tool` in older configs.
    Application,
    /// A program that runs beside them; `script-tool` in older configs.
    Script,
    /// A device.
    Device,
    /// A changer.
    Changer,
    /// Who is asked for a volume.
    Interactivity,
    /// How volumes are chosen.
    Taperscan,
    /// How long volumes are kept.
    Policy,
    /// Volumes, and how they are used.
    Storage,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Dumptype,
        Self::Tapetype,
        Self::Holdingdisk,
        Self::Interface,
        Self::Application,
        Self::Script,
        Self::Device,
        Self::Changer,
        Self::Interactivity,
        Self::Taperscan,
        Self::Policy,
        Self::Storage,
    ];

    /// The names that stand behind `define`.
    pub(super) const NAMES: [(&'static str, Self); 14] = [
        ("dumptype", Self::Dumptype),
        ("tapetype", Self::Tapetype),
        ("holdingdisk", Self::Holdingdisk),
        ("interface", Self::Interface),
        ("application", Self::Application),
        ("application-tool", Self::Application),
        ("script", Self::Script),
        ("script-tool", Self::Script),
        ("device", Self::Device),
        ("changer", Self::Changer),
        ("interactivity", Self::Interactivity),
        ("taperscan", Self::Taperscan),
        ("policy", Self::Policy),
        ("storage", Self::Storage),
    ];

    /// Returns the word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }

    /// The settings in it.
    pub(super) fn table(self) -> Table {
        match self {
            Self::Dumptype => tables::DUMPTYPE,
            Self::Tapetype => tables::TAPETYPE,
            Self::Holdingdisk => tables::HOLDINGDISK,
            Self::Interface => tables::INTERFACE,
            Self::Application => tables::APPLICATION,
            Self::Script => tables::SCRIPT,
            Self::Device => tables::DEVICE,
            Self::Changer => tables::CHANGER,
            Self::Interactivity => tables::INTERACTIVITY,
            Self::Taperscan => tables::TAPERSCAN,
            Self::Policy => tables::POLICY,
            Self::Storage => tables::STORAGE,
        }
    }
}

/// Returns the keywords of a definition of a kind, in the order of the alphabet; `None` is the config itself, which also has `define`
/// and `includefile`.
pub fn of(kind: Option<Kind>) -> impl Iterator<Item = &'static str> {
    kind.map_or(tables::GLOBAL, Kind::table).iter().map(|(name, _)| *name)
}

/// What a number without a unit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// What it says: days, seconds, volumes, bytes.
    One,
    /// KiB.
    Kib,
}

/// The shape of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// `"text"`
    Str,
    /// The same; an address of mail may stand without quotation marks.
    Address,
    /// A name, quoted or not.
    Name,
    /// A whole number with or without a unit.
    Int(Unit),
    /// A number with a fraction.
    Real,
    /// One or two such.
    Reals,
    /// One or two whole numbers.
    Ints,
    /// A whole number or a text.
    IntOrStr,
    /// `yes`, `off`, `1` … or nothing, which is yes.
    Bool,
    /// The same, or `all`.
    BoolOrAll,
    /// The same, or `never`, `auto`, `required`.
    Holding,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// `client fast`, `server custom`, `none` …
    Compress,
    /// `client server calcsize`, in order of preference.
    Estimate,
    /// `1730`: hours and minutes.
    Time,
    /// `[list|file] [optional] [append] "…" …`
    Patterns,
    /// `[priority] [append] [hidden|visible] "key" "value" …`
    Property,
    /// Comma-separated events.
    ExecuteOn,
    /// `"template" any other-config …`
    Autolabel,
    /// `"regex"` or `match-autolabel`.
    Labelstr,
    /// `"host" … same-host server`
    HostLimit,
    /// Names.
    Names,
    /// `[append] "text" …`
    Strs,
    /// `"tag"|all|other all|full|incr`; may stand there several times.
    Selection,
    /// `storage days …`
    Vaults,
    /// Names of holding disks, or the definition of one.
    Holdingdisks,
    /// The name of such a definition, or the definition itself.
    Block(Kind),
    /// Names of such definitions, or one itself; may stand there several times.
    Blocks(Kind),
}

pub(super) type Table = &'static [(&'static str, Shape)];
