//! The world itself, with nothing of ours in it but the world: what the other tests stand on has to be true.
//! Everything is typed by hand here, as an Amanda administrator would.

use std::fs;
use std::time::Duration;

use asyncamanda_tests::child::{self, Background};
use asyncamanda_tests::wait::until_true;
use asyncamanda_tests::{Plan, World, procs, shim, system, tree, until};

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_dump_by_hand_restores_to_its_source_and_so_does_the_next_level() {
    let world = World::new(Plan { hosts: 2, ..Plan::default() });
    let both: Vec<_> = world.hosts.iter().collect();
    child::run(world.amanda.amdump(&world.name, &both), MINUTE).expect_code(0);
    for host in both {
        world.assert_restores(&world.name, host);
        assert_eq!(world.amanda.good_dumps(host), 1);
        let names = world.browse(&world.name, host);
        assert!(names.iter().any(|name| name == "whose") && names.iter().any(|name| name == "mail"), "browsed: {names:?}");
    }

    let home = &world.hosts[1];
    fs::write(home.disk.join("new"), "made after the full dump\n").expect("a tree of our own");
    fs::remove_file(home.disk.join("whose")).expect("it is there");
    child::run(world.amanda.amdump(&world.name, &[home]), MINUTE).expect_code(0);
    let levels: Vec<u8> = world.chain(&world.name, home).iter().map(|dump| dump.level).collect();
    assert_eq!(levels, [0, 1]);
    world.assert_restores(&world.name, home);
}

#[test]
fn the_comparison_of_trees_sees_every_kind_of_difference() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (source, copy) = (dir.path().join("source"), dir.path().join("copy"));
    type Damage = fn(&std::path::Path);
    let damages: [(&str, Damage); 8] = [
        ("a byte", |copy| {
            let letter = copy.join("docs/old letters/to \"whom\" it may 'concern'");
            fs::write(letter, "line\n".repeat(299) + "lime\n").expect("write");
        }),
        ("a time", |copy| tree::set_age(&copy.join("bulk"), Duration::from_secs(5))),
        ("a mode", |copy| fs::set_permissions(copy.join("whose"), std::os::unix::fs::PermissionsExt::from_mode(0o644)).expect("chmod")),
        ("an owner", |copy| std::os::unix::fs::lchown(copy.join("dangling"), Some(8), None).expect("chown")),
        ("a missing file", |copy| fs::remove_file(copy.join("docs/nothing")).expect("rm")),
        ("one more file", |copy| fs::write(copy.join("empty/new"), "").expect("write")),
        ("a link's target", |copy| {
            fs::remove_file(copy.join("mail/link")).expect("rm");
            std::os::unix::fs::symlink("elsewhere", copy.join("mail/link")).expect("ln");
        }),
        ("a hard link that became a copy", |copy| {
            let (path, kept) = (copy.join("mail/again"), copy.join("kept"));
            child::must({
                let mut cp = child::program("cp");
                cp.arg("-p").arg(&path).arg(&kept);
                cp
            });
            fs::rename(&kept, &path).expect("mv");
        }),
    ];
    tree::plant(&source, 7, 5000);
    for (what, damage) in damages {
        let _first_time = fs::remove_dir_all(&copy);
        let mut cp = child::program("cp");
        cp.arg("-a").arg(&source).arg(&copy);
        child::must(cp);
        assert_eq!(tree::differences(&source, &copy), Vec::<String>::new());
        damage(&copy);
        // What a damage does to the times around it must not give it away.
        let around = ["docs/old letters/to \"whom\" it may 'concern'", "docs", "docs/old letters", "empty", "mail", ""];
        for name in around.into_iter().filter(|_| what != "a time") {
            let time = fs::metadata(source.join(name)).and_then(|meta| meta.modified()).expect("it is there");
            fs::File::open(copy.join(name)).and_then(|file| file.set_modified(time)).expect("it is there");
        }
        assert!(!tree::differences(&source, &copy).is_empty(), "{what} was not seen");
    }
}

#[test]
fn a_closed_gate_holds_a_dump_and_the_watchman_sees_a_second_one() {
    let world = World::new(Plan { gated: vec![0], ..Plan::default() });
    let host = &world.hosts[0];
    let gate = host.gate.as_ref().expect("planned");
    let watch = world.watch();
    gate.close();
    let first = Background::start(world.amanda.amdump(&world.name, &[host]));
    until("the dump to begin", MINUTE, || (watch.dumps_of(&host.disk) > 0).then_some(()));
    for part in ["amdump", "driver", "dumper", "chunker"] {
        let process = until(part, MINUTE, || world.amanda.part(part));
        assert!(world.processes().iter().any(|known| known.pid == process.pid), "{part} is not known as the world's");
    }
    watch.assert_no_clash();
    assert_eq!(world.amanda.good_dumps(host), 0);

    // What this project is there to prevent, typed by hand: Amanda itself does not mind.
    let second = Background::start(world.amanda.amdump(&world.name, &[host]));
    until("the second dump of the same disk", MINUTE, || (watch.dumps_of(&host.disk) > 1).then_some(()));
    until_true("the watchman to see it", MINUTE, || !watch.clashes().is_empty());
    assert_eq!(watch.most_runs(), 2);
    gate.open();
    let ends = [first.wait(MINUTE), second.wait(MINUTE)];
    assert!(ends.iter().any(|end| end.code != Some(0)), "two dumps of one disk at once went well: {ends:?}");
}

