//! A list of volumes.
#![no_main]

use amanda::tapelist::Tapelist;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    if let Ok(list) = Tapelist::parse(file)
        && let Ok(printed) = list.print()
    {
        assert_eq!(Tapelist::parse(&printed), Ok(list));
    }
});
