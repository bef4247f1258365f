//! The output of `amadmin CONFIG disklist [HOST]`: every disk with its whole dumptype (`disklist_one` in
//! server-src/amadmin.c, `dump_dumptype` in common-src/conffile.c).
//!
//! A host that the disklist does not know is told on standard error only, and the exit status is 0.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use crate::crc::Transform;
use crate::dle::Dle;
use crate::quoting::{split_words, unquote};

/// A disk and how it is dumped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskEntry {
    /// The disk.
    pub dle: Dle,
    /// What is dumped when it is not the disk's name: the disklist's third field.
    pub device: Option<OsString>,
    settings: BTreeMap<String, Vec<u8>>,
}

impl DiskEntry {
    /// Returns a setting of the dumptype as Amanda printed it, by its name in capitals (`DUMP-LIMIT`). Of a setting
    /// that stands there twice (`EXCLUDE`), the first.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<&[u8]> {
        self.settings.get(name).map(Vec::as_slice)
    }

    /// Returns a setting's words, unquoted, as text; empty for a setting that is not there.
    #[must_use]
    pub fn words(&self, name: &str) -> Vec<String> {
        let words = split_words(self.setting(name).unwrap_or_default()).filter_map(|word| unquote(word).ok());
        words.map(|word| String::from_utf8_lossy(&word).into_owned()).collect()
    }

    fn word(&self, name: &str) -> String {
        self.words(name).into_iter().next().unwrap_or_default()
    }

    fn is_yes(&self, name: &str) -> bool {
        self.setting(name) == Some(b"yes")
    }

    /// Returns the security method: `local`, `ssh`, `bsdtcp`…
    #[must_use]
    pub fn auth(&self) -> String {
        self.word("AUTH")
    }

    /// Returns the backup program: `GNUTAR`, `APPLICATION`…
    #[must_use]
    pub fn program(&self) -> String {
        self.word("PROGRAM")
    }

    /// Returns the application, where the program is `APPLICATION`.
    #[must_use]
    pub fn application(&self) -> Option<String> {
        Some(self.word("APPLICATION")).filter(|name| !name.is_empty())
    }

    /// Returns how sizes are estimated, in order of preference: `CLIENT`, `SERVER`, `CALCSIZE`.
    #[must_use]
    pub fn estimate(&self) -> Vec<String> {
        self.words("ESTIMATE")
    }

    /// Says whether `amdump --from-client` takes this disk: `dump-limit same-host`.
    #[must_use]
    pub fn from_client(&self) -> bool {
        self.words("DUMP-LIMIT").iter().any(|limit| limit.eq_ignore_ascii_case("same-host"))
    }

    /// Says whether the nightly run takes this disk: no `dump-limit`, or one with `server` in it.
    #[must_use]
    pub fn from_server(&self) -> bool {
        let limits = self.words("DUMP-LIMIT");
        limits.is_empty() || limits.iter().any(|limit| limit.eq_ignore_ascii_case("server"))
    }

    /// Returns `AUTO`, `NEVER` or `REQUIRED`.
    #[must_use]
    pub fn holdingdisk(&self) -> String {
        self.word("HOLDINGDISK")
    }

    /// Returns `NONE`, `CLIENT FAST`, `SERVER CUSTOM`…
    #[must_use]
    pub fn compress(&self) -> String {
        self.words("COMPRESS").join(" ")
    }

    /// Returns `NONE`, `CLIENT` or `SERVER`.
    #[must_use]
    pub fn encrypt(&self) -> String {
        self.word("ENCRYPT")
    }

    /// Returns `STANDARD`, `SKIP`, `NOFULL`, `NOINC`, `INCRONLY` or `HANOI`.
    #[must_use]
    pub fn strategy(&self) -> String {
        self.word("STRATEGY")
    }

    /// Says whether the client writes amandates and its incremental state.
    #[must_use]
    pub fn record(&self) -> bool {
        self.is_yes("RECORD")
    }

    /// Says whether the server keeps an index.
    #[must_use]
    pub fn index(&self) -> bool {
        self.is_yes("INDEX")
    }

    /// Says whether runs leave the disk alone.
    #[must_use]
    pub fn ignore(&self) -> bool {
        self.is_yes("IGNORE")
    }

    /// Returns what the server does to the bytes of a dump; it says which checksums can be compared. What Amanda did
    /// not print counts as done by the server: then nothing is compared.
    #[must_use]
    pub fn transform(&self) -> Transform {
        let untouched = |name| {
            let words = self.words(name);
            words.first().is_some_and(|word| word == "NONE" || word == "CLIENT")
        };
        Transform { server_side: !(untouched("COMPRESS") && untouched("ENCRYPT")) }
    }
}

