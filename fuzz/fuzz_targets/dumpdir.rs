//! What a directory had in it, as an archive says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use restore::dumpdir::Dumpdir;

fuzz_target!(|input: &[u8]| {
    if let Ok(dumpdir) = Dumpdir::parse(input) {
        let records = dumpdir.entries().count() + dumpdir.moves().count();
        assert!(records * 2 <= input.len());
        assert!(dumpdir.entries().all(|entry| !entry.name.is_empty() && !entry.name.contains(&b'/')));
    }
});
