//! Files back out of a backup of a home directory: one of them, and all, beside what else there is.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use asyncamanda_tests::{Laptop, World, child, sshd, system};

use super::Measured;
use super::table::{Table, ratio};
use super::vault::contenders::{self, Contender, Script, shell};
use super::vault::meter::{Cost, Meter};
use super::vault::{LARGE, SEED, middle, quiet, server, settled, tree, world};

/// Of which all count: what is read was just written.
const ROUNDS: usize = 3;
/// The length of the one file, as near as the tree has one.
const WANTED: u64 = 20_000;

/// One way to get files back. Each makes `OUT/one`, which is the file, or `OUT/all`, which is below it somewhere.
struct Back<'a> {
    name: &'static str,
    one: Script<'a>,
    all: Option<Script<'a>>,
    /// Through ssh: the time of a session is told apart.
    has_session: bool,
}

/// Measures 100,000 files, 1 GB.
pub fn restore(table: &mut Table) -> Measured {
    let dir = tempfile::Builder::new().prefix("aa-bench-").tempdir_in("/var/tmp")?;
    fs::create_dir(dir.path().join("home"))?;
    eprintln!("bench: 100,000 files, seed {SEED}");
    let amanda = world()?;
    let tree = amanda.hosts[0].tree.clone();
    fs::remove_dir_all(&tree)?;
    tree::plant(&tree, LARGE, SEED)?;
    let own = std::env::current_exe()?;
    let ours = own.parent().map(|dir| dir.join("asyncamanda")).filter(|path| path.exists()).ok_or("asyncamanda is not built")?;
    let meters = [Meter::new("back")?, Meter::new("back-sshd")?];
    let server = server(&tree)?;
    let laptop = server.laptop(0);
    meters[1].take(server.door.pid().ok_or("no sshd")?)?;
    let mut backups = contenders::contenders(dir.path(), &tree, &ours);
    backups.push(contenders::amdump(&amanda, dir.path()));
    backups.push(contenders::over_sshd(&server, &laptop, dir.path()));
    for Contender { name, fresh, full, .. } in &backups {
        eprintln!("bench: a backup by {name}");
        quiet(fresh())?;
        quiet(full())?;
    }
    let file = about(&tree, WANTED)?;
    eprintln!("bench: the file has {} bytes", fs::metadata(tree.join(&file))?.len());
    let backs = backs(dir.path(), &tree, &file, &ours, &amanda, (&server, &laptop));
    let backs: Vec<Back> = backs
        .into_iter()
        .filter(|back| {
            backups.iter().any(|backup| {
                backup.name.starts_with(back.name.split(',').next().unwrap_or_default()) || back.name.starts_with("amfetchdump")
            })
        })
        .collect();
    let session = session(&server, &laptop)?;
    let mut costs: Vec<[Vec<Cost>; 2]> = backs.iter().map(|_| [Vec::new(), Vec::new()]).collect();
    let mut sessions = Vec::new();
    for round in 0..ROUNDS {
        sessions.push(meters[0].run(session())?);
        for (at, back) in backs.iter().enumerate() {
            eprintln!("bench: round {round}: {}", back.name);
            let meter = &meters[usize::from(back.has_session)];
            for (which, script) in [Some(&back.one), back.all.as_ref()].into_iter().enumerate() {
                let Some(script) = script else { continue };
                // A link to a directory of its own: nothing is removed meanwhile, since ext4 takes its time to use an inode again.
                let out = dir.path().join(format!("out-{round}-{at}-{which}"));
                fs::create_dir(&out)?;
                let _one_before = fs::remove_file(dir.path().join("out"));
                std::os::unix::fs::symlink(&out, dir.path().join("out"))?;
                let cost = meter.run(settled(script())?)?;
                came_back(&out, &tree, &file, which == 1).map_err(|why| format!("{}: {why}", back.name))?;
                costs[at][which].push(cost);
            }
        }
    }
    let costs: Vec<(Cost, Option<Cost>)> =
        costs.into_iter().map(|[one, all]| (middle(one), (!all.is_empty()).then(|| middle(all)))).collect();
    let session = middle(sessions);
    print!("{}", overview(&backs, &costs, session));
    aims(table, &backs, &costs, session);
    Ok(())
}

