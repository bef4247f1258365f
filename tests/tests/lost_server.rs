//! The server is lost: the volumes are all that is left. A catalog is made of them again, for Amanda's own programs and for ours; and files come out of them
//! with no catalog at all.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use asyncamanda_tests::compare::{self, OURS, STOCK};
use asyncamanda_tests::system::{self, DUMP_USER};
use asyncamanda_tests::vault::Dump;
use asyncamanda_tests::{Finished, Home, Host, Plan, Whose, World, child, life, torture, tree};

const MINUTE: Duration = Duration::from_secs(60);

/// Everything that is in the files of an index, by their names.
fn indexes(dir: &Path) -> BTreeMap<PathBuf, String> {
    let mut indexes = BTreeMap::new();
    let mut open = vec![dir.to_owned()];
    while let Some(path) = open.pop() {
        for entry in fs::read_dir(path).expect("root may").map(|entry| entry.expect("root may").path()) {
            if entry.is_dir() {
                open.push(entry);
            } else if entry.extension().is_some_and(|suffix| suffix == "gz") {
                let mut zcat = child::program("zcat");
                zcat.arg(&entry);
                indexes.insert(entry.strip_prefix(dir).expect("below it").to_owned(), child::must(zcat));
            }
        }
    }
    indexes
}

/// Restores out of volumes alone, by root, and compares it with a copy.
#[track_caller]
fn assert_loose(world: &World, host: &Host, state: &(String, PathBuf)) {
    let (disk, into) = (format!("{}:{}", host.name, host.disk.display()), world.dir.join(format!("loose-{}", state.0)));
    let mut restore = world.shim(&["restore", "--disk", &disk, "--at", &state.0]);
    restore.arg("--from").arg(world.amanda.root.join("vtapes")).arg("--to").arg(&into);
    child::run(restore, MINUTE).expect_code(0);
    compare::assert_equal(&state.1, &into, STOCK);
    fs::remove_dir_all(into).expect("our own");
}

/// Dumps in parts over several volumes, of several levels, one of them straight to a volume: as Debian's Amanda writes them.
#[test]
fn amandas_catalog_comes_back_from_its_volumes() {
    let world = World::new(Plan { hosts: 2, torture: vec![1], ..Plan::default() });
    let (host, root, name) = (&world.hosts[1], &world.amanda.root, world.name.as_str());
    // Larger than a volume.
    tree::plant(&host.tree.join("larger"), 7, 3_500_000);
    world.amanda.edit(" length 200 mbytes\n", " length 3 mbytes\n part_size 1 mbyte\n part_cache_type none\n");
    world.amanda.edit("tapetype T\n", "runtapes 4\ntapetype T\n");
    world.amanda.edit("tapecycle 4\n", "tapecycle 9\n");
    (5..=9).for_each(|slot| system::directory(&root.join(format!("vtapes/slot{slot}")), DUMP_USER, DUMP_USER, 0o750));
    let mut states: Vec<(String, PathBuf)> = Vec::new();
    for round in 0..3 {
        if round > 0 {
            life::go_on(&host.tree, round);
        }
        if round == 2 {
            world.amanda.edit("record yes\n", "record yes\n holdingdisk never\n");
            let mut force = world.amanda.command("amadmin");
            force.args([name, "force"]).arg(&host.name);
            child::must(force);
        }
        let mut amdump = world.amanda.command("amdump");
        amdump.args([name, "--from-client", &host.name]);
        let dumped = child::run(amdump, 2 * MINUTE);
        assert!(matches!(dumped.code, Some(0 | 2)), "{dumped}");
        let newest = world.amanda.find(name, host).last().expect("it made one").datestamp.clone();
        states.push((newest.clone(), torture::save(&host.tree, &world.dir.join(format!("saved-{newest}")))));
    }
    let find = || {
        let mut find = world.amanda.command("amadmin");
        find.args([name, "find"]);
        child::must(find)
    };
    let (found, indexed) = (find(), indexes(&root.join("index")));
    let levels: Vec<u8> = world.chain(name, host).iter().map(|dump| dump.level).collect();
    assert!(found.contains(" 2/") && levels == [0], "{found}");

    for gone in ["log", "index", "info", "hold"] {
        fs::remove_dir_all(root.join(gone)).expect("our own");
    }
    fs::remove_file(root.join("tapelist")).expect("our own");
    system::directory(&root.join("hold"), DUMP_USER, DUMP_USER, 0o750);
    for state in &states {
        assert_loose(&world, host, state);
    }
    let reindex = || child::run(world.shim_as_dump_user(&["reindex", name]), MINUTE).expect_code(0);
    let done = reindex();
    assert!(done.stdout.contains("3 dumps of 1 disk, 3 of them whole") && done.stdout.contains("tell of"), "{done}");

    assert_eq!(find(), found);
    assert_eq!(indexes(&root.join("index")), indexed);
    world.assert_restores(name, host);
    let recovered = world.recover(name, host);
    let mut differences = compare::differences(&host.tree, &recovered, STOCK);
    // amrecover's own directory is not dumped.
    differences.retain(|difference| !difference.starts_with("\"\" was"));
    assert!(differences.is_empty(), "{} differences: {}", differences.len(), differences[0]);
    let info = || {
        let mut info = world.amanda.command("amadmin");
        info.args([name, "info"]);
        child::must(info)
    };
    assert!(info().contains(&format!("  {name}-")), "{}", info());
    // A second time there is nothing to do.
    let again = reindex();
    assert!(again.stdout.contains("told of all volumes already"), "{again}");
    assert_eq!(find(), found);

    // And it goes on: with a level that builds on what was found, and an own state that is kept with the laptop.
    life::go_on(&host.tree, 3);
    let mut amdump = world.amanda.command("amdump");
    amdump.args([name, "--from-client", &host.name]);
    let dumped = child::run(amdump, 2 * MINUTE);
    assert!(matches!(dumped.code, Some(0 | 2)), "{dumped}");
    assert_eq!(world.amanda.find(name, host).last().map(|dump| dump.level), Some(1), "{}", find());
    world.assert_restores(name, host);
}

