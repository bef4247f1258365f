//! Where the server is: `[user@]host[:port]`, or a directory.
//!
//! A password is refused, and never repeated: what is wrong with it is that it was typed where others can read it.

use std::fmt;
use std::path::PathBuf;

/// A place to back up to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Over ssh.
    Ssh(SshDestination),
    /// A local vault.
    Directory(PathBuf),
}

/// `[user@]host[:port]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshDestination {
    /// The account; ssh's own choice when none is named.
    pub user: Option<String>,
    /// A name that ssh understands, an address, or an alias of the caller's ssh configuration.
    pub host: String,
    /// The port; ssh's own choice when none is named.
    pub port: Option<u16>,
}

/// Why a text is no destination.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DestinationError {
    /// `user:password@host`.
    #[error("it holds a password")]
    Password,
    /// No host.
    #[error("it names no host")]
    NoHost,
    /// The account has a character that none has.
    #[error("the user name before '@' is not one")]
    BadUser,
    /// The host has a character that none has.
    #[error("\"{0}\" is not a host name or address")]
    BadHost(String),
    /// The port is no number between 1 and 65535.
    #[error("\"{0}\" is not a port")]
    BadPort(String),
    /// Bytes that are not text.
    #[error("it is not UTF-8")]
    NotText,
}

impl Destination {
    /// Reads a destination as people write it.
    pub fn parse(text: &str) -> Result<Self, DestinationError> {
        if is_path(text) {
            return Ok(Self::Directory(PathBuf::from(text)));
        }
        SshDestination::parse(text).map(Self::Ssh)
    }
}

/// Tells whether a text is meant as a path and not as a server: no host's name begins like one.
pub fn is_path(text: &str) -> bool {
    ["/", "./", "../", "~/"].iter().any(|start| text.starts_with(start)) || text == "." || text == ".."
}

impl From<SshDestination> for Destination {
    fn from(ssh: SshDestination) -> Self {
        Self::Ssh(ssh)
    }
}

impl SshDestination {
    /// Reads `[user@]host[:port]`; `ssh://` before it is passed over.
    pub fn parse(text: &str) -> Result<Self, DestinationError> {
        let text = text.strip_prefix("ssh://").unwrap_or(text);
        let (user, place) = match text.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, text),
        };
        let user = user.map(check_user).transpose()?;
        let (host, port) = split_port(place)?;
        if host.is_empty() {
            return Err(DestinationError::NoHost);
        }
        // A leading dash would be an option of ssh.
        let harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:%".contains(&byte);
        if host.starts_with('-') || !host.bytes().all(harmless) {
            return Err(DestinationError::BadHost(amanda::escape::printable(host.as_bytes())));
        }
        Ok(Self { user, host: host.to_owned(), port })
    }
}

fn check_user(user: &str) -> Result<String, DestinationError> {
    if user.contains(':') {
        return Err(DestinationError::Password);
    }
    if user.is_empty() || user.starts_with('-') || user.chars().any(|character| character.is_whitespace() || character.is_control()) {
        return Err(DestinationError::BadUser);
    }
    Ok(user.to_owned())
}

/// Splits `host:port`, `[v6]:port`, `[v6]`; two colons without brackets are an IPv6 address.
fn split_port(place: &str) -> Result<(&str, Option<u16>), DestinationError> {
    let (host, port) = if let Some(rest) = place.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or_else(|| DestinationError::BadHost(amanda::escape::printable(place.as_bytes())))?;
        (host, if after.is_empty() { None } else { Some(after.strip_prefix(':').unwrap_or(after)) })
    } else {
        match place.split_once(':') {
            Some((_, after)) if after.contains(':') => (place, None),
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        }
    };
    let port = port.map(|port| match port.parse() {
        Ok(number) if number > 0 && port.bytes().all(|byte| byte.is_ascii_digit()) => Ok(number),
        _ => Err(DestinationError::BadPort(amanda::escape::printable(port.as_bytes()))),
    });
    Ok((host, port.transpose()?))
}

impl fmt::Display for SshDestination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        match self.port {
            Some(port) if self.host.contains(':') => write!(f, "[{}]:{port}", self.host),
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ssh(ssh) => ssh.fmt(f),
            Self::Directory(path) => path.display().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_hosts_and_ports_are_told_apart() {
        for (text, user, host, port) in [
            ("amanda.example.com", None, "amanda.example.com", None),
            ("backup@amanda", Some("backup"), "amanda", None),
            ("backup@amanda:2222", Some("backup"), "amanda", Some(2222)),
            ("ssh://backup@amanda:2222", Some("backup"), "amanda", Some(2222)),
            ("user@realm@amanda", Some("user@realm"), "amanda", None),
            ("::1", None, "::1", None),
            ("[::1]:22", None, "::1", Some(22)),
            ("me@[fe80::1%eth0]", Some("me"), "fe80::1%eth0", None),
        ] {
            let seen = SshDestination::parse(text).expect(text);
            assert_eq!((seen.user.as_deref(), seen.host.as_str(), seen.port), (user, host, port), "{text:?}");
        }
    }

    #[test]
    fn a_password_is_refused_and_not_repeated() {
        for text in ["me:secret@host", "me:sec@ret@host:22", ":secret@host", "ssh://me:secret@host", "me:secret@-bad"] {
            let error = SshDestination::parse(text).expect_err(text);
            assert_eq!(error, DestinationError::Password, "{text:?}");
            assert!(!error.to_string().contains("secret"));
        }
    }

    #[test]
    fn nothing_becomes_an_option_of_ssh() {
        for text in [
            "",
            "@host",
            "-oProxyCommand=id",
            "me@-oProxyCommand=id",
            "-l@host",
            "a b",
            "a;b",
            "host:",
            "host:0",
            "host:99999",
            "host:+22",
            "[::1",
            "me@",
            "h\u{1b}",
        ] {
            assert!(SshDestination::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_path_is_a_directory() {
        assert_eq!(Destination::parse("/media/vault"), Ok(Destination::Directory("/media/vault".into())));
        for text in ["./vault", "../vault", "~/vault", ".", ".."] {
            assert_eq!(Destination::parse(text), Ok(Destination::Directory(text.into())));
        }
        assert!(matches!(Destination::parse("vault"), Ok(Destination::Ssh(_))));
    }
}
