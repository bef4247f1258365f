//! Errors in words: every one with the exit status it becomes and a hint that can be followed.

use std::error::Error;
use std::path::PathBuf;

use wire::Exit;

use super::{Problem, show};
use crate::config::{ConfigError, SshDestination};
use crate::history::{BeliefError, StoreError};
use crate::session::key::KeyError;
use crate::session::vault::VaultError;
use crate::session::{Login, SessionError, SshFailure, Way};

const EXAMPLE: &str = "interval = \"1 day\"\n        [server]\n        destination = \"asyncamanda@amanda.example.com\"\n        [[disk]]\n        path = \"/home\"";

fn cause(error: &dyn Error) -> String {
    error.source().map(|source| show(source.to_string())).unwrap_or_default()
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" or ")
}

impl From<ConfigError> for Problem {
    fn from(error: ConfigError) -> Self {
        let problem = Self::new(Exit::Config, error.to_string()).because(cause(&error));
        match error {
            ConfigError::Missing { looked } => {
                problem.because(format!("{} is not there", list(&looked))).hint(format!(
                    "with a directory it goes without one: `asyncamanda now DIR --to VAULT`, `asyncamanda status --destination VAULT`, `asyncamanda \
                     restore PATH --from VAULT`; for a server write one, at least:\n        {EXAMPLE}"
                ))
            }
            ConfigError::Unreadable { .. } => problem.hint("make the file readable for this user, or name another one with --config FILE"),
            ConfigError::Syntax { .. } => problem.hint("the line is not TOML; strings stand in double quotes: key = \"value\""),
            ConfigError::UnknownKey { nearest: Some(nearest), elsewhere: None, .. } => problem.hint(format!("did you mean \"{nearest}\"?")),
            ConfigError::UnknownKey { elsewhere: Some(""), key, .. } => {
                problem.hint(format!("\"{key}\" stands at the top of the file, above the first [table]"))
            }
            ConfigError::UnknownKey { elsewhere: Some(place), key, .. } => problem.hint(format!("\"{key}\" stands below {place}")),
            ConfigError::UnknownKey { known, .. } => problem.hint(format!("known here: {}", known.join(", "))),
            ConfigError::Value { key, .. } if key == "interval" => {
                problem.hint("write it as \"24\" (hours), \"36h\", \"1 day\" or \"2 weeks\"")
            }
            ConfigError::Value { key, .. } if key == "destination" => {
                problem.hint("write it as [user@]host[:port], or as the path of a directory: /path, ./path, ~/path")
            }
            ConfigError::Value { key, .. } if key == "connect_timeout" => problem.hint("write it as seconds, or as \"20s\""),
            ConfigError::Value { .. } => problem,
            ConfigError::NoDestination { file } => {
                let file = file.map_or_else(String::new, |file| format!(" to {}", file.display()));
                problem.hint(format!("add{file}:\n        [server]\n        destination = \"asyncamanda@amanda.example.com\""))
            }
            ConfigError::NoDirectory { flag, text } => {
                let problem = Problem { exit: Exit::Usage, ..problem };
                problem.because(format!("{flag} is a directory, a vault")).hint(format!(
                    "a server stands in agent.toml or in --destination; for a directory of that name write ./{}",
                    show(text)
                ))
            }
            ConfigError::LocalVault { .. } => {
                problem.because("it was built without the feature \"embedded\"").hint("name a server: [user@]host[:port]")
            }
            ConfigError::Password => password(Exit::Config),
        }
    }
}

/// Refuses a password, without repeating it.
pub fn password(exit: Exit) -> Problem {
    Problem::new(exit, "a password in the destination is refused")
        .because("everybody on this machine can read it, in the process list or in the file, and nothing was sent")
        .hint("change that password, make a key with ssh-keygen -t ed25519 -f KEY, send it with ssh-copy-id -i KEY USER@HOST, then use -k KEY (or identity in agent.toml)")
}

