//! What a config may say that this engine cannot do: refused by name, never passed over.

use std::path::{Path, PathBuf};

use amanda::conf::disklist::Disk;
use amanda::conf::{Compress, Config, Dumptype, Encrypt, HoldingUse, Kind, Setting, Settings, Strategy, Value};
use amanda::vtape::changer::ChgDisk;

use crate::engine::Trouble;

const HINT: &str = "engine = \"amanda\" in shim.toml: the installed Amanda can do it";

fn no(place: &str, what: &str) -> Trouble {
    Trouble::config(format!("{place}: the embedded engine cannot do this yet: {what}"), HINT)
}

fn place(setting: &Setting) -> String {
    format!("{}:{}:{}", setting.file.display(), setting.at.line, setting.at.column)
}

/// Refuses a setting of a config, with the words for it.
const CONFIG: &[(&str, &str)] =
    &[("taperscan", "volumes chosen by a taperscan"), ("meta-autolabel", "meta labels"), ("vault-storage", "vaulting to another storage")];

/// The same in a storage.
const STORAGE: &[(&str, &str)] = &[
    ("vault", "vaulting to another storage"),
    ("dump-selection", "a storage for some dumps only (dump-selection)"),
    ("max-dle-by-volume", "max-dle-by-volume"),
    ("set-no-reuse", "volumes that are written once (set-no-reuse)"),
    ("interactivity", "asking an operator for volumes"),
];

/// The same in a policy.
const POLICY: &[(&str, &str)] = &[
    ("retention-tapes", "a retention in volumes; give retention-days"),
    ("retention-full", "a retention in full dumps; give retention-days"),
    ("retention-recover", "a retention in days of recovery; give retention-days"),
];

/// The same in a dumptype.
const DUMPTYPE: &[(&str, &str)] = &[
    ("script", "scripts"),
    ("application", "applications"),
    ("tape-splitsize", "dumps in parts"),
    ("split-diskbuffer", "dumps in parts"),
    ("starttime", "a dumptype's starttime"),
];

/// Returns the holding disk and the changer of a config that can be served.
pub(super) fn check(config: &Config, disks: &[Disk]) -> Result<(PathBuf, ChgDisk), Trouble> {
    let conf = config.directory().join(super::CONF).display().to_string();
    let settings = config.settings();
    each(settings, CONFIG)?;
    if settings.bool("usetimestamps") == Some(false) {
        return Err(no(&conf, "dumps that are named by the day (usetimestamps no)"));
    }
    if settings.list("storage").len() > 1 {
        return Err(no(&conf, "more than one storage"));
    }
    if let Some(storage) = config.storage() {
        each(&storage.settings, STORAGE)?;
        let policy = storage.settings.text("policy").and_then(|name| config.section(Kind::Policy, name.to_str()?));
        policy.map_or(Ok(()), |policy| each(&policy.settings, POLICY))?;
    }
    if let Some(tapetype) = config.tapetype() {
        if config.part_kb().is_some() {
            return Err(no(&tapetype.settings.get("part-size").map_or_else(|| conf.clone(), place), "dumps in parts (part-size)"));
        }
        for name in ["blocksize", "readblocksize"] {
            if tapetype.settings.int(name).is_some_and(|kb| kb != 32) {
                return Err(no(&tapetype.settings.get(name).map_or_else(|| conf.clone(), place), "blocks of other than 32 KiB"));
            }
        }
    }
    if let Some(template) = config.label_template() {
        let template = template.to_string_lossy().into_owned();
        let run = template.trim_start_matches(|letter| letter != '%').trim_end_matches(|letter| letter != '%');
        let plain = !template.contains(['$', '!', '\\', ' ', '"']) && !run.is_empty() && run.bytes().all(|byte| byte == b'%');
        if !plain {
            return Err(no(&conf, "an autolabel that is not one run of % in a text"));
        }
    }
    for disk in disks {
        let Some(how) = disk.how(config).filter(|how| !how.ignore()) else { continue };
        dumptype(disk, how)?;
    }
    Ok((holding(config, &conf)?, changer(config, &conf)?))
}

