//! `restore`: files and directories back, where they came from or below another directory.

use std::collections::HashSet;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use nix::unistd::{AccessFlags, access};
use restore::job::{self, Missing, Outcome, Wish};
use restore::place::{Rules, Target};
use serde_json::json;
use wire::restore::PathBytes;
use wire::{Exit, HostName};

use super::ls::{at_path, find, passed_over};
use super::reach::Reach;
use super::recover::browse::{below, split};
use super::tasks::{Task, tasks};
use crate::report::restored::Way;
use crate::report::restoring::Progress;
use crate::report::{Problem, Voice, dumps, err, out, restored, show};
use crate::session::SessionError;
use crate::session::depot::Depot;

/// `restore`.
pub fn run(reach: &Reach, paths: &[PathBuf], to: Option<&Path>, overwrite: bool, voice: &Voice) -> Result<Exit, Problem> {
    reach.remarks.iter().for_each(|remark| err(&format!("asyncamanda: {remark}")));
    let worked = reach.with(|depot, host| all(reach, depot, host, (paths, to, overwrite), voice))?;
    let ended = worked.ended;
    let done = match worked.value {
        Ok(done) => done,
        // Why the connection ended says more than that it did.
        Err(problem) if problem.exit == Exit::Later => return Err(ended.map_or(problem, |ended| cut(reach, ended))),
        Err(problem) => return Err(problem),
    };
    tell(reach, &done, ended, voice)
}

/// One disk's restore, and what came of it.
struct Done {
    task: Task,
    outcome: Outcome,
}

fn all(
    reach: &Reach,
    depot: &mut Depot,
    host: &HostName,
    (paths, to, overwrite): (&[PathBuf], Option<&Path>, bool),
    voice: &Voice,
) -> Result<Vec<Done>, Problem> {
    let list = depot.dumps(Some(host)).map_err(|error| dumps::problem(&error))?;
    let found = paths.iter().map(|path| find(reach, &list, host, path)).collect::<Result<Vec<_>, _>>()?;
    let tasks = tasks(found, to).map_err(|same| {
        Problem::new(Exit::Usage, same.to_string())
            .because("--to puts each PATH under its last name")
            .hint("restore them one after the other")
    })?;
    let mut done = Vec::with_capacity(tasks.len());
    for task in tasks {
        passed_over(&task.state, voice);
        if to.is_none() {
            is_itself(&task.target)?;
        }
        let mut progress = Progress::of(voice.json);
        progress.begin(&task.typed.join(", "), &task.state, &task.target);
        let mut outcome = one(depot, &task, overwrite, &mut progress)?;
        drop(progress);
        if matches!(outcome.end, job::End::Done) {
            looked_for(depot, &task, &mut outcome)?;
        }
        let goes_on = matches!(outcome.end, job::End::Done) || restored::is_about_this_one(&outcome);
        done.push(Done { task, outcome });
        if !goes_on {
            break;
        }
    }
    Ok(done)
}

/// Names what was wished for and lies in something else that was: the restore takes it along, and does not say when it was not there.
fn looked_for(depot: &mut Depot, task: &Task, outcome: &mut Outcome) -> Result<(), Problem> {
    let wished: HashSet<&PathBytes> = task.wishes.iter().map(|wish| &wish.path).collect();
    let above = |path: &PathBytes| (!path.as_bytes().is_empty()).then(|| split(path).0);
    for wish in &task.wishes {
        let is_covered = std::iter::successors(above(&wish.path), above).any(|above| wished.contains(&above));
        if is_covered && at_path(depot, &task.state, &wish.path)?.is_none() {
            outcome.missing.add(Missing { path: wish.path.clone(), why: "it was not there then".to_owned() });
        }
    }
    Ok(())
}

/// Somebody else may have put a symlink where a disk's own directory was, and a restore as root would write wherever it leads.
fn is_itself(own: &Path) -> Result<(), Problem> {
    // With a slash behind it the system would look behind the symlink.
    let own: PathBuf = own.components().collect();
    match fs::symlink_metadata(&own) {
        Ok(metadata) if metadata.is_symlink() => {
            let shown = show(own.as_os_str().as_bytes());
            Err(Problem::new(Exit::Failed, format!("nothing is written into {shown}"))
                .because("it is a symlink, which whoever made it can turn anywhere")
                .hint("name the directory that it leads to: --to DIR"))
        }
        _ => Ok(()),
    }
}

