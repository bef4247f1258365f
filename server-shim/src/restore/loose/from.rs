//! `asyncamanda-shim restore --from`: files out of dumps that no catalog knows.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use amanda::dle::Dle;
use amanda::escape::printable;
use restore::depot::Depot;
use restore::job::{self, Outcome, Watch, Wish};
use restore::place::{Rules, Target};
use restore::resolve::{self, NoState};
use restore::when;
use wire::restore::{Dump, DumpId, PathBytes};
use wire::{DiskName, Exit, HostName};

use super::group::{LooseDump, State, group};
use super::scan::Scanned;
use super::source::Loose;
use super::words;
use crate::report::Words;
use crate::restore::serve::{Library as _, serve};
use crate::runner::clock;

/// What was typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Order {
    /// Files and directories with dumps.
    pub from: Vec<PathBuf>,
    /// `HOST:DISK`; the only one there is when it is not said.
    pub disk: Option<String>,
    /// As it was then.
    pub at: Option<String>,
    /// The newest dump by itself, without what it builds on.
    pub alone: bool,
    /// What of it; everything when nothing is named.
    pub paths: Vec<PathBuf>,
    /// Where it goes; what there is is listed when it is not said.
    pub to: Option<PathBuf>,
    /// Replace files that are there.
    pub overwrite: bool,
}

/// Restores, or lists what there is.
///
/// # Errors
/// When there is no such dump, or it cannot go on.
pub fn command(order: &Order) -> Result<(Exit, Vec<String>), Words> {
    let mut scanned = Scanned::default();
    for path in &order.from {
        let shown = printable(path.as_os_str().as_bytes());
        scanned.add(path).map_err(|error| Words::new(Exit::Failed, format!("{shown} cannot be read")).because(error.to_string()))?;
    }
    let mut lines: Vec<String> = scanned.odd.iter().map(|odd| format!("Passed over: {odd}.")).collect();
    let mut loose = Loose::new(group(scanned.files));
    if loose.dumps().is_empty() {
        let why = lines.first().cloned().unwrap_or_else(|| "no file there begins with a header of Amanda's".to_owned());
        return Err(Words::new(Exit::Failed, "no dump was found")
            .because(why)
            .hint("name files, volumes or the directory that has the slots"));
    }
    let Some(to) = &order.to else {
        lines.extend(words::found(&loose));
        return Ok((Exit::Done, lines));
    };
    let dle = disk(&loose, order.disk.as_deref())?;
    let host: HostName = dle.host.parse().map_err(|error: wire::NameError| no_name(&dle, &error.to_string()))?;
    let disk = DiskName::new(dle.disk.clone()).map_err(|error| no_name(&dle, &error.to_string()))?;
    let dumps = loose.of(&host).and_then(|source| source.dumps(&host))?;
    let state = state(&dumps, &host, &disk, order)?;
    for id in &state.chain {
        let key = (dle.clone(), id.datestamp.clone(), id.level);
        if let Some(State::Lacking(why)) = loose.dumps().get(&key).map(|dump| &dump.state) {
            lines.push(format!("Not whole: level {} of {}: {why}.", id.level, id.datestamp));
        }
    }
    if let Some(doubt) = &state.doubt {
        tell(&format!("Warning: not all of it may come back: {doubt}"));
    }
    let wishes = wishes(&loose, &dle, &state, &order.paths)?;
    let outcome = restore(&mut loose, &host, &state, &wishes, to, order.overwrite)?;
    lines.extend(words::outcome(&outcome, to));
    if let Some(failure) = words::failure(&outcome) {
        lines.iter().for_each(|line| tell(line));
        return Err(failure);
    }
    Ok((if outcome.is_whole() { Exit::Done } else { Exit::Failed }, lines))
}

fn no_name(dle: &Dle, why: &str) -> Words {
    Words::new(Exit::Failed, format!("{dle} is no disk that can be asked for")).because(why)
}

/// Chooses the disk.
fn disk(loose: &Loose, named: Option<&str>) -> Result<Dle, Words> {
    let all: Vec<&Dle> = loose.disks().collect();
    let listed = || all.iter().map(|dle| printable(dle.to_string().as_bytes())).collect::<Vec<_>>().join(", ");
    let found = match named {
        Some(named) => {
            all.iter().find(|dle| dle.to_string() == named).ok_or_else(|| format!("there is no dump of {}", printable(named.as_bytes())))
        }
        None => match &all[..] {
            [dle] => Ok(dle),
            [] => Err("nothing of what was found can be restored".to_owned()),
            _ => Err("there are dumps of several disks".to_owned()),
        },
    };
    found.map(|dle| (*dle).clone()).map_err(|what| {
        let hint = if all.is_empty() { "without --to the dumps are listed" } else { "name one: --disk HOST:DISK" };
        Words::new(Exit::Usage, what).because(format!("found: {}", listed())).hint(hint)
    })
}

