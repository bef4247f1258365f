//! The list of names that goes with a dump (`start_index` in client-src/sendbackup.c).
//!
//! Amanda makes it of what `tar -tf -` prints, without the dot in front: a name from the disk's directory on, which
//! begins with `/`, and ends in `/` when it is a directory. A name's newlines, backslashes and unprintable bytes are
//! escaped as tar escapes them, so that each name is one line.

/// The server's reader splits longer lines, newline included.
pub const LONGEST: usize = 4095;

/// Returns the line of the index, without its newline, for one that `tar -t` printed; nothing for a member that is
/// not below the disk's directory, which Amanda's recovery could not offer.
#[must_use]
pub fn line(listed: &[u8]) -> Option<&[u8]> {
    let name = listed.strip_prefix(b".").unwrap_or(listed);
    is_line(name).then_some(name)
}

/// Says whether this can be a line of an index, without its newline.
#[must_use]
pub fn is_line(line: &[u8]) -> bool {
    line.starts_with(b"/") && line.len() < LONGEST && !line.iter().any(u8::is_ascii_control)
}

/// Returns a member's name, which begins with `./`, as `tar -t` lists it: backslashes, control characters and bytes
/// beyond ASCII are escaped.
#[must_use]
pub fn escaped(name: &[u8]) -> Vec<u8> {
    let mut listed = Vec::with_capacity(name.len());
    for &byte in name {
        let letter = match byte {
            b'\\' => b'\\',
            0x07 => b'a',
            0x08 => b'b',
            0x0c => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x0b => b'v',
            0x20..0x7f => {
                listed.push(byte);
                continue;
            }
            other => {
                listed.extend(format!("\\{other:03o}").into_bytes());
                continue;
            }
        };
        listed.extend([b'\\', letter]);
    }
    listed
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_look_as_in_amandas_index() {
        for (listed, expected) in [
            (&b"./"[..], Some(&b"/"[..])),
            (b"./sub/", Some(b"/sub/")),
            (b"./a.txt", Some(b"/a.txt")),
            (b"./sub/new\\nline", Some(b"/sub/new\\nline")),
            (b"/abs", Some(b"/abs")),
            (b"..", None),
            (b"", None),
            (b"name", None),
            (b"./a\nb", None),
            (b"./a\x1bb", None),
        ] {
            assert_eq!(line(listed), expected, "{listed:?}");
        }
    }

    #[test]
    fn a_line_that_the_servers_reader_would_split_is_none() {
        for (length, is) in [(LONGEST - 1, true), (LONGEST, false)] {
            let mut long = vec![b'x'; length];
            long[0] = b'/';
            assert_eq!(is_line(&long), is, "{length}");
        }
    }

    #[test]
    fn names_are_escaped_as_tar_lists_them() {
        for (name, listed) in [
            (&b"./plain name~"[..], "./plain name~"),
            (b"./new\nline", "./new\\nline"),
            (b"./back\\slash", "./back\\\\slash"),
            (b"./\x07\x08\x0b\x0c\r\t", "./\\a\\b\\v\\f\\r\\t"),
            (b"./\x1b\x7f", "./\\033\\177"),
            ("./häuser".as_bytes(), "./h\\303\\244user"),
        ] {
            assert_eq!(escaped(name), listed.as_bytes(), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn every_escaped_name_below_the_disk_is_a_line(name in prop::collection::vec(1u8.., 0..60)) {
            let listed = escaped(&[b"./", name.as_slice()].concat());
            prop_assert!(line(&listed).is_some_and(is_line));
        }
    }
}
