//! Room for dumps: on which holding disk one goes.

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
}
