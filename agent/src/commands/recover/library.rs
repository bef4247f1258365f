//! The dumps of a depot, as the shell sees them.

use std::path::{Path, PathBuf};

use restore::depot::DepotError;
use restore::job::{self, ListError, Wish};
use restore::resolve::State;
use wire::restore::{Dump, DumpId, PathBytes};
use wire::{DiskName, Exit, HostName};

use super::archive::{Archive, Entry, Extracted, Unanswered};
use crate::commands::reach::Reach;
use crate::commands::tasks::Task;
use crate::commands::{locate, restore as restoring};
use crate::report::restored::Way;
use crate::report::restoring::Progress;
use crate::report::{dumps, err, out, restored, show};
use crate::session::depot::Depot;

/// Dumps that can be asked for.
pub struct Library<'a> {
    reach: &'a Reach,
    depot: &'a mut Depot,
    own: HostName,
    /// When dumps began.
    times: Vec<(DumpId, i64)>,
}

impl<'a> Library<'a> {
    /// Takes whom to ask, and the host that is meant at first.
    pub fn new(reach: &'a Reach, depot: &'a mut Depot, own: HostName) -> Self {
        Self { reach, depot, own, times: Vec::new() }
    }

    fn unanswered(&self, error: &DepotError) -> Unanswered {
        if !error.is_no() {
            return Unanswered::Lost;
        }
        let problem = dumps::problem(error);
        let hint = if problem.hint.is_empty() { String::new() } else { format!(" ({})", problem.hint) };
        Unanswered::No(if problem.because.is_empty() { problem.what } else { format!("{}{hint}", problem.because) })
    }
}

impl Archive for Library<'_> {
    fn hosts(&mut self) -> Vec<HostName> {
        if self.reach.hosts.is_empty() { vec![self.own.clone()] } else { self.reach.hosts.clone() }
    }

    fn dumps(&mut self, host: &HostName) -> Result<Vec<Dump>, Unanswered> {
        let dumps = self.depot.dumps(Some(host)).map_err(|error| self.unanswered(&error))?;
        self.times = dumps.iter().map(|dump| (dump.id.clone(), dump.time)).collect();
        Ok(dumps)
    }

    fn entries(&mut self, state: &State, directory: &PathBytes) -> Result<Vec<Entry>, Unanswered> {
        let entries = job::list(self.depot, state, directory).map_err(|error| match error {
            ListError::Depot(error) => self.unanswered(&error),
            other => Unanswered::No(other.to_string()),
        })?;
        let time = |of: usize| {
            let dump = state.chain.get(of)?;
            self.times.iter().find(|(known, _)| known == dump).map(|(_, time)| *time)
        };
        Ok(entries.into_iter().map(|entry| Entry { dumped: time(entry.of), name: entry.name, is_directory: entry.is_directory }).collect())
    }

    fn extract(&mut self, state: &State, paths: &[PathBytes], into: &Path, overwrite: bool) -> Result<Extracted, Unanswered> {
        let wishes = paths.iter().map(|path| Wish { path: path.clone(), at: path.clone() }).collect();
        let disk = show(state.last().disk.as_bytes());
        let task = Task { state: state.clone(), target: into.to_path_buf(), wishes, typed: Vec::new() };
        let mut progress = Progress::of(false);
        progress.begin(&disk, state, into);
        let outcome = restoring::one(self.depot, &task, overwrite, &mut progress).map_err(|problem| {
            let because = if problem.because.is_empty() { String::new() } else { format!(": {}", problem.because) };
            Unanswered::No(format!("{}{because}", problem.what))
        })?;
        drop(progress);
        restored::troubles(&outcome).iter().for_each(|line| err(line));
        restored::summary(&outcome, into, Way::Recover).iter().for_each(|line| out(line));
        match restored::problem(&outcome) {
            None if restored::exit(&outcome) == Exit::Done => Ok(Extracted::All),
            None => Ok(Extracted::NotAll),
            Some(_) if !self.depot.is_usable() => Err(Unanswered::Lost),
            Some(problem) => {
                err(&problem.to_string());
                Ok(Extracted::NotAll)
            }
        }
    }

    fn directory(&self, disk: &DiskName) -> Option<PathBuf> {
        locate::directory(disk, &self.reach.disks)
    }
}
