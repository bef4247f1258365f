//! `dumporder`: a letter for each dumper, by which it chooses.

use super::Task;

/// What a dumper begins with among dumps of one priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Letter {
    Smallest,
    Largest,
    Shortest,
    Longest,
    Narrowest,
    Widest,
}

impl Letter {
    fn of(letter: u8) -> Self {
        match letter {
            b'S' => Self::Largest,
            b't' => Self::Shortest,
            b'T' => Self::Longest,
            b'b' => Self::Narrowest,
            b'B' => Self::Widest,
            // Amanda takes what it does not know for this one.
            _ => Self::Smallest,
        }
    }
}

/// The letters, of which the first belongs to the first dumper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letters(Vec<Letter>);

impl Default for Letters {
    fn default() -> Self {
        Self::of("ttt")
    }
}

impl Letters {
    /// Reads `s` and `S` (size), `t` and `T` (time), `b` and `B` (bandwidth): the least first, in capitals the most.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(text.bytes().map(Letter::of).collect())
    }

    /// Returns a dumper's letter; those that have none begin with short dumps, and from the fourth one on with long ones.
    fn get(&self, dumper: usize) -> Letter {
        let none = if dumper < 3 { Letter::Shortest } else { Letter::Longest };
        self.0.get(dumper).copied().unwrap_or(none)
    }

    /// Says whether a dumper begins with this dump rather than with the other. Of two that are alike it is the first in the list.
    #[must_use]
    pub fn prefers(&self, dumper: usize, task: &Task, to: &Task) -> bool {
        if task.priority != to.priority {
            return task.priority > to.priority;
        }
        match self.get(dumper) {
            Letter::Smallest => task.bytes < to.bytes,
            Letter::Largest => task.bytes > to.bytes,
            Letter::Shortest => task.seconds < to.seconds,
            Letter::Longest => task.seconds > to.seconds,
            Letter::Narrowest => task.kps < to.kps,
            Letter::Widest => task.kps > to.kps,
        }
    }
}
