//! Files back from a local vault: a real one, written by the program itself. Places in time, places to go, what is refused, and amrecover's own
//! script.
#![cfg(feature = "embedded")]

mod vault_world;
mod world;

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use vault_world::{Vaults, names};
use world::Ran;

/// A vault with two states of a directory: before and after files were changed, deleted and renamed. Returns the datestamp of the first one.
fn history(vaults: &Vaults) -> String {
    vaults.now("vault", &["docs"]);
    fs::create_dir(vaults.path("then")).expect("made");
    vaults.shell("cp -a docs/. then");
    fs::write(vaults.path("docs/new"), "new\n").expect("written");
    fs::write(vaults.path("docs/two words"), "changed\n").expect("written");
    fs::remove_file(vaults.path("docs/deep/three")).expect("removed");
    fs::rename(vaults.path("docs/deep"), vaults.path("docs/renamed")).expect("renamed");
    fs::remove_file(vaults.path("docs/link")).expect("removed");
    fs::create_dir(vaults.path("docs/link")).expect("a file becomes a directory");
    fs::write(vaults.path("docs/link/in"), "in\n").expect("written");
    vaults.now("vault", &[]);
    let list = vaults.ran(&["ls", "--json", "--from", &vaults.name("vault")]).json();
    let dumps = list["dumps"].as_array().expect("dumps");
    assert_eq!((dumps.len(), dumps[0]["level"].as_u64(), dumps[1]["level"].as_u64()), (2, Some(0), Some(1)), "{list}");
    dumps[0]["datestamp"].as_str().expect("a datestamp").to_owned()
}

/// Runs a script through recover, in a directory.
fn recover(vaults: &Vaults, arguments: &[&str], script: &str) -> Ran {
    let mut command = vaults.command(&[&["recover"], arguments].concat());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    child.stdin.take().expect("piped").write_all(script.as_bytes()).expect("it reads");
    Ran::of(child.wait_with_output().expect("it ends"))
}

#[test]
fn what_is_gone_comes_back_where_it_was_and_what_is_there_is_kept() {
    let vaults = Vaults::new();
    history(&vaults);
    let (docs, vault) = (vaults.name("docs"), vaults.name("vault"));
    vaults.shell("cp -a docs saved");
    for name in ["docs/one", "docs/new"] {
        fs::remove_file(vaults.path(name)).expect("removed");
    }
    fs::write(vaults.path("docs/two words"), "mine\n").expect("written");
    fs::write(vaults.path("docs/unknown"), "mine\n").expect("written");
    let ran = vaults.ran(&["restore", &docs, "--from", &vault]);
    ran.says(0, &["level 1, on level 0", "reading "]);
    assert!(ran.out.contains("Restored into ") && ran.out.contains("Kept ") && ran.out.contains("--overwrite"), "{}", ran.out);
    assert_eq!(vaults.world.read("docs/two words"), "mine\n");
    assert_eq!(vaults.world.read("docs/unknown"), "mine\n");
    assert_eq!((vaults.world.read("docs/one"), vaults.world.read("docs/new")), ("one\n".to_owned(), "new\n".to_owned()));
    vaults.ran(&["restore", &format!("{docs}/two words"), "--from", &vault, "--overwrite"]).says(0, &[]);
    assert_eq!(vaults.world.read("docs/two words"), "changed\n");
    // What this restore did not make stays, whatever it replaces.
    vaults.ran(&["restore", &docs, "--from", &vault, "--overwrite"]).says(0, &[]);
    assert_eq!(vaults.world.read("docs/unknown"), "mine\n");
    // Directories get what they had, too.
    fs::remove_file(vaults.path("docs/unknown")).expect("removed");
    vaults.ran(&["restore", &docs, "--from", &vault, "--overwrite"]).says(0, &[]);
    assert_eq!(vaults.tree("docs"), vaults.tree("saved"));
}