fn each(settings: &Settings, names: &[(&str, &str)]) -> Result<(), Trouble> {
    let said = |setting: &Setting| {
        !matches!(&setting.value, Value::Str(text) if text.is_empty())
            && !matches!(&setting.value, Value::List(values) if values.is_empty())
    };
    for (name, what) in names {
        if let Some(setting) = settings.get(name).filter(|setting| said(setting)) {
            return Err(no(&place(setting), what));
        }
    }
    Ok(())
}

fn dumptype(disk: &Disk, how: Dumptype<'_>) -> Result<(), Trouble> {
    let settings = how.settings();
    each(settings, DUMPTYPE)?;
    let at = |name: &str| settings.get(name).map_or_else(|| format!("{}:{}", disk.file.display(), disk.line), place);
    let name = how.name();
    if how.program() != "GNUTAR" {
        let program = how.program().to_string_lossy().into_owned();
        return Err(no(&at("program"), &format!("the program {program:?} of dumptype {name}; it knows GNUTAR")));
    }
    if let Compress::Server(_) = how.compress() {
        return Err(no(&at("compress"), &format!("compression on the server (dumptype {name})")));
    }
    if how.encrypt() != Encrypt::None {
        return Err(no(&at("encrypt"), &format!("encryption (dumptype {name})")));
    }
    if !matches!(how.strategy(), Strategy::Standard | Strategy::NoInc | Strategy::Skip) {
        return Err(no(&at("strategy"), &format!("this strategy (dumptype {name}); it knows standard, noinc and skip")));
    }
    if how.holdingdisk() == HoldingUse::Never {
        return Err(no(&at("holdingdisk"), &format!("dumps straight to a volume (dumptype {name})")));
    }
    if !how.record() {
        return Err(no(&at("record"), &format!("dumps that are not recorded (dumptype {name})")));
    }
    for (setting, what) in [("skip-full", "skip-full"), ("skip-incr", "skip-incr"), ("kencrypt", "kencrypt")] {
        if settings.bool(setting) == Some(true) {
            return Err(no(&at(setting), &format!("{what} (dumptype {name})")));
        }
    }
    if settings.word("data-path") == Some("directtcp") {
        return Err(no(&at("data-path"), &format!("data-path directtcp (dumptype {name})")));
    }
    Ok(())
}

fn holding(config: &Config, conf: &str) -> Result<PathBuf, Trouble> {
    let mut disks = config.holdingdisks().into_iter();
    match (disks.next(), disks.next()) {
        (Some(holding), None) => Ok(holding),
        (None, _) => Err(no(conf, "a config without a holding disk")),
        (Some(_), Some(_)) => Err(no(conf, "more than one holding disk")),
    }
}

fn changer(config: &Config, conf: &str) -> Result<ChgDisk, Trouble> {
    let Some(named) = config.tpchanger() else { return Err(no(conf, "a config without a changer (tpchanger)")) };
    let named = named.to_string_lossy().into_owned();
    for section in config.sections(Kind::Changer) {
        if let Some(setting) = section.settings.get("device-property") {
            return Err(no(&place(setting), "properties of devices"));
        }
    }
    match ChgDisk::named(&named) {
        Some(changer) if changer.directory().is_absolute() => Ok(changer),
        Some(_) => Err(no(conf, &format!("the changer {named:?}, whose directory is not absolute"))),
        None => Err(no(conf, &format!("the changer {named:?}; it knows chg-disk:/DIRECTORY, volumes in directories"))),
    }
}

/// Holding disk and volumes are to be on one file system, so that no dump is written twice.
pub(super) fn other_file_system(holding: &Path, volumes: &Path) -> Trouble {
    no(&holding.display().to_string(), &format!("a holding disk on another file system than the volumes in {}", volumes.display()))
}
