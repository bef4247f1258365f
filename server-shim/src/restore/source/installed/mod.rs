//! The dumps of an installed Amanda: what `amadmin find` lists, Amanda's own index, and the bytes as they are stored.
//!
//! Amanda never decodes anything for us, since a dump's header would say how. Files are read directly where that is simple ([`files`]: holding disk,
//! volumes in directories), so that a dump in frames is read from the middle there, too; anything else is `amfetchdump -l`'s to get ([`fetch`]).
//! The server's own dumptype must say that a dump is GNU tar's and that nobody encrypted it.

mod fetch;
mod files;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::{BufRead, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use amanda::admin::DiskEntry;
use amanda::chains::{Restorable, chains};
use amanda::crc::Crc;
use amanda::dle::Dle;
use amanda::header::{HEADER_BYTES, Header};
use amanda::index;
use wire::restore::{Dump, DumpId};
use wire::{ConfigName, DiskName, HostName};

use self::files::Files;
use super::embedded::{Key, chain, key, open_index, places, unreadable};
use super::{Data, Source, Stored, no_such_dump};
use crate::config::Config;
use crate::engine::Trouble;
use crate::engine::amanda::programs::Programs;
use crate::engine::amanda::survey::{entries, settings};
use crate::engine::amanda::verify;
use crate::engine::embedded::stamp;
use crate::layout::Layout;
use crate::restore::leash::Leash;
use crate::verified::{self, Verified};

/// The dumps of one config.
pub struct Installed {
    programs: Programs,
    name: ConfigName,
    indexdir: PathBuf,
    files: Files,
    disks: Vec<DiskEntry>,
    /// Applications, and whether they are GNU tar.
    applications: BTreeMap<String, bool>,
    layout: Layout,
    /// The config under whose name is noted when dumps were read back.
    book: ConfigName,
    found: Option<(HostName, BTreeMap<Dle, Vec<Restorable>>)>,
    /// Held while a program of Amanda's reads volumes: one at a time.
    lock: PathBuf,
    leash: Arc<Leash>,
}

impl Installed {
    /// Reads what a config says. What is started to read volumes is put on the leash.
    ///
    /// # Errors
    /// When Amanda is not there, or finds a fault in the config.
    pub fn open(config: &Config, name: &ConfigName, leash: Arc<Leash>) -> Result<Self, Trouble> {
        let programs = Programs::new(&config.amanda_sbin);
        let settings = settings(&programs, name)?;
        let disks = entries(&programs, name)?;
        Ok(Self {
            indexdir: settings.get("INDEXDIR").into(),
            files: Files::new(settings.holding.clone(), settings.get("TPCHANGER")),
            lock: config.layout().fetch_lock(config.shared_config(name).as_str()),
            name: name.clone(),
            programs,
            disks,
            applications: BTreeMap::new(),
            layout: config.layout(),
            book: verify::book(config, name),
            found: None,
            leash,
        })
    }

    /// Lists the hosts of the disklist that a laptop could have the name of.
    pub fn hosts(&self) -> Vec<HostName> {
        let hosts: BTreeSet<HostName> = self.disks.iter().filter_map(|entry| entry.dle.host.parse().ok()).collect();
        hosts.into_iter().collect()
    }

    /// Opens a dump, whatever it is: nobody is going to unpack it.
    ///
    /// # Errors
    /// When there is no such dump, or it cannot be opened.
    pub fn as_it_is(&mut self, dump: &DumpId) -> Result<Stored, Trouble> {
        if let Some(stored) = self.copy(dump, 0)? {
            return Ok(stored);
        }
        let key = key(dump);
        let noted = self.noted(&key);
        let sum = noted.as_ref().and_then(|header| header.server).filter(Crc::is_known);
        let data = Data::Stream(Box::new(fetch::start(&self.programs, &self.name, &key, &self.lock, &self.leash)?));
        Ok(Stored { data, sum, native: noted.and_then(|header| header.native), bytes: sum.map_or(0, |sum| sum.bytes), is_plain: false })
    }

