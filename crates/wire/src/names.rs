//! Names that cross a border: hosts and configs from a closed grammar, disks as bytes.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The longest host or config name: a DNS label.
pub const MAX_NAME: usize = 63;
/// The longest disk name, in bytes: Linux's `PATH_MAX`.
pub const MAX_DISK: usize = 4096;

/// Why a name is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing there.
    #[error("the {what} name is empty")]
    Empty {
        /// "host", "config" or "disk".
        what: &'static str,
    },
    /// Longer than the grammar allows.
    #[error("the {what} name has {length} bytes, at most {limit} are allowed")]
    TooLong {
        /// "host", "config" or "disk".
        what: &'static str,
        /// The length met.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// A byte outside the grammar.
    #[error(
        "the {what} name has the character {character:?} at position {position}; letters, digits, '.', '_' and '-' are allowed, the first one a letter or a digit"
    )]
    Character {
        /// "host" or "config".
        what: &'static str,
        /// The character met.
        character: char,
        /// Its place, from 1.
        position: usize,
    },
    /// A NUL byte, which no path has.
    #[error("the disk name has a NUL byte")]
    Nul,
}

/// Checks `[A-Za-z0-9][A-Za-z0-9._-]{0,62}`: no slash, no leading dash or dot, nothing a shell or a path could read as more than a name.
fn check_word(what: &'static str, text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty { what });
    }
    if text.len() > MAX_NAME {
        return Err(NameError::TooLong { what, length: text.len(), limit: MAX_NAME });
    }
    for (index, character) in text.chars().enumerate() {
        let allowed = character.is_ascii_alphanumeric() || (index > 0 && matches!(character, '.' | '_' | '-'));
        if !allowed {
            return Err(NameError::Character { what, character, position: index + 1 });
        }
    }
    Ok(())
}

/// Makes a file name of any bytes: what is harmless in them, shortened, and a hash of the whole. A name has the same one for ever.
#[must_use]
pub fn file_name(name: &[u8]) -> String {
    let harmless = |byte: &u8| if byte.is_ascii_alphanumeric() || b"._-".contains(byte) { char::from(*byte) } else { '_' };
    let readable: String = name.iter().take(60).map(harmless).collect();
    format!("{}-{:016x}", readable.trim_start_matches('.'), hash(name))
}

/// FNV-1a, since what is named by it must have the same name in every build for ever.
#[must_use]
pub fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

macro_rules! word {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Returns the name as text; it needs no escaping anywhere.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                check_word($what, text)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<OsStr> for $name {
            fn as_ref(&self) -> &OsStr {
                OsStr::new(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

word!(
    /// A host's name in the disklist: `[A-Za-z0-9][A-Za-z0-9._-]{0,62}`.
    HostName,
    "host"
);
word!(
    /// An Amanda config's name: the same grammar as a host's, since it becomes a directory's name and an argument.
    ConfigName,
    "config"
);

/// A disk's name in the disklist: bytes, up to [`MAX_DISK`], without NUL.
///
/// In JSON it is a string where it is UTF-8, and otherwise an object `{"hex": "2f686f6dff"}`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DiskName(OsString);

impl DiskName {
    /// Takes a name that some file or user gave.
    pub fn new(name: impl Into<OsString>) -> Result<Self, NameError> {
        let name = name.into();
        let bytes = name.as_bytes();
        if bytes.is_empty() {
            return Err(NameError::Empty { what: "disk" });
        }
        if bytes.len() > MAX_DISK {
            return Err(NameError::TooLong { what: "disk", length: bytes.len(), limit: MAX_DISK });
        }
        if bytes.contains(&0) {
            return Err(NameError::Nul);
        }
        Ok(Self(name))
    }

    /// Returns the name as the operating system has it.
    pub fn as_os_str(&self) -> &OsStr {
        &self.0
    }

    /// Returns the name's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for DiskName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Serialize for DiskName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        text_or_hex(self.as_bytes(), serializer)
    }
}

/// Writes bytes as text where they are UTF-8, otherwise as `{"hex": …}`.
pub(crate) fn text_or_hex<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    match std::str::from_utf8(bytes) {
        Ok(text) => serializer.serialize_str(text),
        Err(_) => Bytes { hex: bytes.iter().map(|byte| format!("{byte:02x}")).collect() }.serialize(serializer),
    }
}

/// Bytes that are not text.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bytes {
    pub(crate) hex: String,
}

/// What [`text_or_hex`] wrote.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum TextOrBytes {
    Text(String),
    Bytes(Bytes),
}

impl<'de> Deserialize<'de> for DiskName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = match TextOrBytes::deserialize(deserializer)? {
            TextOrBytes::Text(text) => OsString::from(text),
            TextOrBytes::Bytes(Bytes { hex }) => {
                OsString::from_vec(from_hex(&hex).ok_or_else(|| de::Error::custom("a disk name's hex digits are wrong"))?)
            }
        };
        Self::new(raw).map_err(de::Error::custom)
    }
}

/// Reads hexadecimal digits.
pub(crate) fn from_hex(hex: &str) -> Option<Vec<u8>> {
    // from_str_radix takes a sign, hex digits have none.
    if !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) || !hex.len().is_multiple_of(2) {
        return None;
    }
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_the_closed_grammar_is_a_host() {
        for good in ["laptop1", "a", "127.0.0.2", "A_b-c.d", &"x".repeat(63)] {
            assert_eq!(good.parse::<HostName>().map(|name| name.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", ".hidden", "-rf", "_x", "a/b", "..", "a b", "a;b", "$(id)", "a\nb", "a\u{1b}[2J", "läptop", "a\0", &"x".repeat(64)]
        {
            assert!(bad.parse::<HostName>().is_err(), "{bad:?} was taken for a host");
            assert!(bad.parse::<ConfigName>().is_err(), "{bad:?} was taken for a config");
        }
    }

    #[test]
    fn a_name_from_json_passes_the_same_grammar() {
        assert!(serde_json::from_str::<HostName>("\"../etc\"").is_err());
        assert!(serde_json::from_str::<DiskName>("\"\"").is_err());
        assert!(serde_json::from_str::<DiskName>("\"a\\u0000b\"").is_err());
        assert!(serde_json::from_str::<DiskName>("{\"hex\":\"2\"}").is_err());
        assert!(serde_json::from_str::<DiskName>("{\"hex\":\"+1+2\"}").is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_survive_json(bytes in proptest::collection::vec(1u8..=255, 1..200)) {
            let name = DiskName::new(OsString::from_vec(bytes)).expect("no NUL, not empty");
            let json = serde_json::to_string(&name).expect("names serialise");
            prop_assert_eq!(serde_json::from_str::<DiskName>(&json).expect("what we wrote"), name);
        }
    }
}