/// Parses the output; lines it does not know are passed over.
#[must_use]
pub fn parse(output: &[u8]) -> Vec<DiskEntry> {
    let mut entries: Vec<DiskEntry> = Vec::new();
    let mut host = None;
    for line in output.split(|&byte| byte == b'\n') {
        // Amanda prints disk names bare, whatever is in them, and then a colon.
        if let Some(name) = indented(line, b"    host ").and_then(|name| name.strip_suffix(b":")) {
            host = Some(name);
        } else if let Some(name) = indented(line, b"    disk ").and_then(|name| name.strip_suffix(b":")) {
            let dle = host.and_then(|host| Dle::from_names(host, name.to_vec()));
            entries.extend(dle.map(|dle| DiskEntry { dle, device: None, settings: BTreeMap::new() }));
        } else if line.starts_with(b"line ") {
            host = None;
        } else if let (Some(setting), Some(entry)) = (indented(line, b"        "), entries.last_mut()) {
            if let Some(device) = setting.strip_prefix(b"device ") {
                entry.device = Some(OsString::from_vec(device.to_vec()));
            } else {
                entry.set(setting);
            }
        }
    }
    entries
}

impl DiskEntry {
    /// Only names in capitals are settings of the dumptype; `program` and `spindle` in small letters repeat some.
    fn set(&mut self, line: &[u8]) {
        let mut words = split_words(line);
        let Some(name) = words.next().and_then(|name| std::str::from_utf8(name).ok()) else { return };
        if name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-') {
            self.settings.entry(name.to_owned()).or_insert_with(|| words.rest().trim_ascii_end().to_vec());
        }
    }
}

fn indented<'a>(line: &'a [u8], indent: &[u8]) -> Option<&'a [u8]> {
    line.strip_prefix(indent).filter(|rest| !rest.starts_with(b" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LAPTOP: &[u8] = include_bytes!("../../tests/fixtures/disklist.laptop");

    #[test]
    fn a_real_disklist_is_read() {
        let entries = parse(LAPTOP);
        let [home, data] = &entries[..] else { panic!("two disks") };
        assert_eq!(home.dle, Dle::new("127.0.0.4", "/srv/aafx/src/home docs"));
        assert_eq!(data.dle, Dle::new("127.0.0.5", "/srv/aafx/src/data"));
        assert_eq!((home.auth().as_str(), home.program().as_str()), ("local", "GNUTAR"));
        assert_eq!((home.application(), home.device.as_ref()), (None, None));
        assert_eq!(home.estimate(), ["SERVER"]);
        assert_eq!((home.from_client(), home.from_server()), (true, false));
        assert_eq!((home.holdingdisk().as_str(), home.strategy().as_str()), ("AUTO", "STANDARD"));
        assert_eq!((home.compress().as_str(), home.encrypt().as_str()), ("CLIENT FAST", "NONE"));
        assert_eq!((home.record(), home.index(), home.ignore()), (true, true, false));
        assert_eq!(home.setting("DUMPCYCLE"), Some(&b"7"[..]));
        assert_eq!(home.setting("SERVER-DECRYPT-OPTION"), Some(&b"\"-d\""[..]));
    }

    #[test]
    fn who_changes_the_bytes_follows_from_compress_and_encrypt() {
        for (compress, encrypt, server_side) in [
            ("COMPRESS NONE", "ENCRYPT NONE", false),
            ("COMPRESS CLIENT FAST", "ENCRYPT CLIENT", false),
            ("COMPRESS SERVER FAST", "ENCRYPT NONE", true),
            ("COMPRESS CLIENT CUSTOM", "ENCRYPT SERVER", true),
            ("COMPRESS NONE", "", true),
        ] {
            let text = format!("    host h:\n    disk /d:\n        {compress}\n        {encrypt}\n");
            let entries = parse(text.as_bytes());
            assert_eq!(entries[0].transform(), Transform { server_side }, "{compress} {encrypt}");
        }
    }

    #[test]
    fn dump_limits_say_who_starts_a_dump() {
        for (limit, client, server) in
            [("", false, true), ("SERVER ", false, true), ("SAME-HOST ", true, false), ("SERVER SAME-HOST ", true, true)]
        {
            let text = format!("    host h:\n    disk /d:\n        DUMP-LIMIT          {limit}\n");
            let entry = &parse(text.as_bytes())[0];
            assert_eq!((entry.from_client(), entry.from_server()), (client, server), "{limit:?}");
        }
    }

    #[test]
    fn a_disk_with_a_device_and_a_colon_keeps_both() {
        let entries = parse(b"line 1 (x):\n    host h:\n    disk C:/data:\n        device //pc/c$\n");
        assert_eq!(entries[0].dle, Dle::new("h", "C:/data"));
        assert_eq!(entries[0].device, Some("//pc/c$".into()));
    }

    proptest! {
        #[test]
        fn no_output_breaks_the_parser(cut in 0..LAPTOP.len(), junk in "[ a-zA-Z:\n\"]{0,60}") {
            let _ = parse(&[&LAPTOP[cut..], junk.as_bytes()].concat());
        }
    }
}