/// Finds the file that is nearest to that length, from the middle of the tree on.
fn about(tree: &Path, wanted: u64) -> Result<PathBuf, Box<dyn Error>> {
    let half = tree.join("25");
    let mut best: Option<(u64, PathBuf)> = None;
    for directory in fs::read_dir(half)? {
        for file in fs::read_dir(directory?.path())? {
            let file = file?;
            let off = file.metadata()?.len().abs_diff(wanted);
            let path = file.path();
            if best.as_ref().is_none_or(|(least, other)| (off, &path) < (*least, other)) {
                best = Some((off, path));
            }
        }
    }
    Ok(best.ok_or("no files")?.1.strip_prefix(tree)?.to_owned())
}

/// Says whether what was wanted is there, somewhere below.
fn came_back(out: &Path, tree: &Path, file: &Path, all: bool) -> Result<(), Box<dyn Error>> {
    let mut find = child::program("find");
    find.arg(out).args(["-type", "f", "-name"]).arg(file.file_name().ok_or("a name")?);
    let found = child::must(find);
    let path = found.lines().next().ok_or("the file did not come back")?;
    if fs::read(path)? != fs::read(tree.join(file))? {
        return Err("the file came back as another".into());
    }
    if all {
        let mut count = child::program("find");
        count.arg(out).args(["-type", "f"]);
        let files = child::must(count).lines().count();
        if files as u64 != LARGE.files {
            return Err(format!("{files} files came back").into());
        }
    }
    Ok(())
}

fn backs<'a>(dir: &Path, tree: &Path, file: &Path, ours: &Path, amanda: &World, (server, laptop): (&World, &'a Laptop)) -> Vec<Back<'a>> {
    let (d, t, f) = (dir.display(), tree.display(), file.display());
    let home = dir.join("home");
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let make = |name, one: String, all: Option<String>| Back {
        name,
        one: shell(&home, one),
        all: all.map(|all| shell(&home, all)),
        has_session: false,
    };
    let from = format!("exec {} restore --from {d}/vault --state {d}/home/state --to {d}/out", ours.display());
    let agents = server.hosts[0].tree.clone();
    let (one, all, out) = (agents.join(file), agents, dir.join("out"));
    let agent = move |path: &Path| laptop.agent(&["restore", &path.display().to_string(), "--to", &out.display().to_string()]);
    let again = agent.clone();
    let restic = format!(
        "export RESTIC_REPOSITORY={d}/restic RESTIC_PASSWORD=p RESTIC_CACHE_DIR={d}/restic-cache; exec restic restore -q latest --target {d}/out"
    );
    let borg = format!("export BORG_BASE_DIR={d}/borg-base BORG_REPO={d}/borg; cd {d}/out; exec borg extract ::one");
    let bupstash = contenders::bupstash().unwrap_or("bupstash");
    let get = format!("{bupstash} get -q -r {d}/bupstash -k {d}/bupstash.key");
    let root = amanda.amanda.root.display();
    let fetch = format!(
        "cd {root}; runuser -u {} -- /usr/sbin/amfetchdump -p {} {} {} </dev/null 2>{d}/home/said",
        system::DUMP_USER,
        amanda.name,
        amanda.hosts[0].name,
        amanda.hosts[0].disk.display()
    );
    vec![
        make("asyncamanda, local vault", format!("{from} '{t}/{f}'"), Some(format!("{from} {t}"))),
        Back { name: "asyncamanda, sshd", one: Box::new(move || agent(&one)), all: Some(Box::new(move || again(&all))), has_session: true },
        make(
            "tar, zstd -d | tar -x",
            format!("zstd -qdc {d}/tar.full | tar -C {d}/out -xf - './{f}'"),
            Some(format!("zstd -qdc {d}/tar.full | tar -C {d}/out -xf -")),
        ),
        // What ours does: it ends when all is on the disk.
        make(
            "tar, the same, and sync",
            format!("zstd -qdc {d}/tar.full | tar -C {d}/out -xf - './{f}' && sync -f {d}/out"),
            Some(format!("zstd -qdc {d}/tar.full | tar -C {d}/out -xf - && sync -f {d}/out")),
        ),
        make("restic", format!("{restic} --include '{t}/{f}'"), Some(restic.clone())),
        make("borg", format!("{borg} '{}/{f}'", t.to_string().trim_start_matches('/')), Some(borg.clone())),
        make(
            "bupstash",
            format!("{get} --pick '{f}' name=tree > '{d}/out/{name}'"),
            Some(format!("{get} name=tree | tar -C {d}/out -xf -")),
        ),
        make("amfetchdump | tar", format!("{fetch} | tar -C {d}/out -xf - './{f}'"), Some(format!("{fetch} | tar -C {d}/out -xf -"))),
    ]
}

