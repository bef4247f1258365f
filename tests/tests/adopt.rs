//! The day a vault is outgrown: it becomes a config of Debian's Amanda, which finds everything in it and goes on with the next level.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use asyncamanda_tests::child::{self, Background};
use asyncamanda_tests::compare::{self, OURS, STOCK};
use asyncamanda_tests::faults::{Fault, Faults};
use asyncamanda_tests::laptop::PATIENCE;
use asyncamanda_tests::system::{CONFIGS, DUMP_USER, LOGIN};
use asyncamanda_tests::vault::give_all;
use asyncamanda_tests::{Finished, Home, Whose, life, torture};

const MINUTE: Duration = Duration::from_secs(60);
/// A file that only a full dump has.
const BULK: usize = 400_000;

/// A home with a vault that has two levels of one disk, and what Amanda will have of it.
struct Scene {
    home: Home,
    whose: Whose,
    disk: PathBuf,
    config: String,
}

impl Scene {
    fn new(whose: Whose) -> Self {
        let home = Home::new(whose);
        let disk = home.path("Documents");
        torture::plant(&disk, 1, torture::Size::Small);
        if whose == Whose::User {
            // What he may not read himself is in nobody's backup of his.
            fs::remove_dir_all(disk.join("secrets")).expect("ours");
        }
        fs::write(disk.join("bulk"), vec![7_u8; BULK]).expect("ours");
        let config = home.dir.parent().and_then(Path::file_name).expect("a name").to_string_lossy().into_owned();
        let scene = Self { home, whose, disk, config };
        for round in 0..2 {
            if round > 0 {
                life::go_on(&scene.disk, round);
            }
            scene.home.hand_over();
            scene.back_up().expect_code(0);
        }
        scene
    }

    fn back_up(&self) -> Finished {
        self.home.ask(&["now", "Documents", "--to", "vault"])
    }

    /// Makes what has changed in the disk the owner's; the vault is Amanda's.
    fn is_changed(&self) {
        if self.whose == Whose::User {
            give_all(&self.disk, LOGIN);
        }
    }

    /// Where the agent has kept its state. Root's is in the /var/lib of this home.
    fn state(&self) -> PathBuf {
        self.home.path(if self.whose == Whose::Root { ".var-lib/asyncamanda" } else { ".local/state/asyncamanda" })
    }

    /// `asyncamanda-shim adopt`, as root types it.
    fn command(&self) -> Command {
        let mut command = child::program(self.home.program("asyncamanda-shim"));
        command.arg("adopt").arg(self.home.path("vault")).arg(&self.config).arg("--state").arg(self.state()).current_dir("/");
        command
    }

    fn adopt(&self) -> Finished {
        child::run(self.command(), MINUTE)
    }

    /// Lets Amanda's account through to the vault, as the refusal says.
    fn open_the_way(&self) {
        let mut setfacl = child::program("setfacl");
        setfacl.args(["-m", &format!("u:{DUMP_USER}:x")]).arg(&self.home.dir);
        child::must(setfacl);
    }

    /// One of Amanda's programs, as its administrator types it.
    fn amanda(&self, program: &str, args: &[&str]) -> Command {
        let mut command = child::program_as(DUMP_USER, Path::new("/usr/sbin").join(program));
        command.arg(&self.config).args(args).current_dir("/var/lib/amanda");
        command
    }