#[test]
fn auth_ssh_goes_through_the_second_sshd_and_the_proxy_can_lie() {
    let world = World::new(Plan { hosts: 2, over_ssh: vec![1], ..Plan::default() });
    let far = &world.hosts[1];
    child::run(world.amanda.amdump(&world.name, &[&world.hosts[0], far]), MINUTE).expect_code(0);
    assert!(world.far.as_ref().expect("planned").sessions() >= 1, "nobody called the second sshd");
    world.assert_restores(&world.name, far);

    world.lie("false-crc");
    child::run(world.amanda.amdump(&world.name, &[far]), MINUTE);
    let words = world.amanda.words_on(far);
    assert!(
        words.iter().filter(|word| word.what == "SUCCESS" && word.who == "dumper").count() >= 2,
        "Amanda minds a false checksum: {words:?}"
    );

    world.lie("cut-at-end");
    fs::write(world.amanda.root.join("amandates"), "").expect("the file is there");
    let cut = child::run(world.amanda.amdump(&world.name, &[far]), MINUTE);
    assert_ne!(cut.code, Some(0), "{cut}");
    let dates = fs::read_to_string(world.amanda.root.join("amandates")).expect("the file is there");
    assert!(dates.contains("home docs"), "the client does not believe in the dump that was cut: {dates:?}\n{}", world.told());
}

#[test]
fn an_overlay_and_the_shared_config_have_one_catalog() {
    let world = World::new(Plan { hosts: 2, overlay: vec![1], ..Plan::default() });
    let [shared, own] = &world.hosts[..] else { panic!("two were planned") };
    // One after the other: Amanda alone does not keep two runs on one holding disk apart. The second one's driver takes the first
    // one's directory for abandoned and removes it before a dump is in it; the runner's guard is what prevents that (long_dump.rs).
    for host in [shared, own] {
        child::run(world.amanda.amdump(&host.config, &[host]), MINUTE).expect_code(0);
    }
    for config in [&shared.config, &own.config] {
        for host in [shared, own] {
            assert_eq!(world.amanda.find(config, host).len(), 1, "{config} does not list {}", host.name);
        }
    }
    world.assert_restores(&shared.config, own);
}

#[test]
fn two_worlds_live_side_by_side_and_each_leaves_nothing_behind() {
    let (one, two) = (World::new(Plan::default()), World::new(Plan::default()));
    let runs = [&one, &two].map(|world| Background::start(world.amanda.amdump(&world.name, &[&world.hosts[0]])));
    for run in runs {
        run.wait(MINUTE).expect_code(0);
    }
    for world in [&one, &two] {
        world.assert_restores(&world.name, &world.hosts[0]);
    }
    let (name, dir) = (one.name.clone(), one.dir.clone());
    let orphan = {
        let mut sleep = child::program("sleep");
        sleep.arg("1000").current_dir(&one.dir);
        Background::start(sleep)
    };
    drop(one);
    assert!(procs::read(orphan.pid()).is_none_or(|process| process.state == 'Z'), "a process of the world lives on");
    assert!(!dir.exists() && !std::path::Path::new(system::CONFIGS).join(&name).exists());
    assert!(
        !fs::read_dir("/etc/sudoers.d")
            .expect("sudo is installed")
            .flatten()
            .any(|entry| entry.file_name().to_string_lossy().contains(&name))
    );
    child::run(two.amanda.amdump(&two.name, &[&two.hosts[0]]), MINUTE).expect_code(0);
}

#[test]
fn the_login_account_can_start_the_runner_and_nothing_else() {
    let world = World::new(Plan::default());
    let program = world.program("asyncamanda-shim");
    // A word on stdin's place: the real program may refuse or run, sudo's own refusal has its own words.
    let sudo = |args: &[&str]| {
        let mut command = child::program_as(system::LOGIN, "sudo");
        command.args(["-n", "-l", "-u", system::DUMP_USER, "--"]).arg(&program).args(args);
        child::run(command, MINUTE).code
    };
    let config = world.shim_toml();
    let config = config.to_str().expect("plain letters");
    assert_eq!(sudo(&["--config", config, "runner"]), Some(0));
    for odd in [
        vec!["runner"],
        vec!["--config", config, "runner", "--verbose"],
        vec!["--config", "/etc/passwd", "runner"],
        vec!["--config", config, "status"],
    ] {
        assert_eq!(sudo(&odd), Some(1), "{odd:?} is allowed");
    }
    shim::assert_own_exit(&child::run(world.shim(&["no-such-command"]), MINUTE));
    until_true("the key to open the door", MINUTE, || child::run(world.laptop(0).ssh(None), MINUTE).code != Some(255));
}
