//! How far a run and its disks are.

use std::ffi::OsString;

/// How far a run is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The planner asks clients for sizes, or has not begun.
    #[default]
    Estimating,
    /// Dumps are running or about to.
    Dumping,
    /// No dump is left to do and a volume is being written.
    Writing,
    /// The driver has ended.
    Finished,
}

/// How far a disk is.
#[derive(Debug, Clone, PartialEq)]
pub enum DleState {
    /// The client is being asked for sizes.
    Estimating,
    /// A size has come, in KiB before compression.
    Estimated {
        /// The lowest level that has a size.
        level: u8,
        /// KiB.
        kb: u64,
    },
    /// It is on the schedule.
    Waiting {
        /// The level the planner chose.
        level: u8,
        /// The expected size in KiB, after compression.
        kb: u64,
    },
    /// It is being dumped.
    Dumping {
        /// The level.
        level: u8,
        /// When the dump began: seconds after the start of the driver.
        since: f64,
        /// The holding files so far, without the `.tmp` that they have on disk; none for a dump straight to a volume.
        holding: Vec<OsString>,
    },
    /// It is dumped.
    Dumped {
        /// KiB, as written.
        kb: u64,
    },
    /// It is being written to a volume from the holding disk.
    Writing,
    /// It is on a volume.
    Written,
    /// The last attempt has failed; the driver may try again.
    Failed {
        /// Why, made printable.
        reason: String,
    },
}
