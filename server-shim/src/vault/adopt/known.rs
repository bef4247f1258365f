//! What belongs to a vault: settings and files. Anything else is somebody's, who knows what it is for.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use amanda::conf::vault::Vault;
use amanda::conf::{Config, Kind, Setting, Settings, Source};
use amanda::escape::printable;

const KINDS: [Kind; 12] = [
    Kind::Dumptype,
    Kind::Tapetype,
    Kind::Holdingdisk,
    Kind::Interface,
    Kind::Application,
    Kind::Script,
    Kind::Device,
    Kind::Changer,
    Kind::Interactivity,
    Kind::Taperscan,
    Kind::Policy,
    Kind::Storage,
];

/// One file in memory.
struct Text(Vec<u8>);

impl Source for Text {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        if path.file_name() == Some(OsStr::new("amanda.conf")) { Ok(self.0.clone()) } else { Err(io::ErrorKind::NotFound.into()) }
    }
}

/// Returns a vault's amanda.conf as it is made, with everything in it that one may have.
fn usual(name: &str) -> Option<Config> {
    let vault = Vault {
        name: name.to_owned(),
        directory: "/vault".into(),
        dumpuser: "x".to_owned(),
        dumpcycle: 1,
        retention_days: 1,
        volumes: 1,
        volume_kb: 1024,
        compress: "/usr/bin/zstd".into(),
        exclude: vec!["x".into()],
    };
    Config::load(Path::new("/vault"), &Text(vault.conf())).ok()
}

/// Names the settings of a vault's amanda.conf that no vault has, each with its place. Values are the administrator's.
pub fn strange_settings(config: &Config, name: &str) -> Vec<String> {
    let Some(usual) = usual(name) else { return vec![format!("{name} is no name for a vault")] };
    let mut strange: Vec<String> = config.files().iter().skip(1).map(|file| format!("{} is included", file.display())).collect();
    strange.extend(beyond(config.settings(), usual.settings(), ""));
    for kind in KINDS {
        for section in config.sections(kind) {
            match usual.section(kind, &section.name) {
                Some(known) => strange.extend(beyond(&section.settings, &known.settings, &format!(" of {} {}", kind.name(), section.name))),
                None => strange.push(format!("{}:{}: {} {}", section.file.display(), section.at.line, kind.name(), section.name)),
            }
        }
    }
    strange
}

fn beyond(settings: &Settings, known: &Settings, of: &str) -> Vec<String> {
    let place = |name: &str, setting: &Setting| format!("{}:{}: {name}{of}", setting.file.display(), setting.at.line);
    settings.iter().filter(|(name, _)| known.get(name).is_none()).map(|(name, setting)| place(name, setting)).collect()
}

/// Returns amanda.conf with another account in it; nothing else is touched, comments neither.
pub fn with_dumpuser(text: &[u8], config: &Config, dumpuser: &str) -> Vec<u8> {
    let line = format!("dumpuser \"{dumpuser}\"\n").into_bytes();
    let Some(at) = config.settings().get("dumpuser").map(|setting| setting.at.line) else { return [&line[..], text].concat() };
    let lines = text.split_inclusive(|byte| *byte == b'\n').enumerate();
    lines.flat_map(|(number, old)| if number + 1 == at { line.clone() } else { old.to_vec() }).collect()
}

/// What kind of thing a name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A directory.
    Directory,
    /// A file with one name.
    File,
    /// A symbolic link.
    Link,
    /// A file with several names, a socket, a device.
    Other,
}

/// Tells whether something belongs to a vault, by its path in it.
pub fn is_ours(path: &Path, what: What) -> bool {
    let parts: Vec<&[u8]> = path.iter().map(OsStr::as_bytes).collect();
    let is_slot =
        |name: &[u8]| name.strip_prefix(b"slot").is_some_and(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit));
    let is_volumes_file = |name: &[u8]| {
        let digits = name.iter().take_while(|byte| byte.is_ascii_digit()).count();
        digits >= 5 && name.get(digits) == Some(&b'.')
    };
    // Written, and not renamed yet when somebody was killed.
    let is_draft = |name: &[u8]| name.ends_with(b".asyncamanda-new") || name.starts_with(b".asyncamanda-");
    match (parts.as_slice(), what) {
        (_, What::Other) => false,
        ([name], What::File) => [&b"amanda.conf"[..], b"disklist", b"tapelist", b"tapelist.lock"].contains(name) || is_draft(name),
        ([name], What::Link) => *name == b"tapelist.last_write",
        ([name], What::Directory) => {
            [&b"vtapes"[..], b"curinfo", b"index", b"log", b"holding", b".asyncamanda", b"lost+found"].contains(name)
        }
        ([b"vtapes", name], What::Directory) => is_slot(name),
        ([b"vtapes", name], What::File) => [&b"state"[..], b"state.lock"].contains(name) || is_draft(name),
        ([b"vtapes", name], What::Link) => *name == b"data" || is_draft(name),
        ([b"vtapes", slot, name], What::File) => is_slot(slot) && (is_volumes_file(name) || is_draft(name)),
        // What Amanda's own programs leave for people.
        ([b"log", name], What::Link) => *name == b"log" || name.starts_with(b"amdump"),
        ([b"vtapes", ..] | [b"lost+found", ..] | [], _) | (_, What::Link) => false,
        ([b"curinfo" | b"index" | b"log" | b"holding" | b".asyncamanda", ..], _) => true,
        _ => false,
    }
}

