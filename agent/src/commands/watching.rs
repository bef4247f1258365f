//! What a person sees of the client while it serves the server's Amanda, and the laptop kept awake meanwhile.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use wire::DiskName;

use crate::client::Watch;
use crate::inhibit::Inhibitor;
use crate::report::progress::Reading;
use crate::report::show;

/// Words that are kept for the end of the visit.
const MOST_WORDS: usize = 50;

const ESTIMATING: &str = "estimating";
const DUMPING: &str = "dumping";

/// What keeps the laptop awake until it is dropped.
type Awake = Box<dyn Any + Send>;

/// What goes on, shared with the threads that serve.
pub struct Seen {
    now: Mutex<Now>,
    hold: fn() -> Option<Awake>,
    /// Whose wishes are refused.
    asker: &'static str,
}

#[derive(Default)]
struct Now {
    readings: BTreeMap<DiskName, (Reading, Instant)>,
    words: Vec<String>,
    awake: Option<Awake>,
}

impl Now {
    fn dumps(&self) -> bool {
        self.readings.values().any(|(reading, _)| reading.doing == DUMPING)
    }
}

impl Default for Seen {
    fn default() -> Self {
        Self { now: Mutex::default(), hold: || Inhibitor::hold().map(|held| Box::new(held) as Awake), asker: "the server's Amanda" }
    }
}

impl Seen {
    /// The same for a vault, behind which there is no server.
    pub fn of_vault() -> Self {
        Self { asker: "the vault", ..Self::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what is being read now.
    pub fn readings(&self) -> Vec<Reading> {
        let now = self.lock();
        now.readings.values().map(|(reading, since)| Reading { since: since.elapsed(), ..reading.clone() }).collect()
    }

    /// Takes the sentences for people that have come up.
    pub fn words(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().words)
    }

    /// Keeps a sentence for people.
    pub fn say(&self, words: &str) {
        let mut now = self.lock();
        let words = show(words);
        if now.words.len() < MOST_WORDS && !now.words.contains(&words) {
            now.words.push(words);
        }
    }

    fn began(&self, disk: &DiskName, doing: &'static str, level: u8) {
        let reading = Reading { disk: disk.clone(), doing, level, raw: 0, sent: 0, files: 0, since: Duration::ZERO };
        self.lock().readings.insert(disk.clone(), (reading, Instant::now()));
    }
}

impl Watch for Seen {
    fn estimating(&self, disk: &DiskName, level: u8) {
        self.began(disk, ESTIMATING, level);
    }

    fn estimated(&self, disk: &DiskName) {
        let mut now = self.lock();
        // A dump may have begun beside it.
        if now.readings.get(disk).is_some_and(|(reading, _)| reading.doing == ESTIMATING) {
            now.readings.remove(disk);
        }
    }

    /// A program is started and waited for while nobody else has to wait: the terminal is drawn from what is locked here.
    fn dumping(&self, disk: &DiskName, level: u8) {
        self.began(disk, DUMPING, level);
        if self.lock().awake.is_some() {
            return;
        }
        let held = (self.hold)();
        let mut now = self.lock();
        // The dump may have ended meanwhile, or another one have begun.
        let not_needed = if now.awake.is_none() && now.dumps() {
            now.awake = held;
            None
        } else {
            held
        };
        drop(now);
        drop(not_needed);
    }

    fn moved(&self, disk: &DiskName, raw: u64, sent: u64, files: u64) {
        if let Some((reading, _)) = self.lock().readings.get_mut(disk) {
            (reading.raw, reading.sent, reading.files) = (raw, sent, files);
        }
    }

    fn ended(&self, disk: &DiskName, _: &str) {
        let mut now = self.lock();
        now.readings.remove(disk);
        let not_needed = if now.dumps() { None } else { now.awake.take() };
        drop(now);
        drop(not_needed);
    }

    fn remarked(&self, what: &str) {
        self.say(what);
    }

    fn refused(&self, what: &str) {
        self.say(&format!("refused to {}: {what}", self.asker));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn disk(name: &str) -> DiskName {
        DiskName::new(name).expect("a name")
    }

    fn doing(seen: &Seen) -> Vec<(String, &'static str)> {
        seen.readings().into_iter().map(|reading| (show(reading.disk.as_bytes()), reading.doing)).collect()
    }

    #[test]
    fn a_refusal_names_who_asked() {
        for (seen, words) in [(Seen::default(), "refused to the server's Amanda: x"), (Seen::of_vault(), "refused to the vault: x")] {
            seen.refused("x");
            assert_eq!(seen.words(), [words]);
        }
    }

    #[test]
    fn an_estimate_is_seen_until_it_ends_and_takes_no_dump_with_it() {
        let seen = Seen { hold: || None, ..Seen::default() };
        seen.estimating(&disk("/home"), 1);
        seen.estimating(&disk("/srv"), 0);
        assert_eq!(doing(&seen).len(), 2);
        seen.estimated(&disk("/home"));
        assert_eq!(doing(&seen), [("/srv".to_owned(), ESTIMATING)]);
        seen.dumping(&disk("/srv"), 0);
        seen.estimated(&disk("/srv"));
        assert_eq!(doing(&seen), [("/srv".to_owned(), DUMPING)]);
        seen.ended(&disk("/srv"), "sent");
        assert_eq!(doing(&seen), []);
    }

    #[test]
    fn the_laptop_is_held_awake_for_all_dumps_together_and_nobody_waits_for_it() {
        static SEEN: OnceLock<Seen> = OnceLock::new();
        static HELD: AtomicU32 = AtomicU32::new(0);
        struct Held;
        impl Drop for Held {
            fn drop(&mut self) {
                assert!(SEEN.get().expect("set").now.try_lock().is_ok(), "let go while everybody waits");
                HELD.fetch_sub(1, Ordering::SeqCst);
            }
        }
        let hold = || {
            assert!(SEEN.get().expect("set").now.try_lock().is_ok(), "held while everybody waits");
            HELD.fetch_add(1, Ordering::SeqCst);
            Some(Box::new(Held) as Awake)
        };
        let seen = SEEN.get_or_init(|| Seen { hold, ..Seen::default() });
        let held = || HELD.load(Ordering::SeqCst);
        seen.estimating(&disk("/home"), 0);
        assert_eq!(held(), 0);
        seen.dumping(&disk("/home"), 0);
        seen.dumping(&disk("/srv"), 0);
        assert_eq!(held(), 1);
        seen.ended(&disk("/home"), "sent");
        assert_eq!(held(), 1);
        seen.ended(&disk("/srv"), "sent");
        assert_eq!(held(), 0);
    }
}
