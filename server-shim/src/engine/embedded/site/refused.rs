//! What a config may say that this engine cannot do: refused by name, never passed over. What every keyword means here stands in
//! docs/configuration-of-amanda.md.

mod changer;
mod dumptype;

use std::path::{Path, PathBuf};

use amanda::conf::disklist::Disk;
use amanda::conf::{Config, Kind, Setting, Settings, Value};
use amanda::vtape::changer::ChgDisk;

use super::{Rotation, straight};
use crate::engine::Trouble;

const HINT: &str = "engine = \"amanda\" in shim.toml: the installed Amanda can do it";

fn no(place: &str, what: &str) -> Trouble {
    Trouble::config(format!("{place}: the embedded engine cannot do this yet: {what}"), HINT)
}

fn place(setting: &Setting) -> String {
    format!("{}:{}:{}", setting.file.display(), setting.at.line, setting.at.column)
}

/// Names of settings, each with the words for what it asks for.
type Names = &'static [(&'static str, &'static str)];

/// What the config as a whole cannot ask for.
const CONFIG: Names = &[
    ("device-property", "properties of devices"),
    ("meta-autolabel", "meta labels"),
    ("vault-storage", "vaulting to another storage"),
    ("max-dle-by-volume", "a number of DLEs for a volume (max-dle-by-volume)"),
    ("interactivity", "asking an operator for volumes (interactivity)"),
];

/// The same for a storage.
const STORAGE: Names = &[
    ("vault", "vaulting to another storage"),
    ("meta-autolabel", "meta labels"),
    ("max-dle-by-volume", "a number of DLEs for a volume (max-dle-by-volume)"),
    ("set-no-reuse", "volumes that are written once (set-no-reuse)"),
    ("interactivity", "asking an operator for volumes (interactivity)"),
    ("erase-volume", "volumes that are erased when they may be (erase-volume)"),
    ("erase-on-failure", "volumes that are erased (erase-on-failure)"),
    ("erase-on-full", "volumes that are erased (erase-on-full)"),
];

/// The same for a policy.
const POLICY: Names = &[
    ("retention-full", "a retention in full dumps; give retention-days, or tapecycle"),
    ("retention-recover", "a retention in days of recovery; give retention-days, or tapecycle"),
];

/// Returns the holding disks and the changer of a config that can be served.
pub(super) fn check(config: &Config, disks: &[Disk]) -> Result<(Vec<PathBuf>, ChgDisk), Trouble> {
    let conf = config.directory().join(super::CONF).display().to_string();
    let rotation = Rotation::of(config);
    // The volumes first: who has a drive is to read that, and not of something beside it.
    let changer = changer::of(config, &conf)?;
    each(config.settings(), CONFIG)?;
    storages(config, rotation)?;
    tapetype(config, rotation)?;
    labels(config)?;
    for disk in disks {
        if let Some(how) = disk.how(config).filter(|how| !how.ignore()) {
            dumptype::check(disk, how, rotation)?;
        }
    }
    Ok((holding(config, &conf, rotation, &changer)?, changer))
}

/// Refuses those of these that say anything.
fn each(settings: &Settings, names: Names) -> Result<(), Trouble> {
    let said = |setting: &Setting| match &setting.value {
        Value::Str(text) => !text.is_empty(),
        Value::List(values) => !values.is_empty(),
        Value::Bool(says) => *says,
        Value::Int(number) => *number != 0,
        _ => true,
    };
    for (name, what) in names {
        if let Some(setting) = settings.get(name).filter(|setting| said(setting)) {
            return Err(no(&place(setting), what));
        }
    }
    Ok(())
}

