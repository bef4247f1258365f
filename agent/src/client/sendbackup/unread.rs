//! Which of tar's lines say that something is not in the dump, although tar's list says that it is.
//!
//! tar goes on, since a dump without one file is better than none, and writes the file into its list as dumped. A next dump on top of
//! that would take the file only when it changes. So a dump with such a line becomes no base: the next one builds on what was there
//! before, and has the file once it can be read.
//!
//! Not so where that would come to a dump of everything for ever: an agent that is not root is denied other people's
//! files, and to let it read them somebody has to change their mode, which makes them new. And what cannot even be looked at
//! for want of permission is another file system (a user's FUSE mount denies root as well), which is not part of the disk.

use amanda::protocol::mesg::LONGEST;

/// What tar does with a file, in its words, when it cannot.
const DOES: [&str; 6] = ["open", "stat", "read", "readlink", "savedir", "seek"];
const GONE: &str = "No such file or directory";
const DENIED: [&str; 2] = ["Permission denied", "Operation not permitted"];
/// A FUSE mount whose program has died.
const DEAD: &str = "Transport endpoint is not connected";

/// Tells whether a line of tar's means that a next dump must not build on this one; `root` is whether tar may read everything.
pub fn spoils(line: &[u8], root: bool) -> bool {
    // Cut off in the middle of a very long name, so that nobody knows what it said.
    if line.len() >= LONGEST - b"? \n".len() {
        return true;
    }
    let line = String::from_utf8_lossy(line);
    // What comes first may be any file's name: the reason is at the end.
    let Some((before, why)) = line.rsplit_once(": ") else { return false };
    let denied = DENIED.contains(&why);
    match before.rsplit_once(": ").map(|(_, what)| what) {
        _ if why == GONE => false,
        Some(what) if what.starts_with("Read error at byte ") => true,
        Some("Cannot stat") => !denied && why != DEAD,
        Some(what) => what.strip_prefix("Cannot ").is_some_and(|does| DOES.contains(&does)) && (root || !denied),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_read_spoils_a_base_unless_it_never_can_be() {
        for (line, for_root, for_others) in [
            ("tar: ./a: Warning: Cannot open: Permission denied", true, false),
            ("tar: ./a: Cannot open: Operation not permitted", true, false),
            ("tar: ./a: Warning: Cannot open: Input/output error", true, true),
            ("tar: ./a: Cannot open: Required key not available", true, true),
            ("tar: ./a: Warning: Cannot open: No such file or directory", false, false),
            ("tar: ./a: File removed before we read it", false, false),
            ("tar: ./a: Warning: Read error at byte 512, while reading 512 bytes: Input/output error", true, true),
            ("tar: ./a: Warning: Cannot stat: Input/output error", true, true),
            ("tar: ./home/.gvfs: Warning: Cannot stat: Permission denied", false, false),
            ("tar: ./home/.gvfs: Warning: Cannot stat: Transport endpoint is not connected", false, false),
            ("tar: ./a: Warning: Cannot savedir: Input/output error", true, true),
            ("tar: ./a: Warning: Cannot llistxattrat: Operation not supported", false, false),
            ("tar: ./a: file changed as we read it", false, false),
            ("tar: ./Cannot open: Permission denied: socket ignored", false, false),
            ("tar: ./x: Cannot open: No such file or directory: Cannot open: Input/output error", true, true),
            ("Total bytes written: 10240 (10KiB, 11MiB/s)", false, false),
            ("", false, false),
        ] {
            assert_eq!((spoils(line.as_bytes(), true), spoils(line.as_bytes(), false)), (for_root, for_others), "{line}");
        }
        assert!(spoils(&[b'x'; LONGEST - 3], false), "cut off");
    }
}