impl From<BeliefError> for Problem {
    fn from(error: BeliefError) -> Self {
        let problem = Self::new(Exit::Config, error.to_string()).because(cause(&error));
        problem.hint(
            "run as the user of Amanda's client, or give this user read permission; without the file nobody knows when the last backup was",
        )
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        use std::io::ErrorKind;
        let full = matches!(error.source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
        let problem = Self::new(if full { Exit::Failed } else { Exit::Config }, error.to_string()).because(cause(&error));
        problem.hint(if full {
            "make room there; without a receipt every call would ask for a backup again"
        } else {
            "let this user write there, or name another directory with `state` in agent.toml or --state DIR"
        })
    }
}

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        let problem = Self::new(Exit::Config, error.to_string()).because(cause(&error));
        match error {
            KeyError::Missing(path) => {
                problem.hint(format!("make it with ssh-keygen -t ed25519 -f {} and give the operator its .pub file", path.display()))
            }
            KeyError::Unreadable { .. } => problem.hint("run as the user the key belongs to"),
            KeyError::NotAFile(_) => problem.hint("name the private key's file"),
            KeyError::TooOpen { path, .. } => problem.hint(format!("chmod 600 {}", path.display())),
            KeyError::Public(_) => problem.hint("leave the .pub off"),
        }
    }
}

/// Tells what a session ended in.
pub fn session(error: SessionError, way: &Way) -> Problem {
    let server = &way.destination;
    let is_directory = server.user.is_none() && server.port.is_none() && std::path::Path::new(&server.host).is_dir();
    let problem = of_session(error, way);
    if !is_directory {
        return problem;
    }
    let meant = format!("for the directory write ./{}", server.host);
    let hint = if problem.hint.is_empty() { meant } else { format!("{meant}; for the server: {}", problem.hint) };
    problem.hint(hint)
}

fn of_session(error: SessionError, way: &Way) -> Problem {
    let exit = error.exit();
    let server = &way.destination;
    let problem = |what: String| Problem::new(exit, what).because(show(error.to_string()));
    const SAFE: &str = "the ticket is safe at the server; the receipt is fetched at the next contact";
    let later = |queued: bool| if queued { SAFE } else { "nothing was asked for yet; the next call tries again" };
    match &error {
        SessionError::Ssh { failure, .. } => ssh(*failure, problem(String::new()), way),
        SessionError::Lost { said, queued } => {
            let lost = Problem::new(exit, format!("the connection to {server} was lost")).hint(later(*queued));
            if said.is_empty() { lost } else { lost.because(format!("the server says: {said}")) }
        }
        SessionError::Silent { queued } => problem(format!("{server} stopped answering")).hint(later(*queued)),
        SessionError::Interrupted { queued } => Problem::new(exit, "stopped before the end").hint(later(*queued)),
        SessionError::NoGreeting => problem(format!("{server} hung up")).hint(later(false)),
        SessionError::Ended { status, said } => {
            let because = if said.is_empty() { error.to_string() } else { format!("the server says: {said}") };
            let hint = match status {
                127 => "the operator must install asyncamanda-shim, with its full path in the forced command",
                126 => "the forced command in the server's authorized_keys cannot be executed",
                _ => "the key's forced command in the server's authorized_keys should be: asyncamanda-shim serve --host HOST",
            };
            Problem::new(exit, format!("no asyncamanda-shim answers at {server}")).because(because).hint(hint)
        }
        SessionError::NotAShim(_) => problem(format!("no asyncamanda-shim answers at {server}"))
            .hint("the key's forced command in the server's authorized_keys should be: asyncamanda-shim serve --host HOST"),
        SessionError::Protocol(source) => Problem::new(exit, format!("{server} cannot be understood"))
            .because(show(source.to_string()))
            .hint("look at both versions: asyncamanda check"),
        SessionError::OutOfTurn(_) | SessionError::Stream(_) => {
            problem(format!("{server} cannot be understood")).hint("look at both versions: asyncamanda check")
        }
        SessionError::Version { theirs } if *theirs > wire::PROTOCOL_VERSION => {
            problem(format!("{server} speaks another version")).hint("update asyncamanda on this laptop")
        }
        SessionError::Version { .. } => problem(format!("{server} speaks another version")).hint("update asyncamanda-shim on the server"),
        SessionError::Abort { message, hint, .. } => {
            let what = match exit {
                Exit::Refused => format!("{server} refused this laptop"),
                Exit::Config => format!("{server} is not set up for this laptop"),
                Exit::Later => format!("{server} cannot do it now"),
                Exit::Protocol => format!("{server} does not understand this program"),
                _ => format!("{server} failed"),
            };
            Problem::new(exit, what).because(message.clone()).hint(hint.clone())
        }
        SessionError::WrongHost { ours, .. } => problem(format!("the key is not the one of \"{ours}\""))
            .hint("use that host's own key (identity), or correct `host` in agent.toml"),
        SessionError::NoSsh => Problem::new(exit, error.to_string()).hint("apt-get install openssh-client"),
        SessionError::Master(_) => problem(format!("{server} lets this key in, and does not let it run anything"))
            .hint("ask the operator to look at the key's line in authorized_keys"),
        SessionError::Key(_) | SessionError::Store(_) | SessionError::Vault(_) => convert(error),
        SessionError::OddPath(_) => Problem::new(exit, error.to_string()).hint("move the file to a plainer path"),
        SessionError::Directory(source) | SessionError::Start(source) => {
            Problem::new(exit, error.to_string()).because(show(source.to_string()))
        }
    }
}

