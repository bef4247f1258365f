//! A vault on a file system that is full to the last byte. By itself, since it starts a program: locks of other tests would go with it.

mod vault;

use std::fs;

use asyncamanda_shim::engine::embedded::make::{Plan, make};
use vault::{DAY, NOW, Next, dle};
use wire::Outcome;

/// A file system of 12 MB, which goes with this value.
struct Small(tempfile::TempDir);

impl Small {
    /// None for those who may not mount one.
    fn mounted() -> Option<Self> {
        let directory = tempfile::tempdir().expect("directory");
        let mounted = std::process::Command::new("mount").args(["-t", "tmpfs", "-o", "size=12m", "none"]).arg(directory.path()).status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(directory))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn what_is_not_needed_is_erased_where_nothing_can_be_written_any_more() {
    let Some(small) = Small::mounted() else {
        assert!(std::env::var_os("CI").is_none(), "no file system can be mounted");
        return;
    };
    let plan = Plan { dumpcycle: 1, retention_days: 2, volume_kb: Some(1024), ..Plan::default() };
    let mut site = make(&small.0.path().join("vault"), &plan).expect("made");
    site.add_disk(&dle("/home"), None).expect("added");
    let world = vault::World { keep: vault::temporary(), site, fake: vault::Fake::default(), now: std::sync::atomic::AtomicI64::new(NOW) };
    world.fake.set(&dle("/home"), Next::Bytes(700_000));
    for _ in 0..3 {
        world.run();
        world.later(DAY);
    }
    world.later(10 * DAY);
    let mut filler = fs::File::create(small.0.path().join("filler")).expect("made");
    while std::io::Write::write_all(&mut filler, &[7; 4096]).is_ok() {}
    assert!(fs::write(small.0.path().join("x"), [7; 4096]).is_err(), "full");
    let (receipts, ears) = world.run();
    assert_eq!(receipts[0].outcome, Outcome::Ok, "{receipts:?}");
    assert!(ears.notes.lock().expect("lock").iter().any(|note| note.contains("is taken again")));
    vault::check(&world.site);
}
