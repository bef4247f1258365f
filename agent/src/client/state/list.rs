//! The time in GNU tar's list: tar leaves out what has not changed since, by the clock.
//!
//! A clock that was ahead makes a list of the future. What changes after it was set right has times before the list's, and
//! would be in no dump that builds on it.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// More than the head of a list: its version and two numbers.
const HEAD: u64 = 256;

/// What building on a list would come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// Its time has been.
    Before,
    /// By our clock it has not been made yet.
    InTheFuture,
    /// It does not say, as far as we know.
    Unknown,
}

/// Looks at a list.
pub fn made(list: &Path, now: SystemTime) -> io::Result<Made> {
    made_of(&File::open(list)?, now)
}

/// Looks at a list that is open; reads it from where it stands.
pub fn made_of(list: &File, now: SystemTime) -> io::Result<Made> {
    let mut head = Vec::new();
    list.take(HEAD).read_to_end(&mut head)?;
    Ok(match time(&head) {
        Some(time) if time > now => Made::InTheFuture,
        Some(_) => Made::Before,
        None => Made::Unknown,
    })
}

/// Reads `GNU tar-1.35-2`, a newline, and seconds and nanoseconds, each ended by a zero: format 2, which every GNU tar since 1.20 writes.
fn time(head: &[u8]) -> Option<SystemTime> {
    let end = head.iter().position(|byte| *byte == b'\n')?;
    let (first, rest) = (&head[..end], &head[end + 1..]);
    if !first.starts_with(b"GNU tar-") || !first.ends_with(b"-2") {
        return None;
    }
    let mut numbers = rest.split_inclusive(|byte| *byte == 0).map(|number| {
        let digits = std::str::from_utf8(number.strip_suffix(&[0])?).ok()?;
        if digits.starts_with('+') { None } else { digits.parse::<u64>().ok() }
    });
    let (seconds, nanoseconds) = (numbers.next()??, numbers.next()??);
    let nanoseconds = u32::try_from(nanoseconds).ok().filter(|nanoseconds| *nanoseconds < 1_000_000_000)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds))
}

/// Tells whether the clock was set back between two looks at it, by what a clock that nobody sets has counted meanwhile. That one
/// stands still while the laptop sleeps, and so is never ahead.
pub fn was_set_back(then: SystemTime, now: SystemTime, counted: Duration) -> bool {
    /// Both are read one after the other.
    const SLACK: Duration = Duration::from_millis(50);
    now.checked_add(SLACK).is_some_and(|now| now.duration_since(then).map_or(true, |passed| passed < counted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_a_list_says_when_it_was_made() {
        let at = |seconds, nanoseconds| SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds);
        for (case, head, expected) in [
            ("whole", &b"GNU tar-1.35-2\n1700000000\x00123\x000\x002049"[..], Some(at(1_700_000_000, 123))),
            ("zero", b"GNU tar-1.20-2\n0\x000\0", Some(at(0, 0))),
            ("another format", b"GNU tar-1.15-1\n1700000000\x00123\0", None),
            ("no head", b"1700000000\n", None),
            ("cut", b"GNU tar-1.35-2\n1700000000\x0012", None),
            ("before the epoch", b"GNU tar-1.35-2\n-1\x000\0", None),
            ("no number", b"GNU tar-1.35-2\nx\x000\0", None),
            ("too many nanoseconds", b"GNU tar-1.35-2\n1\x001000000000\0", None),
            ("too late for any clock", b"GNU tar-1.35-2\n18446744073709551615\x000\0", None),
            ("empty", b"", None),
        ] {
            assert_eq!(time(head), expected, "{case}");
        }
    }

    #[test]
    fn a_clock_that_was_set_back_is_noticed_and_a_sleeping_laptop_is_not() {
        let (then, second) = (SystemTime::UNIX_EPOCH + Duration::from_secs(1000), Duration::from_secs(1));
        for (case, now, counted, expected) in [
            ("as counted", then + 10 * second, 10 * second, false),
            ("asleep, or set ahead", then + 1000 * second, 10 * second, false),
            ("set back a little", then + 9 * second, 10 * second, true),
            ("set back far", then - 100 * second, 10 * second, true),
            ("at once", then, Duration::ZERO, false),
        ] {
            assert_eq!(was_set_back(then, now, counted), expected, "{case}");
        }
    }
}
