//! The amanda.conf and the disklist of a vault: a config that is a directory with its volumes, and needs nothing outside
//! of it.
//!
//! Amanda takes relative paths from the config's directory, but not all of its programs do so with all of them (its driver looks
//! for `infofile` from where it was called); so the paths are absolute, and have to be written anew when a vault has moved.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::dle::Dle;
use crate::quoting::quote;

/// What a new vault's amanda.conf says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vault {
    /// The config's name, also that of its storage and pool: what [`Tape::new`](crate::tapelist::Tape::new) is given.
    pub name: String,
    /// The vault's directory, absolute.
    pub directory: PathBuf,
    /// The account that owns it.
    pub dumpuser: String,
    /// Days within which every disk wants a full dump.
    pub dumpcycle: u32,
    /// Days for which a volume is kept.
    pub retention_days: u32,
    /// The number of volumes.
    pub volumes: u32,
    /// What a volume holds, in KiB.
    pub volume_kb: u64,
    /// The program that compresses, as the client runs it.
    pub compress: PathBuf,
    /// What is left out.
    pub exclude: Vec<OsString>,
}

impl Vault {
    /// Returns the label of a volume: `NAME-001`.
    #[must_use]
    pub fn label(&self, number: u32) -> String {
        format!("{}-{number:03}", self.name)
    }

    /// Prints amanda.conf.
    #[must_use]
    pub fn conf(&self) -> Vec<u8> {
        let mut text = Vec::new();
        let mut line = |pieces: &[&[u8]]| {
            pieces.iter().for_each(|piece| text.extend(*piece));
            text.push(b'\n');
        };
        let name = always_quoted(OsStr::new(&self.name));
        let inside = |name: &str| always_quoted(self.directory.join(name).as_os_str());
        let number = |number: u64| number.to_string().into_bytes();
        line(&[b"# A vault of asyncamanda: an Amanda config with its volumes. Amanda's own programs read it."]);
        line(&[b"org ", &name]);
        line(&[b"dumpuser ", &always_quoted(OsStr::new(&self.dumpuser))]);
        line(&[b"mailto \"\""]);
        line(&[b"infofile ", &inside("curinfo")]);
        line(&[b"logdir ", &inside("log")]);
        line(&[b"indexdir ", &inside("index")]);
        line(&[b"tapelist ", &inside("tapelist")]);
        line(&[b"dumpcycle ", &number(self.dumpcycle.into()), b" days"]);
        line(&[b"runspercycle 0"]);
        line(&[b"tapecycle ", &number(self.volumes.into()), b" tapes"]);
        line(&[b"runtapes 1"]);
        line(&[b"reserve 0"]);
        line(&[b"\ndefine tapetype VAULT {"]);
        line(&[b"    length ", &number(self.volume_kb), b" kbytes"]);
        line(&[b"}\n\ndefine policy vault {"]);
        line(&[b"    retention-days ", &number(self.retention_days.into())]);
        line(&[b"}\n\ndefine changer vtapes {"]);
        line(&[b"    tpchanger ", &always_quoted(&prefixed("chg-disk:", &self.directory.join("vtapes")))]);
        // Slots are made when they are needed, by Amanda too.
        line(&[b"    property \"num-slot\" \"", &number(self.volumes.into()), b"\""]);
        line(&[b"    property \"auto-create-slot\" \"yes\""]);
        line(&[b"}\n\ndefine storage ", &name, b" {"]);
        line(&[b"    tpchanger \"vtapes\""]);
        line(&[b"    policy \"vault\""]);
        line(&[b"    tapepool ", &name]);
        line(&[b"    tapetype \"VAULT\""]);
        line(&[b"    labelstr match-autolabel"]);
        line(&[b"    autolabel ", &always_quoted(OsStr::new(&format!("{}-%%%", self.name))), b" empty"]);
        line(&[b"    runtapes 1"]);
        line(&[b"}\nstorage ", &name]);
        line(&[b"\nholdingdisk hold {"]);
        line(&[b"    directory ", &inside("holding")]);
        line(&[b"}\n\ndefine dumptype vault {"]);
        line(&[b"    program \"GNUTAR\""]);
        line(&[b"    auth \"local\""]);
        line(&[b"    estimate server"]);
        line(&[b"    index yes"]);
        line(&[b"    compress client custom"]);
        line(&[b"    client-custom-compress ", &always_quoted(self.compress.as_os_str())]);
        for pattern in &self.exclude {
            line(&[b"    exclude append ", &always_quoted(pattern)]);
        }
        line(&[b"}\n\n# For hosts that call in: Amanda itself reaches them through their session, and not in its nightly run."]);
        line(&[b"define dumptype laptop {"]);
        line(&[b"    \"vault\""]);
        line(&[b"    auth \"ssh\""]);
        line(&[b"    client-username ", &always_quoted(OsStr::new(&self.dumpuser))]);
        line(&[b"    dump-limit same-host"]);
        line(&[b"}"]);
        text
    }
}

/// Prints a disklist whose disks all have one dumptype. The device is printed where it is not the name.
#[must_use]
pub fn disklist<'a>(disks: impl IntoIterator<Item = (&'a Dle, Option<&'a Path>)>, dumptype: &str) -> Vec<u8> {
    let mut text = b"# host disk [directory] dumptype\n".to_vec();
    for (dle, device) in disks {
        text.extend(dle.host.as_bytes());
        text.push(b' ');
        text.extend(quote(dle.disk_bytes()));
        if let Some(device) = device {
            text.push(b' ');
            text.extend(quote(device.as_os_str().as_bytes()));
        }
        text.push(b' ');
        text.extend(dumptype.as_bytes());
        text.push(b'\n');
    }
    text
}

fn prefixed(prefix: &str, path: &Path) -> OsString {
    let mut text = OsString::from(prefix);
    text.push(path);
    text
}

/// A text in amanda.conf always has quotation marks.
fn always_quoted(text: &OsStr) -> Vec<u8> {
    let quoted = quote(text.as_bytes());
    if quoted.starts_with(b"\"") { quoted } else { [b"\"", &quoted[..], b"\""].concat() }
}
