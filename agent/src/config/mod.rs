//! What holds: the settings, each with the place it came from.
//!
//! Precedence, the first one that names a setting wins:
//! 1. flags: `--interval`, `--amandates`, `--state`, `--destination`, and `--to` of `now`;
//! 2. environment: `ASYNCAMANDA_INTERVAL`, `ASYNCAMANDA_STATE`, `ASYNCAMANDA_DESTINATION`;
//! 3. the file: `--config`, else `ASYNCAMANDA_CONFIG`, else `/etc/asyncamanda/agent.toml`, else the user's
//!    `asyncamanda/agent.toml` under the XDG configuration directory;
//! 4. defaults. The key and the pinned host keys are looked for beside the file.
//!
//! [`resolve`] is pure. [`load`] reads the environment and the file, [`file`](mod@file) parses it. A server's own machine needs no
//! destination, and has a smaller set of settings ([`local`]).

pub mod destination;
pub mod file;
pub mod interval;
pub mod load;
pub mod local;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use wire::{DiskName, HostName};

pub use destination::{Destination, DestinationError, SshDestination};
pub use interval::Interval;

/// How long a connection may take to come about, unless the file says otherwise.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The command line.
    Flag(&'static str),
    /// The environment.
    Environment(&'static str),
    /// A configuration file.
    File {
        /// Its path.
        path: Arc<Path>,
        /// The line, from 1.
        line: usize,
    },
    /// Nobody said anything.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) | Self::Environment(name) => f.write_str(name),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A value, its key and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting<T> {
    /// The key, without its table.
    pub key: String,
    /// The value.
    pub value: T,
    /// Its origin.
    pub from: Source,
}

impl<T> Setting<T> {
    fn default(key: &str, value: T) -> Self {
        Self { key: key.to_owned(), value, from: Source::Default }
    }

    /// Turns the value into another; the fault names key and place.
    fn parsed<U, S: AsRef<str> + ?Sized>(self, parse: impl FnOnce(&S) -> Result<U, Fault>) -> Result<Setting<U>, ConfigError>
    where
        T: std::borrow::Borrow<S>,
    {
        match parse(self.value.borrow()) {
            Ok(value) => Ok(Setting { key: self.key, value, from: self.from }),
            Err(Fault::Password) => Err(ConfigError::Password),
            Err(Fault::Words(problem)) => Err(ConfigError::Value { key: self.key, place: self.from, problem }),
        }
    }
}

/// One `[[disk]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Its name in the disklist.
    pub name: DiskName,
    /// The directory that is read.
    pub device: PathBuf,
    /// What this laptop keeps out of its backup, whatever the server's dumptype says: patterns as tar's `--exclude` has them.
    pub exclude: Vec<String>,
}

/// Which Amanda client answers when the server's Amanda comes through the tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientKind {
    /// The one in this program.
    Native,
    /// The installed amandad.
    Amandad,
}

/// Programs that the client may run unless the file says otherwise; those that are not there are not missed.
const PROGRAMS: [&str; 6] = ["/usr/bin/tar", "/bin/tar", "/usr/bin/gzip", "/bin/gzip", "/usr/bin/zstd", "/bin/zstd"];

/// What one place says; nothing is required of it.
#[derive(Debug, Default, Clone)]
#[expect(missing_docs, reason = "the fields are the keys of agent.toml")]
pub struct Layer {
    pub host: Option<Setting<HostName>>,
    pub interval: Option<Setting<Interval>>,
    pub state: Option<Setting<PathBuf>>,
    pub amandates: Option<Setting<PathBuf>>,
    pub destination: Option<Setting<Destination>>,
    pub identity: Option<Setting<PathBuf>>,
    pub known_hosts: Option<Setting<PathBuf>>,
    pub connect_timeout: Option<Setting<Duration>>,
    pub client: Option<Setting<ClientKind>>,
    pub lists: Option<Setting<PathBuf>>,
    pub programs: Option<Setting<Vec<PathBuf>>>,
    pub amandad: Option<Setting<PathBuf>>,
    pub gnutar_lists: Option<Setting<PathBuf>>,
    pub disks: Vec<Setting<Disk>>,
}

/// All settings.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the fields are the keys of agent.toml")]
pub struct Config {
    pub host: Option<Setting<HostName>>,
    pub interval: Setting<Interval>,
    pub state: Setting<PathBuf>,
    pub amandates: Setting<PathBuf>,
    pub destination: Setting<Destination>,
    pub identity: Setting<PathBuf>,
    pub known_hosts: Setting<PathBuf>,
    pub connect_timeout: Setting<Duration>,
    pub client: Setting<ClientKind>,
    pub programs: Setting<Vec<PathBuf>>,
    pub amandad: Setting<PathBuf>,
    pub gnutar_lists: Setting<PathBuf>,
    pub disks: Vec<Setting<Disk>>,
}

