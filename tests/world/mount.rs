//! File systems that are too small, or that nobody may write to.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::child;

const MINUTE: Duration = Duration::from_secs(60);

/// A small file system below a directory; goes before the world does.
#[derive(Debug)]
pub struct Mount(PathBuf);

impl Mount {
    /// Puts a small one there, with what the directory has.
    pub fn over(path: &Path, kib: u32) -> Self {
        let kept = path.with_extension("kept");
        run("cp", &["-a".as_ref(), path.as_os_str(), kept.as_os_str()]);
        run(
            "mount",
            &["-t".as_ref(), "tmpfs".as_ref(), "-o".as_ref(), OsStr::new(&format!("size={kib}k")), "tmpfs".as_ref(), path.as_os_str()],
        );
        let mount = Self(path.to_owned());
        run("cp", &["-a".as_ref(), kept.join(".").as_os_str(), path.as_os_str()]);
        mount
    }

    /// Mounts it anew, with these options: `ro`, `size=64m`.
    pub fn remount(&self, how: &str) {
        run("mount", &["-o".as_ref(), OsStr::new(&format!("remount,{how}")), self.0.as_os_str()]);
    }

    /// Leaves no byte free, and says where the room went.
    ///
    /// # Panics
    /// When not even an empty file can be made.
    pub fn fill(&self) -> PathBuf {
        let ballast = self.0.join("ballast");
        let mut file = fs::File::create(&ballast).expect("root may");
        for size in [65_536, 4096, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
        ballast
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let mut umount = child::program("umount");
        umount.arg("--lazy").arg(&self.0);
        drop(child::run(umount, MINUTE));
    }
}

fn run(program: &str, args: &[&OsStr]) {
    let mut command: Command = child::program(program);
    command.args(args);
    child::must(command);
}
