//! The receipt: what the server says it has of one disk. The only proof of a backup (DESIGN: Decisions, 1).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::names::{ConfigName, DiskName, HostName};

/// Amanda's word on one dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Outcome {
    /// Complete.
    Ok,
    /// Complete, and the client had something to say (a file changed while it was read).
    Strange,
    /// Cut off; not a backup.
    Partial,
    /// Nothing usable; not a backup.
    Failed,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "OK",
            Self::Strange => "STRANGE",
            Self::Partial => "PARTIAL",
            Self::Failed => "FAILED",
        })
    }
}

/// One dump that a restore would read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// Dump level, 0 is a full one.
    pub level: u8,
    /// `YYYYMMDDhhmmss` of its run, Amanda's timestamp.
    pub datestamp: String,
    /// Where it lies: a path on the holding disk, or `LABEL:FILE` on a volume.
    pub places: Vec<String>,
}

/// What the server says of one disk after a run.
///
/// Stored by both sides as JSON; fields may be added, so unknown ones are passed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The run that made it: unique on this server.
    pub run: String,
    /// Host in the disklist.
    pub host: HostName,
    /// Config that dumped it.
    pub config: ConfigName,
    /// Disk in the disklist.
    pub disk: DiskName,
    /// Amanda's last word on it, and FAILED where the proof does not hold.
    pub outcome: Outcome,
    /// Level dumped; none when no dump began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<u8>,
    /// The run's timestamp, `YYYYMMDDhhmmss` in the server's local time; empty when no dump began.
    #[serde(default)]
    pub datestamp: String,
    /// Seconds since the epoch at which the run began: what is due is counted from here, since files changed later are not in it.
    pub started: i64,
    /// Seconds since the epoch at which the server had the last word.
    pub finished: i64,
    /// Bytes that the server counted and stored, as they lie on the medium (compressed, without headers).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// CRC-32C of those bytes, eight hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crc32c: Option<String>,
    /// CRC-32C of the bytes that the client says it sent, eight hex digits: names the attempt that this receipt is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_crc32c: Option<String>,
    /// Size before compression, in KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orig_kb: Option<u64>,
    /// Why it is not OK, or what was strange; Amanda's words or ours.
    #[serde(default)]
    pub reason: String,
    /// The dumps that a restore of this disk would read now, level 0 first; empty when there is nothing to restore.
    #[serde(default)]
    pub chain: Vec<Base>,
}

impl Receipt {
    /// Tells whether this is a backup: complete, proven, and restorable from a full dump onwards.
    pub fn is_backup(&self) -> bool {
        matches!(self.outcome, Outcome::Ok | Outcome::Strange) && self.chain.first().is_some_and(|base| base.level == 0)
    }
}
