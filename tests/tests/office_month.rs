//! A small office of 2002, its files as they were published: weeks of weekdays by a clock that is passed in, with real trees, tar, gzip and
//! volumes. Twelve labels go round, every disk has its full dump in each cycle, no day has more than twice the mean of them, and what is on
//! the volumes comes back: the last ten states of each disk where there are volumes for them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::io::{self, BufReader, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use asyncamanda::client::state::State as ClientState;
use asyncamanda::client::state::lists::Lists;
use asyncamanda::client::{self, Client, Out, Rules, Watch};
use asyncamanda_shim::engine::embedded::label::{self, label};
use asyncamanda_shim::engine::embedded::run::{Call, OverLink, make};
use asyncamanda_shim::engine::embedded::site::Site;
use asyncamanda_shim::engine::embedded::{Connection, Kind, Link, Order, Silent, stamp};
use asyncamanda_shim::restore::loose::from as loose;
use asyncamanda_tests::compare::{self, OURS};
use asyncamanda_tests::{torture, tree};
use wire::frame::HEADER;
use wire::{DiskName, HostName, Receipt};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/amanda/tests/fixtures/office");
const DAY: i64 = 86_400;
/// A Monday in 2002, at night.
const FIRST: i64 = 1_015_200_000;
const DUMPCYCLE: i64 = 14;
const RUNSPERCYCLE: usize = 10;
const LABELS: usize = 12;
const MORE_LABELS: usize = 20;
/// That many states of each disk come back.
const STATES: usize = 10;

struct Deaf;

impl Watch for Deaf {
    fn estimating(&self, _: &DiskName, _: u8) {}
    fn estimated(&self, _: &DiskName) {}
    fn dumping(&self, _: &DiskName, _: u8) {}
    fn moved(&self, _: &DiskName, _: u64, _: u64, _: u64) {}
    fn ended(&self, _: &DiskName, _: &str) {}
    fn remarked(&self, _: &str) {}
    fn refused(&self, _: &str) {}
}

/// The client's way back.
struct Back(Mutex<io::PipeWriter>);

impl Out for Back {
    fn send(&self, frame: Vec<u8>) -> io::Result<()> {
        self.0.lock().expect("no panic").write_all(&frame[HEADER..])
    }
}

/// The office: its config, and the machines with their trees.
struct Office {
    dir: tempfile::TempDir,
}

/// A machine's client for each connection, in a thread of its own.
impl Link for Office {
    fn connect(&self, host: &HostName) -> io::Result<Connection> {
        let disk = |disk: &str| client::Disk {
            name: DiskName::new(disk).expect("a name"),
            device: self.tree(host.as_str(), disk),
            exclude: Vec::new(),
        };
        let rules = Rules {
            host: Some(host.clone()),
            config: None,
            disks: disks().into_iter().filter(|(of, _)| of == host.as_str()).map(|(_, name)| disk(&name)).collect(),
            programs: vec!["/usr/bin/tar".into()],
            kind: client::Kind::Native,
        };
        let place = self.path(host.as_str());
        let lists = Lists { directory: place.join("lists"), host: host.clone(), amandates: place.join("amandates") };
        let client = Arc::new(Client { rules, state: ClientState::with_lists(&place.join("state"), lists), watch: Arc::new(Deaf) });
        let ((input, to), (from, out)) = (io::pipe()?, io::pipe()?);
        thread::spawn(move || client::serve(input, Arc::new(Back(Mutex::new(out))), client));
        Ok(Connection { from: Box::new(BufReader::new(from)), to: Box::new(to) })
    }
}

/// The disklist's hosts and disks.
fn disks() -> Vec<(String, String)> {
    let list = fs::read_to_string(Path::new(FIXTURES).join("disklist")).expect("a fixture");
    let entry = |line: &str| line.split_once(' ').and_then(|(host, rest)| Some((host.to_owned(), rest.split(' ').next()?.to_owned())));
    list.lines().filter(|line| line.contains(" /")).filter_map(entry).collect()
}

