//! Which values a setting can have (the `validate_…` functions of common-src/conffile.c), and what of a config has to fit together
//! (`update_derived_values` there). Everything that is refused comes with what to write instead.

use super::keywords::{Kind, Table};
use super::{ConfError, Config, Setting, Value, meant, tables};

/// What is wrong, and what to write instead.
type Wrong = (String, String);

/// Numbers, with the least and the greatest that may be said.
const BETWEEN: &[(&str, i64, i64)] = &[
    ("blocksize", 32, i64::MAX),
    ("bumppercent", 0, 100),
    ("readblocksize", 32, i64::MAX),
    ("reserve", 0, 100),
    ("runspercycle", -1, i64::MAX),
];

/// What a program can be.
const PROGRAMS: &[&str] = &["DUMP", "GNUTAR", "STAR", "APPLICATION"];

/// The columns of a report.
const COLUMNS: &[&str] = &["HostName", "Disk", "Level", "OrigKB", "OutKB", "Compress", "DumpTime", "DumpRate", "TapeTime", "TapeRate"];

/// Keywords that Amanda had once, and what it has for them now.
const OLDER: &[(&str, &str)] = &[
    ("diskdir", "write `holdingdisk NAME {`, directory \"…\", }"),
    ("disksize", "write `holdingdisk NAME {`, use …, }"),
    ("exclude-file", "write `exclude file \"…\"`"),
    ("exclude-list", "write `exclude list \"…\"`"),
    ("frequency", "write dumpcycle"),
    ("logfile", "write logdir, and a directory"),
    ("maxcycle", "write dumpcycle"),
    ("options", "write each option as a setting in a line of its own: compress, record, index, exclude …"),
    ("rawtapedev", "write tapedev for a drive, or tpchanger \"chg-disk:/DIRECTORY\" for volumes in directories"),
    ("timeout", "write etimeout, dtimeout or ctimeout"),
];

/// Refuses a value that its setting cannot have.
pub(super) fn value(table: Table, name: &str, value: &Value) -> Result<(), Wrong> {
    match value {
        Value::Int(number) if *number < 1 && name == "use" && table == tables::INTERFACE => {
            wrong("what a network may be used has to be at least 1", "write the bandwidth, such as 8000 kbps")
        }
        Value::Int(number) => int(name, *number),
        Value::Real(number) if name == "bumpmult" && *number < 0.999 => {
            wrong("bumpmult has to be at least 1", "write 1.5, Amanda's own value")
        }
        Value::Str(text) => string(name, &String::from_utf8_lossy(text)),
        Value::List(values) => list(name, values),
        _ => Ok(()),
    }
}

fn wrong<T>(what: impl Into<String>, hint: impl Into<String>) -> Result<T, Wrong> {
    Err((what.into(), hint.into()))
}

fn int(name: &str, number: i64) -> Result<(), Wrong> {
    let between = BETWEEN.iter().find(|(other, ..)| *other == name);
    let (least, most) = match between {
        Some((_, least, most)) => (*least, *most),
        None if tables::POSITIVE.contains(&name) => (1, i64::MAX),
        None if tables::NOT_NEGATIVE.contains(&name) => (0, i64::MAX),
        None if name.starts_with("debug-") && name != "debug-days" => (0, 9),
        None => (i64::MIN, i64::MAX),
    };
    if number < least || number > most {
        let unit = if name.ends_with("blocksize") { " KiB" } else { "" };
        let bound = if number < least { format!("at least {least}{unit}") } else { format!("at most {most}") };
        let hint = if most == i64::MAX {
            format!("write {}{unit} or more", least.max(0))
        } else {
            format!("write a number from {least} to {most}")
        };
        return wrong(format!("{name:?} has to be {bound}"), hint);
    }
    match name {
        "etimeout" if number == 0 => wrong("etimeout cannot be 0", "write the seconds for a disk, such as 300"),
        "chunksize" if number < 0 => {
            wrong("a chunksize below 0 is no longer understood", "write 0 for dumps that are not divided, or 64 kb and more")
        }
        "chunksize" if (1..64).contains(&number) => {
            wrong("a chunksize has to be at least 64 KiB", "write 0 for dumps that are not divided, or 64 kb and more")
        }
        _ => Ok(()),
    }
}

fn string(name: &str, text: &str) -> Result<(), Wrong> {
    match name {
        "labelstr" | "meta-autolabel" | "tapepool" if text.contains([' ', '"']) => {
            wrong(format!("{name} has no blanks and no quotation marks in it"), "write [0-9] and the like for what varies")
        }
        "displayunit" if !matches!(text, "k" | "K" | "m" | "M" | "g" | "G" | "t" | "T") => {
            wrong(format!("displayunit {text:?} is no unit"), "write \"k\", \"m\", \"g\" or \"t\"")
        }
        "program" if !PROGRAMS.contains(&text) => {
            let upper = text.to_ascii_uppercase();
            let hint = meant(&upper, PROGRAMS.iter().copied(), "write \"GNUTAR\", or \"DUMP\", \"STAR\", \"APPLICATION\"");
            wrong(format!("{text:?} is no program"), hint)
        }
        "columnspec" => text.split(',').try_for_each(column),
        _ => Ok(()),
    }
}

