//! Two months of backups into a vault, a day apart by a clock that is set ahead: levels as planned, volumes in rotation, nothing
//! overwritten within the retention, and every state within it is restored. And a laptop that calls a thousand times in a day.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use asyncamanda_tests::compare::{self, OURS};
use asyncamanda_tests::faults::Fault;
use asyncamanda_tests::laptop::{assert_backed_up, receipts};
use asyncamanda_tests::ordeal::Ordeal;
use asyncamanda_tests::vault::{Dump, chain};
use asyncamanda_tests::{Home, Plan, Vault, Whose, World, torture, tree};

const DAY: i64 = 86_400;
/// What a new vault's amanda.conf has, in days.
const DUMPCYCLE: usize = 14;
const RETENTION: usize = 30;
/// A volume is written to for a fourth of the retention, and what the oldest dump builds on may be a cycle older.
const VOLUMES: usize = (RETENTION + DUMPCYCLE) * 4 / RETENTION + 2;

/// Says which level the dump of a day has, for one dump a day: a full one each cycle, and between them one level more each day while
/// amanda.conf lets it grow, else level 1.
fn level_of(day: usize, grows: bool) -> u8 {
    match (day % DUMPCYCLE, grows) {
        (0, _) => 0,
        (since, true) => u8::try_from(since.min(9)).expect("9 at most"),
        (_, false) => 1,
    }
}

/// The dumps of one disk and what the tree was when each was made.
#[derive(Default)]
struct States(BTreeMap<String, PathBuf>);

impl States {
    /// Keeps the tree as it is, as the state of the newest dump. Returns the dump's level.
    fn keep(&mut self, dumps: &[Dump], tree: &Path, beside: &Path) -> u8 {
        let newest = dumps.iter().rfind(|dump| dump.disk == tree.to_string_lossy()).expect("it was backed up");
        // Vaults may have dumps of one second.
        let volume = newest.path.parent().expect("a slot").ancestors().nth(2).and_then(Path::file_name).expect("a vault").to_string_lossy();
        let place = beside.join(format!("state-{volume}-{}", newest.datestamp));
        assert!(self.0.insert(newest.datestamp.clone(), torture::save(tree, &place)).is_none(), "no new dump: {newest:?}");
        newest.level
    }

    /// Forgets the states before a day, counted from 0.
    fn forget_before(&mut self, day: usize) {
        for (_, place) in self.0.iter().take(day).filter(|(_, place)| place.exists()) {
            fs::remove_dir_all(place).expect("ours");
        }
    }

    /// All states that were not forgotten come back.
    fn come_back(&self, vault: &Vault, tree: &Path, beside: &Path) {
        let dumps = vault.dumps();
        for (at, place) in self.0.iter().filter(|(_, place)| place.exists()) {
            let target = beside.join("restored");
            fs::create_dir(&target).expect("ours");
            vault.restore(&chain(&dumps, tree, Some(at)), &target);
            compare::assert_equal(place, &target, OURS);
            fs::remove_dir_all(&target).expect("ours");
        }
    }
}

#[test]
fn two_months_of_backups_keep_every_state_of_the_last_thirty_days() {
    let mut ordeal = Ordeal::new(&["Documents"]);
    let (beside, disk) = (ordeal.home.beside.clone(), ordeal.disks[0].clone());
    let mut states = States::default();
    let (mut taken_again, mut before) = (0, BTreeSet::new());
    let days = 2 * (RETENTION + DUMPCYCLE);
    for day in 0..days {
        let grows = day < days / 2;
        ordeal.back_up(Fault::None).expect_code(0);
        let dumps = ordeal.vault().dumps();
        if day == 0 {
            // Each level is worth the next one, after a day.
            let conf = "dumpcycle 14 days\n";
            ordeal.vault().edit(conf, &format!("{conf}bumpsize 1 kbytes\nbumpdays 1\nbumpmult 1\n"));
        } else if day + 1 == days / 2 {
            ordeal.vault().edit("bumpsize 1 kbytes\nbumpdays 1\nbumpmult 1\n", "");
        }
        let level = states.keep(&dumps, &disk, &beside);
        assert_eq!(level, level_of(day, grows), "on day {day}");
        // What a state of the last 30 days needs is there, and on as few volumes as it takes.
        let first = day.saturating_sub(RETENTION - 1);
        states.forget_before(first);
        let labels = ordeal.vault().labels();
        assert!(labels.len() <= VOLUMES, "on day {day}: {labels:?}");
        let after: BTreeSet<_> = dumps.iter().map(Dump::identity).collect();
        taken_again += usize::from(!before.is_subset(&after));
        before = after;
        for at in states.0.keys().skip(first) {
            chain(&dumps, &disk, Some(at));
        }
        if day % DUMPCYCLE == DUMPCYCLE - 1 {
            states.come_back(&ordeal.vault(), &disk, &beside);
        }
        ordeal.live();
        ordeal.now += DAY;
    }
    assert!(taken_again >= 3, "volumes do not rotate: {:?}", ordeal.vault().labels());
    states.come_back(&ordeal.vault(), &disk, &beside);
}