/// What the defaults depend on.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The file that was read, if there is one.
    pub file: Option<PathBuf>,
    /// All places where one was looked for.
    pub looked: Vec<PathBuf>,
    /// Where this user's state belongs.
    pub state: PathBuf,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No file anywhere.
    #[error("there is no configuration file")]
    Missing {
        /// Where it was looked for.
        looked: Vec<PathBuf>,
    },
    /// A file that cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Not TOML.
    #[error("{}:{line}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The parser's words.
        message: String,
    },
    /// A key that means nothing.
    #[error("{}:{line}: unknown key \"{key}\"{}{table}", path.display(), if table.is_empty() { "" } else { " in " })]
    UnknownKey {
        /// The file.
        path: Arc<Path>,
        /// The line, from 1.
        line: usize,
        /// The key.
        key: String,
        /// The table it stands in; empty at the top.
        table: &'static str,
        /// The known key that looks most like it.
        nearest: Option<&'static str>,
        /// The table where it would have a meaning; empty for the top.
        elsewhere: Option<&'static str>,
        /// All keys known there.
        known: &'static [&'static str],
    },
    /// A value that cannot be.
    #[error("{place}: {key}: {problem}")]
    Value {
        /// The key.
        key: String,
        /// Where it was said.
        place: Source,
        /// What is wrong with it.
        problem: String,
    },
    /// No server.
    #[error("no server is configured")]
    NoDestination {
        /// The file, if there is one.
        file: Option<PathBuf>,
    },
    /// A server where a directory is wanted.
    #[error("{flag}: \"{}\" is no directory", amanda::escape::printable(text.as_bytes()))]
    NoDirectory {
        /// The flag.
        flag: &'static str,
        /// What was typed.
        text: String,
    },
    /// A directory for a server, in a build that has no engine.
    #[error("{place}: destination: this build makes no backups into a directory")]
    LocalVault {
        /// Where it was said.
        place: Source,
    },
    /// A password in the destination.
    #[error("the destination holds a password")]
    Password,
}

/// What is wrong with a value, before it is known where it was said.
#[derive(Debug)]
pub enum Fault {
    /// A sentence for people.
    Words(String),
    /// A password, which is not to be repeated.
    Password,
}

impl Fault {
    fn about(text: &str, problem: impl fmt::Display) -> Self {
        Self::Words(format!("\"{}\": {problem}", amanda::escape::printable(text.as_bytes())))
    }
}

/// How paths are read: `~/` is the home, relative ones hang on a directory.
#[derive(Debug, Clone, Copy)]
pub struct Ways<'a> {
    /// The directory for relative paths; the current one when there is none.
    pub base: Option<&'a Path>,
    /// The home.
    pub home: Option<&'a Path>,
}

impl Ways<'_> {
    /// Reads a path.
    pub fn path(&self, text: &str) -> Result<PathBuf, Fault> {
        if text.is_empty() || text.contains('\0') {
            return Err(Fault::about(text, "it is not a path"));
        }
        if let Some(rest) = text.strip_prefix("~/") {
            let home = self.home.ok_or_else(|| Fault::about(text, "this user has no home directory"))?;
            return Ok(home.join(rest));
        }
        Ok(self.base.map_or_else(|| PathBuf::from(text), |base| base.join(text)))
    }

    /// Reads a server or a vault's directory.
    fn destination(&self, text: &str) -> Result<Destination, Fault> {
        if destination::is_path(text) {
            return self.vault(text);
        }
        Destination::parse(text).map_err(|error| match error {
            DestinationError::Password => Fault::Password,
            other => Fault::Words(other.to_string()),
        })
    }

    /// Reads a vault's directory, whatever it looks like.
    fn vault(&self, text: &str) -> Result<Destination, Fault> {
        Ok(Destination::Directory(plain(&self.path(text)?)))
    }
}

/// Returns an absolute path without `.` and `..`: by it a vault's receipts are found again. Links in it stay, since what they lead to may
/// be a drive that is not plugged in; but for those that a `..` comes behind, which must not pass over them.
fn plain(path: &Path) -> PathBuf {
    let path: PathBuf = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()).components().collect();
    let parts: Vec<_> = path.components().collect();
    let Some(last) = parts.iter().rposition(|part| *part == std::path::Component::ParentDir) else { return path };
    let up_to: PathBuf = parts[..=last].iter().collect();
    match up_to.canonicalize() {
        Ok(there) => parts[last + 1..].iter().fold(there, |path, part| path.join(part)),
        Err(_) => path,
    }
}

fn interval(text: &str) -> Result<Interval, Fault> {
    text.parse().map_err(|error| Fault::about(text, error))
}

