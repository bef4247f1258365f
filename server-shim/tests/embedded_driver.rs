//! Runs of each kind in a config of Amanda's own style: what is dumped where, what waits, and what is said of it.

mod shelf;

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use amanda::conf::disklist::Disk;
use amanda::crc::Crc;
use amanda::curinfo::{FORCE_FULL, Info, path as info_path};
use amanda::dle::Dle;
use amanda::header::Header;
use amanda::{holding, index};
use asyncamanda_shim::engine::embedded::holding::writer::Writer;
use asyncamanda_shim::engine::embedded::run::{self, Call, Done, Dumper, NoDump, OverLink, Ran, Task};
use asyncamanda_shim::engine::embedded::{Connection, Kind, Link, Order};
use shelf::{Conf, DAY, KIB, NOW, Notes, World, body, temporary};
use wire::{HostName, Outcome};

/// Makes dumps of bytes, and remembers where.
#[derive(Default)]
struct Fake {
    indexdir: PathBuf,
    /// What happens instead, one for each try.
    fails: Mutex<BTreeMap<String, VecDeque<NoDump>>>,
    /// The disks that were asked for, and the directories.
    seen: Mutex<Vec<(String, PathBuf)>>,
    /// Why the host is not there.
    away: Option<String>,
}

impl Fake {
    fn of(world: &World) -> Self {
        Self { indexdir: world.site.indexdir(), ..Self::default() }
    }

    fn fails(self, disk: &str, again: bool, full: bool) -> Self {
        let no = NoDump { why: "it did not work".to_owned(), full, again };
        self.fails.lock().expect("lock").entry(disk.to_owned()).or_default().push_back(no);
        self
    }

    /// The directory above that of the run where each disk was dumped, by its last name.
    fn places(&self) -> Vec<(String, String)> {
        let name =
            |path: &Path| path.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        self.seen.lock().expect("lock").iter().map(|(disk, path)| (disk.clone(), name(path))).collect()
    }
}

impl Dumper for Fake {
    fn dump(&self, task: &Task<'_>, _: &dyn Fn(u64)) -> Result<Done, NoDump> {
        let disk = task.disk.dle.disk.to_string_lossy().into_owned();
        self.seen.lock().expect("lock").push((disk.clone(), task.directory.to_owned()));
        if let Some(no) = self.fails.lock().expect("lock").get_mut(&disk).and_then(VecDeque::pop_front) {
            return Err(no);
        }
        let dle = &task.disk.dle;
        let bytes = body(dle, task.stamp, task.level, 20 * KIB);
        let header = Header::new(dle.clone(), task.stamp, task.level);
        let mut writer = Writer::begin(&task.directory.join(holding::file_name(dle, task.level)), &header, 0).expect("begun");
        writer.write_all(&bytes).expect("written");
        let crc = Some(Crc { crc: crc32c::crc32c(&bytes), bytes: bytes.len() as u64 });
        let header = Header { orig_kb: Some(20), native: crc, client: crc, server: crc, ..header };
        writer.commit(&header).expect("whole");
        let directory = self.indexdir.join(index::directory(dle));
        fs::create_dir_all(&directory).expect("made");
        let text = header.beside_index().text().expect("prints");
        fs::write(directory.join(index::header_name(task.stamp, task.level)), text).expect("written");
        Ok(Done { header, strange: Vec::new(), secs: 1.0 })
    }

    fn estimate(&self, _: &Disk, _: u8) -> Option<u64> {
        None
    }

    fn absent(&self, _: &HostName) -> Option<String> {
        self.away.clone()
    }
}

fn make(world: &World, fake: &Fake, kind: Kind, at: i64) -> (Ran, Notes) {
    let notes = Notes::default();
    let orders = [Order { host: "amandahost".parse().expect("name"), disks: Vec::new() }];
    let orders = if kind == Kind::Flush { &[][..] } else { &orders[..] };
    let call = Call { id: "1-1", kind, orders, everything: true };
    let ran = run::make(&world.site, &call, fake, &notes, &|| at).expect("a run");
    (ran, notes)
}

fn outcomes(ran: &Ran) -> Vec<Outcome> {
    ran.receipts.iter().map(|receipt| receipt.outcome).collect()
}

fn office(keep: &tempfile::TempDir, more: &'static str, dumptype: &'static str, volumes: u32) -> World {
    World::make(keep.path(), Conf { more, dumptype, ..Conf::default() }, &["/home", "/srv"]).label(volumes)
}

