//! Loose dumps for the conversation of a restore.

use std::collections::BTreeMap;
use std::io::{self, BufRead};

use amanda::chains::{Restorable, chains};
use amanda::dle::Dle;
use amanda::frames::Parts;
use amanda::header::HEADER_BYTES;
use wire::restore::{Dump, DumpId};
use wire::{DiskName, HostName};

use super::group::{Key, LooseDump, State, rows};
use super::scan::open;
use crate::engine::Trouble;
use crate::engine::embedded::stamp;
use crate::restore::serve::{Asked, Library};
use crate::restore::source::embedded::chain;
use crate::restore::source::{Data, Source, Stored, no_such_dump};

/// Dumps by what their headers say. Which builds on which is told by their dates alone, as Amanda tells it.
#[derive(Debug)]
pub struct Loose {
    dumps: BTreeMap<Key, LooseDump>,
    chains: BTreeMap<Dle, Vec<Restorable>>,
}

impl Loose {
    /// Takes dumps for a source. Where a disk has none that may be whole, what there is of the others counts.
    #[must_use]
    pub fn new(dumps: BTreeMap<Key, LooseDump>) -> Self {
        let mut of_all = chains(&rows(&dumps, |dump| !dump.files.is_empty()));
        of_all.extend(chains(&rows(&dumps, LooseDump::may_be_whole)));
        Self { dumps, chains: of_all }
    }

    /// Returns the dumps.
    #[must_use]
    pub fn dumps(&self) -> &BTreeMap<Key, LooseDump> {
        &self.dumps
    }

    /// Returns the disks of which something can be restored.
    pub fn disks(&self) -> impl Iterator<Item = &Dle> {
        self.chains.keys()
    }
}

impl Source for Loose {
    fn dumps(&mut self, host: &HostName) -> Result<Vec<Dump>, Trouble> {
        let mut dumps = Vec::new();
        for (dle, all) in self.chains.iter().filter(|(dle, _)| dle.host == host.as_str()) {
            let Ok(disk) = DiskName::new(dle.disk.clone()) else { continue };
            for dump in all {
                let Some(found) = self.dumps.get(&(dle.clone(), dump.datestamp.clone(), dump.level)) else { continue };
                let (chain, why_not) = chain(dump);
                dumps.push(Dump {
                    id: DumpId { host: host.clone(), disk: disk.clone(), datestamp: dump.datestamp.clone(), level: dump.level },
                    time: stamp::seconds(&dump.datestamp).unwrap_or(0),
                    chain,
                    why_not,
                    bytes: found.bytes,
                    orig_kb: found.header().and_then(|header| header.orig_kb).unwrap_or(0),
                    places: found.files.iter().map(|file| file.path.display().to_string()).collect(),
                    verified: None,
                });
            }
        }
        Ok(dumps)
    }

    fn index(&mut self, _: &DumpId) -> Result<Option<Box<dyn BufRead>>, Trouble> {
        // The archive itself tells.
        Ok(None)
    }

    fn stored(&mut self, dump: &DumpId) -> Result<Stored, Trouble> {
        let key = (Dle::new(dump.host.as_str(), dump.disk.as_os_str()), dump.datestamp.clone(), dump.level);
        stored(self.dumps.get(&key).filter(|found| !found.files.is_empty()).ok_or_else(|| no_such_dump(dump))?)
    }
}

/// Opens a dump.
///
/// # Errors
/// When one of its files cannot be opened.
pub fn stored(dump: &LooseDump) -> Result<Stored, Trouble> {
    let parts: io::Result<Vec<_>> = dump
        .files
        .iter()
        .map(|part| {
            let begin = HEADER_BYTES as u64;
            open(&part.path)
                .map(|file| (file, begin..begin + part.bytes))
                .map_err(|error| io::Error::other(format!("{}: {error}", part.path.display())))
        })
        .collect();
    let parts = parts.and_then(Parts::new);
    let parts =
        parts.map_err(|error| Trouble::later(format!("the dump cannot be read: {error}"), "an earlier dump may have what is missing"))?;
    let sum = match dump.state {
        State::Whole(sum) => Some(sum),
        _ => None,
    };
    let native = dump.header().and_then(|header| header.native);
    Ok(Stored { data: Data::Files(parts), sum, native, bytes: dump.bytes, is_plain: false })
}

/// Anybody's dumps, for whoever may read the files.
impl Library for Loose {
    fn of(&mut self, _: &HostName) -> Result<&mut dyn Source, Trouble> {
        Ok(self)
    }

    fn note(&mut self, _: &Asked<'_>, _: &str) {}
}

#[cfg(test)]
mod tests {
    use amanda::crc::Crc;
    use amanda::header::{Header, Kind};

    use super::super::group::group;
    use super::super::scan::LooseFile;
    use super::*;

    #[test]
    fn a_dump_that_may_build_on_one_that_is_not_whole_says_so() {
        let dumps = [("20261101000000", 0, 30), ("20261102000000", 0, 20), ("20261103000000", 1, 30), ("20261104000000", 2, 30)];
        let files = dumps.map(|(stamp, level, bytes)| {
            let mut header = Header::new(Dle::new("h", "/d"), stamp, level);
            (header.kind, header.server) = (Kind::File, Some(Crc { crc: 1, bytes: 30 }));
            LooseFile { path: format!("h.{stamp}").into(), bytes, header, on: None, written: String::new() }
        });
        let host: HostName = "h".parse().expect("a name");
        let mut doubted = BTreeMap::new();
        for dump in Source::dumps(&mut Loose::new(group(files.to_vec())), &host).expect("in memory") {
            doubted.insert((dump.id.level, dump.chain.len()), dump.why_not);
        }
        assert_eq!(doubted.keys().copied().collect::<Vec<_>>(), [(0, 1), (1, 2), (2, 3)]);
        assert_eq!(doubted[&(0, 1)], "");
        for doubtful in [(1, 2), (2, 3)] {
            assert!(doubted[&doubtful].contains("the dump of 20261102000000 is not whole"), "{doubted:?}");
        }
    }
}