impl Office {
    fn new() -> Self {
        let office = Self { dir: tempfile::tempdir().expect("a directory") };
        let here = office.path("ifh");
        fs::create_dir(&here).expect("made");
        let fixture = |name: &str| fs::read_to_string(Path::new(FIXTURES).join(name)).expect("a fixture");
        for (from, to) in [("amanda.conf", "ifh.conf"), ("dumptypes", "dumptypes"), ("disklist", "disklist"), ("site.conf", "amanda.conf")]
        {
            // Of /var/lib/amanda there is one on each machine that runs tests.
            let text = fixture(from).replace("@HERE@", &here.to_string_lossy());
            let text = text.replace("\"/var/lib/amanda/ifh/exclude\"", &format!("\"{}\"", office.exclude().display()));
            let text = text.replace("directory \"/var/lib/amanda/dumps\"", &format!("directory \"{}\"", office.path("dumps").display()));
            fs::write(here.join(to), text).expect("written");
        }
        // Nor has a test a /home of its own: each disk gets a directory beside its name.
        let list = fs::read_to_string(here.join("disklist")).expect("written");
        let list = disks().iter().fold(list, |list, (host, disk)| {
            list.replace(&format!("{host} {disk} {{"), &format!("{host} {disk} {} {{", office.tree(host, disk).display()))
        });
        fs::write(here.join("disklist"), list).expect("written");
        fs::create_dir(office.path("dumps")).expect("made");
        fs::create_dir(here.join("vtapes")).expect("made");
        for (number, (host, disk)) in disks().iter().enumerate() {
            for directory in ["lists", "state"] {
                fs::create_dir_all(office.path(host).join(directory)).expect("made");
            }
            fs::write(office.path(host).join("amandates"), "").expect("written");
            tree::plant(&office.tree(host, disk), number as u64 + 1, 150_000 + 20_000 * number);
        }
        fs::create_dir_all(office.exclude().parent().expect("below /var")).expect("made");
        fs::write(office.exclude(), fixture("exclude")).expect("written");
        office
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Where a disk of a machine is here.
    fn tree(&self, host: &str, disk: &str) -> PathBuf {
        self.path(host).join(format!("disk{}", disk.replace('/', "-")))
    }

    /// The exclude list, which is below the disk that has it.
    fn exclude(&self) -> PathBuf {
        self.tree("server.icefloehousing.com", "/var").join("lib/amanda/ifh/exclude")
    }

    fn site(&self) -> Site {
        Site::open(&self.path("ifh"), Some(&"ifh".parse().expect("a name"))).unwrap_or_else(|trouble| panic!("{trouble}"))
    }

    /// What the administrator did at first: `amlabel ifh ifh00`, and so on.
    fn label_volumes(&self, numbers: Range<usize>) {
        for number in numbers {
            let ask = label::Ask { label: format!("ifh{number:02}"), slot: u32::try_from(number + 1).ok(), force: false };
            label(&self.site(), &ask, &Silent, FIRST - DAY).unwrap_or_else(|trouble| panic!("{trouble}"));
        }
    }

    /// A day's work on a disk.
    fn live(&self, host: &str, disk: &str, day: i64) {
        let tree = self.tree(host, disk);
        fs::write(tree.join("diary"), format!("day {day}\n").repeat(30)).expect("ours");
        fs::write(tree.join(format!("made on day {day}")), format!("{host} {disk} {day}\n").repeat(40)).expect("ours");
        let _not_yet = fs::remove_file(tree.join(format!("made on day {}", day - 4)));
        let _not_yet = fs::rename(tree.join(format!("made on day {}", day - 1)), tree.join(format!("moved on day {day}")));
    }

    /// The cron line of 2:00.
    fn night(&self, now: i64) -> Vec<Receipt> {
        let site = self.site();
        let hosts: BTreeSet<String> = disks().into_iter().map(|(host, _)| host).collect();
        let orders: Vec<Order> = hosts.iter().map(|host| Order { host: host.parse().expect("a name"), disks: Vec::new() }).collect();
        let call = Call { id: "night", kind: Kind::Nightly, orders: &orders, everything: true };
        let dumper = OverLink { site: &site, link: self };
        let ran = make(&site, &call, &dumper, &Silent, &|| now).unwrap_or_else(|trouble| panic!("{trouble}"));
        assert!(ran.skipped.is_empty() && !ran.stuck, "{ran:#?}");
        ran.receipts
    }

    /// A state of a disk comes back from the volumes alone.
    fn comes_back(&self, (host, disk): &Name, state: &State) {
        let target = self.path("back");
        let order = loose::Order {
            from: vec![self.path("ifh").join("vtapes")],
            disk: Some(format!("{host}:{disk}")),
            at: state.chain.last().cloned(),
            to: Some(target.clone()),
            ..loose::Order::default()
        };
        let (exit, lines) = loose::command(&order).unwrap_or_else(|words| panic!("{host} {disk} {:?}: {words:?}", state.chain));
        assert_eq!(exit, wire::Exit::Done, "{host} {disk} {:?}: {lines:#?}", state.chain);
        compare::assert_equal(&state.saved, &target, OURS);
        fs::remove_dir_all(&target).expect("ours");
    }

    fn edit(&self, name: &str, old: &str, new: &str) {
        let path = self.path("ifh").join(name);
        let text = fs::read_to_string(&path).expect("there");
        assert!(text.contains(old), "{text}");
        fs::write(&path, text.replace(old, new)).expect("written");
    }
}

/// Returns the labels that have something of a run on them.
fn labels_of(receipts: &[Receipt]) -> BTreeSet<String> {
    let places = receipts.iter().flat_map(|receipt| receipt.chain.last()).flat_map(|dump| &dump.places);
    places.map(|place| place.split(':').next().unwrap_or_default().to_owned()).collect()
}

/// A host and its disk.
type Name = (String, String);

/// What a night brought.
struct Night {
    day: i64,
    /// Bytes of full dumps.
    fulls: BTreeMap<Name, u64>,
    labels: BTreeSet<String>,
}

/// What a disk was like, and the datestamps of the dumps that bring it back.
struct State {
    chain: Vec<String>,
    saved: PathBuf,
}

/// What has been seen of the office.
#[derive(Default)]
struct Seen {
    nights: Vec<Night>,
    states: BTreeMap<Name, VecDeque<State>>,
}

impl Seen {
    /// Lets weekdays pass.
    fn pass(&mut self, office: &Office, days: Range<i64>) {
        for day in days.filter(|day| day % 7 < 5) {
            for (host, disk) in disks() {
                office.live(&host, &disk, day);
            }
            let receipts = office.night(FIRST + day * DAY);
            assert_eq!(receipts.len(), disks().len());
            let mut night = Night { day, fulls: BTreeMap::new(), labels: labels_of(&receipts) };
            let kept = office.path("kept").join(day.to_string());
            fs::create_dir_all(&kept).expect("made");
            for receipt in receipts {
                assert!(receipt.is_backup(), "day {day}: {receipt:#?}");
                let name = (receipt.host.to_string(), receipt.disk.as_os_str().to_string_lossy().into_owned());
                if receipt.level == Some(0) {
                    night.fulls.insert(name.clone(), receipt.bytes.expect("a size"));
                }
                let saved = torture::save(&office.tree(&name.0, &name.1), &kept.join(format!("{}{}", name.0, name.1.replace('/', "-"))));
                let chain = receipt.chain.into_iter().map(|dump| dump.datestamp).collect();
                let states = self.states.entry(name).or_default();
                states.push_back(State { chain, saved });
                if states.len() > STATES {
                    fs::remove_dir_all(states.pop_front().expect("one too many").saved).expect("ours");
                }
            }
            self.nights.push(night);
        }
    }

