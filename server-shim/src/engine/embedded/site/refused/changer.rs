//! Which changer and devices can be used: volumes that are directories.

use amanda::conf::{Config, Setting, Value};
use amanda::vtape::changer::ChgDisk;

use super::{HINT, each, no, place};
use crate::engine::Trouble;

/// Properties of chg-disk that ask for more than a directory, when they say yes.
const MOUNTS: &[&str] = &["removable", "mount", "umount"];

/// Returns the changer of a config.
pub(super) fn of(config: &Config, conf: &str) -> Result<ChgDisk, Trouble> {
    let Some(named) = config.tpchanger() else {
        return Err(Trouble::config(
            format!("{conf}: there is no changer: nothing says where the volumes are"),
            format!("tpchanger \"chg-disk:/DIRECTORY\" for volumes in directories; or {HINT}"),
        ));
    };
    if let Some(section) = config.changer() {
        each(&section.settings, &[("device-property", "properties of devices")])?;
        section.settings.get("property").map_or(Ok(()), mounts)?;
    }
    let said = |name: &str| config.in_use(name).filter(|setting| !matches!(&setting.value, Value::Str(text) if text.is_empty()));
    let place = said("tpchanger").or_else(|| said("tapedev")).map_or_else(|| conf.to_owned(), place);
    known(&named.to_string_lossy(), &place)
}

fn mounts(property: &Setting) -> Result<(), Trouble> {
    let Value::Properties(properties) = &property.value else { return Ok(()) };
    for name in MOUNTS {
        let says = properties.get(name.as_bytes()).and_then(|values| values.first()).map(|value| value.to_ascii_lowercase());
        if says.is_some_and(|says| !matches!(&says[..], b"" | b"0" | b"n" | b"no" | b"f" | b"false" | b"off")) {
            return Err(no(&place(property), &format!("volumes that are mounted for a run (property {name:?})")));
        }
    }
    Ok(())
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
