//! What is remembered of a disk. Rates are printed with six digits, so the second printing is compared.
#![no_main]

use amanda::curinfo::Info;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    if let Ok(info) = Info::parse(file) {
        let printed = info.print();
        let again = Info::parse(&printed).expect("what was printed can be read");
        assert_eq!(again.print(), printed);
    }
});
