//! The Amanda of a world: its config as an administrator would write it, its commands typed by hand, and what its logs
//! say. The logs are read here with few words of our own, so that a misreading in the programs under test is not shared.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use crate::child;
use crate::plan::Plan;
use crate::procs::{self, Process};
use crate::system::{self, CONFIGS, DUMP_USER};
use crate::world::Host;

/// One catalog, and one or two configs that use it.
#[derive(Debug)]
pub struct Amanda {
    /// The shared config's name.
    pub config: String,
    /// The overlay's name: `includefile` of the shared one and a difference; made only when the plan wants it.
    pub overlay: String,
    /// Where holding disk, vtapes, logs, indexes and curinfo lie.
    pub root: PathBuf,
    /// The holding disk.
    pub hold: PathBuf,
}

/// One line of a run log that speaks of a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// `SUCCESS`, `PARTIAL`, `FAIL`, `STRANGE` …
    pub what: String,
    /// `dumper`, `chunker`, `planner`, `driver`, `taper`.
    pub who: String,
    /// Host in the disklist.
    pub host: String,
    /// Disk in the disklist.
    pub disk: String,
    /// The run's timestamp.
    pub datestamp: String,
    /// Dump level.
    pub level: Option<u8>,
}

/// One dump that Amanda lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// `YYYYMMDDhhmmss`.
    pub datestamp: String,
    /// Dump level.
    pub level: u8,
    /// A path on the holding disk, or a label.
    pub place: String,
    /// `OK` or another of Amanda's words.
    pub status: String,
}

impl Amanda {
    /// Names the place where an office without an Amanda has its vault.
    pub fn absent(dir: &Path, name: &str) -> Self {
        let root = dir.join("configs").join(name);
        Self { config: name.to_owned(), overlay: format!("{name}-own"), hold: root.join("holding"), root }
    }

    /// Writes the configs and makes their directories.
    pub fn make(dir: &Path, name: &str, plan: &Plan, hosts: &[Host], ssh: Option<(u16, &Path)>) -> Self {
        let root = dir.join("amanda");
        let amanda = Self { config: name.to_owned(), overlay: format!("{name}-own"), hold: root.join("hold"), root };
        for part in
            ["", "hold", "log", "index", "info", "gnutar-lists", "vtapes", "vtapes/slot1", "vtapes/slot2", "vtapes/slot3", "vtapes/slot4"]
        {
            system::directory(&amanda.root.join(part), DUMP_USER, DUMP_USER, 0o750);
        }
        system::file(&amanda.root.join("amandates"), "", DUMP_USER, DUMP_USER, 0o644);
        amanda.write(&amanda.config, &amanda.shared(plan, hosts, ssh));
        if !plan.overlay.is_empty() {
            let shared = amanda.dir(&amanda.config);
            let text = format!(
                "includefile \"{shared}/amanda.conf\"\ndiskfile \"{shared}/disklist\"\norg \"{name}, overlay\"\ninparallel 2\n",
                shared = shared.display()
            );
            amanda.write(&amanda.overlay, &text);
        }
        let line = |host: &Host| {
            let device = if host.tree == host.disk { String::new() } else { format!("{} ", quoted(&host.tree)) };
            format!("{} {} {device}{}\n", host.name, quoted(&host.disk), dumptype(host))
        };
        let disklist: String = hosts.iter().map(line).collect();
        system::file(&amanda.dir(&amanda.config).join("disklist"), &disklist, DUMP_USER, DUMP_USER, 0o644);
        amanda
    }

    fn write(&self, config: &str, text: &str) {
        let dir = self.dir(config);
        system::directory(&dir, DUMP_USER, DUMP_USER, 0o755);
        system::file(&dir.join("amanda.conf"), text, DUMP_USER, DUMP_USER, 0o644);
        // Read on the client side of this config's dumps: so that worlds do not share amandates and incremental state.
        let client = format!("amandates \"{root}/amandates\"\ngnutar_list_dir \"{root}/gnutar-lists\"\n", root = self.root.display());
        system::file(&dir.join("amanda-client.conf"), &client, DUMP_USER, DUMP_USER, 0o644);
    }

