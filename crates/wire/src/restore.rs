//! What a laptop and the reader on the server say about dumps: on a stream of a session that said `restore`, or between two
//! threads of one process when the dumps are in a local vault.
//!
//! The stream carries frames of its own, packed as [`crate::frame`] packs them: channel 0 is [`Ask`] one way and [`Told`] the other,
//! channel [`DATA`] the bytes that an answer has. One ask at a time; every answer ends with [`Told::Done`] or [`Told::No`], and
//! after either the next may be asked. The asking side ends it by closing the stream.
//!
//! Paths ([`PathBytes`]) are those of an archive's members without the `./` in front and without a `/` at the end, raw bytes, never
//! escaped; the empty one is the disk's own directory.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::message::AbortCode;
use crate::names::{DiskName, HostName, TextOrBytes, from_hex, text_or_hex};

/// The channel of bytes.
pub const DATA: u8 = 1;

/// The most paths that one ask may name; a laptop that wants more asks for a directory above them, or for the whole dump.
pub const MAX_PATHS: usize = 256;

/// The longest path; a frame's limit holds beside it.
pub const MAX_PATH_BYTES: usize = 16 * 1024;

/// A path in a dump. JSON: text, or `{"hex": …}` when it is not UTF-8.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PathBytes(Vec<u8>);

impl PathBytes {
    /// Takes a path as it is in an archive; `./` in front and `/` at the end are taken off.
    pub fn new(path: &[u8]) -> Self {
        let mut path = path;
        while let Some(rest) = path.strip_prefix(b"./") {
            let slashes = rest.iter().take_while(|byte| **byte == b'/').count();
            path = &rest[slashes..];
        }
        while let Some(rest) = path.strip_suffix(b"/") {
            path = rest;
        }
        Self(if path == b"." { Vec::new() } else { path.to_vec() })
    }

    /// Returns its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Says whether this is `other` or lies below it.
    pub fn is_in(&self, other: &Self) -> bool {
        match self.0.strip_prefix(other.0.as_slice()) {
            Some(rest) => other.0.is_empty() || rest.is_empty() || rest.starts_with(b"/"),
            None => false,
        }
    }
}

impl fmt::Debug for PathBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

impl Serialize for PathBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        text_or_hex(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for PathBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = match TextOrBytes::deserialize(deserializer)? {
            TextOrBytes::Text(text) => text.into_bytes(),
            TextOrBytes::Bytes(bytes) => from_hex(&bytes.hex).ok_or_else(|| de::Error::custom("a path's hex digits are wrong"))?,
        };
        if bytes.len() > MAX_PATH_BYTES || bytes.contains(&0) {
            return Err(de::Error::custom("a path is too long or has a NUL"));
        }
        Ok(Self(bytes))
    }
}

/// Names one dump.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DumpId {
    /// Whose.
    pub host: HostName,
    /// Of which disk.
    pub disk: DiskName,
    /// `YYYYMMDDhhmmss`, the server's local time.
    pub datestamp: String,
    /// The level.
    pub level: u8,
}

/// One dump that a catalog has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dump {
    /// Which.
    #[serde(flatten)]
    pub id: DumpId,
    /// When it began, seconds since 1970: the server's reading of the datestamp, which is its local time.
    pub time: i64,
    /// What a restore of this state reads, level 0 first, itself last: level and datestamp. Empty when it cannot be restored.
    pub chain: Vec<(u8, String)>,
    /// Why not, a sentence; empty when it can be. Beside a chain: why not all of it may come back, since something in it is damaged or in doubt.
    #[serde(default)]
    pub why_not: String,
    /// Bytes as they are stored; 0 when that is not known.
    #[serde(default)]
    pub bytes: u64,
    /// KiB before compression; 0 when that is not known.
    #[serde(default)]
    pub orig_kb: u64,
    /// Where it is, for people: "holding disk", a volume's label.
    #[serde(default)]
    pub places: Vec<String>,
    /// When it was last read back and found to be what was stored, seconds since 1970.
    #[serde(default)]
    pub verified: Option<i64>,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum Ask {
    /// Which dumps are there? Answered by [`Told::Dump`]s, oldest first for each disk.
    Dumps {
        /// Of this host; the key's own when none is named.
        #[serde(default)]
        host: Option<HostName>,
    },
    /// The names in a dump, by its index: data is lines as an index has them: a line begins with `/`, ends in `/` for a
    /// directory, and is escaped as tar lists names.
    Names {
        /// The dump.
        dump: DumpId,
        /// What lies in this directory.
        below: PathBytes,
        /// And in all directories below it; otherwise only its own entries.
        deep: bool,
    },
    /// What directories had in them, as GNU tar notes it in an incremental dump: data is [`record`]s. Always with the directories above those
    /// that are named, up to the disk's own, which has the renames.
    Directories {
        /// The dump.
        dump: DumpId,
        /// At most [`MAX_PATHS`].
        of: Vec<PathBytes>,
        /// And all directories below them.
        deep: bool,
    },
    /// The dump itself: [`Told::Archive`], then data.
    Fetch {
        /// The dump.
        dump: DumpId,
        /// What of it.
        what: What,
    },
}

