//! Takes the streams of one dump as they come.

use std::fs::File;
use std::io::{self, Write as _};

use amanda::crc::Crc;
use amanda::index::{self, LONGEST as LONGEST_NAME};
use amanda::protocol::features::Feature;
use amanda::protocol::reply::{Connect, Sendbackup};
use amanda::protocol::request::{DleRequest, Service};

use super::draft::{Files, StoreError};
use super::heard::{Heard, Proof};
use super::sink::Sink;
use super::{DumpError, Unproven, Why};
use crate::engine::embedded::dialogue::{Asker, Broken, Patience, Peer, clients_words, understood};

/// All names of one dump.
pub const MAX_NAMES: u64 = 2 << 30;

/// Everything that a dump's conversation needs.
pub struct Receiver {
    asker: Asker,
    dle: DleRequest,
    patience: Patience,
    files: Files,
}

/// What came, in full.
#[derive(Debug)]
pub struct Received {
    pub size: u64,
    pub native: Option<Crc>,
    pub client: Option<Crc>,
    pub server: Crc,
    pub strange: Vec<String>,
    pub is_strange: bool,
}

/// The streams that are open, and what was taken of them.
struct Streams {
    data: Option<u32>,
    mesg: Option<u32>,
    index: Option<u32>,
    state: Option<u32>,
    all: Connect,
    heard: Heard,
    came: Crc,
    files: Files,
    names: Names,
}

/// The list of names that is being written.
#[derive(Default)]
struct Names {
    list: Option<index::Writer<File>>,
    begun: Vec<u8>,
    /// The name that comes is longer than Amanda reads, and is left out.
    too_long: bool,
    total: u64,
}

impl Receiver {
    pub fn new(asker: Asker, dle: DleRequest, patience: Patience, files: Files) -> Self {
        Self { asker, dle, patience, files }
    }

    /// Asks for the dump and takes it.
    pub fn receive(self, peer: &mut Peer) -> Result<Received, DumpError> {
        let theirs = peer.noop(self.patience.check)?;
        understood(theirs, &self.dle)?;
        let answer = self.asker.ask(peer, Service::Sendbackup, vec![self.dle.clone()], self.patience.startup)?;
        let answer = Sendbackup::parse(&answer).map_err(|why| Broken::Answer { service: Service::Sendbackup.name(), why })?;
        let all = match answer {
            Sendbackup::Connect { streams, .. } => streams,
            Sendbackup::Error(text) => return Err(Broken::Refused(clients_words(&text)).into()),
        };
        if self.dle.index && all.index.is_none() {
            return Err(Unproven::NoIndex.into());
        }
        let Files { dump, index, spoilt } = self.files;
        let names = Names { list: index.map(index::Writer::new), ..Names::default() };
        let mut streams = Streams {
            data: Some(all.data),
            mesg: Some(all.mesg),
            index: all.index,
            state: all.state.flatten(),
            all,
            heard: Heard::new(self.dle),
            came: Crc { crc: 0, bytes: 0 },
            files: Files { dump, index: None, spoilt },
            names,
        };
        peer.listen(self.patience.data);
        let proof = streams.take_all(peer, theirs.has(Feature::SendbackupCrc));
        let (strange, is_strange) = (streams.heard.strange(), streams.heard.is_strange());
        match proof {
            Ok(Proof { size, native, client }) => Ok(Received { size, native, client, server: streams.came, strange, is_strange }),
            Err(why) => Err(DumpError { why, strange }),
        }
    }
}

impl Streams {
    fn take_all(&mut self, peer: &mut Peer, counts: bool) -> Result<Proof, Why> {
        let all = self.all;
        while [self.data, self.mesg, self.index, self.state].iter().any(Option::is_some) {
            let token = peer.next(|handle| all.handles().any(|stream| stream == handle))?;
            let stream = Some(token.handle);
            if token.length == 0 {
                self.end(peer, token.handle)?;
            } else if stream == self.data {
                if !self.heard.is_introduced() {
                    return Err(Unproven::Early.into());
                }
                self.files.spoilt.check().map_err(StoreError::Dump)?;
                let (file, came) = (&mut self.files.dump, &mut self.came);
                peer.payload(token, |piece| write(file, came, piece))?;
                peer.moved(token.length as u64);
            } else if stream == self.mesg {
                peer.payload::<Why>(token, |piece| Ok(self.heard.take(piece)?))?;
            } else if stream == self.index {
                peer.payload(token, |piece| self.names.take(piece))?;
            } else if stream == self.state {
                return Err(Unproven::State.into());
            } else {
                return Err(Unproven::AfterEnd.into());
            }
        }
        let proof = self.heard.proof(self.came, counts)?;
        self.names.finish()?;
        Ok(proof)
    }

    fn end(&mut self, peer: &mut Peer, handle: u32) -> Result<(), Why> {
        let place = [&mut self.data, &mut self.mesg, &mut self.index, &mut self.state].into_iter().find(|place| **place == Some(handle));
        let Some(place) = place else { return Ok(peer.noise()?) };
        *place = None;
        peer.echo(handle);
        if handle == self.all.mesg {
            self.heard.end()?;
        }
        Ok(())
    }
}

/// Writes a piece of the dump and counts it, out of the connection's own buffer.
fn write(file: &mut Sink, came: &mut Crc, piece: &[u8]) -> Result<(), Why> {
    came.crc = crc32c::crc32c_append(came.crc, piece);
    came.bytes += piece.len() as u64;
    file.write_all(piece).map_err(|error| StoreError::Dump(error).into())
}

impl Names {
    fn take(&mut self, piece: &[u8]) -> Result<(), Why> {
        self.total += piece.len() as u64;
        if self.total > MAX_NAMES {
            return Err(Unproven::LongIndex.into());
        }
        let Some(list) = &mut self.list else { return Ok(()) };
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            let (name, whole) = part.strip_suffix(b"\n").map_or((part, false), |name| (name, true));
            if whole && self.begun.is_empty() && !self.too_long {
                list.add(name).map_err(StoreError::Index)?;
                continue;
            }
            self.too_long |= self.begun.len() + name.len() > LONGEST_NAME;
            if !self.too_long {
                self.begun.extend_from_slice(name);
            }
            if whole {
                if !self.too_long {
                    list.add(&self.begun).map_err(StoreError::Index)?;
                }
                self.begun.clear();
                self.too_long = false;
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Why> {
        let finished: io::Result<()> = self.list.take().map_or(Ok(()), |list| list.finish().map(drop));
        Ok(finished.map_err(StoreError::Index)?)
    }
}
