//! From files to dumps: which parts belong together, and whether they are all. Pure.

use std::collections::BTreeMap;

use amanda::crc::Crc;
use amanda::dle::Dle;
use amanda::header::{Header, Kind};
use amanda::protocol::request::DleRequest;

use super::scan::LooseFile;

/// Names a dump: disk, datestamp, level.
pub type Key = (Dle, String, u8);

/// What is known of a dump's length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Its parts are as long as the header says, together.
    Whole(Crc),
    /// Nothing says how long it is: it went to a volume while it was made. Only its content can tell.
    Unknown,
    /// Something is missing: a clause.
    Lacking(String),
}

/// A dump: its files from the first one on, as many as there are without a gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LooseDump {
    /// The files.
    pub files: Vec<LooseFile>,
    /// Bytes of the dump in them.
    pub bytes: u64,
    /// Whether they are all.
    pub state: State,
}

impl LooseDump {
    /// Returns the header of its first file.
    #[must_use]
    pub fn header(&self) -> Option<&Header> {
        self.files.first().map(|file| &file.header)
    }

    /// Returns what the server asked its client for, as the header keeps it.
    #[must_use]
    pub fn asked(&self) -> Option<DleRequest> {
        DleRequest::of_header(self.header()?.dle_xml.as_deref()?)
    }

    /// Returns the directory that was dumped, where its header tells.
    #[must_use]
    pub fn directory(&self) -> Option<Vec<u8>> {
        self.asked().map(|asked| asked.directory().to_vec())
    }

    /// Says whether it may be whole.
    #[must_use]
    pub fn may_be_whole(&self) -> bool {
        !matches!(self.state, State::Lacking(_))
    }
}

/// The files of one dump, by the numbers of their parts.
#[derive(Default)]
struct Copies {
    /// On volumes, by the run that wrote them: a dump that was begun anew may be cut in other places.
    written: BTreeMap<String, BTreeMap<u32, LooseFile>>,
    /// On volumes, whoever wrote them. Of several copies of a part the longest counts: where a volume was full in the middle of one, it
    /// was written again to the next volume.
    any: BTreeMap<u32, LooseFile>,
    /// In holding disks, where chunks are cut in other places than parts.
    held: BTreeMap<u32, LooseFile>,
}

impl Copies {
    fn add(&mut self, number: u32, file: LooseFile) {
        let put = |parts: &mut BTreeMap<u32, LooseFile>, file: LooseFile| {
            if parts.get(&number).is_none_or(|other| other.bytes < file.bytes) {
                parts.insert(number, file);
            }
        };
        if !matches!(file.header.kind, Kind::Part { .. }) {
            return put(&mut self.held, file);
        }
        put(self.written.entry(file.written.clone()).or_default(), file.clone());
        put(&mut self.any, file);
    }

    /// What one run wrote, when that is whole; else all that there is on volumes, or what is in the holding disks when that is more.
    fn best(self) -> Option<LooseDump> {
        let is_whole = |dump: &LooseDump| matches!(dump.state, State::Whole(_));
        if self.written.len() > 1
            && let Some(dump) = self.written.into_values().rev().map(dump).find(is_whole)
        {
            return Some(dump);
        }
        let mut copies = [self.any, self.held].into_iter().filter(|parts| !parts.is_empty()).map(dump);
        let first = copies.next()?;
        match copies.next() {
            Some(second) if !is_whole(&first) && second.bytes >= first.bytes => Some(second),
            _ => Some(first),
        }
    }
}

/// Puts files together.
#[must_use]
pub fn group(files: Vec<LooseFile>) -> BTreeMap<Key, LooseDump> {
    let mut dumps: BTreeMap<Key, Copies> = BTreeMap::new();
    for file in files {
        let header = &file.header;
        let key = (header.dle.clone(), header.datestamp.clone(), header.level);
        if let Some(number) = file.number() {
            dumps.entry(key).or_default().add(number, file);
        }
    }
    dumps.into_iter().filter_map(|(key, copies)| Some((key, copies.best()?))).collect()
}

fn dump(parts: BTreeMap<u32, LooseFile>) -> LooseDump {
    let count = parts.len();
    let last = parts.keys().next_back().copied().unwrap_or(0);
    let mut files: Vec<LooseFile> = (1..).zip(parts).take_while(|(at, (number, _))| at == number).map(|(_, (_, file))| file).collect();
    let server = files.iter().find_map(|file| file.header.server);
    let mut bytes: u64 = files.iter().map(|file| file.bytes).sum();
    let state = if files.len() < count || files.is_empty() {
        State::Lacking(format!("part {} of at least {last} is missing", files.len() + 1))
    } else if files.iter().any(|file| file.header.partial) {
        State::Lacking("it was never completed".to_owned())
    } else {
        match server {
            // A tape's last block is filled up.
            Some(server) if server.bytes <= bytes => {
                trim(&mut files, bytes - server.bytes);
                bytes = server.bytes;
                State::Whole(server)
            }
            Some(server) => State::Lacking(format!("{bytes} of its {} bytes are there", server.bytes)),
            None => State::Unknown,
        }
    };
    LooseDump { files, bytes, state }
}