/// Tells what a call of a vault ended in.
pub fn vault(error: SessionError) -> Problem {
    match &error {
        SessionError::Interrupted { .. } => Problem::new(error.exit(), "stopped before the end")
            .hint("nothing is half kept: what was complete is a backup, and the next call makes the rest"),
        _ => convert(error),
    }
}

/// Tells what is wrong with a vault.
pub fn of_vault(error: &VaultError) -> Problem {
    let problem = Problem::new(error.exit(), show(error.to_string())).because(cause(error));
    match error {
        VaultError::NotThere { path } => problem
            .because("backups went there before, and what is there now is not that vault: its drive is not plugged in, or another one is")
            .hint(format!(
                "plug it in; the next call tries again. Nothing is ever written to that place without it: when it is lost for good, name another \
                 directory than {}",
                path.display()
            )),
        VaultError::NoneYet { path } => problem.because("the first backup makes it, when a person asks for one").hint(format!(
            "plug its drive in, or make it: asyncamanda now; without agent.toml: asyncamanda now DIR… --to {}",
            path.display()
        )),
        VaultError::NoParent { path, nearest } => problem
            .because(format!("there is no directory {}, only {}", path.parent().unwrap_or(path).display(), nearest.display()))
            .hint("plug the drive in, or make that directory"),
        VaultError::NotAVault { what, .. } => problem
            .because(match what {
                Some(what) => format!("it has \"{what}\" in it, and no amanda.conf of a vault"),
                None => "it is not even a directory".to_owned(),
            })
            .hint("name a directory that is empty or not there, and a vault is made; what is in others is never touched"),
        VaultError::NoConf { path } => problem.because("nothing is written where it is not known what is there").hint(format!(
            "put {}/amanda.conf back, from a copy; the dumps below {}/vtapes can be restored without it",
            path.display(),
            path.display()
        )),
        VaultError::Unreadable { path, source } | VaultError::Locked { path, source } => problem.hint(mend(path, source)),
        VaultError::Engine { message, hint, .. } => Problem::new(error.exit(), show(message)).hint(show(hint)),
    }
}