/// Changes amanda.conf.
fn edit(world: &mut World, from: &str, to: &str) {
    let path = world.directory.join("amanda.conf");
    let text = fs::read_to_string(&path).expect("read");
    assert!(text.contains(from), "{text}");
    fs::write(&path, text.replace(from, to)).expect("written");
    world.site = World::open(&world.directory, world.conf.name);
}

#[test]
fn what_laptops_bring_waits_and_a_nightly_run_or_a_flush_takes_it_along() {
    let keep = temporary();
    let world = office(&keep, "autoflush yes", "", 3);
    let fake = Fake::of(&world);
    let (laptops, _) = make(&world, &fake, Kind::Laptops, NOW);
    assert_eq!((outcomes(&laptops), laptops.stuck), (vec![Outcome::Ok; 2], false));
    assert!(laptops.receipts.iter().all(|receipt| receipt.chain[0].places[0].contains("/hd1/")), "{laptops:#?}");
    assert_eq!((world.held(), world.written().len()), (2, 0));

    let (nightly, _) = make(&world, &fake, Kind::Nightly, NOW + DAY);
    assert_eq!((outcomes(&nightly), nightly.flushed.len(), nightly.stuck), (vec![Outcome::Ok; 2], 2, false));
    assert!(nightly.lines().iter().all(|line| line.contains(" OK, on ifh01:")), "{:?}", nightly.lines());
    assert_eq!((world.held(), world.written()), (0, vec!["ifh01".to_owned()]));

    make(&world, &fake, Kind::Laptops, NOW + 2 * DAY);
    let (flush, _) = make(&world, &fake, Kind::Flush, NOW + 2 * DAY + 60);
    assert_eq!((flush.receipts.len(), flush.flushed.len(), flush.stuck), (0, 2, false));
    assert!(flush.lines().iter().all(|line| line.contains(" OK, on ifh02:")), "{:?}", flush.lines());
    assert_eq!((world.held(), world.are_whole()), (0, 6));
    let (nothing, _) = make(&world, &fake, Kind::Flush, NOW + 3 * DAY);
    assert_eq!(nothing, Ran::default());
}

#[test]
fn a_host_that_is_away_is_passed_over_by_a_nightly_run() {
    let keep = temporary();
    let world = office(&keep, "", "", 1);
    let fake = Fake { away: Some("it calls by itself".to_owned()), ..Fake::of(&world) };
    let (ran, _) = make(&world, &fake, Kind::Nightly, NOW);
    assert_eq!((ran.receipts.len(), ran.skipped.len(), ran.stuck), (0, 2, false));
    assert_eq!(ran.lines()[0], "amandahost /home is passed over: it calls by itself");
}

#[test]
fn without_a_volume_full_dumps_take_what_is_not_reserved_and_wait() {
    let keep = temporary();
    let mut world = office(&keep, "", "", 0);
    let fake = Fake::of(&world);
    let (ran, notes) = make(&world, &fake, Kind::Nightly, NOW);
    assert_eq!(outcomes(&ran), [Outcome::Failed; 2]);
    assert!(notes.all().contains("no volume to write to"), "{}", notes.all());
    assert_eq!(fake.places(), []);
    edit(&mut world, "runtapes 1\n", "runtapes 1\nreserve 0\n");
    let (ran, _) = make(&world, &fake, Kind::Nightly, NOW + DAY);
    assert_eq!((outcomes(&ran), ran.stuck), (vec![Outcome::Ok; 2], true));
    assert_eq!(world.held(), 2);
}

#[test]
fn dumps_go_to_holding_disks_in_turn_or_beside_the_volumes() {
    let keep = temporary();
    let other = keep.path().join("hd2");
    fs::create_dir(&other).expect("made");
    let conf = Conf { holding: vec![other], dumptype: "maxdumps 2\n", ..Conf::default() };
    let mut world = World::make(keep.path(), conf, &["/home", "/srv"]).label(3);
    let fake = Fake::of(&world);
    make(&world, &fake, Kind::Nightly, NOW);
    let mut places: Vec<String> = fake.places().into_iter().map(|(_, place)| place).collect();
    places.sort();
    assert_eq!(places, ["hd1", "hd2"], "each gets the one where none is being made");

    edit(&mut world, "maxdumps 2\n", "holdingdisk never\n");
    let fake = Fake::of(&world);
    let (ran, _) = make(&world, &fake, Kind::Nightly, NOW + DAY);
    assert_eq!(outcomes(&ran), [Outcome::Ok; 2]);
    assert!(fake.places().iter().all(|(_, place)| place == ".asyncamanda-dumps"), "{:?}", fake.places());
    assert_eq!((world.held(), world.written().len(), world.are_whole()), (0, 2, 4));
}