fn host(text: &str) -> Result<HostName, Fault> {
    text.parse().map_err(|error: wire::NameError| Fault::Words(error.to_string()))
}

fn disk_name(text: &str) -> Result<DiskName, Fault> {
    DiskName::new(text).map_err(|error| Fault::Words(error.to_string()))
}

fn client_kind(text: &str) -> Result<ClientKind, Fault> {
    match text {
        "native" => Ok(ClientKind::Native),
        "amandad" => Ok(ClientKind::Amandad),
        _ => Err(Fault::about(text, "it is \"native\" (the client in this program) or \"amandad\" (the installed one)")),
    }
}

/// Reads the path of a program or a directory of the client: absolute, since no search path and no current directory chooses.
fn absolute(text: &str) -> Result<PathBuf, Fault> {
    let plain = text.starts_with('/') && !text.contains('\0') && !Path::new(text).components().any(|part| part.as_os_str() == "..");
    if plain { Ok(PathBuf::from(text)) } else { Err(Fault::about(text, "it must be an absolute path without \"..\"")) }
}

/// Reads a pattern: one line of a list that tar reads.
fn pattern(text: &str) -> Result<String, Fault> {
    let one_line = !text.is_empty() && !text.contains(['\n', '\0']);
    if one_line { Ok(text.to_owned()) } else { Err(Fault::about(text, "a pattern is one line, and not empty")) }
}

/// Reads a timeout: a bare number is seconds here.
fn seconds(text: &str) -> Result<Duration, Fault> {
    let span = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => humantime::parse_duration(text).map_err(|error| Fault::about(text, error))?,
    };
    if (1..=3600).contains(&span.as_secs()) { Ok(span) } else { Err(Fault::about(text, "it must be between 1 second and 1 hour")) }
}

/// Puts the layers on top of each other; the precedence stands in the module's documentation.
pub fn resolve(flags: Layer, environment: Layer, file: Layer, around: &Surroundings) -> Result<Config, ConfigError> {
    let beside = around.file.as_deref().and_then(Path::parent).unwrap_or(Path::new("/etc/asyncamanda"));
    let destination = flags.destination.or(environment.destination).or(file.destination);
    let Some(destination) = destination else {
        return Err(match &around.file {
            None => ConfigError::Missing { looked: around.looked.clone() },
            Some(file) => ConfigError::NoDestination { file: Some(file.clone()) },
        });
    };
    if !cfg!(feature = "embedded") && matches!(destination.value, Destination::Directory(_)) {
        return Err(ConfigError::LocalVault { place: destination.from });
    }
    // A server's disklist may say which directory a name stands for; a vault has it from here.
    let nameless = |disk: &&Setting<Disk>| matches!(destination.value, Destination::Directory(_)) && !disk.value.device.is_absolute();
    if let Some(disk) = file.disks.iter().find(nameless) {
        return Err(ConfigError::Value {
            key: "path".to_owned(),
            place: disk.from.clone(),
            problem: format!(
                "\"{}\" is no directory that a vault could have: write it with a leading \"/\", or say the directory of this name with device",
                amanda::escape::printable(disk.value.name.as_bytes())
            ),
        });
    }
    Ok(Config {
        host: flags.host.or(environment.host).or(file.host),
        interval: flags
            .interval
            .or(environment.interval)
            .or(file.interval)
            .unwrap_or_else(|| Setting::default("interval", Interval::default())),
        state: flags.state.or(environment.state).or(file.state).unwrap_or_else(|| Setting::default("state", around.state.clone())),
        amandates: flags
            .amandates
            .or(environment.amandates)
            .or(file.amandates)
            .unwrap_or_else(|| Setting::default("amandates", PathBuf::from("/var/lib/amanda/amandates"))),
        destination,
        identity: file.identity.unwrap_or_else(|| Setting::default("identity", beside.join("id_ed25519"))),
        known_hosts: file.known_hosts.unwrap_or_else(|| Setting::default("known_hosts", beside.join("known_hosts"))),
        connect_timeout: file.connect_timeout.unwrap_or_else(|| Setting::default("connect_timeout", CONNECT_TIMEOUT)),
        client: file.client.unwrap_or_else(|| Setting::default("client", ClientKind::Native)),
        programs: file.programs.unwrap_or_else(|| Setting::default("programs", PROGRAMS.iter().map(PathBuf::from).collect())),
        amandad: file.amandad.unwrap_or_else(|| Setting::default("amandad", PathBuf::from("/usr/lib/amanda/amandad"))),
        gnutar_lists: file.gnutar_lists.unwrap_or_else(|| Setting::default("gnutar_lists", PathBuf::from("/var/lib/amanda/gnutar-lists"))),
        disks: file.disks,
    })
}