/// Chooses the dumps.
fn state(dumps: &[Dump], host: &HostName, disk: &DiskName, order: &Order) -> Result<resolve::State, Words> {
    let now = clock() as i64;
    let at = order.at.as_deref().map(|text| when::parse_local(text, now)).transpose();
    let at = at.map_err(|error| Words::new(Exit::Usage, error.to_string()).hint(format!("--at takes {}", when::FORMS)))?;
    // By itself each dump is a state, whatever it builds on.
    let alone = |dump: &Dump| Dump {
        chain: vec![(0, dump.id.datestamp.clone())],
        id: DumpId { level: 0, ..dump.id.clone() },
        why_not: String::new(),
        ..dump.clone()
    };
    let as_typed = if order.alone { dumps.iter().map(alone).collect() } else { dumps.to_vec() };
    let listed = "without --to the dumps are listed";
    let mut state = when::state_at(&as_typed, host, disk, at.as_ref(), now).map_err(|error| {
        let builds_on = matches!(error, NoState::CannotBeRestored { .. });
        let alone = "name the file or the volume of that dump with --from too, or take what is in the newest dump by itself: --alone";
        Words::new(Exit::Failed, error.to_string()).hint(if builds_on { alone } else { listed })
    })?;
    if order.alone {
        let last = state.last().clone();
        let itself = dumps.iter().find(|dump| dump.id.disk == last.disk && dump.id.datestamp == last.datestamp);
        state.chain = itself.map_or(state.chain, |dump| vec![dump.id.clone()]);
    }
    Ok(state)
}

/// Makes of what was typed paths on the disk. An absolute one is that of the machine that was backed up.
fn wishes(loose: &Loose, dle: &Dle, state: &resolve::State, paths: &[PathBuf]) -> Result<Vec<Wish>, Words> {
    if paths.is_empty() {
        return Ok(vec![Wish { path: PathBytes::new(b""), at: PathBytes::new(b"") }]);
    }
    let last = state.last();
    let newest = loose.dumps().iter().find(|(key, _)| key.0 == *dle && key.1 == last.datestamp).map(|(_, dump)| dump);
    let directory = newest.and_then(LooseDump::directory).unwrap_or_else(|| dle.disk_bytes().to_vec());
    let wish = |path: &PathBuf| {
        let bytes = path.as_os_str().as_bytes();
        let below = match bytes.strip_prefix(&*directory) {
            Some(below) if below.is_empty() || below.starts_with(b"/") || directory == b"/" => below,
            _ if bytes.starts_with(b"/") => {
                return Err(Words::new(Exit::Usage, format!("{} is not on this disk", printable(bytes))).because(format!(
                    "{} is {}",
                    printable(dle.to_string().as_bytes()),
                    printable(&directory)
                )));
            }
            _ => bytes,
        };
        let slashes = below.iter().take_while(|byte| **byte == b'/').count();
        let below = PathBytes::new(&below[slashes..]);
        let name = below.as_bytes().rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        Ok(Wish { at: PathBytes::new(name), path: below.clone() })
    };
    paths.iter().map(wish).collect()
}

fn restore(
    loose: &mut Loose,
    host: &HostName,
    state: &resolve::State,
    wishes: &[Wish],
    to: &Path,
    overwrite: bool,
) -> Result<Outcome, Words> {
    let shown = printable(to.as_os_str().as_bytes());
    let cannot = |why: String| Words::new(Exit::Failed, format!("nothing can be written into {shown}")).because(why);
    let (there, rest) = nearest(to).ok_or_else(|| cannot("it is no directory".to_owned()))?;
    let wishes: Vec<Wish> = wishes.iter().map(|wish| Wish { path: wish.path.clone(), at: below(&rest, &wish.at) }).collect();
    let target = Target::open(there, Rules { overwrite, ..Rules::of_this_process() }).map_err(|error| cannot(error.to_string()))?;
    let (ours, theirs) = UnixStream::pair().map_err(|error| cannot(error.to_string()))?;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // When it breaks, the other end says so.
            let _ = serve(loose, host, &theirs, &theirs);
        });
        let mut depot = Depot::new(&ours, &ours);
        let outcome = job::restore(&mut depot, state, &wishes, target, &mut Aloud, &AtomicBool::new(false));
        drop(depot);
        let _ = ours.shutdown(std::net::Shutdown::Both);
        Ok(outcome)
    })
}

/// Returns the nearest directory that is there, and the rest of the path, which the restore makes: so it gets what the disk's own directory had.
fn nearest(target: &Path) -> Option<(&Path, PathBytes)> {
    let here = |path: &'_ Path| if path.as_os_str().is_empty() { PathBuf::from(".") } else { path.to_owned() };
    let there = target.ancestors().find(|path| fs::symlink_metadata(here(path)).is_ok())?;
    let rest = target.strip_prefix(there).ok()?;
    let there = if there.as_os_str().is_empty() { Path::new(".") } else { there };
    there.is_dir().then(|| (there, PathBytes::new(rest.as_os_str().as_bytes())))
}

