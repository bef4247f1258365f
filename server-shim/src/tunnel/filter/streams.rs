//! The streams of a connection's dumps: the dump itself, its messages, its names, its state.

use amanda::protocol::reply::Connect;
use amanda::protocol::request::{DleRequest, Program};

use super::messages::{Messages, error_line};
use super::names::Names;
use super::{Caught, end_of, put_token};

/// All that an application says about its state. Amanda writes it to a file.
const MAX_STATE: u64 = 64 << 20;

/// What a stream of the laptop's carries.
#[derive(Debug)]
enum Kind {
    /// The dump: any bytes, after its header.
    Dump {
        /// Its messages.
        mesg: u32,
        /// Its end came before its header was complete, and was kept back.
        ended: bool,
    },
    /// The application's state: any bytes, and so many may still come.
    State(u64),
    /// Names, each in a line.
    Names(Names),
    /// Lines about the dump.
    Messages {
        messages: Box<Messages>,
        /// The end came, and waits for the dump's.
        over: bool,
    },
}

/// The streams that are open, by their handles.
#[derive(Debug, Default)]
pub struct Streams(Vec<(u32, Kind)>);

impl Streams {
    /// Opens those of one dump.
    pub fn open(&mut self, dle: DleRequest, streams: &Connect) -> Result<(), Caught> {
        if streams.handles().any(|handle| self.is_open(handle)) {
            return Err(Caught::new("the laptop named a stream that is in use"));
        }
        let state = if dle.program == Program::Application { MAX_STATE } else { 0 };
        self.0.push((streams.data, Kind::Dump { mesg: streams.mesg, ended: false }));
        self.0.extend(streams.state.flatten().map(|handle| (handle, Kind::State(state))));
        self.0.extend(streams.index.map(|handle| (handle, Kind::Names(Names::default()))));
        self.0.push((streams.mesg, Kind::Messages { messages: Box::new(Messages::new(dle)), over: false }));
        Ok(())
    }

    /// Tells whether there is such a stream.
    pub fn is_open(&self, handle: u32) -> bool {
        self.0.iter().any(|(open, _)| *open == handle)
    }

