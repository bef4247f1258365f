//! How many messages a laptop may say: each is read, and some are answered.

use std::time::{Duration, Instant};

/// So many at once: a laptop's first words, and the credit of its streams.
const BURST: u32 = 1000;

/// One more for each of these.
const EACH: Duration = Duration::from_millis(10);

/// What is left.
#[derive(Debug, Clone)]
pub struct Allowance {
    left: u32,
    counted: Instant,
}

impl Allowance {
    /// Begins with a burst.
    pub fn new(now: Instant) -> Self {
        Self { left: BURST, counted: now }
    }

    /// Takes one message in; false when it is one too many.
    pub fn take(&mut self, now: Instant) -> bool {
        let earned = now.saturating_duration_since(self.counted).as_millis() / EACH.as_millis();
        if earned > 0 {
            self.left = self.left.saturating_add(u32::try_from(earned).unwrap_or(u32::MAX)).min(BURST);
            self.counted = now;
        }
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_ends_at_the_burst_and_patience_earns_more() {
        let start = Instant::now();
        let mut allowance = Allowance::new(start);
        assert_eq!((0..2 * BURST).filter(|_| allowance.take(start)).count(), BURST as usize);
        let later = start + EACH * 3;
        assert_eq!((0..10).filter(|_| allowance.take(later)).count(), 3);
    }
}
