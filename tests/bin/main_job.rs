//! Shows the main job on this machine, for somebody who has never seen it: an overdue laptop gets itself backed up by a
//! real Amanda, over a real sshd, holds a receipt, and the backup can be restored. Everything is thrown away afterwards.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use asyncamanda_tests::{Finished, Plan, World, compare, leave, system, tree};
use nix::sys::signal::{SigSet, Signal};
use serde_json::Value;
use wire::Receipt;

/// Characters in a line, without its indent.
const WIDTH: usize = 100;

static SIGNALLED: AtomicBool = AtomicBool::new(false);

/// 128 + SIGINT, as a shell reports it.
const INTERRUPTED: i32 = 130;

fn main() -> ExitCode {
    let begin = Instant::now();
    let told = ready().and_then(|()| {
        mind_the_end()?;
        show()
    });
    match told {
        Ok(()) => {
            println!(
                "\nDone in {} s. Nothing of it is left but two accounts (aa-test-*) and their lines in /etc/amandahosts.",
                begin.elapsed().as_secs()
            );
            ExitCode::SUCCESS
        }
        Err(why) => {
            leave_it_to_the_signal();
            eprintln!("main-job: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Sees to it that the programs are built, that we are root, and that nothing is missing.
fn ready() -> Result<(), Box<dyn Error>> {
    let own = std::env::current_exe()?;
    build(&own)?;
    if !nix::unistd::geteuid().is_root() {
        return Err(format!(
            "this needs root, since it starts an sshd and an Amanda of its own, and accounts for them\n  hint: sudo {}",
            own.display()
        )
        .into());
    }
    let missing = system::missing();
    if !missing.is_empty() {
        let missing = missing.join(" ");
        return Err(format!(
            "these Debian packages are not installed: {missing}\n  hint: apt-get install --no-install-recommends {missing}"
        )
        .into());
    }
    Ok(())
}

/// Builds the programs that are shown beside this one, in the same profile. `cargo run` has built this one only.
fn build(own: &Path) -> Result<(), Box<dyn Error>> {
    let (Some(profile), Some(target)) = (own.parent(), own.parent().and_then(Path::parent)) else {
        return Err("this program has no directory".into());
    };
    let programs = ["asyncamanda", "asyncamanda-shim", "aa-amandad-proxy", "aa-plug"];
    let there = || programs.iter().all(|program| profile.join(program).exists());
    let under_cargo = std::env::var_os("CARGO");
    if under_cargo.is_none() && there() {
        return Ok(());
    }
    let mut cargo = Command::new(under_cargo.unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"), "--target-dir"]).arg(target);
    match profile.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => {}
        Some(name) => drop(cargo.args(["--profile", name])),
    }
    cargo.args(["-p", "asyncamanda", "-p", "asyncamanda-shim", "-p", "asyncamanda-tests"]);
    cargo.args(programs.iter().flat_map(|program| ["--bin", program]));
    match cargo.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err("the programs could not be built; cargo says above why".into()),
        Err(error) => Err(format!("cargo cannot be started: {error}\n  hint: cargo build --release --workspace --bins").into()),
    }
}

/// Removes the world also when a step panics (a release build does not unwind) or somebody presses ^C.
fn mind_the_end() -> Result<(), Box<dyn Error>> {
    std::panic::set_hook(Box::new(|panic| {
        leave_it_to_the_signal();
        let payload = panic.payload();
        let owned = payload.downcast_ref::<String>().map(String::as_str);
        let what = owned.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("a step failed");
        eprintln!("main-job: {what}\nRemoving everything.");
        leave::abandon();
        std::process::exit(1);
    }));
    let mut ends = SigSet::empty();
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().for_each(|signal| ends.add(signal));
    // Programs that are started from here get an empty mask again.
    ends.thread_block()?;
    std::thread::spawn(move || {
        if ends.wait().is_ok() {
            SIGNALLED.store(true, Ordering::Relaxed);
            eprintln!("\nmain-job: interrupted. Removing everything.");
            leave::abandon();
            std::process::exit(INTERRUPTED);
        }
    });
    Ok(())
}

/// Waits for the end when a signal is already bringing it about: steps fail then because of it, and need no words.
fn leave_it_to_the_signal() {
    while SIGNALLED.load(Ordering::Relaxed) {
        std::thread::park();
    }
}

fn show() -> Result<(), Box<dyn Error>> {
    println!(
        "An overdue laptop that nothing can reach gets itself backed up: a real sshd, a real Amanda, all of it on this machine. About 10 s."
    );
    step(1, "Make a throw-away Amanda server and a laptop that was last backed up 8 days ago.");
    let world = World::new(Plan { far_away: vec![0], ..Plan::default() });
    let host = &world.hosts[0];
    let laptop = world.laptop(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    fs::write(&laptop.amandates, format!("{} 0 {}\n", laptop.disk.display(), now - 8 * 86_400))?;
    say(&format!("everything lies in        {}", world.dir.display()));
    let cable = host.cable.as_ref().ok_or("the laptop has no network")?;
    say(&format!(
        "sshd for laptops          {}, port {}; a key may start asyncamanda-shim and nothing else",
        cable.server, world.door.port
    ));
    say(&format!("Amanda's configuration    {}, with a holding disk and tapes in directories", world.amanda.dir(&world.name).display()));
    say(&format!("the laptop                {}, with the disk {}", host.name, host.disk.display()));
    say("                          behind everything: nothing listens on it, and its name resolves nowhere");

    step(2, "Ask the laptop whether a backup is due.");
    tell("asyncamanda why", &laptop.ask(&["why"]), 0)?;

    step(3, "Let it back itself up, through its own session. A scheduler calls this as often as it likes; -v makes it talk.");
    let run = laptop.ask(&["-v", "run"]);
    tell("asyncamanda -v run", &run, 0)?;
    say(&format!("({:.1} s, of which Amanda's own timers need 3 to 4)", run.took.as_secs_f64()));

    step(4, "Look at the receipt that the laptop holds now. It is the server's word, and the only proof of a backup.");
    let status = laptop.ask(&["status", "--json"]);
    if status.code != Some(0) {
        return Err(format!("asyncamanda status failed:\n{status}").into());
    }
    let status: Value = serde_json::from_str(&status.stdout)?;
    let receipt: Receipt = serde_json::from_value(status["disks"][0]["record"]["last"].clone())?;
    receipt_lines(&receipt).iter().for_each(|line| say(line));
    if !receipt.is_backup() {
        return Err("the receipt is not one of a backup".into());
    }

    step(5, "Call it again. Nothing is due, so it says nothing and opens no connection.");
    let connections = world.door.connections();
    let called = Instant::now();
    let again = laptop.agent(&["run"]).output()?;
    let took = called.elapsed();
    say("$ asyncamanda run");
    if !again.status.success() || !again.stdout.is_empty() || !again.stderr.is_empty() || world.door.connections() != connections {
        return Err("the second run was not silent, or called the server".into());
    }
    say(&format!("(exit status 0 after {:.1} ms)", took.as_secs_f64() * 1000.0));

    step(6, "Restore the backup with Amanda's amfetchdump and GNU tar, and compare it with the laptop's disk.");
    let restored = world.restore(&world.name, host);
    let differences = tree::differences(&host.tree, &restored);
    if !differences.is_empty() {
        return Err(format!("the restored tree is not its source:\n{}", differences.join("\n")).into());
    }
    say(&format!("{} files and directories: contents, owners, modes, times and links are equal", compare::count(&restored)));

    step(7, "Remove everything again.");
    Ok(())
}

fn step(number: u32, what: &str) {
    println!("\n{number}. {what}");
}

/// Prints a line, folded where a terminal would cut a word in two.
fn say(line: &str) {
    let mut room = WIDTH;
    let mut folded = String::new();
    for word in line.split_inclusive(' ') {
        if word.len() > room && room < WIDTH {
            folded.truncate(folded.trim_end().len());
            folded.push_str("\n     ");
            room = WIDTH;
        }
        folded.push_str(word);
        room = room.saturating_sub(word.len());
    }
    println!("     {folded}");
}

/// Shows a command and what it said.
fn tell(typed: &str, finished: &Finished, code: i32) -> Result<(), Box<dyn Error>> {
    say(&format!("$ {typed}"));
    finished.stdout.lines().chain(finished.stderr.lines()).for_each(say);
    if finished.code == Some(code) { Ok(()) } else { Err(format!("{typed} ended with {:?}, {code} was expected", finished.code).into()) }
}

fn receipt_lines(receipt: &Receipt) -> Vec<String> {
    let or_none = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let mut lines = vec![
        format!("outcome    {}", receipt.outcome),
        format!("host       {}, config {}", receipt.host, receipt.config),
        format!("disk       {}", receipt.disk.as_os_str().display()),
        format!("level      {} (0 is a full dump)", or_none(receipt.level.map(|level| level.to_string()))),
        format!("datestamp  {}", receipt.datestamp),
        format!("bytes      {}, counted by the server", or_none(receipt.bytes.map(|bytes| bytes.to_string()))),
        format!("CRC-32C    {}, of the server and of the laptop", or_none(receipt.crc32c.clone())),
    ];
    for base in &receipt.chain {
        lines.push(format!("lies in    {}", base.places.join(", ")));
    }
    lines
}
