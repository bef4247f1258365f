//! Whole runs without a server: configuration, the record, and servers that cannot be reached.

mod world;

use std::fs;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use world::{World, closed_port, now};

fn overdue() -> (World, u16) {
    let world = World::new();
    let port = closed_port();
    world.configure(port, "", &["/home"]);
    (world, port)
}

/// A vault's path is the same from wherever it is called.
#[cfg(feature = "embedded")]
#[test]
fn a_directory_for_a_server_hangs_on_the_file_or_on_the_home() {
    let world = World::without_key();
    for (written, meant) in [
        ("/media/usb/vault/", "/media/usb/vault".into()),
        ("~/vault", world.path("home/vault")),
        ("./vault/.", world.path("vault")),
        ("../vault", world.path("").parent().and_then(|above| above.canonicalize().ok()).expect("there").join("vault")),
    ] {
        world.write("agent.toml", format!("[server]\ndestination = \"{written}\"\n"));
        let shown = world.run(&["show-config"]);
        assert!(shown.out.contains(&format!("server.destination = \"{}\" ", meant.display())), "{written}: {}", shown.out);
    }
    // Typed behind --to it is a directory, whatever it looks like; --destination takes it for a server.
    let to = world.run(&["now", "--to", "server"]);
    to.says(2, &[&world.path("home/server").display().to_string()]);
}

#[test]
fn one_fault_in_the_configuration_is_named_with_file_line_and_way_out() {
    const GOOD: &str = "[server]\ndestination = \"me@server\"\n";
    for (case, text, parts) in [
        (
            "unknown key at the top",
            format!("intervall = 24\n{GOOD}"),
            &["agent.toml:1: unknown key \"intervall\"", "did you mean \"interval\"?"][..],
        ),
        (
            "unknown key in a table",
            format!("{GOOD}identitty = \"x\"\n"),
            &["agent.toml:3: unknown key \"identitty\" in [server]", "did you mean \"identity\"?"],
        ),
        (
            "unknown key in a disk",
            format!("{GOOD}[[disk]]\npath = \"/a\"\nexlude = []\n"),
            &["agent.toml:5: unknown key \"exlude\" in [[disk]]", "\"exclude\""],
        ),
        ("unknown table", format!("{GOOD}[sever]\nx = 1\n"), &["agent.toml:3: unknown key \"sever\"", "did you mean \"server\"?"]),
        (
            "a key in the wrong place",
            format!("{GOOD}state = \"/x\"\n"),
            &["agent.toml:3: unknown key \"state\" in [server]", "at the top of the file"],
        ),
        (
            "the same the other way",
            format!("destination = \"x\"\n{GOOD}"),
            &["agent.toml:1: unknown key \"destination\"", "below [server]"],
        ),
        (
            "nothing like it",
            format!("{GOOD}zzzzzz = 1\n"),
            &["agent.toml:3", "known here: destination, identity, known_hosts, connect_timeout"],
        ),
        ("not TOML", format!("interval = 1 day\n{GOOD}"), &["agent.toml:1:", "strings stand in double quotes"]),
        ("an interval that is none", format!("interval = \"soon\"\n{GOOD}"), &["agent.toml:1: interval: \"soon\"", "\"24\" (hours)"]),
        ("a negative interval", format!("\ninterval = -1\n{GOOD}"), &["agent.toml:2: interval: \"-1\"", "negative"]),
        (
            "an interval of the wrong type",
            format!("interval = [1]\n{GOOD}"),
            &["agent.toml:1: interval: it must be a whole number or a string"],
        ),
        ("a host name with a slash", format!("host = \"a/b\"\n{GOOD}"), &["agent.toml:1: host:", "'/'"]),
        ("no destination", "interval = 24\n".to_owned(), &["no server is configured", "[server]"]),
        #[cfg(not(feature = "embedded"))]
        (
            "a local vault",
            "[server]\ndestination = \"/media/vault\"\n".to_owned(),
            &["agent.toml:2: destination: this build makes no backups into a directory", "name a server"],
        ),
        (
            "an option of ssh",
            "[server]\ndestination = \"-oProxyCommand=id\"\n".to_owned(),
            &["agent.toml:2: destination:", "[user@]host[:port]"],
        ),
        ("a timeout of nothing", format!("{GOOD}connect_timeout = 0\n"), &["agent.toml:3: connect_timeout"]),
        ("a disk without a path", format!("{GOOD}[[disk]]\nexclude = []\n"), &["agent.toml:3: disk: this [[disk]] has no path"]),
        (
            "a disk named twice",
            format!("{GOOD}[[disk]]\npath = \"/a\"\n[[disk]]\npath = \"/a\"\n"),
            &["agent.toml:6: path: this disk is named twice"],
        ),
        ("one disk for a list", format!("{GOOD}[disk]\npath = \"/a\"\n"), &["agent.toml:3: disk: it must be a list of tables: [[disk]]"]),
    ] {
        let world = World::new();
        world.write("agent.toml", text);
        let ran = world.run(&["run"]);
        assert_eq!(ran.status, 78, "{case}: {}", ran.err);
        ran.says(78, parts);
    }
}