/// What of a dump is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// All of it, as it is stored.
    All,
    /// These members and everything below them, as a plain archive, at most [`MAX_PATHS`]. Others may come along.
    Members(Vec<PathBytes>),
}

/// How the data of an archive is packed. It is unpacked in the reader's own process: no dump ever names a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Packing {
    /// Not at all.
    Plain,
    /// gzip, one or more members.
    Gzip,
    /// zstd, one or more frames.
    Zstd,
    /// zstd in independent frames, each announced by a [`Told::Frame`].
    Frames,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "told", rename_all = "kebab-case")]
pub enum Told {
    /// A dump.
    Dump(Box<Dump>),
    /// An archive's data comes.
    Archive {
        /// How it is packed.
        packing: Packing,
        /// Bytes that will come, for a progress; 0 when that is not known.
        bytes: u64,
        /// CRC-32C and number of the stored bytes, eight hexadecimal digits, when all of them come as they are stored and the catalog knows them.
        #[serde(default)]
        stored: Option<(String, u64)>,
    },
    /// The next data is one frame of so many bytes, which has so many when it is unpacked.
    Frame {
        /// Bytes that come.
        packed: u64,
        /// Bytes of the archive.
        raw: u64,
    },
    /// A part of the archive could not be read, and what comes next is behind it.
    Hole {
        /// So many bytes of the plain archive are missing, when that is known.
        raw: Option<u64>,
        /// Why, a sentence.
        why: String,
    },
    /// The answer is complete.
    Done,
    /// There is no answer, or no rest of it; something else may be asked.
    No {
        /// What kind of no.
        code: AbortCode,
        /// What happened and why, one sentence.
        message: String,
        /// What to do next; empty when nothing can be said.
        #[serde(default)]
        hint: String,
    },
}

/// Packs one directory and what it had in it (the body of GNU tar's dumpdir) for the data of [`Ask::Directories`]: two little-endian `u32` lengths and
/// the bytes of both.
pub fn record(path: &PathBytes, dumpdir: &[u8]) -> Vec<u8> {
    let mut record = Vec::with_capacity(8 + path.as_bytes().len() + dumpdir.len());
    for part in [path.as_bytes(), dumpdir] {
        record.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
    }
    record.extend_from_slice(path.as_bytes());
    record.extend_from_slice(dumpdir);
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_form() {
        for (given, path) in
            [(&b"./a/b/"[..], &b"a/b"[..]), (b"./", b""), (b".", b""), (b"", b""), (b"a", b"a"), (b".//a", b"a"), (b"./.x", b".x")]
        {
            assert_eq!(PathBytes::new(given).as_bytes(), path);
        }
    }

    #[test]
    fn below_is_by_whole_names() {
        let is_in = |one: &[u8], other: &[u8]| PathBytes::new(one).is_in(&PathBytes::new(other));
        assert!(is_in(b"a/b", b"a") && is_in(b"a", b"a") && is_in(b"a", b""));
        assert!(!is_in(b"ab", b"a") && !is_in(b"a", b"a/b"));
    }

    #[test]
    fn any_bytes_survive_json() {
        for path in [&b"a\xff"[..], b"plain", b"new\nline", b""] {
            let path = PathBytes(path.to_vec());
            let json = serde_json::to_string(&path).expect("serialises");
            assert_eq!(serde_json::from_str::<PathBytes>(&json).expect("ours"), path);
        }
        assert!(serde_json::from_str::<PathBytes>("\"a\\u0000\"").is_err());
    }
}
