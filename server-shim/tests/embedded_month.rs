//! The small office of `tests/fixtures/office`, as its files stand, with directories in the place of the drive: weeks of weekdays
//! under a simulated clock.

mod vault;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use amanda::chains::Restorable;
use amanda::dle::Dle;
use amanda::header::HEADER_BYTES;
use asyncamanda_shim::engine::embedded::catalog::{self, Catalog};
use asyncamanda_shim::engine::embedded::label::{Ask, label};
use asyncamanda_shim::engine::embedded::run::{Call, make};
use asyncamanda_shim::engine::embedded::site::Site;
use asyncamanda_shim::engine::embedded::{Kind, Order, Silent, stamp};
use vault::{DAY, Ears, Fake, FakeAt, Next, body, temporary};
use wire::Receipt;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/amanda/tests/fixtures/office");

/// Monday, 2 November 2026, two o'clock in the morning.
const BEGINS: i64 = 1_793_584_800;

const WEEKS: i64 = 6;

/// What a full dump of each disk has, in KiB.
const SIZES: [usize; 8] = [60, 90, 100, 80, 70, 50, 90, 60];

/// Makes the config, with so many volumes.
fn office(directory: &Path, volumes: u32) -> Site {
    let own = directory.join("ifh");
    for name in ["vtapes", "curinfo", "log", "index", "dumps"] {
        fs::create_dir_all(own.join(name)).expect("made");
    }
    let here = own.to_str().expect("text");
    let fixture = |name: &str| fs::read_to_string(Path::new(FIXTURES).join(name)).expect("read");
    // The holding disk cannot be this machine's own.
    let conf = fixture("amanda.conf").replace("directory \"/var/lib/amanda/dumps\"", &format!("directory \"{here}/dumps\""));
    let site = fixture("site.conf").replace("@HERE@", here).replace("tapecycle 12", &format!("tapecycle {volumes}"));
    fs::write(own.join("amanda.conf"), site).expect("written");
    fs::write(own.join("ifh.conf"), conf).expect("written");
    fs::write(own.join("dumptypes"), fixture("dumptypes")).expect("written");
    fs::write(own.join("disklist"), fixture("disklist")).expect("written");
    fs::write(own.join("tapelist"), "").expect("written");
    let site = Site::open(&own, Some(&"ifh".parse().expect("name"))).expect("opened");
    for number in 0..volumes {
        let ask = Ask { label: format!("ifh{number:02}"), slot: Some(number + 1), force: false };
        label(&site, &ask, &Silent, BEGINS - DAY).expect("labelled");
    }
    site
}

/// A run, as it is told when something is wrong.
struct Run {
    at: i64,
    receipts: Vec<Receipt>,
    full: u64,
}

fn told(runs: &[Run]) -> String {
    runs.iter().fold(String::new(), |mut text, run| {
        let levels: Vec<String> =
            run.receipts.iter().map(|receipt| receipt.level.map_or("-".to_owned(), |level| level.to_string())).collect();
        let _ = writeln!(text, "{} full {:>7}  {}", stamp::of(run.at), run.full, levels.join(" "));
        text
    })
}

/// The volume that a run wrote to.
fn volume_of(catalog: &Catalog, at: i64) -> Option<String> {
    let of = stamp::of(at);
    catalog.tapelist.tapes().iter().find(|tape| tape.datestamp == of).map(|tape| tape.label.clone())
}

fn bytes_of(files: &[PathBuf]) -> Vec<u8> {
    files.iter().flat_map(|path| fs::read(path).expect("a file").split_off(HEADER_BYTES)).collect()
}

/// Every dump that a restore of this one reads is there as it was dumped.
fn is_restored(catalog: &Catalog, dle: &Dle, dump: &Restorable) -> bool {
    let Some(chain) = catalog.chain(dle, dump) else { return false };
    chain.iter().all(|dump| {
        let known = &catalog.dumps[&(dle.clone(), dump.datestamp.clone(), dump.level)];
        let bytes = bytes_of(&known.files);
        bytes == body(dle, &dump.datestamp, dump.level, bytes.len()) && bytes.len() as u64 == known.bytes
    })
}

/// What weeks of weekdays have left.
struct Weeks {
    site: Site,
    runs: Vec<Run>,
    /// The volume of each run.
    volumes: Vec<String>,
    /// The days of each disk's full dumps.
    fulls: BTreeMap<Dle, Vec<i64>>,
}

/// Is shown a disk's dumps, oldest first, and the runs in words.
type Look<'a> = &'a dyn Fn(&Catalog, &Dle, &[Restorable], &str);

