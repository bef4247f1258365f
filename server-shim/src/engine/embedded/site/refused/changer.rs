//! Which changer and devices can be used: volumes that are directories.

use amanda::conf::{Config, Kind, Setting, Value};
use amanda::vtape::changer::ChgDisk;

use super::{HINT, each, no, place};
use crate::engine::Trouble;

/// Properties of chg-disk that ask for more than a directory, when they say yes.
const MOUNTS: &[&str] = &["removable", "mount", "umount"];

/// Returns the changer of a config.
pub(super) fn of(config: &Config, conf: &str) -> Result<ChgDisk, Trouble> {
    let said = |name: &str| config.in_use(name).filter(|setting| !matches!(&setting.value, Value::Str(text) if text.is_empty()));
    let (changer, device) = (said("tpchanger"), said("tapedev"));
    let at = |setting: Option<&Setting>| setting.map_or_else(|| conf.to_owned(), place);
    let Some(named) = config.tpchanger() else {
        return Err(Trouble::config(
            format!("{conf}: there is no changer: nothing says where the volumes are"),
            format!("tpchanger \"chg-disk:/DIRECTORY\" for volumes in directories; or {HINT}"),
        ));
    };
    if let (Some(changer), Some(device)) = (changer, device)
        && (changer.file == device.file || config.storage().is_none())
    {
        return Err(Trouble::config(
            format!("{}: both tpchanger and tapedev, of which one only can say where the volumes are", place(device)),
            "take one of the two out",
        ));
    }
    let named = named.to_string_lossy().into_owned();
    let setting = changer.or(device);
    if let Some(section) = config.changer() {
        each(&section.settings, &[("device-property", "properties of devices")])?;
        let Some(property) = section.settings.get("property") else { return known(&named, &at(setting)) };
        if let Value::Properties(properties) = &property.value {
            for name in MOUNTS {
                let says = properties.get(name.as_bytes()).and_then(|values| values.first()).map(|value| value.to_ascii_lowercase());
                if says.is_some_and(|says| !matches!(&says[..], b"" | b"0" | b"n" | b"no" | b"f" | b"false" | b"off")) {
                    return Err(no(&place(property), &format!("volumes that are mounted for a run (property {name:?})")));
                }
            }
        }
    }
    known(&named, &at(setting.filter(|_| config.section(Kind::Changer, &named).is_none())))
}

fn known(named: &str, place: &str) -> Result<ChgDisk, Trouble> {
    match ChgDisk::named(named) {
        Some(changer) if changer.directory().is_absolute() => Ok(changer),
        Some(_) => Err(no(place, &format!("the changer {named:?}, whose directory is not absolute"))),
        None => Err(no(place, &format!("{} ({named:?}); it knows chg-disk:/DIRECTORY, volumes in directories", kind(named)))),
    }
}

/// What a changer or device is, in a word.
fn kind(named: &str) -> &'static str {
    let (begins, rest) = named.split_once(':').unwrap_or((named, ""));
    match begins {
        "chg-single" => kind(rest),
        "chg-robot" | "chg-zd-mtx" | "chg-scsi" | "chg-ndmp" => "a robot with tapes",
        "tape" | "ndmp" | "dvdrw" => "a real drive",
        "s3" => "volumes in S3",
        "chg-manual" => "volumes that somebody puts in",
        "file" => "a single directory without a changer",
        "diskflat" | "chg-diskflat" => "volumes in files",
        "rait" | "chg-rait" => "volumes that are written twice",
        _ if named.starts_with("/dev/") => "a real drive",
        _ => "this changer",
    }
}
