//! Starts ssh: the openssh crate's master, and one command through it. Its twin, [`ssh_words`], reads what it says.
//!
//! With a configuration file the connection is the agent's own: its key and no other, its pinned host keys and no
//! others, nothing from the user's or the machine's ssh configuration. The crate takes no arbitrary `-o`, so that is a
//! generated ssh_config. The Perl script's line uses whatever the caller's own ssh uses.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write as _};
use std::num::NonZeroUsize;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use openssh::{ControlPersist, KnownHosts, Session, SessionBuilder};
use tempfile::TempDir;

use super::{SessionError, key, ssh_words};
use crate::config::SshDestination;

/// Seconds between ssh's own questions to a silent server; after three without an answer it gives up.
const ALIVE_INTERVAL: u64 = 10;
/// What ssh gets beyond its own timeout before we stop waiting for it: name resolution has none.
const GRACE: Duration = Duration::from_secs(5);
/// The control socket's path must be under about 60 bytes; the crate appends 30 of its own.
const LONGEST_DIRECTORY: usize = 36;

/// How to log in.
#[derive(Debug, Clone)]
pub enum Login {
    /// With our own key and pinned host keys.
    Own {
        /// The private key.
        identity: PathBuf,
        /// The pinned host keys.
        known_hosts: PathBuf,
    },
    /// As the caller's own ssh would.
    Callers {
        /// A private key, instead of the caller's.
        key: Option<PathBuf>,
    },
}

/// A way to a server.
#[derive(Debug, Clone)]
pub struct Way {
    /// Where.
    pub destination: SshDestination,
    /// How.
    pub login: Login,
    /// How long it may take.
    pub timeout: Duration,
}

/// A connection, and the directory its sockets are in.
#[derive(Debug)]
pub struct Connection {
    /// The master.
    pub session: Session,
    _directory: TempDir,
}

/// Looks at everything that is known to be wrong before a connection is tried.
pub fn check(login: &Login) -> Result<(), SessionError> {
    match login {
        Login::Own { identity, known_hosts } => {
            config_path(identity)?;
            config_path(known_hosts)?;
            Ok(key::check(identity)?)
        }
        // A `~` is ssh's to expand.
        Login::Callers { key: Some(path) } if !path.starts_with("~") => Ok(key::check(path)?),
        Login::Callers { .. } => Ok(()),
    }
}

/// Connects.
pub async fn connect(way: &Way) -> Result<Connection, SessionError> {
    check(&way.login)?;
    let directory = control_directory().map_err(SessionError::Directory)?;
    let mut builder = SessionBuilder::default();
    builder
        .control_directory(directory.path())
        // When we are killed the master must not stay: it goes when nobody has used it for a while.
        .control_persist(ControlPersist::IdleFor(NonZeroUsize::new(10).expect("ten")))
        .known_hosts_check(KnownHosts::Strict)
        .connect_timeout(way.timeout)
        .server_alive_interval(Duration::from_secs(ALIVE_INTERVAL));
    if let Some(user) = &way.destination.user {
        builder.user(user.clone());
    }
    if let Some(port) = way.destination.port {
        builder.port(port);
    }
    match &way.login {
        Login::Own { identity, known_hosts } => {
            let path = directory.path().join("config");
            fs::File::create(&path)
                .and_then(|mut file| file.write_all(&ssh_config(identity, known_hosts)))
                .map_err(SessionError::Directory)?;
            builder.config_file(path);
        }
        Login::Callers { key: Some(key) } => {
            builder.keyfile(key);
        }
        Login::Callers { key: None } => {}
    }
    match tokio::time::timeout(way.timeout + GRACE, builder.connect_mux(&way.destination.host)).await {
        Ok(Ok(session)) => Ok(Connection { session, _directory: directory }),
        Ok(Err(error)) => Err(understand(error)),
        Err(_) => Err(SessionError::Ssh {
            failure: ssh_words::SshFailure::Unreachable,
            line: format!("no connection within {} s", way.timeout.as_secs()),
        }),
    }
}

