//! Which words for a dump's header follow from what the server asked for.

use crate::protocol::request::DleRequest;

/// Why a word does not go into a dump's header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InfoRefusal {
    /// The key is none that such a client has anything to say about.
    #[error("the client wants to put {key:?} into the dump's header, and only the server's own configuration says that")]
    Key {
        /// The key.
        key: String,
    },
    /// The key is right and the value does not follow from the dumptype.
    #[error("the client says {key}={value:?}, which does not follow from the disk's dumptype")]
    Value {
        /// The key.
        key: String,
        /// The value.
        value: String,
    },
}

/// Says whether an `info` line follows from what the server asked for.
///
/// # Errors
/// When it does not.
pub fn implied(dle: &DleRequest, key: &[u8], value: &[u8]) -> Result<(), InfoRefusal> {
    let _ = (dle, value);
    Err(InfoRefusal::Key { key: crate::escape::printable(key) })
}