#[test]
fn a_directory_that_is_gone_altogether_comes_back_as_it_was() {
    let vaults = Vaults::new();
    history(&vaults);
    vaults.shell("mv docs saved");
    vaults.ran(&["restore", &vaults.name("docs"), "--from", &vaults.name("vault")]).says(0, &[]);
    assert_eq!(vaults.tree("docs"), vaults.tree("saved"));
}

#[test]
fn each_state_comes_back_elsewhere_with_everything_it_had() {
    let vaults = Vaults::new();
    let first = history(&vaults);
    let (docs, vault) = (vaults.name("docs"), vaults.name("vault"));
    for (to, at, state) in [("now", &[][..], "docs"), ("before", &["--at", &first], "then")] {
        let to_name = vaults.name(to);
        let arguments = [&["restore", &docs, "--from", &vault, "--to", &to_name], at].concat();
        vaults.ran(&arguments).says(0, &[]);
        assert_eq!(vaults.tree(&format!("{to}/docs")), vaults.tree(state), "{to}");
    }
    // A path has its last name there, and a file that was deleted is found at its time.
    let three = format!("{docs}/deep/three");
    let ran = vaults.ran(&["restore", &three, &format!("{docs}/one"), "--from", &vault, "--to", &vaults.name("some"), "--at", &first]);
    ran.says(0, &[]);
    assert_eq!(names(&vaults.path("some")), ["one", "three"]);
    vaults.ran(&["restore", &three, "--from", &vault, "--to", &vaults.name("none")]).says(1, &["not restored: deep/three", "not there"]);
    let day = vaults.ran(&["restore", &three, "--from", &vault, "--to", &vaults.name("some"), "--at", "10 years ago"]);
    day.says(1, &["cannot be had as it was then", "no dump of this disk that old"]);
}

#[test]
fn ls_lists_dumps_and_entries_as_they_were() {
    let vaults = Vaults::new();
    let first = history(&vaults);
    let (docs, vault) = (vaults.name("docs"), vaults.name("vault"));
    let dumps = vaults.ran(&["ls", "--from", &vault]);
    assert_eq!(dumps.out.lines().count(), 3, "{}", dumps.out);
    assert!(dumps.out.starts_with("disk") && dumps.out.contains("never"), "{}", dumps.out);
    let listed = |path: &str, at: &[&str]| -> Vec<String> {
        let path = format!("{docs}{path}");
        let ran = vaults.ran(&[&["ls", &path, "--from", &vault], at].concat());
        ran.says(0, &[]);
        // A date before each name.
        ran.out.lines().map(|line| line[16..].trim_start().to_owned()).collect()
    };
    assert_eq!(listed("", &[]), ["hard", "large", "link/", "new", "one", "renamed/", "two words"]);
    assert_eq!(listed("", &["--at", &first]), ["deep/", "hard", "large", "link", "one", "two words"]);
    assert_eq!(listed("/deep", &["--at", &first]), ["three"]);
    assert_eq!(listed("/new", &[]), ["new"]);
    assert_eq!(listed("/renamed", &[]), [""; 0]);
    let json = vaults.ran(&["ls", &docs, "--json", "--from", &vault]).json();
    let of = |name: &str| {
        let entry = json["entries"].as_array().expect("entries").iter().find(|entry| entry["name"] == name).cloned();
        entry.map(|entry| (entry["directory"].as_bool(), entry["dump"]["level"].as_u64()))
    };
    assert_eq!(
        (of("one"), of("new"), of("link")),
        (Some((Some(false), Some(0))), Some((Some(false), Some(1))), Some((Some(true), Some(1))))
    );
    vaults.ran(&["ls", &format!("{docs}/deep"), "--from", &vault]).says(1, &["was not there"]);
    vaults.ran(&["ls", &vaults.name("pictures"), "--from", &vault]).says(1, &["lies on none of the disks"]);
}

