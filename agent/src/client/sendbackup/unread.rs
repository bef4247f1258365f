//! Which of tar's lines say that something is not in the dump, although tar's list says that it is.
//!
//! tar goes on, since a dump without one file is better than none, and writes the file into its list as dumped. A next dump on top of
//! that would take the file only when it changes. So a dump with such a line becomes no base: the next one builds on what was there
//! before, and has the file once it can be read.
//!
//! Not so where that would come to a dump of everything for ever: an agent that is not root is denied other people's
//! files. To let it read them somebody changes their mode, as a rule, which makes them new; but a group or a directory above may open
//! them too. So they are remembered, and every dump on top says that they are in none of them. And what cannot even be looked at
//! for want of permission is another file system (a user's FUSE mount denies root as well), which is not part of the disk.

use amanda::protocol::mesg::LONGEST;

/// What tar does with a file, in its words, when it cannot.
const DOES: [&str; 6] = ["open", "stat", "read", "readlink", "savedir", "seek"];
const GONE: &str = "No such file or directory";
const DENIED: [&str; 2] = ["Permission denied", "Operation not permitted"];
/// A FUSE mount whose program has died.
const DEAD: &str = "Transport endpoint is not connected";

/// What a line of tar's says of something that is not in the dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// Nothing.
    Nothing,
    /// This account may not read it: remembered.
    Denied,
    /// A next dump must not build on this one.
    Spoils,
}

/// Reads a line of tar's; `root` is whether tar may read everything.
pub fn of(line: &[u8], root: bool) -> Unread {
    // Cut off in the middle of a very long name, so that nobody knows what it said.
    if line.len() >= LONGEST - b"? \n".len() {
        return Unread::Spoils;
    }
    let line = String::from_utf8_lossy(line);
    // What comes first may be any file's name: the reason is at the end.
    let Some((before, why)) = line.rsplit_once(": ") else { return Unread::Nothing };
    let denied = DENIED.contains(&why);
    let spoils = |spoils| if spoils { Unread::Spoils } else { Unread::Nothing };
    match before.rsplit_once(": ").map(|(_, what)| what) {
        _ if why == GONE => Unread::Nothing,
        Some(what) if what.starts_with("Read error at byte ") => Unread::Spoils,
        Some("Cannot stat") => spoils(!denied && why != DEAD),
        Some(what) if what.strip_prefix("Cannot ").is_some_and(|does| DOES.contains(&does)) => {
            if denied && !root {
                Unread::Denied
            } else {
                Unread::Spoils
            }
        }
        _ => Unread::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::Unread::{Denied, Nothing, Spoils};
    use super::*;

    #[test]
    fn what_could_not_be_read_spoils_a_base_or_is_remembered() {
        for (line, for_root, for_others) in [
            ("tar: ./a: Warning: Cannot open: Permission denied", Spoils, Denied),
            ("tar: ./a: Cannot open: Operation not permitted", Spoils, Denied),
            ("tar: ./a: Warning: Cannot open: Input/output error", Spoils, Spoils),
            ("tar: ./a: Cannot open: Required key not available", Spoils, Spoils),
            ("tar: ./a: Warning: Cannot open: No such file or directory", Nothing, Nothing),
            ("tar: ./a: File removed before we read it", Nothing, Nothing),
            ("tar: ./a: Warning: Read error at byte 512, while reading 512 bytes: Input/output error", Spoils, Spoils),
            ("tar: ./a: Warning: Cannot stat: Input/output error", Spoils, Spoils),
            ("tar: ./home/.gvfs: Warning: Cannot stat: Permission denied", Nothing, Nothing),
            ("tar: ./home/.gvfs: Warning: Cannot stat: Transport endpoint is not connected", Nothing, Nothing),
            ("tar: ./a: Warning: Cannot savedir: Input/output error", Spoils, Spoils),
            ("tar: ./a: Warning: Cannot llistxattrat: Operation not supported", Nothing, Nothing),
            ("tar: ./a: file changed as we read it", Nothing, Nothing),
            ("tar: ./Cannot open: Permission denied: socket ignored", Nothing, Nothing),
            ("tar: ./x: Cannot open: No such file or directory: Cannot open: Input/output error", Spoils, Spoils),
            ("Total bytes written: 10240 (10KiB, 11MiB/s)", Nothing, Nothing),
            ("", Nothing, Nothing),
        ] {
            assert_eq!((of(line.as_bytes(), true), of(line.as_bytes(), false)), (for_root, for_others), "{line}");
        }
        assert_eq!(of(&[b'x'; LONGEST - 3], false), Spoils, "cut off");
    }
}
