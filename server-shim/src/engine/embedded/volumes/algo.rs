//! Which of the dumps that wait goes to a volume next (`taperalgo`; `startaflush` in server-src/driver.c): a function of values.
//!
//! What an earlier run left goes before what a later one made, but for `last`. What can be split fits when all volumes that the run may
//! still write have room for it. Where nothing fits the smallest is taken.

use std::cmp::Reverse;

use amanda::conf::rules::TaperAlgo;

/// A dump that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits<'a> {
    /// Its bytes.
    pub bytes: u64,
    /// When it was dumped.
    pub datestamp: &'a str,
    /// It may be split.
    pub splits: bool,
}

/// What there is room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// Bytes on the volume that is written to, or on the one that would be begun.
    pub here: u64,
    /// Bytes on all that the run may still write.
    pub all: u64,
}

/// Chooses one, by its place in the queue; `None` when nothing waits.
pub fn choose(algo: TaperAlgo, queue: &[Waits<'_>], left: Left) -> Option<usize> {
    let first = queue.first()?;
    let of_time = || queue.iter().enumerate().filter(|(_, dump)| dump.datestamp <= first.datestamp);
    let fits = |(_, dump): &(usize, &Waits<'_>)| dump.bytes <= if dump.splits { left.all } else { left.here };
    // Of equal ones the first.
    let largest = |(at, dump): &(usize, &Waits<'_>)| (dump.bytes, Reverse(*at));
    let smallest = || of_time().min_by_key(|(at, dump)| (dump.bytes, *at));
    let chosen = match algo {
        TaperAlgo::First => Some((0, first)),
        TaperAlgo::Last => queue.iter().enumerate().next_back(),
        TaperAlgo::Smallest => smallest(),
        TaperAlgo::Largest => of_time().max_by_key(largest),
        TaperAlgo::FirstFit => of_time().find(fits),
        TaperAlgo::LargestFit => of_time().filter(fits).max_by_key(largest),
    };
    chosen.or_else(smallest).map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_dump_is_the_one_that_taperalgo_says() {
        let of = |datestamp, bytes| Waits { bytes, datestamp, splits: false };
        let queue = [of("2", 50), of("2", 90), of("2", 20), of("2", 90), of("3", 10), of("3", 99)];
        let left = |here| Left { here, all: 0 };
        for (algo, here, expected) in [
            (TaperAlgo::First, 0, 0),
            (TaperAlgo::Last, 0, 5),
            (TaperAlgo::Smallest, 0, 2),
            (TaperAlgo::Largest, 0, 1),
            (TaperAlgo::FirstFit, 60, 0),
            (TaperAlgo::FirstFit, 40, 2),
            (TaperAlgo::FirstFit, 5, 2),
            (TaperAlgo::LargestFit, 100, 1),
            (TaperAlgo::LargestFit, 60, 0),
            (TaperAlgo::LargestFit, 5, 2),
        ] {
            assert_eq!(choose(algo, &queue, left(here)), Some(expected), "{algo:?} with {here}");
        }
        assert_eq!(choose(TaperAlgo::First, &[], left(9)), None);
        let split = [Waits { splits: true, ..of("2", 50) }, of("2", 20)];
        assert_eq!(choose(TaperAlgo::LargestFit, &split, Left { here: 30, all: 60 }), Some(0));
        assert_eq!(choose(TaperAlgo::LargestFit, &split, Left { here: 30, all: 40 }), Some(1));
    }
}