    /// Opens one of the copies of a dump that lie in files, counted from 0; nothing when there are not so many.
    ///
    /// # Errors
    /// When there is no such dump.
    pub fn copy(&mut self, dump: &DumpId, number: usize) -> Result<Option<Stored>, Trouble> {
        let found = self.find(dump)?;
        let key = key(dump);
        let noted = self.noted(&key);
        let sum = noted.as_ref().and_then(|header| header.server).filter(Crc::is_known);
        let opened = found.places.iter().filter_map(|copy| self.files.open(copy, &key, sum)).nth(number);
        let (native, bytes) = (noted.and_then(|header| header.native), sum.map_or(0, |sum| sum.bytes));
        Ok(opened.map(|parts| Stored { data: Data::Files(parts), sum, native, bytes, is_plain: false }))
    }

    /// Says whether a dump is listed now.
    ///
    /// # Errors
    /// When that cannot be found out.
    pub fn is_listed(&mut self, dump: &DumpId) -> Result<bool, Trouble> {
        let all = self.look(&dump.host)?;
        let fits = |other: &Restorable| other.datestamp == dump.datestamp && other.level == dump.level;
        let is_listed = all.get(&key(dump).0).is_some_and(|all| all.iter().any(fits));
        self.found = Some((dump.host.clone(), all));
        Ok(is_listed)
    }

    /// Says what is wrong with the files of a dump, a sentence, where all its volumes are directories that are there.
    pub fn fault(&mut self, dump: &DumpId) -> Option<String> {
        let found = self.find(dump).ok()?;
        let key = key(dump);
        let sum = self.noted(&key).and_then(|header| header.server).filter(Crc::is_known);
        let faults: Option<Vec<String>> = found.places.iter().map(|copy| self.files.fault(copy, &key, sum)).collect();
        faults?.into_iter().next()
    }

    fn look(&self, host: &HostName) -> Result<BTreeMap<Dle, Vec<Restorable>>, Trouble> {
        let arguments = [self.name.as_str().into(), "--exact-match".into(), "find".into(), host.as_str().into()];
        Ok(chains(&amanda::admin::find::parse(&self.programs.amadmin(&arguments)?)))
    }

    /// Finds a dump among those that were listed last, or are there now.
    fn find(&mut self, dump: &DumpId) -> Result<Restorable, Trouble> {
        let fits = |other: &&Restorable| other.datestamp == dump.datestamp && other.level == dump.level;
        let dle = key(dump).0;
        for again in [false, true] {
            if again || self.found.as_ref().is_none_or(|(host, _)| *host != dump.host) {
                self.found = Some((dump.host.clone(), self.look(&dump.host)?));
            }
            let all = self.found.as_ref().and_then(|(_, all)| all.get(&dle));
            if let Some(found) = all.and_then(|all| all.iter().find(fits)) {
                return Ok(found.clone());
            }
        }
        Err(no_such_dump(dump))
    }

    /// Makes sure that the dumps of a disk are archives that can be read here; says whether nothing packs them.
    fn readable(&mut self, dle: &Dle) -> Result<bool, Trouble> {
        let shown = amanda::escape::printable(dle.disk_bytes());
        let Some(entry) = self.disks.iter().find(|entry| entry.dle == *dle) else {
            return Err(Trouble::refused(
                format!(
                    "the disk {shown} of {} does not stand in the server's disklist any more, so nobody says how its dumps are made",
                    dle.host
                ),
                format!("the operator can add it again to the disklist of {}, or restore it with amfetchdump", self.name),
            ));
        };
        let encrypt = entry.encrypt();
        if !encrypt.eq_ignore_ascii_case("NONE") && !encrypt.is_empty() {
            return Err(Trouble::refused(
                format!(
                    "the dumps of {shown} on {} are encrypted ({}), and what decrypts them is not run here",
                    dle.host,
                    encrypt.to_lowercase()
                ),
                "the operator can restore them with amfetchdump, where the key is",
            ));
        }
        let is_plain = entry.compress().eq_ignore_ascii_case("NONE");
        let (program, application) = (entry.program(), entry.application());
        let is_tar = match (program.as_str(), application) {
            ("GNUTAR", _) => true,
            ("APPLICATION", Some(name)) => self.is_gnu_tar(&name)?,
            _ => false,
        };
        if is_tar {
            return Ok(is_plain);
        }
        Err(Trouble::refused(
            format!(
                "the dumps of {shown} on {} are made with {program}, and only those of GNU tar (GNUTAR, amgtar) are read here",
                dle.host
            ),
            "the operator can restore them with amfetchdump and the program that made them",
        ))
    }

