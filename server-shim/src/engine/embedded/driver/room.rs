//! Room for dumps: on which holding disk one goes, and how much of a file system `use` gives them.

/// Where a dump is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On this holding disk.
    Holding(usize),
    /// In a directory beside the volumes, on none.
    Beside,
}

/// Returns the holding disk for a dump of so many bytes: of those that have the room the one on which the fewest dumps are being made, and
/// of those the one with the most room (`find_diskspace` in server-src/driver.c). A dump lies on one holding disk as a whole.
#[must_use]
pub fn holding(free: &[u64], active: &[usize], bytes: u64) -> Option<usize> {
    let has_room = free.iter().enumerate().filter(|(_, free)| **free >= bytes.max(1));
    has_room.min_by_key(|(at, free)| (active.get(*at).copied().unwrap_or(0), u64::MAX - **free)).map(|(at, _)| at)
}

/// Returns the bytes of a file system that dumps may take: `use` in KiB, of which a negative number is what is left alone, and nothing is
/// everything.
#[must_use]
pub fn allowed(use_kib: i64, available: u64) -> u64 {
    let bytes = use_kib.unsigned_abs().saturating_mul(1024);
    if use_kib > 0 { bytes.min(available) } else { available.saturating_sub(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_goes_where_the_fewest_are_being_made_and_then_where_most_is_free() {
        for (case, free, active, bytes, expected) in [
            ("the roomier one", &[10, 20][..], &[0, 0][..], 5, Some(1)),
            ("the quieter one", &[10, 20], &[0, 1], 5, Some(0)),
            ("the only one with the room", &[10, 20], &[0, 3], 15, Some(1)),
            ("exactly the room", &[10], &[0], 10, Some(0)),
            ("none", &[10, 20], &[0, 0], 21, None),
            ("a full one has none, even for nothing", &[0], &[0], 0, None),
            ("no holding disk", &[], &[], 0, None),
        ] {
            assert_eq!(holding(free, active, bytes), expected, "{case}");
        }
    }

    #[test]
    fn use_is_a_limit_or_what_is_left_alone() {
        for (case, kib, available, expected) in [
            ("everything", 0, 5_000, 5_000),
            ("a limit", 2, 5_000, 2_048),
            ("more than there is", 200, 5_000, 5_000),
            ("some is left alone", -2, 5_000, 2_952),
            ("more is to be left alone than there is", -200, 5_000, 0),
            ("beyond all numbers", i64::MIN, 5_000, 0),
        ] {
            assert_eq!(allowed(kib, available), expected, "{case}");
        }
    }
}