#[test]
fn a_missing_or_unreadable_file_says_what_to_write() {
    let world = World::new();
    world.run(&["run"]).says(78, &["there is no configuration file", "agent.toml is not there", "[server]", "destination = "]);
    fs::create_dir(world.path("agent.toml")).expect("made");
    world.run(&["run"]).says(78, &["cannot read", "agent.toml"]);
}

#[test]
fn a_password_is_refused_and_never_repeated() {
    let world = World::new();
    world.write("agent.toml", "[server]\ndestination = \"me:hunter2@server\"\n");
    let config = world.run(&["run"]);
    config.says(78, &["a password in the destination is refused", "ssh-keygen", "ssh-copy-id"]);
    let flag = world.run(&["run", "--destination", "me:hunter2@server"]);
    flag.says(78, &["ssh-keygen"]);
    let line: Vec<String> = world.perl_line(1, "amdump daily").iter().map(|word| word.replace("@127", ":hunter2@127")).collect();
    let perl = world.perl(&line);
    perl.says(2, &["a password in the destination is refused", "ssh-keygen", "ssh-copy-id"]);
    for ran in [config, flag, perl] {
        assert!(!format!("{}{}", ran.out, ran.err).contains("hunter2"));
    }
}

#[test]
fn flags_win_over_environment_over_file_over_defaults() {
    let world = World::new();
    world.configure(22, "interval = \"36h\"", &["/home"]);
    let show = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = world.command(arguments);
        let output = command.envs(variables.iter().copied()).output().expect("starts");
        String::from_utf8(output.stdout).expect("text")
    };
    let line = |text: &str, key: &str| text.lines().find(|line| line.starts_with(key)).map(str::to_owned).unwrap_or_default();
    let file = show(&["show-config"], &[]);
    assert!(line(&file, "interval").contains("1 day 12 h") && line(&file, "interval").ends_with("agent.toml:1"), "{file}");
    assert!(line(&file, "host").ends_with("# default") && line(&file, "disk").contains("/home"), "{file}");
    let environment = show(&["show-config"], &[("ASYNCAMANDA_INTERVAL", "12")]);
    assert!(
        line(&environment, "interval").contains("12 h") && line(&environment, "interval").ends_with("ASYNCAMANDA_INTERVAL"),
        "{environment}"
    );
    let flag = show(&["show-config", "--interval", "2 weeks"], &[("ASYNCAMANDA_INTERVAL", "12"), ("ASYNCAMANDA_DESTINATION", "other:99")]);
    assert!(line(&flag, "interval").contains("2 weeks") && line(&flag, "interval").ends_with("--interval"), "{flag}");
    assert!(line(&flag, "server.destination").contains("other:99"), "{flag}");
    let odd = world.command(&["run"]).env("ASYNCAMANDA_INTERVAL", "soon").output().expect("starts");
    assert!(String::from_utf8_lossy(&odd.stderr).contains("ASYNCAMANDA_INTERVAL: interval: \"soon\""));
}

#[test]
fn what_is_not_due_is_silent_and_opens_no_connection() {
    let (world, _) = overdue();
    world.write("amandates", format!("/home 0 {}\n/home 1 {}\n", now() - 900_000, now() - 3600));
    // Nobody listens at the port: a connection would be status 69.
    world.run(&["run"]).is_silent(0);
    world.write("amandates", format!("/home 0 {}\n", now() - 86_400));
    assert_eq!(world.run(&["run"]).status, 69, "exactly one interval old is due");
}