    /// The first datestamp of which everything is still on so many volumes.
    fn oldest(&self, volumes: usize) -> String {
        let nights = &self.nights[self.nights.len().saturating_sub(volumes)..];
        stamp::of(FIRST + nights[0].day * DAY)
    }

    fn labels_go_round(&self) {
        for (number, night) in self.nights.iter().enumerate() {
            assert_eq!(night.labels, BTreeSet::from([format!("ifh{:02}", number % LABELS)]), "night {number}");
        }
    }

    fn every_disk_has_a_full_dump_in_each_cycle(&self) {
        for disk in disks() {
            let fulls: Vec<i64> = self.nights.iter().filter(|night| night.fulls.contains_key(&disk)).map(|night| night.day).collect();
            let last = self.nights.last().expect("there were some").day;
            assert!(fulls.iter().chain([&last]).zip(&fulls[1..]).all(|(one, next)| next - one <= DUMPCYCLE), "{disk:?}: {fulls:?}");
            assert!(fulls.last().is_some_and(|full| last - full < DUMPCYCLE), "{disk:?}: {fulls:?}");
        }
    }

    /// After the first night, on which everything is new.
    fn full_dumps_are_spread(&self) {
        let sums: Vec<u64> = self.nights.iter().skip(1).map(|night| night.fulls.values().sum()).collect();
        let mean = sums.iter().sum::<u64>() / sums.len() as u64;
        assert!(sums.iter().all(|sum| *sum <= 2 * mean), "mean {mean}, nights {sums:?}");
    }
}

#[test]
fn weeks_of_weekdays_go_round_and_the_last_states_come_back() {
    let office = Office::new();
    office.label_volumes(0..LABELS);
    let mut seen = Seen::default();
    seen.pass(&office, 0..3 * 7);
    seen.labels_go_round();
    // What began within the twelve nights that twelve volumes have comes back: three states of each disk at least, more of most.
    let oldest = seen.oldest(LABELS);
    for (name, states) in &seen.states {
        let mut whole = states.iter().filter(|state| state.chain[0] >= oldest);
        let first = whole.next().unwrap_or_else(|| panic!("nothing of {name:?}"));
        assert!(whole.count() + 1 >= 1 + LABELS - RUNSPERCYCLE, "{name:?}");
        office.comes_back(name, first);
    }
    // A state builds on a full dump that may be a cycle older: for ten states there must be volumes for nineteen nights.
    office.label_volumes(LABELS..MORE_LABELS);
    office.edit("amanda.conf", "tapecycle 12 tapes", &format!("tapecycle {MORE_LABELS} tapes"));
    seen.pass(&office, 3 * 7..5 * 7);
    seen.every_disk_has_a_full_dump_in_each_cycle();
    seen.full_dumps_are_spread();
    for (name, states) in &seen.states {
        assert_eq!(states.len(), STATES);
        states.iter().for_each(|state| office.comes_back(name, state));
    }
}
