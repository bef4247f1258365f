//! What goes wrong in a small office's nights: each is named in the report, in words, with what to do; nothing is lost, and the next night is
//! right.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use amanda::header::Start;
use amanda::vtape::Volume;
use asyncamanda_tests::child::{self, Background};
use asyncamanda_tests::laptop::PATIENCE;
use asyncamanda_tests::mount::Mount;
use asyncamanda_tests::wait::until;
use asyncamanda_tests::{Plan, World, procs, system};

/// A server with one disk, three labelled volumes of which all but the newest may be written anew, and a night that went well.
struct Office(World);

impl Office {
    fn new() -> Self {
        let office = Self(World::new(Plan { engine: "embedded", flush: None, ..Plan::default() }));
        let world = &office.0;
        world
            .amanda
            .edit("define dumptype laptop-0 {\n laptop\n", "define dumptype laptop-0 {\n laptop\n dump-limit server\n maxpromoteday 0\n");
        world.amanda.edit(&format!("autolabel \"{}-%%%\" any\n", world.name), "");
        world.amanda.edit("tapecycle 4\n", "tapecycle 2\nautoflush yes\nctimeout 3\n");
        world.amanda.edit("etimeout 60\ndtimeout 60\n", "etimeout 3\ndtimeout 3\n");
        for slot in ["1", "2", "3"] {
            child::must(world.shim(&["label", &world.name, &office.label(slot), "--slot", slot]));
        }
        world.serves_itself(&world.hosts[0], &[&world.hosts[0].disk]);
        office.night(0);
        office.says(0, &["Nothing is wrong."]);
        office
    }

    fn label(&self, slot: &str) -> String {
        format!("{}-00{slot}", self.0.name)
    }

    fn slot(&self, slot: &str) -> PathBuf {
        self.0.amanda.root.join("vtapes").join(format!("slot{slot}"))
    }

    /// The slot of the volume that the next run writes to, as the report tells it.
    fn next(&self) -> String {
        let said = child::run(self.0.shim(&["report", &self.0.name, "--plain"]), PATIENCE).stdout;
        let slot = said.rsplit_once("(slot ").and_then(|(_, rest)| rest.split_once(')'));
        slot.unwrap_or_else(|| panic!("no slot in {said}")).0.to_owned()
    }

    /// A day's work, and cron's line.
    fn night(&self, code: i32) {
        fs::write(self.0.hosts[0].tree.join("diary"), format!("{:?}", std::time::Instant::now())).expect("ours");
        child::run(self.0.shim(&["run", &self.0.name]), PATIENCE).expect_code(code);
    }

    /// What the administrator reads in the morning.
    fn plain(&self, code: i32) -> String {
        child::run(self.0.shim(&["report", &self.0.name, "--plain"]), PATIENCE).expect_code(code).stdout
    }

    fn says(&self, code: i32, words: &[&str]) {
        let said = self.plain(code);
        words.iter().for_each(|words| assert!(said.contains(words), "{words:?} is not in\n{said}"));
    }

    /// The night after: it is right by itself, and everything is on volumes and comes back.
    fn goes_on(&self) {
        self.night(0);
        assert!(self.plain(0).contains("Nothing is wrong."), "{}", self.plain(0));
        assert_eq!(self.0.holding_files(), Vec::<String>::new());
        self.0.assert_restores(&self.0.name, &self.0.hosts[0]);
        self.0.assert_at_rest();
    }
}

#[test]
fn a_volume_that_cannot_be_written_or_is_another_ones_or_missing_is_named_and_the_next_one_is_taken() {
    let office = Office::new();
    // Write-protected: the one whose turn it is.
    let protected = Mount::over(&office.slot(&office.next()), 4096);
    protected.remount("ro");
    office.night(0);
    office.says(0, &["cannot be written to", "Read-only file system", "backed up"]);
    drop(protected);
    office.goes_on();

    // Somebody else's volume in the slot of the one whose turn it is, and the others are too young.
    office.0.amanda.edit("tapecycle 2\n", "tapecycle 3\n");
    let slot = office.slot(&office.next());
    let kept = slot.with_extension("aside");
    fs::rename(&slot, &kept).expect("ours");
    system::directory(&slot, system::DUMP_USER, system::DUMP_USER, 0o750);
    Volume::new(&slot).relabel(&Start { datestamp: "20200101000000".to_owned(), label: "elsewhere-7".to_owned() }).expect("written");
    let mut own = child::program("chown");
    own.args(["--recursive", system::DUMP_USER]).arg(&slot);
    child::must(own);
    office.night(1);
    office.says(1, &["NO VOLUME could be written to", "elsewhere-7", "not one of this config's", "waits on the holding disk"]);
    fs::remove_dir_all(&slot).expect("ours");

    // And no volume there at all: what waits goes on waiting.
    office.night(1);
    office.says(1, &["NO VOLUME could be written to", "For the next run put in", "waits on the holding disk"]);
    assert_eq!(office.0.holding_files().len(), 2);
    fs::rename(&kept, &slot).expect("ours");
    office.goes_on();
}

#[test]
fn a_full_disk_is_named_and_what_was_dumped_waits_for_the_next_night() {
    let office = Office::new();
    let vtapes = office.0.amanda.root.join("vtapes");
    let small = Mount::over(&vtapes, 4096);
    let ballast = small.fill();
    office.night(1);
    office.says(1, &["No space left on device", "waits on the holding disk"]);
    assert_eq!(office.0.holding_files().len(), 1);
    fs::remove_file(ballast).expect("ours");
    office.goes_on();
    drop(small);
}

#[test]
fn a_client_that_hangs_and_a_dumper_that_is_killed_are_named() {
    let office = Office::new();
    let world = &office.0;
    // A client that says nothing.
    let mute = world.dir.join("mute");
    system::file(&mute, "#!/bin/sh\nwhile :; do sleep 1; done\n", "root", "root", 0o755);
    fs::set_permissions(&mute, fs::Permissions::from_mode(0o755)).expect("ours");
    let before = fs::read_to_string(world.shim_toml()).expect("ours");
    let line = before.lines().find(|line| line.starts_with("client = [")).expect("it serves itself").to_owned();
    world.edit_shim_toml(&line, &format!("client = [\"{}\"]", mute.display()));
    office.night(1);
    office.says(1, &["NOT backed up", "nothing came from the client"]);

    // The dumper is killed while it waits for it.
    world.amanda.edit("ctimeout 3\n", "ctimeout 60\n");
    let night = Background::start(world.shim(&["run", &world.name]));
    let dumper = until("the dumper to ask", PATIENCE, || {
        let all = world.processes();
        let asks = all.iter().any(|process| process.mentions_below(&mute));
        all.into_iter().find(|process| asks && process.mentions("dumper") && process.mentions("run"))
    });
    procs::with_descendants(&procs::all(), &[dumper.pid]).into_iter().for_each(|process| process.kill_9());
    let told = night.wait(PATIENCE).expect_code(1);
    assert!(told.stdout.contains("cut off"), "{told}");
    office.says(1, &["NOT backed up", "did not come to its end"]);
    world.edit_shim_toml(&format!("client = [\"{}\"]", mute.display()), &line);
    office.goes_on();
}
