//! A run that goes on, seen through its files: the run log, the trace that amstatus reads, and the holding disk.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use amanda::run_trace::{DleState, Phase, Trace};
use wire::message::DiskProgress;
use wire::{DiskName, HostName};

use super::guard;
use crate::engine::Observation;
use crate::processes::Identity;

/// The most that is read of a trace at one look; the rest comes with the next.
const STEP: u64 = 4 * 1024 * 1024;

/// What has been read of one run so far.
#[derive(Debug, Default)]
pub struct Follower {
    trace: Trace,
    read: u64,
}

/// Finds the run log that a leader writes: Amanda names the writer in its first line. `started` in seconds since the epoch.
pub fn find_log(logdir: &Path, leader: Identity, started: i64) -> Option<PathBuf> {
    let earliest = chrono::DateTime::from_timestamp(started - 2, 0)?.with_timezone(&chrono::Local).format("%Y%m%d%H%M%S").to_string();
    let entries = fs::read_dir(logdir).ok()?.flatten();
    let young = entries.filter(|entry| {
        let name = entry.file_name();
        let stamp = name.to_str().and_then(|name| name.strip_prefix("log.")).and_then(|rest| rest.split('.').next());
        stamp.is_some_and(|stamp| stamp.len() == 14 && *stamp >= *earliest)
    });
    young.map(|entry| entry.path()).find(|path| {
        let mut first = [0; 200];
        let read = File::open(path).and_then(|mut file| file.read(&mut first)).unwrap_or(0);
        let line = String::from_utf8_lossy(&first[..read]);
        let mut words = line.lines().next().unwrap_or_default().split(' ');
        words.next() == Some("INFO") && words.nth(2) == Some("pid") && words.next() == Some(leader.pid.to_string().as_str())
    })
}

/// Returns the trace that belongs to a run log: `log.STAMP.N` and `amdump.STAMP`.
pub fn trace_of(log: &Path) -> Option<PathBuf> {
    Some(log.with_file_name(format!("amdump.{}", guard::stamp_of(log)?)))
}

/// Returns the last thing that the tunnel has told Amanda's ssh about a host in this run: ssh's standard error is the trace.
pub fn words_of_ssh(log: &Path, host: &HostName) -> Option<String> {
    let mut file = File::open(trace_of(log)?).ok()?;
    let size = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(STEP))).ok()?;
    let mut trace = Vec::new();
    file.take(STEP).read_to_end(&mut trace).ok()?;
    let ours =
        |line: &&[u8]| line.starts_with(b"asyncamanda") && line.windows(host.as_str().len()).any(|part| part == host.as_str().as_bytes());
    let line = trace.split(|byte| *byte == b'\n').rfind(ours)?;
    let text = amanda::escape::printable(&line[..line.len().min(300)]);
    Some(text.split_once(": ").map_or(text.clone(), |(_, words)| words.to_owned()))
}

impl Follower {
    /// Reads what is new and says how the run stands.
    pub fn look(&mut self, log: &Path) -> Observation {
        // A trace that cannot be read shows no progress; the run log decides about outcomes anyway.
        let _ = self.read_trace(log);
        let log_size = fs::metadata(log).map_or(0, |data| data.len());
        let mut held = 0;
        let mut disks = Vec::new();
        for (dle, state) in self.trace.disks() {
            let estimate = self.trace.estimate(dle).unwrap_or(0) * 1024;
            let shown = show(state, estimate);
            held += shown.1;
            if let (Ok(host), Ok(disk)) = (dle.host.parse::<HostName>(), DiskName::new(dle.disk.clone())) {
                disks.push((host, DiskProgress { disk, state: shown.0.to_owned(), level: shown.2, bytes: shown.1, estimate }));
            }
        }
        let phase = match self.trace.phase() {
            Phase::Estimating => "estimating",
            Phase::Dumping => "dumping",
            Phase::Writing => "writing to tape",
            Phase::Finished => "finishing",
        };
        // Any growth anywhere changes the sum.
        let signature = log_size.wrapping_mul(31).wrapping_add(self.read).wrapping_mul(31).wrapping_add(held);
        Observation { phase: phase.to_owned(), disks, signature, broken: self.trace.lost.clone() }
    }

