//! zstd on two threads: [`amanda::frames`], independent frames of the archive that together are one stream.
//!
//! ```text
//! tar ─ read ─> slot ─> compress │ compress ─> in order ─> DATA
//!        ↑                                        │     ↑
//!        └──────────────── slots ─────────────────┘     sections of members, from the names' end
//! ```
//!
//! A slot is room for a frame before and after. There are six and no more: one that is filled, two that are compressed, one that is sent, and two so
//! that none of these waits for another. So a slow server stops tar, and memory is 49 MiB at most, less by what the dump becomes smaller; a dump that is smaller than a frame takes as much as it is
//! long.
//!
//! Each frame says how long it is uncompressed, and has a checksum: the dump's CRC covers the whole, and whoever reads one file of it
//! reads nothing else that could tell him that a bit has changed. It costs four bytes in 4 MiB.

use std::io::{self, ErrorKind, Read};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use amanda::crc::Crc;
use amanda::frames::{FRAME, Layout, Section};
use zstd::bulk::Compressor;
use zstd::zstd_safe::{CParameter, compress_bound};

use super::Progress;
use super::filter::{CHUNK, count};
use crate::client::lanes::Lane;

const WORKERS: usize = 2;
const SLOTS: usize = WORKERS + 4;
/// As `zstd` without a level.
const LEVEL: i32 = 3;
/// All of a frame is the window; level 3 would look back half as far.
const WINDOW: u32 = FRAME.ilog2();
/// Entries of the two tables that matches are found with: of long ones, and of short ones. Half of what level 3 has in all, so that both stay in
/// a core's own cache beside the frame that is read. With the longer window a dump is no larger for it, and made a tenth faster.
const TABLES: (u32, u32) = (15, 16);

/// Room for a frame, taken when it is first needed: what is not filled is not in memory.
#[derive(Default)]
struct Slot {
    raw: Vec<u8>,
    filled: usize,
    packed: Vec<u8>,
}

type Numbered = (u64, Slot);

/// Takes all of tar's output to the server, and the sections of members. Returns the checksum of what tar wrote.
pub fn pass_on(tar: impl Read + Send, sections: &Receiver<Section>, lane: &mut Lane, progress: &Progress<'_>) -> io::Result<Crc> {
    let (to_fill, free) = channel();
    (0..SLOTS).for_each(|_| to_fill.send(Slot::default()).expect("its receiver is here"));
    let (filled, full) = channel();
    let full = Mutex::new(full);
    let (to_send, packed) = channel();
    thread::scope(|scope| {
        let reading = scope.spawn(move || read(tar, &free, &filled, progress));
        for _ in 0..WORKERS {
            let (full, to_send) = (&full, to_send.clone());
            scope.spawn(move || compress(full, &to_send));
        }
        drop(to_send);
        let mut dump = Dump { lane, layout: Layout::default(), sections, progress };
        let sent = dump.frames(&packed, to_fill).inspect_err(|_| {
            // Otherwise tar would wait for a reader that waits for a slot.
            progress.children.kill();
        });
        let native = reading.join().expect("no panic");
        sent?;
        let native = native?;
        dump.finish().map(|()| native)
    })
}

/// Fills slots until tar has no more, or nobody empties them.
fn read(mut tar: impl Read, free: &Receiver<Slot>, filled: &Sender<Numbered>, progress: &Progress<'_>) -> io::Result<Crc> {
    let mut native = Crc { crc: 0, bytes: 0 };
    let mut is_over = false;
    for number in 0.. {
        let Ok(mut slot) = free.recv() else { break };
        if slot.raw.is_empty() {
            slot.raw = vec![0; FRAME];
        }
        slot.filled = 0;
        while slot.filled < FRAME && !is_over {
            let behind = FRAME.min(slot.filled + CHUNK);
            match tar.read(&mut slot.raw[slot.filled..behind]) {
                Ok(0) => is_over = true,
                Ok(read) => {
                    count(&mut native, &slot.raw[slot.filled..slot.filled + read]);
                    slot.filled += read;
                    progress.raw(native.bytes);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if slot.filled == 0 || filled.send((number, slot)).is_err() || is_over {
            break;
        }
    }
    Ok(native)
}

/// Compresses slots until there are no more.
fn compress(full: &Mutex<Receiver<Numbered>>, to_send: &Sender<io::Result<Numbered>>) {
    let mut compressor = compressor();
    loop {
        let next = full.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((number, mut slot)) = next else { return };
        slot.packed.clear();
        slot.packed.reserve_exact(compress_bound(slot.filled));
        let packed = match &mut compressor {
            Ok(compressor) => compressor.compress_to_buffer(&slot.raw[..slot.filled], &mut slot.packed),
            Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
        };
        if to_send.send(packed.map(|_| (number, slot))).is_err() {
            return;
        }
    }
}

fn compressor() -> io::Result<Compressor<'static>> {
    let mut compressor = Compressor::new(LEVEL)?;
    compressor.set_parameter(CParameter::WindowLog(WINDOW))?;
    compressor.set_parameter(CParameter::HashLog(TABLES.0))?;
    compressor.set_parameter(CParameter::ChainLog(TABLES.1))?;
    compressor.set_parameter(CParameter::ChecksumFlag(true))?;
    Ok(compressor)
}

/// The dump on its way out.
struct Dump<'a> {
    lane: &'a mut Lane,
    layout: Layout,
    sections: &'a Receiver<Section>,
    progress: &'a Progress<'a>,
}

impl Dump<'_> {
    /// Sends frames in their order, and what sections there are between them; slots go back to be filled.
    fn frames(&mut self, packed: &Receiver<io::Result<Numbered>>, to_fill: Sender<Slot>) -> io::Result<()> {
        let mut early: Vec<Numbered> = Vec::with_capacity(SLOTS);
        let mut next = 0;
        for slot in packed {
            early.push(slot?);
            while let Some(at) = early.iter().position(|(number, _)| *number == next) {
                let (_, slot) = early.swap_remove(at);
                for section in self.sections.try_iter() {
                    self.section(&section)?;
                }
                self.layout.data(slot.packed.len(), slot.filled);
                self.lane.put(&slot.packed)?;
                self.progress.sent(self.lane.sent().bytes);
                next += 1;
                // Nobody fills it when tar has no more.
                let _at_the_end = to_fill.send(slot);
            }
        }
        Ok(())
    }

    /// Sends the members that are left, which come until tar has closed the list of names, and the table.
    fn finish(mut self) -> io::Result<()> {
        for section in self.sections {
            self.section(&section)?;
        }
        let table = self.layout.finish()?;
        self.lane.put(&table)?;
        self.progress.sent(self.lane.sent().bytes);
        Ok(())
    }

    fn section(&mut self, section: &Section) -> io::Result<()> {
        self.layout.members(section);
        self.lane.put(section.bytes())
    }
}
