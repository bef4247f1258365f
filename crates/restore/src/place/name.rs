//! Names that may be written below a directory.

use wire::restore::MAX_PATH_BYTES;

use super::stage;

/// The longest name that Linux has.
const MAX_NAME: usize = 255;

/// What is wrong with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It begins with a slash.
    #[error("its name is an absolute one")]
    Absolute,
    /// It has a `..` in it.
    #[error("its name has a \"..\" in it")]
    Above,
    /// It has an empty part or a `.` in it.
    #[error("its name has an empty part or a \".\" in it")]
    Odd,
    /// It has a NUL in it.
    #[error("its name has a NUL in it")]
    Nul,
    /// A part of it, or the whole of it, is too long.
    #[error("its name is too long")]
    Long,
    /// It is one of those under which a restore keeps what it has not finished.
    #[error("its name is that of what an unfinished restore leaves behind")]
    Ours,
}

/// Takes a path apart. The empty path is the directory itself and has no parts.
///
/// Nothing is repaired: a dump of GNU tar has none of these, so a name that needs repair was made by somebody who wants something.
///
/// # Errors
/// When it could mean anything else than what is below a directory.
pub(super) fn parts(path: &[u8]) -> Result<Vec<&[u8]>, Fault> {
    if path.is_empty() {
        return Ok(Vec::new());
    }
    if path.starts_with(b"/") {
        return Err(Fault::Absolute);
    }
    if path.len() > MAX_PATH_BYTES {
        return Err(Fault::Long);
    }
    path.split(|byte| *byte == b'/').map(part).collect()
}

fn part(part: &[u8]) -> Result<&[u8], Fault> {
    match part {
        b".." => Err(Fault::Above),
        b"" | b"." => Err(Fault::Odd),
        _ if part.len() > MAX_NAME => Err(Fault::Long),
        _ if part.contains(&0) => Err(Fault::Nul),
        _ if stage::is_name(part) => Err(Fault::Ours),
        _ => Ok(part),
    }
}

/// Takes the last part off.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_below_is_a_name() {
        let long = vec![b'x'; 256];
        let deep = b"a/".repeat(MAX_PATH_BYTES);
        for (name, fault) in [
            (&b"/etc/passwd"[..], Fault::Absolute),
            (b"//a", Fault::Absolute),
            (b"..", Fault::Above),
            (b"a/../../b", Fault::Above),
            (b"a/..", Fault::Above),
            (b"a//b", Fault::Odd),
            (b"a/./b", Fault::Odd),
            (b"a/", Fault::Odd),
            (b".", Fault::Odd),
            (b"a\0b", Fault::Nul),
            (&long, Fault::Long),
            (&deep, Fault::Long),
            (b"a/.asyncamanda-restore-0123456789abcdef", Fault::Ours),
        ] {
            assert_eq!(parts(name), Err(fault), "{name:?}");
        }
    }

    #[test]
    fn odd_names_that_are_names_are_taken() {
        for name in [&b"..."[..], b"..a", b"a b", b"\xff\xfe", b"new\nline", b"-rf", b"\\", b"*", b" ", &[b'x'; 255]] {
            assert_eq!(parts(name), Ok(vec![name]));
        }
        assert_eq!(parts(b"a/b/c"), Ok(vec![&b"a"[..], b"b", b"c"]));
        assert_eq!(parts(b""), Ok(vec![]));
    }

    #[test]
    fn the_last_part_is_the_name() {
        assert_eq!(split(b"a/b/c"), (&b"a/b"[..], &b"c"[..]));
        assert_eq!(split(b"c"), (&b""[..], &b"c"[..]));
    }
}
