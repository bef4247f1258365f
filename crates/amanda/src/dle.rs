//! A disk list entry: one host and one of its disks, Amanda's unit of backup.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use crate::{escape, quoting};

/// A host and a disk of it, as the disklist names them.
///
/// The disk is a name: most often a path, but the path may be another one (the disklist's third field).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dle {
    /// The host, exactly as in the disklist.
    pub host: String,
    /// The disk name.
    pub disk: OsString,
}

impl Dle {
    /// Returns the entry for a host and a disk.
    pub fn new(host: impl Into<String>, disk: impl Into<OsString>) -> Self {
        Self { host: host.into(), disk: disk.into() }
    }

    /// Returns the entry for two unquoted words of a line; `None` when the host is empty or not UTF-8, which no host
    /// name is.
    #[must_use]
    pub fn from_names(host: &[u8], disk: Vec<u8>) -> Option<Self> {
        let host = std::str::from_utf8(host).ok().filter(|host| !host.is_empty())?;
        Some(Self::new(host, OsString::from_vec(disk)))
    }

    /// Returns the disk name as bytes.
    #[must_use]
    pub fn disk_bytes(&self) -> &[u8] {
        OsStr::as_bytes(&self.disk)
    }

    /// Returns `host:disk` as Amanda writes it into messages, the disk quoted where it must be.
    #[must_use]
    pub fn in_messages(&self) -> Vec<u8> {
        let mut text = self.host.clone().into_bytes();
        text.push(b':');
        text.extend(quoting::quote(self.disk_bytes()));
        text
    }
}

/// For people: `host:disk`, made safe for a terminal.
impl fmt::Display for Dle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", escape::printable(self.host.as_bytes()), escape::printable(self.disk_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_quotes_the_disk_and_a_terminal_gets_it_escaped() {
        let dle = Dle::new("laptop1", "/home docs\x1b");
        assert_eq!(dle.in_messages(), b"laptop1:\"/home docs\x1b\"");
        assert_eq!(dle.to_string(), "laptop1:/home docs\\x1b");
    }

    #[test]
    fn a_host_that_is_no_text_is_no_host() {
        assert_eq!(Dle::from_names(b"", b"/".to_vec()), None);
        assert_eq!(Dle::from_names(b"\xff", b"/".to_vec()), None);
    }
}
