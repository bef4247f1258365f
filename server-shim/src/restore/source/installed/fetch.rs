//! `amfetchdump -l -p`: Amanda's own program reads volumes, and writes a dump to its standard output as it is stored.
//!
//! It asks nothing: `-a` says that all volumes are where they should be, and its standard input is empty, so a volume that is missing is an
//! end. It is one of a kind for all configs that share drives, and ends with the reader, however that ends.

use std::io::{self, Read};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use wire::ConfigName;

use super::words;
use crate::engine::Trouble;
use crate::engine::amanda::programs::Programs;
use crate::lock::{self, Guard};
use crate::restore::leash::Leash;
use crate::restore::source::embedded::Key;
use crate::runner::clock;

/// How long another restore's volumes are waited for.
const PATIENCE: Duration = Duration::from_secs(600);

/// How often it is looked whether they are free.
const LOOK: Duration = Duration::from_millis(500);

/// As much is kept of what it says.
const KEPT: usize = 16 * 1024;

/// A dump that comes.
pub(super) struct Fetch {
    child: Child,
    stdout: ChildStdout,
    stderr: Option<JoinHandle<Vec<u8>>>,
    ended: bool,
    leash: Arc<Leash>,
    _alone: Guard,
}

/// Starts to fetch a dump. The program's own words come with the end of the stream.
///
/// # Errors
/// When it cannot be started, or somebody else reads volumes for too long.
pub(super) fn start(
    programs: &Programs,
    config: &ConfigName,
    (dle, stamp, level): &Key,
    lock: &Path,
    leash: &Arc<Leash>,
) -> Result<Fetch, Trouble> {
    let failed =
        |error: io::Error| Trouble::config(format!("cannot run amfetchdump: {error}"), "asyncamanda-shim check says what must be there");
    let alone = alone(lock, leash)?;
    let inner = programs.amfetchdump(config, dle, stamp, *level);
    // A program whose parent was killed would read a whole tape for nobody.
    let mut command = Command::new("/usr/bin/setpriv");
    command.env_clear().envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?)))).current_dir("/");
    command.args(["--pdeathsig", "TERM", "--"]).arg(inner.get_program()).args(inner.get_args());
    let mut child = command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(failed)?;
    leash.hold(child.id());
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(failed(io::ErrorKind::BrokenPipe.into()));
    };
    let stderr = Some(thread::spawn(move || last_words(stderr)));
    Ok(Fetch { child, stdout, stderr, ended: false, leash: Arc::clone(leash), _alone: alone })
}

/// Waits until nobody else reads volumes.
fn alone(path: &Path, leash: &Leash) -> Result<Guard, Trouble> {
    let since = Instant::now();
    loop {
        match lock::try_take(path, "", clock() as i64) {
            Ok(Some(guard)) => return Ok(guard),
            Ok(None) if since.elapsed() < PATIENCE && !leash.is_pulled() => thread::sleep(LOOK),
            Ok(None) => return Err(Trouble::later("another restore reads the server's volumes", "try again when it has ended")),
            Err(error) => {
                return Err(Trouble::config(format!("{}: {error}", path.display()), "asyncamanda-shim check says what it must be like"));
            }
        }
    }
}

/// Reads all that is said, and keeps the last of it.
fn last_words(mut from: impl Read) -> Vec<u8> {
    let (mut kept, mut piece) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = from.read(&mut piece) {
        kept.extend_from_slice(&piece[..read]);
        let over = kept.len().saturating_sub(KEPT);
        kept.drain(..over);
    }
    kept
}

impl Fetch {
    /// Waits for its end; nothing comes any more.
    fn end(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.ended, true) {
            return Ok(());
        }
        self.leash.let_go();
        let status = self.child.wait()?;
        let said = self.stderr.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        if status.success() {
            return Ok(());
        }
        let why = words::why(&said);
        Err(io::Error::other(if why.is_empty() { format!("amfetchdump ended with {status}") } else { format!("amfetchdump: {why}") }))
    }
}

impl Read for Fetch {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.stdout.read(buffer)?;
        if read == 0 && !buffer.is_empty() {
            self.end()?;
        }
        Ok(read)
    }
}

impl Drop for Fetch {
    /// Ends it when nobody wants the rest.
    fn drop(&mut self) {
        if !self.ended {
            self.leash.end();
            let _ = self.end();
        }
    }
}
