//! An index: as it is, and through gzip.
#![no_main]

use std::ffi::OsStr;
use std::io::BufReader;
use std::os::unix::ffi::OsStrExt;

use amanda::index;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    let mut lines = Vec::new();
    if index::names(file, |name| lines.push(name.to_vec())).is_ok() {
        let mut writer = index::Writer::new(Vec::new());
        lines.iter().for_each(|line| writer.add(line).unwrap());
        let gzipped = writer.finish().unwrap();
        lines.retain(|line| index::is_line(line));
        let mut read = Vec::new();
        let unzipped = BufReader::new(flate2::bufread::MultiGzDecoder::new(&gzipped[..]));
        index::names(unzipped, |name| read.push(name.to_vec())).unwrap();
        assert_eq!(read, lines);
    }
    let mut bytes = 0u64;
    let _ = index::names(BufReader::new(flate2::bufread::MultiGzDecoder::new(file)), |name| bytes += name.len() as u64);
    let _ = index::parse_name(OsStr::from_bytes(file));
});
