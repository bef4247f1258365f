//! A vault that was handed to the installed Amanda: its last change by us, and the mark that says so.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use amanda::tapelist::Tapelist;
use wire::{AbortCode, ConfigName};

use super::files::{self, Sure};
use super::site::Site;
use super::{Silent, locks, mend};
use crate::engine::Trouble;
use crate::lock::{self, Guard};

/// The file in `.asyncamanda` that names Amanda's config.
pub const MARKER: &str = "adopted";

/// More than a config's name.
const LONGEST: u64 = 1024;

/// What a mark says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The config of Amanda's that the vault has become.
    pub config: String,
    /// Amanda has all of it.
    pub whole: bool,
}

impl Mark {
    /// Prints it.
    #[must_use]
    pub fn print(&self) -> String {
        format!("{}\n{}", self.config, if self.whole { "whole\n" } else { "" })
    }
}

/// Returns what a vault has become; none when it is still one.
///
/// # Errors
/// When that cannot be read.
pub fn read(own: &Path) -> io::Result<Option<Mark>> {
    let Some(text) = files::read(&own.join(MARKER), LONGEST)? else { return Ok(None) };
    let text = String::from_utf8_lossy(&text);
    let mut lines = text.lines();
    let config = lines.next().unwrap_or_default().trim().to_owned();
    Ok(Some(Mark { config, whole: lines.next() == Some("whole") }))
}

/// Refuses a vault that is Amanda's.
///
/// # Errors
/// When it is, or nobody can tell.
pub fn refuse(directory: &Path, own: &Path) -> Result<(), Trouble> {
    match read(own) {
        Ok(None) => Ok(()),
        Ok(Some(Mark { config, .. })) => Err(Trouble {
            code: AbortCode::Refused,
            message: format!(
                "{} was handed to Amanda as its config {config}, and nothing of ours writes into it any more",
                directory.display()
            ),
            hint: format!("back up with `amdump {config}`, or name another directory"),
        }),
        Err(error) => Err(super::site::failed("cannot look at", &own.join(MARKER), &error)),
    }
}

/// Puts a vault right for the last time, and marks it as Amanda's config `name`; volumes are that config's from here on. To be
/// called as the vault's owner.
///
/// # Errors
/// When a run goes on in it, or it cannot be written.
pub fn hand_over(site: &Site, name: &ConfigName, now: i64) -> Result<(), Trouble> {
    site.for_writing()?;
    let failed = |path: &Path, error: &io::Error| super::site::failed("cannot write to", path, error);
    let busy = |what: String| {
        Trouble::later(format!("{what} into {}", site.directory().display()), "wait until that is done, and give the same command again")
    };
    // A person's run, which others wait for, and any run: it has a disk from the moment its level is chosen until its dump is on a volume.
    let run = site.own().join("run.lock");
    let run = lock::try_take(&run, "", now).map_err(|error| failed(&run, &error))?;
    let mut held: Vec<Guard> = vec![run.ok_or_else(|| busy("somebody's backup goes".to_owned()))?];
    let mut names = BTreeSet::new();
    for disk in site.disks().iter().filter(|disk| names.insert(disk.dle.clone())) {
        match locks::disk(site, &disk.dle).map_err(|error| failed(&site.own(), &error))? {
            Some(guard) => held.push(guard),
            None => return Err(busy(format!("{} is being backed up", disk.dle))),
        }
    }
    mend::mend(site, &Silent, now)?;
    let tapelist = site.config().tapelist();
    let lock = locks::tapelist(site).map_err(|error| failed(&tapelist, &error))?;
    if let Some(text) = files::read(&tapelist, amanda::tapelist::LONGEST as u64).map_err(|error| failed(&tapelist, &error))? {
        let list = Tapelist::parse(&text).map_err(|error| Trouble::config(error.to_string(), "correct that line of the tapelist"))?;
        let text = of_config(&list, name).print().map_err(|error| Trouble::config(error.to_string(), "correct the tapelist"))?;
        files::replace(&tapelist, &text, Sure::Durable).map_err(|error| failed(&tapelist, &error))?;
    }
    drop(lock);
    let marker = site.own().join(MARKER);
    let mark = Mark { config: name.to_string(), whole: false };
    files::replace(&marker, mark.print().as_bytes(), Sure::Durable).map_err(|error| failed(&marker, &error))?;
    drop(held);
    Ok(())
}

/// Amanda's own programs write to no volume, and reckon with none, that another config than theirs has written.
fn of_config(list: &Tapelist, name: &ConfigName) -> Tapelist {
    let mut new = Tapelist::default();
    for tape in list.tapes() {
        let mut tape = tape.clone();
        if tape.config.is_some() {
            tape.config = Some(name.to_string());
        }
        new.put(tape);
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_and_refused() {
        let directory = tempfile::tempdir().expect("directory");
        assert_eq!(read(directory.path()).expect("none"), None);
        assert_eq!(refuse(Path::new("/v"), directory.path()), Ok(()));
        for whole in [false, true] {
            let mark = Mark { config: "daily".to_owned(), whole };
            std::fs::write(directory.path().join(MARKER), mark.print()).expect("write");
            assert_eq!(read(directory.path()).expect("readable"), Some(mark));
        }
        let refused = refuse(Path::new("/v"), directory.path()).expect_err("it is Amanda's");
        assert_eq!(refused.code, AbortCode::Refused);
        assert!(refused.message.contains("Amanda as its config daily"), "{refused:?}");
    }

    #[test]
    fn volumes_become_the_new_configs_in_their_order() {
        let list = Tapelist::parse(
            b"2 v-002 reuse BLOCKSIZE:32 POOL:v STORAGE:v CONFIG:v\n1 v-001 reuse POOL:v STORAGE:v CONFIG:v\n0 v-003 reuse\n",
        )
        .expect("valid");
        let text = of_config(&list, &"daily".parse().expect("name")).print().expect("printed");
        let text = String::from_utf8(text).expect("UTF-8");
        assert_eq!(
            text,
            "2 v-002 reuse BLOCKSIZE:32 POOL:v STORAGE:v CONFIG:daily\n1 v-001 reuse POOL:v STORAGE:v CONFIG:daily\n0 v-003 reuse\n"
        );
    }
}
