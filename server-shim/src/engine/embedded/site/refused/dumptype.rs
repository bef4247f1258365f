//! What a dumptype cannot ask for, and a disk cannot be.

use std::os::unix::ffi::OsStrExt as _;

use amanda::conf::disklist::Disk;
use amanda::conf::{Compress, Dumptype, Encrypt, HoldingUse, Strategy};
use amanda::escape::printable;

use super::super::Rotation;
use super::{Names, each, no, place};
use crate::engine::Trouble;

const DUMPTYPE: Names = &[("script", "scripts"), ("application", "applications"), ("kencrypt", "encryption with Kerberos (kencrypt)")];

/// What belongs to a site whose volumes go round, and not to a vault whose dumps are kept for days.
const CYCLE: Names = &[
    ("skip-full", "skip-full, where dumps are kept for days"),
    ("skip-incr", "skip-incr, where dumps are kept for days"),
    ("split-diskbuffer", "dumps in parts, where dumps are kept for days"),
    ("starttime", "a dumptype's starttime, where dumps are kept for days"),
    ("tape-splitsize", "dumps in parts, where dumps are kept for days"),
];

pub(super) fn check(disk: &Disk, how: Dumptype<'_>, rotation: Rotation) -> Result<(), Trouble> {
    let settings = how.settings();
    let line = format!("{}:{}:{}", disk.file.display(), disk.at.line, disk.at.column);
    if disk.directory().as_os_str().as_bytes().starts_with(b"//") {
        return Err(no(
            &line,
            &format!("{}, a share of Windows, which Amanda reads with smbclient", printable(disk.dle.to_string().as_bytes())),
        ));
    }
    each(settings, DUMPTYPE)?;
    let name = how.name();
    let at = |setting: &str| settings.get(setting).map_or_else(|| line.clone(), place);
    let refuse = |setting: &str, what: &str| Err(no(&at(setting), &format!("{what} (dumptype {name})")));
    if how.program() != "GNUTAR" {
        return refuse("program", &format!("the program {:?}; it knows GNUTAR", how.program().to_string_lossy()));
    }
    if let Compress::Server(_) = how.compress() {
        return refuse("compress", "compression on the server");
    }
    if how.encrypt() != Encrypt::None {
        return refuse("encrypt", "encryption");
    }
    if !how.record() {
        return refuse("record", "dumps that are not recorded");
    }
    if settings.word("data-path") == Some("directtcp") {
        return refuse("data-path", "data-path directtcp");
    }
    let Rotation::Kept { .. } = rotation else { return Ok(()) };
    each(settings, CYCLE)?;
    if !matches!(how.strategy(), Strategy::Standard | Strategy::NoInc | Strategy::Skip) {
        return refuse("strategy", "this strategy, where dumps are kept for days; it knows standard, noinc and skip there");
    }
    if how.holdingdisk() == HoldingUse::Never {
        return refuse("holdingdisk", "dumps straight to a volume, where dumps are kept for days");
    }
    Ok(())
}
