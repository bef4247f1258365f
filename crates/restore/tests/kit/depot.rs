//! The answering half of `wire::restore`, small: it answers from the archives of a history.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use restore::archive::{Archive, Item};
use restore::depot::Depot;
use restore::member::{Kind, Piece, Pieces};
use wire::frame::{Decoder, header, pack, unpack};
use wire::message::AbortCode;
use wire::restore::{Ask, DATA, Dump, Packing, PathBytes, Told, What, record};

use super::history::History;

/// What goes wrong, and what was asked.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// The connection ends behind so many bytes of dumps.
    pub cut: Option<u64>,
    /// These bytes of this dump are lost: number, where, how many.
    pub hole: Option<(usize, usize, usize)>,
    /// The stored bytes are not those that the catalog knows.
    pub wrong_crc: bool,
    /// The last stored byte of what comes whole is another one.
    pub wrong_end: bool,
    /// This dump cannot be read at all.
    pub gone: Option<usize>,
    /// All questions, in order.
    pub asked: Arc<Mutex<Vec<Ask>>>,
}

struct Server {
    stream: UnixStream,
    catalog: Vec<Dump>,
    archives: Vec<std::path::PathBuf>,
    packing: Packing,
    faults: Faults,
    sent: u64,
}

/// Starts somebody who answers, until the other end is closed.
pub fn start(history: &History, faults: Faults) -> Depot<UnixStream, UnixStream> {
    let (ours, theirs) = UnixStream::pair().expect("two ends");
    let mut server = Server {
        stream: theirs,
        catalog: history.catalog(),
        archives: history.dumps.iter().map(|made| made.archive.clone()).collect(),
        packing: history.packing,
        faults,
        sent: 0,
    };
    thread::spawn(move || server.serve());
    Depot::new(ours.try_clone().expect("a descriptor"), ours)
}

/// An archive in memory.
struct Bytes<'a>(&'a [u8]);

impl Pieces for Bytes<'_> {
    fn fill(&mut self) -> io::Result<Option<Piece<'_>>> {
        Ok((!self.0.is_empty()).then_some(Piece::Bytes(self.0)))
    }

    fn consume(&mut self, bytes: usize) {
        self.0 = &self.0[bytes..];
    }
}

/// A member: its path, where its headers begin, its dumpdir.
pub type Found = (PathBytes, usize, Option<Vec<u8>>);

/// Returns what is in an archive.
pub fn members(archive: &[u8]) -> Vec<Found> {
    let mut reader = Archive::new(Bytes(archive));
    let mut found = Vec::new();
    loop {
        let member = match reader.next().expect("in memory") {
            None => return found,
            Some(Item::Member(member, _)) => member,
            Some(Item::Damage(damage)) => panic!("{damage}"),
        };
        let dumpdir = match member.kind {
            Kind::Directory { dumpdir } => dumpdir,
            _ => None,
        };
        found.push((PathBytes::new(&member.path), usize::try_from(reader.begins()).expect("small"), dumpdir));
    }
}

impl Server {
    fn serve(&mut self) -> Option<()> {
        let mut decoder = Decoder::new();
        loop {
            while !decoder.is_ready().ok()? {
                let mut bytes = [0; 4096];
                let read = self.stream.read(&mut bytes).ok().filter(|read| *read > 0)?;
                decoder.feed(&bytes[..read]);
            }
            let ask: Ask = unpack(decoder.next_frame().ok()??).ok()?;
            self.faults.asked.lock().expect("nobody panicked").push(ask.clone());
            self.answer(ask)?;
        }
    }

    fn tell(&mut self, told: &Told) -> Option<()> {
        self.stream.write_all(&pack(told).expect("short")).ok()
    }

    fn data(&mut self, bytes: &[u8]) -> Option<()> {
        // Odd pieces: nothing may depend on where they are cut.
        bytes.chunks(50_001).try_for_each(|chunk| {
            self.stream.write_all(&header(DATA, chunk.len())).ok()?;
            self.stream.write_all(chunk).ok()
        })
    }

    fn number(&self, id: &wire::restore::DumpId) -> Option<usize> {
        self.catalog.iter().position(|dump| dump.id == *id)
    }