/// A vault with dumps of several levels, and a tree that has changed in between.
fn vault_with_states(home: &Home, disk: &Path) -> Vec<(Dump, PathBuf)> {
    torture::plant(disk, 1, torture::Size::Small);
    let mut states = Vec::new();
    for round in 0..3 {
        if round > 0 {
            life::go_on(disk, round);
        }
        home.ask(&["now", "Documents", "--to", "vault"]).expect_code(0);
        let newest = home.vault("vault").chain(disk, None).pop().expect("it made one");
        let saved = torture::save(disk, &home.beside.join(format!("saved-{}", newest.datestamp)));
        states.push((newest, saved));
    }
    states
}

/// Restores each state by the agent, out of a vault.
#[track_caller]
fn assert_every_state(home: &Home, states: &[(Dump, PathBuf)]) {
    for (dump, saved) in states {
        let into = home.target(&format!("back-{}", dump.datestamp));
        let to = into.display().to_string();
        home.ask(&["restore", "--from", "vault", "--at", &dump.datestamp, "Documents", "--to", &to]).expect_code(0);
        compare::assert_equal(saved, &into.join("Documents"), OURS);
        fs::remove_dir_all(into).expect("our own");
    }
}

fn shim(home: &Home, args: &[&str]) -> Finished {
    let mut command = home.command(home.program("asyncamanda-shim"));
    command.args(args);
    child::run(command, MINUTE)
}

#[test]
fn a_vault_of_which_only_the_volumes_are_left_is_a_vault_again() {
    let home = Home::new(Whose::Root);
    let (disk, vault) = (home.path("Documents"), home.path("vault"));
    let states = vault_with_states(&home, &disk);
    let org = |conf: &str| conf.lines().find(|line| line.starts_with("org ")).map(str::to_owned).expect("it has one");
    let before = org(&fs::read_to_string(vault.join("amanda.conf")).expect("it has one"));
    let indexed = indexes(&vault.join("index"));
    for entry in fs::read_dir(&vault).expect("ours").map(|entry| entry.expect("ours").path()) {
        if entry.is_dir() && !entry.ends_with("vtapes") {
            fs::remove_dir_all(entry).expect("ours");
        } else if !entry.is_dir() {
            fs::remove_file(entry).expect("ours");
        }
    }
    // Without any catalog.
    for (dump, saved) in &states {
        let into = home.beside.join(format!("loose-{}", dump.datestamp));
        let to = into.display().to_string();
        shim(&home, &["restore", "--from", "vault/vtapes", "--at", &dump.datestamp, "--to", &to]).expect_code(0);
        compare::assert_equal(saved, &into, OURS);
    }
    let one = home.target("one");
    let (name, to) = (disk.join("whose").display().to_string(), one.display().to_string());
    let wanted = disk.join("whose").exists().then_some(name);
    let args: Vec<&str> = ["restore", "--from", "vault", "--to", &to].into_iter().chain(wanted.as_deref()).collect();
    shim(&home, &args).expect_code(0);

    let done = shim(&home, &["reindex", "vault"]).expect_code(0);
    assert!(done.stdout.contains("made") && done.stdout.contains("3 dumps of 1 disk, 3 of them whole"), "{done}");
    let conf = fs::read_to_string(vault.join("amanda.conf")).expect("made");
    assert_eq!(org(&conf), before);
    assert_eq!(indexes(&vault.join("index")), indexed);
    assert_every_state(&home, &states);
    shim(&home, &["verify", "./vault"]).expect_code(0);

    // And it goes on, with a level that builds on what is there.
    life::go_on(&disk, 3);
    let gone_on = home.ask(&["now", "Documents", "--to", "vault"]).expect_code(0);
    let newest = home.vault("vault").chain(&disk, None).pop().expect("it made one");
    assert!(newest.level > 0 && newest.datestamp > states[2].0.datestamp, "{gone_on}");
    assert_every_state(&home, &states);
    let again = shim(&home, &["reindex", "./vault"]).expect_code(0);
    assert!(again.stdout.contains("told of all volumes already"), "{again}");
}

#[test]
fn slots_that_nobody_can_make_a_config_around_are_left_alone() {
    let home = Home::new(Whose::Root);
    vault_with_states(&home, &home.path("Documents"));
    let slots = home.path("drive");
    fs::rename(home.path("vault/vtapes"), &slots).expect("ours");
    let refused = shim(&home, &["reindex", "./drive"]).expect_code(78);
    assert!(refused.stderr.contains("mv") && refused.stderr.contains("vtapes"), "{refused}");
    assert!(
        fs::read_dir(&slots)
            .expect("ours")
            .all(|entry| entry.expect("ours").file_name().to_string_lossy().starts_with("slot") || slots.join("data").exists())
    );
    let nothing = shim(&home, &["reindex", "./Documents"]).expect_code(78);
    assert!(nothing.stderr.contains("no volumes"), "{nothing}");
}
