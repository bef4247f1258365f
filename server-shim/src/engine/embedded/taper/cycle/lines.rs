//! The log of a run, line by line: each is on the disk before the next step is done.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use amanda::run_log::write::{Entry, file_name};

use crate::engine::Trouble;
use crate::engine::embedded::files::{self, Sure};
use crate::engine::embedded::site::{Site, failed};

/// A log that lines are added to.
pub(super) struct Lines {
    path: PathBuf,
    file: File,
}

impl Lines {
    /// Begins a run's log with its first lines.
    pub fn begin(site: &Site, stamp: &str, before: &[u8]) -> Result<Self, Trouble> {
        let path = site.config().logdir().join(file_name(stamp, 0));
        files::replace(&path, before, Sure::Durable).map_err(|error| failed("cannot write", &path, &error))?;
        Self::open(path)
    }

    /// Goes on with a log. A line that a crash cut off is ended.
    pub fn open(path: PathBuf) -> Result<Self, Trouble> {
        let file = open(&path).map_err(|error| failed("cannot write", &path, &error))?;
        Ok(Self { path, file })
    }

    /// Adds a line, durably.
    pub fn add(&mut self, entry: &Entry<'_>) -> Result<(), Trouble> {
        let mut text = Vec::new();
        entry.print(&mut text);
        self.add_text(&text)
    }

    /// Adds lines, durably.
    pub fn add_text(&mut self, text: &[u8]) -> Result<(), Trouble> {
        let written = self.file.write_all(text).and_then(|()| self.file.sync_data());
        written.map_err(|error| failed("cannot write", &self.path, &error))
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new().read(true).append(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
    if file.seek(SeekFrom::End(0))? > 0 {
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(file)
}