    /// Datestamp and level of each dump that Amanda finds and takes for whole.
    fn found(&self) -> Vec<(String, u8)> {
        let listed = child::must(self.amanda("amadmin", &["find"]));
        let dump = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let is_ours = words.get(3).is_some_and(|disk| Path::new(disk) == self.disk) && words.last() == Some(&"OK");
            is_ours.then(|| (format!("{}{}", words[0], words[1]).replace(['-', ':'], ""), words[4].parse().expect("a level")))
        };
        listed.lines().filter_map(dump).collect()
    }

    /// Fetches a dump with Amanda's own program.
    fn fetch(&self, datestamp: &str) -> PathBuf {
        let image = self.home.beside.join(format!("{datestamp}.tar"));
        let host = nix::unistd::gethostname().expect("it has one").to_string_lossy().into_owned();
        let mut fetch = child::program_as(DUMP_USER, "/usr/sbin/amfetchdump");
        fetch.args(["-a", "-p", &self.config, &format!("={host}"), &format!("={}", self.disk.display()), datestamp]);
        fetch.current_dir("/var/lib/amanda");
        let fetched = Background::start_into(fetch, fs::File::create(&image).expect("our own")).wait(PATIENCE);
        assert_eq!(fetched.code, Some(0), "{fetched}");
        image
    }

    /// Restores what Amanda has, and compares it with the disk.
    #[track_caller]
    fn assert_restores(&self, exactness: compare::Exactness) {
        let mut chain: Vec<(String, u8)> = Vec::new();
        for dump in self.found() {
            chain.retain(|have| have.1 < dump.1);
            chain.push(dump);
        }
        assert_eq!(chain.first().map(|dump| dump.1), Some(0));
        let target = self.home.target(&format!("restored-{}", chain.last().expect("one").0));
        for (datestamp, _) in &chain {
            let image = self.fetch(datestamp);
            let mut tar = child::program("tar");
            tar.args(["--extract", "--preserve-permissions", "--numeric-owner", "--listed-incremental=/dev/null"]);
            tar.args(["--xattrs", "--xattrs-include=*", "--acls", "--file"]).arg(&image).arg("--directory").arg(&target);
            child::must(tar);
        }
        compare::assert_equal(&self.disk, &target, exactness);
        fs::remove_dir_all(&target).expect("our own");
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _not_there = fs::remove_dir_all(Path::new(CONFIGS).join(&self.config));
        let begins = format!("_tmp_{}", self.config);
        let lists = fs::read_dir("/var/lib/amanda/gnutar-lists").into_iter().flatten().flatten();
        for list in lists.filter(|entry| entry.file_name().to_string_lossy().contains(&begins)) {
            let _gone_already = fs::remove_file(list.path());
        }
        // In place: it keeps its owner, and Amanda's client never takes it away.
        let amandates = Path::new("/var/lib/amanda/amandates");
        let text = fs::read_to_string(amandates).unwrap_or_default();
        let disk = format!("{} ", self.disk.display());
        let kept: String = text.split_inclusive('\n').filter(|line| !line.starts_with(&disk)).collect();
        if kept != text {
            let _only_untidy = fs::write(amandates, kept);
        }
    }
}

/// Everything below a directory, with owner and mode, contents apart: to see that nothing was touched.
fn picture(dir: &Path) -> BTreeMap<PathBuf, (u32, u32, u64)> {
    let mut picture = BTreeMap::new();
    let mut open = vec![dir.to_owned()];
    while let Some(path) = open.pop() {
        let data = fs::symlink_metadata(&path).expect("root may");
        picture.insert(path.clone(), (data.uid(), data.mode(), if data.is_dir() { 0 } else { data.len() }));
        if data.is_dir() {
            open.extend(fs::read_dir(&path).expect("root may").map(|entry| entry.expect("root may").path()));
        }
    }
    picture
}

fn amanda_goes_on(whose: Whose) {
    let scene = Scene::new(whose);
    scene.open_the_way();
    let before = scene.home.vault("vault").identities();
    let adopted = scene.adopt().expect_code(0);
    assert!(adopted.stdout.contains("2 dumps are in its catalog") && adopted.stdout.contains("goes on with its next level"), "{adopted}");

    let found = scene.found();
    assert_eq!(found.iter().map(|dump| dump.1).collect::<Vec<_>>(), [0, 1]);
    let info = child::must(scene.amanda("amadmin", &["info"]));
    assert!(info.contains(&scene.disk.display().to_string()) && info.contains(&found[0].0[..8]), "{info}");
    let show = child::run(scene.amanda("amtape", &["show"]), MINUTE).expect_code(0);
    assert!(format!("{}{}", show.stdout, show.stderr).contains("-001"), "{show}");
    child::run(scene.amanda("amcheckdump", &[]), MINUTE).expect_code(0);
    let check = child::run(scene.amanda("amcheck", &[]), MINUTE).expect_code(0);
    assert!(check.stdout.contains("0 problems found"), "{check}");
    scene.assert_restores(OURS);

    // The next level, and it is a real one.
    for (round, bump, level) in [(2, false, 1), (3, true, 2)] {
        life::go_on(&scene.disk, round);
        scene.is_changed();
        if bump {
            child::must(scene.amanda("amadmin", &["force-bump"]));
        }
        let dumped = child::run(scene.amanda("amdump", &[]), PATIENCE);
        assert!(matches!(dumped.code, Some(0 | 2)), "{dumped}");
        let (datestamp, newest) = scene.found().pop().expect("it made one");
        assert_eq!(newest, level, "{:?}", scene.found());
        let image = scene.fetch(&datestamp);
        assert!(fs::metadata(&image).expect("fetched").len() < BULK as u64, "that is no incremental dump");
        // Amanda's own client keeps whole seconds, and no attributes.
        scene.assert_restores(STOCK);
    }
    // No data has moved, and ours are still whole.
    let after = scene.home.vault("vault").identities();
    assert!(before.is_subset(&after));

    let refused = scene.back_up();
    assert_eq!(refused.code, Some(77), "{refused}");
    assert!(refused.stderr.contains(&format!("was handed to Amanda as its config {}", scene.config)), "{refused}");
    assert!(scene.adopt().expect_code(0).stdout.contains("already"));
}

#[test]
fn roots_vault_becomes_a_config_of_amandas_and_amdump_goes_on_with_the_next_level() {
    amanda_goes_on(Whose::Root);
}

