//! zstd, one or more frames behind one another; skippable ones are passed over.

use std::io::{self, BufRead as _};

use ::zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation as _, OutBuffer};

use super::stream::{Input, Output};

/// What a frame may look back, as a power of 2: 128 MiB, what the zstd program allows too.
const WINDOW: u32 = 27;

/// Uncompresses a stream.
pub(super) fn unpack(input: &mut Input, output: &mut Output) -> io::Result<()> {
    let mut decoder = Decoder::new()?;
    decoder.set_parameter(DParameter::WindowLogMax(WINDOW))?;
    let mut buffer = output.buffer();
    let damaged = frames(&mut decoder, input, output, &mut buffer);
    output.give(buffer)?;
    damaged
}

fn frames(decoder: &mut Decoder<'_>, input: &mut Input, output: &mut Output, buffer: &mut Vec<u8>) -> io::Result<()> {
    // What zstd still wants of the frame: nothing between two of them.
    let mut wanted = 0;
    let mut first = true;
    loop {
        if wanted == 0 && !first && input.only_zeros()? {
            return Ok(());
        }
        let chunk = input.fill_buf()?;
        let ended = chunk.is_empty();
        if ended && first {
            return Err(io::Error::other("the dump is empty, and not even zstd's header is there"));
        }
        first = false;
        let mut stored = InBuffer::around(chunk);
        let length = buffer.len();
        let mut unpacked = OutBuffer::around_pos(buffer, length);
        wanted =
            decoder.run(&mut stored, &mut unpacked).map_err(|error| io::Error::other(format!("the zstd stream is damaged ({error})")))?;
        let (used, made) = (stored.pos(), unpacked.pos() - length);
        input.consume(used);
        if buffer.len() == buffer.capacity() {
            let full = std::mem::replace(buffer, output.buffer());
            output.give(full)?;
        } else if ended && made == 0 && wanted != 0 {
            return Err(io::Error::other("the zstd stream is cut off"));
        }
    }
}