fn storages(config: &Config, rotation: Rotation) -> Result<(), Trouble> {
    let name = config.storage_name();
    for (setting, what) in [("storage", "more than one storage"), ("active-storage", "a storage that is only flushed to (active-storage)")]
    {
        let other = config.settings().list(setting).iter().any(|other| !other.to_string_lossy().eq_ignore_ascii_case(&name));
        if let Some(setting) = config.settings().get(setting).filter(|_| other) {
            return Err(no(&place(setting), what));
        }
    }
    if let Some(storage) = config.storage() {
        each(&storage.settings, STORAGE)?;
        let all = Value::List(vec![Value::List(vec![Value::Word("all".to_owned()), Value::Word("all".to_owned())])]);
        if let Some(selection) = storage.settings.get("dump-selection").filter(|setting| setting.value != all) {
            return Err(no(&place(selection), "a storage for some dumps only (dump-selection)"));
        }
    }
    if let Some(policy) = config.policy() {
        each(&policy.settings, POLICY)?;
        if let Rotation::Kept { .. } = rotation {
            each(&policy.settings, &[("retention-tapes", "a retention in volumes and in days at once; give retention-days")])?;
        }
    }
    let scan = config.in_use("taperscan").filter(|setting| !matches!(&setting.value, Value::Str(name) if name.is_empty()));
    let Some(setting) = scan else { return Ok(()) };
    let name = if let Value::Str(name) = &setting.value { String::from_utf8_lossy(name).into_owned() } else { String::new() };
    let plugin = config.section(Kind::Taperscan, &name).and_then(|section| section.settings.text("plugin"));
    let plugin = plugin.map_or_else(|| name.clone(), |plugin| plugin.to_string_lossy().into_owned());
    if plugin == "traditional" { Ok(()) } else { Err(no(&place(setting), &format!("volumes chosen by the taperscan {plugin:?}"))) }
}

fn tapetype(config: &Config, rotation: Rotation) -> Result<(), Trouble> {
    let Some(tapetype) = config.tapetype() else { return Ok(()) };
    if let (Rotation::Kept { .. }, Some(setting)) = (rotation, tapetype.settings.get("part-size").filter(|_| config.part_kb().is_some())) {
        return Err(no(&place(setting), "dumps in parts (part-size) where dumps are kept for days"));
    }
    for name in ["blocksize", "readblocksize"] {
        if let Some(setting) = tapetype.settings.get(name).filter(|setting| setting.value != Value::Int(32)) {
            return Err(no(&place(setting), &format!("blocks of other than 32 KiB ({name})")));
        }
    }
    Ok(())
}

fn labels(config: &Config) -> Result<(), Trouble> {
    let at = |name: &str| config.in_use(name).map_or_else(|| config.directory().join(super::CONF).display().to_string(), place);
    if let Err(wrong) = config.template() {
        return Err(no(&at("autolabel"), &format!("an autolabel with {wrong}")));
    }
    config.labels().map(drop).map_err(|wrong| {
        Trouble::config(
            format!("{}: labelstr: {wrong}", at("labelstr")),
            "write an expression such as \"^daily-[0-9]+$\", or match-autolabel without quotation marks",
        )
    })
}

fn holding(config: &Config, conf: &str, rotation: Rotation, changer: &ChgDisk) -> Result<Vec<PathBuf>, Trouble> {
    let disks: Vec<PathBuf> = config.holdingdisks().into_iter().map(|disk| disk.directory).collect();
    let at = || config.settings().get("holdingdisk").map_or_else(|| conf.to_owned(), place);
    match (rotation, disks.len()) {
        (Rotation::Kept { .. }, 0) => Err(no(conf, "a config without a holding disk, where dumps are kept for days")),
        (Rotation::Kept { .. }, 2..) => Err(no(&at(), "more than one holding disk, where dumps are kept for days")),
        (Rotation::Cycle { .. }, 0) => Ok(vec![straight(changer)]),
        _ => Ok(disks),
    }
}

/// Holding disk and volumes are to be on one file system, so that no dump is written twice.
pub(super) fn other_file_system(holding: &Path, volumes: &Path) -> Trouble {
    no(&holding.display().to_string(), &format!("a holding disk on another file system than the volumes in {}", volumes.display()))
}
