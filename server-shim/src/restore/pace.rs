//! How often a reader may be asked: each ask is a line in the system's log, and a laptop must not fill that.

use std::time::Duration;

/// So many asks are answered in a minute. A restore asks for hundreds of files at a time, so it needs far fewer.
const PER_MINUTE: u32 = 600;

/// A minute.
const WINDOW: Duration = Duration::from_secs(60);

/// Counts asks, minute by minute. Times are those of a clock that nobody sets.
#[derive(Debug, Default)]
pub(super) struct Pace {
    begun: Duration,
    asked: u32,
}

impl Pace {
    /// Counts an ask, and says how long its answer has to wait: whoever asks too often is not refused, only slower.
    pub fn ask(&mut self, now: Duration) -> Duration {
        let end = self.begun.saturating_add(WINDOW);
        if self.asked < PER_MINUTE && now < end {
            self.asked += 1;
            return Duration::ZERO;
        }
        let wait = if self.asked < PER_MINUTE { Duration::ZERO } else { end.saturating_sub(now) };
        *self = Self { begun: now.saturating_add(wait), asked: 1 };
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_too_often_waits_for_the_next_minute() {
        let (mut pace, start) = (Pace::default(), Duration::from_secs(1000));
        let waits: Vec<Duration> = (0..PER_MINUTE).map(|_| pace.ask(start)).collect();
        assert!(waits.iter().all(Duration::is_zero));
        assert_eq!(pace.ask(start + Duration::from_secs(20)), Duration::from_secs(40));
        assert_eq!(pace.ask(start + Duration::from_secs(60)), Duration::ZERO);
    }

    #[test]
    fn a_full_minute_that_is_long_over_holds_nobody_up() {
        let (mut pace, start) = (Pace::default(), Duration::from_secs(1000));
        (0..PER_MINUTE).for_each(|_| assert!(pace.ask(start).is_zero()));
        assert_eq!(pace.ask(start + Duration::from_secs(100)), Duration::ZERO);
        assert_eq!(pace.ask(start + Duration::from_secs(200)), Duration::ZERO);
    }
}
