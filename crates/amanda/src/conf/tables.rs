//! The keywords of each kind of definition, and of a config itself: data.

use super::keywords::Shape::{
    Address, Autolabel, Block, Blocks, Bool, BoolOrAll, Compress, Estimate, ExecuteOn, Holding, Holdingdisks, HostLimit, Int, IntOrStr,
    Ints, Labelstr, Name, Names, OneOf, Patterns, Property, Real, Reals, Selection, Str, Strs, Time, Vaults,
};
use super::keywords::{Kind, Table, Unit};

pub(super) const GLOBAL: Table = &[
    ("active-storage", Names),
    ("amrecover-changer", Str),
    ("amrecover-check-label", Bool),
    ("amrecover-do-fsf", Bool),
    ("autoflush", BoolOrAll),
    ("autolabel", Autolabel),
    ("bumpdays", Int(Unit::One)),
    ("bumpmult", Real),
    ("bumppercent", Int(Unit::One)),
    ("bumpsize", Int(Unit::Kib)),
    ("changerdev", Str),
    ("changerfile", Str),
    ("columnspec", Str),
    ("command-file", Str),
    ("compress-index", Bool),
    ("connect-tries", Int(Unit::One)),
    ("ctimeout", Int(Unit::One)),
    ("debug-amandad", Int(Unit::One)),
    ("debug-amidxtaped", Int(Unit::One)),
    ("debug-amindexd", Int(Unit::One)),
    ("debug-amrecover", Int(Unit::One)),
    ("debug-auth", Int(Unit::One)),
    ("debug-chunker", Int(Unit::One)),
    ("debug-days", Int(Unit::One)),
    ("debug-driver", Int(Unit::One)),
    ("debug-dumper", Int(Unit::One)),
    ("debug-event", Int(Unit::One)),
    ("debug-holding", Int(Unit::One)),
    ("debug-planner", Int(Unit::One)),
    ("debug-protocol", Int(Unit::One)),
    ("debug-recovery", Int(Unit::One)),
    ("debug-selfcheck", Int(Unit::One)),
    ("debug-sendbackup", Int(Unit::One)),
    ("debug-sendsize", Int(Unit::One)),
    ("debug-taper", Int(Unit::One)),
    ("device-output-buffer-size", Int(Unit::One)),
    ("device-property", Property),
    ("diskfile", Str),
    ("displayunit", Str),
    ("dtimeout", Int(Unit::One)),
    ("dumpcycle", Int(Unit::One)),
    ("dumporder", Str),
    ("dumpuser", Str),
    ("eject-volume", Bool),
    ("etimeout", Int(Unit::One)),
    ("flush-threshold-dumped", Int(Unit::One)),
    ("flush-threshold-scheduled", Int(Unit::One)),
    ("holdingdisk", Holdingdisks),
    ("indexdir", Str),
    ("infofile", Str),
    ("inparallel", Int(Unit::One)),
    ("interactivity", Block(Kind::Interactivity)),
    ("krb5keytab", Str),
    ("krb5principal", Str),
    ("label-new-tapes", Str),
    ("labelstr", Labelstr),
    ("logdir", Str),
    ("mailer", Str),
    ("mailto", Address),
    ("max-dle-by-volume", Int(Unit::One)),
    ("maxdumps", Int(Unit::One)),
    ("maxdumpsize", Int(Unit::Kib)),
    ("meta-autolabel", Str),
    ("netusage", Int(Unit::Kib)),
    ("org", Str),
    ("printer", Str),
    ("property", Property),
    ("recovery-limit", HostLimit),
    ("rep-tries", Int(Unit::One)),
    ("report-format", Strs),
    ("report-next-media", Bool),
    ("report-use-media", Bool),
    ("req-tries", Int(Unit::One)),
    ("reserve", Int(Unit::One)),
    ("reserved-tcp-port", Ints),
    ("reserved-udp-port", Ints),
    ("rest-api-port", Int(Unit::One)),
    ("rest-ssl-cert", Str),
    ("rest-ssl-key", Str),
    ("runspercycle", Int(Unit::One)),
    ("runtapes", Int(Unit::One)),
    ("send-amreport-on", OneOf(&["all", "strange", "error", "never"])),
    ("sort-index", Bool),
    ("ssl-dir", Str),
    ("storage", Names),
    ("tapecycle", Int(Unit::One)),
    ("tapedev", Str),
    ("tapelist", Str),
    ("taper-parallel-write", Int(Unit::One)),
    ("taperalgo", OneOf(&["first", "firstfit", "largest", "largestfit", "smallest", "last"])),
    ("taperflush", Int(Unit::One)),
    ("taperscan", Block(Kind::Taperscan)),
    ("tapetype", Name),
    ("tmpdir", Str),
    ("tpchanger", Str),
    ("unreserved-tcp-port", Ints),
    ("usetimestamps", Bool),
    ("vault-storage", Names),
];

