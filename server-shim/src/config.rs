//! shim.toml: what the administrator decides. Nothing a laptop says is looked up anywhere else.
//!
//! Unknown keys are errors, with file, line and the nearest key; so is a file that others than root and its reader may write.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};
use wire::{ConfigName, DiskName, HostName};

use crate::layout::Layout;
use crate::restore::grants::Grant;

/// Where shim.toml is when nobody says otherwise.
pub const DEFAULT_FILE: &str = "/etc/asyncamanda/shim.toml";

/// Why there is no usable configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not what the documentation says; the text has line, column and the nearest key.
    #[error("{path}: {message}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        message: String,
    },
    /// Somebody else may write it.
    #[error("{path} may be written by others than root and its reader (mode {mode:o}, owner {uid}), so it cannot be trusted")]
    Untrusted {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// Its owner.
        uid: u32,
    },
}

/// Which engine makes the dumps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// The installed Amanda.
    #[default]
    Amanda,
    /// A small Amanda server in this program, on Amanda's own files: no Amanda is needed.
    Embedded,
    /// None: every trigger is answered with FAILED receipts. For measuring the way there and back.
    None,
}

/// How the shim starts the runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Door {
    /// `sudo -n -u DUMPUSER -- asyncamanda-shim runner`, allowed by one line in sudoers.
    #[default]
    Sudo,
    /// A systemd path unit watches the queue; the shim starts nothing.
    Systemd,
    /// The shim starts the runner itself: it is root, or it is the dump user.
    #[serde(rename = "self")]
    Itself,
}

/// `[runner]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Runner {
    /// How it is started.
    pub door: Door,
}

/// `[limits]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Runs at the same time on one catalog.
    pub parallel_runs: u32,
    /// Age at which a run lets a second one of the same config start beside it, for other hosts.
    #[serde(deserialize_with = "duration")]
    pub second_run_after: Duration,
    /// How long a ticket waits for others that come at the same moment, so that they share a run.
    #[serde(deserialize_with = "duration")]
    pub gather: Duration,
    /// A run without any sign of progress for so long is ended. Longer than Amanda's own dtimeout (30 minutes).
    #[serde(deserialize_with = "duration")]
    pub stall: Duration,
    /// How long the ticket of a laptop whose session has ended waits for it to call again.
    #[serde(deserialize_with = "duration")]
    pub away: Duration,
    /// Tickets in the queue, all hosts together.
    pub queue: usize,
    /// Runs of one host within 24 hours.
    pub runs_per_day: u32,
    /// Bytes stored for one host within 24 hours, such as "50 GiB"; none is no limit.
    #[serde(deserialize_with = "optional_bytes")]
    pub bytes_per_day: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            parallel_runs: 2,
            second_run_after: Duration::from_secs(5 * 60),
            gather: Duration::from_millis(500),
            stall: Duration::from_secs(45 * 60),
            away: Duration::from_secs(60),
            queue: 1000,
            runs_per_day: 48,
            bytes_per_day: None,
        }
    }
}

/// `[flush]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flush {
    /// The shared config: its catalog is the catalog, its tapes are fed.
    pub config: ConfigName,
    /// Flush when this much lies on the holding disks, such as "20 GiB".
    #[serde(default, deserialize_with = "optional_bytes")]
    pub after: Option<u64>,
    /// Flush at the first run after this time of day, `HH:MM`.
    #[serde(default, deserialize_with = "time_of_day")]
    pub at: Option<chrono::NaiveTime>,
}

/// How Amanda gets to a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// Through the session that the laptop has opened.
    #[default]
    Tunnel,
    /// By itself, over the network.
    Network,
    /// It is this machine: the embedded engine starts its client (`[local] client`).
    Local,
}

/// `[local]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Local {
    /// The program that is this machine's client, by absolute path, and its arguments.
    #[serde(deserialize_with = "program")]
    pub client: Vec<String>,
}

impl Default for Local {
    fn default() -> Self {
        Self { client: ["/usr/bin/sudo", "-n", "/usr/bin/asyncamanda", "client"].map(str::to_owned).into() }
    }
}

/// `[host.NAME]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostRule {
    /// The shared config, or this host's overlay of it.
    pub config: ConfigName,
    /// The disks this host may ask for; all that the disklist has for it when none is named.
    #[serde(default)]
    pub disks: Vec<DiskName>,
    /// How Amanda gets to it.
    #[serde(default)]
    pub reach: Reach,
    /// Other hosts whose dumps it may read.
    #[serde(default)]
    pub restore: Vec<Grant>,
}