/// Says what helps where a vault cannot be read or written.
fn mend(path: &std::path::Path, source: &std::io::Error) -> String {
    use std::io::ErrorKind;
    match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => format!("make room on the file system of {}", path.display()),
        ErrorKind::ReadOnlyFilesystem => {
            format!("its file system is mounted read-only: mount -o remount,rw; look at {} first", path.display())
        }
        ErrorKind::PermissionDenied => owner(path),
        _ => format!("look at {}, and whether the drive is still plugged in", path.display()),
    }
}

/// Says who may look into a directory.
fn owner(path: &std::path::Path) -> String {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(meta) = std::fs::symlink_metadata(path) else { return "run as the user that it belongs to".to_owned() };
    if meta.uid() == nix::unistd::geteuid().as_raw() {
        return format!("it is yours: give yourself what is denied, chmod -R u+rwX {}", path.display());
    }
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(meta.uid())).ok().flatten();
    let user = user.map_or_else(|| format!("user {}", meta.uid()), |user| show(user.name));
    format!("it belongs to {user}: run as {user}, since a vault is one account's")
}

fn convert(error: SessionError) -> Problem {
    match error {
        SessionError::Key(key) => key.into(),
        SessionError::Store(store) => store.into(),
        SessionError::Vault(error) => of_vault(&error),
        other => Problem::new(other.exit(), other.to_string()),
    }
}

/// The address as ssh-keyscan and ssh-keygen take it.
fn scan(server: &SshDestination) -> (String, String) {
    match server.port {
        Some(port) => (format!("-p {port} {}", server.host), format!("\"[{}]:{port}\"", server.host)),
        None => (server.host.clone(), server.host.clone()),
    }
}

fn ssh(failure: SshFailure, problem: Problem, way: &Way) -> Problem {
    let server = &way.destination;
    let (scan, name) = scan(server);
    let (pins, key) = match &way.login {
        Login::Own { identity, known_hosts } => (known_hosts.display().to_string(), format!("{}.pub", identity.display())),
        Login::Callers { key } => (
            "~/.ssh/known_hosts".to_owned(),
            key.as_ref().map_or_else(|| "your .pub file".to_owned(), |key| format!("{}.pub", key.display())),
        ),
    };
    let (what, hint) = match failure {
        SshFailure::Resolve => (format!("{server} cannot be found"), "is this machine online, and the name right?".to_owned()),
        SshFailure::Unreachable => {
            (format!("{server} cannot be reached"), "is this machine online, and the server's sshd running?".to_owned())
        }
        SshFailure::HungUp => {
            (format!("{server} hung up"), "it may be busy (MaxStartups), or it is no ssh server; the next call tries again".to_owned())
        }
        SshFailure::KeyRefused => (
            format!("{server} does not accept this laptop's key"),
            format!("give the operator {key}; a key with a passphrase cannot be used without a person"),
        ),
        SshFailure::HostKeyChanged => (
            format!("{server} is not the server that was pinned"),
            format!(
                "ask the operator whether its host key changed; if so: ssh-keygen -f {pins} -R {name}, then ssh-keyscan {scan} >> {pins}, and compare the fingerprint with ssh-keygen -lf {pins}"
            ),
        ),
        SshFailure::HostKeyUnknown => (
            format!("the host key of {server} is not pinned yet"),
            format!("ssh-keyscan {scan} >> {pins}, then compare ssh-keygen -lf {pins} with what the operator reads on the server"),
        ),
        SshFailure::HostKeyRevoked => {
            (format!("the host key of {server} is revoked"), format!("do not connect; ask the operator, then look at {pins}"))
        }
        SshFailure::BadIdentity => {
            (format!("ssh cannot use the key for {server}"), "is it a private key, whole, and only this user's?".to_owned())
        }
        SshFailure::NoAlgorithm => (format!("ssh has no algorithm in common with {server}"), "update the older of the two".to_owned()),
        SshFailure::BadConfiguration => ("ssh does not accept its configuration".to_owned(), String::new()),
        SshFailure::Other => (format!("no connection to {server}"), format!("try it by hand: ssh {}", server.host)),
    };
    Problem { what, hint, ..problem }
}
