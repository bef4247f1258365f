//! Dumps of an installed Amanda are read back, on the holding disk and on volumes; what is damaged is dumped anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use asyncamanda_tests::child::{self, Finished};
use asyncamanda_tests::laptop::assert_backed_up;
use asyncamanda_tests::{Host, Laptop, Plan, World};

const MINUTE: Duration = Duration::from_secs(60);

fn verify(world: &World, more: &[&str]) -> Finished {
    child::run(world.shim_as_dump_user(&[&["verify", &world.name], more].concat()), MINUTE)
}

/// What `status` says of a host's dumps: how many, how many were never read back, how many are damaged.
fn read_back(world: &World, host: &Host) -> (usize, usize, usize) {
    let status = child::must(world.shim(&["status", "--json"]));
    let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
    let disks = status["verified"].as_array().expect("a list");
    let Some(disk) = disks.iter().find(|disk| disk["host"] == host.name.as_str()) else { return (0, 0, 0) };
    let dumps = disk["dumps"].as_array().expect("a list");
    let count = |is: fn(&serde_json::Value) -> bool| dumps.iter().filter(|dump| is(dump)).count();
    (dumps.len(), count(|dump| dump["verified"].is_null() && dump["damage"].is_null()), count(|dump| !dump["damage"].is_null()))
}

/// Files with a dump in them, below a directory.
fn dumps_below(dir: &Path, host: &Host) -> Vec<PathBuf> {
    let (mut found, mut todo) = (vec![], vec![dir.to_path_buf()]);
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(dir).expect("listed") {
            let path = entry.expect("entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            match path.is_dir() && !path.is_symlink() {
                true => todo.push(path),
                false if name.contains(&host.name) => found.push(path),
                false => {}
            }
        }
    }
    found.sort();
    found
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).expect("root may");
    *bytes.last_mut().expect("a dump") ^= 1;
    fs::write(path, bytes).expect("root may");
}

/// The laptop hears that its backup is none, and gets a full one.
fn is_dumped_anew(world: &World, laptop: &Laptop, host: &Host) {
    assert!(!world.published(host)[0].is_backup(), "{:#?}", world.published(host));
    let anew = laptop.back_up();
    assert_backed_up(&anew, host);
    assert_eq!(anew[0].level, Some(0), "{anew:#?}");
    assert_eq!(anew[0].chain.len(), 1, "{anew:#?}");
}

#[test]
fn a_damaged_dump_of_amandas_is_found_and_told_and_dumped_anew() {
    let world = World::new(Plan { engine: "amanda", ..Plan::default() });
    let (laptop, host) = (world.laptop(0), &world.hosts[0]);
    assert_eq!(read_back(&world, host), (0, 0, 0));
    assert_backed_up(&laptop.back_up(), host);
    let said = verify(&world, &[]).expect_code(0);
    assert!(said.stdout.contains("found to be what was stored: 1 dump of"), "{said}");
    assert_eq!(read_back(&world, host), (1, 0, 0));

    // On the holding disk.
    let damaged = dumps_below(&world.amanda.hold, host).remove(0);
    flip(&damaged);
    let again = verify(&world, &["--older-than", "30 days"]).expect_code(0);
    assert!(again.stdout.contains("1 was verified within 30days"), "it is not its turn: {again}");
    let found = verify(&world, &[]).expect_code(1);
    assert!(found.stdout.contains("damaged:") && found.stdout.contains("next dump is a full one"), "{found}");
    assert_eq!(read_back(&world, host), (1, 0, 1));
    is_dumped_anew(&world, &laptop, host);
    verify(&world, &[]).expect_code(1);
    assert!(world.published(host)[0].is_backup(), "what has been dumped anew is not taken back");
    let said = verify(&world, &["--budget", "1 TB"]).expect_code(0);
    assert!(said.stdout.contains("1 dump of") && said.stdout.contains("1 is known to be damaged"), "{said}");

    // On volumes. Amanda would not put the damaged one there.
    fs::remove_file(damaged).expect("root may");
    child::run(world.shim_as_dump_user(&["flush", &world.name]), 2 * MINUTE).expect_code(0);
    assert!(verify(&world, &[]).expect_code(0).stdout.contains("1 dump of"));
    assert_eq!(read_back(&world, host), (1, 0, 0));
    let volumes = dumps_below(&world.amanda.root.join("vtapes"), host);
    let volume = volumes[0].parent().expect("a volume");
    fs::rename(volume, world.dir.join("in a drawer")).expect("root may");
    let away = verify(&world, &[]).expect_code(75);
    assert!(away.stdout.contains("not read:"), "a volume that is not there is no damage: {away}");
    fs::rename(world.dir.join("in a drawer"), volume).expect("root may");
    assert!(world.published(host)[0].is_backup());
    fs::remove_file(volumes.last().expect("a dump")).expect("root may");
    let found = verify(&world, &[]).expect_code(1);
    assert!(found.stdout.contains("is gone, or another one"), "{found}");
    is_dumped_anew(&world, &laptop, host);
    world.assert_at_rest();
}
