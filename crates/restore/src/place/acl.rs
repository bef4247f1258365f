//! POSIX ACLs: from the words that GNU tar keeps to what Linux takes.
//!
//! ```text
//! user::rw-,user:lisa:r--,group::r--,mask::r--,other::---
//! ```
//!
//! Entries are apart by commas or new lines; a fourth field has the number (star writes it); `#` begins a comment. In the system an ACL is the version
//! (2) and for each entry its kind, its permissions (two bytes each) and a number, all little-endian, ordered by kind and number.

/// The longest text that is read.
const MAX_WORDS: usize = 64 * 1024;

/// No number.
const NOBODY: u32 = u32::MAX;

const USER: u16 = 0x02;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;

/// What an ACL in words says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Acl {
    /// As the system takes it.
    pub(super) bytes: Vec<u8>,
    /// Names that this machine does not know; what they may do is left out.
    pub(super) unknown: Vec<Vec<u8>>,
}

/// Reads words. `number` finds the number of a user (`true`) or group by name. `None` when they make no sense.
pub(super) fn read(words: &[u8], mut number: impl FnMut(bool, &[u8]) -> Option<u32>) -> Option<Acl> {
    if words.len() > MAX_WORDS {
        return None;
    }
    let (mut entries, mut unknown) = (Vec::new(), Vec::new());
    for entry in words.split(|byte| matches!(byte, b',' | b'\n')) {
        let entry = entry.split(|byte| *byte == b'#').next().unwrap_or_default().trim_ascii();
        if entry.is_empty() {
            continue;
        }
        let mut fields = entry.split(|byte| *byte == b':');
        let (tag, who, may, extra) = (fields.next()?, fields.next()?, fields.next()?, fields.next());
        let (own, named) = match tag {
            b"user" | b"u" => (0x01, USER),
            b"group" | b"g" => (0x04, GROUP),
            b"mask" | b"m" => (MASK, MASK),
            b"other" | b"o" => (0x20, 0x20),
            _ => return None,
        };
        let may = permissions(may)?;
        if who.is_empty() {
            entries.push((own, NOBODY, may));
            continue;
        }
        if own == named {
            return None;
        }
        match number(named == USER, who).or_else(|| decimal(who)).or_else(|| decimal(extra?)) {
            Some(id) => entries.push((named, id, may)),
            None => unknown.push(who.to_vec()),
        }
    }
    entries.sort_unstable();
    let has = |tag| entries.iter().any(|entry| entry.0 == tag);
    if !(has(0x01) && has(0x04) && has(0x20)) || (has(USER) || has(GROUP)) && !has(MASK) {
        return None;
    }
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, id, may) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(may.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    Some(Acl { bytes, unknown })
}

fn permissions(text: &[u8]) -> Option<u16> {
    if text.len() > 3 {
        return None;
    }
    text.trim_ascii().iter().try_fold(0, |may, letter| match letter {
        b'r' => Some(may | 4),
        b'w' => Some(may | 2),
        b'x' => Some(may | 1),
        b'-' => Some(may),
        _ => None,
    })
}

fn decimal(text: &[u8]) -> Option<u32> {
    let number = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()?;
    (number != NOBODY).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(is_user: bool, name: &[u8]) -> Option<u32> {
        match (is_user, name) {
            (true, b"lisa") => Some(1001),
            (false, b"staff") => Some(50),
            _ => None,
        }
    }

    fn entry(tag: u16, may: u16, id: u32) -> Vec<u8> {
        [&tag.to_le_bytes()[..], &may.to_le_bytes(), &id.to_le_bytes()].concat()
    }

    #[test]
    fn words_become_what_the_system_takes() {
        let acl =
            read(b"other::---\nuser:lisa:r-x,user::rw-,group::r--,group:staff:rw-,mask::rwx\t#effective:rwx,", numbers).expect("an ACL");
        let wanted = [
            vec![2, 0, 0, 0],
            entry(1, 6, NOBODY),
            entry(2, 5, 1001),
            entry(4, 4, NOBODY),
            entry(8, 6, 50),
            entry(16, 7, NOBODY),
            entry(32, 0, NOBODY),
        ];
        assert_eq!(acl, Acl { bytes: wanted.concat(), unknown: vec![] });
    }

    #[test]
    fn who_is_unknown_here_gets_nothing() {
        let acl = read(b"user::rw-,user:eve:rwx,user:bob:r--:7,user:1002:r--,group::r--,mask::r--,other::---", numbers).expect("an ACL");
        assert_eq!(acl.unknown, [b"eve"]);
        assert!(acl.bytes.windows(8).any(|found| found == entry(2, 4, 7)) && acl.bytes.windows(8).any(|found| found == entry(2, 4, 1002)));
    }

    #[test]
    fn nonsense_is_no_acl() {
        for words in [
            &b""[..],
            b"user::rw-",
            b"user::rw-,user:lisa:r--,group::r--,other::---",
            b"user::rwz,group::r--,other::---",
            b"user::rwxr,group::r--,other::---",
            b"king::rw-,user::rw-,group::r--,other::---",
            b"user,group::r--,other::---",
            b"user::rw-,group::r--,other:lisa:---",
            &[b'x'; MAX_WORDS + 1],
        ] {
            assert_eq!(read(words, numbers), None, "{:?}", String::from_utf8_lossy(words));
        }
    }
}
