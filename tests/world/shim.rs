//! The server's side as its administrator sees it: shim.toml, and the shim's commands.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use wire::Receipt;

use crate::child::{self, Finished};
use crate::system::{self, DUMP_USER, LOGIN};
use crate::world::{Host, World};

impl World {
    /// Returns the path of shim.toml.
    pub fn shim_toml(&self) -> PathBuf {
        self.dir.join("shim.toml")
    }

    /// Writes shim.toml from the plan, with further text behind it.
    pub fn write_shim_toml(&self, more: &str) {
        let (dir, plan) = (self.dir.display(), &self.plan);
        let mut text = format!(
            "engine = \"{}\"\n{configs}state = \"{dir}/state\"\nruntime = \"{dir}/run\"\ndump_user = \"{DUMP_USER}\"\n\
             [runner]\ndoor = \"sudo\"\n\
             [limits]\nparallel_runs = {}\nsecond_run_after = \"{}\"\ngather = \"{}\"\nstall = \"{}\"\n",
            if plan.office { "embedded" } else { plan.engine },
            plan.parallel_runs,
            plan.second_run_after,
            plan.gather,
            plan.stall,
            configs = if plan.office { format!("config_dir = \"{dir}/configs\"\n") } else { String::new() },
        );
        if let Some(flush) = plan.flush.filter(|_| !plan.office) {
            let _a_string = writeln!(text, "[flush]\nconfig = \"{}\"\n{flush}", self.name);
        }
        for host in &self.hosts {
            let reach = if host.cable.is_some() { "tunnel" } else { "network" };
            let _a_string = writeln!(text, "[host.\"{}\"]\nconfig = \"{}\"\nreach = \"{reach}\"", host.name, host.config);
        }
        text.push_str(more);
        system::file(&self.shim_toml(), &text, "root", "root", 0o644);
    }

