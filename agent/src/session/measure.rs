//! How fast the line to the server is: rounds of filler, each twice as long as the one before, until one takes long enough
//! to say something.

use std::time::Duration;

use wire::FromAgent;

/// Characters of one message's filler.
const FILLER: usize = 60_000;
/// A round that takes this long is believed.
const LONG_ENOUGH: Duration = Duration::from_millis(1500);
/// Messages of the longest round: 8 MB.
const MOST: u32 = 128;

/// One round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rounds {
    messages: u32,
}

/// What a round came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Measured {
    /// Too short to say anything: this one is next.
    Again(Rounds),
    /// Bytes a second.
    Rate(u64),
}

impl Default for Rounds {
    fn default() -> Self {
        Self { messages: 1 }
    }
}

impl Rounds {
    /// Returns what to say.
    pub fn messages(self) -> impl Iterator<Item = FromAgent> {
        (1..=self.messages).map(move |at| FromAgent::Measure { filler: "x".repeat(FILLER), last: at == self.messages })
    }

    /// Decides after a round that took this long.
    pub fn after(self, took: Duration) -> Measured {
        if took < LONG_ENOUGH && self.messages < MOST {
            return Measured::Again(Self { messages: self.messages * 2 });
        }
        let bytes = f64::from(self.messages) * FILLER as f64;
        Measured::Rate((bytes / took.as_secs_f64().max(0.001)) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_grow_until_one_says_something() {
        let first = Rounds::default();
        assert_eq!(first.messages().count(), 1);
        assert_eq!(first.after(Duration::from_secs(6)), Measured::Rate(10_000));
        let Measured::Again(second) = first.after(Duration::from_millis(100)) else { panic!("too short") };
        let said: Vec<_> = second.messages().map(|message| matches!(message, FromAgent::Measure { last: true, .. })).collect();
        assert_eq!(said, [false, true]);
        let mut round = first;
        let mut rounds = 1;
        while let Measured::Again(next) = round.after(Duration::from_millis(1)) {
            (round, rounds) = (next, rounds + 1);
        }
        assert_eq!(rounds, 8);
    }

    #[test]
    fn a_message_of_filler_fits_into_a_frame() {
        assert!(Rounds::default().messages().all(|message| wire::frame::pack(&message).is_ok()));
    }
}
