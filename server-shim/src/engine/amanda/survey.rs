//! What a config says, in Amanda's own reading of it: `amadmin CONFIG config` and `amadmin CONFIG disklist` resolve
//! includefiles, inheritance and defaults for us, in 15 ms each.

use std::ffi::OsString;
use std::path::PathBuf;

use amanda::admin::{DiskEntry, disklist};
use wire::{ConfigName, DiskName};

use super::programs::Programs;
use crate::engine::{DiskRule, Survey, Trouble};

/// The settings of a config that matter here, as `amadmin CONFIG config` prints them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Name and value of each global setting, quotes taken away.
    pub globals: Vec<(String, String)>,
    /// Directories of the holding disks that are in use.
    pub holding: Vec<PathBuf>,
    /// What they may hold together, in KiB; none when one of them may take all but some room.
    pub holding_kb: Option<u64>,
    /// What a volume of the config's tapetype holds, in KiB.
    pub volume_kb: Option<u64>,
}

impl Settings {
    /// Returns a global setting.
    pub fn get(&self, name: &str) -> &str {
        self.globals.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// Names the catalog: what two configs must share for a flush of one to keep the other's history.
    pub fn catalog(&self) -> String {
        let mut holding: Vec<_> = self.holding.iter().map(|path| path.display().to_string()).collect();
        holding.sort();
        let parts = ["LOGDIR", "INFOFILE", "INDEXDIR", "TAPELIST"].map(|key| format!("{}={}", key.to_lowercase(), self.get(key)));
        format!("{} holding={}", parts.join(" "), holding.join(","))
    }
}

/// The definition that a line belongs to.
enum Block {
    Holding(String, PathBuf),
    Tapetype(String),
    Other,
}

/// Reads `512000K`, as amadmin prints sizes.
fn kib(value: &str) -> i64 {
    value.trim_end_matches('K').parse().unwrap_or(0)
}

/// Reads the output of `amadmin CONFIG config`: `NAME  value` lines, then `DEFINE kind name {` blocks.
pub fn parse_config(output: &[u8]) -> Settings {
    let text = String::from_utf8_lossy(output);
    let mut settings = Settings::default();
    let mut in_use: Vec<String> = Vec::new();
    let mut defined: Vec<(String, PathBuf, i64)> = Vec::new();
    let mut volumes: Vec<(String, i64)> = Vec::new();
    let mut block = Block::Other;
    let mut outside = true;
    for line in text.lines() {
        let (name, value) = line.trim().split_once(char::is_whitespace).unwrap_or((line.trim(), ""));
        let value = value.trim().trim_matches('"');
        if line.starts_with("DEFINE ") {
            let (kind, name) = value.split_once(' ').unwrap_or((value, ""));
            let name = name.trim_end_matches([' ', '{']).trim_matches('"').to_owned();
            block = match kind {
                "HOLDINGDISK" => Block::Holding(name, PathBuf::new()),
                "TAPETYPE" => Block::Tapetype(name),
                _ => Block::Other,
            };
            outside = false;
        } else if line.starts_with('}') {
            outside = true;
        } else if !outside {
            match (&mut block, name) {
                (Block::Holding(_, directory), "DIRECTORY") => *directory = value.into(),
                (Block::Holding(name, directory), "USE") => defined.push((name.clone(), directory.clone(), kib(value))),
                (Block::Tapetype(name), "LENGTH") => volumes.push((name.clone(), kib(value))),
                _ => {}
            }
        } else if name == "HOLDINGDISK" {
            in_use.extend(value.split_ascii_whitespace().map(|name| name.trim_matches('"').to_owned()));
        } else if !name.is_empty() && !name.starts_with('#') {
            settings.globals.push((name.to_owned(), value.to_owned()));
        }
    }
    defined.retain(|(name, _, _)| in_use.contains(name));
    settings.holding_kb = defined.iter().map(|(_, _, kb)| u64::try_from(*kb).ok().filter(|kb| *kb > 0)).sum();
    settings.holding = defined.into_iter().map(|(_, directory, _)| directory).collect();
    let tapetype = settings.get("TAPETYPE");
    settings.volume_kb = volumes.iter().find(|(name, _)| name == tapetype).and_then(|(_, kb)| u64::try_from(*kb).ok());
    settings
}

/// Reads the settings of a config.
pub fn settings(programs: &Programs, config: &ConfigName) -> Result<Settings, Trouble> {
    let arguments: [OsString; 2] = [config.as_str().into(), "config".into()];
    let settings = parse_config(&programs.amadmin(&arguments)?);
    if settings.get("LOGDIR").is_empty() {
        return Err(Trouble::config(
            format!("amadmin {config} config names no logdir"),
            format!("try it as the dump user: amadmin {config} config"),
        ));
    }
    Ok(settings)
}

/// Reads the disks of a config, with everything their dumptypes say.
pub fn entries(programs: &Programs, config: &ConfigName) -> Result<Vec<DiskEntry>, Trouble> {
    let arguments: [OsString; 2] = [config.as_str().into(), "disklist".into()];
    Ok(disklist::parse(&programs.amadmin(&arguments)?))
}

/// Reads what a config says.
pub fn survey(programs: &Programs, config: &ConfigName) -> Result<Survey, Trouble> {
    let settings = settings(programs, config)?;
    let disks = entries(programs, config)?;
    Ok(Survey {
        config: config.clone(),
        catalog: settings.catalog(),
        logdir: settings.get("LOGDIR").into(),
        indexdir: settings.get("INDEXDIR").into(),
        holding: settings.holding,
        disks: disks.iter().filter_map(rule).collect(),
    })
}

/// Returns what matters of one disk; none when its name is one that nobody could ask for.
fn rule(entry: &DiskEntry) -> Option<DiskRule> {
    Some(DiskRule {
        host: entry.dle.host.clone(),
        disk: DiskName::new(entry.dle.disk.clone()).ok()?,
        by_client: entry.from_client(),
        by_server: entry.from_server(),
        changed_on_server: entry.transform().server_side,
        ignored: entry.ignore() || entry.strategy().eq_ignore_ascii_case("SKIP"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "# AMANDA CONFIGURATION FROM FILE '/etc/amanda/daily/amanda.conf':\n\nORG                   \"daily\"\nTAPELIST              \"/srv/tapelist\"\nINFOFILE              \"/srv/info\"\nLOGDIR                \"/srv/log\"\nINDEXDIR              \"/srv/index\"\nHOLDINGDISK           hd1 hd2\nRESERVE               100\nTAPETYPE              T\n\nDEFINE HOLDINGDISK hd1 {\n      COMMENT   \"\"\n      DIRECTORY \"/srv/hold one\"\n      USE       512000K\n}\n\nDEFINE HOLDINGDISK spare {\n      DIRECTORY \"/srv/spare\"\n      USE       1K\n}\n\nDEFINE HOLDINGDISK hd2 {\n      DIRECTORY \"/srv/hold2\"\n      USE       1000K\n}\n\nDEFINE TAPETYPE T {\n      LENGTH    204800K\n}\n\nDEFINE DUMPTYPE x {\n      HOLDINGDISK         AUTO\n#      RECORD yes\n}\n";

    #[test]
    fn settings_and_the_holding_disks_in_use_are_read() {
        let settings = parse_config(OUTPUT.as_bytes());
        assert_eq!((settings.get("RESERVE"), settings.get("ORG"), settings.get("NONE")), ("100", "daily", ""));
        assert_eq!(settings.holding, [PathBuf::from("/srv/hold one"), PathBuf::from("/srv/hold2")]);
        assert_eq!(
            settings.catalog(),
            "logdir=/srv/log infofile=/srv/info indexdir=/srv/index tapelist=/srv/tapelist holding=/srv/hold one,/srv/hold2"
        );
    }

    #[test]
    fn a_config_without_holding_disk_has_none() {
        assert!(parse_config(b"LOGDIR \"/l\"\nHOLDINGDISK\n").holding.is_empty());
        assert!(parse_config(b"").globals.is_empty());
    }
}