/// shim.toml.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Which engine.
    #[serde(default)]
    pub engine: EngineKind,
    /// Queue, receipts.
    #[serde(default = "default_state")]
    pub state: PathBuf,
    /// Locks.
    #[serde(default = "default_runtime")]
    pub runtime: PathBuf,
    /// Amanda's own account.
    #[serde(default = "default_dump_user")]
    pub dump_user: String,
    /// Where Amanda's programs are.
    #[serde(default = "default_sbin")]
    pub amanda_sbin: PathBuf,
    /// Where the configs are that the embedded engine serves: directories with an amanda.conf. Amanda itself knows where its own are.
    #[serde(default = "default_config_dir")]
    pub config_dir: PathBuf,
    /// The runner.
    #[serde(default)]
    pub runner: Runner,
    /// Limits.
    #[serde(default)]
    pub limits: Limits,
    /// The shared tapes.
    #[serde(default)]
    pub flush: Option<Flush>,
    /// This machine's own disks.
    #[serde(default)]
    pub local: Local,
    /// The hosts that may call.
    #[serde(default, rename = "host")]
    pub hosts: BTreeMap<HostName, HostRule>,
    /// The file this came from.
    #[serde(skip)]
    pub file: PathBuf,
}

impl Config {
    /// Returns where everything lies.
    pub fn layout(&self) -> Layout {
        Layout::new(&self.state, &self.runtime)
    }

    /// Returns the heading of a host's rule, as it has to be typed: TOML wants quotes around a name with dots.
    pub fn heading(host: &HostName) -> String {
        if host.as_str().contains('.') { format!("[host.\"{host}\"]") } else { format!("[host.{host}]") }
    }

    /// Returns the dump user's number; none when there is no such user.
    pub fn dump_uid(&self) -> Option<u32> {
        nix::unistd::User::from_name(&self.dump_user).ok().flatten().map(|user| user.uid.as_raw())
    }

    /// Returns the dump user's number and the number of its group; none when there is no such user.
    pub fn dump_account(&self) -> Option<(u32, u32)> {
        nix::unistd::User::from_name(&self.dump_user).ok().flatten().map(|user| (user.uid.as_raw(), user.gid.as_raw()))
    }

    /// Returns the shared config that an overlay must share its catalog with; the host's own config when no tapes are fed. The
    /// embedded engine leaves nothing behind that would have to be flushed.
    pub fn shared_config<'a>(&'a self, own: &'a ConfigName) -> &'a ConfigName {
        self.flush.as_ref().filter(|_| self.engine == EngineKind::Amanda).map_or(own, |flush| &flush.config)
    }

    /// Returns the directory of a config that the embedded engine serves.
    pub fn config_directory(&self, config: &ConfigName) -> PathBuf {
        self.config_dir.join(config.as_str())
    }
}

fn default_state() -> PathBuf {
    "/var/lib/asyncamanda-shim".into()
}
fn default_runtime() -> PathBuf {
    "/run/asyncamanda".into()
}
fn default_dump_user() -> String {
    "backup".into()
}
fn default_sbin() -> PathBuf {
    "/usr/sbin".into()
}
fn default_config_dir() -> PathBuf {
    "/etc/amanda".into()
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text)
        .map_err(|error| de::Error::custom(format!("\"{text}\" is not a duration ({error}); write it like \"90 s\" or \"5 min\"")))
}

fn optional_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_bytes(&text)
        .map(Some)
        .ok_or_else(|| de::Error::custom(format!("\"{text}\" is not a size; write it like \"20 GiB\" or \"500 MB\"")))
}

fn program<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let words = Vec::<String>::deserialize(deserializer)?;
    let is_one = words.first().is_some_and(|program| program.starts_with('/'));
    if is_one { Ok(words) } else { Err(de::Error::custom("it has to begin with a program, by its absolute path")) }
}

fn time_of_day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<chrono::NaiveTime>, D::Error> {
    let text = String::deserialize(deserializer)?;
    chrono::NaiveTime::parse_from_str(&text, "%H:%M")
        .map(Some)
        .map_err(|_| de::Error::custom(format!("\"{text}\" is not a time of day; write it like \"03:30\"")))
}

/// Reads "20 GiB", "500 MB", "1024": a whole number and a unit, binary or decimal.
pub(crate) fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let unit: u64 = match text[digits..].trim() {
        "" | "B" => 1,
        "kB" | "KB" => 1000,
        "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "MiB" => 1 << 20,
        "GB" => 1_000_000_000,
        "GiB" => 1 << 30,
        "TB" => 1_000_000_000_000,
        "TiB" => 1 << 40,
        _ => return None,
    };
    number.checked_mul(unit)
}

/// Returns what holds where there is no shim.toml: every key has a default.
pub fn usual() -> Config {
    let config = parse("").expect("an empty file is valid");
    Config { file: DEFAULT_FILE.into(), ..config }
}

/// Reads shim.toml, refusing one that others may write.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let read = |source| ConfigError::Read { path: path.to_owned(), source };
    let metadata = fs::metadata(path).map_err(read)?;
    let ours = metadata.uid() == 0 || metadata.uid() == nix::unistd::geteuid().as_raw();
    if !ours || metadata.mode() & 0o022 != 0 {
        return Err(ConfigError::Untrusted { path: path.to_owned(), mode: metadata.mode() & 0o7777, uid: metadata.uid() });
    }
    let text = fs::read_to_string(path).map_err(read)?;
    let mut config = parse(&text).map_err(|message| ConfigError::Parse { path: path.to_owned(), message })?;
    // The runner is started with this path from another directory.
    config.file = std::path::absolute(path).map_err(read)?;
    Ok(config)
}