    fn answer(&mut self, ask: Ask) -> Option<()> {
        match ask {
            Ask::Dumps { .. } => {
                for dump in self.catalog.clone() {
                    self.tell(&Told::Dump(Box::new(dump)))?;
                }
            }
            Ask::Names { dump, below, deep } => {
                let number = self.number(&dump)?;
                let lines = names(&self.archives[number], &below, deep);
                self.data(&lines)?;
            }
            Ask::Directories { dump, of, deep } => {
                let number = self.number(&dump)?;
                let archive = fs::read(&self.archives[number]).expect("a dump");
                let wanted = |path: &PathBytes| of.iter().any(|of| of.is_in(path) || (deep && path.is_in(of)));
                let records = members(&archive).into_iter().filter(|(path, _, _)| wanted(path));
                let records: Vec<u8> =
                    records.filter_map(|(path, _, dumpdir)| dumpdir.map(|body| record(&path, &body))).flatten().collect();
                self.data(&records)?;
            }
            Ask::Fetch { dump, what } => return self.fetch(self.number(&dump)?, &what),
        }
        self.tell(&Told::Done)
    }

    fn fetch(&mut self, number: usize, what: &What) -> Option<()> {
        if self.faults.gone == Some(number) {
            return self.tell(&Told::No {
                code: AbortCode::Failed,
                message: "volume V1 is not there.".to_owned(),
                hint: "Insert it and try again.".to_owned(),
            });
        }
        let whole = fs::read(&self.archives[number]).expect("a dump");
        let (archive, packing) = match what {
            What::All => (whole, self.packing),
            What::Members(paths) => (some(&whole, paths), Packing::Plain),
        };
        let hole = self.faults.hole.filter(|(of, _, _)| *of == number);
        let mut stored = packed(&archive, packing);
        if let Some(last) = stored.last_mut().and_then(|last| last.last_mut()).filter(|_| self.faults.wrong_end && *what == What::All) {
            *last ^= 1;
        }
        let crc = crc32c::crc32c(&stored.concat()) ^ u32::from(self.faults.wrong_crc);
        let length = stored.iter().map(Vec::len).sum::<usize>() as u64;
        let proof = (*what == What::All).then(|| (format!("{crc:08x}"), length));
        self.tell(&Told::Archive { packing, bytes: length, stored: proof })?;
        let raw = archive.chunks(FRAME).map(<[u8]>::len);
        for (frame, raw) in stored.iter().zip(raw) {
            if packing == Packing::Frames {
                self.tell(&Told::Frame { packed: frame.len() as u64, raw: raw as u64 })?;
            }
            if let Some((_, at, length)) = hole.filter(|_| packing == Packing::Plain) {
                self.data(&frame[..at])?;
                self.tell(&Told::Hole { raw: Some(length as u64), why: "a block of the volume cannot be read".to_owned() })?;
                self.data(&frame[at + length..])?;
                continue;
            }
            if let Some(cut) = self.faults.cut
                && self.sent + frame.len() as u64 > cut
            {
                self.data(&frame[..usize::try_from(cut - self.sent).expect("small")])?;
                return None;
            }
            self.sent += frame.len() as u64;
            self.data(frame)?;
        }
        self.tell(&Told::Done)
    }
}

const FRAME: usize = 64 << 10;

/// An archive as it is stored: one piece, or a frame each.
fn packed(archive: &[u8], packing: Packing) -> Vec<Vec<u8>> {
    match packing {
        Packing::Plain => vec![archive.to_vec()],
        Packing::Zstd => vec![zstd::encode_all(archive, 1).expect("memory")],
        Packing::Gzip => {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(archive).expect("memory");
            vec![gzip.finish().expect("memory")]
        }
        Packing::Frames => archive.chunks(FRAME).map(|frame| zstd::bulk::compress(frame, 1).expect("memory")).collect(),
    }
}

/// An archive of some members, and what is below them.
fn some(archive: &[u8], paths: &[PathBytes]) -> Vec<u8> {
    let members = members(archive);
    let mut found = Vec::new();
    let end = archive.len();
    for (at, (path, begins, _)) in members.iter().enumerate() {
        if paths.iter().any(|wanted| path.is_in(wanted)) {
            let behind = members.get(at + 1).map_or(end, |(_, begins, _)| *begins);
            found.extend_from_slice(&archive[*begins..behind]);
        }
    }
    found.extend([0; 1024]);
    found
}

/// Names as an index has them.
fn names(archive: &Path, below: &PathBytes, deep: bool) -> Vec<u8> {
    let listed = Command::new("tar").env("LC_ALL", "C").args(["--list", "--file"]).arg(archive).output().expect("tar");
    let is_below = |line: &&[u8]| {
        let path = PathBytes::new(&amanda::index::unescaped(&line[1..]));
        let Some(rest) = path.as_bytes().strip_prefix(below.as_bytes()).filter(|_| path.is_in(below)) else { return false };
        let rest = rest.strip_prefix(b"/").unwrap_or(rest);
        !rest.is_empty() && (deep || !rest.contains(&b'/'))
    };
    let lines = listed.stdout.split(|byte| *byte == b'\n').filter_map(amanda::index::line);
    lines.filter(is_below).flat_map(|line| [line, b"\n"].concat()).collect()
}
