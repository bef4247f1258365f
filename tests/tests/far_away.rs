//! The laptops that nothing can reach, and the relay: what the tests of the tunnel stand on, with nothing of ours in it but the world.

use std::fs;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use asyncamanda_tests::child::{self, Background};
use asyncamanda_tests::relay::{Cut, Relay};
use asyncamanda_tests::wait::until_true;
use asyncamanda_tests::{Laptop, Plan, World, net};

const MINUTE: Duration = Duration::from_secs(60);

fn far(hosts: usize) -> World {
    World::new(Plan { hosts, far_away: (0..hosts).collect(), ..Plan::default() })
}

/// Lets the laptop's key copy what it sends, in the shim's place.
fn echo(world: &World, laptop: &Laptop) {
    let keys = world.dir.join("sshd").join(format!("keys-{}", asyncamanda_tests::system::LOGIN));
    let text = fs::read_to_string(&keys).expect("it has keys").replace(&world.forced_command(&laptop.host), "cat");
    fs::write(&keys, text).expect("a world of our own");
}

#[test]
fn a_laptop_in_its_namespace_can_call_the_server_and_nobody_can_call_it() {
    let world = far(3);
    assert_eq!(world.hosts[2].disk.to_str(), Some("/pictures"));
    for host in &world.hosts {
        let cable = host.cable.as_ref().expect("planned");
        assert_eq!(cable.listening(), Vec::<String>::new());
        assert!((host.name.as_str(), 22).to_socket_addrs().is_err(), "{} resolves", host.name);
        host.name.parse::<wire::HostName>().expect("a host name");
        // Nothing answers to any call, and no other laptop is there.
        assert!(TcpStream::connect((cable.laptop, 22)).is_err());
        let mut routes = cable.program("ip");
        routes.args(["-4", "route"]);
        let routes = child::must(routes);
        assert!(routes.lines().count() == 1 && !routes.contains("default"), "{routes}");
    }
    for index in 0..3 {
        let laptop = world.laptop(index);
        echo(&world, &laptop);
        let finished = child::run(laptop.ssh(None), MINUTE).expect_code(0);
        assert_eq!(finished.stdout, "");
    }
    assert_eq!(world.door.sessions(), 3);
}

#[test]
fn a_cable_that_falls_silent_tells_nobody_and_a_laptop_that_moved_can_call_again() {
    let world = far(1);
    let laptop = world.laptop(0);
    echo(&world, &laptop);
    let cable = laptop.cable.as_ref().expect("planned");
    let mut ssh = laptop.ssh(None);
    ssh.args(["-o", "ConnectTimeout=2"]);
    let calls = |code: i32| {
        let mut ssh = laptop.ssh(None);
        // An option may stand behind the host's name as well.
        ssh.args(["-o", "ConnectTimeout=2"]);
        child::run(ssh, MINUTE).expect_code(code);
    };
    calls(0);
    cable.fall_silent();
    calls(255);
    cable.speak_again();
    calls(0);
    cable.move_away();
    calls(0);
    let log = world.door.log();
    assert!(log.contains(&format!("Connection from {} ", cable.elsewhere)), "{log}");
}

#[test]
fn the_relay_counts_and_cuts_where_it_is_told() {
    let world = far(1);
    let mut laptop = world.laptop(0);
    echo(&world, &laptop);
    let relay = Relay::open(laptop.cable.as_ref().expect("planned").server, world.door.port);
    laptop.call_through(relay.port);
    let big = world.dir.join("big");
    fs::write(&big, vec![7; 1 << 20]).expect("a world of our own");
    let send = || {
        let ssh = laptop.ssh(None);
        let mut command = child::program("sh");
        command
            .args(["-c", "file=$1; shift; exec \"$@\" < \"$file\" > /dev/null", "sh"])
            .arg(&big)
            .arg(ssh.get_program())
            .args(ssh.get_args());
        Background::start(command)
    };
    send().wait(MINUTE).expect_code(0);
    let whole = relay.carried();
    assert!((1 << 20..1 << 21).contains(&whole), "{whole}");

    relay.cut_after(whole / 2, Cut::Reset);
    let cut = send().wait(MINUTE).expect_code(255);
    assert!(cut.stderr.contains("reset") || cut.stderr.contains("Broken pipe"), "{cut}");
    assert_eq!((relay.cuts(), relay.carried()), (1, whole));
    until_true("sshd to notice", MINUTE, || world.door.log().contains("Connection reset by"));

    relay.cut_after(whole / 3, Cut::Silence);
    let mut silent = send();
    until_true("the silence", MINUTE, || relay.cuts() == 2);
    // The next connection passes while that one hangs.
    send().wait(MINUTE).expect_code(0);
    assert!(silent.is_running(), "somebody was told: {:?}", silent.so_far());
}

#[test]
fn the_network_of_a_world_goes_with_it_and_after_a_panic_too() {
    let one = far(2);
    let (name, two) = (one.name.clone(), far(1));
    assert_eq!(net::remains(&name).len(), 4);
    drop(one);
    let drop_in = |name: &str| std::path::Path::new("/etc/ssh/ssh_config.d").join(format!("{name}.conf"));
    assert_eq!(net::remains(&name), Vec::<String>::new());
    assert!(!drop_in(&name).exists());
    assert_eq!(net::remains(&two.name).len(), 2, "another world's network went too");
    let name = two.name.clone();
    let panicked = std::thread::spawn(move || {
        let _world = two;
        panic!("on purpose");
    });
    assert!(panicked.join().is_err());
    assert_eq!(net::remains(&name), Vec::<String>::new());
    assert!(!drop_in(&name).exists());
}