#[test]
fn where_holding_disks_have_no_room_a_dumptype_says_what_becomes_of_a_dump() {
    let keep = temporary();
    let mut world = office(&keep, "", "holdingdisk required\n", 2);
    edit(&mut world, "hd1\"\n}", "hd1\"\nuse -500 Tb\n}");
    let fake = Fake::of(&world);
    let (ran, _) = make(&world, &fake, Kind::Nightly, NOW);
    assert!(ran.receipts.iter().all(|receipt| receipt.reason.contains("holdingdisk required")), "{ran:#?}");
    assert_eq!(fake.places(), []);
    edit(&mut world, "holdingdisk required\n", "holdingdisk auto\n");
    let (ran, _) = make(&world, &fake, Kind::Nightly, NOW + DAY);
    assert_eq!(outcomes(&ran), [Outcome::Ok; 2]);
    assert!(fake.places().iter().all(|(_, place)| place == ".asyncamanda-dumps"), "{:?}", fake.places());
    assert_eq!((world.held(), world.are_whole()), (0, 2));
}

#[test]
fn a_dump_that_may_go_better_is_made_once_more_and_no_other() {
    let keep = temporary();
    let world = office(&keep, "", "", 3);
    let tries = |fake: &Fake, disk: &str| fake.places().iter().filter(|(other, _)| other == disk).count();
    for (case, kind, again, times, expected) in [
        ("better", Kind::Nightly, true, 1, (2, Outcome::Ok)),
        ("never better", Kind::Nightly, true, 3, (2, Outcome::Failed)),
        ("not better", Kind::Nightly, false, 1, (1, Outcome::Failed)),
        ("a laptop calls again", Kind::Laptops, true, 1, (1, Outcome::Failed)),
    ] {
        let fake = (0..times).fold(Fake::of(&world), |fake, _| fake.fails("/home", again, false));
        let (ran, _) = make(&world, &fake, kind, NOW + world.written().len() as i64 * DAY);
        assert_eq!((tries(&fake, "/home"), ran.receipts[0].outcome), expected, "{case}");
        assert_eq!((tries(&fake, "/srv"), ran.receipts[1].outcome), (1, Outcome::Ok), "{case}");
    }
}

#[test]
fn a_holding_disk_that_was_full_in_the_middle_sends_a_dump_beside_the_volumes() {
    let keep = temporary();
    let world = office(&keep, "", "", 1);
    let fake = Fake::of(&world).fails("/home", false, true);
    let (ran, _) = make(&world, &fake, Kind::Nightly, NOW);
    assert_eq!(outcomes(&ran), [Outcome::Ok; 2]);
    let of_home: Vec<_> = fake.places().into_iter().filter(|(disk, _)| disk == "/home").map(|(_, place)| place).collect();
    assert_eq!(of_home, ["hd1", ".asyncamanda-dumps"]);
}

/// A client that moves its state by itself, and is not there.
struct Gone;

impl Link for Gone {
    fn connect(&self, _: &HostName) -> std::io::Result<Connection> {
        let (from, to) = std::io::pipe()?;
        drop(to);
        Ok(Connection { from: Box::new(std::io::BufReader::new(from)), to: Box::new(std::io::sink()) })
    }

    fn moves_by_itself(&self, _: &HostName) -> bool {
        true
    }
}

#[test]
fn a_dump_that_such_a_client_has_begun_forces_a_full_one() {
    let keep = temporary();
    let world = office(&keep, "", "", 3);
    let dle = Dle::new("amandahost", "/home");
    let command = || {
        let text = fs::read(world.site.config().infofile().join(info_path(&dle))).expect("it was written");
        Info::parse(&text).expect("Amanda's").command
    };
    make(&world, &Fake::of(&world), Kind::Nightly, NOW);
    assert_eq!(command(), 0);
    let notes = Notes::default();
    let orders = [Order { host: "amandahost".parse().expect("name"), disks: Vec::new() }];
    let call = Call { id: "1-2", kind: Kind::Nightly, orders: &orders, everything: true };
    let over = OverLink { site: &world.site, link: &Gone };
    let ran = run::make(&world.site, &call, &over, &notes, &|| NOW + DAY).expect("a run");
    assert_eq!(outcomes(&ran), [Outcome::Failed; 2]);
    assert_eq!(command(), FORCE_FULL);
    let (ran, _) = make(&world, &Fake::of(&world), Kind::Nightly, NOW + 2 * DAY);
    assert_eq!((ran.receipts[0].level, command()), (Some(0), 0), "the full dump takes it back");
}