    fn shared(&self, plan: &Plan, hosts: &[Host], ssh: Option<(u16, &Path)>) -> String {
        let (root, name) = (self.root.display(), &self.config);
        let mut text = format!(
            "org \"{name}\"\nmailto \"\"\ndumpuser \"{DUMP_USER}\"\n\
             infofile \"{root}/info\"\nlogdir \"{root}/log\"\nindexdir \"{root}/index\"\ntapelist \"{root}/tapelist\"\n\
             tpchanger \"chg-disk:{root}/vtapes\"\nlabelstr \"^{name}-[0-9][0-9]*$\"\nautolabel \"{name}-%%%\" any\n\
             tapetype T\ndefine tapetype T {{\n length 200 mbytes\n}}\n\
             holdingdisk hd1 {{\n directory \"{root}/hold\"\n use {holding} Mb\n chunksize 1 Mb\n}}\n\
             dumpcycle 7 days\nrunspercycle 2\ntapecycle 4\ninparallel {inparallel}\nmaxdumps 1\n\
             etimeout 60\ndtimeout 60\nreserve {reserve}\n\
             define dumptype laptop {{\n program \"GNUTAR\"\n auth \"local\"\n compress client fast\n estimate {estimate}\n index yes\n dump-limit same-host\n maxdumps 1\n record yes\n}}\n",
            inparallel = plan.inparallel,
            // Of a disk without history the planner guesses that it has a quarter of a tape.
            holding = if plan.hosts > 8 { 1000 } else { 500 },
            reserve = plan.reserve,
            estimate = plan.estimate,
        );
        if let Some((port, key)) = ssh {
            let key = key.display();
            writeln!(
                text,
                "define dumptype far {{\n laptop\n auth \"ssh\"\n client_username \"{}\"\n client_port \"{port}\"\n ssh_keys \"{key}\"\n}}",
                system::CLIENT_LOGIN
            )
            .expect("a string takes it");
        }
        // No key and no port: the dump user's ssh finds the session that the laptop has opened. Nothing is promoted: a planner with room to
        // spare makes full dumps where a test looks for incremental ones.
        writeln!(
            text,
            "define dumptype tunnelled {{\n laptop\n auth \"ssh\"\n client_username \"{DUMP_USER}\"\n compress {}\n maxpromoteday 0\n}}",
            plan.compress
        )
        .expect("a string takes it");
        for host in hosts {
            let base = match host {
                Host { cable: Some(_), .. } => "tunnelled",
                Host { over_ssh: true, .. } => "far",
                _ => "laptop",
            };
            let compress = host
                .gate
                .as_ref()
                .map(|gate| format!(" compress client custom\n client_custom_compress \"{}\"\n", gate.program().display()))
                .unwrap_or_default();
            writeln!(text, "define dumptype {} {{\n {base}\n{compress}}}", dumptype(host)).expect("a string takes it");
        }
        text
    }

    /// Returns a config's directory.
    pub fn dir(&self, config: &str) -> PathBuf {
        Path::new(CONFIGS).join(config)
    }

    /// Changes the shared config as an administrator's editor would.
    ///
    /// # Panics
    /// When the text to replace is not there: the change would prove nothing.
    pub fn edit(&self, from: &str, to: &str) {
        let path = self.dir(&self.config).join("amanda.conf");
        let text = fs::read_to_string(&path).expect("we wrote it");
        assert!(text.contains(from), "{from:?} does not stand in {}", path.display());
        fs::write(&path, text.replace(from, to)).expect("we wrote it");
    }

    /// Returns one of Amanda's commands as its administrator types it: as the dump user, in a directory of his.
    pub fn command(&self, program: &str) -> Command {
        let mut command = child::program_as(DUMP_USER, Path::new("/usr/sbin").join(program));
        command.current_dir(&self.root);
        command
    }

    /// Returns `amdump CONFIG --no-taper --from-client HOST…`.
    pub fn amdump(&self, config: &str, hosts: &[&Host]) -> Command {
        let mut command = self.command("amdump");
        command.arg(config).args(["--no-taper", "--from-client"]).args(hosts.iter().map(|host| &host.name));
        command
    }

    /// Returns what Amanda lists of a disk, oldest first.
    pub fn find(&self, config: &str, host: &Host) -> Vec<Found> {
        let mut command = self.command("amadmin");
        command.arg(config).arg("find");
        let listed = child::must(command);
        let mut found: Vec<Found> = listed
            .lines()
            .filter_map(|line| {
                // date time host disk level storage pool place file part status
                let words = words(line);
                // A part that is whole of a dump that is not: `OK PARTIAL`.
                let [day, time, name, disk, level, _storage, _pool, place, _file, _part, status @ ..] = words.as_slice() else {
                    return None;
                };
                let ours = *name == host.name && Path::new(disk) == host.disk;
                let datestamp = format!("{day}{time}").replace(['-', ':'], "");
                ours.then(|| Found { datestamp, level: level.parse().expect("a level"), place: place.clone(), status: status.join(" ") })
            })
            .collect();
        found.sort_by(|a, b| (&a.datestamp, &a.place).cmp(&(&b.datestamp, &b.place)));
        found
    }

