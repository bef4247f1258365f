//! Waiting for a condition, with an end. Nothing in these tests waits for a time to pass.

use std::time::{Duration, Instant};

/// How often a condition is looked at. Short enough to catch what lives for a second, long enough for two cores.
const GLANCE: Duration = Duration::from_millis(40);

/// Returns what `look` finds as soon as it finds something.
///
/// # Panics
/// When there is nothing within the time, naming what was waited for.
pub fn until<T>(what: &str, within: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < within, "waited {within:?} in vain for {what}");
        glance();
    }
}

/// Returns when the condition holds.
///
/// # Panics
/// When it does not within the time.
pub fn until_true(what: &str, within: Duration, mut holds: impl FnMut() -> bool) {
    until(what, within, || holds().then_some(()));
}

/// Lets a moment pass between two looks; time is spent on purpose only here and in [`blink`].
pub fn glance() {
    std::thread::sleep(GLANCE);
}

/// Lets a moment pass that is short beside what has passed already: who waits for a program of a tenth of a second does not wait for two.
pub fn blink(passed: Duration) {
    std::thread::sleep((passed / 16).clamp(Duration::from_millis(1), GLANCE));
}
