//! One block, as a header.

use tar::Header;

/// Bytes of a block.
pub(super) const BLOCK: usize = 512;
pub(super) type Block = [u8; BLOCK];

/// Where a header has its checksum.
const CHECKSUM: std::ops::Range<usize> = 148..156;
/// Where it has its length.
const SIZE: std::ops::Range<usize> = 124..136;
/// Where it has its name, and what it links to.
const NAME: usize = 0;
const LINK: usize = 157;
const NAME_LENGTH: usize = 100;

/// What a header says.
#[derive(Debug)]
pub(super) struct Head<'a> {
    pub header: &'a Header,
    /// What kind of member it is.
    pub flag: u8,
    /// Bytes behind the header, as it says.
    pub size: u64,
}

/// Returns what a block says when it is a header: its checksum is right, and its length is a number.
pub(super) fn read(block: &Block) -> Option<Head<'_>> {
    let header = Header::from_byte_slice(block);
    if !checksum(block, header.cksum().ok()?) {
        return None;
    }
    // The header of a volume's label has no length at all.
    let size = if block[SIZE].iter().all(|byte| matches!(byte, 0 | b' ')) { 0 } else { header.entry_size().ok()? };
    Some(Head { header, flag: header.entry_type().as_byte(), size })
}

/// Says whether a block that stands anywhere looks like the header of a member that GNU tar wrote: more than its checksum must be right.
pub(super) fn is_plausible(block: &Block) -> bool {
    &block[257..262] == b"ustar"
        && read(block).is_some_and(|head| {
            matches!(head.flag, 0 | b'0'..=b'7' | b'D' | b'K' | b'L' | b'S' | b'x' | b'g') && block[NAME] != 0 && head.header.mode().is_ok()
        })
}

/// Says whether all bytes are 0.
pub(super) fn is_zero(block: &Block) -> bool {
    block.iter().all(|byte| *byte == 0)
}

fn checksum(block: &Block, said: u32) -> bool {
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    let unsigned = sum(&block[..CHECKSUM.start]) + sum(&block[CHECKSUM.end..]) + 8 * u32::from(b' ');
    // Some old programs added up signed bytes.
    said == unsigned || {
        let high = block.iter().enumerate().filter(|(at, byte)| **byte > 127 && !CHECKSUM.contains(at)).count();
        u32::try_from(high * 256).is_ok_and(|less| i64::from(said) == i64::from(unsigned) - i64::from(less))
    }
}

impl Head<'_> {
    /// Says whether this is GNU tar's own format, which has one header for what fits into it.
    pub fn is_gnu(&self) -> bool {
        self.header.as_gnu().is_some()
    }

    /// Says whether its name, or what it links to, fills its field: it may be the beginning of a longer one.
    pub fn is_full(&self) -> (bool, bool) {
        let full = |from: usize| self.header.as_bytes()[from..from + NAME_LENGTH].iter().all(|byte| *byte != 0);
        (full(NAME), full(LINK))
    }

    /// Returns its name, with the prefix where the format has one.
    pub fn path(&self) -> Vec<u8> {
        self.header.path_bytes().into_owned()
    }

    /// Returns what it links to.
    pub fn link(&self) -> Vec<u8> {
        self.header.link_name_bytes().map_or_else(Vec::new, |link| link.into_owned())
    }

    /// Returns seconds since 1970; a time before that is a negative number, in two's complement.
    pub fn mtime(&self) -> i64 {
        self.header.mtime().unwrap_or(0).cast_signed()
    }

    /// Returns the last access, which GNU tar's incremental archives have.
    pub fn atime(&self) -> Option<i64> {
        let gnu = self.header.as_gnu()?;
        if matches!(gnu.atime[0], 0 | b' ') { None } else { gnu.atime().ok().map(u64::cast_signed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(change: impl FnOnce(&mut Header)) -> Block {
        let mut header = Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..3].copy_from_slice(b"./a");
        header.set_mode(0o644);
        header.set_size(5);
        change(&mut header);
        header.set_cksum();
        *header.as_bytes()
    }

    #[test]
    fn a_header_is_known_by_its_checksum() {
        let good = block(|_| {});
        assert!(is_plausible(&good) && read(&good).is_some_and(|head| head.size == 5 && head.is_gnu() && head.path() == b"./a"));
        for at in [0, 100, 124, 148, 257, 511] {
            let mut bent = good;
            bent[at] ^= 1;
            assert!(read(&bent).is_none(), "{at}");
        }
        assert!(read(&[0; BLOCK]).is_none() && is_zero(&[0; BLOCK]));
    }

    #[test]
    fn signed_checksums_of_old_programs_are_right_too() {
        let mut odd = block(|header| header.as_gnu_mut().unwrap().uname[0] = 0xe9);
        let sum = Header::from_byte_slice(&odd).cksum().unwrap() - 256;
        odd[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        assert!(read(&odd).is_some());
    }

    #[test]
    fn times_before_1970_and_large_numbers_are_read() {
        let mut old = block(|header| {
            header.as_gnu_mut().unwrap().mtime = [0xff; 12];
            header.set_size(1 << 40);
        });
        assert_eq!(read(&old).map(|head| (head.mtime(), head.size, head.atime())), Some((-1, 1 << 40, None)));
        old = block(|header| header.as_gnu_mut().unwrap().set_atime(7));
        assert_eq!(read(&old).and_then(|head| head.atime()), Some(7));
    }

    #[test]
    fn a_name_that_fills_its_field_may_be_longer() {
        let full = block(|header| header.as_gnu_mut().unwrap().name = [b'n'; NAME_LENGTH]);
        assert_eq!(read(&full).map(|head| head.is_full()), Some((true, false)));
    }
}