pub(super) const TAPETYPE: Table = &[
    ("blocksize", Int(Unit::Kib)),
    ("comment", Str),
    ("filemark", Int(Unit::Kib)),
    ("lbl-templ", Str),
    ("length", Int(Unit::Kib)),
    ("part-cache-dir", Str),
    ("part-cache-max-size", Int(Unit::Kib)),
    ("part-cache-type", OneOf(&["none", "disk", "memory"])),
    ("part-size", Int(Unit::Kib)),
    ("readblocksize", Int(Unit::Kib)),
    ("speed", Int(Unit::One)),
];

pub(super) const DUMPTYPE: Table = &[
    ("allow-split", Bool),
    ("amandad-path", Str),
    ("application", Block(Kind::Application)),
    ("auth", Str),
    ("bumpdays", Int(Unit::One)),
    ("bumpmult", Real),
    ("bumppercent", Int(Unit::One)),
    ("bumpsize", Int(Unit::Kib)),
    ("client-custom-compress", Str),
    ("client-decrypt-option", Str),
    ("client-encrypt", Str),
    ("client-port", IntOrStr),
    ("client-username", Str),
    ("comment", Str),
    ("comprate", Reals),
    ("compress", Compress),
    ("data-path", OneOf(&["amanda", "directtcp"])),
    ("dump-limit", HostLimit),
    ("dumpcycle", Int(Unit::One)),
    ("encrypt", OneOf(&["none", "client", "server"])),
    ("estimate", Estimate),
    ("exclude", Patterns),
    ("fallback-splitsize", Int(Unit::Kib)),
    ("holdingdisk", Holding),
    ("ignore", Bool),
    ("include", Patterns),
    ("index", Bool),
    ("kencrypt", Bool),
    ("max-warnings", Int(Unit::One)),
    ("maxdumps", Int(Unit::One)),
    ("maxpromoteday", Int(Unit::One)),
    ("priority", OneOf(&["low", "medium", "high"])),
    ("program", Str),
    ("property", Property),
    ("record", Bool),
    ("recovery-limit", HostLimit),
    ("retry-dump", Int(Unit::One)),
    ("script", Blocks(Kind::Script)),
    ("server-custom-compress", Str),
    ("server-decrypt-option", Str),
    ("server-encrypt", Str),
    ("skip-full", Bool),
    ("skip-incr", Bool),
    ("split-diskbuffer", Str),
    ("ssh-keys", Str),
    ("ssl-ca-cert-file", Str),
    ("ssl-cert-file", Str),
    ("ssl-check-certificate-host", Bool),
    ("ssl-check-fingerprint", Bool),
    ("ssl-check-host", Bool),
    ("ssl-cipher-list", Str),
    ("ssl-fingerprint-file", Str),
    ("ssl-key-file", Str),
    ("starttime", Time),
    ("strategy", OneOf(&["skip", "standard", "nofull", "noinc", "hanoi", "incronly"])),
    ("tag", Strs),
    ("tape-splitsize", Int(Unit::Kib)),
];

pub(super) const HOLDINGDISK: Table = &[("chunksize", Int(Unit::Kib)), ("comment", Str), ("directory", Str), ("use", Int(Unit::Kib))];

pub(super) const INTERFACE: Table = &[("comment", Str), ("src-ip", Str), ("use", Int(Unit::Kib))];

pub(super) const APPLICATION: Table = &[("client-name", Str), ("comment", Str), ("plugin", Str), ("property", Property)];

pub(super) const SCRIPT: Table = &[
    ("client-name", Str),
    ("comment", Str),
    ("execute-on", ExecuteOn),
    ("execute-where", OneOf(&["client", "server"])),
    ("order", Int(Unit::One)),
    ("plugin", Str),
    ("property", Property),
    ("single-execution", Bool),
];

pub(super) const DEVICE: Table = &[("comment", Str), ("device-property", Property), ("tapedev", Str)];

pub(super) const CHANGER: Table = &[
    ("changerdev", Str),
    ("changerfile", Str),
    ("comment", Str),
    ("device-property", Property),
    ("property", Property),
    ("tapedev", Str),
    ("tpchanger", Str),
];

