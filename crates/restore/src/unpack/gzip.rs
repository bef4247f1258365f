//! gzip, one or more members behind one another.

use std::io::{self, BufRead as _, Read as _};

use flate2::bufread::GzDecoder;

use super::stream::{Input, Output};

/// Uncompresses a stream.
pub(super) fn unpack(input: &mut Input, output: &mut Output) -> io::Result<()> {
    if input.fill_buf()?.is_empty() {
        return Err(io::Error::other("the dump is empty, and not even gzip's header is there"));
    }
    loop {
        member(input, output).map_err(|error| io::Error::other(format!("the gzip stream is damaged ({error})")))?;
        if input.only_zeros()? {
            return Ok(());
        }
    }
}

/// Uncompresses one member, with its checksum.
fn member(input: &mut Input, output: &mut Output) -> io::Result<()> {
    let mut decoder = GzDecoder::new(input);
    loop {
        let mut buffer = output.buffer();
        let room = buffer.capacity();
        let read = (&mut decoder).take(room as u64).read_to_end(&mut buffer);
        // What came out before the damage is what was put in, as far as anybody can say: gzip has its checksum at the end.
        let length = buffer.len();
        output.give(buffer)?;
        if read? == 0 || length < room {
            return Ok(());
        }
    }
}