/// The crate gives the whole log of ssh as the text of an I/O error, and a failed start as one with a number.
pub fn understand(error: openssh::Error) -> SessionError {
    match error {
        openssh::Error::Connect(error) if error.kind() == io::ErrorKind::NotFound && !is_on_path("ssh") => SessionError::NoSsh,
        openssh::Error::Connect(error) if error.raw_os_error().is_none() => {
            let (failure, line) = ssh_words::read(&error.to_string());
            SessionError::Ssh { failure, line }
        }
        openssh::Error::Master(error) => SessionError::Directory(error),
        openssh::Error::Connect(error) => SessionError::Start(error),
        openssh::Error::Disconnected => SessionError::Lost { said: String::new(), queued: false },
        other => SessionError::Master(chain(&other)),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words = format!("{words}: {cause}");
        source = cause.source();
    }
    amanda::escape::printable(words.as_bytes())
}

fn is_on_path(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|directory| directory.join(program).is_file()))
}

/// A short, private directory: the user's runtime directory where there is one, else /tmp.
fn control_directory() -> io::Result<TempDir> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute() && path.is_dir());
    let places = runtime.into_iter().chain(std::iter::once(PathBuf::from("/tmp")));
    let mut failed = io::Error::other("no directory is short enough");
    for place in places.filter(|place| place.as_os_str().len() + ".aa-123456".len() <= LONGEST_DIRECTORY) {
        let private = fs::Permissions::from_mode(0o700);
        match tempfile::Builder::new().prefix(".aa-").rand_bytes(6).permissions(private).tempdir_in(place) {
            Ok(directory) => return Ok(directory),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// Returns the path as ssh_config wants it between quotes, where `%` begins a token.
fn config_path(path: &Path) -> Result<Vec<u8>, SessionError> {
    let bytes = path.as_os_str().as_bytes();
    let odd = |byte: &u8| byte.is_ascii_control() || *byte == b'"' || *byte == b'\\';
    if bytes.iter().any(odd) || bytes.windows(2).any(|pair| pair == b"${") {
        return Err(SessionError::OddPath(path.to_path_buf()));
    }
    Ok(bytes.iter().flat_map(|byte| if *byte == b'%' { vec![b'%', b'%'] } else { vec![*byte] }).collect())
}

/// Writes the whole configuration of an own login.
fn ssh_config(identity: &Path, known_hosts: &Path) -> Vec<u8> {
    let quoted = |path| config_path(path).unwrap_or_default();
    let mut text = b"Host *\n".to_vec();
    for (key, value) in [("IdentityFile", quoted(identity)), ("UserKnownHostsFile", quoted(known_hosts))] {
        text.extend_from_slice(format!("  {key} \"").as_bytes());
        text.extend_from_slice(&value);
        text.extend_from_slice(b"\"\n");
    }
    const FIXED: &[&str] = &[
        "IdentitiesOnly yes",
        // An agent's other keys would be offered first, and may stand for another host at this server.
        "IdentityAgent none",
        "GlobalKnownHostsFile none",
        "UpdateHostKeys no",
        "CheckHostIP no",
        "PreferredAuthentications publickey",
        "ServerAliveCountMax 3",
        "TCPKeepAlive yes",
        "ForwardAgent no",
        "ForwardX11 no",
        "ClearAllForwardings yes",
        "PermitLocalCommand no",
    ];
    for line in FIXED {
        text.extend_from_slice(format!("  {line}\n").as_bytes());
    }
    text
}

/// The command for a raw ssh session: openssh quotes nothing of it.
pub fn raw(command: &str) -> &OsStr {
    OsStr::new(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generated_configuration_holds_our_key_our_pins_and_nothing_of_the_users() {
        let text = String::from_utf8(ssh_config(Path::new("/etc/my keys/100%"), Path::new("/k/known_hosts"))).expect("text");
        assert!(
            text.starts_with(
                "Host *\n  IdentityFile \"/etc/my keys/100%%\"\n  UserKnownHostsFile \"/k/known_hosts\"\n  IdentitiesOnly yes\n"
            )
        );
        assert!(!text.contains("Include"));
    }

    #[test]
    fn a_path_that_would_be_more_than_a_path_in_ssh_config_is_refused() {
        for path in ["/k\"\nProxyCommand id", "/k\nx", "/${HOME}/k", "/k\\n"] {
            assert!(config_path(Path::new(path)).is_err(), "{path:?}");
        }
    }

    #[test]
    fn the_control_directory_is_short_and_private() {
        let directory = control_directory().expect("a directory");
        assert!(directory.path().as_os_str().len() <= LONGEST_DIRECTORY);
        assert_eq!(directory.path().metadata().expect("there").permissions().mode() & 0o777, 0o700);
    }
}