/// Runs the office's nights. `look` is shown what there is at the end of each week.
fn weeks(directory: &Path, volumes: u32, look: Look<'_>) -> Weeks {
    let site = office(directory, volumes);
    let fake = Fake::default();
    for (disk, kb) in site.disks().iter().zip(SIZES) {
        fake.set(&disk.dle, Next::Levels(kb * 1024, kb * 10));
    }
    let hosts: BTreeSet<&str> = site.disks().iter().map(|disk| disk.dle.host.as_str()).collect();
    let orders: Vec<Order> = hosts.iter().map(|host| Order { host: host.parse().expect("name"), disks: Vec::new() }).collect();
    let (mut runs, mut volumes, mut fulls) = (Vec::new(), Vec::new(), BTreeMap::<Dle, Vec<i64>>::new());
    for day in (0..WEEKS * 7).filter(|day| day % 7 < 5) {
        let at = BEGINS + day * DAY;
        let dumper = FakeAt(&fake, site.indexdir());
        let call = Call { id: "nightly", kind: Kind::Nightly, orders: &orders, everything: true };
        let ears = Ears::default();
        let ran = make(&site, &call, &dumper, &ears, &|| at).expect("a run");
        assert!(ran.receipts.iter().all(Receipt::is_backup), "{:?} {:?}", ran.receipts, ears.notes);
        assert_eq!(ran.receipts.len(), site.disks().len(), "{:?}", ran.skipped);
        let catalog = catalog::load(&site).expect("a catalog");
        assert_eq!(catalog.held().count(), 0, "all of it is on a volume: {:?}", ears.notes);
        volumes.push(volume_of(&catalog, at).expect("a volume of its own"));
        let mut full = 0;
        for receipt in ran.receipts.iter().filter(|receipt| receipt.level == Some(0)) {
            let dle = Dle::new(receipt.host.as_str(), receipt.disk.as_os_str().to_owned());
            fulls.entry(dle).or_default().push(day);
            full += receipt.bytes.unwrap_or(0);
        }
        runs.push(Run { at, receipts: ran.receipts, full });
        if day % 7 == 4 {
            for disk in site.disks() {
                look(&catalog, &disk.dle, catalog.of(&disk.dle), &told(&runs));
            }
        }
    }
    Weeks { site, runs, volumes, fulls }
}

#[test]
fn a_small_office_goes_round_its_twelve_volumes_and_spreads_its_full_dumps() {
    let keep = temporary();
    // The oldest states lose their full dump to a new run; what is there since the last one stays.
    let look = |catalog: &Catalog, dle: &Dle, dumps: &[Restorable], told: &str| {
        let since = dumps.iter().rposition(|dump| dump.level == 0).expect("a full dump");
        assert!(dumps[since..].iter().all(|dump| is_restored(catalog, dle, dump)), "{dle}\n{told}");
    };
    let Weeks { site, runs, volumes, fulls } = weeks(keep.path(), 12, &look);
    // Twelve labels, one after the other, and then the oldest again.
    for (number, label) in volumes.iter().enumerate() {
        assert_eq!(*label, volumes[number % 12], "{volumes:?}");
    }
    assert_eq!(volumes.iter().collect::<BTreeSet<_>>().len(), 12, "{volumes:?}");
    assert_eq!(fulls.len(), site.disks().len());
    for (dle, days) in &fulls {
        let days: Vec<i64> = days.iter().copied().chain([WEEKS * 7 - 3]).collect();
        assert!(days.windows(2).all(|pair| pair[1] - pair[0] <= 14), "{dle} {days:?}\n{}", told(&runs));
    }
    // On the first day there is nothing of any disk. Then no day has more than twice the mean.
    let later = &runs[1..];
    let mean = later.iter().map(|run| run.full).sum::<u64>() / later.len() as u64;
    let most = later.iter().map(|run| run.full).max().unwrap_or(0);
    assert!(most <= 2 * mean, "{most} > 2 * {mean}\n{}", told(&runs));
}

/// A state of ten runs ago may build on a full dump of ten runs before: twenty volumes hold both.
#[test]
fn with_twenty_volumes_any_of_the_last_ten_states_is_restored() {
    let keep = temporary();
    let look = |catalog: &Catalog, dle: &Dle, dumps: &[Restorable], told: &str| {
        for dump in dumps.iter().rev().take(10) {
            assert!(is_restored(catalog, dle, dump), "{dle} {}\n{told}", dump.datestamp);
        }
    };
    let weeks = weeks(keep.path(), 20, &look);
    assert_eq!(weeks.volumes.iter().collect::<BTreeSet<_>>().len(), 20, "{:?}", weeks.volumes);
}