/// Does a task.
///
/// # Errors
/// When nothing can be written there.
pub fn one(depot: &mut Depot, task: &Task, overwrite: bool, progress: &mut Progress) -> Result<Outcome, Problem> {
    let target = &task.target;
    let cannot = |because: String| {
        Problem::new(Exit::Failed, format!("nothing can be written into {}", show(target.as_os_str().as_bytes())))
            .because(because)
            .hint("name a directory of yours, or run this as somebody who may write there")
    };
    let (there, rest) = nearest(target).ok_or_else(|| cannot("it is no directory".to_owned()))?;
    if !rest.as_bytes().is_empty() {
        access(there, AccessFlags::W_OK | AccessFlags::X_OK).map_err(|errno| cannot(format!("{}: {}", there.display(), errno.desc())))?;
    }
    let wishes: Vec<Wish> = task.wishes.iter().map(|wish| Wish { path: wish.path.clone(), at: below(&rest, wish.at.as_bytes()) }).collect();
    let rules = Rules { overwrite, ..Rules::of_this_process() };
    let directory = Target::open(there, rules).map_err(|error| cannot(show(error.to_string())))?;
    // A signal closes the connection, which ends it as well.
    Ok(job::restore(depot, &task.state, &wishes, directory, progress, &AtomicBool::new(false)))
}

/// Returns the nearest directory that is there, and the rest of the path, which the restore makes: a disk's own directory that is gone gets back
/// what it had. None when something else is there.
fn nearest(target: &Path) -> Option<(&Path, PathBytes)> {
    let there = target.ancestors().find(|path| fs::symlink_metadata(here(path)).is_ok())?;
    let rest = target.strip_prefix(there).ok()?;
    here(there).is_dir().then(|| (here(there), PathBytes::new(rest.as_os_str().as_bytes())))
}

/// The empty path is the working directory.
fn here(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

/// Tells what came of it all.
fn tell(reach: &Reach, done: &[Done], ended: Option<SessionError>, voice: &Voice) -> Result<Exit, Problem> {
    let exits = done.iter().map(|done| restored::exit(&done.outcome));
    let exit = exits.fold(Exit::Done, |worst, exit| if worst == Exit::Done || exit == Exit::Later { exit } else { worst });
    if voice.json {
        let disks: Vec<_> = done.iter().map(|done| restored::json(&done.outcome, &done.task)).collect();
        voice.json(&json!({ "exit": exit.code(), "from": reach.called(), "disks": disks }));
    }
    for Done { outcome, task } in done {
        restored::troubles(outcome).iter().for_each(|line| err(&format!("asyncamanda: {line}")));
        if !voice.json {
            restored::summary(outcome, &task.target, Way::Restore).iter().for_each(|line| out(line));
        }
    }
    let broken = done.iter().find_map(|done| restored::problem(&done.outcome));
    match (broken, ended) {
        (Some(problem), Some(ended)) if problem.exit == Exit::Later => Err(cut(reach, ended)),
        (Some(problem), _) if voice.json => {
            err(&problem.to_string());
            Ok(problem.exit)
        }
        (Some(problem), _) => Err(problem),
        (None, _) => Ok(exit),
    }
}

/// Tells that the connection ended in the middle.
fn cut(reach: &Reach, ended: SessionError) -> Problem {
    let problem = reach.problem(ended);
    match problem.exit {
        Exit::Later => problem.hint(restored::GOES_ON),
        _ => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symlink_in_place_of_the_disk_is_not_followed() {
        let dir = tempfile::tempdir().expect("a directory");
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        fs::create_dir(&real).expect("new");
        std::os::unix::fs::symlink(&real, &link).expect("new");
        assert!(is_itself(&real).is_ok() && is_itself(&dir.path().join("gone")).is_ok());
        for link in [link.clone(), link.join("")] {
            let problem = is_itself(&link).expect_err("a symlink");
            assert!(problem.to_string().contains("--to DIR"), "{problem}");
        }
    }
}
