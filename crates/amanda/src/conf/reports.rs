//! What is said about reports and mail.

use std::ffi::OsStr;

use super::{Config, Value};

/// After which runs a report is mailed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportOn {
    /// All of them.
    All,
    /// Those in which something was strange or went wrong.
    Strange,
    /// Those in which something went wrong.
    Error,
    /// None.
    Never,
}

/// What sizes are counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisplayUnit {
    /// KiB.
    Kilo,
    /// MiB.
    Mega,
    /// GiB.
    Giga,
    /// TiB.
    Tera,
}

impl DisplayUnit {
    /// Returns how many KiB one is.
    #[must_use]
    pub fn kib(self) -> u64 {
        match self {
            Self::Kilo => 1,
            Self::Mega => 1 << 10,
            Self::Giga => 1 << 20,
            Self::Tera => 1 << 30,
        }
    }
}

impl Config {
    /// Returns whom reports are mailed to; nobody when it is not said.
    #[must_use]
    pub fn mailto(&self) -> Vec<&str> {
        let text = self.settings().text("mailto").and_then(OsStr::to_str).unwrap_or_default();
        text.split(|letter: char| letter.is_ascii_whitespace() || letter == ',').filter(|name| !name.is_empty()).collect()
    }

    /// Returns the program that mails; `None` when it is not said.
    #[must_use]
    pub fn mailer(&self) -> Option<&OsStr> {
        self.settings().text("mailer")
    }

    /// Returns how the columns of a report are spaced: `HostName=0:12,OutKB=1:7`.
    #[must_use]
    pub fn columnspec(&self) -> Option<&OsStr> {
        self.settings().text("columnspec")
    }

    /// Returns what sizes are counted in.
    #[must_use]
    pub fn displayunit(&self) -> DisplayUnit {
        match self.settings().text("displayunit").and_then(OsStr::to_str) {
            Some("m" | "M") => DisplayUnit::Mega,
            Some("g" | "G") => DisplayUnit::Giga,
            Some("t" | "T") => DisplayUnit::Tera,
            _ => DisplayUnit::Kilo,
        }
    }

    /// Returns after which runs a report is mailed.
    #[must_use]
    pub fn send_amreport_on(&self) -> ReportOn {
        match self.settings().word("send-amreport-on") {
            Some("strange") => ReportOn::Strange,
            Some("error") => ReportOn::Error,
            Some("never") => ReportOn::Never,
            _ => ReportOn::All,
        }
    }

    /// Says whether a report names the volumes that were used, and those that are wanted next.
    #[must_use]
    pub fn report_media(&self) -> (bool, bool) {
        // Whoever limits the DLEs of a volume has so many volumes that Amanda does not list them.
        let unsaid = self.settings().get("max-dle-by-volume").is_none();
        let says = |name| match self.of_storage(name) {
            Some(Value::Bool(says)) => *says,
            _ => unsaid,
        };
        (says("report-use-media"), says("report-next-media"))
    }
}