#[test]
fn a_path_hangs_on_the_working_directory_and_json_tells_all() {
    let vaults = Vaults::new();
    history(&vaults);
    let mut command =
        vaults.command(&["restore", "../docs/one", "docs/none", "./docs/new", "--json", "--from", &vaults.name("vault"), "--to", "back"]);
    let ran = Ran::of(command.current_dir(vaults.path("docs/..")).output().expect("it starts"));
    // `..` of the world's directory is no disk.
    ran.says(1, &["no dump of "]);
    let mut command = vaults.command(&["restore", "one", "none", "./new", "--json", "--from", &vaults.name("vault"), "--to", "../back"]);
    let ran = Ran::of(command.current_dir(vaults.path("docs")).output().expect("it starts"));
    ran.says(1, &["not restored: none: it was not there then"]);
    let json = ran.json();
    let disk = &json["disks"][0];
    assert_eq!(
        (json["exit"].as_u64(), disk["restored"]["files"].as_u64(), disk["missing"]["count"].as_u64()),
        (Some(1), Some(2), Some(1)),
        "{json}"
    );
    assert_eq!(names(&vaults.path("back")), ["new", "one"]);
}

#[test]
fn what_is_named_inside_another_path_must_have_been_there_too() {
    let vaults = Vaults::new();
    history(&vaults);
    let (docs, vault) = (vaults.name("docs"), vaults.name("vault"));
    let ran = vaults.ran(&["restore", &docs, &format!("{docs}/none"), &format!("{docs}/one"), "--from", &vault]);
    ran.says(1, &["not restored: none: it was not there then"]);
    assert!(!ran.err.contains("not restored: one"), "{}", ran.err);
}

#[test]
fn without_a_from_the_configured_vault_is_meant() {
    let vaults = Vaults::new();
    vaults.configure("vault", &["docs"]);
    vaults.ran(&["now"]).says(0, &[]);
    fs::remove_file(vaults.path("docs/one")).expect("removed");
    vaults.ran(&["restore", &vaults.name("docs/one")]).says(0, &[]);
    assert_eq!(vaults.world.read("docs/one"), "one\n");
    // A disk with another name is where agent.toml says.
    let docs = vaults.name("docs");
    let vault = vaults.name("other");
    vaults.world.write(
        "agent.toml",
        format!("state = \"state\"\n[server]\ndestination = \"{vault}\"\n[[disk]]\npath = \"home\"\ndevice = \"{docs}\"\n"),
    );
    vaults.ran(&["now"]).says(0, &[]);
    fs::remove_file(vaults.path("docs/one")).expect("removed");
    vaults.ran(&["restore", &vaults.name("docs/one")]).says(0, &[]);
    assert_eq!(vaults.world.read("docs/one"), "one\n");
}

#[test]
fn a_machine_that_was_installed_anew_under_another_name_gets_its_files() {
    let vaults = Vaults::new();
    let vault = vaults.name("vault");
    vaults.world.write("agent.toml", format!("host = \"old\"\nstate = \"state\"\n[server]\ndestination = \"{vault}\"\n"));
    vaults.ran(&["now", &vaults.name("docs")]).says(0, &[]);
    fs::remove_file(vaults.path("agent.toml")).expect("removed");
    fs::remove_dir_all(vaults.path("state")).expect("removed");
    fs::remove_file(vaults.path("docs/one")).expect("removed");
    let ran = vaults.ran(&["restore", &vaults.name("docs/one"), "--from", &vault]);
    ran.says(0, &["has no dumps of ", "these are those of old"]);
    assert_eq!(vaults.world.read("docs/one"), "one\n");
    vaults.ran(&["ls", "--from", &vault, "--host", "old"]).says(0, &[]);
    assert!(vaults.ran(&["ls", "--from", &vault, "--host", "other"]).out.contains("It has some of old"));
    assert!(!vaults.path("state").exists(), "nothing was written down");
}