/// Names what in a directory does not belong to a vault: `vtapes/slot1/x`. A `lost+found` at the top is the file system's.
///
/// # Errors
/// When something cannot be read.
pub fn strange_files(directory: &Path) -> io::Result<Vec<String>> {
    let mut strange = Vec::new();
    let mut open = vec![PathBuf::new()];
    while let Some(inside) = open.pop() {
        for entry in std::fs::read_dir(directory.join(&inside))? {
            let entry = entry?;
            let path = inside.join(entry.file_name());
            let data = entry.metadata()?;
            let kind = data.file_type();
            let what = match (kind.is_dir(), kind.is_symlink(), kind.is_file() && std::os::unix::fs::MetadataExt::nlink(&data) == 1) {
                (true, ..) => What::Directory,
                (_, true, _) => What::Link,
                (_, _, true) => What::File,
                _ => What::Other,
            };
            if !is_ours(&path, what) {
                strange.push(printable(path.as_os_str().as_bytes()));
            } else if what == What::Directory && path != Path::new("lost+found") {
                open.push(path);
            }
        }
    }
    strange.sort();
    Ok(strange)
}

/// Names some, and says how many more there are.
pub fn shown(names: &[String]) -> String {
    let mut some: Vec<String> = names.iter().take(5).cloned().collect();
    if names.len() > some.len() {
        some.push(format!("{} more", names.len() - some.len()));
    }
    some.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> String {
        let vault = Vault {
            name: "vault-1".to_owned(),
            directory: "/media/a b/vault".into(),
            dumpuser: "ada".to_owned(),
            dumpcycle: 14,
            retention_days: 30,
            volumes: 12,
            volume_kb: 1 << 20,
            compress: "/usr/bin/zstd".into(),
            exclude: vec![],
        };
        String::from_utf8(vault.conf()).expect("UTF-8")
    }

    fn config(text: &str) -> Config {
        Config::load(Path::new("/media/a b/vault"), &Text(text.as_bytes().to_vec())).expect("valid")
    }

    #[test]
    fn what_no_vault_has_is_named_with_its_place() {
        let strange = |text: &str| strange_settings(&config(text), "vault-1");
        assert_eq!(strange(&text()), Vec::<String>::new());
        // Other values are the administrator's business.
        let other = text()
            .replace("dumpcycle 14", "dumpcycle 3")
            .replace("compress client custom", "compress client custom\n    exclude append \"*.iso\"");
        assert_eq!(strange(&other), Vec::<String>::new());
        for (more, part) in [
            ("inparallel 3\n", "inparallel"),
            ("define dumptype mine {\n  program \"GNUTAR\"\n}\n", "dumptype mine"),
            ("define script-tool s {\n  plugin \"x\"\n}\n", "script s"),
        ] {
            let found = strange(&format!("{}{more}", text()));
            assert!(found.len() == 1 && found[0].contains(part) && found[0].contains("amanda.conf:"), "{more}: {found:?}");
        }
        let found = strange(&text().replacen("auth \"local\"", "auth \"local\"\n    encrypt client", 1));
        // The other dumptype is built upon it.
        assert!(found.iter().any(|found| found.contains("encrypt of dumptype vault")), "{found:?}");
    }

    #[test]
    fn the_account_is_the_only_thing_that_changes() {
        let before = format!("# mine\n{}", text());
        let after = String::from_utf8(with_dumpuser(before.as_bytes(), &config(&before), "backup")).expect("UTF-8");
        assert_eq!(after, before.replace("dumpuser \"ada\"", "dumpuser \"backup\""));
        assert_ne!(after, before);
        let without = before.replace("dumpuser \"ada\"\n", "");
        let after = with_dumpuser(without.as_bytes(), &config(&without), "backup");
        assert_eq!(String::from_utf8(after).expect("UTF-8"), format!("dumpuser \"backup\"\n{without}"));
    }

    #[test]
    fn a_vaults_own_files_are_known_and_others_are_not() {
        use What::{Directory, File, Link, Other};
        for (path, what, ours) in [
            ("amanda.conf", File, true),
            ("amanda.conf", Link, false),
            ("amanda.conf", Other, false),
            ("notes.txt", File, false),
            ("photos", Directory, false),
            ("lost+found", Directory, true),
            ("tapelist.last_write", Link, true),
            ("vtapes/slot12", Directory, true),
            ("vtapes/slot", Directory, false),
            ("vtapes/data", Link, true),
            ("vtapes/slot1/00000.vault-1-001", File, true),
            ("vtapes/slot1/00001.host._home.0", File, true),
            ("vtapes/slot1/letter.odt", File, false),
            ("vtapes/slot1/more", Directory, false),
            ("log/log.20261122000000.0", File, true),
            ("log/evil", Link, false),
            ("log/amdump.1", Link, true),
            ("holding/20261122000000/a._home.0.tmp", File, true),
            ("curinfo/a/_home/info", File, true),
            (".asyncamanda/disks/x.lock", File, true),
            ("index/a/x", Other, false),
        ] {
            assert_eq!(is_ours(Path::new(path), what), ours, "{path} {what:?}");
        }
    }
}
