//! Whatever a file begins with: what can be read can be printed and read again, or is refused with a reason.
#![no_main]

use amanda::header::Block;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    if let Ok(block) = Block::parse(file)
        && let Ok(printed) = block.print()
    {
        assert_eq!(Block::parse(&printed), Ok(block));
    }
});