#[test]
fn a_thousand_calls_in_a_day_evict_nothing() {
    let mut ordeal = Ordeal::new(&["Documents"]);
    let (beside, disk) = (ordeal.home.beside.clone(), ordeal.disks[0].clone());
    let mut states = States::default();
    for _ in 0..5 {
        ordeal.back_up(Fault::None).expect_code(0);
        states.keep(&ordeal.vault().dumps(), &disk, &beside);
        ordeal.live();
        ordeal.now += 5 * DAY;
    }
    let before = ordeal.vault().identities();
    let files = |dir: &str| Vault(ordeal.home.path(dir)).size().1;
    let state = files(".var-lib");
    for _ in 0..1000 {
        ordeal.back_up(Fault::None).expect_code(0);
        ordeal.now += DAY / 1000;
    }
    ordeal.nothing_is_lost(&before);
    assert_eq!(ordeal.vault().dumps().len(), before.len() + 1000);
    states.come_back(&ordeal.vault(), &disk, &beside);
    ordeal.gives_back(0);
    // The dumps and their indexes are a thousand; what else there is has not grown with them.
    for dir in ["vault/log", "vault/curinfo", "vault/holding", "vault/.asyncamanda"] {
        assert!(files(dir) < 100, "{dir} has {} files", files(dir));
    }
    assert!(files(".var-lib") < state + 20, "the client's state has {} files", files(".var-lib"));
    ordeal.live();
    ordeal.goes_on(&before, 1);
}

#[test]
fn two_vaults_in_turn_have_chains_of_their_own() {
    let home = Home::new(Whose::Root);
    let documents = home.path("Documents");
    tree::plant(&documents, 1, 30_000);
    let mut states = [States::default(), States::default()];
    for round in 0..6 {
        fs::write(documents.join(format!("round {round}")), "new\n").expect("ours");
        fs::remove_file(documents.join(format!("round {}", round - 2))).ok();
        let which = [0, 1, 0, 0, 1, 0][usize::try_from(round).expect("small")];
        let vault = home.vault(["A", "B"][which]);
        home.ask(&["now", &documents.display().to_string(), "--to", &vault.0.display().to_string()]).expect_code(0);
        let level = states[which].keep(&vault.dumps(), &documents, &home.beside);
        assert_eq!(level, u8::from(states[which].0.len() > 1), "round {round}");
    }
    for (which, states) in states.iter().enumerate() {
        states.come_back(&home.vault(["A", "B"][which]), &documents, &home.beside);
    }
}

#[test]
fn a_vault_and_a_server_in_turn_both_give_everything_back() {
    let world = World::new(Plan { far_away: vec![0], ..Plan::default() });
    let (laptop, host) = (world.laptop(0), &world.hosts[0]);
    let vault = Vault(world.dir.join("usb"));
    for round in 0..6 {
        fs::write(host.tree.join(format!("round {round}")), "new\n").expect("ours");
        if round % 2 == 0 {
            assert_backed_up(&laptop.back_up(), host);
            world.assert_restores(&world.name, host);
        } else {
            let disk = host.disk.display().to_string();
            let said = laptop.ask(&["now", &disk, "--to", &vault.0.display().to_string(), "--json"]).expect_code(0);
            let [receipt] = &receipts(&said)[..] else { panic!("one receipt was expected: {said}") };
            assert!(receipt.is_backup(), "{receipt:#?}");
            assert_eq!(receipt.level, Some(u8::from(round > 1)), "the server's dumps are not the vault's");
            let target = world.dir.join(format!("out-of-the-vault-{round}"));
            fs::create_dir(&target).expect("ours");
            vault.restore(&vault.chain(&host.disk, None), &target);
            compare::assert_equal(&host.tree, &target, OURS);
        }
    }
}