    fn read_trace(&mut self, log: &Path) -> io::Result<()> {
        let path = trace_of(log).ok_or(io::ErrorKind::NotFound)?;
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(self.read))?;
        let mut bytes = Vec::new();
        file.take(STEP).read_to_end(&mut bytes)?;
        self.read += bytes.len() as u64;
        self.trace.feed(&bytes);
        Ok(())
    }
}

/// Returns a disk's state in our words, its bytes so far and its level.
fn show(state: &DleState, estimate: u64) -> (&'static str, u64, Option<u8>) {
    match state {
        DleState::Estimating | DleState::Estimated { .. } => ("estimating", 0, None),
        DleState::Waiting { level, .. } => ("waiting", 0, Some(*level)),
        DleState::Dumping { level, holding, .. } => ("dumping", holding.iter().map(held).sum(), Some(*level)),
        DleState::Dumped { kb } => ("done", kb * 1024, None),
        DleState::Writing => ("writing to tape", estimate, None),
        DleState::Written => ("done", estimate, None),
        DleState::Failed { .. } => ("failed", 0, None),
    }
}

/// Adds up the chunks of a dump on the holding disk: `name`, `name.1` … with `.tmp` behind them while it is written.
fn held(name: &OsString) -> u64 {
    let size = |name: &OsString| {
        let mut unfinished = name.clone();
        unfinished.push(".tmp");
        fs::metadata(&unfinished).or_else(|_| fs::metadata(name)).map(|data| data.len()).ok()
    };
    let Some(mut total) = size(name) else { return 0 };
    for number in 1_u32.. {
        let mut chunk = name.clone();
        chunk.push(format!(".{number}"));
        match size(&chunk) {
            Some(bytes) => total += bytes,
            None => break,
        }
    }
    total
}

/// Lists the dumps that a run left unfinished on the holding disks.
pub fn unfinished_dumps(holding: &[PathBuf], stamp: &str) -> Vec<PathBuf> {
    let directories = holding.iter().map(|directory| directory.join(stamp));
    let files = directories.flat_map(|directory| fs::read_dir(directory).into_iter().flatten().flatten());
    files.map(|entry| entry.path()).filter(|path| path.as_os_str().as_bytes().ends_with(b".tmp")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_found_by_its_writer_not_by_its_age() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let stamp = |seconds: i64| {
            chrono::DateTime::from_timestamp(seconds, 0).expect("a time").with_timezone(&chrono::Local).format("%Y%m%d%H%M%S").to_string()
        };
        let write = |seconds, n, pid| {
            fs::write(directory.path().join(format!("log.{}.{n}", stamp(seconds))), format!("INFO amdump amdump pid {pid}\nSTART\n"))
                .expect("write");
        };
        write(1_795_314_000, 0, 77);
        write(1_795_314_180, 0, 77);
        write(1_795_314_181, 0, 78);
        let find = |pid| find_log(directory.path(), Identity { pid, start: 0 }, 1_795_314_179);
        assert_eq!(find(77), Some(directory.path().join(format!("log.{}.0", stamp(1_795_314_180)))));
        assert_eq!(find(7), None);
    }

    #[test]
    fn chunks_are_added_up() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let name = directory.path().join("laptop1._home.0");
        for (suffix, size) in [("", 10), (".1", 10), (".2.tmp", 3), (".4", 100)] {
            let mut path = name.clone().into_os_string();
            path.push(suffix);
            fs::write(path, vec![0; size]).expect("write");
        }
        assert_eq!(held(&name.into_os_string()), 23);
    }
}