    /// Asks Amanda which program an application is.
    fn is_gnu_tar(&mut self, application: &str) -> Result<bool, Trouble> {
        if let Some(known) = self.applications.get(application) {
            return Ok(*known);
        }
        let printed = self.programs.amgetconf(&self.name, &format!("application:{application}:plugin"))?;
        let is_gnu_tar = amanda::admin::getconf::value(&printed) == b"amgtar";
        self.applications.insert(application.to_owned(), is_gnu_tar);
        Ok(is_gnu_tar)
    }

    /// Reads the header that Amanda keeps beside the index: the checksum of what it stored, and its length.
    fn noted(&self, (dle, stamp, level): &Key) -> Option<Header> {
        let path = self.indexdir.join(index::directory(dle)).join(index::header_name(stamp, *level));
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path).ok()?;
        let mut text = Vec::new();
        file.take(HEADER_BYTES as u64).read_to_end(&mut text).ok()?;
        let header = Header::parse(&text).ok()?;
        (header.dle == *dle && header.datestamp == *stamp && header.level == *level).then_some(header)
    }
}

impl Source for Installed {
    fn dumps(&mut self, host: &HostName) -> Result<Vec<Dump>, Trouble> {
        let all = self.look(host)?;
        // What was never verified, or cannot be read, says nothing.
        let verified = verified::load(&self.layout, &self.book).unwrap_or_default();
        let of_host = verified.iter().filter(|known| known.host == host.as_str());
        let verified: BTreeMap<_, &Verified> = of_host.map(|known| ((&known.disk, known.level, known.datestamp.as_str()), known)).collect();
        let mut dumps = Vec::new();
        for (dle, dumps_of) in &all {
            let Ok(disk) = DiskName::new(dle.disk.clone()) else { continue };
            let unreadable = self.readable(dle).err().map(|trouble| trouble.message);
            dumps.extend(dumps_of.iter().map(|dump| {
                let (chain, mut why_not) = chain(dump);
                let known = |level: u8, stamp: &str| verified.get(&(&disk, level, stamp)).copied();
                let mut in_chain = chain.iter().filter_map(|(level, stamp)| known(*level, stamp));
                if why_not.is_empty()
                    && let Some(damaged) = in_chain.find(|known| known.damage.is_some())
                {
                    let what = damaged.damage.as_deref().unwrap_or_default();
                    why_not = format!("the dump of level {} of {} is damaged: {what}", damaged.level, damaged.datestamp);
                }
                let noted = self.noted(&(dle.clone(), dump.datestamp.clone(), dump.level));
                Dump {
                    id: DumpId { host: host.clone(), disk: disk.clone(), datestamp: dump.datestamp.clone(), level: dump.level },
                    time: stamp::seconds(&dump.datestamp).unwrap_or(0),
                    chain: if unreadable.is_some() { Vec::new() } else { chain },
                    why_not: unreadable.clone().unwrap_or(why_not),
                    bytes: noted.as_ref().and_then(|header| header.server).filter(Crc::is_known).map_or(0, |sum| sum.bytes),
                    orig_kb: noted.and_then(|header| header.orig_kb).unwrap_or(0),
                    places: places(dump),
                    verified: known(dump.level, &dump.datestamp).and_then(|known| known.verified),
                }
            }));
        }
        self.found = Some((host.clone(), all));
        Ok(dumps)
    }

    fn index(&mut self, dump: &DumpId) -> Result<Option<Box<dyn BufRead>>, Trouble> {
        self.find(dump)?;
        open_index(&self.indexdir, &key(dump)).map_err(|error| unreadable(&format!("the index of this dump cannot be read: {error}")))
    }

    fn stored(&mut self, dump: &DumpId) -> Result<Stored, Trouble> {
        self.find(dump)?;
        let is_plain = self.readable(&key(dump).0)?;
        Ok(Stored { is_plain, ..self.as_it_is(dump)? })
    }
}
