//! Ends or hinders a program at a chosen call that it makes to files, and sets its clock ahead: `faults/faults.c`, preloaded.
//!
//! An undisturbed run says how many such calls there are; then a test chooses among them. All processes of the program count
//! together; what it starts (tar, zstd) is left alone.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::child;

/// What happens at a call. Calls are counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: calls are counted.
    None,
    /// SIGKILL in the place of this call.
    Kill(u64),
    /// The same, but half of what this call was to write is there.
    Torn(u64),
    /// SIGSTOP before this call.
    Stop(u64),
    /// This call fails with an error number.
    Fail(u64, i32),
    /// From this call on, whatever needs room fails with `ENOSPC`.
    Full(u64),
}

/// The library, and what it counts.
#[derive(Debug)]
pub struct Faults {
    library: PathBuf,
    counter: PathBuf,
    log: PathBuf,
}

impl Faults {
    /// Compiles the library into a directory that every account may read.
    ///
    /// # Panics
    /// When gcc refuses.
    pub fn make(dir: &Path) -> Self {
        let library = dir.join("faults.so");
        let mut gcc = child::program("gcc");
        gcc.args(["-Wall", "-Wextra", "-Werror", "-O2", "-shared", "-fPIC", "-o"]).arg(&library);
        gcc.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/faults/faults.c")).arg("-ldl");
        child::must(gcc);
        Self { library, counter: dir.join("faults.count"), log: dir.join("faults.log") }
    }

    /// Sees to it that this happens to a program whose file name begins so, in the command's process or below it.
    ///
    /// # Panics
    /// When the counter cannot be made.
    pub fn befall(&self, command: &mut Command, program: &str, fault: Fault) {
        self.reset();
        command.env("LD_PRELOAD", &self.library).env("AA_FAULTS_PROGRAM", program).env("AA_FAULTS_COUNT", &self.counter);
        command.env("AA_FAULTS_LOG", &self.log);
        let words = match fault {
            Fault::None => return,
            Fault::Kill(at) => format!("kill:{at}"),
            Fault::Torn(at) => format!("torn:{at}"),
            Fault::Stop(at) => format!("stop:{at}"),
            Fault::Fail(at, number) => format!("fail:{at}:{number}"),
            Fault::Full(at) => format!("full:{at}"),
        };
        command.env("AA_FAULTS", words);
    }

    /// Sets a program's clock ahead; nothing is counted.
    pub fn set_ahead(&self, command: &mut Command, program: &str, seconds: i64) {
        command.env("LD_PRELOAD", &self.library).env("AA_FAULTS_PROGRAM", program).env("AA_CLOCK_AHEAD", seconds.to_string());
    }

    fn reset(&self) {
        // A new file each time: a process of a former run may still have the old one.
        let _not_there = fs::remove_file(&self.counter);
        let _not_there = fs::remove_file(&self.log);
        for (path, bytes) in [(&self.counter, &[0; 8][..]), (&self.log, &[])] {
            fs::write(path, bytes).expect("a directory of our own");
            fs::set_permissions(path, fs::Permissions::from_mode(0o666)).expect("our own");
        }
    }

    /// Returns how many calls there have been.
    ///
    /// # Panics
    /// When nothing was counted in this directory.
    pub fn count(&self) -> u64 {
        let bytes = fs::read(&self.counter).expect("it was made");
        u64::from_ne_bytes(bytes.try_into().expect("eight bytes"))
    }

    /// Returns the calls, in order: `12 fsync /path`.
    ///
    /// # Panics
    /// When nothing was counted in this directory.
    pub fn calls(&self) -> Vec<String> {
        let text = fs::read(&self.log).expect("it was made");
        String::from_utf8_lossy(&text).lines().map(str::to_owned).collect()
    }
}

/// Returns the seed of this test's choices: `ASYNCAMANDA_SEED`, or one of the clock's. It is printed.
///
/// # Panics
/// When the variable is no number.
pub fn seed() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let seed =
        std::env::var("ASYNCAMANDA_SEED").map_or(since.subsec_nanos().into(), |seed| seed.parse().expect("ASYNCAMANDA_SEED is a number"));
    println!("ASYNCAMANDA_SEED={seed}");
    seed
}
