//! Which of the waiting dumps goes to a volume next (`taperalgo`; `start_a_flush` in server-src/driver.c).

use amanda::conf::rules::TaperAlgo;

/// A dump that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waiting<'a> {
    /// Its bytes.
    pub bytes: u64,
    /// It may go on to the next volume.
    pub splits: bool,
    /// The run that made it. What older runs left goes first.
    pub datestamp: &'a str,
}

/// What there is for it, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Left {
    /// On the volume that is written to, or on a fresh one.
    pub volume: u64,
    /// On all volumes that the run may still write.
    pub run: u64,
}

/// Returns the place of the next dump; `None` when nothing waits.
pub(super) fn next(algo: TaperAlgo, waiting: &[Waiting<'_>], left: Left) -> Option<usize> {
    let oldest = waiting.first()?.datestamp;
    let turn = || waiting.iter().enumerate().filter(|(_, dump)| dump.datestamp <= oldest);
    let fitting = || turn().filter(|(_, dump)| dump.bytes <= if dump.splits { left.run } else { left.volume });
    // Of several that are as large the first one counts.
    let smallest = || turn().min_by_key(|(_, dump)| dump.bytes);
    let chosen = match algo {
        TaperAlgo::First => turn().next(),
        TaperAlgo::FirstFit => fitting().next(),
        TaperAlgo::Largest => turn().rev().max_by_key(|(_, dump)| dump.bytes),
        TaperAlgo::LargestFit => fitting().rev().max_by_key(|(_, dump)| dump.bytes),
        TaperAlgo::Smallest => smallest(),
        TaperAlgo::Last => waiting.iter().enumerate().next_back(),
    };
    // Where nothing fits, Amanda takes the smallest.
    chosen.or_else(smallest).map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dump(bytes: u64) -> Waiting<'static> {
        Waiting { bytes, splits: false, datestamp: "20261124010203" }
    }

    #[test]
    fn each_algorithm_takes_what_its_name_says() {
        let waiting = [dump(50), dump(20), dump(90), dump(20), dump(90), dump(40)];
        let left = Left { volume: 45, run: 1000 };
        for (algo, at) in [
            (TaperAlgo::First, 0),
            (TaperAlgo::FirstFit, 1),
            (TaperAlgo::Largest, 2),
            (TaperAlgo::LargestFit, 5),
            (TaperAlgo::Smallest, 1),
            (TaperAlgo::Last, 5),
        ] {
            assert_eq!(next(algo, &waiting, left), Some(at), "{algo:?}");
            assert_eq!(next(algo, &[], left), None);
        }
    }

    #[test]
    fn what_may_be_divided_fits_on_all_volumes_of_the_run_and_where_nothing_fits_the_smallest_goes() {
        let waiting = [dump(50), Waiting { splits: true, ..dump(500) }, dump(60)];
        assert_eq!(next(TaperAlgo::LargestFit, &waiting, Left { volume: 45, run: 600 }), Some(1));
        assert_eq!(next(TaperAlgo::LargestFit, &waiting, Left { volume: 45, run: 400 }), Some(0));
    }

    #[test]
    fn what_older_runs_left_goes_first() {
        let waiting = [dump(50), Waiting { datestamp: "20261125010203", ..dump(500) }, dump(60)];
        assert_eq!(next(TaperAlgo::Largest, &waiting, Left { volume: 1000, run: 1000 }), Some(2));
    }
}
