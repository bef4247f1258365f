//! How much of a dump goes to the volume that is written to: a function of values.
//!
//! Amanda's device says that a volume's end is near four blocks before it (device-src/vfs-device.c), and its taper ends the part there; so
//! a header and a block always fit. A dump that may not be split is not begun where it does not fit: its size is known, and Amanda,
//! which begins it all the same, has only written in vain then.

use amanda::header::HEADER_BYTES;
use amanda::vtape::EARLY_WARNING;

/// A part ends between blocks of so many bytes, unless the dump ends.
pub(super) const BLOCK: u64 = 32 * 1024;

/// What is known of a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    /// Bytes that it holds.
    pub length: u64,
    /// Bytes that are on it.
    pub used: u64,
    /// Bytes that its file system has free.
    pub free: u64,
    /// No dump is on it yet.
    pub is_fresh: bool,
}

/// How much is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// All that is left of the dump.
    Rest,
    /// So many bytes of it, and the volume goes on.
    Part(u64),
    /// So many bytes of it, and the volume is full.
    Last(u64),
    /// Nothing: the volume is full.
    Nothing,
    /// Nothing, and no other volume has more room.
    Never,
}

/// Returns how much of a dump, of which so many bytes are left, is written to a volume. `part` is the tapetype's part-size in bytes.
pub(super) fn extent(room: &Room, left: u64, part: Option<u64>, splits: bool) -> Extent {
    let of_volume = room.length.saturating_sub(room.used);
    let usable = of_volume.min(room.free).saturating_sub(EARLY_WARNING + HEADER_BYTES as u64);
    let part = part.filter(|_| splits).map(|part| (part / BLOCK * BLOCK).max(BLOCK));
    let fits = left <= usable;
    match part {
        None if fits => Extent::Rest,
        Some(part) if fits && left <= part => Extent::Rest,
        Some(part) if part <= usable => Extent::Part(part),
        _ => match usable / BLOCK * BLOCK {
            blocks if splits && blocks > 0 => Extent::Last(blocks),
            _ if room.is_fresh && of_volume <= room.free => Extent::Never,
            _ => Extent::Nothing,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: u64 = 1024;
    const LOTS: u64 = 1 << 40;

    #[test]
    fn a_part_ends_where_the_volume_is_near_its_end() {
        let room = |used: u64, free: u64| Room { length: 1024 * KIB, used: used * KIB, free, is_fresh: used == 32 };
        for (case, room, left, part, splits, expected) in [
            ("all fits", room(32, LOTS), 832, None, true, Extent::Rest),
            ("one byte too many", room(32, LOTS), 833, None, true, Extent::Last(832 * KIB)),
            ("behind another dump", room(532, LOTS), 500, None, true, Extent::Last(320 * KIB)),
            ("a block does not fit", room(852, LOTS), 500, None, true, Extent::Nothing),
            ("in parts", room(32, LOTS), 500, Some(200), true, Extent::Part(192 * KIB)),
            ("the last part", room(532, LOTS), 100, Some(200), true, Extent::Rest),
            ("a part is cut by the end", room(732, LOTS), 500, Some(200), true, Extent::Last(128 * KIB)),
            ("not to be split, and fits", room(32, LOTS), 832, Some(200), false, Extent::Rest),
            ("not to be split, and fits elsewhere", room(532, LOTS), 500, Some(200), false, Extent::Nothing),
            ("not to be split, and fits nowhere", room(32, LOTS), 900, None, false, Extent::Never),
            ("the file system is full", room(32, 500 * KIB), 900, None, true, Extent::Last(320 * KIB)),
            ("the file system has nothing left", room(32, 100 * KIB), 900, None, true, Extent::Nothing),
        ] {
            let part = part.map(|part| part * KIB);
            assert_eq!(extent(&room, left * KIB, part, splits), expected, "{case}");
        }
        assert_eq!(extent(&room(32, LOTS), 0, Some(200 * KIB), true), Extent::Rest, "an empty dump has one part");
        let tiny = Room { length: 100 * KIB, used: 32 * KIB, free: LOTS, is_fresh: true };
        assert_eq!(extent(&tiny, 500, None, true), Extent::Never, "a volume without room for a block");
    }
}