fn below(directory: &PathBytes, path: &PathBytes) -> PathBytes {
    match (directory.as_bytes(), path.as_bytes()) {
        (b"", path) => PathBytes::new(path),
        (directory, b"") => PathBytes::new(directory),
        (directory, path) => PathBytes::new(&[directory, b"/", path].concat()),
    }
}

/// Says which dump is read.
struct Aloud;

impl Watch for Aloud {
    fn begins(&mut self, dump: &DumpId, bytes: u64) {
        let bytes = if bytes > 0 { format!(", {bytes} bytes") } else { String::new() };
        tell(&format!("Reading level {} of {}{bytes}", dump.level, dump.datestamp));
    }
}

fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "{}", printable(line.as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use amanda::crc::Crc;
    use amanda::header::{Header, Kind};

    use crate::restore::loose::scan::LooseFile;

    /// Dumps of two disks, one of which has another directory than its name, and of one level 1 without a base.
    fn loose() -> Loose {
        let file = |host: &str, disk: &str, stamp: &str, level: u8, device: &str| {
            let mut header = Header::new(Dle::new(host, disk), stamp, level);
            let device = if device.is_empty() { String::new() } else { format!("  <diskdevice>{device}</diskdevice>\n") };
            header.dle_xml = Some(
                format!("<dle>\n  <program>GNUTAR</program>\n  <disk>{disk}</disk>\n{device}  <level>{level}</level>\n</dle>\n").into(),
            );
            header.server = Some(Crc { crc: 1, bytes: 9 });
            header.kind = Kind::File;
            LooseFile { path: format!("{host}{level}").into(), bytes: 9, header, on: None, written: String::new() }
        };
        Loose::new(group(vec![
            file("laptop1", "pictures", "20261120000000", 0, "/srv/p"),
            file("laptop1", "pictures", "20261121000000", 1, "/srv/p"),
            file("laptop2", "/home", "20261121000000", 1, ""),
        ]))
    }

    fn chosen(order: &Order, named: &str) -> Result<resolve::State, Words> {
        let mut loose = loose();
        let dle = disk(&loose, Some(named))?;
        let host: HostName = dle.host.parse().expect("a name");
        let dumps = loose.of(&host).expect("all").dumps(&host).expect("listed");
        state(&dumps, &host, &DiskName::new(dle.disk).expect("a name"), order)
    }

    #[test]
    fn a_disk_is_chosen_when_there_are_several() {
        let loose = loose();
        let several = disk(&loose, None).expect_err("two");
        assert!(several.exit == Exit::Usage && several.why.contains("laptop1:pictures, laptop2:/home"), "{several}");
        assert!(disk(&loose, Some("laptop3:/")).is_err());
        assert_eq!(disk(&loose, Some("laptop2:/home")).expect("there"), Dle::new("laptop2", "/home"));
    }

    #[test]
    fn a_state_has_what_it_builds_on_unless_it_is_wanted_alone() {
        let levels =
            |order: &Order, named: &str| chosen(order, named).map(|state| state.chain.iter().map(|id| id.level).collect::<Vec<_>>());
        assert_eq!(levels(&Order::default(), "laptop1:pictures"), Ok(vec![0, 1]));
        assert_eq!(levels(&Order { at: Some("20261120000000".into()), ..Order::default() }, "laptop1:pictures"), Ok(vec![0]));
        let alone = Order { alone: true, ..Order::default() };
        assert_eq!(levels(&alone, "laptop1:pictures"), Ok(vec![1]));
        assert_eq!(levels(&alone, "laptop2:/home"), Ok(vec![1]));
        let lacking = levels(&Order::default(), "laptop2:/home").expect_err("no level 0");
        assert!(lacking.what.contains("level 0") && lacking.hint.contains("--alone"), "{lacking}");
        assert!(levels(&Order { at: Some("then".into()), ..Order::default() }, "laptop1:pictures").is_err());
    }

    #[test]
    fn paths_are_those_of_the_machine_or_below_the_disk() {
        let (loose, dle) = (loose(), Dle::new("laptop1", "pictures"));
        let state = chosen(&Order::default(), "laptop1:pictures").expect("a state");
        let wish = |path: &str| {
            let wishes = wishes(&loose, &dle, &state, &[path.into()]).ok()?;
            let text = |path: &PathBytes| String::from_utf8_lossy(path.as_bytes()).into_owned();
            Some((text(&wishes[0].path), text(&wishes[0].at)))
        };
        let some = |path: &str, at: &str| Some((path.to_owned(), at.to_owned()));
        assert_eq!(wish("/srv/p/a/b"), some("a/b", "b"));
        assert_eq!(wish("/srv/p"), some("", ""));
        assert_eq!(wish("/srv/p/"), some("", ""));
        assert_eq!(wish("a/b/"), some("a/b", "b"));
        assert_eq!(wish("/srv/pq/a"), None);
        assert_eq!(wish("/etc"), None);
        assert_eq!(wishes(&loose, &dle, &state, &[]).expect("all").len(), 1);
    }
}
