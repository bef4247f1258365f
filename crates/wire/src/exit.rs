//! The exit statuses of both programs: one documented list, after sysexits(3) where it has a word.

/// How a program of ours ends. Amanda's own exit bits appear in JSON, never as ours; 127 and 255 belong to ssh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Exit {
    /// Done, or nothing to do.
    Done = 0,
    /// It was tried and failed.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The server cannot be reached.
    Unreachable = 69,
    /// Deferred, busy or queued: the same command will do later.
    Later = 75,
    /// The two sides do not understand each other.
    Protocol = 76,
    /// The other side said no; a person must change something.
    Refused = 77,
    /// The configuration is wrong.
    Config = 78,
}

impl Exit {
    /// Returns the status as the kernel wants it.
    pub fn code(self) -> u8 {
        self as u8
    }
}