#[test]
fn so_does_anybodys() {
    amanda_goes_on(Whose::User);
}

#[test]
fn what_is_not_known_is_refused_by_its_name_and_nothing_is_changed() {
    let scene = Scene::new(Whose::User);
    let vault = scene.home.path("vault");
    let by_himself = scene.home.shim(&["adopt", "vault", &scene.config]);
    assert_eq!(by_himself.code, Some(77), "{by_himself}");
    assert!(by_himself.stderr.contains("only root may hand a vault to Amanda"), "{by_himself}");

    fs::write(vault.join("vtapes/slot1/letter.odt"), "x").expect("root may");
    let conf = fs::read_to_string(vault.join("amanda.conf")).expect("it has one");
    fs::write(vault.join("amanda.conf"), format!("{conf}inparallel 3\n")).expect("root may");
    let disklist = fs::read_to_string(vault.join("disklist")).expect("it has one");
    fs::write(vault.join("disklist"), format!("{disklist}laptop1.invalid /home vault\n")).expect("root may");
    fs::create_dir(Path::new(CONFIGS).join(&scene.config)).expect("root may");
    let before = picture(&vault);
    let refused = scene.adopt().expect_code(78);
    for part in [
        "vtapes/slot1/letter.odt",
        "inparallel",
        "laptop1.invalid",
        &format!("a config {} already", scene.config),
        &format!("{DUMP_USER} cannot get to it: {}", scene.home.dir.display()),
        &format!("setfacl -m u:{DUMP_USER}:x {}", scene.home.dir.display()),
    ] {
        assert!(refused.stderr.contains(part), "{part}: {refused}");
    }
    assert_eq!(picture(&vault), before);
    assert!(fs::read_dir(Path::new(CONFIGS).join(&scene.config)).expect("ours").next().is_none());
    let no_vault = child::run(
        {
            let mut command = child::program(scene.home.program("asyncamanda-shim"));
            command.arg("adopt").arg(&scene.disk).arg(&scene.config);
            command
        },
        MINUTE,
    );
    assert_eq!(no_vault.code, Some(78), "{no_vault}");
    assert!(no_vault.stderr.contains("is no vault"), "{no_vault}");
}

#[test]
fn while_a_backup_goes_on_it_is_later() {
    let scene = Scene::new(Whose::User);
    scene.open_the_way();
    let lock = fs::OpenOptions::new().write(true).open(scene.home.path("vault/.asyncamanda/run.lock")).expect("a run has been there");
    let whole = nix::libc::flock { l_type: nix::libc::F_WRLCK as i16, l_whence: 0, l_start: 0, l_len: 0, l_pid: 0 };
    nix::fcntl::fcntl(&lock, nix::fcntl::FcntlArg::F_OFD_SETLK(&whole)).expect("nobody has it");
    let later = scene.adopt();
    assert_eq!(later.code, Some(75), "{later}");
    drop(lock);
    scene.back_up().expect_code(0);
    scene.adopt().expect_code(0);
    scene.assert_restores(OURS);
}

#[test]
fn without_the_agents_state_the_next_dump_is_a_full_one() {
    let scene = Scene::new(Whose::User);
    scene.open_the_way();
    let mut adopt = child::program(scene.home.program("asyncamanda-shim"));
    adopt.arg("adopt").arg(scene.home.path("vault")).args([&scene.config, "--state", "/nowhere"]);
    let adopted = child::run(adopt, MINUTE).expect_code(0);
    assert!(adopted.stdout.contains("its next dump is a full one"), "{adopted}");
    child::run(scene.amanda("amdump", &[]), PATIENCE).expect_code(0);
    assert_eq!(scene.found().iter().map(|dump| dump.1).collect::<Vec<_>>(), [0, 1, 0]);
    scene.assert_restores(STOCK);
}

#[test]
fn a_call_that_was_killed_is_made_again() {
    let scene = Scene::new(Whose::User);
    scene.open_the_way();
    let faults = Faults::make(&scene.home.beside);
    // Each call gets a little further than the one before it; the last one gets to the end.
    let mut kills = 0;
    for step in 1_u64.. {
        let mut command = scene.command();
        faults.befall(&mut command, "asyncamanda-shim", Fault::Kill(step));
        let ended = child::run(command, MINUTE);
        if ended.signal.is_none() {
            ended.expect_code(0);
            break;
        }
        kills += 1;
        assert!(step < 500, "it comes to no end");
    }
    assert!(kills > 3, "{kills} kills");
    assert_eq!(scene.found().iter().map(|dump| dump.1).collect::<Vec<_>>(), [0, 1]);
    scene.assert_restores(OURS);
    life::go_on(&scene.disk, 2);
    scene.is_changed();
    child::run(scene.amanda("amdump", &[]), PATIENCE);
    assert_eq!(scene.found().pop().map(|dump| dump.1), Some(1));
    scene.assert_restores(STOCK);
}
