//! The laptop's side of a conversation about dumps, on a stream of its session.

use wire::frame::{CONTROL, pack, unpack};
use wire::restore::{Ask, DATA, Told};
use wire::{Decoder, FromAgent, FromShim};

use crate::world::{Heard, Laptop, World};

/// A laptop that has a reader at the other end of its stream.
pub fn restoring(world: &World, host: &str) -> Laptop {
    let mut laptop = Laptop::greeting(world, host);
    laptop.say(&FromAgent::Restore);
    assert_eq!(laptop.hear(), Heard::Said(FromShim::Open { stream: 1 }));
    laptop
}

/// Asks, and returns what is told, and the bytes that came.
pub fn ask(laptop: &mut Laptop, ask: &Ask) -> (Vec<Told>, Vec<u8>) {
    laptop.send(1, &pack(ask).expect("short"));
    let (mut decoder, mut told, mut bytes, mut untold) = (Decoder::new(), Vec::new(), Vec::new(), 0);
    loop {
        while let Some(frame) = decoder.next_frame().expect("frames") {
            match frame.channel {
                CONTROL => told.push(unpack(frame).expect("a message")),
                DATA => bytes.extend_from_slice(frame.payload),
                other => panic!("channel {other}"),
            }
        }
        if matches!(told.last(), Some(Told::Done | Told::No { .. })) {
            return (told, bytes);
        }
        match laptop.hear() {
            Heard::Data(1, piece) => {
                untold += piece.len();
                if untold >= 256 * 1024 {
                    laptop.say(&FromAgent::Window { stream: 1, bytes: u32::try_from(untold).expect("short") });
                    untold = 0;
                }
                decoder.feed(&piece);
            }
            Heard::Said(FromShim::Window { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Closes the stream and waits for the end.
pub fn close(laptop: &mut Laptop) {
    laptop.say(&FromAgent::Close { stream: 1 });
    assert_eq!(laptop.hear_but_credit(), Heard::Said(FromShim::Close { stream: 1 }));
    assert_eq!(laptop.hear(), Heard::Said(FromShim::End { ticket: None }));
}