    /// Changes shim.toml as an administrator's editor would.
    ///
    /// # Panics
    /// When the text to replace is not there: the change would prove nothing.
    pub fn edit_shim_toml(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.shim_toml()).expect("we wrote it");
        assert!(text.contains(from), "{from:?} does not stand in shim.toml");
        system::file(&self.shim_toml(), &text.replace(from, to), "root", "root", 0o644);
    }

    /// Adds hosts to shim.toml and to the disklist, with the first host's disk and dumptype, and nothing behind them.
    pub fn add_hosts(&self, names: &[String]) {
        let rules: String =
            names.iter().map(|name| format!("[host.\"{name}\"]\nconfig = \"{}\"\nreach = \"network\"\n", self.name)).collect();
        self.write_shim_toml(&rules);
        let path = self.amanda.dir(&self.name).join("disklist");
        let mut disklist = std::fs::read_to_string(&path).expect("we wrote it");
        let first = disklist.lines().next().expect("a host").to_owned();
        let (_, disk) = first.split_once(' ').expect("host and disk");
        names.iter().for_each(|name| disklist.push_str(&format!("{name} {disk}\n")));
        std::fs::write(&path, disklist).expect("we wrote it");
    }

    /// Returns the forced command of a host's key.
    pub fn forced_command(&self, host: &str) -> String {
        format!("{} --config {} serve --host {host}", self.program("asyncamanda-shim").display(), self.shim_toml().display())
    }

    /// Returns a command of the shim as root types it.
    pub fn shim(&self, args: &[&str]) -> Command {
        let mut command = child::program(self.program("asyncamanda-shim"));
        command.arg("--config").arg(self.shim_toml()).args(args);
        command
    }

    /// Returns a command of the shim as the dump user's crontab has it.
    pub fn shim_as_dump_user(&self, args: &[&str]) -> Command {
        let mut command = child::program_as(DUMP_USER, self.program("asyncamanda-shim"));
        command.arg("--config").arg(self.shim_toml()).args(args);
        command
    }

    /// Returns the forced command as sshd would run it, without sshd: for bytes that no agent would send.
    pub fn serve(&self, host: &str, original_command: Option<&str>) -> Command {
        let mut command = child::program_as(LOGIN, self.program("asyncamanda-shim"));
        command.arg("--config").arg(self.shim_toml()).args(["serve", "--host", host]);
        if let Some(original) = original_command {
            command.env("SSH_ORIGINAL_COMMAND", original);
        }
        command.env("SSH_CONNECTION", "127.0.0.1 50000 127.0.0.1 22");
        command
    }

    /// Returns what `status --json` says now.
    ///
    /// # Panics
    /// When it fails or says no JSON.
    #[track_caller]
    pub fn status(&self) -> Value {
        let said = child::must(self.shim(&["status", "--json"]));
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("status --json said no JSON ({error}):\n{said}"))
    }

    /// Says that nothing is left of any run: no process of Amanda's, no ticket, no held lock, no half dump.
    ///
    /// # Panics
    /// When something is left.
    #[track_caller]
    pub fn assert_at_rest(&self) {
        crate::wait::until_true("every process of Amanda's to end", Duration::from_secs(20), || !self.amanda_lives());
        // Receipts are handed out before the runner looks around once more and ends.
        crate::wait::until_true("the runner to end", Duration::from_secs(20), || self.status()["runner"]["alive"] == Value::Bool(false));
        let status = self.status();
        // A shim may show every amdump on the machine; those of other worlds are none of ours.
        let ours =
            |entry: &&Value| entry["config"].as_str().is_some_and(|config| config == self.amanda.config || config == self.amanda.overlay);
        for list in ["runs", "queue"] {
            let left: Vec<&Value> = status[list].as_array().into_iter().flatten().filter(ours).collect();
            assert!(left.is_empty(), "{list} are not empty: {left:#?}");
        }
        let held: Vec<&Value> = status["locks"].as_array().into_iter().flatten().filter(|lock| lock["held"] == Value::Bool(true)).collect();
        assert!(held.is_empty(), "a lock stays: {held:?}");
        let half = self.holding_files().into_iter().filter(|name| name.ends_with(".tmp")).collect::<Vec<_>>();
        assert!(half.is_empty(), "half dumps stay on the holding disk: {half:?}");
    }

    /// Makes logs and indexes look 40 days old, further back than any dumpcycle here, and lets Amanda tidy up: amtrmlog and
    /// amtrmidx, which every amdump runs.
    pub fn age_and_tidy(&self, configs: &[&str]) {
        let aged = std::time::Duration::from_secs(40 * 86_400);
        for part in ["log", "index"] {
            let mut open = vec![self.amanda.root.join(part)];
            while let Some(dir) = open.pop() {
                for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
                    match entry.file_type() {
                        Ok(kind) if kind.is_dir() => open.push(entry.path()),
                        Ok(kind) if kind.is_file() => crate::tree::set_age(&entry.path(), aged),
                        _ => {}
                    }
                }
            }
        }
        for config in configs {
            for tidy in ["amtrmlog", "amtrmidx"] {
                let mut command = child::program_as(DUMP_USER, std::path::Path::new("/usr/lib/amanda").join(tidy));
                command.arg(config).current_dir(&self.amanda.root);
                child::must(command);
            }
        }
    }

    /// Returns the receipts of every ticket that was ever settled, by ticket.
    ///
    /// # Panics
    /// When the runner wrote something else.
    pub fn answers(&self) -> BTreeMap<String, Vec<Receipt>> {
        let read = |entry: std::fs::DirEntry| {
            let name = entry.file_name().into_string().ok()?;
            let id = name.strip_suffix(".json")?.split_once('@')?.1.to_owned();
            let text = std::fs::read(entry.path()).expect("it is kept for a week");
            let settled: Value = serde_json::from_slice(&text).expect("written by the runner");
            Some((id, serde_json::from_value(settled["receipts"].clone()).expect("receipts")))
        };
        std::fs::read_dir(self.dir.join("state/runner/results")).into_iter().flatten().flatten().filter_map(read).collect()
    }

    /// Returns the names of the tickets that wait or run.
    pub fn tickets(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.join("state/queue")).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).filter(|name| !name.starts_with('.')).collect()
    }

    /// Returns the last receipt that the server has given for a host, if there is one.
    pub fn last_receipt(&self, host: &Host) -> Option<Receipt> {
        let answers = self.answers();
        // Tickets are numbered by time.
        answers.into_iter().rev().flat_map(|(_, receipts)| receipts).find(|receipt| receipt.host.as_str() == host.name)
    }

    /// Says that nothing of a tunnel is left: no control socket, no process on any laptop, nothing half on the holding disk or in the
    /// index, no ssh of the dump user's.
    ///
    /// # Panics
    /// When something is left.
    #[track_caller]
    pub fn assert_tunnels_are_gone(&self) {
        let within = Duration::from_secs(45);
        let sockets = || {
            let hosts = std::fs::read_dir(self.dir.join("run/hosts")).into_iter().flatten().flatten();
            hosts
                .flat_map(|host| std::fs::read_dir(host.path()).into_iter().flatten().flatten())
                .map(|entry| entry.path())
                .collect::<Vec<_>>()
        };
        crate::wait::until_true("the control sockets to go", within, || sockets().is_empty());
        for cable in self.hosts.iter().filter_map(|host| host.cable.as_ref()) {
            let begin = std::time::Instant::now();
            loop {
                let left = cable.processes();
                if left.is_empty() {
                    break;
                }
                assert!(begin.elapsed() < within, "after {within:?} there are processes on {}: {left:#?}", cable.namespace);
                crate::wait::glance();
            }
        }
        let half: Vec<_> = names_below(&self.amanda.root).into_iter().filter(|name| name.to_string_lossy().ends_with(".tmp")).collect();
        assert!(half.is_empty(), "half files stay: {half:?}");
    }

    /// Tells whether a process of Amanda's works for this world.
    pub fn amanda_lives(&self) -> bool {
        let parts = ["amdump", "planner", "driver", "dumper", "chunker", "taper", "amandad", "sendbackup", "sendsize", "amflush"];
        self.processes().iter().any(|process| parts.iter().any(|part| process.name.starts_with(part)))
    }

    /// Returns the names of the files on the holding disk, as `DATESTAMP/NAME`.
    pub fn holding_files(&self) -> Vec<String> {
        let hold = &self.amanda.hold;
        let mut names = Vec::new();
        for day in std::fs::read_dir(hold).into_iter().flatten().flatten() {
            for file in std::fs::read_dir(day.path()).into_iter().flatten().flatten() {
                names.push(format!("{}/{}", day.file_name().to_string_lossy(), file.file_name().to_string_lossy()));
            }
        }
        names.sort();
        names
    }
}

/// Returns the files below a directory.
fn names_below(dir: &Path) -> Vec<PathBuf> {
    let (mut open, mut found) = (vec![dir.to_owned()], Vec::new());
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_dir { open.push(entry.path()) } else { found.push(entry.path()) }
        }
    }
    found
}

/// Returns the values under a key of a list's entries, as text.
pub fn column(list: &Value, key: &str) -> Vec<String> {
    let entries = list.as_array().into_iter().flatten();
    entries
        .filter_map(|entry| entry[key].as_str().map(str::to_owned).or_else(|| entry[key].as_i64().map(|number| number.to_string())))
        .collect()
}

/// Says that a program ended as a program of ours may: not by a signal, and not with a status that belongs to ssh.
///
/// # Panics
/// When it did not.
#[track_caller]
pub fn assert_own_exit(finished: &Finished) {
    let code = finished.code.unwrap_or_else(|| panic!("ended by a signal:\n{finished}"));
    assert!([0, 1, 2, 69, 75, 76, 77, 78].contains(&code), "exit status {code} is not in the list:\n{finished}");
    assert!(!finished.stderr.contains("panicked at"), "it panicked:\n{finished}");
}