/// Takes bytes off the end.
fn trim(files: &mut Vec<LooseFile>, mut surplus: u64) {
    while let Some(last) = files.last_mut() {
        let less = last.bytes.min(surplus);
        last.bytes -= less;
        surplus -= less;
        if last.bytes > 0 || files.len() == 1 {
            return;
        }
        files.pop();
    }
}

/// Lists dumps as `amadmin find` would, for [`amanda::chains`]; `counts` says of each whether it is whole.
pub fn rows(dumps: &BTreeMap<Key, LooseDump>, counts: impl Fn(&LooseDump) -> bool) -> Vec<amanda::admin::Found> {
    let row = |(key, dump): (&Key, &LooseDump)| amanda::admin::Found {
        dle: key.0.clone(),
        datestamp: key.1.clone(),
        level: key.2,
        storage: String::new(),
        pool: String::new(),
        place: amanda::admin::Place::Holding(dump.files.first().map_or_else(Default::default, |file| file.path.clone().into_os_string())),
        part: -1,
        parts: -1,
        status: if counts(dump) { "OK" } else { "PARTIAL" }.to_owned(),
    };
    dumps.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(kind: Kind, path: &str, bytes: u64, whole: Option<u64>) -> LooseFile {
        let mut header = Header::new(Dle::new("h", "/d"), "20261124102037", 0);
        header.kind = kind;
        header.server = whole.map(|bytes| Crc { crc: 1, bytes });
        LooseFile { path: path.into(), bytes, header, on: None, written: String::new() }
    }

    fn part(number: u32, path: &str, bytes: u64, whole: Option<u64>) -> LooseFile {
        file(Kind::Part { number, of: -1 }, path, bytes, whole)
    }

    #[test]
    fn what_was_begun_anew_is_not_mixed_with_what_was_left_of_it() {
        let of = |run: &str, number, path: &str, bytes| LooseFile { written: run.to_owned(), ..part(number, path, bytes, Some(30)) };
        let left = || vec![of("20261124", 1, "a", 25), of("20261124", 2, "b", 3)];
        let anew = || vec![of("20261125", 1, "c", 10), of("20261125", 2, "d", 20)];
        for files in [[left(), anew()].concat(), [anew(), left()].concat()] {
            let (parts, state) = told(files);
            assert_eq!(parts, [("c".to_owned(), 10), ("d".to_owned(), 20)]);
            assert!(matches!(state, State::Whole(_)));
        }
        // Parts of one dump whose volumes have other dates by now.
        let (parts, state) = told(vec![of("20261124", 1, "a", 10), of("20261125", 2, "b", 20)]);
        assert!(parts.len() == 2 && matches!(state, State::Whole(_)));
    }

    fn told(files: Vec<LooseFile>) -> (Vec<(String, u64)>, State) {
        let (_, dump) = group(files).pop_first().unwrap();
        assert_eq!(dump.bytes, dump.files.iter().map(|file| file.bytes).sum::<u64>());
        (dump.files.iter().map(|file| (file.path.display().to_string(), file.bytes)).collect(), dump.state)
    }

    #[test]
    fn parts_are_put_in_their_order_and_counted() {
        let whole = State::Whole(Crc { crc: 1, bytes: 30 });
        let at = |path: &str, bytes| (path.to_owned(), bytes);
        let lacking = |why: &str| State::Lacking(why.to_owned());
        for (case, files, expected) in [
            ("in order", vec![part(2, "b", 10, Some(30)), part(1, "a", 20, Some(30))], (vec![at("a", 20), at("b", 10)], whole.clone())),
            ("padded", vec![part(1, "a", 20, Some(30)), part(2, "b", 14, Some(30))], (vec![at("a", 20), at("b", 10)], whole.clone())),
            (
                "cut short and again",
                vec![part(1, "a", 20, Some(30)), part(2, "b", 3, Some(30)), part(2, "c", 10, Some(30))],
                (vec![at("a", 20), at("c", 10)], whole.clone()),
            ),
            (
                "a gap",
                vec![part(1, "a", 20, Some(30)), part(3, "c", 5, Some(30))],
                (vec![at("a", 20)], lacking("part 2 of at least 3 is missing")),
            ),
            ("no first", vec![part(2, "b", 20, Some(30))], (vec![], lacking("part 1 of at least 2 is missing"))),
            ("no last", vec![part(1, "a", 20, Some(30))], (vec![at("a", 20)], lacking("20 of its 30 bytes are there"))),
            ("nobody knows", vec![part(1, "a", 20, None)], (vec![at("a", 20)], State::Unknown)),
            (
                "chunks of a holding disk go before half a copy on volumes",
                vec![part(1, "a", 20, Some(30)), file(Kind::Continuation, "h.0.1", 10, None), file(Kind::File, "h.0", 20, Some(30))],
                (vec![at("h.0", 20), at("h.0.1", 10)], whole),
            ),
        ] {
            assert_eq!(told(files), expected, "{case}");
        }
    }
}