#[test]
fn what_cannot_be_asked_for_is_refused_with_a_reason() {
    let vaults = Vaults::new();
    history(&vaults);
    let (docs, vault) = (vaults.name("docs"), vaults.name("vault"));
    let picture = vaults.name("pictures/cat");
    for (arguments, status, parts) in [
        (&["restore", "--from", &vault][..], 2, &["PATH"][..]),
        (&["restore", &docs, "--from", &vault, "--at", "soon"], 2, &["--at: \"soon\" is not a time", "yesterday"]),
        (&["restore", &docs, "--from", &vault, "--host", "a/b"], 2, &["--host: a/b"]),
        (&["restore", &docs, "--from", &picture], 77, &["is not a vault"]),
        (&["restore", &docs, "--from", "/none/at/all"], 78, &["there is no vault at /none/at/all"]),
        (&["restore", &docs, "--from", &vault, "--destination", &vault], 2, &["cannot be used with"]),
        (&["restore", &picture, "--from", &vault], 1, &["lies on none of the disks", &docs]),
        (&["restore", "/etc/../etc/passwd", "--from", &vault], 1, &["lies on none of the disks"]),
        (&["restore", &docs, "--from", &vault, "--to", &picture], 1, &["nothing can be written into", "it is no directory"]),
        (&["restore", &docs], 78, &["restore PATH --from VAULT"]),
        (&["recover", "--json", "--from", &vault], 2, &["recover has no JSON"]),
    ] {
        vaults.ran(arguments).says(status, parts);
    }
}

#[test]
fn a_link_that_was_put_in_the_way_is_not_followed() {
    let vaults = Vaults::new();
    history(&vaults);
    fs::create_dir(vaults.path("outside")).expect("made");
    fs::remove_dir_all(vaults.path("docs/link")).expect("removed");
    std::os::unix::fs::symlink(vaults.path("outside"), vaults.path("docs/link")).expect("made");
    let ran = vaults.ran(&["restore", &vaults.name("docs"), "--from", &vaults.name("vault"), "--overwrite"]);
    assert_eq!(names(&vaults.path("outside")), [""; 0], "{}", ran.err);
}

#[test]
fn damage_is_named_and_what_is_whole_comes_back() {
    let vaults = Vaults::new();
    vaults.now("vault", &["docs"]);
    let (_, chain) = vaults.chain("vault", "docs");
    let mut dump = fs::read(&chain[0]).expect("readable");
    // Behind the header; the first frame has the small files.
    let at = dump.len() - (dump.len() - 32_768) / 2;
    dump[at..at + 16].fill(0xaa);
    fs::write(&chain[0], dump).expect("written");
    fs::rename(vaults.path("docs"), vaults.path("saved")).expect("moved");
    let ran = vaults.ran(&["restore", &vaults.name("docs"), "--from", &vaults.name("vault")]);
    ran.says(1, &["damaged: level 0 of "]);
    let json =
        vaults.ran(&["restore", &vaults.name("docs"), "--from", &vaults.name("vault"), "--json", "--to", &vaults.name("again")]).json();
    assert_eq!(json["exit"], 1);
    assert!(!json["disks"][0]["damaged"].as_array().expect("a list").is_empty(), "{json}");
    // Nothing is half: each file is the saved one or not there.
    for file in vaults.files("docs") {
        let below = file.strip_prefix(vaults.path("docs")).expect("below");
        if !file.is_symlink() {
            assert_eq!(fs::read(&file).expect("readable"), fs::read(vaults.path("saved").join(below)).expect("readable"), "{below:?}");
        }
    }
}

#[test]
fn an_ordinary_user_gets_back_what_is_his_from_his_own_vault() {
    let vaults = Vaults::as_nobody();
    vaults.now("vault", &["docs"]);
    fs::rename(vaults.path("docs"), vaults.path("saved")).expect("moved");
    let (docs, vault) = (vaults.name("docs"), vaults.name("vault"));
    let ran = vaults.ran(&["restore", &docs, "--from", &vault]);
    ran.says(0, &[]);
    assert_eq!(vaults.tree("docs"), vaults.tree("saved"));
    let script = format!("setdisk {docs}\nlcd {}\nadd one\nextract\nquit\n", vaults.name("home"));
    recover(&vaults, &["--from", &vault], &script).says(0, &[]);
    assert_eq!(vaults.world.read("home/one"), "one\n");
    // Where it may not write it says so.
    if nix::unistd::geteuid().is_root() {
        fs::create_dir(vaults.path("roots")).expect("made");
        fs::set_permissions(vaults.path("roots"), fs::Permissions::from_mode(0o755)).expect("set");
        let ran = vaults.ran(&["restore", &docs, "--from", &vault, "--to", &vaults.name("roots/new")]);
        ran.says(1, &["nothing can be written into", "Permission denied"]);
    }
}

