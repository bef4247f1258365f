//! What becomes of full dumps when no volume can be written: the holding disk is for incremental ones then (server-src/driver.c,
//! `start_degraded_mode`).

/// A dump that was planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// It is a full dump.
    pub is_full: bool,
    /// Its expected size, in bytes.
    pub bytes: u64,
    /// An incremental dump may be made instead.
    pub has_other: bool,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is made as it was planned.
    Stays,
    /// An incremental one is made.
    Less,
    /// It is not made.
    Fails,
}

/// Decides about dumps in the order of their importance. Of the holding disks' `room` in bytes `reserve` per cent are kept for incremental
/// dumps; full ones take the rest as far as it goes.
///
/// Amanda 3.5.1 divides the per cents as whole numbers, so that it reserves all or nothing; here they count as amanda.conf(5) says.
#[must_use]
pub fn degrade(wishes: &[Wish], room: u64, reserve: u32) -> Vec<Fate> {
    let kept = room / 100 * u64::from(reserve.min(100)) + room % 100 * u64::from(reserve.min(100)) / 100;
    let mut left = room - kept.min(room);
    let fate = |wish: &Wish| match wish {
        Wish { is_full: false, .. } => Fate::Stays,
        Wish { bytes, .. } if *bytes <= left => {
            left -= bytes;
            Fate::Stays
        }
        Wish { has_other: true, .. } => Fate::Less,
        _ => Fate::Fails,
    };
    wishes.iter().map(fate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_dumps_take_what_is_not_reserved() {
        let full = |bytes, has_other| Wish { is_full: true, bytes, has_other };
        let incremental = Wish { is_full: false, bytes: 1_000, has_other: false };
        let wishes = [full(60, true), incremental, full(50, false), full(40, true), full(1, true)];
        for (case, room, reserve, expected) in [
            ("all is reserved", 1_000, 100, [Fate::Less, Fate::Stays, Fate::Fails, Fate::Less, Fate::Less]),
            ("nothing is", 1_000, 0, [Fate::Stays, Fate::Stays, Fate::Stays, Fate::Stays, Fate::Stays]),
            ("a tenth of it is left", 1_000, 90, [Fate::Stays, Fate::Stays, Fate::Fails, Fate::Stays, Fate::Less]),
            ("no holding disk", 0, 0, [Fate::Less, Fate::Stays, Fate::Fails, Fate::Less, Fate::Less]),
        ] {
            assert_eq!(degrade(&wishes, room, reserve), expected, "{case}");
        }
    }
}
