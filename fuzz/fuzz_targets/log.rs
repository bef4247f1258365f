//! A run's log: the reader, and what a later run carries over, whose lines say the same again.
#![no_main]

use amanda::run_log::{RunLog, carried_over};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    let mut log = RunLog::default();
    log.feed(file);
    let carried = carried_over(file, "v-1");
    let again = carried.join(&b'\n');
    assert_eq!(carried_over(&again, "v-1"), carried);
});
