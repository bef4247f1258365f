//! The programs that are compared, each as its manual has it: how to begin anew, what to run, where its bytes lie.

use std::path::{Path, PathBuf};
use std::process::Command;

use asyncamanda_tests::{Laptop, World, child, system};

/// One way to back a tree up.
pub struct Contender<'a> {
    /// Its name in the table.
    pub name: &'static str,
    /// Makes room for a first backup; not measured.
    pub fresh: Script<'a>,
    /// A first, full backup.
    pub full: Script<'a>,
    /// A backup of what has not changed.
    pub again: Script<'a>,
    /// What is measured afterwards.
    pub stored: Vec<PathBuf>,
}

/// Makes a command, each time anew.
pub type Script<'a> = Box<dyn Fn() -> Command + 'a>;

/// Where `cargo install --root` may have put bupstash.
const BUPSTASH: [&str; 3] = ["/usr/bin/bupstash", "/root/.cargo/bin/bupstash", "/var/cache/asyncamanda-bench/bin/bupstash"];

/// Returns a script that runs in that home.
pub fn shell<'a>(home: &Path, script: String) -> Script<'a> {
    let home = home.to_owned();
    Box::new(move || {
        let mut shell = child::program("sh");
        shell.args(["-euc", &script]).env("HOME", &home);
        shell
    })
}

/// Returns where bupstash is.
pub fn bupstash() -> Option<&'static str> {
    BUPSTASH.into_iter().find(|path| Path::new(path).exists())
}

/// Returns the contenders that are installed, ours first, and tells what is missing.
pub fn contenders<'a>(dir: &Path, tree: &Path, ours: &Path) -> Vec<Contender<'a>> {
    let (d, t) = (dir.display(), tree.display());
    let home = dir.join("home");
    let make = |name, fresh, full, again, stored: &[&str]| Contender {
        name,
        fresh: shell(&home, fresh),
        full: shell(&home, full),
        again: shell(&home, again),
        stored: stored.iter().map(|name| dir.join(name)).collect(),
    };
    // root's state lies outside of the home.
    let now = format!("exec {} now {t} --to {d}/vault --state {d}/home/state", ours.display());
    let tar = |list: &str| format!("tar -C {t} --create --file - --one-file-system --sparse --listed-incremental={d}/{list} .");
    let mut all = vec![
        make("asyncamanda, local vault", format!("rm -rf {d}/vault {d}/home; mkdir {d}/home"), now.clone(), now, &["vault"]),
        make(
            "tar | zstd -3 -T2",
            format!("rm -f {d}/tar.*"),
            format!("{} | zstd -q -3 -T2 > {d}/tar.full", tar("tar.list")),
            format!("cp {d}/tar.list {d}/tar.list1; {} | zstd -q -3 -T2 > {d}/tar.again", tar("tar.list1")),
            &["tar.full"],
        ),
    ];
    let restic = format!("export RESTIC_REPOSITORY={d}/restic RESTIC_PASSWORD=p RESTIC_CACHE_DIR={d}/restic-cache");
    let backup = format!("{restic}; exec restic backup -q {t}");
    all.push(make("restic", format!("{restic}; rm -rf {d}/restic*; restic init -q"), backup.clone(), backup, &["restic"]));
    let borg = format!("export BORG_BASE_DIR={d}/borg-base BORG_REPO={d}/borg");
    let create = |name| format!("{borg}; exec borg create ::{name} {t}");
    all.push(make("borg", format!("{borg}; rm -rf {d}/borg*; borg init -e none"), create("one"), create("{now:%s.%f}"), &["borg"]));
    if let Some(program) = bupstash() {
        let put = format!("exec {program} put -q -r {d}/bupstash -k {d}/bupstash.key --send-log {d}/bupstash.log name=tree {t}");
        let fresh = format!("rm -rf {d}/bupstash*; {program} init -r {d}/bupstash; {program} new-key -o {d}/bupstash.key");
        all.push(make("bupstash", fresh, put.clone(), put, &["bupstash/data"]));
    }
    all.retain(|contender| {
        let program = contender.name.split([' ', ',']).next().unwrap_or_default();
        let there =
            program == "asyncamanda" || BUPSTASH.iter().any(|path| path.ends_with(program)) || Path::new("/usr/bin").join(program).exists();
        if !there {
            eprintln!("bench: {program} is not installed, and not in the table");
        }
        there
    });
    if !all.iter().any(|contender| contender.name == "bupstash") {
        eprintln!(
            "bench: bupstash is not installed, and not in the table: cargo install bupstash --root /var/cache/asyncamanda-bench (it needs libsodium-dev, pkg-config)"
        );
    }
    all
}

/// Returns Debian's amdump of a world whose first host's tree is the one.
pub fn amdump<'a>(world: &World, dir: &Path) -> Contender<'a> {
    let (root, host) = (world.amanda.root.display(), &world.hosts[0]);
    let (as_amanda, home) = (format!("runuser -u {} --", system::DUMP_USER), dir.join("home"));
    let run = format!("cd {root}; exec {as_amanda} /usr/sbin/amdump {} --no-taper --from-client {}", world.name, host.name);
    let forget = format!("cd {root}; rm -rf hold/* gnutar-lists/* info/* index/* log/*");
    let force = format!("{as_amanda} amadmin {} force {} {} >/dev/null", world.name, host.name, host.disk.display());
    Contender {
        name: "amdump",
        fresh: shell(&home, format!("{forget}; {force}")),
        full: shell(&home, run.clone()),
        again: shell(&home, run),
        stored: vec![world.amanda.root.join("hold")],
    }
}

/// Returns ours to a server with the embedded engine, over a real sshd.
pub fn over_sshd<'a>(world: &World, laptop: &'a Laptop, dir: &Path) -> Contender<'a> {
    let root = world.amanda.root.display();
    let forget = format!(
        "cd {root}; rm -rf hold/* info/* index/* log/* vtapes/slot*/* vtapes/data vtapes/state; : > tapelist; chown {user}: tapelist; rm -rf {}",
        laptop.state().display(),
        user = system::DUMP_USER
    );
    Contender {
        name: "asyncamanda, sshd",
        fresh: shell(&dir.join("home"), forget),
        full: Box::new(|| laptop.agent(&["now"])),
        again: Box::new(|| laptop.agent(&["now"])),
        stored: vec![world.amanda.root.join("vtapes"), world.amanda.root.join("hold")],
    }
}
