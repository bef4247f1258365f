//! A dump with a table: as it is, and its parts behind their checksums, which no fuzzer would guess.
#![no_main]

use std::io::Cursor;

use amanda::frames::{Collector, Table, each_member};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut dump = Cursor::new(input);
    if let Ok(Some(table)) = Table::read(&mut dump) {
        let _ = table.find(&mut dump, |name| name.len() % 2 == 0);
        let _ = table.copy(&mut dump, &(0..table.raw()), &mut std::io::sink());
    }
    let Some((length, body)) = input.split_first_chunk::<2>() else { return };
    if let Ok(table) = Table::parse(body, 0..u64::from(u16::from_le_bytes(*length))) {
        let _ = table.frames(&(1..table.raw()));
    }
    let mut members = Vec::new();
    if each_member(input, |name, at| members.push((name.to_vec(), at))).is_some() {
        let mut collector = Collector::default();
        for (name, at) in &members {
            collector.add(name, at / 512).unwrap();
        }
        collector.finish().unwrap();
    }
});