/// `HostName=0:12:12`, of which each number may be missing and the second one may be negative.
fn column(element: &str) -> Result<(), Wrong> {
    const FORM: &str = "write columns such as HostName=0:12:12, with a comma between them";
    let Some((name, numbers)) = element.split_once('=') else {
        return wrong(format!("{element:?} is no column with its widths"), FORM);
    };
    if !COLUMNS.iter().any(|other| other.eq_ignore_ascii_case(name)) {
        return wrong(
            format!("{name:?} is no column of a report"),
            meant(name, COLUMNS.iter().copied(), &format!("write one of {}", COLUMNS.join(", "))),
        );
    }
    let good = numbers.splitn(3, ':').enumerate().all(|(at, number)| {
        let number = if at == 1 { number.strip_prefix('-').unwrap_or(number) } else { number };
        number.bytes().all(|byte| byte.is_ascii_digit())
    });
    if good { Ok(()) } else { wrong(format!("{numbers:?} are no widths of a column"), FORM) }
}

fn list(name: &str, values: &[Value]) -> Result<(), Wrong> {
    let text = |value: &Value| if let Value::Str(text) = value { Some(String::from_utf8_lossy(text).into_owned()) } else { None };
    match (name, values) {
        ("autolabel", [first, ..]) if text(first).is_some_and(|text| text.contains([' ', '"'])) => {
            wrong("a template for labels has no blanks and no quotation marks in it", "write for example: autolabel \"daily-%%%\" empty")
        }
        ("comprate", values) if values.iter().any(|value| matches!(value, Value::Real(rate) if *rate < 0.0)) => {
            wrong("a rate of compression below 0", "write what is left of a dump: 0.5 for a half")
        }
        ("dump-limit", values) if values.iter().any(|value| text(value).is_some()) => {
            wrong("dump-limit names no hosts", "write same-host for a disk that is dumped when its host asks, or server")
        }
        ("reserved-tcp-port" | "reserved-udp-port", [Value::Int(low), Value::Int(high)]) => ports(*low, *high, 1, 1023),
        ("unreserved-tcp-port", [Value::Int(low), Value::Int(high)]) => ports(*low, *high, 1024, 65_535),
        _ => Ok(()),
    }
}

fn ports(low: i64, high: i64, least: i64, most: i64) -> Result<(), Wrong> {
    if low < least || high > most || low > high {
        return wrong(
            format!("{low},{high} are no ports that can be used here"),
            format!("write two ports from {least} to {most}, the lower one first"),
        );
    }
    Ok(())
}

/// Says what to write for a word that is no keyword where it stands.
pub(super) fn instead_of(word: &str, table: Table, config: &Config) -> String {
    if let Some((_, instead)) = OLDER.iter().find(|(older, _)| *older == word) {
        return (*instead).to_owned();
    }
    if table == tables::GLOBAL {
        let kind = Kind::NAMES.iter().find(|(_, kind)| kind.table().iter().any(|(name, _)| *name == word));
        if let Some((kind, _)) = kind {
            return format!("it is a setting of a {kind}: write it between {{ and }} of one");
        }
        if let Some((kind, _)) = Kind::NAMES.iter().find(|(kind, _)| *kind == word) {
            return format!("write `define {kind} NAME {{`");
        }
    } else if tables::GLOBAL.iter().any(|(name, _)| *name == word) {
        return "it is a setting of the whole config: write it outside of { and }".to_owned();
    }
    let names = table.iter().map(|(name, _)| *name);
    let parents = config.sections(Kind::Dumptype).map(|section| section.name.as_str()).filter(|_| table == tables::DUMPTYPE);
    meant(word, names.chain(parents), "write one of the keywords of amanda.conf(5); `man amanda.conf` has them all")
}

/// Refuses what does not fit together: names that nothing is defined by, and settings that exclude each other.
pub(super) fn whole(config: &Config) -> Result<(), ConfError> {
    let wrong = |setting: &Setting, what: String, hint: String| {
        Err(ConfError { file: setting.file.to_path_buf(), at: Some(setting.at), what, hint })
    };
    let defined = |setting: &Setting, name: &str, kind: Kind| {
        if config.section(kind, name).is_some() {
            return Ok(());
        }
        let otherwise = format!("write `define {} {name} {{` with its settings, or the name of one that is defined", kind.name());
        let hint = meant(name, config.sections(kind).map(|section| section.name.as_str()), &otherwise);
        wrong(setting, format!("there is no {} {name:?}", kind.name()), hint)
    };
    for (name, kind) in [
        ("holdingdisk", Kind::Holdingdisk),
        ("storage", Kind::Storage),
        ("active-storage", Kind::Storage),
        ("vault-storage", Kind::Storage),
    ] {
        let Some(setting) = config.settings().get(name) else { continue };
        for name in config.settings().list(name) {
            defined(setting, &name.to_string_lossy(), kind)?;
        }
    }
    if let Some(setting) = config.in_use("tapetype")
        && let Value::Str(name) = &setting.value
        && !name.is_empty()
    {
        defined(setting, &String::from_utf8_lossy(name), Kind::Tapetype)?;
    }
    if let (Some(older), Some(_)) = (config.settings().get("label-new-tapes"), config.settings().get("autolabel")) {
        return wrong(older, "both label-new-tapes and autolabel".to_owned(), "take label-new-tapes out: it is the older word".to_owned());
    }
    if let Some(setting) = config.in_use("labelstr").filter(|setting| matches!(setting.value, Value::Word(_)))
        && config.in_use("autolabel").is_none()
    {
        let what = "labelstr is match-autolabel, and there is no autolabel".to_owned();
        return wrong(setting, what, "write for example: autolabel \"daily-%%%\" empty".to_owned());
    }
    Ok(())
}
