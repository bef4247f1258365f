//! The programs that are compared, each as its manual has it: how to begin anew, what to run, where its bytes lie.

use std::path::{Path, PathBuf};
use std::process::Command;

use asyncamanda_tests::{World, child, system};

/// One way to back a tree up.
pub struct Contender {
    /// Its name in the table.
    pub name: &'static str,
    /// Makes room for a first backup; not measured.
    fresh: String,
    /// A first, full backup; a backup of what has not changed.
    runs: [String; 2],
    /// What is measured afterwards.
    pub stored: Vec<PathBuf>,
    home: PathBuf,
}

/// Where `cargo install --root` may have put bupstash.
const BUPSTASH: [&str; 3] = ["/usr/bin/bupstash", "/root/.cargo/bin/bupstash", "/var/cache/asyncamanda-bench/bin/bupstash"];

impl Contender {
    /// Returns the command that makes room.
    pub fn fresh(&self) -> Command {
        self.shell(&self.fresh)
    }

    /// Returns the command of a full backup.
    pub fn full(&self) -> Command {
        self.shell(&self.runs[0])
    }

    /// Returns the command of a backup of what has not changed.
    pub fn again(&self) -> Command {
        self.shell(&self.runs[1])
    }

    fn shell(&self, script: &str) -> Command {
        let mut shell = child::program("sh");
        shell.args(["-euc", script]).env("HOME", &self.home);
        shell
    }
}

/// Returns the contenders that are installed, ours first, and tells what is missing.
pub fn contenders(dir: &Path, tree: &Path, ours: &Path) -> Vec<Contender> {
    let (d, t) = (dir.display(), tree.display());
    let make = |name, fresh: String, full: String, again: String, stored: &[&str]| Contender {
        name,
        fresh,
        runs: [full, again],
        stored: stored.iter().map(|name| dir.join(name)).collect(),
        home: dir.join("home"),
    };
    let now = format!("exec {} now {t} --to {d}/vault", ours.display());
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
    if let Some(program) = BUPSTASH.into_iter().find(|path| Path::new(path).exists()) {
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
pub fn amdump(world: &World, dir: &Path) -> Contender {
    let (root, host) = (world.amanda.root.display(), &world.hosts[0]);
    let as_amanda = format!("runuser -u {} --", system::DUMP_USER);
    let run = format!("cd {root}; exec {as_amanda} /usr/sbin/amdump {} --no-taper --from-client {}", world.name, host.name);
    Contender {
        name: "amdump",
        fresh: format!(
            "cd {root}; rm -rf hold/* gnutar-lists/* info/* index/* log/*; {as_amanda} amadmin {} force {} {} >&2 2>/dev/null",
            world.name,
            host.name,
            host.disk.display()
        ),
        runs: [run.clone(), run],
        stored: vec![world.amanda.root.join("hold")],
        home: dir.join("home"),
    }
}