    /// Begins a token of an open stream, or ends the stream. Tells whether the token's header passes as it came; what is
    /// emitted otherwise is added to `instead`.
    pub fn begin(&mut self, handle: u32, left: usize, instead: &mut Vec<u8>) -> Result<bool, Caught> {
        let Some(position) = self.0.iter().position(|(open, _)| *open == handle) else { return Ok(false) };
        match &mut self.0[position].1 {
            Kind::Dump { mesg, ended } => {
                let (mesg, ended) = (*mesg, *ended);
                if ended || self.wants_header(mesg) {
                    // Amanda's dumper dies of a dump, or of its end, that comes before the header is complete.
                    if left > 0 {
                        return Err(Caught::new("the laptop sent its dump before the dump's header was complete"));
                    }
                    self.0[position].1 = Kind::Dump { mesg, ended: true };
                    return Ok(false);
                }
                if left == 0 {
                    self.0.swap_remove(position);
                    let mut held = Vec::new();
                    self.release(mesg, &mut held);
                    if !held.is_empty() {
                        instead.extend(end_of(handle));
                        instead.extend(held);
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Kind::Messages { over: true, .. } if left > 0 => Err(Caught::new("the laptop sent messages after their end")),
            Kind::Messages { .. } => {
                if left == 0 {
                    self.end_messages(position, instead)?;
                }
                Ok(false)
            }
            Kind::State(_) | Kind::Names(_) => {
                if left == 0 {
                    self.0.swap_remove(position);
                }
                Ok(true)
            }
        }
    }

    /// Returns what a token of this stream is filled up with when its rest does not come; none for a stream whose tokens do
    /// not pass as they came.
    pub fn filler(&self, handle: u32) -> Option<u8> {
        match self.0.iter().find(|(open, _)| *open == handle)?.1 {
            Kind::Dump { .. } | Kind::State(_) => Some(0),
            Kind::Names(_) => Some(b'\n'),
            Kind::Messages { .. } => None,
        }
    }

    /// Looks at a piece of a token; what is emitted in its place, when its stream does not pass as it comes, is added to
    /// `instead`.
    pub fn piece(&mut self, handle: u32, piece: &[u8], instead: &mut Vec<u8>) -> Result<(), Caught> {
        let may_end = self.may_end(handle);
        match self.0.iter_mut().find(|(open, _)| *open == handle).map(|(_, kind)| kind) {
            Some(Kind::Names(names)) => names.take(piece),
            Some(Kind::State(left)) => {
                *left = left
                    .checked_sub(piece.len() as u64)
                    .ok_or_else(|| Caught::new("the laptop sent more of an application's state than its dumptype allows"))?;
                Ok(())
            }
            Some(Kind::Messages { messages, .. }) => {
                // Whole lines make a token of their own.
                let mut lines = Vec::with_capacity(piece.len());
                let verdict = messages.take(piece, may_end, &mut lines);
                put_token(instead, handle, &lines);
                verdict?;
                self.let_go(instead);
                Ok(())
            }
            Some(Kind::Dump { .. }) | None => Ok(()),
        }
    }

    fn end_messages(&mut self, position: usize, instead: &mut Vec<u8>) -> Result<(), Caught> {
        let handle = self.0[position].0;
        let may_end = self.may_end(handle);
        let Kind::Messages { messages, over } = &mut self.0[position].1 else { return Ok(()) };
        if *over {
            return Ok(());
        }
        let mut lines = Vec::new();
        let verdict = messages.end(may_end, &mut lines);
        put_token(instead, handle, &lines);
        verdict?;
        if messages.is_holding() {
            *over = true;
        } else {
            instead.extend(end_of(handle));
            self.0.swap_remove(position);
            self.let_go(instead);
        }
        Ok(())
    }

    /// Tells whether the dump of these messages has ended: until then nobody says that it is good. Whoever cuts the laptop off
    /// in the middle of a dump leaves a token that is filled up, which Amanda could take for the dump's last.
    fn may_end(&self, messages: u32) -> bool {
        !self.0.iter().any(|(_, kind)| matches!(kind, Kind::Dump { mesg, ended: false } if *mesg == messages))
    }

    /// Says what was held back of these messages, since their dump has ended.
    fn release(&mut self, mesg: u32, out: &mut Vec<u8>) {
        let Some(position) = self.0.iter().position(|(open, _)| *open == mesg) else { return };
        let Kind::Messages { messages, over } = &mut self.0[position].1 else { return };
        put_token(out, mesg, &messages.release());
        if *over {
            out.extend(end_of(mesg));
            self.0.swap_remove(position);
        }
    }

    /// Tells whether a dump's header is not complete.
    fn wants_header(&self, mesg: u32) -> bool {
        let incomplete = |kind: &Kind| matches!(kind, Kind::Messages { messages, .. } if !messages.is_complete());
        self.0.iter().any(|(open, kind)| *open == mesg && incomplete(kind))
    }

    /// Lets the end of a dump go that was kept back, now that its header is complete or will never be.
    fn let_go(&mut self, out: &mut Vec<u8>) {
        let ready = |(_, kind): &(u32, Kind)| matches!(kind, Kind::Dump { mesg, ended: true } if !self.wants_header(*mesg));
        if let Some(position) = self.0.iter().position(ready) {
            let (handle, _) = self.0.swap_remove(position);
            out.extend(end_of(handle));
        }
    }

    /// Ends all dumps in a way that Amanda's dumper waits for nothing more: it counts the error line as the dump's end, and is
    /// done when all streams are. The messages come first, since it dies of a dump that ends before its header.
    pub fn fail(&mut self, why: &str, out: &mut Vec<u8>) {
        let (messages, others): (Vec<_>, Vec<_>) = self.0.drain(..).partition(|(_, kind)| matches!(kind, Kind::Messages { .. }));
        for (handle, _) in messages {
            put_token(out, handle, &error_line(why));
            out.extend(end_of(handle));
        }
        for (handle, _) in others {
            out.extend(end_of(handle));
        }
    }
}
