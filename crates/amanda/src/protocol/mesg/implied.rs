//! Which words for a dump's header follow from what the server asked for.
//!
//! The server's dumper copies ten of a client's `info` words into the header of the dump (`parse_info_line` in
//! server-src/dumper.c), and whoever restores it acts on the header:
//!
//! | key | what it does later |
//! |-----|--------------------|
//! | `CLIENT_CUSTOM_COMPRESS`, `SERVER_CUSTOM_COMPRESS` | amfetchdump, amrestore, amreindex and amrecover run `VALUE -d` |
//! | `CLIENT_ENCRYPT`, `SERVER_ENCRYPT`, `…_DECRYPT_OPTION` | the same programs run `VALUE OPTION`, when the dump is encrypted |
//! | `APPLICATION` | amrecover runs the application of that name |
//! | `BACKUP` | chooses between tar, dump and an application; an empty one ends the dumper |
//! | `COMPRESS_SUFFIX` | says that the dump is compressed |
//! | `RECOVER_CMD` | is printed in the header as a command to type |
//!
//! A key given twice counts the last time, and values are cut at 255 bytes. What the server compresses or encrypts, and
//! a client's custom programs, the dumper fills in from its own configuration, over whatever the client said: so
//! nothing is lost by refusing a word that Amanda's own client never says.

use crate::escape;
use crate::protocol::request::{Compress, DleRequest, Encrypt, Program};

/// Where the programs are that a header may name; they are names on a client, and the server has the same ones.
const PROGRAM_DIRS: [&[u8]; 5] = [b"/bin/", b"/usr/bin/", b"/usr/local/bin/", b"/opt/local/bin/", b"/opt/homebrew/bin/"];
/// Where Amanda's packages put applications.
const APPLICATION_DIRS: [&[u8]; 4] = [
    b"/usr/lib/amanda/application/",
    b"/usr/libexec/amanda/application/",
    b"/usr/local/libexec/amanda/application/",
    b"/usr/local/lib/amanda/application/",
];

/// The tar that our header names. It is Debian's path wherever the client's tar is: what restores the dump is the
/// server's.
const TAR: &[u8] = b"/bin/tar";
const GUNZIP: &[u8] = b"/bin/gzip -dc |";
/// What follows tar's name in the command to type.
const EXTRACT: &[u8] = b" -xpGf - ...";
/// What gzip's files are called.
const SUFFIX: &[u8] = b".gz";

/// Why a word does not go into a dump's header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InfoRefusal {
    /// No client has anything to say about this: either the server knows it, or nobody does.
    #[error("the client wants to put {key} into the dump's header, and that is for the server's own configuration to say")]
    Key {
        /// The key, printable.
        key: String,
    },
    /// The key is right and the value does not follow from the dumptype.
    #[error("the client says {key}={value} for the dump's header, which does not follow from the disk's dumptype")]
    Value {
        /// The key, printable.
        key: String,
        /// The value, printable.
        value: String,
    },
}

/// Returns what a client says for the header of this dump, in order: the lines before [`InfoEnd`](super::Line::InfoEnd).
/// Nothing for a program other than GNU tar.
#[must_use]
pub fn header_words(dle: &DleRequest) -> Vec<(&'static [u8], Vec<u8>)> {
    if dle.program != Program::Gnutar {
        return Vec::new();
    }
    let gunzip = if is_gzipped(dle) { GUNZIP } else { b"" };
    let mut words = vec![(&b"BACKUP"[..], TAR.to_vec()), (b"RECOVER_CMD", [gunzip, TAR, EXTRACT].concat())];
    if is_gzipped(dle) {
        words.push((b"COMPRESS_SUFFIX", SUFFIX.to_vec()));
    }
    words
}

/// Says whether an `info` line follows from what the server asked for, so that it can choose neither a program nor a
/// path that the request does not.
///
/// # Errors
/// When it does not.
pub fn implied(dle: &DleRequest, key: &[u8], value: &[u8]) -> Result<(), InfoRefusal> {
    let follows = match key {
        b"BACKUP" => match dle.program {
            Program::Gnutar => is_tar(value),
            Program::Application => value == b"APPLICATION",
            Program::Dump | Program::Other(_) => false,
        },
        b"APPLICATION" => plugin(dle).is_some_and(|plugin| plugin == value),
        b"RECOVER_CMD" => is_recover_command(dle, value),
        b"COMPRESS_SUFFIX" => value == SUFFIX && (is_gzipped(dle) || (plugin(dle).is_some() && dle.compress != Compress::None)),
        b"CLIENT_CUSTOM_COMPRESS" => matches!(&dle.compress, Compress::ClientCustom(program) if program == value),
        b"CLIENT_ENCRYPT" => matches!(&dle.encrypt, Encrypt::Client { program, .. } if program == value),
        b"CLIENT_DECRYPT_OPTION" => {
            matches!(&dle.encrypt, Encrypt::Client { decrypt_option: Some(option), .. } if option == value)
        }
        _ => return Err(InfoRefusal::Key { key: shortened(key) }),
    };
    if follows { Ok(()) } else { Err(InfoRefusal::Value { key: shortened(key), value: shortened(value) }) }
}

fn is_gzipped(dle: &DleRequest) -> bool {
    matches!(dle.compress, Compress::ClientFast | Compress::ClientBest)
}

/// The request's plugin, when a plugin makes the dump and its name is that of a file in one directory.
fn plugin(dle: &DleRequest) -> Option<&[u8]> {
    let plugin = dle.application.as_ref().filter(|_| dle.program == Program::Application)?.plugin.as_slice();
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (!plugin.is_empty() && plugin.iter().all(is_plain)).then_some(plugin)
}

fn is_tar(value: &[u8]) -> bool {
    is_program(value, b"tar") || is_program(value, b"gtar")
}

fn is_program(path: &[u8], name: &[u8]) -> bool {
    PROGRAM_DIRS.iter().any(|dir| path.strip_prefix(*dir) == Some(name))
}

/// `[GZIP -dc |]TAR -xpGf - ...` or `[GZIP -dc |]APPLICATION restore [./file-to-restore]+`, the two that Amanda's
/// client prints, with gzip exactly when the request says so.
fn is_recover_command(dle: &DleRequest, command: &[u8]) -> bool {
    let command = if is_gzipped(dle) {
        let Some(bar) = memchr::memchr(b'|', command) else { return false };
        let (gunzip, rest) = (&command[..bar], &command[bar + 1..]);
        if !gunzip.strip_suffix(b" -dc ").is_some_and(|gzip| is_program(gzip, b"gzip")) {
            return false;
        }
        rest
    } else {
        command
    };
    match dle.program {
        Program::Gnutar => command.strip_suffix(EXTRACT).is_some_and(is_tar),
        Program::Application => {
            let path = command.strip_suffix(b" restore [./file-to-restore]+");
            let name = path.and_then(|path| APPLICATION_DIRS.iter().find_map(|dir| path.strip_prefix(*dir)));
            name.is_some() && name == plugin(dle)
        }
        Program::Dump | Program::Other(_) => false,
    }
}

fn shortened(text: &[u8]) -> String {
    escape::printable(&text[..text.len().min(256)])
}