pub(super) const INTERACTIVITY: Table = &[("comment", Str), ("plugin", Str), ("property", Property)];

pub(super) const TAPERSCAN: Table = &[("comment", Str), ("plugin", Str), ("property", Property)];

pub(super) const POLICY: Table = &[
    ("comment", Str),
    ("retention-days", Int(Unit::One)),
    ("retention-full", Int(Unit::One)),
    ("retention-recover", Int(Unit::One)),
    ("retention-tapes", Int(Unit::One)),
];

pub(super) const STORAGE: Table = &[
    ("autoflush", BoolOrAll),
    ("autolabel", Autolabel),
    ("comment", Str),
    ("device-output-buffer-size", Int(Unit::One)),
    ("dump-selection", Selection),
    ("eject-volume", Bool),
    ("erase-on-failure", Bool),
    ("erase-on-full", Bool),
    ("erase-volume", Bool),
    ("flush-threshold-dumped", Int(Unit::One)),
    ("flush-threshold-scheduled", Int(Unit::One)),
    ("interactivity", Block(Kind::Interactivity)),
    ("labelstr", Labelstr),
    ("max-dle-by-volume", Int(Unit::One)),
    ("meta-autolabel", Str),
    ("policy", Block(Kind::Policy)),
    ("report-next-media", Bool),
    ("report-use-media", Bool),
    ("runtapes", Int(Unit::One)),
    ("set-no-reuse", Bool),
    ("tapedev", Str),
    ("tapepool", Str),
    ("taper-parallel-write", Int(Unit::One)),
    ("taperalgo", OneOf(&["first", "firstfit", "largest", "largestfit", "smallest", "last"])),
    ("taperflush", Int(Unit::One)),
    ("taperscan", Str),
    ("tapetype", Str),
    ("tpchanger", Str),
    ("vault", Vaults),
];

/// What a dumptype takes from the config as it is where the dumptype is defined.
pub(super) const INHERITED: &[&str] = &["bumpdays", "bumpmult", "bumppercent", "bumpsize", "dumpcycle", "maxdumps"];

/// Settings that Amanda refuses below zero.
pub(super) const NOT_NEGATIVE: &[&str] = &[
    "dumpcycle",
    "runtapes",
    "bumpdays",
    "length",
    "speed",
    "part-size",
    "part-cache-max-size",
    "max-warnings",
    "maxpromoteday",
    "flush-threshold-dumped",
    "flush-threshold-scheduled",
    "taperflush",
    "tape-splitsize",
];

/// Settings that Amanda refuses below one.
pub(super) const POSITIVE: &[&str] = &[
    "tapecycle",
    "bumpsize",
    "netusage",
    "inparallel",
    "maxdumps",
    "max-dle-by-volume",
    "dtimeout",
    "ctimeout",
    "connect-tries",
    "rep-tries",
    "req-tries",
    "retry-dump",
    "rest-api-port",
];

/// Words behind a number, in small letters, and what they multiply with where bytes are counted.
pub(super) const UNITS: &[(&[&str], i64)] = &[
    (&["b", "bps", "byte", "bytes", "day", "days", "tape", "tapes"], 1),
    (&["week", "weeks"], 7),
    (&["k", "kb", "kbps", "kbyte", "kbytes", "kilobyte", "kilobytes", "kps"], 1 << 10),
    (&["m", "mb", "mbps", "mbyte", "mbytes", "meg", "megabyte", "megabytes", "mps"], 1 << 20),
    (&["g", "gb", "gbps", "gbyte", "gbytes", "gig", "gigabyte", "gigabytes"], 1 << 30),
    (&["t", "tb", "tbps", "tbyte", "tbytes", "tera", "terabyte", "terabytes"], 1 << 40),
];

/// The dumptypes that every config has, from long ago.
pub(super) const PREDEFINED: &[u8] = b"\
define dumptype NO-COMPRESS {\ncompress none\n}\n\
define dumptype COMPRESS-FAST {\ncompress client fast\n}\n\
define dumptype COMPRESS-BEST {\ncompress client best\n}\n\
define dumptype COMPRESS-CUST {\ncompress client custom\n}\n\
define dumptype SRVCOMPRESS {\ncompress server fast\n}\n\
define dumptype BSD-AUTH {\nauth \"BSD\"\n}\n\
define dumptype BSDTCP-AUTH {\nauth \"BSDTCP\"\n}\n\
define dumptype NO-RECORD {\nrecord no\n}\n\
define dumptype NO-HOLD {\nholdingdisk never\n}\n\
define dumptype NO-FULL {\nstrategy nofull\n}\n";