#[test]
fn amandates_in_every_state_is_answered_for() {
    let (world, _) = overdue();
    let fresh = now() - 3600;
    for (case, text, status) in [
        ("half-written", format!("/home 0 {fresh}\n/ho"), 0),
        ("half-written in its date", format!("/home 0 {}", fresh / 1000), 69),
        ("in the future", format!("/home 0 {}\n", now() + 7200), 69),
        ("garbage", "\u{0}\u{1}garbage\n".to_owned(), 69),
        ("empty", String::new(), 69),
        ("another disk", format!("/etc 0 {fresh}\n"), 69),
    ] {
        world.write("amandates", text);
        assert_eq!(world.run(&["run"]).status, status, "{case}");
    }
    world.configure(closed_port(), "", &["/my home"]);
    world.write("amandates", format!("\"/my home\" 0 {fresh}\n"));
    world.run(&["run"]).is_silent(0);
    fs::remove_file(world.path("amandates")).expect("there");
    assert_eq!(world.run(&["run"]).status, 69, "missing is never backed up");
    fs::create_dir(world.path("amandates")).expect("made");
    world.run(&["run"]).says(78, &["cannot read", "amandates", "hint:"]);
}

#[test]
fn an_unreachable_server_is_69_and_silent_until_three_intervals_have_passed() {
    let (world, _) = overdue();
    world.write("amandates", format!("/home 0 {}\n", now() - 100_000));
    world.run(&["run"]).is_silent(69);
    world.run(&["run", "-v"]).says(69, &["cannot be reached", "because: connect to host 127.0.0.1", "Connection refused", "hint:"]);
    world.run(&["now"]).says(69, &["cannot be reached"]);
    world.write("amandates", format!("/home 0 {}\n", now() - 300_000));
    world.run(&["run"]).says(69, &["cannot be reached"]);
    let json = world.run(&["run", "--json"]);
    assert_eq!(json.json()["exit"], 69);
    world.write("agent.toml", world.read("agent.toml").replace("127.0.0.1", "no.such.host.invalid"));
    world.run(&["run"]).says(69, &["cannot be found"]);
}

#[test]
fn a_server_that_never_answers_is_given_up_within_the_connect_timeout() {
    let world = World::new();
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    world.configure(silent.local_addr().expect("bound").port(), "", &["/home"]);
    world.write("agent.toml", world.read("agent.toml").replace("connect_timeout = 5", "connect_timeout = \"2s\""));
    let begun = Instant::now();
    world.run(&["run"]).says(69, &["cannot be reached", "timed out"]);
    assert!(begun.elapsed() < Duration::from_secs(2 + 8), "{:?}", begun.elapsed());
}

#[test]
fn why_and_status_speak_without_a_server() {
    let (world, _) = overdue();
    let why = world.run(&["why"]);
    assert!(why.out.starts_with("A backup is due") && why.out.contains("/home has no backup that this laptop knows of"), "{}", why.out);
    world.write("amandates", format!("/home 1 {}\n", now() - 7200));
    let why = world.run(&["why"]);
    assert!(why.out.starts_with("No backup is due until") && why.out.contains("2 h ago by amandates"), "{}", why.out);
    let status = world.run(&["status"]);
    assert!(status.out.contains("2 h ago") && status.out.contains("no receipt (amandates)"), "{}", status.out);
    let json = world.run(&["status", "--json"]).json();
    assert_eq!((&json["due"], &json["disks"][0]["verdict"]["reason"]), (&false.into(), &"fresh".into()));
    assert_eq!(world.run(&["why", "--json"]).json()["due"], false);
}

#[test]
fn a_wrong_command_line_is_2_and_help_is_long() {
    let world = World::new();
    for line in [&["frobnicate"][..], &[], &["-h"], &["run", "-h", "server"], &["-i", "24", "-h", "server"], &["run", "--nonsense"]] {
        assert_eq!(world.run(line).status, 2, "{line:?}");
    }
    let help = world.run(&["--help"]);
    assert!(help.status == 0 && help.out.contains("Usage: asyncamanda"), "{}", help.out);
    assert_eq!(world.run(&["now", "--help"]).status, 0);
}