#[test]
fn a_vault_that_is_being_written_to_can_be_read() {
    let vaults = Vaults::new();
    vaults.gated_tar("vault", &["docs"]);
    vaults.ran(&["now"]).says(0, &[]);
    vaults.close_gate();
    fs::write(vaults.path("docs/new"), "new\n").expect("written");
    let run = vaults.command(&["now"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    vaults.world.wait_for("the gate", || vaults.at_gate());
    fs::remove_file(vaults.path("docs/one")).expect("removed");
    vaults.ran(&["restore", &vaults.name("docs/one")]).says(0, &[]);
    assert_eq!(vaults.world.read("docs/one"), "one\n");
    vaults.open_gate();
    Ran::of(run.wait_with_output().expect("it ends")).says(0, &[]);
    vaults.ran(&["restore", &vaults.name("docs/new"), "--to", &vaults.name("back")]).says(0, &[]);
    assert_eq!(vaults.world.read("back/new"), "new\n");
}

#[test]
fn a_restore_changes_no_receipt_and_needs_no_disk_to_be_due() {
    let vaults = Vaults::new();
    history(&vaults);
    let state = |vaults: &Vaults| -> Vec<(std::path::PathBuf, Vec<u8>)> {
        let mut files = vaults.files("state");
        files.sort();
        files.into_iter().map(|file| (file.clone(), fs::read(file).expect("readable"))).collect()
    };
    let before = state(&vaults);
    vaults.ran(&["restore", &vaults.name("docs"), "--from", &vaults.name("vault"), "--to", &vaults.name("back")]).says(0, &[]);
    assert_eq!(state(&vaults), before);
}

#[test]
fn the_example_sites_script_brings_hosts_back() {
    let vaults = Vaults::new();
    let etc = vaults.path("etc");
    fs::create_dir(&etc).expect("made");
    fs::write(etc.join("hosts"), "127.0.0.1 localhost\n").expect("written");
    fs::write(etc.join("motd"), "hello\n").expect("written");
    // The script names /etc; here it is a directory of this world, which the vault knows by that name.
    let (vault, directory) = (vaults.name("vault"), etc.display().to_string());
    let config = format!(
        "host = \"server\"\nstate = \"state\"\n[server]\ndestination = \"{vault}\"\n[[disk]]\npath = \"/etc\"\ndevice = \"{directory}\"\n"
    );
    vaults.world.write("agent.toml", config);
    vaults.ran(&["now"]).says(0, &[]);
    fs::remove_file(etc.join("hosts")).expect("removed");
    let script = include_str!("fixtures/amrecover").replace("lcd /etc", &format!("lcd {directory}"));
    let ran = recover(&vaults, &[], &script);
    ran.says(0, &[]);
    assert_eq!(fs::read_to_string(etc.join("hosts")).expect("back"), "127.0.0.1 localhost\n");
    for line in ["Dump host set to server.", "Disk set to /etc.", "Added file /hosts"] {
        assert!(ran.out.lines().any(|said| said == line), "{line}: {}", ran.out);
    }
    // What is there is kept, and how to have it replaced is said.
    fs::write(etc.join("hosts"), "mine\n").expect("written");
    let ran = recover(&vaults, &[], &script);
    ran.says(0, &[]);
    assert!(ran.out.contains("Kept 1 file") && ran.out.contains("recover --overwrite"), "{}", ran.out);
    assert_eq!(fs::read_to_string(etc.join("hosts")).expect("there"), "mine\n");
    recover(&vaults, &["--overwrite"], &script).says(0, &[]);
    assert_eq!(fs::read_to_string(etc.join("hosts")).expect("there"), "127.0.0.1 localhost\n");
}

#[test]
fn a_script_with_a_fault_in_it_goes_on_and_fails() {
    let vaults = Vaults::new();
    let first = history(&vaults);
    let (docs, vault) = (vaults.name("docs"), vaults.name("vault"));
    let script = format!(
        "# three files\nsetdisk {docs}\nfrobnicate\nsetdate {first}\ncd deep\nadd *\naddx ../on.$\nadd none\nlcd {}\nextract\n",
        vaults.name("home")
    );
    let ran = recover(&vaults, &["--from", &vault], &script);
    ran.says(1, &[]);
    for line in ["Invalid command: frobnicate", "Added file /deep/three", "Added file /one", "File none doesn't exist in directory"] {
        assert!(ran.out.lines().any(|said| said == line), "{line}: {}", ran.out);
    }
    assert_eq!((vaults.world.read("home/deep/three"), vaults.world.read("home/one")), ("three\n".to_owned(), "one\n".to_owned()));
    assert!(!ran.out.contains("asyncamanda> "), "a script sees no prompt");
}

#[test]
fn a_signal_ends_a_shell_that_waits_and_one_that_works() {
    let vaults = Vaults::new();
    vaults.now("vault", &["docs"]);
    let start = || {
        let mut command = vaults.command(&["recover", "--from", &vaults.name("vault")]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut input = child.stdin.take().expect("piped");
        input.write_all(b"lpwd\n").expect("it reads");
        let mut said = [0; 1];
        let mut output = child.stdout.take().expect("piped");
        output.read_exact(&mut said).expect("it answers");
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        (child, input)
    };
    for works in [false, true] {
        let (mut child, mut input) = start();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id().cast_signed()), nix::sys::signal::Signal::SIGTERM).expect("it lives");
        // One that works asks again and again, and hears that nobody answers any more.
        while works && input.write_all(b"listhost\nsethost none\n").is_ok() {}
        assert_eq!(child.wait().expect("it ends").code(), Some(75), "works: {works}");
    }
}

#[test]
fn at_a_terminal_there_is_a_prompt_completion_and_a_question() {
    let vaults = Vaults::new();
    history(&vaults);
    let docs = vaults.name("docs");
    let nix::pty::OpenptyResult { master, slave } = nix::pty::openpty(None, None).expect("a terminal");
    let end = || Stdio::from(slave.try_clone().expect("a descriptor"));
    let mut command = vaults.command(&["recover", "--from", &vaults.name("vault")]);
    let mut child = command.env("TERM", "xterm").stdin(end()).stdout(end()).stderr(end()).spawn().expect("it starts");
    drop((slave, command));
    let mut terminal = fs::File::from(master);
    // What is typed before a prompt is there is lost, as at any terminal.
    for (shown, typed) in [
        ("asyncamanda> ", format!("setdisk {docs}\r")),
        ("Disk set to", String::new()),
        ("asyncamanda> ", "add tw\t".to_owned()),
        (r"two\ words", "\r".to_owned()),
        ("Added file /two words", String::new()),
        ("asyncamanda> ", "extract\r".to_owned()),
        ("Continue? [Y/n]", "\r".to_owned()),
        ("Restored into", String::new()),
        ("asyncamanda> ", "quit\r".to_owned()),
    ] {
        let mut said = Vec::new();
        while !String::from_utf8_lossy(&said).contains(shown) {
            let mut byte = [0];
            let read = terminal.read(&mut byte).unwrap_or(0);
            assert_eq!(read, 1, "{shown:?} never came: {:?}", String::from_utf8_lossy(&said));
            said.push(byte[0]);
        }
        terminal.write_all(typed.as_bytes()).expect("typed");
    }
    // Until it has gone.
    let mut rest = [0; 4096];
    while terminal.read(&mut rest).is_ok_and(|read| read > 0) {}
    assert!(child.wait().expect("it ends").success());
    assert_eq!(vaults.world.read("home/two words"), "changed\n");
}