/// Returns a session that does nothing: what ssh itself takes.
fn session<'a>(server: &'a World, laptop: &'a Laptop) -> Result<impl Fn() -> Command + 'a, Box<dyn Error>> {
    server.door.allow_anything(system::CLIENT_LOGIN, &sshd::public_key(&laptop.dir.join("key")));
    Ok(move || {
        let mut ssh = child::program("ssh");
        ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o"]);
        ssh.arg(format!("UserKnownHostsFile={}", laptop.known_hosts().display())).arg("-i").arg(laptop.dir.join("key"));
        ssh.args(["-p", &server.door.port.to_string(), "-l", system::CLIENT_LOGIN, "127.0.0.1", "true"]);
        ssh
    })
}

fn overview(backs: &[Back], costs: &[(Cost, Option<Cost>)], session: Cost) -> String {
    let mut text = format!("{:26} {:>9} {:>9} {:>11} {:>9}\n", "out of 100,000 files, 1 GB", "one s", "cpu s", "everything", "cpu s");
    for (back, (one, all)) in backs.iter().zip(costs) {
        let all = all.map_or(String::new(), |all| format!("{:11.2} {:9.2}", all.wall, all.cpu));
        text.push_str(&format!("{:26} {:9.3} {:9.3} {all}\n", back.name, one.wall, one.cpu));
    }
    text + &format!("{:26} {:9.3}\n\n", "ssh host true", session.wall)
}

fn aims(table: &mut Table, backs: &[Back], costs: &[(Cost, Option<Cost>)], session: Cost) {
    let of = |name: &str| backs.iter().position(|back| back.name.starts_with(name)).map(|at| costs[at]);
    let mut row = |what: &str, value: f64, beside: &str, other: f64, times: f64| {
        let aim = format!("{times} x{}", if value <= other * times { "" } else { ", MISSED" });
        table.row(what.to_owned(), format!("{value:.3} s"), beside.to_owned(), format!("{other:.3} s"), ratio(value, other), &aim);
    };
    let (Some(local), Some(far)) = (of("asyncamanda, local"), of("asyncamanda, sshd")) else { return };
    let far_one = far.0.wall - session.wall;
    for (name, times) in [("bupstash", 1.0), ("amfetchdump", 0.05), ("restic", 1.0), ("borg", 1.0)] {
        let Some(other) = of(name) else { continue };
        row("one file over sshd, without ssh's session", far_one, name, other.0.wall, times);
        row("one file from a local vault", local.0.wall, name, other.0.wall, times);
    }
    for (name, times) in [("tar", 1.2), ("tar, the same", 1.2), ("restic", 1.0), ("bupstash", 1.0), ("amfetchdump", 1.0)] {
        let Some(other) = of(name).and_then(|(_, all)| all) else { continue };
        for (what, all) in [("everything over sshd", far.1), ("everything from a local vault", local.1)] {
            if let Some(all) = all {
                row(what, all.wall, name, other.wall, times);
            }
        }
    }
}