/// Reads the text of shim.toml; the error is one sentence with line and column.
pub fn parse(text: &str) -> Result<Config, String> {
    toml::from_str(text).map_err(|error| explain(text, &error))
}

/// Puts line, column and the nearest key beside toml's own words.
fn explain(text: &str, error: &toml::de::Error) -> String {
    let place = error.span().map_or_else(String::new, |span| {
        let before = &text[..span.start.min(text.len())];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
        format!("line {line}, column {column}: ")
    });
    let message = error.message();
    format!("{place}{message}{}", nearest_key(message).map_or_else(String::new, |key| format!("; did you mean `{key}`?")))
}

/// Finds the nearest of the keys that serde lists as expected: "unknown field `a`, expected one of `b`, `c`".
fn nearest_key(message: &str) -> Option<String> {
    let rest = message.strip_prefix("unknown field `")?;
    let (unknown, expected) = rest.split_once('`')?;
    let nearest = expected.split('`').skip(1).step_by(2).map(|key| (strsim::damerau_levenshtein(unknown, key), key)).min()?;
    (nearest.0 <= 3).then(|| nearest.1.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_the_documented_defaults() {
        let config = parse("").expect("all keys have defaults");
        assert_eq!(config.engine, EngineKind::Amanda);
        assert_eq!(config.state, PathBuf::from("/var/lib/asyncamanda-shim"));
        assert_eq!(config.config_directory(&"daily".parse().expect("name")), PathBuf::from("/etc/amanda/daily"));
        assert_eq!((config.limits.parallel_runs, config.limits.second_run_after.as_secs()), (2, 300));
        assert_eq!(config.runner.door, Door::Sudo);
    }

    #[test]
    fn hosts_and_limits_are_read() {
        let config = parse("[limits]\nstall = \"1 h\"\n[flush]\nconfig = \"laptops\"\nafter = \"20 GiB\"\nat = \"03:30\"\n[host.laptop1]\nconfig = \"laptops\"\n").expect("valid");
        assert_eq!(config.limits.stall.as_secs(), 3600);
        let flush = config.flush.expect("flush");
        assert_eq!((flush.after, flush.at), (Some(20 << 30), chrono::NaiveTime::from_hms_opt(3, 30, 0)));
        assert_eq!(config.hosts[&"laptop1".parse::<HostName>().expect("host")].config.as_str(), "laptops");
    }

    #[test]
    fn only_amandas_own_tapes_are_shared() {
        let shared = |engine: &str| {
            let config = parse(&format!("engine = \"{engine}\"\n[flush]\nconfig = \"tapes\"\n")).expect("valid");
            config.shared_config(&"own".parse().expect("name")).to_string()
        };
        assert_eq!((shared("amanda"), shared("embedded")), ("tapes".to_owned(), "own".to_owned()));
    }

    #[test]
    fn each_fault_is_named_with_its_place() {
        for (text, parts) in [
            ("sate = \"/x\"", &["line 1", "`sate`", "did you mean `state`?"][..]),
            ("\n\n[limits]\nparalel_runs = 2", &["line 4", "did you mean `parallel_runs`?"]),
            ("[limits]\nstall = \"soon\"", &["line 2", "\"soon\" is not a duration"]),
            ("[flush]\nafter = \"1 GiB\"", &["missing field `config`"]),
            ("[flush]\nconfig = \"a\"\nafter = \"much\"", &["line 3", "is not a size"]),
            ("[flush]\nconfig = \"a\"\nat = \"25:00\"", &["line 3", "is not a time of day"]),
            ("[host.\"../x\"]\nconfig = \"a\"", &["line 1", "the host name has the character '.'"]),
            ("[host.a]\nconfig = \"-f\"", &["line 2", "the config name has the character '-'"]),
            ("engine = \"tape\"", &["line 1", "unknown variant `tape`"]),
            ("[host.a]\nconfig = \"a\"\nreach = \"wlan\"", &["line 3", "unknown variant `wlan`", "`tunnel`, `network`, `local`"]),
            ("[local]\nclient = [\"amandad\"]", &["line 2", "by its absolute path"]),
            ("[host.a]\nconfig = \"a\"\nreech = \"tunnel\"", &["line 3", "did you mean `reach`?"]),
            ("state = ", &["line 1"]),
        ] {
            let message = parse(text).expect_err(text);
            for part in parts {
                assert!(message.contains(part), "{text:?}: {message:?} has no {part:?}");
            }
        }
    }

    #[test]
    fn a_file_that_others_may_write_is_not_trusted() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("shim.toml");
        fs::write(&path, "").expect("write");
        for (mode, trusted) in [(0o644, true), (0o664, false), (0o646, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("chmod");
            assert_eq!(load(&path).is_ok(), trusted, "mode {mode:o}");
        }
    }
}