    /// Returns the run logs, by name, those that amtrmlog has put away too.
    pub fn logs(&self) -> Vec<(String, String)> {
        let dirs = [self.root.join("log"), self.root.join("log/oldlog")];
        let mut logs: Vec<(String, String)> = dirs
            .iter()
            .filter_map(|dir| fs::read_dir(dir).ok())
            .flatten()
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let name = entry.file_name().into_string().ok()?;
                (name.starts_with("log.2") && entry.file_type().ok()?.is_file())
                    .then(|| (name, fs::read_to_string(entry.path()).unwrap_or_default()))
            })
            .collect();
        logs.sort();
        logs
    }

    /// Returns the logs that belong to runs of amdump; amflush writes some too.
    pub fn run_logs(&self) -> Vec<(String, String)> {
        self.logs().into_iter().filter(|(_, text)| text.contains("START planner")).collect()
    }

    /// Returns what all logs say of one disk, in order.
    pub fn words_on(&self, host: &Host) -> Vec<Word> {
        let all = self.logs();
        all.iter()
            .flat_map(|(_, text)| text.lines())
            .filter_map(word)
            .filter(|word| word.host == host.name && Path::new(&word.disk) == host.disk)
            .collect()
    }

    /// Returns how many dumps of a disk the chunkers have finished well.
    pub fn good_dumps(&self, host: &Host) -> usize {
        self.words_on(host).iter().filter(|word| word.what == "SUCCESS" && word.who == "chunker").count()
    }

    /// Holds the tape changer: as long as the value lives, whatever writes to a tape waits for it.
    ///
    /// # Panics
    /// When somebody else holds it.
    pub fn hold_changer(&self) -> fs::File {
        // The file in which chg-disk keeps its state, locked as chg-disk does it (Changer.pm, with_locked_state).
        let path = self.root.join("vtapes/state");
        let state = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path).expect("root may");
        system::give(&path, DUMP_USER, DUMP_USER);
        let whole = libc::flock { l_type: libc::F_WRLCK as i16, l_whence: libc::SEEK_SET as i16, l_start: 0, l_len: 0, l_pid: 0 };
        fcntl(&state, FcntlArg::F_OFD_SETLK(&whole)).expect("nobody changes a tape now");
        state
    }

    /// Returns the process of a part of Amanda that works for this world now: "amdump", "planner", "driver", "chunker", "taper", or "dumper"
    /// for one that has a client below it. The logs of the dump user name them all.
    pub fn part(&self, part: &str) -> Option<Process> {
        let needle = format!("INFO {part} {part} pid ");
        let logs = self.logs();
        let pids = logs.iter().flat_map(|(_, text)| text.lines()).filter_map(|line| line.strip_prefix(&needle)?.trim().parse::<i32>().ok());
        let table = procs::all();
        let mut alive: Vec<Process> = pids.filter_map(|pid| table.iter().find(|process| process.pid == pid).cloned()).collect();
        alive.retain(|process| {
            process.mentions(&self.config) && (part != "dumper" || table.iter().any(|other| other.parent == process.pid))
        });
        alive.pop()
    }
}

/// Returns the name of a host's own dumptype.
fn dumptype(host: &Host) -> String {
    format!("laptop-{}", host.index)
}

/// Quotes a disk as the disklist wants it.
fn quoted(disk: &Path) -> String {
    let text = disk.display().to_string();
    if text.contains(' ') { format!("\"{text}\"") } else { text }
}

/// Splits one of Amanda's lines at spaces, except inside double quotes.
pub fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut inside = false;
    for character in line.chars() {
        match character {
            '"' => inside = !inside,
            ' ' if !inside => words.push(String::new()),
            other => words.last_mut().expect("never empty").push(other),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn word(line: &str) -> Option<Word> {
    let words = words(line);
    let [what, who, host, disk, rest @ ..] = words.as_slice() else { return None };
    if !["SUCCESS", "PARTIAL", "FAIL", "STRANGE", "PART", "DONE"].contains(&what.as_str()) {
        return None;
    }
    let datestamp =
        rest.iter().find(|word| word.len() == 14 && word.bytes().all(|byte| byte.is_ascii_digit())).cloned().unwrap_or_default();
    let level = rest.iter().filter_map(|word| word.parse::<u8>().ok()).next();
    Some(Word { what: what.clone(), who: who.clone(), host: host.clone(), disk: disk.clone(), datestamp, level })
}
